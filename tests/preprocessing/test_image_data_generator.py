"""ImageDataGenerator in fit, and its errors; its numbers are compared with Keras elsewhere."""

from __future__ import annotations

import copy
import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nnkit.errors import ArgumentError, DataError, ShapeError
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.layers.reshaping import Flatten
from nnkit.models import Sequential
from nnkit.optimizers import Adam
from nnkit.preprocessing.image import (
    ImageDataGenerator,
    apply_affine_transform,
    random_brightness,
    random_zoom,
)
from nnkit.preprocessing.sequence import TimeseriesGenerator, pad_sequences
from nnkit.preprocessing.text import Tokenizer

X = np.random.default_rng(0).uniform(0, 255, (10, 6, 5, 3)).astype("float32")
X[::2, :, :, 0] += 300
Y = np.arange(10) % 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for image, label in zip(X, Y, strict=True):
        (tmp_path / "ab"[label]).mkdir(exist_ok=True)
        name = f"{len(list((tmp_path / 'ab'[label]).iterdir()))}.png"
        Image.fromarray(image.clip(0, 255).astype("uint8")).save(tmp_path / "ab"[label] / name)
    return tmp_path


def classifier() -> Sequential:
    model = Sequential([Input((6, 5, 3)), Flatten(), Dense(1, "sigmoid")])
    model.compile(Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    return model


def test_fit_learns_from_a_folder_for_several_epochs(folder: Path) -> None:
    """One that `next` also works on is no generator that ends with the first epoch."""
    change = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True, validation_split=0.4)
    options: dict[str, Any] = {"target_size": (6, 5), "class_mode": "binary", "batch_size": 4}
    train = change.flow_from_directory(folder, subset="training", **options)
    held = change.flow_from_directory(folder, subset="validation", shuffle=False, **options)
    assert (len(train), len(held)) == (2, 1)
    model = classifier()
    history = model.fit(train, validation_data=held, epochs=30, verbose=0)
    assert len(history.epoch) == 30
    assert history.history["val_accuracy"][-1] == 1
    assert model.predict(held, verbose=0).shape == (4, 1)
    again = model.fit(train, steps_per_epoch=1, epochs=2, verbose=0, validation_data=held)
    assert len(again.epoch) == 2


def test_workers_give_the_same_pictures() -> None:
    flow = ImageDataGenerator(rotation_range=30).flow(X, Y, 4, shuffle=False)
    flow.workers, flow.use_multiprocessing = 2, True
    model = classifier()
    model.fit(flow, verbose=0)
    again = pickle.loads(pickle.dumps(flow))
    assert len(next(again)[0]) == len(next(copy.deepcopy(flow))[0]) == 4


def test_flow_goes_on_without_end_and_reset_begins_anew() -> None:
    flow = ImageDataGenerator().flow(X, batch_size=4, shuffle=False)
    assert [len(batch) for batch in islice(flow, 5)] == [4, 4, 2, 4, 4]
    flow.reset()
    np.testing.assert_array_equal(next(flow), X[:4])
    with pytest.raises(IndexError, match="There is no batch 3: a pass has 3"):
        flow[3]


def test_pictures_are_saved_to_look_at(tmp_path: Path) -> None:
    flow = ImageDataGenerator().flow(X, batch_size=4, save_to_dir=tmp_path, save_prefix="look")
    next(flow)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 4
    assert all(name.startswith("look_") and name.endswith(".png") for name in names)


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "a" / "bad.jpg").write_bytes(b"nothing")
    flow = ImageDataGenerator().flow_from_directory(folder)
    with pytest.raises(DataError, match=r"bad\.jpg is no picture"):
        list(islice(flow, 1))


def test_hidden_folders_are_no_classes(folder: Path) -> None:
    (folder / ".ipynb_checkpoints").mkdir()
    assert ImageDataGenerator().flow_from_directory(folder).class_indices == {"a": 0, "b": 1}


@pytest.mark.parametrize("wish", ["featurewise_center", "zca_whitening"])
def test_what_was_not_learned_is_left_out_with_a_warning(wish: str) -> None:
    change = ImageDataGenerator(**{wish: True})
    with pytest.warns(UserWarning, match=r"has seen no data.* Call fit\(x\) first"):
        done = change.standardize(X.copy())
    np.testing.assert_array_equal(done, X)


FRAME = pd.DataFrame({"filename": ["a/0.png", "b/0.png"], "class": ["a", "b"], "n": [1, 2]})
FLOW, FOLDER, TABLE = "flow", "flow_from_directory", "flow_from_dataframe"


@pytest.mark.parametrize(
    ("method", "arguments", "error", "message"),
    [
        (FLOW, {"x": X[0]}, DataError, r"flow expects pictures \(samples, height"),
        (FLOW, {"x": X, "y": Y[:3]}, DataError, "x has 10 samples, y has 3"),
        (FLOW, {"x": X, "sample_weight": Y[:3]}, DataError, "10 samples, sample_weight has 3"),
        (FLOW, {"x": (X, [Y[:2]])}, DataError, r"10 samples, x\[1\] has 2"),
        (FLOW, {"x": X, "subset": "test"}, ArgumentError, "Unknown subset 'test'"),
        (FLOW, {"x": X, "batch_size": 0}, ArgumentError, "batch_size expects a whole number"),
        (
            FLOW,
            {"x": X, "y": np.arange(10) > 4, "subset": "training"},
            DataError,
            "different classes. The data seems to be sorted",
        ),
        (FOLDER, {"class_mode": "raw"}, ArgumentError, "Unknown class_mode 'raw'"),
        (FOLDER, {"color_mode": "bgr"}, ArgumentError, "Unknown color_mode"),
        (FOLDER, {"subset": "half"}, ArgumentError, "Unknown subset"),
        (FOLDER, {"classes": ["a", "c"]}, ArgumentError, "'c', but the folders .* are: a, b"),
        (TABLE, {"x_col": "file"}, ArgumentError, "no column 'file'; it has: filename, class, n"),
        (TABLE, {"x_col": "n"}, DataError, "x_col='n' must hold file names"),
        (TABLE, {"y_col": "n"}, DataError, "expects class names as text in the column y_col='n'"),
        (TABLE, {"weight_col": "class"}, DataError, "weight_col='class' must hold numbers"),
        (TABLE, {"class_mode": "multi_output"}, ArgumentError, "expects a list of columns"),
        (TABLE, {"class_mode": "binary", "classes": ["a"]}, ArgumentError, "expects two classes"),
    ],
)
def test_unfit_sources(
    folder: Path, method: str, arguments: Any, error: type, message: str
) -> None:
    given = {FLOW: (), FOLDER: (folder,), TABLE: (FRAME, folder)}[method]
    change = ImageDataGenerator(validation_split=0.4)
    with pytest.raises(error, match=message):
        getattr(change, method)(*given, **arguments)


def test_files_that_are_missing_are_told(folder: Path) -> None:
    frame = FRAME.assign(filename=["a/0.png", "c/0.png"])
    with pytest.warns(UserWarning, match="1 of 2 files named in 'filename' are not there"):
        flow = ImageDataGenerator().flow_from_dataframe(frame, folder)
    assert flow.filenames == ["a/0.png"]
    with pytest.warns(UserWarning, match="classes has no effect with class_mode=None"):
        ImageDataGenerator().flow_from_dataframe(FRAME, folder, class_mode=None, classes=["a"])


def test_three_class_folders_are_not_binary(folder: Path) -> None:
    (folder / "c").mkdir()
    with pytest.raises(ArgumentError, match=r"expects two class folders, but .* has 3: a, b, c"):
        ImageDataGenerator().flow_from_directory(folder, class_mode="binary")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ImageDataGenerator(zoom_range=(1, 2, 3)), ArgumentError, "zoom_range expects two"),
        (lambda: ImageDataGenerator(brightness_range=2), ArgumentError, "brightness_range expects"),
        (lambda: ImageDataGenerator(data_format="NHWC"), ArgumentError, "Unknown data_format"),
        (lambda: ImageDataGenerator(validation_split=2), ArgumentError, "validation_split expects"),
        (lambda: ImageDataGenerator().fit(X[0]), DataError, "fit expects pictures"),
        (lambda: apply_affine_transform(X[0], 3, row_axis=0), ShapeError, "expects one picture"),
        (lambda: apply_affine_transform(X, 3), ShapeError, "expects one picture"),
        (lambda: apply_affine_transform(X[0], 3, fill_mode="edge"), ArgumentError, "fill_mode"),
        (lambda: apply_affine_transform(X[0], 3, order=3), ArgumentError, "order expects 0"),
        (lambda: random_zoom(X[0], (1,)), ArgumentError, "zoom_range expects two"),
        (lambda: random_brightness(X[0], (1,)), ArgumentError, "brightness_range expects two"),
        (lambda: TimeseriesGenerator(Y, Y[:2], 3), DataError, "data has 10 steps, targets has 2"),
        (lambda: TimeseriesGenerator(Y, Y, 30), ArgumentError, "No window of 30 steps fits"),
        (lambda: pad_sequences([1, 2]), DataError, "item 0 is no sequence but 1"),
        (lambda: pad_sequences(5), DataError, "expects a list of sequences, got 5"),
        (lambda: pad_sequences([[1]], padding="left"), ArgumentError, "Unknown padding 'left'"),
        (lambda: pad_sequences([["a"]], value="b"), ArgumentError, "give dtype=object"),
        (lambda: pad_sequences([[1], [[1, 2]]]), DataError, r"item 1 holds values of shape \(2,\)"),
        (lambda: Tokenizer().texts_to_matrix(["a"]), ArgumentError, "call fit_on_texts first"),
        (lambda: Tokenizer(3).texts_to_matrix([], "tfidf"), ArgumentError, "before mode='tfidf'"),
        (lambda: Tokenizer(3).texts_to_matrix([], "one"), ArgumentError, "Unknown mode 'one'"),
    ],
)
def test_unfit_arguments(call: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
