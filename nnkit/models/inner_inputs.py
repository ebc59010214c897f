"""Models that begin inside a graph: what a layer gave there becomes an input of their own."""

from __future__ import annotations

from typing import Any

from nnkit.layers import Input
from nnkit.models.configs import own_kwargs
from nnkit.naming import auto_name
from nnkit.symbolic import Function, Node, SymbolicTensor, record
from nnkit.tree import flatten, map_structure

__all__ = ["begun_anew"]


def begun_anew(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """The same calls on `Input`s in place of tensors that layers made; nothing to do without any.

    So `Model(model.get_layer("pool").output, model.output)` has a first layer, a summary and a file
    like every other model. Masks that would come from before the inputs are left behind.

    Args:
        inputs, outputs: symbolic tensors, nested.
    """
    given = [tensor for tensor in flatten(inputs) if type(tensor) is SymbolicTensor]
    now: dict[int, Any] = {
        id(tensor): Input(
            batch_shape=tensor.shape, dtype=tensor.dtype, name=auto_name(f"{tensor.name}_output")
        )
        for tensor in given
        if tensor.node.inputs
    }
    if not now:
        return inputs, outputs

    def current(value: Any) -> Any:
        return now.get(id(value), value)

    for node in _calls(given, outputs):
        args, kwargs = map_structure(current, (node.args, own_kwargs(node)))
        if isinstance(node.op, Function):
            made = record(node.op, args, kwargs)
        else:
            made = node.op(*args, **kwargs)
        for before, after in zip(flatten(node.outputs), flatten(made), strict=True):
            now.setdefault(id(before), after)
    return map_structure(current, (inputs, outputs))


def _calls(given: list[SymbolicTensor], outputs: Any) -> list[Node]:
    """The calls between the tensors given and the outputs, in an order in which they can run."""
    ends = {id(tensor) for tensor in given}
    done: set[int] = set()
    order: list[Node] = []
    # A stack instead of recursion: graphs are deeper than Python's recursion limit.
    stack = [(tensor, False) for tensor in reversed(flatten(outputs))]
    while stack:
        tensor, left = stack.pop()
        if type(tensor) is not SymbolicTensor or id(tensor) in ends:
            continue
        node = tensor.node
        if left and id(node) not in done:
            done.add(id(node))
            order.append(node)
        elif node.inputs and id(node) not in done:
            stack.append((tensor, True))
            leaves = flatten((node.args, own_kwargs(node)))
            stack.extend((leaf, False) for leaf in reversed(leaves))
    return order
