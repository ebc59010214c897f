"""Choices and loops whose course depends on tensors.

Plain `if` and `for` read better and are as fast; these are for code that has Keras's. A condition
or an index is read by the host, except in a compiled function, where `cond` computes both sides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ArgumentError, ShapeError
from nnkit.ops.recording import as_tensor, recorded
from nnkit.symbolic import SymbolicTensor
from nnkit.tree import flatten, map_structure

__all__ = [
    "associative_scan", "cond", "fori_loop", "map", "scan", "switch", "vectorize",
    "vectorized_map", "while_loop",
]  # fmt: skip


@recorded
def _either(pred: Any, true: Any, false: Any) -> Any:
    chosen = as_tensor(pred).bool()
    return map_structure(lambda a, b: torch.where(chosen, a, b), true, false)


def _is_meta(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_meta


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """The result of `true_fn()` if `pred` is true, of `false_fn()` if not.

    A symbolic `pred` has both computed and the right one picked; their shapes must agree.
    """
    if isinstance(pred, Tensor) and torch.compiler.is_compiling():
        return _either(pred, true_fn(), false_fn())
    if isinstance(pred, SymbolicTensor):
        return _either(pred, true_fn(), false_fn())
    return true_fn() if _is_meta(pred) or pred else false_fn()


@recorded
def switch(index: Any, branches: Any, *operands: Any) -> Any:
    """The result of the branch number `index` (the nearest there is) called with the operands."""
    place = 0 if _is_meta(index) else int(index)
    return branches[min(max(place, 0), len(branches) - 1)](*operands)


@recorded
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """Call `body` on the variables as long as `cond` of them is true.

    Args:
        cond: gives a boolean from the variables.
        body: gives new variables, of the same shapes, from the variables.
        loop_vars: what they start from: one tensor, or a tuple or list of them.
        maximum_iterations: stop after this many.

    Returns: the last variables: one tensor, or a tuple.
    """
    several = isinstance(loop_vars, (tuple, list))
    state = tuple(
        map_structure(as_tensor, each) for each in (loop_vars if several else [loop_vars])
    )
    done = 0
    shapes_only = any(_is_meta(leaf) for leaf in flatten(state))
    while not shapes_only and (maximum_iterations is None or done < maximum_iterations):
        if not cond(*state):
            break
        new = body(*state)
        state = tuple(new) if isinstance(new, (tuple, list)) else (new,)
        done += 1
    return state if several else state[0]


@recorded
def fori_loop(lower: Any, upper: Any, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """`val = body_fun(i, val)` for i from `lower` to before `upper`, from `init_val` on."""
    value = init_val
    shapes_only = _is_meta(lower) or _is_meta(upper)
    for i in range(0 if shapes_only else int(lower), 1 if shapes_only else int(upper)):
        value = body_fun(i, value)
    return value


def _length(xs: Any) -> int:
    sizes = {leaf.shape[0] for leaf in flatten(xs)}
    if len(sizes) != 1:
        raise ShapeError(f"The tensors gone through must be equally long, got {sorted(sizes)}.")
    return int(sizes.pop())


@recorded
def scan(
    f: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> Any:
    """Carry a state along an axis: `carry, y = f(carry, x)` for each slice x.

    Args:
        f: gives the new state and an output (or None) from the state and a slice.
        init: the first state, tensors in any nesting.
        xs: gone through along axis 0, tensors in any nesting; None gives f None `length` times.
        length: how many steps; the length of xs when None.
        reverse: whether to start at the end; outputs stay in the order of xs.
        unroll: kept for Keras; makes no difference here.

    Returns: the last state, and the outputs stacked on a new axis 0.
    """
    if xs is None and length is None:
        raise ArgumentError("scan needs something to go through: give xs, or length=.")
    xs = map_structure(as_tensor, xs) if xs is not None else None
    steps = _length(xs) if length is None else int(length)
    carry = map_structure(as_tensor, init)
    ys: list[Any] = []
    for i in reversed(range(steps)) if reverse else range(steps):
        carry, y = f(carry, None if xs is None else _slice(xs, i))
        ys.append(map_structure(torch.zeros_like, carry) if y is None else y)
    if not ys:
        raise ShapeError("scan goes through at least one step, got a length of 0.")
    return carry, map_structure(_stack, *(reversed(ys) if reverse else ys))


def _slice(xs: Any, i: int) -> Any:
    return map_structure(lambda x: x[i], xs)


def _stack(*values: Any) -> Tensor:
    return torch.stack([as_tensor(value) for value in values])


@recorded
def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """f of each slice along axis 0, stacked. `vectorized_map` is faster where it works."""
    xs = map_structure(as_tensor, xs)
    return map_structure(_stack, *[f(_slice(xs, i)) for i in range(_length(xs))])


@recorded
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """f of each slice along axis 0, all at once (torch.vmap): without `if` on values."""
    return torch.vmap(function)(map_structure(as_tensor, elements))


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None
) -> Callable[..., Any]:
    """A function of single numbers as one of tensors, which broadcast (torch.vmap).

    Args:
        pyfunc: takes scalar tensors, or tensors as `signature` says; without `if` on values.
        excluded: positions of arguments that are passed on as they are.
        signature: the axes of each argument and result, such as "(m,n),(n)->(m)".
    """
    if not callable(pyfunc):
        raise ArgumentError(f"vectorize takes a function, got {pyfunc!r}.")
    apart = set(excluded or ())
    inner = re.findall(r"\(([^)]*)\)", (signature or "").partition("->")[0])
    ranks = [len([name for name in names.split(",") if name.strip()]) for names in inner]

    @recorded
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        places = [at for at in range(len(args)) if at not in apart]
        if ranks and len(ranks) != len(places):
            raise ArgumentError(
                f"vectorize: signature {signature!r} is for {len(ranks)} arguments, got "
                f"{len(places)}."
            )
        given = [as_tensor(args[at]) for at in places]
        rest = [
            x.shape[x.ndim - rank :]
            for x, rank in zip(given, ranks or [0] * len(given), strict=True)
        ]
        free = [x.shape[: x.ndim - len(own)] for x, own in zip(given, rest, strict=True)]
        loop = torch.broadcast_shapes(*free)  # type: ignore[no-untyped-call]
        rows = [x.expand(*loop, *own).reshape(-1, *own) for x, own in zip(given, rest, strict=True)]

        def one(*parts: Any) -> Any:
            at_place = dict(zip(places, parts, strict=True))
            return pyfunc(*(at_place.get(at, arg) for at, arg in enumerate(args)), **kwargs)

        made = torch.vmap(one)(*rows)
        return map_structure(lambda y: y.reshape(*loop, *y.shape[1:]), made)

    return vectorized


@recorded
def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """The running result of an associative function of two neighbours, as a running sum is of +.

    Args:
        f: combines two (nested) tensors, earlier and later; called on many pairs at once.
        elems: tensors in any nesting, of one length along `axis`.
        reverse: whether to run from the end.
        axis: gone along.
    """
    elems = map_structure(lambda x: as_tensor(x).movedim(axis, 0), elems)
    elems = map_structure(lambda x: x.flip(0), elems) if reverse else elems
    size, reach = _length(elems), 1
    while reach < size:
        # Each place takes in what the place `reach` before it has collected so far.
        front = map_structure(lambda x, n=reach: x[:-n], elems)
        back = map_structure(lambda x, n=reach: x[n:], elems)
        joined = f(front, back)
        elems = map_structure(lambda x, y, n=reach: torch.cat([x[:n], y]), elems, joined)
        reach *= 2
    elems = map_structure(lambda x: x.flip(0), elems) if reverse else elems
    return map_structure(lambda x: x.movedim(0, axis), elems)
