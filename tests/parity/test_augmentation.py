"""Augmentation against Keras: equal images for equal parameters, and draws of one range."""

from __future__ import annotations

import copy
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import layers as L

# Keras transposes numbers.
pytestmark = pytest.mark.filterwarnings("ignore:Tensor.T is deprecated")

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (3, 12, 10, 3)).astype("float32")
# Smooth pictures: a place that is off by a rounding error changes little.
ROWS, COLUMNS = np.mgrid[0:12, 0:10].astype("float32")
WAVES = np.stack(
    [
        127 + 120 * np.sin(ROWS / (3 + i) + COLUMNS / 4 + shift)
        for i in range(3)
        for shift in range(3)
    ]
)
SMOOTH = np.moveaxis(WAVES.reshape(3, 3, 12, 10), 1, -1).astype("float32")

FILLS = ["reflect", "wrap", "constant", "nearest"]
Row = tuple[str, dict[str, Any]]

MOVING: list[Row] = [
    *(
        (name, {**arguments, "fill_mode": fill, "fill_value": 20.0, "interpolation": kind})
        for name, arguments in (
            ("RandomRotation", {"factor": 0.4}),
            ("RandomTranslation", {"height_factor": 0.6, "width_factor": (-0.2, 0.7)}),
            ("RandomShear", {"x_factor": 0.7, "y_factor": (0.1, 0.5)}),
            ("RandomZoom", {"height_factor": (-0.5, 0.7)}),
        )
        for fill in FILLS
        for kind in ("bilinear", "nearest")
    ),
    ("RandomZoom", {"height_factor": 0.3, "width_factor": (0.2, 0.9)}),
    ("RandomPerspective", {}),
    (
        "RandomPerspective",
        {"factor": 0.8, "scale": 0.4, "fill_value": 9, "interpolation": "nearest"},
    ),
    ("RandomFlip", {}),
    ("RandomFlip", {"mode": "horizontal"}),
    ("RandomFlip", {"mode": "vertical"}),
    ("RandomCrop", {"height": 7, "width": 4}),
    ("RandomCrop", {"height": 14, "width": 4}),
    ("RandomCrop", {"height": 5, "width": 20}),
]
COLOURS: list[Row] = [
    ("RandomContrast", {"factor": 0.9}),
    ("RandomContrast", {"factor": (0.2, 0.7)}),
    ("RandomBrightness", {"factor": 0.5}),
    ("RandomBrightness", {"factor": (-0.9, -0.2)}),
    ("RandomSaturation", {"factor": 0.8}),
    ("RandomSaturation", {"factor": (0.3, 1.0)}),
    ("RandomHue", {"factor": 0.9}),
    ("RandomHue", {"factor": (0.2, 0.5)}),
    ("RandomSharpness", {"factor": 1.0}),
    ("RandomSharpness", {"factor": (0.0, 0.3)}),
    ("RandomColorDegeneration", {"factor": 0.9}),
    ("RandomPosterization", {"factor": 6}),
    ("RandomPosterization", {"factor": (2, 4)}),
    ("RandomInvert", {}),
    ("RandomErasing", {}),
    ("RandomErasing", {"factor": (1, 1), "scale": (0.1, 0.8), "fill_value": 0.5}),
    ("RandomErasing", {"fill_value": (0.2, 0.5, 0.9)}),
    ("RandomGaussianBlur", {"kernel_size": (5, 5), "sigma": (0.4, 0.9)}),
    ("RandomGaussianBlur", {"kernel_size": 9, "factor": 0.7}),
    ("Solarization", {"addition_factor": 0.4, "threshold_factor": (0.1, 0.7)}),
    ("AutoContrast", {}),
    ("Equalization", {}),
    ("Equalization", {"bins": 32}),
    ("ContrastLimitedAdaptiveHistogramEqualization", {}),
    ("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": (2, 3), "clip_limit": 1.5}),
    ("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": (5, 4), "clip_limit": 0}),
]
MIXING: list[Row] = [
    ("MixUp", {}),
    ("MixUp", {"alpha": 2.0}),
    ("CutMix", {}),
    ("CutMix", {"factor": (0.4, 0.9)}),
]


def pair(name: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
    return getattr(keras.layers, name)(**arguments), getattr(L, name)(**arguments)


def drawn(theirs: Any, images: Any) -> Any:
    """Keras's parameters; it writes into those of an affine transform, so each side gets a copy."""
    return theirs.get_random_transformation(torch.tensor(images), training=True)


def same(ours: Any, theirs: Any, tolerance: float = 1e-3) -> None:
    theirs = theirs.numpy()
    assert tuple(ours.shape) == theirs.shape
    np.testing.assert_allclose(ours.numpy(), theirs, atol=tolerance, rtol=1e-5)


def check(name: str, arguments: dict[str, Any], images: np.ndarray, tolerance: float) -> None:
    keras.utils.set_random_seed(1)
    theirs, ours = pair(name, arguments)
    one = images[0]
    for batch, transform in ((images, "transform_images"), (one, "transform_single_image")):
        parameters = drawn(theirs, batch)
        kept = copy.deepcopy(parameters)
        expected = getattr(theirs, transform)(torch.tensor(batch), parameters, training=True)
        same(
            getattr(ours, transform)(torch.tensor(batch), kept, training=True), expected, tolerance
        )
        own = ours.get_random_transformation(torch.tensor(batch), training=True)
        kept = copy.deepcopy(own)
        expected = getattr(theirs, transform)(torch.tensor(batch), own, training=True)
        same(
            getattr(ours, transform)(torch.tensor(batch), kept, training=True), expected, tolerance
        )


@pytest.mark.parametrize(("name", "arguments"), MOVING)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_moving(name: str, arguments: dict[str, Any], data_format: str) -> None:
    images = SMOOTH if data_format == "channels_last" else np.moveaxis(SMOOTH, -1, 1).copy()
    check(name, {**arguments, "data_format": data_format}, images, 5e-3)


@pytest.mark.parametrize(("name", "arguments"), COLOURS)
@pytest.mark.parametrize("value_range", [(0, 255), (0, 1)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_colours(
    name: str, arguments: dict[str, Any], value_range: tuple[int, int], data_format: str
) -> None:
    if data_format == "channels_first" and (name == "AutoContrast" or "fill_value" in arguments):
        pytest.skip("Keras looks at the wrong axes")
    images = BYTES * np.float32(value_range[1] / 255)
    images = images if data_format == "channels_last" else np.moveaxis(images, -1, 1).copy()
    arguments = {**arguments, "value_range": value_range, "data_format": data_format}
    check(name, arguments, images, 1e-3 * value_range[1])


@pytest.mark.parametrize(("name", "arguments"), MIXING)
def test_mixing(name: str, arguments: dict[str, Any]) -> None:
    theirs, ours = pair(name, arguments)
    images, labels = torch.tensor(BYTES), torch.eye(3)
    parameters = drawn(theirs, BYTES)
    same(ours.transform_images(images, parameters), theirs.transform_images(images, parameters))
    same(ours.transform_labels(labels, parameters), theirs.transform_labels(labels, parameters))
