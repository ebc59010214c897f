"""Texts and sounds from folders, windows of series; the folders themselves are tested elsewhere."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.errors import ArgumentError, DataError
from nnkit.utils import (
    audio_dataset_from_directory,
    text_dataset_from_directory,
    timeseries_dataset_from_array,
)


def test_texts(tmp_path: Path) -> None:
    for name in ("good", "poor"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.txt").write_text(f"{name} né {i}", encoding="utf-8")
    found = text_dataset_from_directory(tmp_path, batch_size=4, max_length=6, verbose=False)
    assert found.class_names == ["good", "poor"]
    for texts, labels in found:
        assert isinstance(texts, np.ndarray)
        assert [text == "good n" for text in texts] == [label == 0 for label in labels]
    both = text_dataset_from_directory(
        tmp_path, label_mode=None, validation_split=0.5, subset="both", verbose=False, seed=1
    )
    assert [len(next(iter(part))) for part in both] == [3, 3]
    (tmp_path / "poor" / "9.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"9\.txt is not text in UTF-8"):
        list(text_dataset_from_directory(tmp_path, verbose=False))
    with pytest.raises(ArgumentError, match="Unknown format"):
        text_dataset_from_directory(tmp_path, format="torch")


def texts_of(folder: Path, **options: Any) -> list[Any]:
    options = {"shuffle": False, "batch_size": None, "verbose": False, **options}
    return list(text_dataset_from_directory(folder, **options))


def test_which_texts_are_found(tmp_path: Path) -> None:
    """The order, the labels and the texts are those of Keras."""
    files = {
        "b/1.txt": b"one", "b/deep/2.TXT": b"two", "b/.hidden.txt": b"hidden", "b/0.md": b"no",
        "a/empty.txt": b"", "a/lines.txt": b"x\r\ny\rz\n", "a/.in/3.txt": b"three",
        ".git/4.txt": b"no class", "top.txt": b"top", "a/mark.txt": b"\xef\xbb\xbfbom",
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "link").symlink_to(tmp_path / "b" / "deep")
    a, b = ["", "x\ny\nz\n", "\ufeffbom", "three"], ["hidden", "one", "two"]
    with pytest.warns(UserWarning, match="class folder 'c' holds no files"):
        assert [text for text, _ in texts_of(tmp_path)] == [*a, *b]
    linked = texts_of(tmp_path, follow_links=True)
    assert [int(label) for _, label in linked] == [0] * 4 + [1] * 3 + [2]
    some = texts_of(tmp_path, class_names=["b", "a"], label_mode="categorical")
    assert [text for text, _ in some] == [*b, *a]
    assert some[0][1].tolist() == [1.0, 0.0]
    plain = ["top", "no class", *a[:3], "three", *b]
    assert texts_of(tmp_path, labels=None) == texts_of(tmp_path, labels=None, label_mode=None)
    assert texts_of(tmp_path, labels=None, max_length=2) == [text[:2] for text in plain]
    given = texts_of(tmp_path, labels=[0, 1] * 4 + [1], label_mode="binary")
    assert [(text, float(y)) for text, y in given] == list(
        zip(plain, [0, 1] * 4 + [1], strict=True)
    )
    parts = [
        texts_of(tmp_path, labels=None, validation_split=0.3, subset=subset)
        for subset in ("training", "validation")
    ]
    assert parts == [plain[:-2], plain[-2:]]


def write_sound(path: Path, values: Any, width: int = 2, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(8000)
        whole = np.round(np.asarray(values) * 2 ** (8 * width - 1)).astype("<i8")
        whole += 128 if width == 1 else 0
        file.writeframes(b"".join(int(v).to_bytes(8, "little", signed=True)[:width] for v in whole))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_sounds(tmp_path: Path, width: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write_sound(tmp_path / "a" / "0.wav", [0.5, -0.5, 0.25, -1.0], width, channels=2)
    write_sound(tmp_path / "b" / "0.wav", [0.125, 0.0] * 3, width, channels=2)
    options: dict[str, Any] = {"shuffle": False, "verbose": False}
    read = audio_dataset_from_directory
    [(sounds, labels)] = read(tmp_path, output_sequence_length=3, sampling_rate=8000, **options)
    assert labels.tolist() == [0, 1]
    assert sounds.tolist() == [
        [[0.5, -0.5], [0.25, -1.0], [0.0, 0.0]],
        [[0.125, 0.0], [0.125, 0.0], [0.125, 0.0]],
    ]
    assert [tuple(s.shape) for s, _ in read(tmp_path, batch_size=None, **options)] == [
        (2, 2),
        (3, 2),
    ]
    with pytest.raises(DataError, match=r"one batch have the shapes .*output_sequence_length"):
        list(read(tmp_path, **options))
    with pytest.raises(DataError, match=r"0\.wav has 8000 samples a second, not sampling_rate=16"):
        list(read(tmp_path, sampling_rate=16000, **options))
    with pytest.raises(ArgumentError, match="ragged=True is not offered"):
        read(tmp_path, ragged=True)
    (tmp_path / "a" / "1.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(DataError, match=r"1\.wav cannot be read as PCM sound"):
        list(read(tmp_path, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 0}, "sequence_length expects 1 to"),
        ({"sequence_length": 11}, "sequence_length expects"),
        ({"sampling_rate": 10}, "sampling_rate expects 1 to 9, got 10 for 10 steps"),
        ({"sequence_stride": 0}, "sequence_stride expects"),
        ({"start_index": 5, "end_index": 5}, "start_index=5 and end_index=5"),
        ({"sequence_length": 8, "sampling_rate": 2}, "hold no window of 8 with sampling_rate=2"),
        ({"format": "torch"}, "Unknown format"),
    ],
)
def test_series_too_short(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        timeseries_dataset_from_array(np.arange(10), None, **{"sequence_length": 3, **options})
