"""Folders of pictures: what fit gets, odd and broken files, unfit arguments."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from nnkit.errors import ArgumentError, DataError
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.layers.preprocessing import Rescaling
from nnkit.layers.reshaping import Flatten
from nnkit.models import Sequential
from nnkit.optimizers import Adam
from nnkit.utils import (
    image_dataset_from_directory,
    load_img,
    save_img,
)
from nnkit.utils.image_dataset import Pictures

RED, GRAY = (200, 30, 60), 77


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of one-colored pictures: red ones and blue ones."""
    for name, color in (("blue", (10, 20, 240)), ("red", RED)):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.new("RGB", (9, 7), color).save(tmp_path / name / f"{i}.png")
    return tmp_path


def dataset(folder: Path, **options: Any) -> Any:
    return image_dataset_from_directory(
        folder, **{"image_size": (4, 6), "verbose": False, **options}
    )


@pytest.mark.parametrize("num_workers", [0, 2])
def test_pictures_come_with_their_labels(folder: Path, num_workers: int) -> None:
    found = dataset(folder, batch_size=4, seed=1, num_workers=num_workers)
    assert isinstance(found.loader, DataLoader)
    assert isinstance(found.loader.dataset.samples, Pictures)
    assert (len(found), found.class_names, len(found.file_paths)) == (3, ["blue", "red"], 10)
    orders = []
    for _ in range(2):
        sizes, labels = [], []
        for images, numbers in found:
            assert (images.dtype, numbers.dtype) == (torch.float32, torch.int64)
            assert images.shape[1:] == (4, 6, 3)
            assert images.is_contiguous()
            assert ((images[:, 0, 0, 0] > 100) == numbers.bool()).all()
            sizes.append(len(images))
            labels += numbers.tolist()
        assert sizes == [4, 4, 2]
        assert sorted(labels) == [0] * 5 + [1] * 5
        orders.append(labels)
    assert orders[0] != orders[1]
    again = dataset(folder, batch_size=4, seed=1)
    assert [int(n) for _, numbers in again for n in numbers] == orders[0]


@pytest.mark.parametrize(
    ("mode", "loss", "units", "shape"),
    [
        ("int", "sparse_categorical_crossentropy", 2, (4,)),
        ("categorical", "categorical_crossentropy", 2, (4, 2)),
        ("binary", "binary_crossentropy", 1, (4, 1)),
    ],
)
def test_fit(folder: Path, mode: str, loss: str, units: int, shape: Any) -> None:
    train, held = dataset(
        folder, label_mode=mode, batch_size=4, validation_split=0.4, subset="both", seed=2
    )
    assert next(iter(train))[1].shape == shape
    activation = "sigmoid" if units == 1 else "softmax"
    model = Sequential([Input((4, 6, 3)), Rescaling(1 / 255), Flatten(), Dense(units, activation)])
    model.compile(Adam(0.02), loss, metrics=["accuracy"])
    history = model.fit(train.cache().prefetch(2), validation_data=held, epochs=30, verbose=0)
    assert history.history["val_accuracy"][-1] == 1
    assert model.predict(held, verbose=0).shape == (4, units)
    assert model.predict(held.map(lambda x, y: x), verbose=0).shape == (4, units)


def test_without_labels_or_batches(folder: Path) -> None:
    for options in ({"labels": None}, {"label_mode": None}):
        found = dataset(folder, batch_size=3, **options)
        assert found.class_names is None
        assert next(iter(found)).shape == (3, 4, 6, 3)
    alone = dataset(folder, batch_size=None, shuffle=False, color_mode="grayscale")
    assert len(alone) == 10
    image, label = next(iter(alone))
    assert (image.shape, int(label)) == ((4, 6, 1), 0)


def test_the_loader_is_one_like_any_other(folder: Path) -> None:
    loader = dataset(folder, batch_size=4, label_mode="categorical").loader
    assert [part.shape for part in next(iter(loader))] == [(4, 4, 6, 3), (4, 2)]
    model = Sequential([Input((4, 6, 3)), Flatten(), Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    assert len(model.fit(loader, epochs=2, verbose=0).epoch) == 2


def test_labels_of_ones_own(folder: Path) -> None:
    found = dataset(folder, labels=[3] * 4 + [1] * 6, shuffle=False, batch_size=10)
    assert found.class_names == ["1", "3"]
    assert next(iter(found))[1].tolist() == [3] * 4 + [1] * 6


def test_what_it_says(folder: Path, capsys: Any) -> None:
    dataset(folder, verbose=True, validation_split=0.3, subset="both", seed=1)
    assert capsys.readouterr().out.splitlines() == [
        "Found 10 files belonging to 2 classes.",
        "Using 7 files for training.",
        "Using 3 files for validation.",
    ]
    dataset(folder, labels=None, verbose=True)
    assert capsys.readouterr().out == "Found 10 files.\n"


# -- odd pictures -----------------------------------------------------------------------------


def one(path: Path, **options: Any) -> np.ndarray:
    """The only picture of a folder."""
    options = {"labels": None, "batch_size": None, "image_size": (3, 3), **options}
    return next(iter(dataset(path.parent, **options))).numpy()


@pytest.mark.parametrize(
    ("mode", "value", "color_mode", "expected"),
    [
        ("L", GRAY, "rgb", [77, 77, 77]),
        ("L", GRAY, "rgba", [77, 77, 77, 255]),
        ("1", 1, "rgb", [255, 255, 255]),
        ("RGBA", (*RED, 0), "rgb", [200, 30, 60]),  # dropped, not blended
        ("RGBA", (*RED, 9), "rgba", [200, 30, 60, 9]),
        ("LA", (GRAY, 9), "grayscale", [77]),
        ("P", 3, "rgb", [9, 10, 11]),
        ("I;16", 77 * 256 + 9, "rgb", [77, 77, 77]),
        ("I;16", 77 * 256 + 9, "grayscale", [77]),
        ("RGB", RED, "grayscale", [84]),  # 0.299 red + 0.587 green + 0.114 blue
    ],
)
def test_conversions(
    tmp_path: Path, mode: str, value: Any, color_mode: str, expected: list[int]
) -> None:
    picture = Image.new(mode, (3, 3), value)
    if mode == "P":
        picture.putpalette(range(48))
    picture.save(tmp_path / "a.png")
    assert one(tmp_path / "a.png", color_mode=color_mode)[1, 1].tolist() == expected


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (3, 3), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    np.testing.assert_allclose(one(tmp_path / "a.jpg")[1, 1], [255, 0, 0], atol=4)


def test_a_deep_picture_in_color(tmp_path: Path) -> None:
    Image.new("I;16", (3, 3), 77 * 256).save(tmp_path / "a.png")
    assert np.array(load_img(tmp_path / "a.png"))[0, 0].tolist() == [77, 77, 77]


def test_exif_does_not_turn_a_picture(tmp_path: Path) -> None:
    half = Image.new("RGB", (4, 2), (250, 250, 250))
    half.paste((0, 0, 0), (0, 0, 2, 2))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    half.save(tmp_path / "a.jpg", exif=exif, quality=100)
    image = one(tmp_path / "a.jpg", image_size=(2, 4))
    assert (image[:, 0] < 50).all()
    assert (image[:, 3] > 200).all()


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("L", (3, 3), color) for color in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert one(tmp_path / "a.gif").max() == 0


# -- broken files -----------------------------------------------------------------------------


def huge() -> bytes:
    """A PNG of a few bytes that claims 60,000 by 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def whole(folder: Path) -> bytes:
    rows = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype("uint8")
    Image.fromarray(rows).save(folder / "whole.jpg")
    data = (folder / "whole.jpg").read_bytes()
    (folder / "whole.jpg").unlink()
    return data


BROKEN: dict[str, Any] = {
    "is empty": lambda folder: b"",
    "is no picture, or of an unknown format": lambda folder: b"<html>not found</html>",
    "cannot be read as a picture: image file is truncated": lambda folder: whole(folder)[:700],
    "has too many pixels": lambda folder: huge(),
}


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_file_is_named(folder: Path, message: str, num_workers: int) -> None:
    (folder / "red" / "bad.jpg").write_bytes(BROKEN[message](folder))
    with pytest.raises(DataError, match=f"(?s)bad.jpg {message}"):
        list(dataset(folder, num_workers=num_workers))
    with pytest.raises(DataError, match=f"bad.jpg {message}"):
        load_img(folder / "red" / "bad.jpg")


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_broken_files_can_be_left_out(folder: Path, num_workers: int, batch_size: Any) -> None:
    for i, make in enumerate(BROKEN.values()):
        (folder / "red" / f"bad{i}.jpg").write_bytes(make(folder))
    found = dataset(folder, on_bad="skip", num_workers=num_workers, batch_size=batch_size)
    assert found.skipped == {}
    with pytest.warns(UserWarning, match=r"Left out 4 of 14 files, .*bad\d.jpg"):
        labels = [int(n) for _, numbers in found for n in numbers.reshape(-1)]
    assert sorted(labels) == [0] * 5 + [1] * 5
    assert sorted(Path(path).name for path in found.skipped) == [f"bad{i}.jpg" for i in range(4)]
    assert all("bad" in reason for reason in found.skipped.values())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(found.unbatch() if batch_size else found)) == 10


# -- folders ----------------------------------------------------------------------------------


def test_links_are_followed_when_asked_and_loops_are_not(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (folder / "red" / "0.png").rename(other / "0.png")
    (folder / "red" / "link").symlink_to(other, target_is_directory=True)
    (folder / "red" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "red" / "self").symlink_to(folder / "red", target_is_directory=True)
    names = ["blue", "red"]
    assert len(dataset(folder, class_names=names).file_paths) == 9
    followed = dataset(folder, class_names=names, follow_links=True).file_paths
    assert len(followed) == 10
    assert any(path.endswith("link/0.png") for path in followed)


def test_an_empty_class_is_told(folder: Path) -> None:
    (folder / "green").mkdir()
    with pytest.warns(UserWarning, match="class folder 'green' holds no files"):
        assert dataset(folder).class_names == ["blue", "green", "red"]


def test_a_single_class_is_told(folder: Path) -> None:
    with pytest.warns(UserWarning, match="a single class folder, 'red'. Is it the folder above"):
        dataset(folder, class_names=["red"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"labels": "none"}, ArgumentError, "labels expects 'inferred'"),
        ({"labels": [1, 2]}, ArgumentError, "labels has 2 numbers, but .* holds 10 files"),
        ({"label_mode": "ints"}, ArgumentError, "Unknown label_mode 'ints'. Did you mean 'int'"),
        ({"labels": None, "class_names": ["red"]}, ArgumentError, "class_names only goes with"),
        ({"label_mode": None, "class_names": ["red"]}, ArgumentError, "inferred' and a label_mode"),
        ({"class_names": ["red", "grey"]}, ArgumentError, "'grey', but the folders .* blue, red"),
        ({"color_mode": "bgr"}, ArgumentError, "Unknown color_mode 'bgr'"),
        ({"image_size": (4,)}, ArgumentError, r"image_size expects \(height, width\)"),
        ({"image_size": (0, 4)}, ArgumentError, "image_size expects"),
        ({"interpolation": "cubic"}, ArgumentError, "Unknown interpolation 'cubic'. Did you"),
        ({"interpolation": "box"}, ArgumentError, "interpolation 'box'. Known: area, .* nearest"),
        ({"data_format": "first"}, ArgumentError, "Unknown data_format"),
        ({"format": "torch"}, ArgumentError, "Unknown format"),
        ({"on_bad": "ignore"}, ArgumentError, "Unknown on_bad"),
        ({"batch_size": 0}, ArgumentError, "batch_size expects a whole number >= 1 or None"),
        ({"validation_split": 0.2}, ArgumentError, "validation_split and subset .* go together"),
        ({"subset": "both"}, ArgumentError, "validation_split and subset .* go together"),
        ({"subset": "test", "validation_split": 0.2}, ArgumentError, "Unknown subset 'test'"),
        ({"subset": "training", "validation_split": 2}, ArgumentError, "a fraction above 0"),
        ({"subset": "training", "validation_split": 0.2}, ArgumentError, "give a seed"),
        (
            {"subset": "training", "validation_split": 0.01, "seed": 1},
            DataError,
            "validation_split=0.01 of 10 files leaves one part empty",
        ),
        (
            {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
            ArgumentError,
            "crop_to_aspect_ratio or pad_to_aspect_ratio, not both",
        ),
        ({"labels": [0, 5] * 5, "label_mode": "categorical"}, ArgumentError, "expects labels 0 to"),
        ({"labels": [0, 1, 2, 2, 2] * 2, "label_mode": "binary"}, ArgumentError, "two classes"),
    ],
)
def test_unfit_arguments(folder: Path, options: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        dataset(folder, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing", "There is no folder"),
        (lambda folder: folder / "red", "outside class folders need labels=None"),
    ],
)
def test_folders_without_pictures(folder: Path, make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        dataset(make(folder))


# -- one picture -----------------------------------------------------------------------------


def test_save_img_drops_transparency_for_jpeg(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="JPEG has no transparency"):
        save_img(tmp_path / "a.JPG", np.ones((3, 3, 4)))
    with Image.open(tmp_path / "a.JPG") as saved:
        assert saved.mode == "RGB"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_img(3), "load_img expects a path or a BytesIO, got a int"),
        (lambda: save_img("a.png", np.ones((3, 3))), "expects one image"),
        (lambda: save_img("a.png", np.ones((3, 3, 2))), "1, 3 or 4 channels"),
        (lambda: save_img("a.png", np.ones((3, 3, 1)), "last"), "Unknown data_format"),
    ],
)
def test_unfit_pictures(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# -- the interpolations that Keras takes from TensorFlow -------------------------------------------


def mitchell(x: float) -> float:
    """Mitchell and Netravali's cubic for B and C."""
    b = c = 1 / 3
    if x < 1:
        return ((12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + 6 - 2 * b) / 6
    far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x + 8 * b + 24 * c
    return far / 6 if x < 2 else 0.0


BELLS = {
    "lanczos3": lambda x: float(np.sinc(x) * np.sinc(x / 3)) if x < 3 else 0.0,
    "lanczos5": lambda x: float(np.sinc(x) * np.sinc(x / 5)) if x < 5 else 0.0,
    "gaussian": lambda x: float(np.exp(-(x**2) / (2 * 0.5**2))) if x < 1.5 else 0.0,
    "mitchellcubic": mitchell,
}


def resized(rows: np.ndarray, new: int, method: str) -> np.ndarray:
    """The first axis brought to another size, number by number."""
    old = len(rows)
    if method == "area":  # as many copies of each as there are new ones, and means of `old` each
        return rows.repeat(new, 0).reshape(new, old, *rows.shape[1:]).mean(1)
    made = []
    for place in range(new):
        middle = (place + 0.5) * old / new - 0.5
        weights = np.array([BELLS[method](abs(middle - at)) for at in range(old)])
        made.append(np.tensordot(weights / weights.sum(), rows, 1))
    return np.stack(made)


@pytest.mark.parametrize("method", ["area", *BELLS])
@pytest.mark.parametrize("size", [(6, 5), (17, 31), (6, 31)])
@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_other_interpolations(tmp_path: Path, method: str, size: Any, form: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (13, 18, 3)).astype("uint8")
    (tmp_path / "one").mkdir()
    Image.fromarray(pixels).save(tmp_path / "one" / "0.png")
    (found,) = image_dataset_from_directory(
        tmp_path, labels=None, image_size=size, interpolation=method, data_format=form,
        verbose=False,
    )  # fmt: skip
    found = found[0] if form == "channels_last" else found[0].movedim(0, -1)
    expected = resized(
        resized(pixels.astype(float), size[0], method).swapaxes(0, 1), size[1], method
    )
    np.testing.assert_allclose(found.numpy(), expected.swapaxes(0, 1), atol=2e-3)


def test_other_interpolations_keep_proportions_too(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    Image.new("L", (20, 10), 60).save(tmp_path / "one" / "0.png")
    options = {"color_mode": "grayscale", "labels": None, "verbose": False, "image_size": (8, 8)}
    (padded,) = image_dataset_from_directory(
        tmp_path, interpolation="area", pad_to_aspect_ratio=True, **options
    )
    assert padded[0, :, 3, 0].tolist() == [0, 0, 60, 60, 60, 60, 0, 0]
    (cropped,) = image_dataset_from_directory(
        tmp_path, interpolation="lanczos3", crop_to_aspect_ratio=True, **options
    )
    torch.testing.assert_close(cropped, torch.full((1, 8, 8, 1), 60.0), atol=1e-3, rtol=0)
