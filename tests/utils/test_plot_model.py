"""Pictures of models: what they show, where the boxes go, and the files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit import layers
from nnkit.errors import ArgumentError, NotBuiltError
from nnkit.utils import model_to_dot, plot_model
from nnkit.utils.diagram import diagram_of
from nnkit.utils.layout import arrange


def two_inputs() -> nnkit.Model:
    one, two = nnkit.Input((4,), name="one"), nnkit.Input((3,), name="two")
    hidden = layers.Dense(5, activation="relu", name="hidden")(one)
    joined = layers.Concatenate(name="joined")([hidden, two])
    skip = layers.Add(name="sum")([layers.Dense(8, name="last")(joined), joined])
    return nnkit.Model([one, two], [skip, hidden])


def nested() -> nnkit.Model:
    inner = nnkit.Sequential(
        [nnkit.Input((4,)), layers.Dense(3, name="a"), layers.Dense(2, name="b")], name="inner"
    )
    start = nnkit.Input((2,), name="start")
    head = nnkit.Model(start, layers.Dense(1, name="c")(start), name="head")
    inputs = nnkit.Input((4,), name="inputs")
    return nnkit.Model(inputs, layers.Dense(1, name="d")(head(inner(inputs))))


def links(model: Any, **options: Any) -> set[tuple[str, str]]:
    diagram = diagram_of(model, show_layer_names=True, **options)
    names = {key: box.title.split(" ")[0] for key, box in diagram.boxes.items()}
    return {(names[start], names[end]) for start, end in diagram.lines}


def test_lines_follow_the_data() -> None:
    assert links(two_inputs()) == {
        ("one", "hidden"), ("hidden", "joined"), ("two", "joined"), ("joined", "last"),
        ("joined", "sum"), ("last", "sum"),
    }  # fmt: skip


def test_nested_models_are_boxes_or_frames() -> None:
    assert links(nested()) == {("inputs", "inner"), ("inner", "head"), ("head", "d")}
    assert links(nested(), expand_nested=True) == {
        ("inputs", "a"), ("a", "b"), ("b", "start"), ("start", "c"), ("c", "d"),
    }  # fmt: skip
    groups = diagram_of(nested(), expand_nested=True).groups()
    assert [len(members) for members in groups.values()] == [2, 2]
    assert list(groups) == [("inner",), ("head",)]


def test_a_sequential_is_a_chain_without_its_input() -> None:
    model = nnkit.Sequential([nnkit.Input((4,)), layers.Dense(3, name="a"), layers.ReLU(name="b")])
    assert links(model) == {("a", "b")}


@pytest.mark.parametrize(
    ("options", "title", "cells"),
    [
        ({}, "Dense", ()),
        ({"show_layer_names": True}, "hidden (Dense)", ()),
        (
            {"show_shapes": True},
            "Dense",
            ("Input shape: (None, 4)", "Output shape: (None, 5)"),
        ),
        ({"show_dtype": True}, "Dense", ("Output dtype: float32",)),
        ({"show_layer_activations": True}, "Dense", ("Activation: relu",)),
        ({"show_trainable": True}, "Dense", ("Non-trainable",)),
    ],
)
def test_what_a_box_tells(options: Any, title: str, cells: tuple[str, ...]) -> None:
    model = two_inputs()
    model.get_layer("hidden").trainable = False
    box = diagram_of(model, **options).boxes[id(model.get_layer("hidden"))]
    assert (box.title, box.cells) == (title, cells)


def test_boxes_do_not_overlap_and_data_flows_one_way() -> None:
    for model in (two_inputs(), nested()):
        diagram = diagram_of(model, expand_nested=True)
        sizes = dict.fromkeys(diagram.boxes, (100.0, 20.0))
        places, _ = arrange(diagram, sizes, (10.0, 15.0))
        for start, end in diagram.lines:
            assert places[end].along - places[start].along >= 35 - 1e-6
        keys = list(places)
        for number, one in enumerate(keys):
            for other in keys[:number]:
                if abs(places[one].along - places[other].along) < 20:
                    assert abs(places[one].across - places[other].across) >= 110 - 1e-6


def test_a_line_that_passes_a_row_runs_beside_its_boxes() -> None:
    diagram = diagram_of(two_inputs(), show_layer_names=True)
    sizes = dict.fromkeys(diagram.boxes, (100.0, 20.0))
    places, lines = arrange(diagram, sizes, (10.0, 15.0))
    keys = {box.title.split(" ")[0]: key for key, box in diagram.boxes.items()}
    bends = lines[keys["joined"], keys["sum"]]
    assert len(bends) == 2
    assert all(abs(bend.across - places[keys["last"]].across) > 50 for bend in bends)


@pytest.mark.parametrize(
    ("ending", "head"),
    [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".dot", b"digraph")],
)
def test_files(tmp_path: Path, ending: str, head: bytes) -> None:
    path = tmp_path / f"model{ending}"
    assert plot_model(nested(), path, show_shapes=True, expand_nested=True) is None
    assert path.read_bytes().startswith(head)


def test_the_picture_is_as_large_as_what_is_on_it(tmp_path: Path) -> None:
    sizes = {}
    for name, options in {
        "down": {}, "right": {"rankdir": "LR"}, "fine": {"dpi": 400}, "told": {"show_shapes": True},
    }.items():  # fmt: skip
        path = tmp_path / f"{name}.png"
        plot_model(two_inputs(), str(path), **options)
        sizes[name] = tuple(int.from_bytes(path.read_bytes()[at : at + 4]) for at in (16, 20))
    assert sizes["down"][0] < sizes["down"][1]
    assert sizes["right"][0] > sizes["right"][1]
    np.testing.assert_allclose(sizes["fine"], np.multiply(2, sizes["down"]), atol=2)
    assert sizes["told"][0] > 2 * sizes["down"][0]


def test_the_picture_has_the_names(tmp_path: Path) -> None:
    text = model_to_dot(two_inputs(), show_shapes=True).create(format="svg").decode()
    for name in ("one (InputLayer)", "hidden (Dense)", "Output shape: (None, 8)"):
        assert name in text


def test_text_for_graphviz() -> None:
    dot = model_to_dot(nested(), show_shapes=True, expand_nested=True, rankdir="LR")
    text = str(dot)
    assert text == dot.to_string() == dot.create(format="dot").decode()
    assert "rankdir=LR;" in text
    assert len(re.findall(r"n\d+ -> n\d+;", text)) == 5
    assert 'label="inner"; n1; n2;' in text
    assert r"{Input shape: (None, 4)|Output shape: (None, 3)}" in text


class _Own(nnkit.Model):
    def call(self, inputs: Any) -> Any:
        return inputs * 2


def test_a_model_without_a_graph_is_one_box() -> None:
    model = _Own()
    model(np.zeros((1, 2), "float32"))
    assert [box.title for box in diagram_of(model).boxes.values()] == ["_Own"]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: plot_model(nnkit.Sequential([layers.Dense(1)])), NotBuiltError, "no shapes to"),
        (lambda: plot_model(two_inputs(), rankdir="XY"), ArgumentError, "rankdir must be one of"),
        (lambda: plot_model(two_inputs(), "m.bmp"), ArgumentError, "format of a picture 'bmp'"),
        (
            lambda: plot_model(two_inputs(), show_shape=True),
            ArgumentError,
            "Did you mean 'show_shapes'",
        ),
    ],
)
def test_mistakes(call: Any, error: Any, said: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        call()
    assert not list(tmp_path.iterdir())
