"""Model: layers joined by a graph, or by your own `call`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nnkit.conventions import adopt_lists, listed, takes_several
from nnkit.errors import ArgumentError, GraphError, NotBuiltError, ShapeError, unknown_name
from nnkit.graph import Graph
from nnkit.layer import Layer
from nnkit.legacy import accept_old_calls
from nnkit.masks import attach_mask
from nnkit.models.door import Door
from nnkit.models.inner_inputs import begun_anew
from nnkit.models.legacy import OldMethods
from nnkit.models.written import Written
from nnkit.modes import join_mode
from nnkit.naming import auto_name
from nnkit.probing import placeholders
from nnkit.saving import export, load_weights, save_weights
from nnkit.summary import print_summary
from nnkit.symbolic import Function, SymbolicTensor, record
from nnkit.tracing import is_traced, unpacked
from nnkit.training.trainer import Trainer
from nnkit.tree import flatten, map_structure
from nnkit.wrapper import as_layer

__all__ = ["Model"]


class Model(OldMethods, Written, Trainer, Layer):
    """Layers with compile, fit, evaluate, predict and summary.

    Two ways to make one: `Model(inputs, outputs)` from symbolic tensors, or a subclass with its
    layers as attributes and a `call`. (`Sequential` is the third.)

    Args:
        inputs: a symbolic tensor from `Input`, or a list, tuple or dict of them.
        outputs: what layers made of them, nested as you like.
        name: of the model.

    Attributes:
        preprocessing: what pretrained weights want of pictures, see `nnkit.applications`.

    Raises: GraphError when the outputs do not depend on these inputs, or two layers share a name.
    """

    preprocessing: str | None = None

    def __init__(
        self, inputs: Any = None, outputs: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> None:
        if name is None and inputs is not None and type(self) is Model:
            name = auto_name("functional")
        super().__init__(name=name, **kwargs)
        self._graph: Graph | None = None
        self._doors: list[Any] = []
        self._init_trainer()
        if (inputs is None) != (outputs is None):
            raise GraphError(f"{self.label} needs both inputs and outputs, or neither.")
        if inputs is not None:
            self._set_graph(Graph(*begun_anew(inputs, outputs)))

    def _set_graph(self, graph: Graph) -> None:
        self._graph = graph
        self.autocast = False  # each layer casts what it gets
        for op in graph.operations:
            if isinstance(op, Function):
                continue
            known = self._modules.get(op.key)
            module = _bare(op)
            if known is not None and known is not module:
                raise GraphError(
                    f"Two layers of {self.name!r} are called {op.name!r}. "
                    f"Give one of them another name=."
                )
            self._modules[op.key] = module
        for key, tensor in graph.constants.items():
            if isinstance(tensor, nn.Parameter):
                self._parameters[key] = tensor
            else:
                self.register_buffer(key, tensor)
        self._doors = [Door(tensor) for tensor in graph.flat_inputs]
        self._adopt_mode()
        self.built = True

    def __setattr__(self, name: str, value: Any) -> None:
        old = self.__dict__.get("_modules", {}).get(name)
        if old is not None and isinstance(value, nn.Module) and value is not old:
            self._replace(name, old, value)
            value = _bare(as_layer(value))
        super().__setattr__(name, value)

    def _replace(self, name: str, old: nn.Module, new: nn.Module) -> None:
        """Let a module assigned over a layer of the graph take its place and its name there."""
        graph = self._graph
        if graph is not None and any(op is as_layer(old) for op in graph.operations):
            as_layer(new).name = as_layer(old).name
            self._graph = graph.with_replaced(as_layer(old), as_layer(new))

    @property
    def scope(self) -> str | None:
        """The name that begins the paths of the weights: that of a subclass, not of a graph."""
        return self.name if self._graph is None else None

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        # After .double() or .to(torch.bfloat16) the inputs are cast to what the weights are now.
        super()._apply(fn, recurse)
        kinds = {p.dtype for p in self.parameters() if p.is_floating_point()}
        for door in self._doors:
            if door.declared.is_floating_point and len(kinds) == 1:
                door.dtype = next(iter(kinds))
        return self

    def _registered(self) -> list[str]:
        constants = () if self._graph is None else self._graph.constants
        return [key for key in super()._registered() if key not in constants]

    def _reads_weights(self) -> bool:
        return self._graph is None and super()._reads_weights()

    def _adopt_mode(self) -> None:
        for child in self.children():
            join_mode(child, self)

    def build(self, input_shape: Any) -> None:
        """Make all weights for an input shape (batch axis included), by a symbolic call."""
        if self._graph is None:
            self.built = True
            adopt_lists(self)
            self(placeholders(input_shape))

    def _build_once(self, shapes: list[Any], args: Any, kwargs: dict[str, Any]) -> None:
        if not self.built and type(self).build is Model.build and takes_several(type(self).call):
            adopt_lists(self)
            self.built = True  # one shape would not do: its layers build themselves in the call
        super()._build_once(shapes, args, kwargs)

    def call(self, inputs: Any, *more: Any) -> Any:
        if self._graph is None:
            self._finish_for_call()
        graph: Any = self._graph
        doors, steps = self._doors, None
        if len(doors) == 1 and isinstance(inputs, torch.Tensor) and not more:
            tensors = [doors[0](inputs, self)]  # most calls
        elif is_traced(inputs):
            tensors = [inputs] if len(doors) == 1 else unpacked(inputs, graph.inputs)
            steps = graph.at_doors()
        else:
            tensors = self._matched((inputs, *more) if more else inputs)
            tensors = [door(each, self) for door, each in zip(doors, tensors, strict=True)]
        graph = self._graph  # a door may have made a wider one
        constants = {key: getattr(self, key) for key in graph.constants} if graph.constants else {}
        outputs, masks = graph.run(self._modules, constants, tensors, steps)
        if graph.has_masks:
            for output, mask in zip(flatten(outputs), masks, strict=True):
                attach_mask(output, mask)
        return outputs

    def _finish_for_call(self) -> None:
        """Make the graph that a call needs."""
        raise NotBuiltError(
            f"{self.label} does not know what to compute. Write a call(self, inputs) method, "
            f"or make it with Model(inputs, outputs)."
        )

    def _admits(self, shape: tuple[int, ...]) -> bool:
        """Whether a shape that the inputs do not name is good all the same."""
        return False

    def _matched(self, inputs: Any) -> list[Any]:
        """What was given for each input, in order."""
        doors = self._doors
        if isinstance(inputs, dict):
            names = [door.name for door in doors]
            keys = sorted(self._graph.inputs) if isinstance(self._graph.inputs, dict) else names  # type: ignore[union-attr]
            missing = [key for key in keys if key not in inputs]
            if missing:
                raise ArgumentError(
                    f"{self.label} takes inputs named {', '.join(keys)}, but received "
                    f"{', '.join(map(str, inputs))}: {missing[0]!r} is missing."
                )
            tensors = [inputs[key] for key in keys]
        else:
            tensors = flatten(inputs)
        if len(tensors) != len(doors):
            raise ShapeError(
                f"{self.label} takes {len(doors)} input{'s' * (len(doors) > 1)} "
                f"({', '.join(door.name for door in doors)}) but received {len(tensors)}."
            )
        return tensors

    def _call_symbolic(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outputs = super()._call_symbolic(args, kwargs)
        for tensor in flatten(outputs):
            if type(tensor) is SymbolicTensor and hasattr(tensor.probes[0], "_keras_mask"):
                attach_mask(tensor, record(Function(_output_mask), (tensor,), {}))
        return outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The outputs' masks are part of the graph; a caller of the graph reads them off."""
        return None

    # -- looking inside ------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers at the top, in Keras's order; torch modules come in their wrappers."""
        adopt_lists(self)
        if self._graph is not None:  # what else a subclass holds is none of them
            operations = self._graph.operations
            return [op for op in operations if not isinstance(op, Function)]
        found = [
            as_layer(each)
            for child in self._modules.values()
            if child is not None and not isinstance(child, nn.modules.loss._Loss)
            for each in listed(child)
        ]
        return list(dict.fromkeys(found))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name, or by its place in `layers`.

        Raises: ArgumentError naming the nearest names when there is none.
        """
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise unknown_name(
                    f"layer index of {self.name!r}", index, map(str, range(len(self.layers)))
                )
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        if name is None:
            raise ArgumentError("get_layer needs a name or an index.")
        raise unknown_name(f"layer of {self.name!r}", name, (layer.name for layer in self.layers))

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic inputs, flat."""
        return self._need_graph("inputs").flat_inputs

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The symbolic outputs, flat."""
        return self._need_graph("outputs").flat_outputs

    @property
    def input(self) -> Any:
        """The symbolic input, or the nesting of them."""
        return self._need_graph("input").inputs

    @property
    def output(self) -> Any:
        """The symbolic output, or the nesting of them."""
        return self._need_graph("output").outputs

    @property
    def input_shape(self) -> Any:
        """The input's shape, None where free, or the nesting of shapes."""
        return _shapes(self._need_graph("input_shape").inputs)

    @property
    def output_shape(self) -> Any:
        """The output's shape, None where free, or the nesting of shapes."""
        return _shapes(self._need_graph("output_shape").outputs)

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs."""
        return [tensor.node.op.name for tensor in self.outputs]

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return [tensor.node.op.name for tensor in self.inputs]

    def _need_graph(self, what: str) -> Graph:
        if self._graph is None:
            raise NotBuiltError(
                f"{self.label} has no {what}: it has not seen an input shape. Start it with "
                f"Input(shape=...), or make it with Model(inputs, outputs)."
            )
        return self._graph

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights to a file: .weights.h5 (Keras's layout), .pt or .safetensors.

        The file is whole or not there: it is written beside its place and moved into it.
        """
        save_weights(self, filepath, overwrite)

    def load_weights(
        self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False
    ) -> None:
        """Read weights from such a file.

        Args:
            filepath: ending in .weights.h5, .h5 (of older Keras too), .pt or .safetensors.
            skip_mismatch: whether to load what fits and warn of the rest.
            by_name: whether to load just the layers that the file has by the same name.

        Raises: FileError listing all that does not fit; the model is unchanged then.
        """
        load_weights(self, filepath, skip_mismatch, by_name)

    def export(
        self, filepath: Any, format: str | None = None, verbose: bool | None = None,
        input_signature: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Write the model as a program that runs without this package: .onnx or .pt2.

        Args and Raises: see `nnkit.saving.export`.
        """
        export(self, filepath, format, verbose, input_signature, **kwargs)

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers, their output shapes and parameter counts.

        Args:
            line_length: width in characters; the terminal's, at most 88 or 108, when None.
            positions: where columns end, as fractions of the width.
            print_fn: called with the text instead of print.
            expand_nested: also show the layers of nested models.
            show_trainable: add a column Y or N.
            layer_range: (first, last) layer names, both included.
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )


accept_old_calls(Model)


def _output_mask(output: torch.Tensor) -> Any:
    """The mask that an inner model left on its output."""
    return getattr(output, "_keras_mask", None)


def _shapes(tree: Any) -> Any:
    """The shapes of the tensors; of a single one without its list or dict, as in Keras."""
    leaves = flatten(tree)
    return leaves[0].shape if len(leaves) == 1 else map_structure(lambda t: t.shape, tree)


def _bare(op: Any) -> nn.Module:
    """What the model registers: a wrapped torch module itself, so that state_dict stays torch's."""
    wrapped = getattr(op, "module", None)
    plain = type(op).__name__ == "TorchModuleWrapper" and op.data_format is None
    return wrapped if plain and wrapped is not None else op
