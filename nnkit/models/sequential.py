"""Sequential: one layer after the other."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import nn

from nnkit.conventions import as_shape
from nnkit.custom_objects import supplying
from nnkit.errors import ArgumentError, GraphError, NotBuiltError, ShapeError
from nnkit.graph import Graph
from nnkit.layer import Layer
from nnkit.layer_config import config_of, readable
from nnkit.layers.input import InputLayer
from nnkit.layers.text import StringLookup, TextVectorization
from nnkit.models.configs import layer_of
from nnkit.models.model import Model, _bare
from nnkit.modes import join_mode
from nnkit.naming import auto_name
from nnkit.serialization import serialize_keras_object
from nnkit.symbolic import SymbolicTensor
from nnkit.wrapper import as_layer

__all__ = ["Sequential"]


class Sequential(Model):
    """A stack of layers, each fed with the output of the one before.

    Args:
        layers: layers, models, torch modules; the first may be an Input.
        name: of the model.

    With an Input (or `input_shape=` on the first layer) each layer is checked as it is added.
    Without one the model builds itself on the first data.

    Example: `Sequential([Input((784,)), Dense(300, "relu"), Dense(10, "softmax")])`
    """

    def __init__(
        self, layers: Sequence[Any] | None = None, name: str | None = None, **kw: Any
    ) -> None:
        super().__init__(name=name, **kw)
        self._stack: list[Layer] = []
        self._entrance: InputLayer | None = None
        self._tip: Any = None
        self._self_built = False
        if isinstance(layers, (nn.Module, SymbolicTensor)):
            raise ArgumentError(f"Sequential takes a list of layers: [{layers!r}].")
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._finish()

    @property
    def scope(self) -> str | None:
        return self.name

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer at the end.

        Raises: ArgumentError for something that is no layer; GraphError for a name used twice;
            ShapeError when it does not fit what comes before it.
        """
        if isinstance(layer, SymbolicTensor) and isinstance(layer.node.op, InputLayer):
            layer = layer.node.op
        if isinstance(layer, type):
            raise ArgumentError(f"{layer.__name__} is a class: write {layer.__name__}(...).")
        if not isinstance(layer, nn.Module):
            advice = "Wrap a function in Lambda(...)." if callable(layer) else "Give a layer."
            if isinstance(layer, str):
                advice = f"Write Activation({layer!r})."
            if isinstance(layer, SymbolicTensor):
                advice = "Give the layer itself, not its output, or use Model(inputs, outputs)."
            raise ArgumentError(f"Sequential cannot add {layer!r}. {advice}")
        if isinstance(layer, InputLayer):
            if self._entrance is not None or self._stack:
                raise ArgumentError(f"{self.label} can have one Input, as its first layer.")
            self._enter(layer)
            return
        layer = as_layer(layer)
        if isinstance(layer, (StringLookup, TextVectorization)):
            layer.check_input(())  # which says that words are no tensors
        if any(layer.key == other.key for other in self._stack):
            raise GraphError(
                f"Two layers of {self.name!r} are called {layer.name!r}. "
                f"Give one another name=; to use one layer twice, use Model(inputs, outputs)."
            )
        if not self._stack and self._entrance is None:
            shape = _known_shape(layer)
            if shape is not None:
                self._enter(InputLayer(batch_shape=shape, dtype=_input_dtype(layer)))
        if self._tip is not None:
            self._tip = layer(self._tip)
        self._stack.append(layer)
        self._modules[layer.key] = _bare(layer)
        join_mode(layer, self)
        self._graph = None
        self.built = self._tip is not None
        self._inbound_nodes.clear()
        if rebuild:
            self._finish()

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer off and return it."""
        if not self._stack:
            raise ArgumentError(f"{self.label} has no layer to pop.")
        last = self._stack.pop()
        del self._modules[last.key]
        if self._tip is not None:
            node = self._tip.node if isinstance(self._tip, SymbolicTensor) else None
            self._tip = node.args[0] if node is not None else None
            last._inbound_nodes.pop()
        self._graph = None
        if rebuild:
            self._finish()
        return last

    def _replace(self, name: str, old: nn.Module, new: nn.Module) -> None:
        old_layer, layer = as_layer(old), as_layer(new)
        if old_layer in self._stack:
            layer.name = old_layer.name
            self._stack[self._stack.index(old_layer)] = layer
            super()._replace(name, old, new)
            self._tip = None if self._graph is None else self._graph.outputs

    def _enter(self, layer: InputLayer) -> None:
        self.__dict__["_entrance"] = layer  # not a child: it joins the modules with the graph
        self._tip = layer.output
        self.built = False

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for an input shape, batch axis included."""
        if self._tip is None and input_shape is not None:
            self._enter(InputLayer(batch_shape=(None, *tuple(input_shape)[1:])))
            self._self_built = True
            for layer in self._stack:
                self._tip = layer(self._tip)
        self._finish()

    def _admits(self, shape: tuple[int, ...]) -> bool:
        """Built on data and not from an Input, it fixes only the axes that its layers need."""
        entrance = self._entrance
        if not self._self_built or entrance is None or len(shape) != len(entrance.batch_shape):
            return False
        if torch.compiler.is_compiling():
            return True
        pairs = zip(shape, entrance.batch_shape, strict=True)
        wider = tuple(known if size == known else None for size, known in pairs)
        before = {layer: list(layer._inbound_nodes) for layer in self._stack}
        try:
            self._chain((None, *shape[1:]))  # do the layers take it?
            for layer in self._stack:
                layer._inbound_nodes.clear()  # `layer.output` is that of the first
            opened, tip = self._chain(wider)
        except ShapeError:
            for layer, nodes in before.items():
                layer._inbound_nodes[:] = nodes
            return False
        self._enter(opened)
        self._tip = tip
        self._modules[entrance.key] = opened
        self._set_graph(Graph(opened.output, tip))
        return True

    def _chain(self, shape: Any) -> tuple[InputLayer, Any]:
        """An entrance of this shape like the present one, and what the layers make of it."""
        entrance: Any = self._entrance
        opened = InputLayer(batch_shape=shape, dtype=entrance.output.dtype, name=entrance.name)
        tip = opened.output
        for layer in self._stack:
            tip = layer(tip)
        return opened, tip

    def _finish(self) -> Graph | None:
        """The graph, made when it is first needed, since `add` changes it."""
        entrance = self._entrance
        if self._graph is None and self._stack and self._tip is not None and entrance is not None:
            self._modules.pop(entrance.key, None)
            self._set_graph(Graph(entrance.output, self._tip))
            auto_name("functional")  # Keras counts the functional model inside a Sequential
            order: list[Layer] = [entrance, *self._stack]
            self._modules = {layer.key: _bare(layer) for layer in order}
        return self._graph

    def _finish_for_call(self) -> None:
        if not self._stack:
            raise NotBuiltError(f"{self.label} has no layers. Add some with .add(layer).")
        if self._finish() is None:
            super()._finish_for_call()

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the Input."""
        return list(self._stack)

    def __getstate__(self) -> dict[str, Any]:
        self._finish()
        return {**super().__getstate__(), "_tip": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._tip = None if self._graph is None else self._graph.outputs

    _keras_class = None

    def get_config(self) -> dict[str, Any]:
        """The layers in order, with the Input."""
        if not _takes_layers(type(self)):
            return super().get_config()
        entrance = [] if self._entrance is None else [self._entrance]
        config = config_of(self)
        config["layers"] = [serialize_keras_object(layer) for layer in [*entrance, *self._stack]]
        if self._entrance is not None:
            config["build_input_shape"] = self._entrance.batch_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """A new model from `get_config()`, nnkit's or Keras's."""
        with supplying(custom_objects):
            if "layers" not in config:
                return cls(**readable(cls, config))
            layers = [layer_of(entry) for entry in config["layers"]]
            made = cls(layers, name=config.get("name"))
            if config.get("trainable") is False:
                made.trainable = False
            shape = config.get("build_input_shape")
            if made._entrance is None and shape:
                made.build(as_shape(shape))
            return made

    def get_build_config(self) -> dict[str, Any] | None:
        shape = None if self._entrance is None else self._entrance.batch_shape
        return None if shape is None else {"input_shape": shape}

    def _need_graph(self, what: str) -> Graph:
        self._finish()
        return super()._need_graph(what)


def _takes_layers(kind: type[Sequential]) -> bool:
    return list(inspect.signature(kind.__init__).parameters)[1:2] in (["layers"], ["args"])


def _known_shape(layer: Layer) -> Any:
    if layer._initial_shape is not None:
        return layer._initial_shape
    if isinstance(layer, Model) and (
        layer._graph is not None or getattr(layer, "_tip", None) is not None
    ):
        return layer.input_shape if isinstance(layer.input_shape, tuple) else None
    return None


def _input_dtype(layer: Layer) -> Any:
    if isinstance(layer, Model):
        return layer.inputs[0].dtype
    return None
