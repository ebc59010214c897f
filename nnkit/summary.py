"""The table that `model.summary()` prints."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch

from nnkit.errors import ArgumentError, unknown_name
from nnkit.shapes import Shape
from nnkit.symbolic import Function, Node, SymbolicTensor
from nnkit.tree import flatten

__all__ = ["kind_of", "print_summary", "shown_operations", "sources_of", "summary_text"]

_TIE = "\u00a0"  # keeps a shape together when a cell is wrapped
_UNITS = ("B", "KB", "MB", "GB", "TB")


class _Row(NamedTuple):
    """A line of the table: one text a column."""

    name: str
    shape: str
    params: str
    connected: str
    trainable: str


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: list[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> None:
    """Print the summary of a model; see `Model.summary`."""
    text = summary_text(model, line_length, positions, expand_nested, show_trainable, layer_range)
    if print_fn is not None:
        print_fn(text)
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(str.maketrans("─═└", "-=+"))
        text = text.encode(encoding, "replace").decode(encoding)
    print(text)


def summary_text(
    model: Any,
    line_length: int | None = None,
    positions: list[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> str:
    """The summary as text: a row a layer, then the totals."""
    graph = getattr(model, "_graph", None)
    nodes = graph.nodes if graph is not None else []
    sequence = type(model).__name__ == "Sequential"
    chain = sequence or graph is None or (len(graph.flat_inputs) == 1 and _is_chain(nodes))
    operations = model.layers if sequence or graph is None else shown_operations(graph)
    operations = _in_range(operations, layer_range)
    rows: list[_Row] = []
    for op in operations:
        rows.extend(_rows(op, nodes, expand_nested, 0))
    header = _Row("Layer (type)", "Output Shape", "Param #", "Connected to", "Trainable")
    wanted = [0, 1, 2, *([] if chain else [3]), *([4] if show_trainable else [])]
    table = [[row[i] for i in wanted] for row in [header, *rows]]
    widths = (
        _fixed_widths(positions, line_length or _line(chain), len(wanted))
        if positions
        else _widths(table, line_length, _line(chain))
    )
    total = sum(widths)
    lines = [f'Model: "{model.name}"', "─" * total]
    lines += _cells(table[0], widths)
    lines.append("═" * total)
    for cells in table[1:]:
        lines += _cells(cells, widths)
    if not rows:
        lines.append(" (no layers yet)")
    lines.append("─" * total)
    return "\n".join([*lines, *_totals(model), "─" * total])


def shown_operations(graph: Any) -> list[Any]:
    """The layers and functions of a graph that people are shown, in Keras's order."""
    hidden = {id(node.op) for node in graph.nodes if node.hidden}
    return [op for op in graph.operations if id(op) not in hidden]


def _is_chain(nodes: Iterable[Node]) -> bool:
    shown = [node for node in nodes if not node.hidden]
    sources = [id(t.node) for node in shown for t in sources_of(node)]
    ops = [id(node.op) for node in shown]
    once = len(set(sources)) == len(sources) and len(set(ops)) == len(ops)
    return once and all(len(sources_of(node)) == 1 for node in shown)


def sources_of(node: Node) -> list[SymbolicTensor]:
    """The tensors that a call received, without those people are not shown."""
    return [tensor for tensor in node.inputs if not tensor.node.hidden]


def _in_range(operations: list[Any], layer_range: Any) -> list[Any]:
    if layer_range is None:
        return operations
    if not isinstance(layer_range, (list, tuple)) or len(layer_range) != 2:
        raise ArgumentError(f"layer_range must be (first name, last name), got {layer_range!r}.")
    names = [op.name for op in operations]
    places = []
    for pattern in layer_range:
        found = [i for i, name in enumerate(names) if re.fullmatch(pattern, name)]
        if not found:
            raise unknown_name("layer in layer_range", pattern, names)
        places.append(found)
    return operations[min(places[0]) : max(places[1]) + 1]


def _rows(op: Any, nodes: list[Node], expand: bool, depth: int) -> list[_Row]:
    own = [node for node in nodes if node.op is op] or getattr(op, "_inbound_nodes", [])[:1]
    kind = "function" if isinstance(op, Function) else kind_of(op)
    prefix = "   " * (depth - 1) + " └ " if depth else ""
    count = "0" if isinstance(op, Function) else f"{op.count_params():,}"
    if not isinstance(op, Function) and not op.built:
        count = "0 (unbuilt)"
    has_weights = not isinstance(op, Function) and bool(op.weights)
    trainable = ("Y" if op.trainable else "N") if has_weights else "-"
    rows = [_Row(f"{prefix}{op.name} ({kind})", _shape(op, own), count, _links(own), trainable)]
    inner = getattr(op, "layers", None)
    if expand and inner:
        graph = getattr(op, "_graph", None)
        for layer in inner:
            rows.extend(_rows(layer, graph.nodes if graph else [], expand, depth + 1))
    return rows


def kind_of(op: Any) -> str:
    """The class of a layer as people are shown it."""
    wrapped = getattr(op, "module", None)
    if type(op).__name__ == "TorchModuleWrapper" and wrapped is not None:
        return f"torch {type(wrapped).__name__}"
    if type(op).__name__ == "Model" and getattr(op, "_graph", None) is not None:
        return "Functional"
    return type(op).__name__


def _shape(op: Any, nodes: list[Node]) -> str:
    outputs = nodes[-1].outputs if nodes else getattr(op, "_first_output", None)
    shapes = [
        leaf.shape if isinstance(leaf, SymbolicTensor) else leaf
        for leaf in (flatten(outputs) if nodes else [outputs])
        if leaf is not None
    ]
    if nodes and not isinstance(outputs, (list, tuple, dict)):
        return _format(shapes[0])
    return ", ".join(map(_format, shapes)) or "?"


def _format(shape: Shape | Any) -> str:
    return str(tuple(shape))


def _links(nodes: list[Node]) -> str:
    links = []
    for node in nodes:
        for tensor in sources_of(node):
            source = tensor.node
            calls = getattr(source.op, "_inbound_nodes", [source])
            call = next((i for i, known in enumerate(calls) if known is source), 0)
            links.append(f"{source.op.name}[{call}][{tensor.index}]")
    return ", ".join(links) or "-"


def _line(chain: bool) -> int:
    """How long a line may be: the terminal's width, but not wider than is good to read."""
    return max(32, min(80 if chain else 108, shutil.get_terminal_size().columns - 2))


def _fixed_widths(positions: Sequence[float], line: int, columns: int) -> list[int]:
    edges = [int(end * line) if end <= 1 else int(end) for end in positions]
    widths = [end - start for start, end in zip([0, *edges], edges, strict=False)]
    if len(widths) != columns or min(widths) < 4:
        raise ArgumentError(
            f"positions must be {columns} growing fractions of the line, each column at least 4 "
            f"wide, got {list(positions)} for a line of {line}."
        )
    return widths


def _widths(table: list[list[str]], wanted: int | None, line: int) -> list[int]:
    """As wide as the texts need; what is left over goes to the first columns, which else shrink."""
    parts = [
        [len(part) for text in column for part in _parts(text)]
        for column in zip(*table, strict=True)
    ]
    widths = [max(lengths) + 3 for lengths in parts]
    if wanted is not None and wanted < 8 * len(widths):
        raise ArgumentError(f"line_length must be at least {8 * len(widths)} here, got {wanted}.")
    goal = wanted or min(line, max(66, sum(widths)))
    while sum(widths) > goal:
        width, widest = max((width, i) for i, width in enumerate(widths) if i != 2)
        if width < 7:
            break  # too narrow a terminal; numbers stay whole
        widths[widest] -= 1
    for i in range(goal - sum(widths)):
        widths[i % 2] += 1
    return widths


def _parts(text: str) -> list[str]:
    """What is better not broken: a shape, the name of a layer with its call."""
    return re.findall(r"\([^()]*\),?|[^(), ]+,?", text) if ", " in text else [text]


def _chunks(line: str, width: int, indent: str) -> list[str]:
    """A line that is one word too long for its column, in pieces; any other line as it is."""
    if len(line) > width >= len(line.strip()):
        return [line.strip()]
    chunks = []
    while len(line) > width:
        chunks.append(line[:width])
        line = indent + line[width:]
    return [*chunks, line]


def _cells(texts: list[str], widths: list[int]) -> list[str]:
    """One or more lines: a text too long for its column goes on below."""
    columns = []
    for text, width in zip(texts, widths, strict=True):
        indent = " " * (len(text) - len(text.lstrip()) + 1)
        tied = re.sub(r"\([^()]*, [^()]*\)", lambda found: found[0].replace(" ", _TIE), text)
        lines = textwrap.wrap(
            tied, width - 2, subsequent_indent=indent, break_on_hyphens=False,
            break_long_words=False,
        )  # fmt: skip
        parts = [part for line in lines for part in _chunks(line, width - 2, indent)]
        columns.append([part.replace(_TIE, " ") for part in parts] or [""])
    rows = []
    for i in range(max(map(len, columns))):
        cells = []
        for at, (parts, width) in enumerate(zip(columns, widths, strict=True)):
            text = parts[i] if i < len(parts) else ""
            cells.append(f"{text:>{width - 1}} " if at == 2 else f" {text:<{width - 1}}")
        rows.append("".join(cells).rstrip())
    return rows


def _totals(model: Any) -> list[str]:
    trainable, frozen = model.trainable_weights, model.non_trainable_weights
    made = getattr(model.optimizer, "built", False)  # with the first update, or from a file
    state = model.optimizer.variables if made else []
    unbuilt = not model.built and not trainable
    lines = [
        f" Total params: {_count([*trainable, *frozen, *state])}",
        f" Trainable params: {_count(trainable)}",
        f" Non-trainable params: {_count(frozen)}",
    ]
    if state:
        lines.append(f" Optimizer params: {_count(state)}")
    if unbuilt:
        lines.append(" Not built yet: call it on data, or begin it with Input(shape=...).")
    return lines


def _count(tensors: Iterable[torch.Tensor]) -> str:
    tensors = list({id(t): t for t in tensors}.values())
    size: float = sum(t.numel() * t.element_size() for t in tensors)
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{sum(t.numel() for t in tensors):,} ({size:.2f} {_UNITS[unit]})"
