"""An optimizer's parameters and what it keeps for each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor

from nnkit.errors import ArgumentError, NotBuiltError, ShapeError
from nnkit.optimizers.plan import Plan
from nnkit.optimizers.settings import Settings

__all__ = ["Stateful", "names_of"]

# Left out of copies and files: what is made again, and functions that belong to the original.
_NOT_COPIED = ("after_step", "step", "_plans", "_whole", "_schedule")


def names_of(params: list[Any], names: Iterable[str] | None) -> list[str] | None:
    """The names given for parameters, or the paths these have, or None if one has none."""
    found: list[Any] = [getattr(p, "path", None) for p in params] if names is None else [*names]
    return None if None in found else found


def _data(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors as torch's own kind, which any file can hold."""
    return {name: tensor.data for name, tensor in tensors.items()}


class Stateful(Settings):
    """The part of `Optimizer` that holds parameters and their state, but changes nothing."""

    # Keras creates the variables of these first slots parameter by parameter, the others one kind
    # after another; its files keep that order.
    interleaved: ClassVar[int] = 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._names: list[str] | None = None
        self._excluded: tuple[list[Tensor], list[str]] = ([], [])
        self._made: set[tuple[int, str]] = set()  # variables of subclasses, since build was called
        self._forget_plans()

    def slots(self) -> dict[str, float]:
        """The kinds of state kept for each parameter, with the number each is filled with."""
        return {}

    def new_state(self, param: Tensor) -> dict[str, Tensor]:
        """The state of one parameter; by default, a tensor of its shape for each of `slots`."""
        return {name: torch.full_like(param, value) for name, value in self.slots().items()}

    def build(self, params: Iterable[Tensor], names: Iterable[str] | None = None) -> None:
        """Take these parameters and create their state. Parameters seen before keep theirs.

        Args:
            params: in the order in which `apply` will get the gradients.
            names: one for each, needed for excluding by name; their `path` when None.

        Raises: ArgumentError for no parameters, one twice, or a wrong number of names.
        """
        params = list(params)
        names = names_of(params, names)
        if not params or not all(isinstance(param, Tensor) for param in params):
            raise ArgumentError(
                f"{type(self).__name__}.build expects parameters, as model.parameters() gives; "
                f"received {params!r}."
            )
        if len({id(param) for param in params}) < len(params):
            raise ArgumentError(f"{type(self).__name__}.build received a parameter twice.")
        if names is not None and len(names) != len(params):
            raise ArgumentError(f"Received {len(names)} names for {len(params)} parameters.")
        for param in params:
            if param not in self.state:
                extra = {}
                if self.use_ema:
                    extra["average"] = param.detach().clone()
                if self.gradient_accumulation_steps:
                    extra["gradient_accumulator"] = torch.zeros_like(param, requires_grad=False)
                with torch.no_grad():
                    self.state[param] = {**extra, **self.new_state(param)}
        self.param_groups[0]["params"] = params
        self._names = names
        self._made = set()
        self.built = True
        self._forget_plans()

    set_trainable_params = build

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Torch's hook for parameters. An nnkit optimizer has one group, filled by `build`."""
        if self.param_groups:
            raise ArgumentError(
                "This optimizer has one group of parameters. For several learning rates use a "
                "torch.optim optimizer."
            )
        self.param_groups.append(param_group)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Tensor] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Leave parameters out of weight decay.

        Args:
            var_list: these parameters.
            var_names: and those with one of these texts (regular expressions) in their name.
        """
        self._excluded = (list(var_list or ()), list(var_names or ()))
        self._forget_plans()

    def _decays(self, index: int, param: Tensor) -> bool:
        excluded, patterns = self._excluded
        if patterns and self._names is None:
            raise ArgumentError(
                "exclude_from_weight_decay(var_names=...) needs the parameters' names: give them "
                "to build(params, names), or exclude by var_list."
            )
        if self._names and any(re.search(pattern, self._names[index]) for pattern in patterns):
            return False
        return not any(param is other for other in excluded)

    def _forget_plans(self) -> None:
        self._plans: dict[tuple[int, ...], Plan] = {}
        self._whole: Plan | None = None

    def _plan(self, present: tuple[int, ...]) -> Plan:
        """The plan for the parameters with these indices."""
        if present not in self._plans:
            if self._left_behind():
                self._follow_params()
            everything = self.param_groups[0]["params"]
            params = [everything[index] for index in present]
            decayed = [
                everything[i] for i in present if self.decaying and self._decays(i, everything[i])
            ]
            slots = [[self.state[param][name] for param in params] for name in self.slots()]
            self._plans[present] = Plan(params, slots, decayed)
            if len(present) == len(everything):
                self._whole = self._plans[present]
        return self._plans[present]

    def state_dict(self) -> dict[str, Any]:
        """State and numbers in torch's form; the tensors are the optimizer's own."""
        group = dict(self.param_groups[0])
        states = [self.state[param] for param in group["params"]]
        group["params"] = list(range(len(states)))
        if "variables" in group:
            group["variables"] = _data(group["variables"])
        return {"state": dict(enumerate(map(_data, states))), "param_groups": [group]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over moments, iterations and learning rate. A schedule stays, at its new position.

        Raises: NotBuiltError before `build`; ArgumentError or ShapeError for another optimizer's.
        """
        params = self.built_params()
        saved = state_dict["state"]
        if len(saved) != len(params):
            raise ArgumentError(
                f"The state is of {len(saved)} parameters, but this optimizer has {len(params)}."
            )
        pairs = []
        for index, param in enumerate(params):
            own = self.state[param]
            if own.keys() != saved[index].keys():
                raise ArgumentError(
                    f"{type(self).__name__} keeps {sorted(own)} for each parameter, but the "
                    f"state has {sorted(saved[index])}. Was it made with the same arguments?"
                )
            for name, tensor in own.items():
                if tensor.shape != saved[index][name].shape:
                    raise ShapeError(
                        f"{name} of parameter {index} has shape {tuple(tensor.shape)}, but the "
                        f"state has {tuple(saved[index][name].shape)}."
                    )
                pairs.append((tensor, saved[index][name]))
        for tensor, value in pairs:
            tensor.copy_(value)
        group = state_dict["param_groups"][0]
        for name, own in self.param_groups[0].get("variables", {}).items():
            own.copy_(group["variables"][name])
        kept = ("params", "variables", *(("lr",) if self._given is not None else ()))
        self.param_groups[0].update({key: value for key, value in group.items() if key not in kept})

    @property
    def variables(self) -> list[Tensor]:
        """What Keras calls the optimizer's variables, in its order.

        First the number of batches and, unless it is a schedule, the learning rate (both copies),
        then the state, which is the optimizer's own, in torch's layout.
        """
        group = self.param_groups[0]
        listed = [torch.tensor(group["iterations"])]
        if self._given is None:
            listed.append(torch.tensor(group["lr"]))
        states = [self.state[param] for param in group["params"]]
        extra = ("average", "gradient_accumulator")
        names = list(self.slots()) or [
            name for name in dict.fromkeys(chain(*states)) if name not in extra
        ]
        blocks = [[extra[0]], [extra[1]], names[: self.interleaved]]
        blocks += [[name] for name in names[self.interleaved :]]
        listed += [
            state[name] for block in blocks for state in states for name in block if name in state
        ]
        return listed + list(group.get("variables", {}).values())

    def built_params(self) -> list[Tensor]:
        """The parameters given to `build`."""
        if not self.built:
            raise NotBuiltError(
                f"{type(self).__name__} has no parameters yet. Call build(model.parameters()) or "
                f"apply(grads, params) first."
            )
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    def _left_behind(self) -> bool:
        """Whether parameters have moved since their state was made, as after loading a model."""
        return any(
            tensor.device != param.device or tensor.dtype != param.dtype
            for param, state in self.state.items()
            for tensor in state.values()
            if tensor.shape == param.shape
        )

    def _follow_params(self) -> None:
        """Bring the state to the device, dtype and memory layout its parameters have now."""
        for param, state in self.state.items():
            for tensor in state.values():
                if tensor.shape == param.shape:
                    tensor.data = torch.empty_like(param, requires_grad=False).copy_(tensor)
                else:
                    tensor.data = tensor.to(param.device, param.dtype)
        self._forget_plans()

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in vars(self).items()
            if name not in _NOT_COPIED and not name.endswith("_hooks")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "after_step": [], "_schedule": None})
        if self._given is not None:
            self.learning_rate = self._given
        self._forget_plans()
