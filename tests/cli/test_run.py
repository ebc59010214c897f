"""`nnkit run`: the program sees what `python program` shows it, and Keras is nnkit's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
import sys
from keras.layers import Dense
import helper

if __name__ == "__main__":
    print(sys.argv[1:], Dense.__module__, helper.WORD, __file__ == sys.argv[0])
"""


def run(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "nnkit", *map(str, words)],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "programs"
    place.mkdir()
    (place / "helper.py").write_text("import keras\nWORD = keras.__version__[-5:]")
    (place / "program.py").write_text(PROGRAM)
    return place


def test_a_script(folder: Path, tmp_path: Path) -> None:
    done = run("run", folder / "program.py", "--epochs", "3", "-m", cwd=tmp_path)
    assert done.stdout == "['--epochs', '3', '-m'] nnkit.layers.core nnkit True\n", done.stderr
    assert done.returncode == 0


def test_a_module(folder: Path) -> None:
    done = run("run", "-m", "program", "-x", cwd=folder)
    assert done.stdout == "['-x'] nnkit.layers.core nnkit True\n", done.stderr


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import keras\nkeras.layers.Dens(3)", 1, "Did you mean 'Dense'"),
        ("from keras.layers import LocallyConnected2D", 1, "torch.nn.Unfold"),
        ("def f(:", 1, "SyntaxError"),
    ],
)
def test_how_a_program_ends(folder: Path, code: str, status: int, said: str) -> None:
    (folder / "program.py").write_text(code)
    done = run("run", "program.py", cwd=folder)
    assert done.returncode == status
    assert said in done.stderr
    assert "cli/run.py" not in done.stderr


def test_a_module_that_is_not_there(folder: Path) -> None:
    done = run("run", "-m", "no_module", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == "nnkit run: No module named no_module.\n"
    (folder / "program.py").write_text("import no_module")
    done = run("run", "-m", "program", cwd=folder)
    assert "program.py" in done.stderr
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "nowhere.py"], "there is no file 'nowhere.py'"),
        (["run"], "the following arguments are required: script"),
        (["sprint"], "invalid choice: 'sprint'"),
        ([], "the following arguments are required: command"),
    ],
)
def test_wrong_words(tmp_path: Path, words: list[str], said: str) -> None:
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_of_a_program_have_the_hook(folder: Path, method: str) -> None:
    (folder / "program.py").write_text(
        "import multiprocessing\n"
        "from tensorflow.keras.layers import Dense\n\n"
        "def work(units):\n    return Dense(units).units, Dense.__module__\n\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context({method!r}).Pool(1) as pool:\n"
        "        print(pool.map(work, [3]))\n"
    )
    done = run("run", "program.py", cwd=folder)
    assert done.stdout == "[(3, 'nnkit.layers.core')]\n", done.stderr
