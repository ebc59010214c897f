"""Layers around a layer: TimeDistributed, Bidirectional."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from nnkit.arguments import one_of
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layer import Layer
from nnkit.layers.batch_normalization import BatchNormalization
from nnkit.serialization import serialize_keras_object
from nnkit.shapes import describe
from nnkit.tree import flatten, map_structure
from nnkit.wrapper import as_layer

__all__ = ["Bidirectional", "TimeDistributed", "Wrapper"]


class Wrapper(Layer):
    """Base of layers that hold another one and use it in their own way.

    Args:
        layer: the layer held, or any torch module.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, nn.Module):
            raise ArgumentError(f"{self.label} needs a layer or torch module, got {layer!r}.")
        self.layer = as_layer(layer)

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.check_input(input_shape)
            self.layer.build(input_shape)
            self.layer.built = True


class TimeDistributed(Wrapper):
    """Apply a layer to each time step on its own, with the same weights.

    The batch and time axes are folded into one, so that the layer runs once for all steps. Batch
    normalization in training goes from step to step, since it looks at each step's batch.

    Args:
        layer: a layer, model or torch module for one step, (batch, ...).

    Shape: (batch, time, ...) -> (batch, time, ...), or a nesting of them
    Raises: ShapeError for inputs of fewer than three axes.
    """

    supports_masking = True

    def check_input(self, shape: Any) -> None:
        for one in _shapes(shape):
            if len(one) < 3:
                raise ShapeError(
                    f"{self.label} expects (batch, time, ...) with at least one more axis but "
                    f"received {describe(one)}. Use {self.layer.label} alone, or add an axis "
                    f"with Reshape(...)."
                )

    def build(self, input_shape: Any = None) -> None:
        # With sizes that are known the layer builds itself on the folded data.
        steps = [(None, *one[2:]) for one in _shapes(input_shape)]
        if not self.layer.built and any(None in one[1:] for one in steps):
            self.layer.compute_output_shape(steps[0] if len(steps) == 1 else steps)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        first = flatten(inputs)[0]
        batch, time = first.shape[:2]
        if isinstance(mask, torch.Tensor) and mask.shape[:2] != first.shape[:2]:
            raise ShapeError(
                f"{self.label} needs a mask of shape (batch, time, ...), beginning with "
                f"{tuple(first.shape[:2])}, but received {tuple(mask.shape)}."
            )
        # A mask of whole steps says nothing about the axes inside a step.
        inner = isinstance(mask, torch.Tensor) and (mask.ndim > 2 or first.ndim == 3)

        def run(part: Callable[[torch.Tensor], torch.Tensor]) -> Any:
            taken = map_structure(part, inputs)
            if inner:
                taken._keras_mask = part(mask)
            return self.layer(taken)

        if self.layer.training and not first.is_meta and _looks_at_batches(self.layer):
            steps = [run(partial(torch.select, dim=1, index=at)) for at in range(time)]
            return map_structure(lambda *each: torch.stack(each, 1), *steps)
        folded = run(lambda x: x.flatten(0, 1))
        return map_structure(lambda y: y.unflatten(0, (batch, time)), folded)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask given; one that reaches into the steps goes through the layer inside.

        Where that gives no mask, a step counts if anything in it does.
        """
        if mask is None or isinstance(mask, (list, tuple)) or mask.ndim < 3:
            return mask
        inner = self.layer.compute_mask(inputs.flatten(0, 1), mask.flatten(0, 1))
        inner = inner[0] if isinstance(inner, (list, tuple)) else inner
        if inner is None:
            return mask.flatten(2).any(-1)
        return inner.unflatten(0, (mask.size(0), mask.size(1)))


def _looks_at_batches(module: nn.Module) -> bool:
    """Whether anything in it normalizes by what is in the batch."""
    kinds = (BatchNormalization, nn.modules.batchnorm._BatchNorm)
    return any(isinstance(each, kinds) and each.training for each in module.modules())


class Bidirectional(Layer):
    """Run one recurrent layer forwards and a second one backwards, and merge their outputs.

    Args:
        layer: a layer such as LSTM(32), not used itself: both layers are made anew from its
            arguments, with "forward_" and "backward_" before its name.
        merge_mode: "concat", "sum", "mul", "ave", or None for the two outputs.
        weights: the first weights, those of the forward layer first.
        backward_layer: runs backwards instead; the same options, and go_backwards=True.

    Shape: (batch, time, features) -> (batch, 2 units) or (batch, time, 2 units) for "concat"
    Raises: ArgumentError for layers that do not go together.
    Source: Schuster and Paliwal, 1997.
    """

    supports_masking = True

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        modes = ("concat", "sum", "mul", "ave", None)
        self.merge_mode = one_of(self.label, "merge_mode", merge_mode, modes)
        for given in (layer, layer if backward_layer is None else backward_layer):
            if not isinstance(given, Layer) or not hasattr(given, "go_backwards"):
                raise ArgumentError(
                    f"{self.label} needs a recurrent layer such as LSTM(32), got {given!r}."
                )
        name = layer.name
        self.forward_layer = _remade(layer, name=f"forward_{name.removeprefix('forward_')}")
        if backward_layer is None:
            name = f"backward_{name.removeprefix('backward_')}"
            backward_layer = _remade(layer, name=name, go_backwards=True)
        self.backward_layer = backward_layer
        self._check_pair()
        self.return_sequences = self.forward_layer.return_sequences
        self.return_state = self.forward_layer.return_state
        self.stateful = self.forward_layer.stateful
        for one in (self.forward_layer, self.backward_layer):
            # The outputs held at masked steps are not the same ones in the two directions.
            one.zero_output_for_mask = self.return_sequences
        self._first_weights = weights

    def _check_pair(self) -> None:
        one, other = self.forward_layer, self.backward_layer
        if one.go_backwards == other.go_backwards:
            raise ArgumentError(
                f"{self.label} needs one layer for each direction, but both have "
                f"go_backwards={one.go_backwards}."
            )
        for option in ("stateful", "return_sequences", "return_state"):
            if getattr(one, option) != getattr(other, option):
                raise ArgumentError(
                    f"{self.label} needs the same {option} in both layers, got "
                    f"{getattr(one, option)} forwards and {getattr(other, option)} backwards."
                )

    def check_input(self, shape: Any) -> None:
        self.forward_layer.check_input(shape)

    def build(self, input_shape: Any) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(input_shape)
        if self._first_weights is not None:
            self.set_weights(self._first_weights)
            self._first_weights = None

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None) -> Any:
        layers = (self.forward_layer, self.backward_layer)
        given: list[dict[str, Any]] = [{}, {}]
        if mask is not None:
            given = [{"mask": mask} if "mask" in layer._takes else {} for layer in layers]
        if initial_state is not None:
            if not isinstance(initial_state, (list, tuple)):
                raise ArgumentError(
                    f"{self.label} needs a list as initial_state: the forward layer's states, "
                    f"then the backward layer's. Got one {type(initial_state).__name__}."
                )
            half = len(initial_state) // 2
            given[0]["initial_state"] = initial_state[:half]
            given[1]["initial_state"] = initial_state[half:]
        forward, backward = (
            layer(sequences, **more) for layer, more in zip(layers, given, strict=True)
        )
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*forward[1:], *backward[1:])
            forward, backward = forward[0], backward[0]
        if self.return_sequences:
            backward = backward.flip(1)
        outputs = self._merge(forward, backward)
        if not self.return_state and len(outputs) == 1:
            return outputs[0]
        return (*outputs, *states)

    def _merge(self, forward: torch.Tensor, backward: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self.merge_mode is None:
            return forward, backward
        if self.merge_mode == "concat":
            return (torch.cat([forward, backward], -1),)
        if self.merge_mode == "mul":
            return (forward * backward,)
        total = forward + backward
        return (total / 2 if self.merge_mode == "ave" else total,)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if mask is None or not self.return_sequences:
            return None
        return (mask, mask) if self.merge_mode is None else mask

    @property
    def states(self) -> list[torch.Tensor] | None:
        """The states that stateful layers keep, those of the forward layer first."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return None if forward is None or backward is None else [*forward, *backward]

    def reset_state(self) -> None:
        """Set the states of stateful layers to zero."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.forward_layer)}


def _remade(layer: Layer, **changes: Any) -> Any:
    """A new layer made with the arguments of this one, but for the changes."""
    kind = type(layer)
    changes["trainable"] = layer.trainable
    if kind.get_config is not Layer.get_config:
        return kind.from_config({**layer.get_config(), **changes})
    # A config would lose initializers and activations that are plain functions.
    args, kwargs = map_structure(_anew, layer._init_args)
    names = list(inspect.signature(kind.__init__).parameters)[1:]
    return kind(**{**dict(zip(names, args, strict=False)), **kwargs, **changes})


def _anew(argument: Any) -> Any:
    """A new cell like the one given to a layer; anything else as it is."""
    if not isinstance(argument, Layer):
        return copy.deepcopy(argument) if isinstance(argument, nn.Module) else argument
    kind = type(argument)
    if kind.get_config is not Layer.get_config:
        return kind.from_config(argument.get_config())
    args, kwargs = map_structure(_anew, argument._init_args)
    made = kind(*args, **kwargs)
    made.name, made.trainable = argument.name, argument.trainable
    return made


def _shapes(shape: Any) -> list[tuple[int | None, ...]]:
    """The shapes in a nesting of them."""
    if isinstance(shape, dict):
        return [one for value in shape.values() for one in _shapes(value)]
    if isinstance(shape, (list, tuple)) and any(isinstance(s, (list, tuple, dict)) for s in shape):
        return [one for value in shape for one in _shapes(value)]
    return [tuple(shape)]
