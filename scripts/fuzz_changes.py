"""Ways to damage a file, or to put something evil into it, for `fuzz_files.py`.

A change takes a sound file's bytes and a source of random numbers, and gives other bytes.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import pickle
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Change = Callable[[bytes, random.Random], bytes]

_made: dict[str, Path] = {}


def trap() -> Path:
    """A named pipe: whoever opens it waits for ever."""
    if "trap" not in _made:
        _made["trap"] = Path(tempfile.mkdtemp()) / "trap"
        os.mkfifo(_made["trap"])
    return _made["trap"]


def canary() -> Path:
    """A folder that only the code in a file would make."""
    if "canary" not in _made:
        _made["canary"] = Path(tempfile.mkdtemp()) / "canary"
    return _made["canary"]


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
