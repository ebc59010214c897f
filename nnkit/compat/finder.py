"""The import hook: finds `keras`, `tf_keras` and `tensorflow` before Python looks on the disk."""

from __future__ import annotations

import copyreg
import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import torch

from nnkit.compat.modules import ROOTS, KerasModule, make_module
from nnkit.errors import ArgumentError

__all__ = ["install_as_keras", "module_named", "uninstall_as_keras"]

# What stood in sys.modules before, by name, and comes back when the hook goes.
_set_aside: dict[str, ModuleType] = {}


class _Finder(MetaPathFinder):
    """Finds the roots and everything below them; leaves every other name to Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in ROOTS:
            return None
        # Made here, so that what is missing is an error at once and not a spec that leads nowhere.
        module = make_module(fullname)
        # Without an origin: torch.compile leaves alone what lies where `tensorflow` comes from.
        return ModuleSpec(fullname, _Loader(module), is_package=True)


class _Loader(Loader):
    """Hands over a module that is complete already."""

    def __init__(self, module: KerasModule) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do."""


_FINDER = _Finder()


def install_as_keras(replace: bool = False) -> None:
    """Serve `keras`, `tf_keras` and `tensorflow.keras` imports of this process from nnkit.

    Call it before the first of them. Calling it again changes nothing.

    Args:
        replace: take the place of a Keras or TensorFlow that was imported already. Modules that
            hold its objects keep them; only imports from now on come from nnkit.

    Raises: ArgumentError when another Keras or TensorFlow is imported already and `replace` is not
        set; nothing is changed then.

    Example:
        nnkit.install_as_keras()
        from keras.layers import Dense
    """
    others = dict(_imported())
    if others and not replace:
        raise ArgumentError(
            f"{next(iter(others))!r} is imported already, and not from nnkit. Call "
            f"install_as_keras() before that import, or install_as_keras(replace=True)."
        )
    for name in others:
        _set_aside[name] = sys.modules.pop(name)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
        torch.Tensor.numpy = _numpy  # type: ignore[assignment, method-assign]


def uninstall_as_keras() -> None:
    """Take the hook out again; a Keras that was set aside comes back."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
        del torch.Tensor.numpy  # that of torch is inherited
    for name, module in list(sys.modules.items()):
        if isinstance(module, KerasModule):
            del sys.modules[name]
    sys.modules.update(_set_aside)
    _set_aside.clear()


def module_named(name: str) -> ModuleType:
    """The module of this name, with the hook in place: what a pickled module is restored by."""
    install_as_keras()
    return importlib.import_module(name)


_torchs_numpy = torch.Tensor.numpy


def _numpy(tensor: torch.Tensor, *, force: bool = True) -> np.ndarray:
    """`Tensor.numpy`, also of what has a gradient or lies on an accelerator.

    Programs read their losses and pictures so, which torch refuses to save a mistake from hiding.
    """
    return _torchs_numpy(tensor, force=force)


# Another process has no hook: it gets one with the first module that is sent to it.
copyreg.pickle(KerasModule, lambda module: (module_named, (module.__name__,)))  # type: ignore


def _imported() -> Iterator[tuple[str, ModuleType]]:
    """The modules below the roots that come from elsewhere."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ROOTS and not isinstance(module, KerasModule):
            yield name, module
