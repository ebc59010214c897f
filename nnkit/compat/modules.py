"""The modules that stand in for Keras's: each looks its names up in modules of nnkit."""

from __future__ import annotations

import difflib
import importlib
import sys
from types import ModuleType
from typing import Any

from nnkit.compat import names, tensorflow
from nnkit.errors import MissingImportError, MissingNameError
from nnkit.legacy import warn_once

__all__ = ["ROOTS", "KerasModule", "make_module"]

ROOTS = ("keras", "tf_keras", "tensorflow", "keras_preprocessing")

# Where Keras is found, the longest of two that begin alike first.
_PREFIXES = (
    "tensorflow.python.keras", "tensorflow.contrib.keras", "tensorflow.keras",
    "keras.api._v1.keras", "keras.api._v2.keras", "keras.api", "keras._tf_keras.keras",
    "tf_keras", "keras",
)  # fmt: skip


class KerasModule(ModuleType):
    """A module under Keras's name whose attributes are those of modules of nnkit.

    Args:
        name: the name it is imported by, "tensorflow.keras.layers".
        path: the same within Keras, "layers"; "" for Keras itself.
        sources: the modules of nnkit to look in, the first that has a name wins.
        extra: names that live elsewhere, and why others are gone, see `names.MOVED`.
    """

    def __init__(
        self, name: str, path: str, sources: list[ModuleType], extra: dict[str, Any]
    ) -> None:
        super().__init__(name, f"{name}, served by nnkit.")
        self.__path__: list[str] = []
        self._path = path
        self._sources = sources
        self._extra = extra
        if path in names.VERSIONS:
            self.__version__ = names.VERSIONS[path]
        self.__all__ = [each for each in self._names() if not each.startswith("_")]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)
        if name in self._extra:
            found = self._extra[name]
            if isinstance(found, names.Gone):
                raise MissingNameError(
                    f"{self.__name__}.{name} is not in nnkit. {found.advice}", name=name, obj=self
                )
            return found() if isinstance(found, names.At) else found
        for source in self._sources:
            found = getattr(source, name, self)
            if isinstance(found, ModuleType) and found is not self:
                if found.__name__.startswith("nnkit."):
                    break  # its place in Keras is found by its name, below
                continue  # a module of Python that the source happens to use
            if found is not self:
                return found
        try:
            return importlib.import_module(f"{self.__name__}.{name}")
        except MissingImportError as error:
            raise MissingNameError(str(error), name=name, obj=self) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._names()})

    def _names(self) -> set[str]:
        listed = {name for source in self._sources for name in getattr(source, "__all__", ())}
        return listed | {name for name, at in self._extra.items() if names.is_current(at)}


def make_module(fullname: str) -> KerasModule:
    """A new module for an import of this name.

    Raises: MissingImportError with the nearest name there is.
    """
    if any(prefix.startswith(f"{fullname}.") for prefix in _PREFIXES) and "." in fullname:
        return KerasModule(fullname, fullname, [], {})  # on the way to Keras, and no more
    written = _within_keras(fullname)
    if written is None:
        return _of_tensorflow(fullname)
    path = names.old_path(written)
    extra = names.moved(path)
    if path in names.GONE_MODULES:
        raise _missing(fullname, names.GONE_MODULES[path])
    sources = [
        found
        for each in names.JOINED.get(path, (path,))
        if (found := _source(f"nnkit.{each}".rstrip("."))) is not None
    ]
    if not sources:
        raise _missing(fullname, _nearest(fullname, names.PAGE))
    if path != written:
        warn_once(f"keras.{written}", f"import from keras.{path}.", 3)
    return KerasModule(fullname, path, sources, extra)


def _within_keras(fullname: str) -> str | None:
    """The path below Keras; None for a name of TensorFlow's own."""
    head, _, rest = fullname.partition(".")
    if head == "keras_preprocessing":
        return f"preprocessing.{rest}".rstrip(".")
    for prefix in _PREFIXES:
        if fullname == prefix or fullname.startswith(f"{prefix}."):
            return fullname[len(prefix) + 1 :]
    return None


def _source(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            return None
        raise


def _of_tensorflow(fullname: str) -> KerasModule:
    path = fullname.partition(".")[2]
    extra = tensorflow.members(path)
    if path and not extra:
        raise _missing(fullname, _nearest(fullname, names.TENSORFLOW))
    return KerasModule(fullname, f"tensorflow.{path}".rstrip("."), [], extra)


def _missing(fullname: str, advice: str) -> MissingImportError:
    parent, _, name = fullname.rpartition(".")
    where = f"{parent} has no {name!r}" if parent else f"No {name!r}"
    return MissingImportError(f"{where} in nnkit. {advice}")


def _nearest(fullname: str, otherwise: str) -> str:
    """What to say of a name that is nowhere: the names it may have been meant for, if any."""
    parent, _, name = fullname.rpartition(".")
    module = sys.modules.get(parent)
    if not isinstance(module, KerasModule):
        return otherwise
    advice = module._extra.get(name)
    if isinstance(advice, names.Gone):
        return advice.advice
    known = module._names() - {name}  # a function may have the name that was taken for a module's
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.7)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    elsewhere = names.search(name)
    if elsewhere:
        return f"There is {' and '.join(elsewhere)}."
    return otherwise
