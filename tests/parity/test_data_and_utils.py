"""Batches, splits, class weights, to_categorical and normalize against real Keras."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import torch
from keras.src.trainers.data_adapters.array_slicing import train_validation_split
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights
from keras.src.trainers.epoch_iterator import EpochIterator

from nnkit.data import make_batches, pack_x_y_sample_weight, split_validation
from nnkit.data import unpack_x_y_sample_weight as unpack
from nnkit.utils import get_file, normalize, to_categorical


class TorchEpochs(EpochIterator):
    def _get_iterator(self) -> Any:
        return self.data_adapter.get_torch_dataloader()


def keras_epochs(source: Any, epochs: int, **options: Any) -> list[list[list[float]]]:
    iterator = TorchEpochs(source, **options)
    return [
        [unpack(batch)[0].reshape(-1).tolist() for _, _, [batch] in iterator] for _ in range(epochs)
    ]


@pytest.mark.parametrize(
    ("batch_size", "steps"),
    [(None, None), (3, None), (3, 2), (3, 3), (3, 4), (3, 5), (100, 1), (None, 3), (None, 7)],
)
def test_epochs_of_arrays(batch_size: int | None, steps: int | None) -> None:
    x = np.arange(10.0)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = keras_epochs(x, 5, batch_size=batch_size, steps_per_epoch=steps)
        batches = make_batches(x, batch_size=batch_size, steps=steps)
        found = [[batch[0].flatten().tolist() for batch in batches] for _ in range(5)]
    assert found == expected
    assert batches.steps == TorchEpochs(x, batch_size=batch_size, steps_per_epoch=steps).num_batches


class Numbered(keras.utils.PyDataset):
    def __init__(self) -> None:
        super().__init__()
        self.ends = 0

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[np.ndarray]:
        return (np.full((2, 1), float(index)),)

    def on_epoch_end(self) -> None:
        self.ends += 1


def test_a_keras_py_dataset() -> None:
    source, other = Numbered(), Numbered()
    batches = make_batches(source)
    assert [[b[0].flatten().tolist() for b in batches] for _ in range(2)] == keras_epochs(other, 2)
    assert (batches.steps, source.ends, other.ends) == (3, 2, 2)


@pytest.mark.parametrize(
    "x",
    [
        np.ones((4, 2), "float64"),
        np.ones((4, 2), "float16"),
        np.ones((4, 2), "uint8"),
        np.ones((4, 2), "uint16"),
        np.ones((4, 2), "uint32"),
        np.ones((4, 2), "int16"),
        np.ones((4, 2), "bool"),
        torch.ones(4, 2, dtype=torch.float64),
        torch.ones(4, 2, dtype=torch.bfloat16),
        pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}),
        pd.Series([1.0, 2.0]),
        pd.Series([1, 2]),
    ],
)
def test_dtypes_and_shapes_of_x(x: Any) -> None:
    [(_, _, [expected])] = TorchEpochs(x)
    [[found]] = make_batches(x)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("samples", [2, 3, 7, 10, 99, 100, 1000])
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3, 0.333, 0.5, 0.7, 0.9])
def test_where_validation_split_cuts(samples: int, fraction: float) -> None:
    x = np.arange(float(samples))
    try:
        [expected], _ = train_validation_split([x], fraction)
    except ValueError:
        with pytest.raises(ValueError, match="leaves one part empty"):
            split_validation(x, None, None, fraction)
        return
    (train, _, _), (held, _, _) = split_validation(x, None, None, fraction)
    kept = len(expected[:])
    assert (len(train), len(held)) == (kept, samples - kept)


@pytest.mark.parametrize("y", [[0, 2, 1], [[2], [0], [1]], [[0.0, 1.0, 0.0]], [1.0, 0.0], [True]])
def test_class_weight(y: Any) -> None:
    y, weights = np.array(y), {0: 0.5, 1: 2.0, 2: 8.0}
    [(_, _, found)] = make_batches(y, y, class_weight=weights)
    np.testing.assert_array_equal(found, class_weight_to_sample_weights(y, weights))


@pytest.mark.parametrize("parts", [(1,), ([1],), ((1, 2),), (1, 2), (1, 2, 3), (1, None, 3)])
def test_pack_and_unpack(parts: tuple[Any, ...]) -> None:
    packed = pack_x_y_sample_weight(*parts)
    assert packed == keras.utils.pack_x_y_sample_weight(*parts)
    assert unpack(packed) == keras.utils.unpack_x_y_sample_weight(packed)


@pytest.mark.parametrize("x", [[0, 2, 1], [[0], [2]], [[[1]], [[0]]], [[0, 1], [2, 0]], 2, [1.0]])
@pytest.mark.parametrize("num_classes", [None, 5])
def test_to_categorical(x: Any, num_classes: int | None) -> None:
    expected = keras.utils.to_categorical(x, num_classes)
    found = to_categorical(x, num_classes)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("x", [[0, 2, 1], [[0], [2]], [[0, 1], [2, 0]]])
def test_to_categorical_of_tensors(x: Any) -> None:
    # Keras gives int64 on torch and float32 on its other backends; nnkit gives floats.
    expected = keras.utils.to_categorical(torch.tensor(x), 4)
    found = to_categorical(torch.tensor(x), 4)
    assert found.dtype == torch.float32
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("axis", [-1, 1, 2])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, torch.tensor])
def test_normalize(kind: Any, axis: int, order: int) -> None:
    values = np.random.randn(2, 3, 4).astype(np.float32) * 5
    values[0] = 0
    x = torch.tensor(values) if kind is torch.tensor else values.astype(kind)
    expected = keras.utils.normalize(x, axis, order)
    found = normalize(x, axis, order)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-6)


@pytest.mark.parametrize("fname", [None, "pack", "pack.tar.gz"])
@pytest.mark.parametrize("extract", [False, True])
def test_get_file_uses_the_same_names(fname: str | None, extract: bool, tmp_path: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("hello")
    archive = keras.src.utils.file_utils.shutil.make_archive(
        str(tmp_path / "out"), "gztar", tmp_path / "in"
    )
    found, expected = tmp_path / "nnkit", tmp_path / "keras"
    for folder, function in ((found, get_file), (expected, keras.utils.get_file)):
        folder.mkdir()
        path = function(fname, f"file://{archive}", extract=extract, cache_dir=str(folder))
        (folder / "returned").write_text(str(path).removeprefix(str(folder)))
    names = [sorted(str(p.relative_to(f)) for p in f.rglob("*")) for f in (found, expected)]
    assert names[0] == names[1]
    assert (found / "returned").read_text() == (expected / "returned").read_text()
