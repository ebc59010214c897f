"""Open thousands of damaged and malicious files, and see that nothing happens but a clear error.

For every file: either it loads, or one of this package's errors says why not. Nothing else: no code
of the file runs, no other file or address is opened, memory stays below twice the file plus 256 MB,
and it takes less than a second.

    python scripts/fuzz_files.py [COUNT] [SEED] [KIND]

Prints how many files were opened, refused and loaded; a failure names its number, which with the
same seed and kind makes the same file again. The tests run a sample.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import pickle
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch

import nnkit
from nnkit import layers
from nnkit.errors import NnkitError

MARGIN = 256 * 2**20
SECONDS = 1.0
Change = Callable[[bytes, random.Random], bytes]


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


# -- changes that know no format -------------------------------------------------------------------


def flip_bits(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 8, 64])):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def truncate(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


def overwrite(data: bytes, draw: random.Random) -> bytes:
    at, size = draw.randrange(len(data)), draw.choice([4, 8, 64, 512])
    filler = draw.choice([b"\0" * size, b"\xff" * size, draw.randbytes(size)])
    return data[:at] + filler + data[at + size :]


def change_number(data: bytes, draw: random.Random) -> bytes:
    """Sizes and offsets are little-endian numbers: put an extreme one somewhere."""
    value = draw.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, len(data), len(data) * 2])
    at = draw.randrange(max(len(data) - 8, 1))
    form = draw.choice(["<I", "<Q"])
    number = struct.pack(form, value % 2 ** (8 * struct.calcsize(form)))
    return data[:at] + number + data[at + len(number) :]


def insert(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + draw.randbytes(draw.choice([1, 16, 1024])) + data[at:]


def repeat_part(data: bytes, draw: random.Random) -> bytes:
    start, target = draw.randrange(len(data)), draw.randrange(len(data))
    part = data[start : start + draw.choice([16, 256, 4096])]
    return data[:target] + part + data[target + len(part) :]


BLIND: list[Change] = [
    flip_bits,
    flip_bits,
    truncate,
    overwrite,
    change_number,
    insert,
    repeat_part,
]


# -- HDF5 ------------------------------------------------------------------------------------------


def in_h5(data: bytes, change: Callable[[Any, str], None], draw: random.Random) -> bytes:
    """Change one dataset of a file through h5py itself."""
    handle, name = tempfile.mkstemp(suffix=".h5")
    os.close(handle)
    path = Path(name)
    try:
        path.write_bytes(data)
        with h5py.File(path, "r+") as file:
            found: list[str] = []
            file.visititems(
                lambda key, item: found.append(key) if isinstance(item, h5py.Dataset) else None
            )
            change(file, draw.choice(found))
        return path.read_bytes()
    finally:
        path.unlink()


def h5_change(change: Callable[[Any, str, random.Random], None]) -> Change:
    return lambda data, draw: in_h5(data, lambda file, key: change(file, key, draw), draw)


def other_shape(file: Any, key: str, draw: random.Random) -> None:
    shape = draw.choice([(), (0,), (1,), (3, 3, 3), (7, 1), (10**5,)])
    del file[key]
    file.create_dataset(key, data=np.zeros(shape, "float32"))


def other_dtype(file: Any, key: str, draw: random.Random) -> None:
    shape = file[key].shape
    del file[key]
    kind = draw.choice(["int8", "float64", "complex64", "S7", "text", "pair", "ref"])
    if kind == "text":
        file.create_dataset(key, shape, dtype=h5py.string_dtype())
    elif kind == "pair":
        file.create_dataset(key, shape, dtype=[("a", "f4"), ("b", "i8")])
    elif kind == "ref":
        file.create_dataset(key, shape, dtype=h5py.ref_dtype)
    else:
        file.create_dataset(key, shape, dtype=kind)


def bomb(file: Any, key: str, draw: random.Random) -> None:
    """Terabytes that take no room in the file."""
    del file[key]
    size = draw.choice([10**9, 10**12, 2**40])
    file.create_dataset(
        key, (size,), dtype="float32", chunks=(2**16,), compression=draw.choice([None, "gzip"])
    )


def link(file: Any, key: str, draw: random.Random) -> None:
    """Links to nowhere, in circles, and to a file outside, whose opening would block for ever."""
    shape = file[key].shape
    outside = str(trap())
    del file[key]
    which = draw.randrange(5)
    if which == 0:
        file[key] = h5py.SoftLink(draw.choice([f"/{key}", "/", "/nowhere", "/layers"]))
    elif which == 1:
        file[key] = h5py.ExternalLink(outside, "/data")
    elif which == 2:
        layout = h5py.VirtualLayout(shape, "float32")
        layout[...] = h5py.VirtualSource(outside, "data", shape)
        file.create_virtual_dataset(key, layout)
    elif which == 3:
        file.create_dataset(key, shape, "float32", external=[(outside, 0, h5py.h5f.UNLIMITED)])
    else:
        file[key] = file["/"]  # a circle of hard links


def group_link(file: Any, key: str, draw: random.Random) -> None:
    """As `link`, where a group is expected."""
    outside = str(trap())
    parts = key.split("/")[:-1] or [key]
    group = "/".join(parts[: draw.randint(1, len(parts))])
    del file[group]
    targets = [h5py.ExternalLink(outside, "/"), h5py.SoftLink("/"), file["/"]]
    file[group] = draw.choice(targets)


def many_groups(file: Any, key: str, draw: random.Random) -> None:
    group = file
    for number in range(draw.choice([50, 500])):
        group = group.create_group(f"g{number}")


def attributes(file: Any, key: str, draw: random.Random) -> None:
    owner = draw.choice([file, file[key], file[key].parent])
    name = draw.choice(["dtype", "name", "layer_names", "weight_names", "model_config", "crc32"])
    value = draw.choice(["bfloat16", b"\xff\xfe", 7, [b"a", b"../b"], "{" * 1000, "x" * 60000])
    owner.attrs[name] = value


H5: list[Change] = [
    h5_change(c)
    for c in (other_shape, other_dtype, bomb, link, link, group_link, many_groups, attributes)
]


# -- zip and pickle --------------------------------------------------------------------------------


def in_zip(change: Callable[[dict[str, bytes], random.Random], dict[str, bytes]]) -> Change:
    def run(data: bytes, draw: random.Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as old:
            members = {name: old.read(name) for name in old.namelist()}
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
            for name, content in change(members, draw).items():
                new.writestr(name, content)
        return target.getvalue()

    return run


def other_members(members: dict[str, bytes], draw: random.Random) -> dict[str, bytes]:
    name = draw.choice(list(members))
    what = draw.randrange(4)
    if what == 0:
        del members[name]
    elif what == 1:
        members[draw.choice(["../escape", "/etc/passwd", "a\\..\\b", "x" * 300])] = b"here"
    elif what == 2:
        members[name] = b""
    else:
        members[name] = b"\0" * draw.choice([10**3, 3 * 10**8])  # the last one is a bomb
    return members


class Payload:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, (str(canary()),)


def pickled(members: dict[str, bytes], draw: random.Random) -> dict[str, bytes]:
    name = next((n for n in members if n.endswith("data.pkl")), next(iter(members)))
    members[name] = pickle.dumps(draw.choice([Payload(), {"weight": Payload()}, [Payload()]]))
    return members


def bare_pickle(data: bytes, draw: random.Random) -> bytes:
    return pickle.dumps(Payload(), protocol=draw.choice([0, 2, 4]))


ZIP: list[Change] = [in_zip(other_members), in_zip(pickled), bare_pickle]


# -- safetensors -----------------------------------------------------------------------------------


def safetensors_header(data: bytes, draw: random.Random) -> bytes:
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    key = draw.choice([k for k in header if k != "__metadata__"])
    field = draw.choice(["shape", "data_offsets", "dtype", None])
    if field is None:
        del header[key]
    else:
        header[key][field] = draw.choice([[-1], [0, 2**62], [2**31, 2**31], "F99", [], None, "F64"])
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


# -- archives of whole models ----------------------------------------------------------------------


def in_config(change: Callable[[Any, random.Random], Any]) -> Change:
    """Change the config in an archive, as JSON."""

    def run(data: bytes, draw: random.Random) -> bytes:
        def members(found: dict[str, bytes], draw: random.Random) -> dict[str, bytes]:
            text = change(json.loads(found["config.json"]), draw)
            found["config.json"] = (text if isinstance(text, str) else json.dumps(text)).encode()
            return found

        return in_zip(members)(data, draw)

    return run


def nodes(tree: Any) -> list[dict[str, Any]]:
    """All dicts in a nesting."""
    if isinstance(tree, dict):
        return [tree, *(node for value in tree.values() for node in nodes(value))]
    return [node for value in tree for node in nodes(value)] if isinstance(tree, list) else []


NAMES = [
    ("os", "system"), ("builtins", "eval"), ("builtins", "exec"), ("subprocess", "Popen"),
    ("posix", "system"), ("torch", "load"), ("torch.hub", "load"), ("nnkit.utils", "get_file"),
    ("keras.utils", "get_file"), ("keras.saving", "load_model"), ("nnkit.models", "load_model"),
    ("keras.layers", "TFSMLayer"), ("importlib", "import_module"), ("fuzz_canary", "Layer"),
    ("keras.src.models", "load_model"), ("keras", "__builtins__"), ("keras.ops", "save"),
]  # fmt: skip


def name_code(config: Any, draw: random.Random) -> Any:
    """A class or function that a model has no business with, given something to do."""
    node = draw.choice([node for node in nodes(config) if "class_name" in node])
    module, name = draw.choice(NAMES)
    command = f"mkdir {canary()}"
    node.update(module=module, class_name=draw.choice([name, f"{module}.{name}", "function"]))
    node["registered_name"] = draw.choice([None, name, f"{module}>{name}"])
    node["config"] = draw.choice([command, {"command": command}, {"args": [command]}, name])
    return config


def lambda_layer(config: Any, draw: random.Random) -> Any:
    """Bytecode, as Keras keeps it for a Lambda."""
    code = compile(f"import os; os.mkdir({str(canary())!r})", "x", "exec")
    raw = base64.b64encode(marshal.dumps(code)).decode()
    body = {"class_name": "__lambda__", "config": {"code": raw, "defaults": None, "closure": None}}
    node = draw.choice([node for node in nodes(config) if node.get("class_name") == "Dense"])
    if draw.random() < 0.5:
        node.update(class_name="Lambda", config={"name": "l", "function": body})
    else:
        node["config"]["activation"] = draw.choice([body, [raw, None, None]])
    return config


def extreme_numbers(config: Any, draw: random.Random) -> Any:
    node = draw.choice([node for node in nodes(config) if node])
    key = draw.choice(list(node))
    huge = [10**4, 10**7, 10**12, -1, 0, 1e300, "x" * 10**6, None, [], [10**6] * 4, True, {}]
    node[key] = draw.choice(huge)
    return config


def more_layers(config: Any, draw: random.Random) -> Any:
    """Far more, or far wider, layers than there are weights for."""
    layers_of = config["config"]["layers"]
    if draw.random() < 0.5:
        for node in nodes(config):
            if "units" in node:
                node["units"] = draw.choice([10**4, 10**5, 10**8])
    else:
        config["config"]["layers"] = layers_of + layers_of[-1:] * draw.choice([2, 200])
    return config


def deep(config: Any, draw: random.Random) -> Any:
    depth = draw.choice([100, 5_000, 100_000])
    opening, closing = draw.choice([("[", "]"), ('{"a":', "}"), ('{"config":{"layers":[', "]}}")])
    return opening * depth + "1" + closing * depth


def spliced_lists(config: Any, draw: random.Random) -> Any:
    node = draw.choice([node for node in nodes(config) if node])
    other = json.loads(json.dumps(draw.choice(nodes(config))))
    node[draw.choice(list(node))] = draw.choice([other, [other], json.dumps(other)[:50]])
    return config


IN_CONFIG = (name_code, name_code, lambda_layer, extreme_numbers, more_layers, deep, spliced_lists)
KERAS: list[Change] = [
    *map(in_config, IN_CONFIG),
    in_zip(other_members),
    in_zip(lambda members, draw: {
        name: in_h5(data, lambda f, k: draw.choice(IN_ARCHIVE)(f, k, draw), draw)
        if name.endswith(".h5") else data
        for name, data in members.items()
    }),
]  # fmt: skip
IN_ARCHIVE = (other_shape, other_dtype, bomb, link, group_link, many_groups, attributes)


def in_h5_config(change: Callable[[Any, random.Random], Any]) -> Change:
    """Change the config in the file of a whole model from before Keras 3."""

    def run(data: bytes, draw: random.Random) -> bytes:
        def rewrite(file: Any, key: str) -> None:
            name = draw.choice(["model_config", "model_config", "model_config", "training_config"])
            tree = json.loads(file.attrs[name])
            try:
                text = change(tree, draw)
            except (IndexError, KeyError):  # a change that knows models only
                text = "{}"
            text = text if isinstance(text, str) else json.dumps(text)
            file.attrs[name] = text.encode()[: 2**15] if draw.random() < 0.5 else text

        return in_h5(data, rewrite, draw)

    return run


LEGACY: list[Change] = [*H5, *map(in_h5_config, IN_CONFIG)]


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
    return data[:-16] if data[-16:].startswith(b"nnkitsum") else data


def open_model(path: Path) -> None:
    """A whole model; names are counted anew, as each would be another one's."""
    nnkit.config.clear_session()
    nnkit.models.load_model(path)


# -- opening, watched ------------------------------------------------------------------------------

_state: dict[str, Any] = {}


def trap() -> Path:
    """A named pipe: whoever opens it waits for ever."""
    if "trap" not in _state:
        _state["trap"] = Path(tempfile.mkdtemp()) / "trap"
        os.mkfifo(_state["trap"])
    return _state["trap"]


def canary() -> Path:
    """A folder that only the code in a file would make."""
    if "canary" not in _state:
        _state["canary"] = Path(tempfile.mkdtemp()) / "canary"
    return _state["canary"]


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


def run(count: int, seed: int, only: str | None = None) -> tuple[Counter[str], list[str]]:
    """Open `count` files in this process; how often what happened, and what must not."""
    every = [kind for kind in kinds() if only in (None, kind.name)]
    canary(), trap()
    folder = Path(tempfile.mkdtemp())
    # A module that can be imported, and says so if a file has it imported.
    (folder / "fuzz_canary.py").write_text(CANARY_MODULE.format(path=str(canary())))
    sys.path.append(str(folder))
    for kind in every:  # so that all is imported before the watch begins
        path = folder / f"sound{kind.ending}"
        path.write_bytes(kind.sound)
        kind.load(path)
        path.write_bytes(kind.sound[: len(kind.sound) // 2])
        open_one(kind, path)
    watch()
    seen: Counter[str] = Counter()
    wrong = []
    for number in range(count):
        kind = every[number % len(every)]
        path = folder / f"{number}{kind.ending}"
        path.write_bytes(make(kind, number, seed))
        outcome = open_one(kind, path)
        seen[f"{kind.name}: {outcome.word}"] += 1
        if outcome.word not in ("loaded", "refused"):
            wrong.append(f"file {number} ({kind.name}): {outcome.word}\n{outcome.detail}")
        path.unlink()
    return seen, wrong


def main() -> None:
    """Run in a child, so that a crash or a file that blocks for ever shows too."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seen, wrong = run(count, seed, sys.argv[3] if len(sys.argv) > 3 else None)
    for word, times in sorted(seen.items()):
        print(f"{times:8}  {word}")
    for line in wrong[:20]:
        print(line)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
