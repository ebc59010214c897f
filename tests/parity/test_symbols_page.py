"""docs/keras-symbols.md says what is true."""

from __future__ import annotations

import runpy
from pathlib import Path

import keras

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "keras_table.py"


def test_the_page_is_current() -> None:
    made = runpy.run_path(str(SCRIPT))
    assert keras.__version__.startswith("3.15")
    told = "The page is out of date: run python scripts/keras_table.py"
    assert made["PAGE"].read_text(encoding="utf-8") == made["table"](), told
