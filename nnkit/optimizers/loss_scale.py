"""Dynamic loss scaling: float16 training whose small gradients do not round to zero."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from nnkit.arguments import number, positive
from nnkit.errors import ArgumentError
from nnkit.optimizers.base import REGISTRY, Optimizer

__all__ = ["LossScaleOptimizer"]


def _delegated(name: str, start: Any) -> Any:
    """A property of the inner optimizer, which stays as it is while the outer one is made."""

    def read(self: LossScaleOptimizer) -> Any:
        inner = vars(self).get("inner_optimizer")
        return start if inner is None else getattr(inner, name)

    def write(self: LossScaleOptimizer, value: Any) -> None:
        if "inner_optimizer" in vars(self):
            setattr(self.inner_optimizer, name, value)

    return property(read, write, doc=f"The inner optimizer's {name}.")


@REGISTRY.add()
class LossScaleOptimizer(Optimizer):
    """Multiplies the loss, divides the gradients, and leaves out updates that overflowed.

    A gradient that is not finite halves the scale and skips the update; after
    `dynamic_growth_steps` updates in a row the scale doubles. `compile` wraps the optimizer of a
    model with the policy "mixed_float16" in one. On an accelerator each update waits for the one
    number that says whether to skip it; "mixed_bfloat16" needs no scale, and no waiting.

    Args:
        inner_optimizer: changes the parameters; it has the learning rate and all other settings.
        initial_scale: the first factor of the loss.
        dynamic_growth_steps: updates without overflow before the scale doubles.
        name: of the optimizer.

    Raises: ArgumentError for settings that belong to the inner optimizer.
    Source: Micikevicius et al., Mixed Precision Training (2018).
    """

    inner_optimizer: Optimizer

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(inner_optimizer, Optimizer):
            raise ArgumentError(
                f"LossScaleOptimizer wraps an optimizer of nnkit, got {inner_optimizer!r}. "
                f"For one of torch's use torch.amp.GradScaler in a train_step of your own."
            )
        for key, value in kwargs.items():
            if value not in (None, False) and (key, value) != ("ema_momentum", 0.99):
                raise ArgumentError(f"Give {key}= to the inner optimizer of LossScaleOptimizer.")
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = float(number(self, "initial_scale", initial_scale, 0))
        self.dynamic_growth_steps = positive(self, "dynamic_growth_steps", dynamic_growth_steps)
        inner_optimizer.loss_scale_factor = None  # or gradients would be scaled twice
        self.dynamic_scale = torch.tensor(self.initial_scale)
        self.step_counter = torch.tensor(0, dtype=torch.int32)

    # The inner optimizer's.
    learning_rate = _delegated("learning_rate", 0.0)
    lr = _delegated("learning_rate", 0.0)
    iterations = _delegated("iterations", 0)
    schedule = _delegated("schedule", None)
    after_step = _delegated("after_step", [])

    def build(self, params: Iterable[Tensor], names: Iterable[str] | None = None) -> None:
        params = list(params)
        self.inner_optimizer.build(params, names)
        super().build(params)

    def finalize_variable_values(self, params: Iterable[Tensor] | None = None) -> None:
        self.inner_optimizer.finalize_variable_values(params)

    def finish_accumulation(self) -> None:
        self.inner_optimizer.finish_accumulation()

    # -- scaling -------------------------------------------------------------------------------

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times the scale."""
        self._follow(loss.device)
        return loss * self.dynamic_scale

    def _follow(self, device: torch.device) -> None:
        if self.dynamic_scale.device != device:
            self.dynamic_scale = self.dynamic_scale.to(device)
            self.step_counter = self.step_counter.to(device)

    def _run(self, grads: Sequence[Tensor | None], quiet: bool) -> None:
        present = [grad for grad in grads if grad is not None]
        if present:
            with torch.no_grad():
                self._follow(present[0].device)
                present = list(torch._foreach_mul(present, self.dynamic_scale.reciprocal()))
                overflow = self.dynamic_scale.new_zeros(1)
                one = torch.ones_like(overflow)
                torch._amp_foreach_non_finite_check_and_unscale_(present, overflow, one)
                torch._amp_update_scale_(
                    self.dynamic_scale, self.step_counter, overflow, 2.0, 0.5,
                    self.dynamic_growth_steps,
                )  # fmt: skip
                if bool(overflow):
                    return
        unscaled = iter(present)
        self.inner_optimizer._run([g if g is None else next(unscaled) for g in grads], quiet)

    # -- files ---------------------------------------------------------------------------------

    @property
    def variables(self) -> list[Tensor]:
        """Keras's order: this optimizer's own four numbers, then the inner optimizer's."""
        own = [torch.tensor(0), torch.tensor(0.0), self.step_counter, self.dynamic_scale]
        return own + self.inner_optimizer.variables

    def state_dict(self) -> dict[str, Any]:
        scale = {"dynamic_scale": self.dynamic_scale, "step_counter": self.step_counter}
        return {**self.inner_optimizer.state_dict(), "loss_scale": scale}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.inner_optimizer.load_state_dict(state_dict)
        for name, value in state_dict.get("loss_scale", {}).items():
            getattr(self, name).copy_(value)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inner_optimizer": REGISTRY.serialize(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        return cls(REGISTRY.deserialize(config.pop("inner_optimizer")), **config)
