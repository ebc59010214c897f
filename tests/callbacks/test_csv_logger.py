from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnkit.callbacks import CSVLogger
from nnkit.errors import ArgumentError


@pytest.mark.parametrize(
    ("epochs", "separator", "lines"),
    [
        (
            [{"loss": 0.5, "acc": 0.25, "val_loss": 2.0}, {"loss": 1e-9, "acc": 1, "val_loss": 3}],
            ",",
            ["epoch,acc,loss,val_loss", "0,0.25,0.5,2.0", "1,1,1e-09,3"],
        ),
        (
            [{"loss": 0.5}, {"loss": 0.4, "val_loss": 0.3, "late": 9}],
            ";",
            ["epoch;loss;val_loss", "0;0.5;NA", "1;0.4;0.3"],
        ),
        (
            [{"auc": [0.5, 1.0], "val_auc": 1}],
            "\t",
            ["epoch\tauc\tval_auc", '0\t"""[0.5, 1.0]"""\t1'],
        ),
    ],
)
def test_the_file(
    model: Any, run: Any, tmp_path: Path, epochs: Any, separator: str, lines: list[str]
) -> None:
    path = tmp_path / "new" / "log.csv"
    run(model, CSVLogger(path, separator=separator), epochs)
    assert path.read_bytes().decode() == "".join(f"{line}\r\n" for line in lines)


def test_a_second_fit_replaces_or_appends(model: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for append in (False, False, True, True):
        run(model, CSVLogger(path, append=append), [{"loss": 1}])
    assert path.read_text().split() == ["epoch,loss,val_loss", *["0,1,NA"] * 3]


def test_appending_to_nothing_writes_the_header(model: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.touch()
    run(model, CSVLogger(path, append=True), [{"loss": 1}])
    assert path.read_text().split() == ["epoch,loss,val_loss", "0,1,NA"]


def test_rows_are_there_at_once_and_the_file_is_closed(model: Any, tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "log.csv")
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 1})
    assert (tmp_path / "log.csv").read_text().endswith("0,1,NA\n")
    file = logger._file
    logger.close()
    assert file is not None
    assert file.closed
    logger.close()


def test_other_columns_are_not_mixed_in(model: Any, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    run(model, CSVLogger(path), [{"loss": 1}])
    with pytest.raises(
        ArgumentError, match="it has the columns epoch, loss, val_loss, but this run"
    ):
        run(model, CSVLogger(path, append=True), [{"loss": 1, "acc": 2}])
    assert path.read_text().split() == ["epoch,loss,val_loss", "0,1,NA"]


def test_the_separator_is_one_character() -> None:
    with pytest.raises(ArgumentError, match="one character as separator, not ', '"):
        CSVLogger("log.csv", separator=", ")
