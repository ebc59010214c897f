"""plot_model: a picture of a model, drawn by matplotlib; and the same as text for graphviz."""

from __future__ import annotations

import importlib
import io
import sys
from pathlib import Path
from typing import Any

from nnkit.arguments import path_text
from nnkit.errors import ArgumentError, unknown_name
from nnkit.utils.diagram import Box, Diagram, diagram_of
from nnkit.utils.layout import arrange

__all__ = ["Dot", "model_to_dot", "plot_model"]

_DIRECTIONS = ("TB", "BT", "LR", "RL")
_POINT = 1 / 72  # inches
_FONT = 10.0  # points
_LINE = 1.9 * _FONT  # the height of a line of text, in points
_MARGIN = 12.0  # points around texts and around the picture
_GAPS = (26.0, 30.0)  # points between boxes of a row, and between rows
_FORMATS = ("png", "pdf", "svg", "jpg", "jpeg", "eps", "ps", "webp", "tif", "tiff")
# Backgrounds of the cells that say whether a layer trains.
_COLOURS = {"Trainable": "#228b22", "Non-trainable": "#b22222"}


class Dot:
    """A model as a graph for graphviz, and as a picture that needs no graphviz.

    Args:
        diagram: the boxes and lines.
        rankdir: which way data flows: "TB", "BT", "LR" or "RL".
        dpi: dots per inch of pictures.
        name: of the graph.
    """

    def __init__(self, diagram: Diagram, rankdir: str, dpi: float, name: str) -> None:
        self.diagram = diagram
        self.rankdir = rankdir
        self.dpi = dpi
        self.name = name

    def to_string(self) -> str:
        """The graph in graphviz's language."""
        numbers = {key: number for number, key in enumerate(self.diagram.boxes)}
        lines = [f"digraph {_quoted(self.name)} {{", f"  rankdir={self.rankdir};"]
        lines.append("  node [shape=record, fontname=Helvetica];")
        for key, box in self.diagram.boxes.items():
            title, *cells = (_escaped(text) for text in (box.title, *box.cells))
            label = f"{{{title}|{{{'|'.join(cells)}}}}}" if cells else title
            lines.append(f'  n{numbers[key]} [label="{label}"];')
        for number, (group, keys) in enumerate(self.diagram.groups().items()):
            inside = " ".join(f"n{numbers[key]};" for key in keys)
            lines.append(f"  subgraph cluster_{number} {{ label={_quoted(group[-1])}; {inside} }}")
        lines += [f"  n{numbers[one]} -> n{numbers[two]};" for one, two in self.diagram.lines]
        return "\n".join([*lines, "}"])

    __str__ = to_string

    def create(self, prog: Any = None, format: str = "png", **options: Any) -> bytes:
        """The picture in a format, as bytes; `prog` is accepted, matplotlib draws."""
        if format in ("dot", "raw"):
            return self.to_string().encode()
        file = io.BytesIO()
        _draw(self.diagram, file, _format(format), self.rankdir, self.dpi)
        return file.getvalue()

    def write(self, path: Any, prog: Any = None, format: str = "dot", **options: Any) -> bool:
        """Write the graph, or the picture in a format, to a file."""
        Path(path).write_bytes(self.create(prog, format))
        return True


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Dot:
    """The graph of a model: `.to_string()` is graphviz's language, `.create(format="svg")` draws.

    Args: as for `plot_model`; subgraph and splines are accepted and change nothing.

    Raises: NotBuiltError, or ArgumentError for an unknown argument or rankdir.
    """
    for name in kwargs:
        raise unknown_name("argument of model_to_dot", name, ["show_shapes", "rankdir", "dpi"])
    if rankdir not in _DIRECTIONS:
        raise ArgumentError(f"rankdir must be one of {', '.join(_DIRECTIONS)}, got {rankdir!r}.")
    diagram = diagram_of(
        model, show_shapes, show_dtype, show_layer_names, expand_nested, show_layer_activations,
        show_trainable,
    )  # fmt: skip
    return Dot(diagram, rankdir, dpi, model.name)


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draw a model's layers and how they are joined; needs matplotlib, not graphviz.

    Args:
        model: a built model.
        to_file: the picture's path; its ending is the format: .png, .svg, .pdf, or .dot for text.
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable: what
            the boxes tell besides the layer's class.
        rankdir: which way data flows: "TB" (down), "BT", "LR" or "RL".
        expand_nested: draw the layers of nested models, in a frame.
        dpi: dots per inch.
        splines: accepted; lines are straight.

    Returns: an IPython image when IPython is running, else None.
    Raises: NotBuiltError for an unbuilt model; ArgumentError for an unknown format or argument.
    """
    path = Path(path_text("plot_model", "to_file", to_file))
    path = path if path.suffix else path.with_suffix(".png")
    dot = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
        show_layer_activations=show_layer_activations, show_trainable=show_trainable, **kwargs,
    )  # fmt: skip
    dot.write(path, format=path.suffix[1:].lower())
    if "IPython" in sys.modules and path.suffix in (".png", ".jpg"):
        return importlib.import_module("IPython.display").Image(filename=str(path))
    return None


def _draw(diagram: Diagram, file: Any, format: str, rankdir: str, dpi: float) -> None:
    """Draw a diagram into a file."""
    figure_module: Any = importlib.import_module("matplotlib.figure")
    patches: Any = importlib.import_module("matplotlib.patches")
    boxes = {key: _Drawn(box) for key, box in diagram.boxes.items()}
    level = rankdir in ("LR", "RL")
    sizes = {
        key: (box.height, box.width) if level else (box.width, box.height)
        for key, box in boxes.items()
    }
    places, lines = arrange(diagram, sizes, _GAPS)
    turn = -1 if rankdir in ("TB", "RL") else 1

    def point(place: Any) -> tuple[float, float]:
        return (turn * place.along, -place.across) if level else (place.across, turn * place.along)

    figure = figure_module.Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    middles = {key: point(place) for key, place in places.items()}
    for group, keys in diagram.groups().items():
        _frame(axes, patches, group, [(middles[key], boxes[key]) for key in keys])
    for (start, end), bends in lines.items():
        way = [middles[start], *map(point, bends), middles[end]]
        way[0] = boxes[start].border(way[0], way[1])
        way[-1] = boxes[end].border(way[-1], way[-2])
        if len(way) > 2:
            axes.plot(*zip(*way[:-1], strict=True), color="black", linewidth=0.8, zorder=1)
        axes.annotate(
            "", way[-1], way[-2], zorder=1,
            arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 0.8, "shrinkA": 0,
                        "shrinkB": 0},
        )  # fmt: skip
    for key, box in boxes.items():
        box.draw(axes, patches, middles[key])
    _fit(figure, axes, middles, boxes, len(max(diagram.groups(), key=len, default=())))
    figure.savefig(file, format=format, dpi=dpi)


class _Drawn:
    """A box with its size in points: a dark title over cells side by side."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.cells = [_width(text) + _MARGIN for text in box.cells]
        self.width = max(_width(box.title) + _MARGIN, sum(self.cells))
        self.height = _LINE * (2 if box.cells else 1)

    def border(self, middle: tuple[float, float], to: tuple[float, float]) -> tuple[float, float]:
        """Where a line from the middle towards a point leaves the box."""
        across, up = to[0] - middle[0], to[1] - middle[1]
        share = min(
            self.width / 2 / abs(across) if across else 1.0,
            self.height / 2 / abs(up) if up else 1.0,
        )
        return middle[0] + across * share, middle[1] + up * share

    def draw(self, axes: Any, patches: Any, middle: tuple[float, float]) -> None:
        left, top = middle[0] - self.width / 2, middle[1] + self.height / 2
        self._part(axes, patches, (left, top), self.width, self.box.title, "black")
        # What is left over is shared out, so that the cells end where the title does.
        more = (self.width - sum(self.cells)) / max(1, len(self.cells))
        for text, width in zip(self.box.cells, self.cells, strict=True):
            colour = _COLOURS.get(text, "white")
            self._part(axes, patches, (left, top - _LINE), width + more, text, colour)
            left += width + more

    def _part(
        self, axes: Any, patches: Any, corner: tuple[float, float], width: float, text: str,
        colour: str,
    ) -> None:  # fmt: skip
        left, top = corner
        axes.add_patch(
            patches.Rectangle(
                (left, top - _LINE), width, _LINE, facecolor=colour, edgecolor="black",
                linewidth=0.8, zorder=2,
            )
        )  # fmt: skip
        axes.text(
            left + width / 2, top - _LINE / 2, text, ha="center", va="center", fontsize=_FONT,
            color="black" if colour == "white" else "white", zorder=3,
        )  # fmt: skip


def _frame(axes: Any, patches: Any, group: tuple[str, ...], members: list[Any]) -> None:
    """A dashed frame around a nested model; the deeper, the tighter."""
    space = 16.0 / len(group)
    left = min(middle[0] - box.width / 2 for middle, box in members) - space
    right = max(middle[0] + box.width / 2 for middle, box in members) + space
    low = min(middle[1] - box.height / 2 for middle, box in members) - space
    high = max(middle[1] + box.height / 2 for middle, box in members) + space
    axes.add_patch(
        patches.Rectangle(
            (left, low), right - left, high - low, fill=False, linestyle="--", linewidth=0.8,
            edgecolor="gray",
        )
    )  # fmt: skip
    axes.text(left + 3, high + 2, group[-1], fontsize=0.8 * _FONT, color="gray", va="bottom")


def _fit(figure: Any, axes: Any, middles: Any, boxes: Any, depth: int) -> None:
    """Make the figure as large as what is on it, so that a point is a point."""
    space = _MARGIN + (18.0 if depth else 0.0)
    xs = [x + side * boxes[k].width / 2 for k, (x, _) in middles.items() for side in (-1, 1)]
    ys = [y + side * boxes[k].height / 2 for k, (_, y) in middles.items() for side in (-1, 1)]
    left, right, low, high = min(xs) - space, max(xs) + space, min(ys) - space, max(ys) + space
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    figure.set_size_inches((right - left) * _POINT, (high - low) * _POINT)


def _width(text: str) -> float:
    """The width of a line of text in points."""
    paths: Any = importlib.import_module("matplotlib.textpath")
    return float(paths.TextPath((0, 0), text, size=_FONT).get_extents().width)


def _format(format: str) -> str:
    if format not in _FORMATS:
        raise unknown_name("format of a picture", format, [*_FORMATS, "dot"])
    return format


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    for mark in '\\"{}|<>':
        text = text.replace(mark, f"\\{mark}")
    return text
