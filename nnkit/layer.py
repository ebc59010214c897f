"""The Layer: a torch module that builds itself on its first input and knows its axes.

A call goes one of two ways. On a `SymbolicTensor` it is recorded and its result inferred. On real
tensors the input is checked, weights are made if this is the first call, and torch runs `forward`.
`call` (Keras's word) and `forward` (torch's) are the same method: write either.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from nnkit import regularizers
from nnkit.errors import ArgumentError, NotBuiltError, ShapeError, unknown_name
from nnkit.naming import auto_name
from nnkit.shapes import Shape, axes, check, describe
from nnkit.symbolic import Node, SymbolicTensor, has_symbolic, placeholder, record
from nnkit.tree import flatten, map_structure
from nnkit.weights import WeightOwner, built_for_real, on_meta, to_dtype

__all__ = ["Layer", "TorchModuleWrapper", "as_layer", "intercept_modules", "like"]


class _Calls(threading.local):
    """The calls under way in this thread."""

    def __init__(self) -> None:
        # The layer called from outside any other: it owns what add_loss collects meanwhile.
        self.outermost: list[Layer] = []


_calls = _Calls()


class Layer(WeightOwner):
    """Base of all layers.

    Write `build(input_shape)` to make weights with `add_weight`, and `call(inputs)` (or `forward`)
    to compute. `call` may take `training` and `mask`; both are filled in. A layer starts in
    inference mode; `fit`, `.train()` and `training=True` in a call switch it.

    Args:
        activity_regularizer: adds a loss computed from the outputs, divided by the batch size.
        trainable: whether an optimizer changes the weights.
        dtype: of the weights; the default float when None.
        name: unique in a model; the class name in snake case, counted, when None.
        input_shape: shape without batch, on the first layer of a Sequential; or input_dim.

    Attributes:
        accepts: the axes of the input, "(batch, time, features)", or None for anything.
        fixes: the axis whose size the weights are made for, such as "features".
        supports_masking: whether a mask of the input also holds for the output.
        keeps_shape: whether the output always has the input's shape, which saves inferring it.
    """

    accepts: ClassVar[str | None] = None
    fixes: ClassVar[str | None] = None
    supports_masking: bool = False
    keeps_shape: ClassVar[bool] = False
    _takes: ClassVar[frozenset[str]] = frozenset()
    _init_args: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        known = ((), {}) if has_symbolic(args, kwargs) else (args, kwargs)
        object.__setattr__(made, "_init_args", known)
        return made

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        body = own.get("call", own.get("forward"))
        if body is not None:
            parameters = inspect.signature(body).parameters
            cls._takes = frozenset({"training", "mask"} & set(parameters))
            run = _filling_training(body) if "training" in parameters else body
            cls.forward = run  # type: ignore[method-assign]
            cls.call = run  # type: ignore[attr-defined]
        if "build" in own:
            cls.build = _tracked_build(own["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.training = False
        self.built = False
        self._trainable = bool(trainable)
        self._name = name if name is not None else auto_name(type(self).__name__)
        if not isinstance(self._name, str):
            raise ArgumentError(f"A layer's name must be a string, got {name!r}.")
        self._dtype = to_dtype(dtype)
        self._inbound_nodes: list[Node] = []
        self._losses: list[torch.Tensor] = []
        self._lossy: list[Layer] = []
        self._child_order: dict[str, None] = {}
        self._seen: Any = None
        self._first_output: Any = None
        self._fixed: dict[str, int] = {}
        self._initial_shape = _initial_shape(self, kwargs)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        if self.activity_regularizer is not None:
            self.register_forward_hook(_add_activity_loss)

    # -- what a subclass writes ----------------------------------------------------------------

    def build(self, *input_shape: Any) -> None:
        """Make the weights for this input shape (batch axis included; None where free)."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, (batch, time) booleans, True where a step counts."""
        return mask if self.supports_masking else None

    def check_input(self, shape: Any) -> None:
        """Raise a ShapeError when a shape (or nesting of shapes) cannot be used."""
        if self.accepts is not None:
            if not _is_shape(shape):
                raise ShapeError(f"{self.label} expects one tensor {self.accepts}, got {shape!r}.")
            check(self.label, self.accepts, shape, self._fixed)

    def infer_output(self, *args: Any, **kwargs: Any) -> Any:
        """The result for meta tensors: runs `forward` on them unless a layer knows a short way."""
        if any(isinstance(p, UninitializedParameter) for p in self.parameters()):
            _settle(self, args, kwargs)
        with on_meta():
            state = {
                name: torch.empty_like(tensor, device="meta")
                for name, tensor in [*self.named_parameters(), *self.named_buffers()]
            }
            try:
                return torch.func.functional_call(self, state, args, kwargs)
            except (RuntimeError, NotImplementedError, TypeError) as error:
                problem = error
        if "meta" not in str(problem).lower():
            raise problem  # a mistake in the call; otherwise the code wants to see values
        try:
            return _on_zeros(self, args, kwargs)
        except Exception:
            raise problem from None

    def get_config(self) -> dict[str, Any]:
        """The arguments this layer was made with, as plain data."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        config["dtype"] = str(self._dtype or torch.get_default_dtype()).removeprefix("torch.")
        args, kwargs = self._init_args
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind_partial(self, *args, **kwargs)
        bound.apply_defaults()
        for name, value in list(bound.arguments.items())[1:]:
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                known = {"name", "trainable", "dtype", "input_shape", "input_dim", "batch_size"}
                config.update({k: _plain(v) for k, v in value.items() if k not in known})
            elif name not in ("name", "trainable", "dtype"):
                config[name] = _plain(value)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new, unbuilt layer from `get_config()`."""
        return cls(**config)

    # -- what a user reads ---------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def key(self) -> str:
        """The name as torch allows it for a submodule: without dots."""
        return self._name.replace(".", "_")

    @property
    def label(self) -> str:
        """How errors call this layer: "Conv2D 'conv2d_1'"."""
        return f"{type(self).__name__} {self._name!r}"

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return self._dtype or torch.get_default_dtype()

    @property
    def input(self) -> Any:
        """What the first symbolic call received."""
        args = self._first_node("input").args
        return args[0] if len(args) == 1 else list(args)

    @property
    def output(self) -> Any:
        """What the first symbolic call gave."""
        return self._first_node("output").outputs

    def _first_node(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise NotBuiltError(
                f"{self.label} has no {what}: it was never called on a symbolic tensor. "
                f"Give the model an Input, or call the layer on one."
            )
        return self._inbound_nodes[0]

    @property
    def losses(self) -> list[torch.Tensor]:
        """Scalars to add to the loss: add_loss of the last call, and regularized weights."""
        layers = [module for module in self.modules() if isinstance(module, Layer)]
        return [loss for layer in layers for loss in layer._losses] + self.weight_losses()

    def weight_losses(self) -> list[torch.Tensor]:
        """One scalar for each trainable weight with a regularizer."""
        return [
            weight.regularizer(weight.layout.to_keras(weight.tensor))
            for weight in self.collect(lambda owner: owner._trainable)
            if weight.regularizer is not None and weight.tensor.requires_grad
        ]

    def add_loss(self, loss: Any) -> None:
        """Add scalars to the training loss; call it inside `call`."""
        root = _calls.outermost[0] if _calls.outermost else self
        if self not in root._lossy:
            root._lossy.append(self)
            self._losses.clear()  # of an earlier call that had another root
        self._losses.extend(value for value in flatten(loss) if not _is_meta(value))

    def compute_output_shape(self, *input_shape: Any) -> Any:
        """The output shape, batch axis included, for an input shape (or nesting of shapes)."""
        outputs = self(*(_placeholders(shape) for shape in input_shape))
        self._inbound_nodes.pop()
        return map_structure(lambda tensor: tensor.shape, outputs)

    # -- the call ------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if has_symbolic(args, kwargs):
            return self._call_symbolic(args, kwargs)
        training = kwargs.pop("training", None) if kwargs else None
        if training is not None and bool(training) != self.training:
            with _mode(self, bool(training)):
                return self(*args, **kwargs)
        if not all(isinstance(value, torch.Tensor) for value in args):
            args = map_structure(lambda value: _tensor(value, self), args)
        run: Any = self._wrapped_call_impl
        was_built = self.built
        if not torch.compiler.is_compiling():
            self._prepare(args, kwargs)
            if not was_built and any(_is_meta(value) for value in args):
                run = self.infer_output  # its weights are real, the input is not
        elif not was_built:
            raise NotBuiltError(
                f"{self.label} has no weights yet: call it on data, or build it, before compiling."
            )
        mask = _mask_of(args[0]) if args else None
        if mask is not None and "mask" in self._takes:
            kwargs.setdefault("mask", mask)
        outermost = _calls.outermost
        # An exported program has no use for losses, and export warns of what it changes outside.
        outside = not outermost and not torch.compiler.is_exporting()
        if outside:
            outermost.append(self)
            for layer in self._lossy:
                layer._losses.clear()
            self._lossy.clear()
        try:
            outputs = run(*args, **kwargs)
        finally:
            if outside:
                outermost.pop()
        if not was_built:
            self._first_output = map_structure(_free_batch, outputs)
        if mask is not None or self._makes_mask:
            given = kwargs.get("mask", mask)
            _attach_mask(outputs, self.compute_mask(args[0] if args else None, given))
        return outputs

    @property
    def _makes_mask(self) -> bool:
        return type(self).compute_mask is not Layer.compute_mask

    def _prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first = args[0] if args else None
        if self.built and isinstance(first, torch.Tensor):
            if first.shape == self._seen:
                return
            self.check_input(tuple(first.shape))
            self._seen = first.shape
            return
        shapes = [map_structure(_shape_of, value) for value in args]
        self._build_once(shapes, args, kwargs)

    def _build_once(self, shapes: list[Any], args: Any, kwargs: dict[str, Any]) -> None:
        if shapes:
            self.check_input(shapes[0])
        if self.built:
            return
        _adopt_lists(self)
        self._fix_axis(shapes[0] if shapes else ())
        tensors = [
            shape
            for shape, value in zip(shapes, args, strict=True)
            if any(isinstance(v, (torch.Tensor, SymbolicTensor)) for v in flatten(value))
        ]
        wanted = _positional(self.build)
        self.build(*(tensors[: len(wanted)] if len(wanted) > 1 else tensors[:1]))
        self.built = True

    def _fix_axis(self, shape: Any) -> None:
        if self.fixes is None or self.accepts is None:
            return
        names = axes(self.accepts)
        at = names.index(self.fixes)
        size = shape[at - len(names) if "..." in names[:at] else at]
        if size is None:
            raise ShapeError(
                f"{self.label} needs to know the number of {self.fixes}, but received "
                f"{describe(shape, names)}. Give that size in Input(shape=...)."
            )
        self._fixed = {self.fixes: int(size)}

    def _call_symbolic(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs.get("training", True) is None:
            kwargs = {k: v for k, v in kwargs.items() if k != "training"}
        shapes = [map_structure(_shape_of, value) for value in args]
        self._build_once(shapes, args, kwargs)
        mask = _mask_of(args[0]) if args else None
        if mask is not None and "mask" in self._takes and "mask" not in kwargs:
            kwargs = {**kwargs, "mask": mask}
        given = {k: v for k, v in kwargs.items() if k != "training"}
        outputs = record(self, args, kwargs, lambda *a, **k: self.infer_output(*a, **given_only(k)))
        made = [leaf for leaf in flatten(outputs) if type(leaf) is SymbolicTensor]
        if made:
            self._inbound_nodes.append(made[0].node)
        if mask is not None or self._makes_mask:
            passed = self.compute_mask(args[0] if args else None, given.get("mask", mask))
            _attach_mask(outputs, passed)
        return outputs

    # -- torch's side --------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        own = name in self.__dict__ or isinstance(getattr(type(self), name, None), property)
        if own and not isinstance(value, nn.Module) and name in self.__dict__.get("_modules", ()):
            object.__setattr__(self, name, value)  # a layer may be called "built" or "trainable"
            return
        if isinstance(value, (nn.Module, list, dict)) and "_child_order" in self.__dict__:
            self._child_order.setdefault(name)
        if isinstance(value, nn.Module) and "training" in self.__dict__:
            if not isinstance(value, Layer):
                value.train(self.training)
        elif (
            type(value) in (list, tuple) and value and all(isinstance(v, nn.Module) for v in value)
        ):
            value = nn.ModuleList(value)
            value.train(self.training)
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        # The graph keeps the nodes; linked from here they would be too deep for pickle.
        return {**self.__dict__, "_inbound_nodes": [], "_seen": None, "_losses": [], "_lossy": []}

    def extra_repr(self) -> str:
        return f"name={self._name!r}"


class TorchModuleWrapper(Layer):
    """A torch module with a name and a place in a model's layers.

    Models wrap modules by themselves; write it out for a name, or for a module that wants
    channels first.

    Args:
        module: any torch module.
        data_format: "channels_first" moves the last axis of an image or sequence to where torch's
            convolutions want it and back; None passes tensors as they are.

    Source: keras.layers.TorchModuleWrapper, with data_format added.
    """

    def __init__(
        self, module: nn.Module, name: str | None = None, data_format: str | None = None, **kw: Any
    ) -> None:
        if not isinstance(module, nn.Module):
            raise ArgumentError(f"TorchModuleWrapper needs a torch module, got {module!r}.")
        super().__init__(name=name or auto_name(type(module).__name__), **kw)
        self.module = module
        self.data_format = data_format
        self.built = True

    @property
    def label(self) -> str:
        return f"torch module {type(self.module).__name__} {self.name!r}"

    def call(self, *args: Any, **kwargs: Any) -> Any:
        if self.data_format != "channels_first":
            return self.module(*args, **kwargs)
        moved = [value.movedim(-1, 1) for value in args]
        return map_structure(lambda value: value.movedim(1, -1), self.module(*moved, **kwargs))


def as_layer(module: nn.Module) -> Layer:
    """The layer for a torch module: itself, or its one wrapper."""
    if isinstance(module, Layer):
        return module
    known = module.__dict__.get("_nnkit_layer")
    if known is None:
        known = module.__dict__["_nnkit_layer"] = TorchModuleWrapper(module)
    if known.training != module.training:
        known.training = module.training  # the model trains the module, not its wrapper
    return known


def intercept_modules() -> None:
    """Let torch modules be called on symbolic tensors; done once, at the first Input."""
    if getattr(nn.Module.__call__, "symbolic", False):
        return
    original = nn.Module.__call__

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if has_symbolic(args, kwargs):
            return as_layer(self)(*args, **kwargs)
        return original(self, *args, **kwargs)

    call.symbolic = True  # type: ignore[attr-defined]
    nn.Module.__call__ = call  # type: ignore[method-assign]


def given_only(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments without `training`, which the door takes."""
    return {name: value for name, value in kwargs.items() if name != "training"}


def _filling_training(body: Callable[..., Any]) -> Callable[..., Any]:
    at = list(inspect.signature(body).parameters).index("training") - 1

    @functools.wraps(body)
    def run(self: Layer, *args: Any, **kwargs: Any) -> Any:
        if len(args) <= at and kwargs.get("training") is None:
            kwargs["training"] = self.training
        return body(self, *args, **kwargs)

    return run


def _tracked_build(body: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(body)
    def build(self: Layer, *shapes: Any, **kwargs: Any) -> None:
        if shapes and not self._fixed and _is_shape(shapes[0]):
            self._fix_axis(shapes[0])
        with built_for_real():
            body(self, *shapes, **kwargs)
        self.built = True

    return build


@contextmanager
def _mode(layer: Layer, training: bool) -> Iterator[None]:
    before = [(module, module.training) for module in layer.modules()]
    layer.train(training)
    try:
        yield
    finally:
        for module, was in before:
            module.training = was


def _add_activity_loss(layer: Any, args: Any, outputs: Any) -> None:
    for output in flatten(outputs):
        layer.add_loss(layer.activity_regularizer(output) / output.shape[0])


def _adopt_lists(layer: Layer) -> None:
    """Register modules that were appended to a plain list or dict in Keras's habit."""
    for name, value in list(layer.__dict__.items()):
        if name.startswith("_") or type(value) not in (list, dict):
            continue
        items = value.values() if isinstance(value, dict) else value
        if not items or not all(isinstance(v, nn.Module) for v in items):
            continue
        del layer.__dict__[name]
        setattr(layer, name, nn.ModuleDict(value) if isinstance(value, dict) else value)
        order = [*layer._child_order, *layer._modules]
        layer._modules = {k: layer._modules[k] for k in dict.fromkeys(order) if k in layer._modules}


def _on_zeros(layer: Layer, args: Any, kwargs: Any) -> Any:
    """Infer by running on real zeros, for code that looks at values; leaves no trace."""

    def zeros(value: Any) -> Any:
        meta = isinstance(value, torch.Tensor) and value.is_meta
        return torch.zeros(value.shape, dtype=value.dtype) if meta else value

    state = {k: v.detach().clone() for k, v in [*layer.named_parameters(), *layer.named_buffers()]}
    real_args, real_kwargs = map_structure(zeros, (args, kwargs))
    with torch.no_grad(), torch.random.fork_rng():
        outputs = torch.func.functional_call(layer, state, real_args, real_kwargs)
    return map_structure(lambda v: v.to("meta") if isinstance(v, torch.Tensor) else v, outputs)


def _settle(layer: Layer, args: Any, kwargs: Any) -> None:
    """Let torch's lazy modules see sizes: they make their weights when they first run."""
    with torch.no_grad(), _mode(layer, False), built_for_real():
        layer.forward(*map_structure(_zeros, args), **map_structure(_zeros, kwargs))


def _zeros(value: Any) -> Any:
    meta = isinstance(value, torch.Tensor) and value.is_meta
    return torch.zeros((1, *value.shape[1:]), dtype=value.dtype) if meta else value


def _initial_shape(layer: Layer, kwargs: dict[str, Any]) -> Shape | None:
    """The batch shape that Keras's arguments for a first layer describe, if any is there."""
    batch = kwargs.pop("batch_size", None)
    full = kwargs.pop("batch_shape", kwargs.pop("batch_input_shape", None))
    shape = kwargs.pop("input_shape", None)
    dim = kwargs.pop("input_dim", None)
    length = kwargs.pop("input_length", None)
    kwargs.pop("autocast", None)
    for name in kwargs:
        known = [*inspect.signature(type(layer).__init__).parameters, "name", "dtype", "trainable"]
        known = [word for word in known if word not in ("self", "kwargs", "kw", "args")]
        raise unknown_name(f"argument of {type(layer).__name__}", name, [*known, "input_shape"])
    if full is not None:
        return tuple(full)
    if shape is None and dim is not None:
        shape = (dim,) if length is None else (length, dim)
    if shape is None:
        return None
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return (batch, *shape)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Layer):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if callable(value) and not isinstance(value, type) and hasattr(value, "__name__"):
        return value.__name__
    return value


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(size is None or isinstance(size, int) for size in value)


def _free_batch(value: Any) -> Any:
    return (None, *value.shape[1:]) if isinstance(value, torch.Tensor) and value.ndim else None


def _is_meta(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_meta


def like(x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """A tensor for `infer_output` to give: on x's device, of a float type."""
    return x.new_empty(
        tuple(shape), dtype=x.dtype if x.is_floating_point() else torch.get_default_dtype()
    )


def _shape_of(value: Any) -> Any:
    if isinstance(value, (torch.Tensor, SymbolicTensor)):
        return tuple(value.shape)
    return None


def _placeholders(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {key: _placeholders(value) for key, value in shape.items()}
    if isinstance(shape, list) and shape and isinstance(shape[0], (list, tuple)):
        return [_placeholders(value) for value in shape]
    if isinstance(shape, tuple) and shape and isinstance(shape[0], (list, tuple)):
        return tuple(_placeholders(value) for value in shape)
    return placeholder(Node(_Outside, (), {}), tuple(shape), torch.get_default_dtype())


class _Outside:
    """The maker of a symbolic tensor that belongs to no model."""

    name = "input"


def _positional(method: Callable[..., Any]) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(method).parameters.values() if p.kind in kinds]


def _tensor(value: Any, layer: Layer) -> Any:
    """NumPy arrays and numbers as tensors on the layer's device; anything else as it is."""
    if isinstance(value, torch.Tensor) or value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (np.ndarray, np.generic, int, float)):
        first = next(layer.parameters(), None)
        tensor = torch.as_tensor(value, device=None if first is None else first.device)
        return tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor
    return value


def _mask_of(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        masks = [_mask_of(item) for item in value]
        return masks if any(mask is not None for mask in masks) else None
    return getattr(value, "_keras_mask", None) if value is not None else None


def _attach_mask(outputs: Any, mask: Any) -> None:
    if mask is None:
        return
    tensors = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    masks = mask if isinstance(mask, (list, tuple)) else [mask]
    for tensor, one in zip(tensors, masks, strict=False):
        if one is not None:
            tensor._keras_mask = one
            if isinstance(one, SymbolicTensor):
                one.node.hidden = True
