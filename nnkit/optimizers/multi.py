"""Several optimizers for one model, each for its part of the parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from nnkit.errors import ArgumentError, MissingNameError
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.stateful import names_of

__all__ = ["MultiOptimizer", "OptimizerMap"]


class OptimizerMap(MutableMapping[str, Optimizer]):
    """Optimizers by the paths of weights, such as "encoder/dense/kernel".

    Args:
        default_optimizer: for weights that no key fits.
        optimizer_map: from whole paths or regular expressions of them, "encoder/.*", to optimizers.

    Example:
        OptimizerMap(SGD(0.1), {"embedding/.*": Adam()})
    """

    def __init__(self, default_optimizer: Any, optimizer_map: Any = None) -> None:
        self.default_optimizer = _single("default_optimizer", default_optimizer)
        self._by_path: dict[str, Optimizer] = {}
        for key, optimizer in dict(optimizer_map or {}).items():
            self[key] = optimizer

    def __getitem__(self, path: str) -> Optimizer:
        if path in self._by_path:
            return self._by_path[path]
        fitting = [key for key in self._by_path if re.fullmatch(key, path)]
        if len(fitting) > 1:
            raise ArgumentError(
                f"Several keys of the OptimizerMap fit {path!r}: {', '.join(map(repr, fitting))}. "
                f"Write them so that one does, or add that path as a key."
            )
        return self._by_path[fitting[0]] if fitting else self.default_optimizer

    def __setitem__(self, path: str, optimizer: Any) -> None:
        if not isinstance(path, str):
            raise ArgumentError(f"A key of an OptimizerMap is a path, a string; got {path!r}.")
        if path in self._by_path:
            raise ArgumentError(f"The OptimizerMap has an optimizer for {path!r} already.")
        self._by_path[path] = _single(f"The optimizer for {path!r}", optimizer)

    def __delitem__(self, path: str) -> None:
        del self._by_path[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_path)

    def __len__(self) -> int:
        return len(self._by_path)

    def __call__(self, variable: Any) -> Optimizer:
        """The optimizer of a weight, by its `path`."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """The optimizers' configs, as plain data."""
        return {
            "default_optimizer": REGISTRY.serialize(self.default_optimizer),
            "optimizer_map": {key: REGISTRY.serialize(made) for key, made in self._by_path.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The map of a config made by `get_config`."""
        made = {key: REGISTRY.get(value) for key, value in config["optimizer_map"].items()}
        return cls(REGISTRY.get(config["default_optimizer"]), made)


@REGISTRY.add()
class MultiOptimizer(Optimizer):
    """Gives each parameter to the optimizer chosen for it.

    Args:
        optimizer_map: an OptimizerMap, or a function from a parameter, which has a `path`, to an
            optimizer.
        loss_scale_factor: what `scale_loss` multiplies the loss by; replaces the optimizers' own.
        name: the optimizer's name.

    Attributes: optimizers: all of them; their learning rates are theirs alone.
    Raises: ArgumentError for anything but nnkit's optimizers.

    Example:
        model.compile(MultiOptimizer(OptimizerMap(SGD(0.1), {"embedding/.*": Adam()})), "mse")
    """

    def __init__(
        self,
        optimizer_map: Callable[[Any], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        if not callable(optimizer_map):
            raise ArgumentError(
                f"MultiOptimizer needs an OptimizerMap, or a function from a parameter to an "
                f"optimizer; received {optimizer_map!r}."
            )
        self.optimizer_map = optimizer_map
        self.optimizers: list[Optimizer] = []
        self._places: list[list[int]] = []
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._number(optimizer)

    def _number(self, optimizer: Any) -> int:
        """Which of `optimizers` it is; a new one joins them."""
        for number, known in enumerate(self.optimizers):
            if known is optimizer:
                return number
        _single("An optimizer in a MultiOptimizer", optimizer)
        optimizer.loss_scale_factor = self.loss_scale_factor
        self.optimizers.append(optimizer)
        return len(self.optimizers) - 1

    def build(self, params: Iterable[Tensor], names: Iterable[str] | None = None) -> None:
        params = list(params)
        paths = names_of(params, names) or [""] * len(params)
        super().build(params, paths)
        chosen = []
        for param, path in zip(params, paths, strict=True):
            param.path = path  # type: ignore[attr-defined]  # what Keras's variables are chosen by
            chosen.append(self._number(self.optimizer_map(param)))
        every = range(len(self.optimizers))
        self._places = [[at for at, which in enumerate(chosen) if which == n] for n in every]
        for optimizer, places in zip(self.optimizers, self._places, strict=True):
            if places:
                optimizer.build([params[at] for at in places], [paths[at] for at in places])

    def _run(self, grads: Sequence[Tensor | None], quiet: bool) -> None:
        if not grads:
            return
        if len(grads) != len(self.built_params()):
            raise ArgumentError(
                f"Received {len(grads)} gradients for {len(self.built_params())} parameters."
            )
        for optimizer, places in zip(self.optimizers, self._places, strict=True):
            own = [grads[at] for at in places]
            if any(grad is not None for grad in own):
                optimizer._run(own, quiet)
        self.param_groups[0]["iterations"] += 1
        self._opt_called = True  # torch's schedulers look for it
        for function in self.after_step:
            function()

    def finalize_variable_values(self, params: Iterable[Tensor] | None = None) -> None:
        with torch.no_grad():
            for optimizer, places in zip(self.optimizers, self._places, strict=True):
                if places:
                    optimizer.finalize_variable_values()

    @property
    def variables(self) -> list[Tensor]:
        """The number of batches, and what the optimizers keep, one after the other."""
        built = [optimizer for optimizer in self.optimizers if optimizer.built]
        return super().variables + [each for optimizer in built for each in optimizer.variables]

    def state_dict(self) -> dict[str, Any]:
        built = [each.state_dict() if each.built else None for each in self.optimizers]
        return {**super().state_dict(), "optimizers": built}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        parts = state_dict.get("optimizers", [])
        if len(parts) != len(self.optimizers):
            raise ArgumentError(
                f"The state is of {len(parts)} optimizers, but this one has {len(self.optimizers)}."
            )
        super().load_state_dict(state_dict)
        for optimizer, part in zip(self.optimizers, parts, strict=True):
            if part is not None:
                optimizer.load_state_dict(part)

    @property  # type: ignore[override]
    def learning_rate(self) -> float:
        """Not here: each of `optimizers` has its own."""
        if "optimizers" in self.__dict__:
            raise MissingNameError(
                "A MultiOptimizer has no learning_rate: each of its `optimizers` has its own."
            )
        return 0.0

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if "optimizers" in self.__dict__:
            raise MissingNameError(
                "A MultiOptimizer has no learning_rate to set: set it on each of its `optimizers`."
            )

    def get_config(self) -> dict[str, Any]:
        if not isinstance(self.optimizer_map, OptimizerMap):
            raise ArgumentError(
                "A MultiOptimizer with a function cannot be saved. Use an OptimizerMap."
            )
        kind = {"class_name": "OptimizerMap", "config": self.optimizer_map.get_config()}
        scale = self.loss_scale_factor
        return {"optimizer_map": kind, "loss_scale_factor": scale, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        made = OptimizerMap.from_config(config["optimizer_map"]["config"])
        return cls(**{**config, "optimizer_map": made})

    def __repr__(self) -> str:
        return f"MultiOptimizer({self.optimizers!r}, name={self.name!r})"


def _single(what: str, optimizer: Any) -> Optimizer:
    """The optimizer, if it is one of nnkit's and holds no others."""
    inside = isinstance(optimizer, MultiOptimizer) or hasattr(optimizer, "inner_optimizer")
    if not isinstance(optimizer, Optimizer) or inside:
        raise ArgumentError(
            f"{what} must be an optimizer of nnkit that holds no other one, got {optimizer!r}."
        )
    return optimizer
