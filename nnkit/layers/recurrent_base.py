"""What recurrent layers share: arguments, weights, states, masks, the choice of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F

from nnkit import activations, random
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.recurrent_kernels import Kernel, States, fused, fused_masked, step_by_step
from nnkit.layouts import DENSE, SAME, Layout
from nnkit.shapes import describe, one_of, positive
from nnkit.weights import keras_view

__all__ = ["Dropouts", "Options", "Recurrent"]


class Options(NamedTuple):
    """How a recurrent layer runs along time, and what it gives."""

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    unroll: bool


class Dropouts(NamedTuple):
    """Fractions dropped in training, the same elements in all steps, and the seed of the draw."""

    inputs: float
    recurrent: float
    seed: int | None


class Recurrent(Layer):
    """Base of SimpleRNN, LSTM and GRU.

    Torch's fused kernel runs wherever the options allow it. Elsewhere (other activations,
    recurrent dropout in training, use_cudnn=False) a loop over the steps gives the same numbers.
    A subclass has gates, states, a `step`, and a `fused_kernel` that does the same.

    Attributes:
        gates: matrices that lie side by side in a weight.
        state_names: the states of a sample, the output first.
        weight_layout, bias_layout: how torch stores them.
    """

    accepts = "(batch, time, features)"
    fixes = "features"
    supports_masking = True
    gates: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("state_h",)
    weight_layout: ClassVar[Layout] = DENSE
    bias_layout: ClassVar[Layout] = SAME
    bias_initializer: Any
    zero_bias: torch.Tensor
    state_h: torch.Tensor
    kernel = keras_view("weight_ih")
    recurrent_kernel = keras_view("weight_hh")

    def __init__(
        self,
        units: int,
        activation: Any,
        use_bias: bool,
        kernel: Sequence[Any],
        recurrent: Sequence[Any],
        bias: Sequence[Any],
        dropouts: Dropouts,
        options: Options,
        use_cudnn: bool | str,
        zero_output_for_mask: bool,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Keras's ways to multiply the matrices. Here the fastest that fits is always taken.
        one_of(self.label, "implementation", implementation, (0, 1, 2))
        self.units = positive(self.label, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.set_options("kernel", *kernel)
        self.set_options("recurrent", *recurrent)
        self.set_options("bias", *bias)
        self.dropout = self._fraction("dropout", dropouts.inputs)
        self.recurrent_dropout = self._fraction("recurrent_dropout", dropouts.recurrent)
        self.seed_generator = random.SeedGenerator(dropouts.seed)
        self.return_sequences, self.return_state = options.return_sequences, options.return_state
        self.go_backwards, self.stateful = options.go_backwards, options.stateful
        self.unroll = options.unroll
        self.use_cudnn = one_of(self.label, "use_cudnn", use_cudnn, ("auto", True, False))
        self.zero_output_for_mask = zero_output_for_mask
        for name in ("weight_ih", "weight_hh", "bias"):
            self.register_parameter(name, None)

    def _fraction(self, name: str, value: Any) -> float:
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ArgumentError(f"{self.label}: {name} must be from 0 to 1, got {value!r}.")
        return float(value)

    # -- what a subclass writes ----------------------------------------------------------------

    def fused_kernel(self) -> Kernel | None:
        """Torch's kernel for these options, or None."""
        raise NotImplementedError(f"{type(self).__name__} has no fused_kernel().")

    def step(self, x: torch.Tensor, states: States, drops: torch.Tensor | None) -> States:
        """The next states.

        Args:
            x: the projected input of a step, (batch, gates * units).
            states: before the step.
            drops: factors of the recurrent dropout, (gates, batch, units).
        """
        raise NotImplementedError(f"{type(self).__name__} has no step().")

    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias in Keras's layout."""
        return (self.gates * self.units,)

    def make_bias(self) -> Any:
        """What makes the first values of the bias."""
        return self.bias_initializer

    def biases(self) -> tuple[torch.Tensor, ...]:
        """The input's and the recurrent bias, or nothing."""
        return () if self.bias is None else (self.bias, self.zero_bias)

    # -- weights and states --------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        width = self.gates * self.units
        self.weight_ih = self.add_named_weight(
            "kernel", (input_shape[-1], width), self.weight_layout
        )
        self.weight_hh = self.add_weight(
            (self.units, width),
            self.recurrent_initializer,
            dtype=self.dtype,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
            layout=self.weight_layout,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                self.bias_shape(),
                self.make_bias(),
                dtype=self.dtype,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
                layout=self.bias_layout,
            )
            # Torch's kernels want two biases; Keras has, counts and trains one.
            zeros = torch.zeros(width, dtype=self.dtype)
            self.register_buffer("zero_bias", zeros, persistent=False)
        if self.stateful:
            if input_shape[0] is None:
                raise ShapeError(
                    f"{self.label} is stateful and keeps a state for each sample, so it needs a "
                    f"fixed batch size. Give Input(batch_size=...)."
                )
            for name in self.state_names:
                zeros = torch.zeros(input_shape[0], self.units, dtype=self.dtype)
                self.register_buffer(name, zeros, persistent=False)

    @property
    def state_size(self) -> list[int]:
        """The length of each state."""
        return [self.units] * len(self.state_names)

    @property
    def states(self) -> list[torch.Tensor] | None:
        """The states that a stateful layer keeps; None when it keeps none."""
        if not self.stateful or not self.built:
            return None
        return [getattr(self, name) for name in self.state_names]

    def get_initial_state(self, batch_size: int) -> list[torch.Tensor]:
        """Zeros for each state."""
        device = None if self.weight_ih is None else self.weight_ih.device
        return [
            torch.zeros(batch_size, units, dtype=self.dtype, device=device)
            for units in self.state_size
        ]

    def reset_state(self) -> None:
        """Set the states of a stateful layer to zero."""
        for state in self.states or ():
            state.zero_()

    reset_states = reset_state

    # -- the call ------------------------------------------------------------------------------

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        if shape[1] == 0:
            raise ShapeError(f"{self.label} needs at least one time step, got {describe(shape)}.")

    def call(
        self,
        sequence: torch.Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        states = self._first_states(sequence, initial_state)
        if mask is not None:
            mask = self._check_mask(sequence, mask)
        if sequence.device.type == "meta":
            # The kernels run step by step there, and only the shape is wanted.
            times = sequence.shape[1:2] if self.return_sequences else ()
            output = states[0].new_empty((sequence.shape[0], *times, self.units))
        else:
            x = sequence.to(self.weight_ih.dtype)
            output, states = self._run(x, states, mask, bool(training))
            if self.stateful:
                self._keep(states)
        return (output, *states) if self.return_state else output

    def _first_states(self, sequence: torch.Tensor, given: Any) -> States:
        batch, like = sequence.shape[0], self.weight_ih
        if self.stateful and sequence.device.type != "meta" and batch != len(self.state_h):
            raise ShapeError(
                f"{self.label} is stateful and was built for {len(self.state_h)} samples at a "
                f"time, but received {batch}. Use that batch size throughout."
            )
        if given is None and self.stateful:
            # Copies, since the backward pass needs the old states after they are replaced.
            return tuple(state.clone() for state in self.states or ())
        if given is None:
            zeros = torch.zeros(batch, self.units, dtype=like.dtype, device=sequence.device)
            return (zeros,) * len(self.state_names)
        given = list(given) if isinstance(given, (list, tuple)) else [given]
        given = [torch.as_tensor(state, device=sequence.device) for state in given]
        shapes = [tuple(state.shape) for state in given]
        wanted = [(batch, self.units)] * len(self.state_names)
        if shapes != wanted:
            raise ShapeError(
                f"{self.label} needs {len(wanted)} states of shape {wanted[0]} as initial_state, "
                f"but received {len(given)}: {', '.join(map(str, shapes)) or 'none'}."
            )
        return tuple(state.to(like.dtype) for state in given)

    def _check_mask(self, sequence: torch.Tensor, mask: Any) -> torch.Tensor:
        mask = torch.as_tensor(mask, device=sequence.device)
        if mask.shape != sequence.shape[:2]:
            raise ShapeError(
                f"{self.label} needs a mask of shape (batch, time), {tuple(sequence.shape[:2])}, "
                f"but received {tuple(mask.shape)}."
            )
        return mask.to(torch.bool)

    def _run(
        self, x: torch.Tensor, states: States, mask: torch.Tensor | None, training: bool
    ) -> tuple[torch.Tensor, States]:
        if self.go_backwards:
            x, mask = x.flip(1), None if mask is None else mask.flip(1)
        sequences, zeros = self.return_sequences, self.zero_output_for_mask
        dropping = training and self.recurrent_dropout > 0
        kernel = self.fused_kernel() if self.use_cudnn and not dropping else None
        if kernel is None:
            drops = self._recurrent_drops(states[0]) if dropping else None
            x = self._project(x, training, dropping)
            step = partial(self.step, drops=drops)
            return step_by_step(step, x, states, mask, sequences=sequences, zeros=zeros)
        if training and self.dropout > 0:
            x = self._drop(x)
        weights = [self.weight_ih, self.weight_hh, *self.biases()]
        if mask is None:
            output, states = fused(kernel, x, states, weights)
            return (output if sequences else states[0]), states
        final = self.return_state or self.stateful
        return fused_masked(
            kernel, x, states, weights, mask, sequences=sequences, zeros=zeros, final=final
        )

    def _project(self, x: torch.Tensor, training: bool, dropping: bool) -> torch.Tensor:
        """The inputs of all steps times the kernel, plus the bias."""
        bias = self.biases()[0] if self.use_bias else None
        if not training or self.dropout == 0:
            return F.linear(x, self.weight_ih, bias)
        if not dropping:
            return F.linear(self._drop(x), self.weight_ih, bias)
        # With recurrent dropout Keras drops other inputs for each gate.
        gates = [F.linear(self._drop(x), w) for w in self.weight_ih.chunk(self.gates)]
        projected = torch.cat(gates, -1)
        return projected if bias is None else projected + bias

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        return random.dropout(x, self.dropout, (None, 1, None), self.seed_generator)

    def _recurrent_drops(self, state: torch.Tensor) -> torch.Tensor:
        ones = state.new_ones(self.gates, *state.shape)
        return random.dropout(ones, self.recurrent_dropout, seed=self.seed_generator)

    def project_state(self, state: torch.Tensor, drops: torch.Tensor | None) -> torch.Tensor:
        """The hidden state times the recurrent kernel, without bias: (batch, gates * units)."""
        if drops is None:
            return F.linear(state, self.weight_hh)
        matrices = self.weight_hh.view(self.gates, self.units, self.units)
        return torch.bmm(state * drops, matrices.mT).transpose(0, 1).flatten(1)

    def _keep(self, states: States) -> None:
        with torch.no_grad():
            for name, state in zip(self.state_names, states, strict=True):
                getattr(self, name).copy_(state)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        output = mask if self.return_sequences else None
        return [output, *(None for _ in self.state_names)] if self.return_state else output
