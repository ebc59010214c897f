"""Symbolic tensors: placeholders that record what is done to them.

A `SymbolicTensor` stands for a value that is not there yet. Whatever is called on it, a layer, an
operator, a torch function or a tensor method, is recorded as a `Node` and gives new symbolic
tensors. Shapes are never computed by rules: each symbolic tensor carries two *probes*, tensors on
torch's meta device (shape and dtype without data) that differ in their free sizes. An operation is
run on both; an axis where the results differ is free and shows as None.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.overrides import resolve_name

from nnkit.errors import GraphError, ShapeError
from nnkit.naming import auto_name
from nnkit.shapes import Shape, describe
from nnkit.tree import flatten, map_structure

__all__ = ["Function", "Node", "SymbolicTensor", "has_symbolic", "placeholder", "record"]

# Far apart and without small common factors, so that no operation makes them equal by accident.
# The free spatial sizes can be halved six times and stay whole.
BATCH = (67, 101)
FREE = (192, 320)


class Function:
    """A plain function inside a graph: callable, named, and pickled by its public name."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        name = getattr(fn, "__name__", type(fn).__name__)
        self.kind = "get_item" if name == "getitem" else name.strip("_")
        self.name = auto_name(self.kind)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)

    def __reduce__(self) -> Any:
        public = resolve_name(self.fn)
        if public and public.startswith("torch.") and _lookup(public) is self.fn:
            return _restore, (public, self.name)
        return _remake, (self.fn, self.name)


def _lookup(path: str) -> Any:
    found: Any = torch
    for part in path.split(".")[1:]:
        found = getattr(found, part, None)
    return found


def _restore(path: str, name: str) -> Function:
    return _remake(_lookup(path), name)


def _remake(fn: Callable[..., Any], name: str) -> Function:
    made = Function.__new__(Function)
    made.fn = fn
    made.kind = getattr(fn, "__name__", type(fn).__name__).strip("_")
    made.name = name
    return made


class Node:
    """One recorded call.

    Attributes:
        op: the layer or `Function` that was called.
        args, kwargs: what it was called with; symbolic tensors inside are its inputs.
        outputs: the (nested) symbolic tensors it gave.
        hidden: whether it only serves masks, which a summary leaves out.
    """

    def __init__(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.op = op
        self.args = args
        self.kwargs = kwargs
        self.outputs: Any = None
        self.hidden = False

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic tensors this call consumed, in order."""
        leaves = flatten((self.args, self.kwargs))
        return [leaf for leaf in leaves if type(leaf) is SymbolicTensor]


class SymbolicTensor:
    """A value to come: has a shape and a dtype, no data.

    Attributes:
        shape: sizes, None where free.
        dtype: a torch dtype.
        node: the call that makes it.
        probes: two meta tensors (or Python numbers, for a recorded size).
    """

    __array_ufunc__ = None  # so that `array * symbolic` reaches __rmul__
    _keras_mask: SymbolicTensor | None

    def __init__(self, node: Node, index: int, probes: tuple[Any, ...]) -> None:
        self.node = node
        self.index = index
        self.probes = probes
        self._keras_mask = None

    @property
    def name(self) -> str:
        return str(self.node.op.name)

    @property
    def shape(self) -> Shape:
        if not isinstance(self.probes[0], torch.Tensor):
            return ()  # a recorded size
        first, second = (self._meta(i).shape for i in range(2))
        return tuple(int(a) if a == b else None for a, b in zip(first, second, strict=True))

    @property
    def dtype(self) -> torch.dtype:
        return self._meta(0).dtype

    @property
    def ndim(self) -> int:
        return self.probes[0].ndim if isinstance(self.probes[0], torch.Tensor) else 0

    def _meta(self, i: int) -> torch.Tensor:
        if not isinstance(self.probes[i], torch.Tensor):
            raise GraphError(f"{self!r} is a recorded size, not a tensor.")
        return self.probes[i]

    def dim(self) -> int:
        return self.ndim

    def size(self, axis: int | None = None) -> Any:
        """The sizes; a free one becomes a recorded number that a reshape can use."""
        if axis is None:
            return tuple(self.size(i) for i in range(self.ndim))
        known = self.shape[axis]
        return known if known is not None else record(Function(torch.Tensor.size), (self, axis), {})

    def __getattr__(self, name: str) -> Any:
        member = getattr(torch.Tensor, name, None)
        if name.startswith("_") or member is None:
            raise AttributeError(f"A symbolic tensor has no attribute {name!r}.")
        if name.endswith("_"):
            raise GraphError(f"{name} changes {self!r} in place; use .{name[:-1]}() instead.")
        if name in _NEEDS_DATA:
            raise GraphError(
                f".{name} needs values, but {self!r} has none before data runs. "
                f"Put this step inside a Layer's call."
            )
        if callable(member):
            return lambda *args, **kwargs: record(Function(member), (self, *args), kwargs)
        return record(Function(getattr), (self, name), {})

    def __repr__(self) -> str:
        if not isinstance(self.probes[0], torch.Tensor):
            return f"<SymbolicTensor size, made by {self.name!r}>"
        return f"<SymbolicTensor {describe(self.shape)} {self.dtype}, made by {self.name!r}>"

    def _no_value(self, *_: Any) -> Any:
        raise GraphError(
            f"{self!r} has no value before data runs, so it cannot steer an if, a loop or an index "
            f"here. Put this step inside a Layer's call."
        )

    __bool__ = __int__ = __float__ = __index__ = __array__ = __contains__ = _no_value

    def __iter__(self) -> Any:
        first = self.shape[0]
        if first is None:
            return self._no_value()
        return iter([self[i] for i in range(first)])

    def __len__(self) -> int:
        first = self.shape[0]
        return int(self._no_value() if first is None else first)

    def __getitem__(self, index: Any) -> Any:
        return record(Function(operator.getitem), (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        raise GraphError(f"{self!r} cannot be changed in place. Use torch.where or torch.cat.")

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.endswith("__"):
            raise GraphError(f"{name} changes its input in place; use {name.rstrip('_')} instead.")
        return record(Function(func), args, kwargs or {})


_NEEDS_DATA = {"item", "tolist", "numpy", "data_ptr", "nonzero", "masked_select", "backward"}
_REFLECTED = (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
)
_BINARY = (*_REFLECTED, "lt", "le", "gt", "ge", "eq", "ne")


_COMPARISONS = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)


def _compared(tensor: Any, number: float) -> Any:
    """What comparing with a number gives; masks are made so, and need not import torch's rules."""
    if not isinstance(tensor, torch.Tensor):
        raise TypeError("a recorded size cannot be compared here")
    return tensor.new_empty(tensor.shape, dtype=torch.bool)


def _operators() -> None:
    def binary(fn: Any) -> Any:
        short = _compared if fn in _COMPARISONS else None

        def apply(self: SymbolicTensor, other: Any) -> Any:
            known = short if isinstance(other, (int, float)) else None
            return record(Function(fn), (self, other), {}, known)

        return apply

    def reflected(fn: Any) -> Any:
        return lambda self, other: record(Function(fn), (other, self), {})

    def unary(fn: Any) -> Any:
        return lambda self: record(Function(fn), (self,), {})

    for name in _BINARY:
        word = name + "_" if name in ("and", "or") else name
        setattr(SymbolicTensor, f"__{name}__", binary(getattr(operator, word)))
    for name in _REFLECTED:
        word = name + "_" if name in ("and", "or") else name
        setattr(SymbolicTensor, f"__r{name}__", reflected(getattr(operator, word)))
    for name in ("neg", "abs", "invert"):
        setattr(SymbolicTensor, f"__{name}__", unary(getattr(operator, name)))
    # == is recorded, so identity has to serve as the hash.
    SymbolicTensor.__hash__ = object.__hash__  # type: ignore[method-assign]


_operators()


def has_symbolic(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether any symbolic tensor is among these (nested) arguments. Runs at every layer call."""
    for value in (*args, *kwargs.values()) if kwargs else args:
        kind = type(value)
        if kind is SymbolicTensor:
            return True
        if (kind is tuple or kind is list) and has_symbolic(tuple(value), {}):
            return True
        if kind is dict and has_symbolic((), value):
            return True
    return False


def placeholder(node: Node, shape: Shape, dtype: torch.dtype) -> SymbolicTensor:
    """A symbolic tensor of this shape, batch axis included, that comes from outside."""
    made = tuple(
        torch.empty(
            [
                (BATCH if axis == 0 else FREE)[i] if size is None else size
                for axis, size in enumerate(shape)
            ],
            dtype=dtype,
            device="meta",
        )
        for i in range(2)
    )
    node.outputs = SymbolicTensor(node, 0, made)
    return node.outputs


def record(
    op: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    infer: Callable[..., Any] | None = None,
) -> Any:
    """Note a call and give the symbolic tensors that stand for its results.

    Args:
        op: the layer or `Function` called.
        args, kwargs: its arguments, symbolic tensors among them.
        infer: computes the result for one set of probes; `op` itself when None.

    Raises: ShapeError when the operation does not accept these shapes.
    """
    args, kwargs = map_structure(_constant, (args, kwargs))
    results = []
    for i in range(2):
        probe_args, probe_kwargs = map_structure(lambda v, i=i: _probe(v, i), (args, kwargs))
        try:
            if infer is not None:
                results.append(infer(*probe_args, **probe_kwargs))
            else:
                with torch.no_grad():
                    results.append(op(*probe_args, **probe_kwargs))
        except ShapeError as error:
            said = _hide_probes(str(error), flatten((args, kwargs)))
            if i:
                said += (
                    " A layer in it needs a size that is free here: give it in Input(shape=...)."
                )
            raise ShapeError(said) from None
        except (RuntimeError, TypeError, IndexError) as error:
            raise _misfit(op, args, kwargs, error) from error
    node = Node(op, args, kwargs)
    count = iter(range(len(flatten(results[0]))))

    def wrap(*values: Any) -> Any:
        index = next(count)
        first = values[0]
        if isinstance(first, torch.Tensor):
            if any(v.ndim != first.ndim for v in values):
                raise ShapeError(f"{op.name} gives results of different ranks for different sizes.")
            return SymbolicTensor(node, index, values)
        same = all(v is first or v == first for v in values)
        return first if same else SymbolicTensor(node, index, values)

    node.outputs = map_structure(wrap, *results)
    return node.outputs


def _constant(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _probe(value: Any, i: int) -> Any:
    if type(value) is SymbolicTensor:
        return value.probes[i]
    if isinstance(value, torch.Tensor) and value.ndim:
        return value.to("meta")
    return value


def _hide_probes(said: str, leaves: list[Any] | None = None) -> str:
    """A message in which the sizes used for probing are words again.

    Args:
        said: the message.
        leaves: the arguments; their known sizes stay numbers. A whole batch is "batch * rest".
    """
    known = {size for v in leaves or () if hasattr(v, "shape") for size in v.shape}
    names = dict.fromkeys(BATCH, "batch") | dict.fromkeys(FREE, "free")

    def word(found: re.Match[str]) -> str:
        number = int(found[0])
        if number in known:
            return found[0]
        for size in BATCH:
            if number > size and number % size == 0:
                return f"batch * {names.get(number // size, number // size)}"
        return names.get(number, found[0])

    return re.sub(r"(?<![\w.'])\d+(?![\w.'])", word, said)


def _misfit(op: Any, args: Any, kwargs: Any, error: Exception) -> Exception:
    leaves = flatten((args, kwargs))
    tensors = [v for v in leaves if isinstance(v, (torch.Tensor, SymbolicTensor))]
    shapes = ", ".join(describe(v.shape) for v in tensors if v.ndim)
    weights = list(op.parameters()) if hasattr(op, "parameters") else []
    said = _hide_probes(str(error).strip().split("\n")[0], [*tensors, *weights]).rstrip(".")
    advice = getattr(op, "misfit_advice", "Check the sizes it needs.")
    if isinstance(error, TypeError):
        advice = "Check the arguments it takes; they are torch's."
        if any(leaf is None for leaf in flatten(args)):
            advice = (
                "A free size is None here: use -1, or x.size(axis), which is filled in at run time."
            )
    who = getattr(op, "label", repr(op.name))
    return ShapeError(f"{who} does not fit its inputs {shapes}: {said}. {advice}")
