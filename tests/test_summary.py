"""The table of layers."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import pytest
import torch
from torch import nn

from nnkit.errors import ArgumentError
from nnkit.layers import Dense, Flatten, Input
from nnkit.models import Model, Sequential
from nnkit.naming import clear
from nnkit.summary import summary_text


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    clear()
    monkeypatch.setenv("COLUMNS", "120")


def course() -> Sequential:
    return Sequential(
        [Input((28, 28)), Flatten(), Dense(300, "relu"), Dense(100, "relu"), Dense(10, "softmax")]
    )


def branched() -> Model:
    x = Input((4,), name="x")
    inner = Model(x, Dense(4, name="deep")(x), name="inner")
    a, b = Input((4,), name="a"), Input((4,), name="b")
    joined = torch.cat([inner(a), inner(b), Dense(4, name="side")(a)], -1)
    left, right = joined.chunk(2, -1)
    return Model([a, b], [left, nn.Linear(6, 2)(right)], name="branched")


COURSE = """\
Model: "sequential"
──────────────────────────────────────────────────────────────────
 Layer (type)                   Output Shape              Param #
══════════════════════════════════════════════════════════════════
 flatten (Flatten)              (None, 784)                     0
 dense (Dense)                  (None, 300)               235,500
 dense_1 (Dense)                (None, 100)                30,100
 dense_2 (Dense)                (None, 10)                  1,010
──────────────────────────────────────────────────────────────────
 Total params: 266,610 (1.02 MB)
 Trainable params: 266,610 (1.02 MB)
 Non-trainable params: 0 (0.00 B)
──────────────────────────────────────────────────────────────────"""

BRANCHED = """\
Model: "branched"
──────────────────────────────────────────────────────────────────
 Layer (type)             Output Shape     Param #  Connected to
══════════════════════════════════════════════════════════════════
 a (InputLayer)           (None, 4)              0  -
 b (InputLayer)           (None, 4)              0  -
 inner (Functional)       (None, 4)             20  a[0][0],
                                                     b[0][0]
 side (Dense)             (None, 4)             20  a[0][0]
 cat (function)           (None, 12)             0  inner[0][0],
                                                     inner[1][0],
                                                     side[0][0]
 chunk (function)         (None, 6),             0  cat[0][0]
                           (None, 6)
 linear (torch Linear)    (None, 2)             14  chunk[0][1]
──────────────────────────────────────────────────────────────────
 Total params: 54 (216.00 B)
 Trainable params: 54 (216.00 B)
 Non-trainable params: 0 (0.00 B)
──────────────────────────────────────────────────────────────────"""


def test_the_course_model(capsys: Any) -> None:
    course().summary()
    assert capsys.readouterr().out == COURSE + "\n"


def test_connections() -> None:
    assert summary_text(branched()) == BRANCHED


def test_nested_and_frozen() -> None:
    model = branched()
    model.get_layer("inner").trainable = False
    text = summary_text(model, expand_nested=True, show_trainable=True)
    lines = text.splitlines()
    assert [line.rstrip()[-1] for line in lines if " (" in line and "─" not in line][1:9] == [
        "-", "-", "N", "-", "N", "Y", "-", "-",
    ]  # fmt: skip
    assert any(line.startswith("  └ deep (Dense)") for line in lines)
    assert " Trainable params: 34 (136.00 B)" in lines
    assert " Non-trainable params: 20 (80.00 B)" in lines


@pytest.mark.parametrize("columns", ["20", "40", "60", "80", "200"])
@pytest.mark.parametrize("make", [course, branched])
def test_fits_the_terminal(make: Any, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = summary_text(make(), show_trainable=True).splitlines()
    table = [line for line in lines if not line.startswith((" Total", " Train", " Non", "Model"))]
    assert max(map(len, table)) <= max(40, int(columns))
    assert "".join(lines).count("235,500") == (make is course)


def test_long_names_wrap() -> None:
    name = "a_very_long_name_for_a_layer_" * 4
    text = summary_text(Sequential([Input((3,)), Dense(2, name=name)]), line_length=60)
    assert all(len(line) <= 60 for line in text.splitlines())
    cells = [re.split(r" {2,}", line.strip())[0] for line in text.splitlines()[4:9]]
    assert name in "".join(cells)


def test_print_fn_line_length_and_range() -> None:
    got: list[str] = []
    course().summary(line_length=100, print_fn=got.append, layer_range=("dense", "dense_1"))
    assert len(got) == 1
    lines = got[0].splitlines()
    assert len(lines[1]) == 100
    assert [line.split()[0] for line in lines[4:6]] == ["dense", "dense_1"]
    assert lines[6].startswith("─")
    course().summary(positions=[0.5, 0.75, 1.0], print_fn=got.append, line_length=80)
    assert got[1].splitlines()[4].index("(None") == 41


def test_ascii_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Sequential([Input((3,)), Sequential([Dense(2, name="größe")])]).summary(expand_nested=True)
    sys.stdout.flush()
    text = raw.getvalue().decode("ascii")
    assert "+ gr??e (Dense)" in text
    assert "------" in text
    assert "======" in text


def test_before_it_is_built(capsys: Any) -> None:
    model = Sequential([Dense(3), nn.ReLU()])
    model.summary()
    text = capsys.readouterr().out
    assert "0 (unbuilt)" in text
    assert "Not built yet: call it on data, or begin it with Input(shape=...)." in text
    model(torch.rand(2, 4))
    model.summary()
    text = capsys.readouterr().out
    assert "(None, 3)" in text
    assert "unbuilt" not in text
    Sequential().summary()
    assert "(no layers yet)" in capsys.readouterr().out


def test_subclass(capsys: Any) -> None:
    class Own(Model):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [Dense(3), Dense(2)]

        def call(self, inputs: Any) -> Any:
            for block in self.blocks:
                inputs = block(inputs)
            return inputs

    model = Own()
    model(torch.rand(5, 4))
    model.summary()
    text = capsys.readouterr().out
    assert 'Model: "own"' in text
    assert [line.split()[-1] for line in text.splitlines() if "(Dense)" in line] == ["15", "8"]
    assert "(None, 3)" in text
    assert "Total params: 23 (92.00 B)" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"line_length": 10}, "line_length must be at least 24 here, got 10"),
        ({"positions": [0.5, 0.4, 1.0]}, "positions must be 3 growing fractions of the line"),
        ({"positions": [0.5, 1.0]}, "positions must be 3 growing fractions"),
        ({"layer_range": "dense"}, r"layer_range must be \(first name, last name\), got 'dense'"),
        ({"layer_range": ("dens", "x")}, "Unknown layer in layer_range 'dens'. Did you mean"),
    ],
)
def test_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        course().summary(**options)
