"""Everything that random numbers come from: the global generators, and those that objects keep."""

from __future__ import annotations

import random
from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from nnkit.errors import FileError
from nnkit.random import SeedGenerator
from nnkit.training.plain import from_plain, to_plain

__all__ = ["find_generators", "random_state", "set_random_state", "set_state", "state_of"]

_GENERATORS = (
    SeedGenerator,
    torch.Generator,
    np.random.Generator,
    np.random.RandomState,
    random.Random,
)
# Nothing of interest is in these, or too much.
_LEAVES = (
    str, bytes, int, float, complex, type, type(None), torch.Tensor, np.ndarray, np.generic,
    FunctionType, MethodType, BuiltinFunctionType, ModuleType, torch.dtype, torch.device,
)  # fmt: skip
# Machinery that comes and goes while a run lasts; generators in there decide nothing.
_FOREIGN = {"concurrent", "logging", "multiprocessing", "queue", "tensorboard", "threading", "tqdm"}
_DEEPEST = 12
_LONGEST = 10_000


def find_generators(owners: Iterable[Any], known: Iterable[Any] = ()) -> list[Any]:
    """The generators that these objects hold, themselves or in their attributes, each once.

    Args:
        owners: models, data sets, callbacks.
        known: objects whose insides are left out.
    """
    found: list[Any] = []
    seen = set(map(id, known))

    def search(value: Any, depth: int) -> None:
        if isinstance(value, _LEAVES) or id(value) in seen or depth > _DEEPEST:
            return
        seen.add(id(value))
        if isinstance(value, _GENERATORS):
            found.append(value)
            return
        if isinstance(value, (list, tuple)):
            for item in value if len(value) <= _LONGEST else ():
                search(item, depth + 1)
        elif isinstance(value, dict):
            for item in list(value.values()) if len(value) <= _LONGEST else ():
                search(item, depth + 1)
        elif type(value).__module__.partition(".")[0] not in _FOREIGN:
            for name, item in list(getattr(value, "__dict__", {}).items()):
                if name != "_iterator":  # a DataLoader's workers, while they live
                    search(item, depth + 1)

    for owner in owners:
        search(owner, 0)
    return found


def state_of(generator: Any) -> tuple[str, Any]:
    """The kind and the state of a generator, as plain data."""
    kind = type(generator).__name__
    if isinstance(generator, SeedGenerator):  # `state` would draw a start
        return kind, (generator._start, generator._count)
    if isinstance(generator, torch.Generator):
        return kind, generator.get_state()
    if isinstance(generator, np.random.Generator):
        return kind, to_plain(dict(generator.bit_generator.state))
    if isinstance(generator, np.random.RandomState):
        return kind, to_plain(tuple(generator.get_state()))
    return kind, generator.getstate()


def set_state(generator: Any, value: Any) -> None:
    """Put back a state that `state_of` gave."""
    if isinstance(generator, SeedGenerator):
        generator._start, generator._count = value
    elif isinstance(generator, torch.Generator):
        generator.set_state(value)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = from_plain(value)
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(from_plain(value))
    else:
        generator.setstate(value)


def random_state(owners: Iterable[Any] = ()) -> dict[str, Any]:
    """The state of the global generators and of those that the owners hold, as plain data."""
    name, words, *rest = np.random.get_state()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": to_plain((name, words, *rest)),
        "python": random.getstate(),
        "own": [state_of(each) for each in find_generators(owners)],
    }
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = [each.cpu() for each in torch.cuda.get_rng_state_all()]
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any], owners: Iterable[Any] = ()) -> None:
    """Put back what `random_state` gave for the same owners.

    Raises: FileError when the owners hold another number of generators, or other kinds.
    """
    generators = find_generators(owners)
    kinds = [type(each).__name__ for each in generators]
    saved = [kind for kind, _ in state["own"]]
    if kinds != saved:
        raise FileError(
            f"The run to go on with drew from {len(saved)} random generators of its own "
            f"({', '.join(saved) or 'none'}), this one has {len(kinds)} "
            f"({', '.join(kinds) or 'none'}). Make the model, data and callbacks as they were."
        )
    torch.set_rng_state(state["torch"])
    np.random.set_state(from_plain(state["numpy"]))
    random.setstate(state["python"])
    for generator, (_, value) in zip(generators, state["own"], strict=True):
        set_state(generator, value)
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
