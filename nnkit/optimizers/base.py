"""The base of all optimizers: Keras's arguments, torch's kernels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import torch
from torch import Tensor

from nnkit.errors import ArgumentError
from nnkit.optimizers.plan import (
    Plan,
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    scale_,
)
from nnkit.optimizers.writing import Writing
from nnkit.registry import Registry

__all__ = ["REGISTRY", "Optimizer"]

REGISTRY = Registry("optimizer", "keras.optimizers")


class Optimizer(Writing):
    """Changes parameters along their gradients. To write one: `slots` and `update`, or Keras's
    `build(variables)` and `update_step(gradient, variable, learning_rate)`.

    Made without parameters, as in Keras; `build` gives them. It is a torch optimizer too, so
    `step`, `zero_grad`, `state_dict` and torch's schedulers and `GradScaler` work on it.

    Args:
        learning_rate: a number, a `LearningRateSchedule`, or a function of the step.
        weight_decay: before each update, parameters lose this fraction times the learning rate.
        clipnorm: the largest norm of one gradient.
        clipvalue: the largest absolute value in a gradient.
        global_clipnorm: the largest norm of all gradients together.
        use_ema: keep a moving average of the parameters, see `finalize_variable_values`.
        ema_momentum: the part (0 to 1) of the old average that stays at each update.
        ema_overwrite_frequency: updates between two replacements of the parameters by the average.
        loss_scale_factor: what `scale_loss` multiplies and `apply` divides the gradients by.
        gradient_accumulation_steps: batches whose mean gradient makes one update.
        name: the optimizer's name.

    Attributes: after_step: functions without arguments, called after each change of parameters.
    """

    def update(self, plan: Plan, grads: list[Tensor], learning_rate: float) -> None:
        """Change `plan.params` by one update; `plan.slots` are in the order of `slots`."""
        for grad, param in zip(grads, plan.params, strict=True):
            self.update_step(grad, param, learning_rate)

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: float) -> None:
        """Change one parameter: Keras's way to write an optimizer."""
        raise NotImplementedError(
            f"The optimizer {type(self).__name__} needs a method update(plan, grads, learning_rate)"
            f" or update_step(gradient, variable, learning_rate)."
        )

    def decay_weights(self, plan: Plan, learning_rate: float) -> None:
        """Shrink the parameters before an update; called only with a `weight_decay`."""
        if plan.decayed:
            scale_(plan.decayed, 1 - float(self.weight_decay or 0) * learning_rate)

    def apply(self, grads: Sequence[Tensor | None], params: Iterable[Tensor] | None = None) -> None:
        """Update the parameters once.

        Args:
            grads: a gradient, or None, for each parameter in the order of `build`.
            params: the parameters the gradients belong to, if they are others or in another order;
                builds the optimizer if it is not yet.

        Raises: ArgumentError for a wrong number of gradients, only None, or unknown parameters.
        """
        if params is not None:
            self._run(self._in_order(grads, list(params)), quiet=True)
        else:
            self._run(grads, quiet=False)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Tensor]]) -> int:
        """Update from pairs (gradient, parameter); the number of updates made so far."""
        pairs = list(grads_and_vars)
        self.apply([grad for grad, _ in pairs], [param for _, param in pairs])
        return self.iterations

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update from the parameters' `grad`, as torch does; parameters without one stay."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        grads = [param.grad for param in self.built_params()]
        if any(grad is not None for grad in grads):
            self._run(grads, quiet=True)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the parameters' gradients, or fill them with zeros."""
        for param in self.param_groups[0]["params"]:
            if set_to_none:
                param.grad = None
            elif param.grad is not None:
                param.grad = torch.zeros_like(param.grad)

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss to differentiate, when there is a `loss_scale_factor`."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def finalize_variable_values(self, params: Iterable[Tensor] | None = None) -> None:
        """With `use_ema`, replace the parameters by their averages; called when training ends."""
        if self.use_ema:
            with torch.no_grad():
                for param in self.built_params() if params is None else params:
                    param.copy_(self.state[param]["average"])

    def finish_accumulation(self) -> None:
        """Update from the batches since the last update, if there are any; called when fit ends.

        Keras leaves these gradients waiting for a next fit.
        """
        steps, group = self.gradient_accumulation_steps or 1, self.param_groups[0]
        gathered = group["iterations"] % steps
        if gathered:
            sums = [self.state[param]["gradient_accumulator"] for param in group["params"]]
            group["iterations"] += steps - gathered - 1  # as if the window's last batch came next
            # With what lies in the sums the mean over all steps is that over the gathered ones.
            self._run(torch._foreach_mul(sums, steps / gathered - 1), quiet=True)

    def _run(self, grads: Sequence[Tensor | None], quiet: bool) -> None:
        """One call of `apply`, in Keras's order: accumulate, clip, decay, update, average."""
        plan = self._whole
        with torch.no_grad():
            if plan is None or not plan.fits(grads):
                if not grads:
                    return
                plan, grads = self._fit(grads, quiet)
            present: Any = grads  # no None among them any more
            group = self.param_groups[0]
            if self.loss_scale_factor is not None:
                present = torch._foreach_div(present, self.loss_scale_factor)
            if self.gradient_accumulation_steps is not None:
                present = self._accumulate(plan, present, group["iterations"] + 1)
            if present is not None:
                if self._schedule is not None:
                    group["lr"] = self._schedule(group["iterations"])
                rate = group["lr"]
                present = self._clip(present)
                if self.decaying:
                    self.decay_weights(plan, rate)
                self.update(plan, present, rate)
            if self.use_ema:
                self._average()
            group["iterations"] += 1
            self._opt_called = True  # torch's schedulers look for it
            for function in self.after_step if present is not None or self.use_ema else ():
                function()

    def _fit(self, grads: Sequence[Tensor | None], quiet: bool) -> tuple[Plan, list[Tensor]]:
        """The plan and gradients for the parameters that have one."""
        params = self.built_params()
        if len(grads) != len(params):
            raise ArgumentError(f"Received {len(grads)} gradients for {len(params)} parameters.")
        present = tuple(index for index, grad in enumerate(grads) if grad is not None)
        if not present:
            raise ArgumentError(
                "Every gradient is None. Does the loss depend on the parameters, and was "
                "backward() called?"
            )
        if len(present) < len(params) and not quiet and present not in self._plans:
            missing = [
                self._names[index] if self._names else f"number {index}"
                for index in range(len(params))
                if index not in present
            ]
            warnings.warn(
                f"There is no gradient for parameters {', '.join(missing)}: they stay as they are. "
                f"Does the loss depend on them?",
                UserWarning,
                stacklevel=4,
            )
        plan = self._plan(present)
        found = [grad for grad in grads if grad is not None]
        if not plan.fits(found):
            if plan.is_stale():
                self._follow_params()
                plan = self._plan(present)
            found = plan.conform(found)
        return plan, found

    def _in_order(
        self, grads: Sequence[Tensor | None], params: list[Tensor]
    ) -> Sequence[Tensor | None]:
        """The gradients in the order of `build`, None where there is none."""
        if not self.built:
            self.build(params)
        if len(grads) != len(params):
            raise ArgumentError(f"Received {len(grads)} gradients for {len(params)} parameters.")
        own = self.built_params()
        places = {id(param): index for index, param in enumerate(own)}
        ordered: list[Tensor | None] = [None] * len(own)
        for grad, param in zip(grads, params, strict=True):
            if id(param) not in places:
                raise ArgumentError(
                    f"{type(self).__name__} was not built with this parameter of shape "
                    f"{tuple(param.shape)}. Call build() with all of them."
                )
            ordered[places[id(param)]] = grad
        return ordered

    def _clip(self, grads: list[Tensor]) -> list[Tensor]:
        if self.clipnorm is not None:
            return clip_by_norm(grads, self.clipnorm)
        if self.global_clipnorm is not None:
            return clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue is not None:
            return clip_by_value(grads, self.clipvalue)
        return grads

    def _accumulate(self, plan: Plan, grads: list[Tensor], call: int) -> list[Tensor] | None:
        """The mean gradient on each n-th call; None on the others."""
        steps = self.gradient_accumulation_steps or 1
        sums = [self.state[param]["gradient_accumulator"] for param in plan.params]
        if call % steps:
            torch._foreach_add_(sums, grads)
            return None
        mean = list(torch._foreach_add(grads, sums))
        torch._foreach_div_(mean, steps)
        everything = self.param_groups[0]["params"]
        torch._foreach_zero_([self.state[param]["gradient_accumulator"] for param in everything])
        return mean

    def _average(self) -> None:
        """Move the averages towards the parameters, and overwrite these when it is time."""
        params = self.param_groups[0]["params"]
        averages = [self.state[param]["average"] for param in params]
        done = self.iterations
        if done == 0:
            torch._foreach_copy_(averages, params)
        else:
            torch._foreach_lerp_(averages, params, 1 - self.ema_momentum)
        if self.ema_overwrite_frequency and (done + 1) % self.ema_overwrite_frequency == 0:
            torch._foreach_copy_(params, averages)
