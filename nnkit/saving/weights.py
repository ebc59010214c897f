"""Save and load the weights of a model; the ending of the file's name says in which format."""

from __future__ import annotations

import importlib
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

from nnkit.errors import ArgumentError, FileError, NotBuiltError
from nnkit.layer import Layer
from nnkit.layouts import SAME, Layout
from nnkit.saving.atomic import replacing
from nnkit.saving.checksum import checksum

__all__ = [
    "Place",
    "Stored",
    "compare",
    "fill",
    "load_weights",
    "read_state",
    "save_weights",
    "stored_weights",
]


class Place(NamedTuple):
    """Where one value of a file goes in the model.

    Args:
        group: what is loaded together or not at all: the weights of one layer.
        label: how messages call it, "kernel of 'dense'".
        value: the model's tensor; anything else that a torch module keeps has the shape ().
        layout: how the tensor lies in the file.
    """

    group: str
    label: str
    value: Any
    layout: Layout = SAME

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in the file."""
        return _shape(self.layout.to_keras(self.value)) if _is_tensor(self.value) else ()


class Stored(NamedTuple):
    """One value of a file: its shape, how to read it, and its size in bytes."""

    shape: tuple[int, ...]
    read: Callable[[], Any]
    size: int = 0


def _nothing(model: Layer, path: Path) -> None:
    """What most formats hold besides weights."""


class _Format(NamedTuple):
    """How a model is written, where its values lie in the file, and how a file is opened."""

    write: Callable[[Layer, Path], None]
    places: Callable[[Layer], dict[str, Place]]
    opened: Callable[[Path], AbstractContextManager[Mapping[str, Stored]]]
    advice: str
    also: Callable[[Layer, Path], None] = _nothing


def save_weights(model: Layer, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write all weights of a model to a file, whole or not at all.

    Args:
        model: a model or layer that has been built.
        filepath: ends in ".weights.h5" (Keras's own layout, which Keras loads too), ".h5" (the
            layout before Keras 3), ".pt" or ".pth" (the state_dict, for torch), or ".safetensors".
            Its folder must exist.
        overwrite: False refuses to replace a file.

    Raises: ArgumentError for another ending; NotBuiltError before there are weights;
        FileExistsError if overwrite is False; FileNotFoundError if there is no such folder.
    Source: keras.Model.save_weights
    """
    path, form = _path_and_format(filepath)
    _need_built(model, "save")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{str(path)!r} exists. Give overwrite=True to replace it, or another name."
        )
    with replacing(path) as part:
        form.write(model, part)


def load_weights(
    model: Layer,
    filepath: str | os.PathLike[str],
    skip_mismatch: bool = False,
    by_name: bool = False,
) -> None:
    """Fill a model with the weights of a file that `save_weights`, Keras or torch has written.

    Nothing is changed unless everything fits. The optimizer's state in a .weights.h5 is taken too
    if the model is compiled with such an optimizer, and left out with a warning otherwise.

    Args:
        model: a model or layer that has been built.
        filepath: ends as in `save_weights`.
        skip_mismatch: True loads every layer whose weights all fit, and warns about the others.
        by_name: True loads the layers that have the same name in the file, and leaves the others.

    Raises: FileError that lists all that is missing, unknown or of another shape, or for a damaged
        file; NotBuiltError before there are weights; FileNotFoundError if there is no such file.
    Source: keras.Model.load_weights
    """
    path, form = _path_and_format(filepath, True, by_name)
    _need_built(model, "load")
    # Opened here once, so that the system's own errors (no such file, no permission) come as they
    # are: what goes wrong later lies in the bytes.
    with open(path, "rb"):
        pass
    places = form.places(model)
    with form.opened(path) as found:
        if by_name:
            places, found = _common_layers(path, places, found)
        report, misfits = compare(places, found)
        problem = f"{str(path)!r} does not fit {model.label}:\n{report}\n"
        if misfits and not skip_mismatch:
            raise FileError(
                f"{problem}Nothing was loaded. {form.advice} skip_mismatch=True loads what fits."
            )
        # Read all before changing any: a file may be damaged at its end.
        values = {
            key: found[key].read() for key, place in places.items() if place.group not in misfits
        }
    if misfits:
        warnings.warn(f"{problem}All other layers were loaded.", stacklevel=3)
    fill(model, places, values)
    form.also(model, path)


def fill(model: Layer, places: Mapping[str, Place], values: Mapping[str, Any]) -> None:
    """Copy values into the places of the same keys."""
    other = {}
    with torch.no_grad():
        for key, value in values.items():
            place = places[key]
            if _is_tensor(place.value):
                place.value.copy_(place.layout.as_torch(value))
            else:
                other[key] = value
    if other:
        model.load_state_dict(other, strict=False)


def compare(places: Mapping[str, Place], found: Mapping[str, Stored]) -> tuple[str, set[str]]:
    """What does not fit, in words, and the groups it concerns."""
    missing, extra, other, groups = [], [], [], set()
    for key, place in places.items():
        if key not in found:
            missing.append(f"{key} ({place.label}) {place.shape}")
        elif found[key].shape != place.shape:
            other.append(
                f"{key} ({place.label}): {place.shape} in the model, {found[key].shape} in the file"
            )
        else:
            continue
        groups.add(place.group)
    for key in found:
        if key not in places:
            extra.append(f"{key} {found[key].shape}")
            groups.add(_group(key))
    kinds = {
        "missing in the file": missing,
        "not in the model": extra,
        "of another shape": other,
    }
    lines = [
        line
        for title, items in kinds.items()
        if items
        for line in (f"  {title} ({len(items)}):", *(f"    {item}" for item in items))
    ]
    return "\n".join(lines), groups


def _group(key: str) -> str:
    """The layer of a key: of "layers/dense/vars/0", "3/0" or "dense.weight"."""
    if "vars/" in key:
        return key.rpartition("/vars/")[0]
    return key.rpartition("/" if "/" in key else ".")[0]


def _common_layers(
    path: Path, places: Mapping[str, Place], found: Mapping[str, Stored]
) -> tuple[dict[str, Place], dict[str, Stored]]:
    """What belongs to layers that both sides have, told by the first part of each key."""

    def layer(key: str) -> str:
        return re.split("[./]", key, maxsplit=1)[0]

    common = {layer(key) for key in places} & {layer(key) for key in found}
    if not common:
        raise FileError(
            f"{str(path)!r} has no layer with a name of the model's. It has: "
            f"{', '.join(sorted({layer(key) for key in found})) or 'none'}."
        )
    return (
        {key: place for key, place in places.items() if layer(key) in common},
        {key: stored for key, stored in found.items() if layer(key) in common},
    )


# -- torch's formats -------------------------------------------------------------------------------


def _state_places(model: Layer) -> dict[str, Place]:
    return {
        key: Place(_group(key), key.rpartition(".")[2], value)
        for key, value in model.state_dict().items()
    }


def _write_pt(model: Layer, path: Path) -> None:
    # To a file, as torch would write the name of a path, which is a passing one, into the archive.
    with open(path, "wb") as file:
        torch.save(model.state_dict(), file)


@contextmanager
def _opened_pt(path: Path) -> Iterator[Mapping[str, Stored]]:
    yield _stored(path, lambda: _load_pt(path))


def _load_pt(path: Path) -> Any:
    # Torch writes its archives uncompressed and trusts the sizes in them.
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            declared = sum(member.file_size for member in archive.infolist())
        if declared > 2 * path.stat().st_size:
            raise FileError(f"it claims to hold {declared} bytes, more than there can be")
    return torch.load(path, map_location="cpu", weights_only=True)


def _write_safetensors(model: Layer, path: Path) -> None:
    # Copies, as the format takes neither two names for one memory nor other strides.
    state = {
        key: torch.empty(value.shape, dtype=value.dtype).copy_(value)
        for key, value in model.state_dict().items()
    }
    sums = json.dumps({key: _checksum(value) for key, value in state.items()})
    _safetensors().save_file(state, str(path), {"format": "pt", "checksums": sums})


@contextmanager
def _opened_safetensors(path: Path) -> Iterator[Mapping[str, Stored]]:
    package = _safetensors()
    yield _stored(path, lambda: _load_safetensors(package, path))


def _load_safetensors(package: Any, path: Path) -> dict[str, torch.Tensor]:
    with package.safe_open(str(path), "pt") as file:
        sums = json.loads((file.metadata() or {}).get("checksums", "{}"))
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no dict
    wrong = [key for key in state if key in sums and sums[key] != _checksum(state[key])]
    if wrong:
        raise FileError(f"the checksum of {wrong[0]!r} is another")
    return state


def _checksum(value: torch.Tensor) -> int:
    return checksum(value.reshape(-1).view(torch.uint8).numpy())


def _safetensors() -> ModuleType:
    try:
        return importlib.import_module("safetensors.torch")
    except ImportError as exc:
        raise ArgumentError(
            "A name that ends in '.safetensors' needs the package of that name: "
            "pip install safetensors. Or choose '.weights.h5' or '.pt'."
        ) from exc


def _stored(path: Path, load: Callable[[], Any]) -> dict[str, Stored]:
    try:
        state = load()
    except Exception as exc:  # bytes that are no such file can make a reader raise anything
        raise FileError(
            f"{str(path)!r} cannot be read as weights: it is damaged, or written by something "
            f"else ({_first_line(exc)})."
        ) from exc
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise FileError(
            f"{str(path)!r} holds a {type(state).__name__}, but a state_dict was expected: "
            f"names with tensors. Write it with save_weights() or torch.save(model.state_dict())."
        )
    return {
        key: Stored(_shape(value), partial(state.__getitem__, key)) for key, value in state.items()
    }


def stored_weights(filepath: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """The names and shapes in a file of weights, without a model.

    Raises: FileError when it is damaged or holds something else, FileNotFoundError.
    """
    path, form = _path_and_format(filepath, True)
    with open(path, "rb"):
        pass
    with form.opened(path) as found:
        return {key: stored.shape for key, stored in found.items()}


def read_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The contents of a file with a state_dict: .pt, .pth or .safetensors.

    Raises: FileError when it is damaged or holds something else, FileNotFoundError.
    """
    path, form = _path_and_format(path)
    if form not in (_PT, _SAFETENSORS):
        raise ArgumentError(f"A state_dict lies in a .pt, .pth or .safetensors, got {str(path)!r}.")
    with open(path, "rb"):
        pass
    with form.opened(path) as found:
        return {key: stored.read() for key, stored in found.items()}


# -- which format ----------------------------------------------------------------------------------


def _h5(path: Path, reading: bool, by_name: bool) -> _Format:
    # Loaded here by name, not at the top: h5py is slow to import, and most programs never save.
    module: Any = importlib.import_module("nnkit.saving.h5")
    old: Any = importlib.import_module("nnkit.saving.legacy_h5")
    if old.is_legacy(path) if reading else not path.name.endswith(".weights.h5"):
        module = old
    places, opened = module.places, module.opened
    if by_name:
        places, opened = module.places_by_name, module.opened_by_name
    whole: Any = importlib.import_module("nnkit.saving.whole")
    write, also = (old.write, _nothing) if module is old else (whole.write, whole.load_optimizer)
    return _Format(write, places, opened, "Load a file saved from the same layers.", also)


_STATE_ADVICE = (
    "A state_dict goes by layer names, which are counted until clear_session(): "
    "give the layers names, or use '.weights.h5', which goes by their order."
)
_PT = _Format(_write_pt, _state_places, _opened_pt, _STATE_ADVICE)
_SAFETENSORS = _Format(_write_safetensors, _state_places, _opened_safetensors, _STATE_ADVICE)
_FORMATS: dict[str, Callable[[Path, bool, bool], _Format]] = {
    ".weights.h5": _h5,
    ".h5": _h5,
    ".hdf5": _h5,
    ".pt": lambda *_: _PT,
    ".pth": lambda *_: _PT,
    ".safetensors": lambda *_: _SAFETENSORS,
}


def _path_and_format(
    filepath: str | os.PathLike[str], reading: bool = False, by_name: bool = False
) -> tuple[Path, _Format]:
    try:
        path = Path(filepath)
    except TypeError as exc:
        raise ArgumentError(f"A file's name must be a string or a path, got {filepath!r}.") from exc
    for ending, make in _FORMATS.items():
        if path.name.endswith(ending):
            if path.is_dir():
                raise ArgumentError(f"{str(path)!r} is a folder; give the name of a file.")
            return path, make(path, reading, by_name)
    raise ArgumentError(
        f"The name of a weights file must end in {', '.join(map(repr, _FORMATS))}; "
        f"got {str(path)!r}."
    )


def _need_built(model: Layer, what: str) -> None:
    if not model.built:
        raise NotBuiltError(
            f"{model.label} has no weights to {what} yet. Give it an Input(shape=...), "
            f"call build(input_shape), or call it once on data."
        )


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if _is_tensor(value) else ()


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]
