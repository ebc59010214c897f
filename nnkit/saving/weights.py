"""Save and load the weights of a model; the ending of the file's name says in which format."""

from __future__ import annotations

import importlib
import os
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from nnkit.arguments import path_text
from nnkit.errors import ArgumentError, FileError, NotBuiltError
from nnkit.layer import Layer
from nnkit.saving import torch_state
from nnkit.saving.atomic import replacing
from nnkit.saving.own_parts import apart, give_arrays
from nnkit.saving.places import Contents, Place, Stored, compare, fill

__all__ = ["load_weights", "read_state", "save_weights", "stored_weights"]


def _nothing(model: Layer, found: Mapping[str, Stored]) -> None:
    """What most formats hold besides weights."""


def _unmoved(
    model: Layer, places: dict[str, Place], found: Mapping[str, Stored]
) -> dict[str, Place]:
    """Where most formats have their values: in one place each."""
    return places


def _none(model: Layer) -> dict[str, Layer]:
    """The layers that read a format in their own way: in most of them, none."""
    return {}


class _Format(NamedTuple):
    """How a model is written, where its values lie in the file, and how a file is opened."""

    write: Callable[[Layer, Path], None]
    places: Callable[[Layer], dict[str, Place]]
    opened: Callable[[Path], AbstractContextManager[Contents]]
    advice: str
    load_optimizer: Callable[[Layer, Mapping[str, Stored]], None] = _nothing
    own_groups: Callable[[Layer], dict[str, Layer]] = _none
    moved: Callable[[Layer, dict[str, Place], Mapping[str, Stored]], dict[str, Place]] = _unmoved


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
        filepath: ends as in `save_weights`, or in ".keras": a whole model, of which the weights
            are taken.
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
    with form.opened(path) as contents:
        groups = form.own_groups(model)
        found: Mapping[str, Stored]
        found, kept = apart(contents.weights, groups)
        if by_name:
            places, found = _common_layers(path, places, found)
        if not places.keys() <= found.keys():
            places = form.moved(model, places, found)
        report, misfits = compare(places, found)
        problem = f"{str(path)!r} does not fit {model.label}:\n{report}\n"
        if misfits and not skip_mismatch:
            raise FileError(
                f"{problem}Nothing was loaded. {form.advice} skip_mismatch=True loads what fits."
            )
        places = {key: place for key, place in places.items() if place.group not in misfits}
        for key in places:  # before any is changed
            found[key].check()
        if misfits:
            warnings.warn(f"{problem}All other layers were loaded.", stacklevel=3)
        fill(model, places, found)
        give_arrays(groups, kept)
        form.load_optimizer(model, contents.optimizer)


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


def stored_weights(filepath: str | os.PathLike[str]) -> dict[str, tuple[int, ...]]:
    """The names and shapes in a file of weights, without a model.

    Raises: FileError when it is damaged or holds something else, FileNotFoundError.
    """
    path, form = _path_and_format(filepath, True)
    with open(path, "rb"):
        pass
    with form.opened(path) as found:
        return {key: stored.shape for key, stored in found.weights.items()}


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
        return {key: stored.read() for key, stored in found.weights.items()}


# -- which format ----------------------------------------------------------------------------------


def _h5(path: Path, reading: bool, by_name: bool) -> _Format:
    # Loaded here by name, not at the top: h5py is slow to import, and most programs never save.
    module: Any = importlib.import_module("nnkit.saving.keras_weights")
    old: Any = importlib.import_module("nnkit.saving.legacy_weights")
    if old.is_legacy(path) if reading else not path.name.endswith(".weights.h5"):
        module = old
    places, opened = module.places, module.opened
    if by_name:
        places, opened = module.places_by_name, module.opened_by_name
    parts: Any = importlib.import_module("nnkit.saving.model_parts")
    advice = "Load a file saved from the same layers."
    if module is old:
        return _Format(old.write, places, opened, advice)
    if by_name:
        return _Format(parts.write, places, opened, advice, parts.load_optimizer)
    return _Format(
        parts.write, places, opened, advice, parts.load_optimizer, module.own_groups,
        module.places_in_list,
    )  # fmt: skip


_STATE_ADVICE = (
    "A state_dict goes by layer names, which are counted until clear_session(): "
    "give the layers names, or use '.weights.h5', which goes by their order."
)
_PT = _Format(torch_state.write_pt, torch_state.places, torch_state.opened_pt, _STATE_ADVICE)
_SAFETENSORS = _Format(
    torch_state.write_safetensors, torch_state.places, torch_state.opened_safetensors, _STATE_ADVICE
)


def _archive(path: Path, reading: bool, by_name: bool) -> _Format:
    weights: Any = importlib.import_module("nnkit.saving.keras_weights")
    archive: Any = importlib.import_module("nnkit.saving.archive")
    form = _h5(path.with_suffix(".weights.h5"), False, by_name)
    inner = weights.opened_by_name if by_name else weights.opened
    return form._replace(opened=lambda path: archive.opened_weights(path, inner))


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
    path = Path(path_text("A file of weights", "filepath", filepath))
    formats = {**_FORMATS, ".keras": _archive} if reading else _FORMATS
    for ending, make in formats.items():
        if path.name.endswith(ending):
            if path.is_dir():
                raise ArgumentError(f"{str(path)!r} is a folder; give the name of a file.")
            return path, make(path, reading, by_name)
    raise ArgumentError(
        f"The name of a weights file must end in {', '.join(map(repr, formats))}; "
        f"got {str(path)!r}."
    )


def _need_built(model: Layer, what: str) -> None:
    if not model.built:
        raise NotBuiltError(
            f"{model.label} has no weights to {what} yet. Give it an Input(shape=...), "
            f"call build(input_shape), or call it once on data."
        )
