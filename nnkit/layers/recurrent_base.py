"""What recurrent layers share: cells with gates, first states, states that are kept, masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from nnkit import activations
from nnkit.arguments import one_of, positive
from nnkit.errors import ShapeError
from nnkit.layer import Layer
from nnkit.layers.cell_dropout import CellDropout
from nnkit.layers.recurrent_kernels import (
    Cell,
    Kernel,
    Options,
    States,
    Wanted,
    first_states,
    fused,
    fused_masked,
    listed,
    nested,
    run_cell,
    step_by_step,
)
from nnkit.layouts import DENSE, SAME, Layout
from nnkit.shapes import describe
from nnkit.tree import flatten, map_structure
from nnkit.weights import keras_view

__all__ = ["Gated", "Recurrent", "TimeLayer"]


class Gated(CellDropout, Cell):
    """Base of cells with gates: their matrices lie side by side in one weight.

    Torch's fused kernel runs wherever the options allow it. Elsewhere (other activations,
    recurrent dropout in training, use_cudnn=False) a loop over the steps gives the same numbers.
    A subclass has gates, states, a `step`, and a `fused_kernel` that does the same.

    Attributes:
        gates: matrices that lie side by side in a weight.
        state_names: the states of a sample, the output first.
        weight_layout, bias_layout: how torch stores them.
    """

    accepts = "(batch, features)"
    fixes = "features"
    state_names: ClassVar[tuple[str, ...]] = ("state_h",)
    size_name: ClassVar[str] = "units"
    weight_layout: ClassVar[Layout] = DENSE
    bias_layout: ClassVar[Layout] = SAME
    features_axis: int = -1
    use_cudnn: bool | str = "auto"
    bias_initializer: Any
    zero_bias: torch.Tensor
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
        dropouts: Sequence[Any],
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Keras's ways to multiply the matrices. Here the fastest that fits is always taken.
        one_of(self.label, "implementation", implementation, (0, 1, 2))
        self.units = positive(self.label, self.size_name, units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.set_options("kernel", *kernel)
        self.set_options("recurrent", *recurrent)
        self.set_options("bias", *bias)
        self.set_dropout(*dropouts)
        for name in ("weight_ih", "weight_hh", "bias"):
            self.register_parameter(name, None)

    # -- what a subclass writes ----------------------------------------------------------------

    def fused_kernel(self) -> Kernel | None:
        """Torch's kernel for these options, or None."""
        return None

    def step(self, x: torch.Tensor, states: States, drops: torch.Tensor | None) -> States:
        """The next states.

        Args:
            x: the projected input of a step, (batch, gates * units).
            states: before the step.
            drops: factors of the recurrent dropout, (gates, batch, units).
        """
        raise NotImplementedError(f"{type(self).__name__} has no step().")

    def kernel_shape(self, inputs: int) -> tuple[int, ...]:
        """The shape of a kernel over this many features, in Keras's layout."""
        return (inputs, self.gates * self.units)

    def state_shape(self) -> tuple[int, ...]:
        """The shape of a state, without batch."""
        return (self.units,)

    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias in Keras's layout."""
        return (self.gates * self.units,)

    def make_bias(self) -> Any:
        """What makes the first values of the bias."""
        return self.bias_initializer

    def biases(self) -> tuple[torch.Tensor, ...]:
        """The input's and the recurrent bias, or nothing."""
        return () if self.bias is None else (self.bias, self.zero_bias)

    def multiply(self, x: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:
        """The inputs of all steps, (batch, time, features), times a kernel, plus a bias."""
        return F.linear(x, weight, bias)

    def project_state(self, state: torch.Tensor, drops: torch.Tensor | None) -> torch.Tensor:
        """The hidden state times the recurrent kernel, without bias: (batch, gates * units)."""
        if drops is None:
            return F.linear(state, self.weight_hh)
        matrices = self.weight_hh.view(self.gates, self.units, self.units)
        return torch.bmm(state * drops, matrices.mT).transpose(0, 1).flatten(1)

    # -- weights and states --------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        layout = self.weight_layout
        shape = self.kernel_shape(input_shape[self.features_axis])
        self.weight_ih = self.add_named_weight("kernel", shape, layout)
        self.weight_hh = self._add("recurrent", self.kernel_shape(self.units), layout)
        if self.use_bias:
            self.bias = self._add("bias", self.bias_shape(), self.bias_layout, self.make_bias())
            # Torch's kernels want two biases; Keras has, counts and trains one.
            zeros = torch.zeros(self.gates * self.units, dtype=self._dtype)
            self.register_buffer("zero_bias", zeros, persistent=False)

    def _add(self, kind: str, shape: Any, layout: Layout, initializer: Any = None) -> Any:
        return self.add_weight(
            shape,
            initializer or getattr(self, f"{kind}_initializer"),
            dtype=self._dtype,
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
            name="bias" if kind == "bias" else f"{kind}_kernel",
            layout=layout,
        )

    @property
    def state_size(self) -> Any:
        """The length of the state, or a list of lengths for several."""
        several = len(self.state_names) > 1
        return [self.units] * len(self.state_names) if several else self.units

    @property
    def output_size(self) -> int:
        """The length of the output."""
        return self.units

    def get_initial_state(self, batch_size: int | None = None) -> list[torch.Tensor]:
        """Zeros for each state."""
        shape, weight = (batch_size or 0, *self.state_shape()), self.weight_ih
        dtype, device = (self._dtype, None) if weight is None else (weight.dtype, weight.device)
        return [torch.zeros(shape, dtype=dtype, device=device) for _ in self.state_names]

    def forward(self, inputs: torch.Tensor, states: Any, training: bool | None = None) -> Any:
        """One step: the output, and the new states in a list if they came in one.

        In training all steps drop the same elements, until `reset_dropout_mask()` and
        `reset_recurrent_dropout_mask()` are called.
        """
        old, batch = tuple(listed(states)), inputs.shape[0]
        shapes = [tuple(state.shape) for state in old]
        if shapes != [(batch, *self.state_shape())] * len(self.state_names):
            raise _wrong_states(self, self.get_initial_state(batch), shapes, "states")
        new = tuple(torch.empty_like(state) for state in old)
        if not inputs.is_meta:
            x = inputs.to(self.weight_ih.dtype)
            drops = self.get_dropout_mask(x) if training else None
            x = self._project(x.unsqueeze(1), drops).select(1, 0)
            new = self.step(x, old, self.get_recurrent_dropout_mask(old[0]) if training else None)
        return new[0], (list(new) if isinstance(states, (list, tuple)) else new[0])

    def run(
        self, x: torch.Tensor, states: Any, mask: Any, training: bool, wanted: Wanted
    ) -> tuple[torch.Tensor, States]:
        states = tuple(states)
        if x.is_meta:
            # The kernels run step by step there, and only the shape is wanted.
            times = x.shape[1:2] if wanted.sequences else ()
            return states[0].new_empty((x.shape[0], *times, *self.state_shape())), states
        x = x.to(self.weight_ih.dtype)
        inputs, drops = self.take_masks(x.select(1, 0), states[0]) if training else (None, None)
        kernel = self.fused_kernel() if self.use_cudnn and drops is None else None
        if kernel is None:
            x = self._project(x, inputs)
            return step_by_step(partial(self.step, drops=drops), x, states, mask, wanted)
        if inputs is not None:
            x = x * inputs.unsqueeze(1)
        weights = [self.weight_ih, self.weight_hh, *self.biases()]
        if mask is not None:
            return fused_masked(kernel, x, states, weights, mask, wanted)
        output, states = fused(kernel, x, states, weights)
        return (output if wanted.sequences else states[0]), states

    def _project(self, x: torch.Tensor, drops: torch.Tensor | None) -> torch.Tensor:
        """The inputs of all steps, of which some are dropped, times the kernel, plus the bias."""
        bias = self.biases()[0] if self.use_bias else None
        if drops is None:
            return self.multiply(x, self.weight_ih, bias)
        if drops.ndim < x.ndim:
            return self.multiply(x * drops.unsqueeze(1), self.weight_ih, bias)
        kernels = self.weight_ih.chunk(self.gates)
        offsets = [None] * self.gates if bias is None else bias.chunk(self.gates)
        gates = zip(drops.unsqueeze(2), kernels, offsets, strict=True)
        return torch.cat([self.multiply(x * kept, w, b) for kept, w, b in gates], 2)


class TimeLayer(Layer):
    """Base of layers that run a cell along time: first states, kept states, masks, directions.

    States are nested as the cell takes them, and a flat tuple while they are checked and kept.

    Attributes:
        cell: makes one step.
    """

    supports_masking = True
    cell: Any

    def set_time(self, options: Options) -> None:
        """Keep how to run along time."""
        self.return_sequences, self.return_state = options.return_sequences, options.return_state
        self.go_backwards, self.stateful = options.go_backwards, options.stateful
        self.unroll, self.zero_output_for_mask = options.unroll, options.zero_output_for_mask

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if not self.stateful:
            return
        if input_shape[0] is None:
            raise ShapeError(
                f"{self.label} is stateful and keeps a state for each sample, so it needs a "
                f"fixed batch size. Give Input(batch_size=...)."
            )
        states = first_states(self.cell, input_shape[0])
        for at, state in enumerate(flatten(states)):
            self.register_buffer(f"state_{at}", state.detach().clone(), persistent=False)
        self._nesting = map_structure(lambda state: None, states)

    def _can_autocast(self, device: str) -> bool:
        return (device, self.compute_dtype) != ("cpu", "float16")

    def _kept(self) -> States:
        return tuple(getattr(self, f"state_{at}") for at in range(len(flatten(self._nesting))))

    @property
    def states(self) -> list[Any] | None:
        """The states that a stateful layer keeps; None when it keeps none."""
        return nested(self._nesting, self._kept()) if self.stateful and self.built else None

    def reset_state(self) -> None:
        """Set the states of a stateful layer to zero."""
        for state in flatten(self.states or ()):
            state.zero_()

    reset_states = reset_state

    def check_input(self, shape: Any) -> None:
        super().check_input(shape)
        if shape[1] == 0:
            raise ShapeError(f"{self.label} needs at least one time step, got {describe(shape)}.")

    def call(
        self,
        sequences: torch.Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        states = self._first_states(sequences, initial_state)
        if mask is not None:
            mask = self._check_mask(sequences, mask)
        if self.go_backwards and not sequences.is_meta:
            sequences, mask = sequences.flip(1), None if mask is None else mask.flip(1)
        final = self.return_state or self.stateful
        wanted = Wanted(self.return_sequences, self.zero_output_for_mask, final)
        output, last = self.run_all(sequences, states, mask, bool(training), wanted)
        if self.stateful and not sequences.is_meta:
            with torch.no_grad():
                for kept, state in zip(self._kept(), last, strict=True):
                    kept.copy_(state)
        if not self.return_state:
            return output
        # A cell of several gives its one state as it is.
        told = nested(states, last)
        return output, *(s[0] if isinstance(s, list) and len(s) == 1 else s for s in told)

    def run_all(
        self, x: torch.Tensor, states: Any, mask: Any, training: bool, wanted: Wanted
    ) -> tuple[torch.Tensor, States]:
        """Run the cell over all steps."""
        return run_cell(self.cell, x, states, mask, training, wanted)

    def _first_states(self, sequence: torch.Tensor, given: Any) -> Any:
        batch = sequence.shape[0]
        if self.stateful and not sequence.is_meta and batch != len(self._kept()[0]):
            raise ShapeError(
                f"{self.label} is stateful and was built for {len(self._kept()[0])} samples at a "
                f"time, but received {batch}. Use that batch size throughout."
            )
        if given is None and self.stateful:
            # Copies, since the backward pass needs the old states after they are replaced.
            return nested(self._nesting, [state.clone() for state in self._kept()])
        states = self.start(sequence)
        if given is None:
            return states
        given = [torch.as_tensor(state, device=sequence.device) for state in flatten(given)]
        shapes = [tuple(state.shape) for state in given]
        if shapes != [tuple(state.shape) for state in flatten(states)]:
            raise _wrong_states(self, states, shapes, "initial_state")
        return map_structure(lambda new, old: new.to(old.dtype), nested(states, given), states)

    def start(self, sequence: torch.Tensor) -> Any:
        """The states that the cell starts with, for these inputs."""
        weight = next((p for p in self.parameters() if p.is_floating_point()), sequence)
        dtype = weight.dtype if weight.is_floating_point() else self._dtype
        states = first_states(self.cell, sequence.shape[0])
        return map_structure(lambda state: state.to(sequence.device, dtype), states)

    def _check_mask(self, sequence: torch.Tensor, mask: Any) -> torch.Tensor:
        mask = torch.as_tensor(mask, device=sequence.device)
        if mask.shape != sequence.shape[:2]:
            raise ShapeError(
                f"{self.label} needs a mask of shape (batch, time), {tuple(sequence.shape[:2])}, "
                f"but received {tuple(mask.shape)}."
            )
        return mask.to(torch.bool)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        output = mask if self.return_sequences else None
        none = [None] * len(listed(self.cell.state_size))
        return [output, *none] if self.return_state else output


class Recurrent(TimeLayer, Gated):
    """Base of layers that are their own cell, such as LSTM, and run it along time."""

    accepts = "(batch, time, features)"
    cell: Any = property(lambda self: self, doc="The layer itself: it has the weights.")

    def run_all(
        self, x: torch.Tensor, states: Any, mask: Any, training: bool, wanted: Wanted
    ) -> tuple[torch.Tensor, States]:
        return self.run(x, states, mask, training, wanted)

    def start(self, sequence: torch.Tensor) -> Any:
        shape = (sequence.shape[0], *self.state_shape())
        zeros = torch.zeros(shape, dtype=self.weight_ih.dtype, device=sequence.device)
        return [zeros] * len(self.state_names)

    @property
    def state_size(self) -> list[int]:
        """The length of each state."""
        return [self.units] * len(self.state_names)


def _wrong_states(layer: Layer, wanted: Any, shapes: list[Any], argument: str) -> ShapeError:
    sizes = [tuple(state.shape) for state in flatten(wanted)]
    named = sizes if len(set(sizes)) > 1 else sizes[:1]
    return ShapeError(
        f"{layer.label} needs {len(sizes)} states of shape {', '.join(map(str, named))} as "
        f"{argument}, but received {len(shapes)}: {', '.join(map(str, shapes)) or 'none'}."
    )
