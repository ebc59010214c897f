"""Folders of pictures, pictures in and out, and ImageDataGenerator against real Keras."""

from __future__ import annotations

import io
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from keras.src.legacy.preprocessing import image as legacy
from keras.src.utils.dataset_utils import get_training_or_validation_split, index_directory
from keras.src.utils.image_dataset_utils import ALLOWLIST_FORMATS, _load_image_grain
from keras.src.utils.image_utils import smart_resize
from PIL import Image

from nnkit.preprocessing import image
from nnkit.utils import images
from nnkit.utils.image_dataset import image_dataset_from_directory

# Keras's uses of old names of SciPy, Pillow and NumPy.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RANDOM = np.random.default_rng(0)


def picture(height: int, width: int, mode: str = "RGB") -> Image.Image:
    """Smooth stripes, so that JPEG changes little."""
    rows, columns = np.mgrid[:height, :width]
    planes = [(rows * a + columns * b) % 256 for a, b in ((5, 3), (2, 7), (9, 1))]
    return Image.fromarray(np.stack(planes, -1).astype("uint8")).convert(mode)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    kinds = ("png", "jpg", "BMP", "gif")
    for name, count in (("dog", 5), ("cat", 7), ("Emu", 4)):
        (root / name / "more").mkdir(parents=True)
        for i in range(count):
            inner = "more" if i == 2 else "."
            picture(20 + i, 30 - i).save(root / name / inner / f"{i}.{kinds[i % 4]}")
    (root / "cat" / "notes.txt").write_text("no picture")
    (root / ".hidden").mkdir()
    return root


def dataset(folder: Path, **options: Any) -> Any:
    options = {"image_size": (16, 24), "verbose": False, **options}
    return image_dataset_from_directory(folder, **options)


@pytest.mark.parametrize("labels", ["inferred", None, list(range(16))])
@pytest.mark.parametrize("seed", [0, 1, 123, None])
@pytest.mark.parametrize("shuffle", [True, False])
def test_files_labels_and_order(folder: Path, labels: Any, seed: Any, shuffle: bool) -> None:
    np.random.seed(4)
    labels = labels[:] if isinstance(labels, list) else labels  # Keras mixes the user's list
    paths, numbers, names = index_directory(
        str(folder), labels, ALLOWLIST_FORMATS, shuffle=shuffle, seed=seed, verbose=False
    )
    np.random.seed(4)
    labels = list(range(16)) if isinstance(labels, list) else labels
    found = dataset(folder, labels=labels, seed=seed, shuffle=shuffle)
    assert found.file_paths == paths
    assert found.class_names == names
    if labels is not None:
        np.testing.assert_array_equal(found.loader.dataset.labels, numbers)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("shuffle", [True, False])
def test_split(folder: Path, fraction: float, shuffle: bool) -> None:
    paths, numbers, _ = index_directory(
        str(folder), "inferred", ALLOWLIST_FORMATS, shuffle=shuffle, seed=3, verbose=False
    )
    options = {"validation_split": fraction, "seed": 3, "shuffle": shuffle}
    both = dataset(folder, subset="both", **options)
    for subset, one in zip(("training", "validation"), both, strict=True):
        expected, labels = get_training_or_validation_split(paths, numbers, fraction, subset)
        alone = dataset(folder, subset=subset, **options)
        assert alone.file_paths == one.file_paths == expected
        np.testing.assert_array_equal(one.loader.dataset.labels, labels)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("color_mode", "channels"), [("rgb", 3), ("grayscale", 1), ("rgba", 4)])
@pytest.mark.parametrize("proportions", [None, "crop_to_aspect_ratio", "pad_to_aspect_ratio"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic"])
def test_pixels(
    folder: Path, interpolation: str, proportions: Any, color_mode: str, channels: int,
    data_format: str,
) -> None:  # fmt: skip
    options = {} if proportions is None else {proportions: True}
    found = dataset(
        folder, batch_size=None, shuffle=False, color_mode=color_mode, data_format=data_format,
        interpolation=interpolation, **options,
    )  # fmt: skip
    for path, (pixels, _) in zip(found.file_paths[:4], found, strict=False):
        file = io.BytesIO(Path(path).read_bytes())  # Keras leaves an animation's file open
        expected = _load_image_grain(
            file, (16, 24), channels, interpolation, data_format, **options
        )
        assert pixels.shape == expected.shape
        np.testing.assert_allclose(pixels, expected, atol=1e-3)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK", "P", "LA", "1"])
@pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box"])
@pytest.mark.parametrize("keep", [False, True])
def test_load_img(
    tmp_path: Path, mode: str, color_mode: str, interpolation: str, keep: bool
) -> None:
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    picture(20, 31, mode).save(path)
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        options = (color_mode, (12, 17), interpolation, keep)
        found = images.load_img(source, *options)
        if isinstance(source, io.BytesIO):
            source.seek(0)
        expected = keras.utils.load_img(source, *options)
        assert found.mode == expected.mode
        np.testing.assert_array_equal(np.array(found), np.array(expected))


def test_a_deep_gray_picture_keeps_its_depth(tmp_path: Path) -> None:
    Image.fromarray(np.arange(0, 60000, 1000, dtype="uint16").reshape(6, 10)).save(
        tmp_path / "deep.png"
    )
    options = (tmp_path / "deep.png", "grayscale")
    expected = keras.utils.img_to_array(keras.utils.load_img(*options))
    np.testing.assert_array_equal(images.img_to_array(images.load_img(*options)), expected)
    assert expected.max() == 59000


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first", None])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("largest", [1.0, 255.0, 900.0])
def test_arrays_to_pictures_and_back(
    data_format: str | None, channels: int, scale: bool, largest: float
) -> None:
    if largest > 255 and not scale and channels > 1:
        largest = 200.0  # what does not fit into a byte is undefined
    shape = (channels, 5, 7) if data_format == "channels_first" else (5, 7, channels)
    array = RANDOM.uniform(0, largest, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's use of Pillow
        expected = keras.utils.array_to_img(array, data_format, scale)
    found = images.array_to_img(array, data_format, scale)
    assert (found.mode, found.size) == (expected.mode, expected.size)
    np.testing.assert_array_equal(np.array(found), np.array(expected))
    back = images.img_to_array(found, data_format, "float64")
    again = keras.utils.img_to_array(expected, data_format, "float64")
    assert back.dtype == again.dtype
    np.testing.assert_array_equal(back, again)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp"])
def test_save_img(tmp_path: Path, name: str) -> None:
    array = RANDOM.uniform(0, 255, (6, 7, 3))
    images.save_img(tmp_path / name, array)
    keras.utils.save_img(tmp_path / f"keras_{name}", array)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"keras_{name}").read_bytes()


@pytest.mark.parametrize("size", [(5, 9), (12, 4)])
def test_smart_resize(size: Any) -> None:
    array = RANDOM.uniform(0, 255, (11, 8, 3)).astype("float32")
    expected = smart_resize(array, size)
    found = images.smart_resize(array, size)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, np.asarray(expected), atol=1e-3)


# -- ImageDataGenerator -----------------------------------------------------------------------

X = RANDOM.uniform(0, 255, (10, 9, 12, 3)).astype("float32")
Y, WEIGHTS = np.arange(10) % 2, np.linspace(0.5, 2, 10)

CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "rotation": {"rotation_range": 40},
    "shift": {"width_shift_range": 0.2, "height_shift_range": 0.3},
    "shift by pixels": {"width_shift_range": 3, "height_shift_range": [-2, 0, 2]},
    "shear": {"shear_range": 20.0},
    "zoom": {"zoom_range": 0.4},
    "zoom range": {"zoom_range": [0.5, 1.5]},
    "flips": {"horizontal_flip": True, "vertical_flip": True},
    "channels": {"channel_shift_range": 60.0},
    "brightness": {"brightness_range": (0.4, 1.6)},
    "rescale": {"rescale": 1 / 255, "rotation_range": 10},
    "function": {"preprocessing_function": lambda x: x[:, ::-1] + 1, "rescale": 2.0},
    "samplewise": {"samplewise_std_normalization": True, "samplewise_center": True},
    "featurewise": {"featurewise_std_normalization": True, "featurewise_center": True},
    "whitening": {"zca_whitening": True, "featurewise_center": True, "zca_epsilon": 1e-2},
    "all": {
        "rotation_range": 25,
        "width_shift_range": 0.1,
        "height_shift_range": 0.1,
        "shear_range": 5.0,
        "zoom_range": [0.8, 1.3],
        "horizontal_flip": True,
        "channel_shift_range": 5.0,
        "brightness_range": (0.9, 1.1),
        "rescale": 1 / 255,
    },
}


def generators(**options: Any) -> Any:
    return legacy.ImageDataGenerator(**options), image.ImageDataGenerator(**options)


def assert_same_batches(expected: Any, found: Any) -> None:
    for one, other in zip(expected, found, strict=True):
        one, other = (b if isinstance(b, (tuple, list)) else (b,) for b in (one, other))
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("name", CHANGES)
def test_flow(name: str) -> None:
    pair = generators(**CHANGES[name])
    for one in pair:
        if "featurewise_center" in CHANGES[name]:
            one.fit(X)
    flows = [g.flow(X.copy(), Y, 4, sample_weight=WEIGHTS, seed=7) for g in pair]
    assert_same_batches(*[islice(flow, 7) for flow in flows])
    assert len(flows[1]) == len(flows[0]) == 3
    for flow in flows:
        np.random.seed(0)
        flow.on_epoch_end()
    assert_same_batches(*[[flow[i] for i in (2, 0)] for flow in flows])


@pytest.mark.parametrize("fill_mode", ["nearest", "constant", "reflect", "wrap"])
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_fill_modes(fill_mode: str, order: int, data_format: str) -> None:
    x = X if data_format == "channels_last" else X.transpose(0, 3, 1, 2)
    pair = generators(
        fill_mode=fill_mode, cval=7.0, interpolation_order=order, data_format=data_format,
        rotation_range=60, width_shift_range=0.9, height_shift_range=0.9, zoom_range=[0.4, 2.5],
    )  # fmt: skip
    for seed in range(5):
        expected, found = (one.random_transform(x[seed], seed=seed) for one in pair)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int16"])
@pytest.mark.parametrize("order", [0, 1])
def test_places_on_the_edge_and_whole_numbers(dtype: str, order: int) -> None:
    """A shear about the middle leaves places on the edges; scipy rounds whole numbers."""
    x = (X[0] * 1.2 - (40 if dtype == "int16" else 0)).clip(-40, 255).astype(dtype)
    options = {"fill_mode": "constant", "cval": 900.0 if dtype == "float32" else 9.0}
    for change in ({"shear": 20.0}, {"shear": -20.0}, {"theta": 90.0}, {"zx": 0.9, "tx": 1.0}):
        expected, found = (
            module.apply_affine_transform(
                x, **change, row_axis=0, col_axis=1, channel_axis=2, order=order, **options
            )
            for module in (legacy, image)
        )
        assert found.dtype == expected.dtype
        if dtype == "float32":
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3)
        else:  # a half may be rounded either way
            np.testing.assert_allclose(found, expected, atol=1)
            assert np.mean(found == expected) > 0.97


def test_what_was_not_fitted_is_left_out() -> None:
    for one in generators(featurewise_center=True, featurewise_std_normalization=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(one.standardize(X[0].copy()), X[0])


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (1, 0, 2), (2, 1, 0)])
@pytest.mark.parametrize("name", ["rotation", "shift", "shear", "zoom"])
def test_functions_of_one_picture(name: str, axes: Any) -> None:
    arguments = {"rotation": (30,), "shift": (0.2, 0.3), "shear": (15,), "zoom": ((0.5, 1.5),)}
    results = []
    for module in (legacy, image):
        np.random.seed(2)
        results.append(getattr(module, f"random_{name}")(X[0], *arguments[name], *axes))
    np.testing.assert_allclose(*results, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("low", [0.0, -50.0])
def test_brightness_and_channels(scale: bool, low: float) -> None:
    results: dict[str, list[np.ndarray]] = {}
    for module in (legacy, image):
        np.random.seed(2)
        x = X[0] + low
        results.setdefault("b", []).append(module.random_brightness(x, (0.5, 1.5), scale))
        results.setdefault("c", []).append(module.random_channel_shift(x, 30, 2))
    for expected, found in results.values():
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_fit_on_changed_pictures() -> None:
    pair = generators(
        featurewise_center=True, featurewise_std_normalization=True, rotation_range=20,
        rescale=0.1,
    )  # fmt: skip
    for one in pair:
        one.fit(X, augment=True, rounds=2, seed=3)
    np.testing.assert_allclose(pair[1].mean, pair[0].mean, rtol=1e-4)
    np.testing.assert_allclose(pair[1].std, pair[0].std, rtol=1e-4)


@pytest.mark.parametrize("subset", ["training", "validation", None])
def test_flow_of_subsets(subset: str | None) -> None:
    pair = generators(validation_split=0.4)
    flows = [g.flow((X, [WEIGHTS]), Y, 3, seed=1, subset=subset) for g in pair]
    for _ in range(3):
        ([a, more_a], y_a), ([b, more_b], y_b) = (next(flow) for flow in flows)
        assert_same_batches([(a, more_a, y_a)], [(b, more_b, y_b)])


@pytest.mark.parametrize("subset", ["training", "validation", None])
@pytest.mark.parametrize("class_mode", ["categorical", "sparse", "input", None])
def test_flow_from_directory(folder: Path, class_mode: Any, subset: Any, capsys: Any) -> None:
    pair = generators(validation_split=0.3, horizontal_flip=True, rescale=1 / 255)
    flows = [
        one.flow_from_directory(
            str(folder), (16, 12), classes=["dog", "cat", "Emu"], class_mode=class_mode,
            batch_size=3, seed=5, subset=subset,
        )
        for one in pair
    ]  # fmt: skip
    said = capsys.readouterr().out.splitlines()
    assert said[0] == said[1]
    assert flows[0].filenames == [name.replace("./", "") for name in flows[1].filenames]
    for name in ("samples", "num_classes", "class_indices", "image_shape", "filepaths", "n"):
        assert getattr(flows[1], name) == getattr(flows[0], name), name
    np.testing.assert_array_equal(flows[1].classes, flows[0].classes)
    assert_same_batches(*[islice(flow, 3) for flow in flows])


def test_one_class_folder_of_two(folder: Path) -> None:
    """New pictures in a folder of their own, for predict."""
    flows = [
        one.flow_from_directory(str(folder), (8, 8), classes=["cat"], class_mode="binary", seed=1)
        for one in generators()
    ]
    assert_same_batches(*[islice(flow, 1) for flow in flows])


FRAME_MODES: dict[Any, dict[str, Any]] = {
    "categorical": {},
    "several": {"class_mode": "categorical", "y_col": "several"},
    "some": {"class_mode": "categorical", "classes": ["b", "c"]},
    "sparse": {"class_mode": "sparse", "weight_col": "weight"},
    "raw": {"class_mode": "raw", "y_col": ["left", "right"]},
    "raw column": {"class_mode": "raw", "y_col": "left"},
    "multi_output": {"class_mode": "multi_output", "y_col": ["left", "right"]},
    "input": {"class_mode": "input"},
    "none": {"class_mode": None},
}


@pytest.mark.parametrize("name", FRAME_MODES)
@pytest.mark.parametrize("subset", [None, "validation"])
def test_flow_from_dataframe(folder: Path, name: str, subset: Any, capsys: Any) -> None:
    files = sorted(str(p.relative_to(folder)) for p in folder.glob("*/*.*") if p.suffix != ".txt")
    files = [file for file in files if not file.endswith("gif")]
    frame = pd.DataFrame({"filename": [*files, "missing.png"]})
    count = len(frame)
    frame["class"] = (["a", "b", "c"] * count)[:count]
    frame["several"] = ([["a"], ["b", "c"], ("a", "c")] * count)[:count]
    frame["left"], frame["right"] = np.arange(count) / 2, np.arange(count) * 3.0
    frame["weight"] = np.linspace(1, 2, count)
    options = {
        "target_size": (8, 9), "batch_size": 4, "seed": 2, "subset": subset, **FRAME_MODES[name],
    }  # fmt: skip
    pair = generators(validation_split=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both tell of the missing file, in their own words
        flows = [one.flow_from_dataframe(frame, str(folder), **options) for one in pair]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == said[1]
    assert flows[1].filenames == flows[0].filenames
    if name == "multi_output":
        batches = [[(x, *ys) for x, ys in islice(flow, 3)] for flow in flows]
        assert_same_batches(*batches)
    else:
        assert_same_batches(*[islice(flow, 3) for flow in flows])
