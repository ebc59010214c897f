"""The Layer: a torch module that builds itself on its first input and knows its axes.

A call goes one of two ways. On a `SymbolicTensor` it is recorded and its result inferred. On real
tensors the input is checked, weights are made if this is the first call, and torch runs `forward`.
`call` (Keras's word) and `forward` (torch's) are the same method: write either.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
import torch
from torch import nn

from nnkit import activations, regularizers
from nnkit.added_losses import LossOwner, calls
from nnkit.conventions import (
    add_activity_loss,
    adopt_lists,
    by_keyword,
    computes,
    filling_training,
    first_shape,
    holds,
    is_shape,
    positional,
    tracked_build,
)
from nnkit.convert import as_tensor, free_batch
from nnkit.creation import beside
from nnkit.errors import ArgumentError, NotBuiltError, ShapeError
from nnkit.input_spec import check_specs
from nnkit.layer_config import Configured
from nnkit.masks import attach_mask, mask_of, warn_of_lost
from nnkit.modes import in_mode, is_settled, join_mode, needs_mode
from nnkit.naming import auto_name
from nnkit.own_files import Filed
from nnkit.precision import in_region
from nnkit.probing import is_meta, placeholders, run_on_meta, shape_of
from nnkit.shapes import axes, check, describe
from nnkit.symbolic import Node, SymbolicTensor, has_symbolic, record
from nnkit.tracing import is_traced, trace_call
from nnkit.tree import flatten, map_structure

__all__ = ["Layer"]


class Layer(Configured, Filed, LossOwner):
    """Base of all layers.

    Write `build(input_shape)` to make weights with `add_weight`, and `call(inputs)` (or `forward`)
    to compute. `call` may take `training` and `mask`; both are filled in. A layer starts in
    inference mode; `fit`, `.train()` and `training=True` in a call switch it.

    Args:
        activity_regularizer: adds a loss computed from the outputs, divided by the batch size.
        trainable: whether an optimizer changes the weights.
        dtype: of weights and computation, or a policy such as "mixed_bfloat16"; the global policy
            when None.
        autocast: whether float inputs are cast to the dtype of the computation.
        name: unique in a model; the class name in snake case, counted, when None.
        input_shape: shape without batch, on the first layer of a Sequential; or input_dim.

    Attributes:
        accepts: the axes of the input, "(batch, time, features)", or None for anything.
        fixes: the axis whose size the weights are made for, such as "features".
        supports_masking: whether a mask of the input also holds for the output.
        keeps_shape: whether the output always has the input's shape, which saves inferring it.
        starts_in_training: whether a call acts as in training until somebody switches the mode;
            so does a layer whose `call` says training=True.
    """

    accepts: ClassVar[str | None] = None
    fixes: ClassVar[str | None] = None
    supports_masking: bool = False
    built: bool = False
    keeps_shape: ClassVar[bool] = False
    starts_in_training: ClassVar[bool] = False
    _takes: ClassVar[frozenset[str]] = frozenset()
    _positions: ClassVar[list[str]] = ["inputs"]
    _makes_mask: ClassVar[bool] = False
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
            cls._positions = positional(body)[1:]
            if "training" in parameters and parameters["training"].default is True:
                cls.starts_in_training = own.get("starts_in_training", True)
            run = filling_training(body) if "training" in parameters else body
            cls.forward = run  # type: ignore[method-assign]
            cls.call = run  # type: ignore[attr-defined]
        if not cls.__module__.startswith("nnkit.") and computes(own):
            # A user's subclass computes something else: shortcuts of its base do not hold.
            cls.keeps_shape = own.get("keeps_shape", False)
            cls.infer_output = own.get("infer_output", Layer.infer_output)  # type: ignore[method-assign]
        cls._makes_mask = cls.compute_mask is not Layer.compute_mask
        if "build" in own:
            cls.build = tracked_build(own["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        autocast: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.training = self.starts_in_training
        self.built = False
        self._trainable = bool(trainable)
        self._name = name if name is not None else auto_name(type(self).__name__)
        if not isinstance(self._name, str):
            raise ArgumentError(f"A layer's name must be a string, got {name!r}.")
        self.autocast = autocast
        self._take_policy(dtype)
        self._inbound_nodes: list[Node] = []
        self._child_order: dict[str, None] = {}
        self._seen: Any = None  # the shape of the last input, which was found to fit
        self._built_for: dict[str, Any] = {}
        self._first_output: Any = None
        self._fixed: dict[str, int] = {}
        self._initial_shape = first_shape(self, kwargs)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        if self.activity_regularizer is not None:
            self.register_forward_hook(add_activity_loss)

    # -- what a subclass writes ----------------------------------------------------------------

    def build(self, *input_shape: Any) -> None:
        """Make the weights for this input shape (batch axis included; None where free)."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{self.label} has no call(self, inputs) to compute with.")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, (batch, time) booleans, True where a step counts."""
        return mask if self.supports_masking else None

    def check_input(self, shape: Any) -> None:
        """Raise a ShapeError when a shape (or nesting of shapes) cannot be used."""
        if self.accepts is not None:
            if not is_shape(shape):
                raise ShapeError(f"{self.label} expects one tensor {self.accepts}, got {shape!r}.")
            check(self.label, self.accepts, shape, self._fixed)
        check_specs(self, shape)

    def infer_output(self, *args: Any, **kwargs: Any) -> Any:
        """The result for meta tensors: runs `forward` on them unless a layer knows a short way.

        A short way is worth its line for common layers: the first computation on the meta device
        makes torch import for about a second.
        """
        if self.keeps_shape and isinstance(args[0], torch.Tensor):
            return args[0].new_empty(args[0].shape)
        return run_on_meta(self, args, kwargs)

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

    def compute_output_shape(self, *input_shape: Any) -> Any:
        """The output shape, batch axis included, for an input shape (or nesting of shapes)."""
        outputs = self(*(placeholders(shape) for shape in input_shape))
        self._inbound_nodes.pop()
        return map_structure(lambda tensor: tensor.shape, outputs)

    # -- the call ------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) != 1:
            args, kwargs = by_keyword(self._positions, args, kwargs)
        if has_symbolic(args, kwargs):
            return self._call_symbolic(args, kwargs)
        training = kwargs.pop("training", None) if kwargs else None
        if training is not None and needs_mode(self, bool(training)):
            if is_traced(args):
                return trace_call(self, args, kwargs, training)
            with in_mode(self, bool(training)):
                return self(*args, **kwargs)
        for name, value in kwargs.items():
            if isinstance(value, (np.ndarray, list, tuple)):  # such as masks
                kwargs[name] = map_structure(self._array_as_tensor, value)
        first = args[0] if args else None
        run: Any = self._compiled_call_impl or self._call_impl
        was_built = self.built
        as_before = (
            len(args) == 1
            and type(first) is torch.Tensor
            and first.dtype is self._seen_dtype
            and was_built
            and not torch.compiler.is_compiling()  # which would make a program for each shape
            and first.shape == self._seen
        )
        if not as_before:
            if type(first) is not torch.Tensor and is_traced((args, kwargs)):
                return trace_call(self, args, kwargs, training)
            args, kwargs = self._receive(args, kwargs)
            first = args[0] if args else None
            if not was_built and any(is_meta(value) for value in args):
                run = self.infer_output  # its weights are real, the input is not
        if self._mixed or in_region():
            run = functools.partial(self._in_policy, run)
        mask = mask_of(first)
        if mask is not None and "mask" in self._takes:
            kwargs.setdefault("mask", mask)
        outermost = calls.outermost
        # An exported program has no use for losses, and export warns of what it changes outside.
        outside = not outermost and not torch.compiler.is_exporting()
        if outside:
            run = beside(first, run)
            outermost.append(self)
            self._forget_losses()
        try:
            outputs = run(*args, **kwargs)
        finally:
            if outside:
                outermost.pop()
        if not was_built:
            warn_of_lost(self, mask)
            self._first_output = map_structure(free_batch, outputs)
        given = kwargs.get("mask", mask)
        if given is not None or self._makes_mask:
            attach_mask(outputs, self.compute_mask(first, given))
        return outputs

    def _array_as_tensor(self, value: Any) -> Any:
        return as_tensor(value, self) if isinstance(value, np.ndarray) else value

    def _receive(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The inputs as tensors, checked and cast; at the first call they decide the weights."""
        if not all(isinstance(value, torch.Tensor) for value in args):
            args = map_structure(lambda value: as_tensor(value, self), args)
        if not torch.compiler.is_compiling():
            self._prepare(args, kwargs)
        elif not self.built:
            raise NotBuiltError(
                f"{self.label} has no weights yet: call it on data, or build it, before compiling."
            )
        return self._cast_all(args, kwargs)

    def _prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first = args[0] if args else None
        if self.built and isinstance(first, torch.Tensor):
            if first.shape != self._seen:
                self.check_input(tuple(first.shape))
                self._seen = first.shape
            self._seen_dtype = first.dtype if self.takes(first.dtype) else None
            return
        shapes = [map_structure(shape_of, value) for value in args]
        self._build_once(shapes, args, kwargs)

    def _build_once(self, shapes: list[Any], args: Any, kwargs: dict[str, Any]) -> None:
        if shapes:
            self.check_input(shapes[0])
        if self.built:
            return
        if "_inbound_nodes" not in self.__dict__:
            self._refuse_unborn()
        adopt_lists(self)
        self._fix_axis(shapes[0] if shapes else ())
        tensors = [
            shape
            for shape, value in zip(shapes, args, strict=True)
            if any(isinstance(v, (torch.Tensor, SymbolicTensor)) for v in flatten(value))
        ]
        wanted = positional(self.build)
        self.build(*(tensors[: len(wanted)] if len(wanted) > 1 else tensors[:1]))
        self.built = True
        self._built_for = dict(zip(wanted, tensors, strict=False))

    def _refuse_unborn(self) -> NoReturn:
        raise ArgumentError(f"{type(self).__name__}.__init__ must call super().__init__() first.")

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
        shapes = [map_structure(shape_of, value) for value in args]
        self._build_once(shapes, args, kwargs)
        mask = mask_of(args[0]) if args else None
        if mask is not None and "mask" in self._takes and "mask" not in kwargs:
            kwargs = {**kwargs, "mask": mask}
        given = {k: v for k, v in kwargs.items() if k != "training"}

        def infer(*args: Any, training: Any = None, **kwargs: Any) -> Any:
            args, kwargs = map_structure(self._cast, (args, kwargs))
            return self._in_policy(self.infer_output, *args, **kwargs)

        outputs = record(self, args, kwargs, infer)
        made = [leaf for leaf in flatten(outputs) if type(leaf) is SymbolicTensor]
        if made:
            self._inbound_nodes.append(made[0].node)
        passed = given.get("mask", mask)
        if passed is not None or self._makes_mask:
            warn_of_lost(self, mask)
            attach_mask(outputs, self.compute_mask(args[0] if args else None, passed))
        return outputs

    # -- torch's side --------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if value is None and name == "activation" and getattr(self, name, None) is not None:
            self.__dict__["_modules"].pop(name, None)
            value = activations.linear  # the layers here call it, where Keras's look first
        own = name in self.__dict__ or isinstance(getattr(type(self), name, None), property)
        if own and not isinstance(value, nn.Module) and name in self.__dict__.get("_modules", ()):
            object.__setattr__(self, name, value)  # a layer may be called "built" or "trainable"
            return
        reserved = getattr(type(self), name, None)
        if isinstance(reserved, property) and reserved.fset is None and not holds(self, name):
            raise ArgumentError(
                f"{type(self).__name__}.{name} is taken: every layer has it to be read. "
                f"Use another name, self.my_{name} = ..."
            )
        if isinstance(value, nn.Module) and "_modules" not in self.__dict__:
            self._refuse_unborn()
        if isinstance(value, (nn.Module, list, tuple, dict)) and "_child_order" in self.__dict__:
            self._child_order.setdefault(name)
        if type(value) in (list, tuple) and value and all(isinstance(v, nn.Module) for v in value):
            value = nn.ModuleList(value)
        known = self.__dict__.get("training")
        # A layer keeps its own mode in one that was never switched.
        joins = known or is_settled(self) or not isinstance(value, Layer)
        if known is not None and joins and isinstance(value, nn.Module):
            join_mode(value, self)
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        # The graph keeps the nodes; linked from here they would be too deep for pickle.
        return {**self.__dict__, "_inbound_nodes": [], "_seen": None, "_losses": [], "_lossy": []}

    def extra_repr(self) -> str:
        return f"name={self._name!r}"
