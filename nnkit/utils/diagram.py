"""What a picture of a model shows: boxes, the lines between them, and groups of boxes."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnkit.errors import NotBuiltError
from nnkit.summary import kind_of, shown_operations, sources_of
from nnkit.symbolic import Function, SymbolicTensor
from nnkit.tree import flatten

__all__ = ["Box", "Diagram", "diagram_of"]


class Box(NamedTuple):
    """A layer in the picture.

    Attributes:
        title: the name and class.
        cells: what is told of it, side by side: "Output shape: (None, 10)".
        groups: the nested models it is in, the outermost first.
    """

    title: str
    cells: tuple[str, ...]
    groups: tuple[str, ...]


class Diagram:
    """Boxes by key, and lines as pairs of keys, each in the order in which data flows."""

    def __init__(self) -> None:
        self.boxes: dict[int, Box] = {}
        self.lines: dict[tuple[int, int], None] = {}

    def groups(self) -> dict[tuple[str, ...], list[int]]:
        """The boxes of each nested model, those deeper inside included."""
        found: dict[tuple[str, ...], list[int]] = {}
        for key, box in self.boxes.items():
            for depth in range(len(box.groups)):
                found.setdefault(box.groups[: depth + 1], []).append(key)
        return found


def diagram_of(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    expand_nested: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Diagram:
    """The diagram of a model; a model without a graph is a single box, as in Keras.

    Args: as for `plot_model`.

    Raises: NotBuiltError for a model that has not seen an input shape.
    """
    if not model.built:
        raise NotBuiltError(
            f"{model.label} has no shapes to draw yet. Call it on data, or begin it with "
            f"Input(shape=...)."
        )

    def box(op: Any, nodes: list[Any], groups: tuple[str, ...]) -> Box:
        kind = "function" if isinstance(op, Function) else kind_of(op)
        outputs = [leaf for node in nodes[-1:] for leaf in flatten(node.outputs)]
        cells = []
        if show_layer_activations and callable(getattr(op, "activation", None)):
            cells.append(f"Activation: {getattr(op.activation, '__name__', op.activation)}")
        if show_shapes:
            inputs = [tensor for node in nodes[-1:] for tensor in sources_of(node)]
            if inputs:
                cells.append(f"Input shape: {_shapes(inputs)}")
            cells.append(f"Output shape: {_shapes(outputs)}")
        if show_dtype:
            kinds = {str(leaf.dtype).removeprefix("torch.") for leaf in outputs}
            cells.append(f"Output dtype: {', '.join(sorted(kinds)) or '?'}")
        if show_trainable and getattr(op, "weights", None):
            cells.append("Trainable" if op.trainable else "Non-trainable")
        title = f"{op.name} ({kind})" if show_layer_names else kind
        return Box(title, tuple(cells), groups)

    def add(owner: Any, groups: tuple[str, ...]) -> tuple[list[int], list[int]]:
        """The boxes of a model; those its inputs go to and those its outputs come from."""
        graph = getattr(owner, "_graph", None)
        if graph is None:
            diagram.boxes[id(owner)] = box(owner, [], groups)
            return [id(owner)], [id(owner)]
        # Keras leaves the input of a Sequential out of the picture.
        sequence = kind_of(owner) == "Sequential"
        entries: dict[int, list[int]] = {}
        exits: dict[int, list[int]] = {}
        for op in shown_operations(graph):
            nodes = [node for node in graph.nodes if node.op is op]
            if sequence and not nodes:
                continue
            inner = getattr(op, "_graph", None)
            if expand_nested and inner is not None:
                entries[id(op)], exits[id(op)] = add(op, (*groups, op.name))
                continue
            diagram.boxes[id(op)] = box(op, nodes or op._inbound_nodes[:1], groups)
            entries[id(op)] = exits[id(op)] = [id(op)]
        starts = [id(tensor.node.op) for tensor in graph.flat_inputs]
        first: list[int] = []
        for node in graph.nodes:
            if id(node.op) not in entries:
                continue
            goals = entries[id(node.op)]
            for number, tensor in enumerate(sources_of(node)):
                source = id(tensor.node.op)
                # Each input of a nested model goes to its own box.
                goal = goals[min(number, len(goals) - 1)]
                if source in exits:
                    ends = exits[source]
                    diagram.lines[ends[min(tensor.index, len(ends) - 1)], goal] = None
                elif source in starts:
                    first.append(goal)
        begin = first if sequence else [key for start in starts for key in entries.get(start, ())]
        end = [
            exits[id(tensor.node.op)][-1]
            for tensor in graph.flat_outputs
            if id(tensor.node.op) in exits
        ]
        return begin, end

    diagram = Diagram()
    add(model, ())
    return diagram


def _shapes(tensors: list[SymbolicTensor]) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "?"
