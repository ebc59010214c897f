"""The networks of keras.applications: the same layers, counts and outputs, and files both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import torch

import nnkit
from nnkit import applications

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# Keras refuses NASNetMobile on torch; NASNetLarge has the same cells.
MEMBERS = sorted({n for n in applications.__all__ if n[0].isupper()} - {"NASNetMobile"})
# One of each family that is quick to compare; the others differ in depths and widths alone.
QUICK = ("MobileNet", "ResNet50V2", "VGG16")


def pair(name: str, **arguments: Any) -> tuple[Any, Any]:
    """Keras's network and ours, both with names counted from the beginning."""
    keras.utils.clear_session(free_memory=False)  # a collection over all of torch is slow
    nnkit.config.clear_session()
    arguments = {"weights": None, **arguments}
    theirs = getattr(keras.applications, name)(**arguments)
    return theirs, getattr(applications, name)(**arguments)


def test_every_network_of_keras_is_here() -> None:
    theirs = {name for name in dir(keras.applications) if name[0].isupper()}
    assert theirs == {name for name in applications.__all__ if name[0].isupper()}
    modules = {n for n in dir(keras.applications) if n[0].islower()}
    assert modules <= set(applications.__all__)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MEMBERS]
)
@pytest.mark.parametrize("top", [True, False])
def test_layers_names_and_counts(name: str, top: bool) -> None:
    arguments: dict[str, Any] = {} if top else {"include_top": False, "pooling": "avg"}
    if name == "NASNetLarge" and not top:
        arguments["input_shape"] = (331, 331, 3)
    # Without memory for the weights: the largest have 1.4 GB.
    with keras.device("meta"), torch.device("meta"):
        theirs, ours = pair(name, **arguments)
    told = [
        [(layer.name, type(layer).__name__, layer.count_params()) for layer in model.layers]
        for model in (theirs, ours)
    ]
    assert told[0] == told[1]
    assert theirs.name == ours.name
    assert theirs.count_params() == ours.count_params()
    assert theirs.output_shape == ours.output_shape
    assert theirs.input_shape == ours.input_shape


@pytest.mark.parametrize(("top", "count"), [(True, 138_357_544), (False, 14_714_688)])
def test_the_counts_everyone_knows(top: bool, count: int) -> None:
    with torch.device("meta"):
        assert applications.VGG16(weights=None, include_top=top).count_params() == count


# -- outputs ---------------------------------------------------------------------------------------


def scramble(model: Any) -> None:
    """Random weights that leave nothing at its start: statistics and factors too."""
    random = np.random.default_rng(0)
    values = []
    for variable, value in zip(model.weights, model.get_weights(), strict=True):
        kind = variable.path.rpartition("/")[2]
        if kind in ("moving_variance", "variance", "gamma"):
            value = random.uniform(0.5, 1.5, value.shape)
        elif kind in ("moving_mean", "mean", "beta", "bias"):
            value = random.normal(0, 0.1, value.shape)
        elif kind == "count":
            value = np.array(5)
        values.append(np.asarray(value, dtype=variable.dtype))
    model.set_weights(values)


def equal_outputs(theirs: Any, ours: Any, size: int, batch: int = 1) -> None:
    images = np.random.default_rng(1).uniform(-1, 1, (batch, size, size, 3)).astype("float32")
    with torch.no_grad():
        expected, actual = (model(torch.tensor(images)).numpy() for model in (theirs, ours))
    assert expected.std() > 0
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * min(scale, 1))


FAMILIES = [
    ("ResNet50", 64), ("ResNet50V2", 64), ("MobileNet", 64), ("MobileNetV2", 67),
    ("MobileNetV3Small", 64), ("MobileNetV3Large", 75), ("EfficientNetB0", 64),
    ("EfficientNetV2B0", 67), ("DenseNet121", 64), ("InceptionV3", 80),
    ("InceptionResNetV2", 80), ("Xception", 80), ("ConvNeXtTiny", 64), ("NASNetLarge", 64),
]  # fmt: skip
LIGHT = {"ResNet50", "MobileNetV2", "EfficientNetB0", "ConvNeXtTiny"}
FILED = ("EfficientNetB0", "ConvNeXtTiny", "InceptionV3")
WHOLE = ((64, True), (224, True), (224, False))
CASES = [f if f[0] in LIGHT else pytest.param(*f, marks=pytest.mark.slow) for f in FAMILIES]


@pytest.mark.parametrize(("name", "size"), CASES)
def test_a_member_of_each_family_gives_the_same(name: str, size: int) -> None:
    options = {"classes": 7} if "NASNet" not in name else {"include_top": False}
    theirs, ours = pair(name, input_shape=(size, size, 3), **options)
    scramble(theirs)
    ours.set_weights(theirs.get_weights())
    equal_outputs(theirs, ours, size)


@pytest.mark.parametrize(
    "name", ["MobileNetV2", *(pytest.param(n, marks=pytest.mark.slow) for n in FILED)]
)
@pytest.mark.filterwarnings("ignore:Model .* has weights for")
def test_files_go_both_ways(name: str, tmp_path: Path) -> None:
    size = 80 if name == "InceptionV3" else 64
    arguments: dict[str, Any] = {"input_shape": (size, size, 3), "classes": 5}
    theirs, _ = pair(name, **arguments)
    scramble(theirs)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    loaded = getattr(applications, name)(weights=tmp_path / "theirs.weights.h5", **arguments)
    equal_outputs(theirs, loaded, size)
    loaded.save_weights(tmp_path / "ours.weights.h5")
    fresh, _ = pair(name, **arguments)
    fresh.load_weights(tmp_path / "ours.weights.h5")
    equal_outputs(fresh, loaded, size)


def as_older_keras_wrote_it(model: Any, path: Path) -> None:
    """The layout of the files that keras.applications downloads."""
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


@pytest.mark.parametrize(
    "name", ["MobileNetV2", *(pytest.param(n, marks=pytest.mark.slow) for n in FILED)]
)
@pytest.mark.filterwarnings("ignore:Model .* has weights for")
def test_the_layout_of_the_downloaded_files(name: str, tmp_path: Path) -> None:
    size = 80 if name == "InceptionV3" else 64
    options = {"include_top": False, "input_shape": (size, size, 3), "pooling": "avg"}
    theirs, _ = pair(name, **options)
    scramble(theirs)
    as_older_keras_wrote_it(theirs, tmp_path / "theirs.h5")
    # Counted names go on here, and in the files too they are others: the order decides.
    ours = getattr(applications, name)(weights=tmp_path / "theirs.h5", **options)
    equal_outputs(theirs, ours, size)


def test_imagenets_file_is_fetched_checked_and_loaded(tmp_path: Path, monkeypatch: Any) -> None:
    theirs, _ = pair("VGG16", include_top=False, input_shape=(32, 32, 3))
    cache = tmp_path / "models"
    cache.mkdir()
    name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    as_older_keras_wrote_it(theirs, cache / name)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("nnkit.applications.pretrained.matches_hash", lambda *_: True)
    ours = applications.VGG16(include_top=False, input_shape=(32, 32, 3))
    assert ours.preprocessing == "caffe"
    images = applications.vgg16.preprocess_input(np.full((1, 32, 32, 3), 99.0, dtype="float32"))
    expected = theirs(torch.tensor(images)).detach()
    np.testing.assert_allclose(ours.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "top"),
    [(150, False), *(pytest.param(*case, marks=pytest.mark.slow) for case in WHOLE)],
)
def test_vgg16_gives_what_keras_gives(size: int, top: bool, tmp_path: Path) -> None:
    theirs, ours = pair("VGG16", include_top=top, input_shape=(size, size, 3))
    ours.set_weights(theirs.get_weights())
    equal_outputs(theirs, ours, size)


@pytest.mark.slow
def test_vgg16_from_keras_files_at_150_pixels_with_top(tmp_path: Path) -> None:
    theirs, ours = pair("VGG16", input_shape=(150, 150, 3), classes=11)
    theirs.save_weights(tmp_path / "vgg.weights.h5")
    ours.load_weights(tmp_path / "vgg.weights.h5")
    equal_outputs(theirs, ours, 150)


def test_layers_of_their_own_in_whole_models(tmp_path: Path) -> None:
    inputs = nnkit.Input((4, 3))
    x = applications.convnext.LayerScale(0.5, 3)(inputs)
    x = applications.inception_resnet_v2.CustomScaleLayer(0.1)([inputs, x])
    model = nnkit.Model(inputs, x)
    model.save(tmp_path / "own.keras")
    data = np.ones((2, 4, 3), dtype="float32")
    for load in (nnkit.models.load_model, keras.models.load_model):
        again = load(tmp_path / "own.keras")
        np.testing.assert_allclose(again.predict(data, verbose=0), 1.05, rtol=1e-6)


# -- pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module",
    ["vgg16", "resnet", "resnet50", "resnet_v2", "densenet", "mobilenet", "mobilenet_v3",
     "inception_v3", "efficientnet", "convnext", "xception", "nasnet"],
)  # fmt: skip
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_preprocess_input(module: str, data_format: str) -> None:
    random = np.random.default_rng(0)
    shape = (2, 4, 5, 3) if data_format == "channels_last" else (2, 3, 4, 5)
    for images in (random.integers(0, 256, shape), random.uniform(0, 255, shape).astype("float32")):
        before = images.copy()
        expected = getattr(keras.applications, module).preprocess_input(
            images.copy(), data_format=data_format
        )
        prepare = getattr(applications, module).preprocess_input
        actual = prepare(images, data_format=data_format)
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
        tensor = prepare(torch.tensor(images), data_format)
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(images, before)


def test_preprocess_input_of_one_picture_and_in_a_graph() -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (4, 5, 3)).astype("float32")
    for mode in ("caffe", "tf", "torch"):
        prepare = applications.imagenet_utils.preprocess_input
        expected = keras.applications.imagenet_utils.preprocess_input(picture.copy(), mode=mode)
        np.testing.assert_allclose(prepare(picture, mode=mode), expected, rtol=1e-5, atol=1e-5)
        inputs = nnkit.Input((4, 5, 3))
        model = nnkit.Model(inputs, prepare(inputs, mode=mode))
        np.testing.assert_allclose(
            model.predict(picture[None], verbose=0)[0], expected, rtol=1e-5, atol=1e-4
        )
