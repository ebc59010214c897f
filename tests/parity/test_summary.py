"""Rows, shapes, counts and connections of Keras's summaries."""

from __future__ import annotations

import re
from typing import Any

import keras
import pytest
import torch

from nnkit.summary import summary_text
from tests.parity.test_models import (
    OURS,
    dense_net,
    images,
    many_inputs,
    many_outputs,
    nested,
    passing,
    residual,
    shared,
    stack,
)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")


def theirs_rows(model: Any, **options: Any) -> tuple[list[tuple[str, ...]], list[str]]:
    got: list[str] = []
    model.summary(line_length=200, print_fn=lambda text, **_: got.append(text), **options)
    rows: list[list[str]] = []
    totals = re.findall(r"params: ([\d,]+)", got[0])
    for line in got[0].splitlines():
        if "│" not in line:
            continue
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [f"{a} {b}".strip() for a, b in zip(rows[-1], cells, strict=True)]
    return [tuple(row) for row in rows], totals


def our_rows(model: Any, **options: Any) -> tuple[list[tuple[str, ...]], list[str]]:
    text = summary_text(model, 200, **options)
    body = text.splitlines()[4:]
    rows: list[list[str]] = []
    for line in body[: next(i for i, line in enumerate(body) if line.startswith("─"))]:
        cells = [cell.strip() for cell in re.split(r" {2,}", line.strip())]
        if line.startswith("   ") and "└" not in line[:12]:
            rows[-1][3] += " " + " ".join(cells)
        else:
            rows.append(cells)
    return [tuple(row) for row in rows], re.findall(r"params: ([\d,]+)", text)


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize(
    "build",
    [residual, images, many_inputs, many_outputs, shared, nested, passing, dense_net, stack],
    ids=lambda build: build.__name__,
)
def test_rows(build: Any, expand: bool) -> None:
    theirs, their_totals = theirs_rows(build(keras), expand_nested=expand)
    ours, our_totals = our_rows(build(OURS), expand_nested=expand)
    assert our_totals == their_totals

    def plain(row: tuple[str, ...]) -> tuple[str, ...]:
        name = re.sub(r"^[└\s]+", "", row[0])
        links = re.sub(r"\s", "", row[3]) if len(row) > 3 else ""
        return (re.sub(r"input_layer\w*", "input", name), *row[1:3], links.replace("-", ""))

    assert [plain(r)[:3] for r in ours] == [plain(r)[:3] for r in theirs]
    if build is not nested:  # inner inputs have other numbers
        assert [plain(r)[3] for r in ours] == [plain(r)[3] for r in theirs]


def test_trainable_column() -> None:
    theirs, ours = nested(keras), nested(OURS)
    for model in (theirs, ours):
        model.get_layer("inner").trainable = False
    rows = [theirs_rows(theirs, show_trainable=True), our_rows(ours, show_trainable=True)]
    assert [row[4] for row in rows[0][0]] == [row[4] for row in rows[1][0]]
    assert rows[0][1] == rows[1][1]
    assert torch.is_tensor(ours([torch.ones(1, 4)] * 2)[0])
