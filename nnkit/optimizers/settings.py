"""An optimizer's arguments: checked, changed, written to a config and read back."""

from __future__ import annotations

import inspect
import struct
from collections.abc import Callable
from typing import Any, ClassVar, Self, TypedDict

import numpy as np
import torch

from nnkit.arguments import number
from nnkit.errors import ArgumentError
from nnkit.legacy import warn_once
from nnkit.naming import auto_name
from nnkit.optimizers import checks
from nnkit.optimizers.schedules import SCHEDULES, LearningRateSchedule

__all__ = ["Common", "Rate", "Settings"]


class Common(TypedDict, total=False):
    """The arguments that every optimizer has; see `Optimizer`."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None
    lr: float


class Rate(float):
    """A learning rate as it is read: a number that can also be assigned to, as Keras's variable.

    Args:
        owner: the optimizer.
        value: the number.
    """

    def __new__(cls, owner: Any, value: float) -> Self:
        made = super().__new__(cls, value)
        made._owner = owner
        return made

    _owner: Any

    def assign(self, value: Any) -> None:
        """Set the optimizer's learning rate."""
        self._owner.learning_rate = float(value)

    def numpy(self) -> np.float32:
        """The number as NumPy has it."""
        return np.float32(self)

    def __reduce__(self) -> Any:
        return float, (float(self),)


class Settings(torch.optim.Optimizer):
    """The part of `Optimizer` that knows the arguments, but no parameters."""

    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the common arguments in the signature of a subclass that passes them on."""
        super().__init_subclass__(**kwargs)
        own = dict(inspect.signature(cls.__init__).parameters)
        rest = [name for name, argument in own.items() if argument.kind is argument.VAR_KEYWORD]
        if rest:
            own = {name: own[name] for name in own if name not in ("self", *rest)}
            for name, argument in inspect.signature(Settings.__init__).parameters.items():
                if name not in ("self", "kwargs"):
                    own.setdefault(name, argument.replace(kind=argument.KEYWORD_ONLY))
            cls.__signature__ = inspect.Signature(list(own.values()))

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        checks.learning_rate(type(self).__name__, learning_rate)
        if "lr" in kwargs:
            warn_once("lr=", "write learning_rate=.")
            learning_rate = kwargs.pop("lr")
        checks.reject_unknown(type(self), kwargs)
        checks.check_clipping(
            self, clipnorm=clipnorm, clipvalue=clipvalue, global_clipnorm=global_clipnorm
        )
        steps = checks.count_of(self, "gradient_accumulation_steps", gradient_accumulation_steps, 2)
        if weight_decay is not None:
            number(self, "weight_decay", weight_decay, 0)
        if loss_scale_factor is not None:
            number(self, "loss_scale_factor", loss_scale_factor, above=0)
        if use_ema:
            number(self, "ema_momentum", ema_momentum, 0, 1)
            ema_overwrite_frequency = checks.count_of(
                self, "ema_overwrite_frequency", ema_overwrite_frequency, 1
            )
        # One empty group: build() fills it. It holds every number that changes, as torch's do.
        super().__init__([{"params": [], "lr": 0.0, "iterations": 0}], {"lr": 0.0})
        self.name = name or auto_name(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = steps
        self.after_step: list[Callable[[], None]] = []
        self.built = False
        self._given: Any = None
        self._schedule: Callable[[int], float] | None = None
        self.learning_rate = learning_rate
        self.defaults["lr"] = float(self.learning_rate)

    @property
    def iterations(self) -> int:
        """Updates made so far; with accumulation, only the applied ones."""
        calls: int = self.param_groups[0]["iterations"]
        return calls // (self.gradient_accumulation_steps or 1)

    @iterations.setter
    def iterations(self, value: int) -> None:
        self.param_groups[0]["iterations"] = int(value) * (self.gradient_accumulation_steps or 1)

    @property
    def learning_rate(self) -> Rate:
        """The learning rate of the next update; set a number, a schedule or a function."""
        group = self.param_groups[0]
        # Like Keras, a schedule counts calls: every batch, also those only accumulated.
        return Rate(self, self._schedule(group["iterations"]) if self._schedule else group["lr"])

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rate = checks.learning_rate(type(self).__name__, value)
        self._given = None if isinstance(rate, float) else rate
        self._schedule = None if isinstance(rate, float) else checks.of_step(rate)
        self.param_groups[0]["lr"] = rate if isinstance(rate, float) else float(self.learning_rate)

    @property
    def lr(self) -> Rate:
        """The old name of `learning_rate`."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value

    @property
    def schedule(self) -> Any:
        """The schedule or function that gives the learning rate; None if it is a number."""
        return self._given

    @property
    def decaying(self) -> bool:
        """Whether there is weight decay."""
        return bool(self.weight_decay)

    def get_config(self) -> dict[str, Any]:
        """The arguments this optimizer was made with; subclasses add theirs.

        Raises: ArgumentError if the learning rate is a plain function.
        """
        given = self._given
        if given is not None and not isinstance(given, LearningRateSchedule):
            raise ArgumentError(
                f"{type(self).__name__} has the function {given!r} as its learning rate, which "
                f"cannot be saved. Write it as a LearningRateSchedule with get_config."
            )
        # Keras keeps a number in float32, and so do its configs.
        (rounded,) = struct.unpack("f", struct.pack("f", self.learning_rate))
        return {
            "name": self.name,
            "learning_rate": rounded if given is None else SCHEDULES.serialize(given),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The optimizer of a config made by `get_config`, here or in Keras."""
        return cls(**config)

    def __repr__(self) -> str:
        rate = self.learning_rate if self._given is None else self._given
        return f"{type(self).__name__}(learning_rate={rate!r}, name={self.name!r})"
