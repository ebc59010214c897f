"""Every Python block of the README and the guides runs, one after the other within a page."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import nnkit
from nnkit.compat import uninstall_as_keras

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture
def _without_keras() -> Iterator[None]:
    """Set a real Keras aside: a page may let nnkit serve its imports."""
    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if is_keras(name)}
    yield
    uninstall_as_keras()
    sys.modules.update(aside)


def is_keras(name: str) -> bool:
    return name.partition(".")[0] in ("keras", "tensorflow", "tf_keras")


@pytest.mark.usefixtures("_without_keras")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # what a page writes is not for the repository
    nnkit.config.clear_session()
    names: dict[str, object] = {"__name__": "docs"}
    try:
        for block in blocks(page):
            exec(compile(block, str(page), "exec"), names)
    finally:
        nnkit.config.set_device(None)
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is missing"


def test_there_are_guides_with_code() -> None:
    with_code = {page.stem for page in PAGES if blocks(page)}
    assert {"getting-started", "building-models", "training", "coming-from-keras"} <= with_code
