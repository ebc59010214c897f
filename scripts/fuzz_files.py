"""Open thousands of damaged and malicious files, and see that nothing happens but a clear error.

For every file: either it loads, or one of this package's errors says why not. Nothing else: no code
of the file runs, no other file or address is opened, memory stays below twice the file plus 256 MB,
and it takes less than a second.

    python scripts/fuzz_files.py [COUNT] [SEED] [KIND]

Prints how many files were opened, refused and loaded; a failure names its number, which with the
same seed and kind makes the same file again. The tests run a sample.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fuzz_changes import BLIND, H5, KERAS, LEGACY, ZIP, Change, canary, safetensors_header, trap

import nnkit
from nnkit import layers
from nnkit.errors import NnkitError

MARGIN = 256 * 2**20
SECONDS = 1.0


class Kind(NamedTuple):
    """Files of one format: what it is called, its name's ending, a sound one, how it is opened,
    and changes that know the format.
    """

    name: str
    ending: str
    sound: bytes
    load: Callable[[Path], Any]
    changes: list[Change]


class Outcome(NamedTuple):
    """What opening a file came to: "loaded", "refused", or what went wrong."""

    word: str
    detail: str = ""


# -- the formats -----------------------------------------------------------------------------------


def model() -> nnkit.Sequential:
    nnkit.config.clear_session()
    made = nnkit.Sequential(
        [
            nnkit.Input((6, 6, 1)),
            layers.Conv2D(2, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="dense"),
        ]
    )
    made.compile("adam", "mse")
    return made


def kinds() -> list[Kind]:
    """All formats, each with a sound file to begin from."""
    made = model()
    folder = Path(tempfile.mkdtemp())
    found = []
    for ending, changes in (
        (".weights.h5", H5),
        (".h5", H5),
        (".pt", ZIP),
        (".safetensors", [safetensors_header]),
    ):
        path = folder / f"m{ending}"
        made.save_weights(path)
        found.append(Kind(ending, ending, unsealed(path), made.load_weights, changes))
    by_name = partial(made.load_weights, by_name=True)
    found.append(found[0]._replace(name="by name", load=by_name))
    made.fit(np.zeros((2, 6, 6, 1)), np.zeros((2, 3)), verbose=0)
    for name, ending, changes in ((".keras", ".keras", KERAS), ("model.h5", ".h5", LEGACY)):
        path = folder / f"whole{ending}"
        made.save(path)
        found.append(Kind(name, ending, unsealed(path), open_model, changes))
    return found


def unsealed(path: Path) -> bytes:
    """A file's bytes, of HDF5 without the seal, which tells of any change, and few others have."""
    data = path.read_bytes()
    return data[:-16] if data[-16:].startswith(b"nnkitsm2") else data


def open_model(path: Path) -> None:
    """A whole model; names are counted anew, as each would be another one's."""
    nnkit.config.clear_session()
    nnkit.models.load_model(path)


# -- opening, watched ------------------------------------------------------------------------------

_state: dict[str, Any] = {}


INTERPRETER = (sys.prefix, sys.base_prefix, str(Path(nnkit.__file__).parent))
WATCHED = ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system",
           "os.mkdir", "os.remove", "os.rename", "os.exec", "os.posix_spawn", "os.fork",
           "ctypes.dlopen")  # fmt: skip


CANARY_MODULE = """
import os
os.mkdir({path!r})
class Layer: ...
"""


def watch() -> None:
    """Note what the interpreter is asked to do while a file is opened."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if _state.get("path") is not None and event in WATCHED:
            opened = str(args[0]) if event == "open" else ""
            # Python may import a codec on the way, or look for the source line of a warning.
            allowed = opened == str(_state["path"]) or opened.startswith(INTERPRETER)
            if not allowed:
                _state["events"].append(f"{event} {args[0]!r}")

    sys.addaudithook(hook)


def memory(field: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def open_one(kind: Kind, path: Path) -> Outcome:
    """Open one file and judge what happened."""
    size = path.stat().st_size
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is counted from here
    before = memory("VmRSS")
    _state["events"] = []
    _state["path"] = path
    start = time.process_time()  # of this process alone: the machine may be busy
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.load(path)
        word, detail = "loaded", ""
    except NnkitError as exc:
        word, detail = "refused", str(exc)
    except Exception as exc:
        word = f"{type(exc).__name__} is no error of the package"
        detail = traceback.format_exc()
    finally:
        _state["path"] = None
    took = time.process_time() - start
    grown = memory("VmHWM") - before
    if _state["events"]:
        return Outcome("it did something else", ", ".join(_state["events"][:5]))
    if canary().exists():
        canary().rmdir()
        return Outcome("code of the file ran")
    if took > SECONDS:
        return Outcome(f"it took {took:.1f} s", detail)
    if grown > 2 * size + MARGIN:
        return Outcome(f"it took {grown / 2**20:.0f} MB for {size / 2**20:.1f}", detail)
    return Outcome(word, detail)


def make(kind: Kind, number: int, seed: int) -> bytes:
    """The file with this number."""
    draw = random.Random(f"{seed} {number}")
    changes = kind.changes if draw.random() < 0.4 else BLIND
    return draw.choice(changes)(kind.sound, draw)


Found = tuple[Counter[str], list[str]]


def run(numbers: range, seed: int, only: str | None, folder: Path) -> Found:
    """Open files by their numbers in this process; how often what happened, what must not."""
    every = [kind for kind in kinds() if only in (None, kind.name)]
    canary(), trap()
    # A module that can be imported, and says so if a file has it imported.
    (folder / "fuzz_canary.py").write_text(CANARY_MODULE.format(path=str(canary())))
    sys.path.append(str(folder))
    for kind in every:  # so that all is imported before the watch begins
        path = folder / f"sound{kind.ending}"
        path.write_bytes(kind.sound)
        kind.load(path)
        path.write_bytes(kind.sound[: len(kind.sound) // 2])
        open_one(kind, path)
        path.unlink()
    watch()
    seen: Counter[str] = Counter()
    wrong = []
    for number in numbers:
        kind = every[number % len(every)]
        path = folder / f"{number}{kind.ending}"
        path.write_bytes(make(kind, number, seed))
        outcome = open_one(kind, path)
        seen[f"{kind.name}: {outcome.word}"] += 1
        if outcome.word not in ("loaded", "refused"):
            wrong.append(f"file {number} ({kind.name}): {outcome.word}\n{outcome.detail}")
        path.unlink()
    return seen, wrong


def in_a_child(numbers: range, seed: int, only: str | None) -> tuple[Found, int]:
    """As `run`, in another process, so that a crash shows too; and the number to go on with."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcome = folder / "outcome.json"
        child = os.fork()
        if child == 0:
            try:
                outcome.write_text(json.dumps(run(numbers, seed, only, folder)))
            finally:
                os._exit(0 if outcome.exists() else 1)
        status = os.waitpid(child, 0)[1]
        if status == 0:
            seen, wrong = json.loads(outcome.read_text())
            return (Counter(seen), wrong), numbers.stop
        begun = [int(path.name.partition(".")[0]) for path in folder.glob("[0-9]*")]
        number = begun[0] if begun else numbers.start
        return (Counter(), [f"file {number}: the process ended with status {status}"]), number + 1


SLICE = 5_000


def main() -> None:
    """All files, slice by slice."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    only = sys.argv[3] if len(sys.argv) > 3 else None
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    first = 0
    while first < count:
        numbers = range(first, min(first + SLICE, count))
        (more, failed), first = in_a_child(numbers, seed, only)
        seen += more
        wrong += failed
        print(f"{first} of {count}, {len(wrong)} wrong", file=sys.stderr, flush=True)
    for word, times in sorted(seen.items()):
        print(f"{times:8}  {word}")
    for line in wrong[:20]:
        print(line)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
