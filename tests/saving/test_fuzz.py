"""A sample of the damaged and malicious files that scripts/fuzz_files.py makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_damaged_and_malicious_files_do_nothing_but_raise() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "fuzz_files.py", "1400", "7"],
        capture_output=True, text=True, timeout=200, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in (".weights.h5", "by name", ".h5", ".pt", ".safetensors", ".keras", "model.h5"):
        counts = {
            line.split()[-1]: int(line.split()[0])
            for line in done.stdout.splitlines()
            if f"  {kind}: " in line
        }
        # Changes that only touch numbers in a weight are no damage that a reader could see.
        assert counts["refused"] > counts.get("loaded", 0) > 0, done.stdout
