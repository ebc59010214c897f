"""What random augmentation makes of one image, over many draws, as in Keras.

All layers of the package are asked for: one that is new and has no row here fails.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from scipy import stats

from nnkit import layers as L
from nnkit.layers import augmentation

# Keras transposes numbers.
pytestmark = pytest.mark.filterwarnings("ignore:Tensor.T is deprecated")

FIXED = {  # which draw nothing
    "AutoContrast", "BaseImagePreprocessingLayer", "ContrastLimitedAdaptiveHistogramEqualization",
    "Equalization", "MaxNumBoundingBoxes", "Pipeline", "TorchVisionTransform",
}  # fmt: skip

# Arguments of each layer. Images of one batch have a draw of their own in all layers but SHARED.
ROWS: dict[str, list[dict[str, Any]]] = {
    "AugMix": [{"factor": 0.4}],
    "CutMix": [{"factor": (0.5, 1.0)}],
    "MixUp": [{}, {"alpha": 2.0}],
    "RandAugment": [{"factor": 0.4}],
    "RandomBrightness": [{"factor": 0.4}, {"factor": (-0.3, 0.1)}],
    "RandomColorDegeneration": [{"factor": 0.9}, {"factor": (0.2, 0.4)}],
    "RandomColorJitter": [
        {"brightness_factor": 0.2, "contrast_factor": 0.4, "saturation_factor": 0.6},
        {"hue_factor": 0.3, "contrast_factor": (0.1, 0.5)},
    ],
    "RandomContrast": [{"factor": 0.5}, {"factor": (0.3, 0.9)}],
    "RandomCrop": [{"height": 5, "width": 7}],
    "RandomElasticTransform": [{}, {"factor": 0.6, "scale": (0.4, 0.9)}],
    "RandomErasing": [{"factor": 0.8}, {"scale": (0.1, 0.4), "fill_value": 7.0}],
    "RandomFlip": [{}, {"mode": "horizontal"}, {"mode": "vertical"}],
    "RandomGaussianBlur": [{"sigma": (0.5, 0.9)}, {"factor": (0.2, 0.5), "kernel_size": 5}],
    "RandomGrayscale": [{}, {"factor": 0.2}],
    "RandomHue": [{"factor": 0.4}, {"factor": (0.1, 0.9)}],
    "RandomInvert": [{}, {"factor": 0.4}],
    "RandomPerspective": [{}, {"factor": 0.7, "scale": 0.4}],
    "RandomPosterization": [{"factor": 6}, {"factor": (3, 8)}],
    "RandomRotation": [{"factor": 0.3}, {"factor": (0.05, 0.2), "fill_mode": "constant"}],
    "RandomSaturation": [{"factor": 0.6}, {"factor": (0.4, 0.9)}],
    "RandomSharpness": [{"factor": 0.8}, {"factor": (0.3, 0.6)}],
    "RandomShear": [{"x_factor": 0.5, "y_factor": 0.2}, {"x_factor": (0.2, 0.6)}],
    "RandomTranslation": [{"height_factor": 0.3, "width_factor": (-0.1, 0.4)}],
    "RandomZoom": [{"height_factor": 0.4}, {"height_factor": (-0.3, 0.1), "width_factor": 0.5}],
    "Solarization": [{"addition_factor": 0.3, "threshold_factor": (0.2, 0.8)}],
}
SHARED = {"AugMix", "RandAugment", "RandomCrop"}  # one draw for all images of a batch
PARTLY = {"CutMix", "RandomElasticTransform", "RandomGaussianBlur"}  # one of several numbers
cases = pytest.mark.parametrize(
    ("name", "arguments"),
    [(name, arguments) for name, rows in ROWS.items() for arguments in rows],
)

# A slanted wave in each channel, with no value twice: every layer leaves traces in it.
DOWN, ACROSS = np.mgrid[0:9, 0:10].astype("float32")
PICTURE = np.stack([127 + 100 * np.sin(DOWN / 3 + ACROSS / (4 + i) + i) for i in range(3)], -1)
PICTURE = torch.tensor(PICTURE.astype("float32"))


def test_every_layer_has_a_row() -> None:
    assert set(ROWS) | FIXED == set(augmentation.__all__)


def batch(count: int) -> torch.Tensor:
    """The picture again and again, each a little darker, so that mixtures show."""
    return PICTURE * torch.linspace(1, 0.7, count).reshape(-1, 1, 1, 1)


def features(images: Any) -> np.ndarray:
    """What an image looks like in some numbers: (images, numbers)."""
    images = torch.as_tensor(images)
    middle = images[:, images.shape[1] // 2, images.shape[2] // 2]
    flat = images.flatten(1)
    parts = [images[:, 0, 0], images[:, -1, 1], middle, images.mean((1, 2)), flat.std(1)[:, None]]
    # What is equal but for a rounding error shall be equal.
    return torch.cat(parts, 1).numpy().round(1)


def drawn(layer: Any, name: str) -> np.ndarray:
    """The features of many images that the layer has changed."""
    if name not in SHARED | PARTLY:
        return features(layer(batch(1200), training=True))
    calls = {"AugMix": 80, "RandAugment": 120, "RandomElasticTransform": 150}.get(name, 300)
    size = 1 if name in SHARED else 4
    return np.concatenate([features(layer(batch(4), training=True))[:size] for _ in range(calls)])


@cases
def test_images_are_distributed_as_in_keras(name: str, arguments: dict[str, Any]) -> None:
    """Each number of an image: its mean, its variance, and its whole distribution."""
    keras.utils.set_random_seed(1)
    layer = getattr(keras.layers, name)(**arguments)
    if name == "RandAugment":  # Keras's brightness changes its input, also when it is not chosen
        brighter = layer.random_brightness.transform_images
        layer.random_brightness.transform_images = lambda x, *args, **kw: brighter(
            x.clone(), *args, **kw
        )
    theirs, ours = drawn(layer, name), drawn(getattr(L, name)(**arguments), name)
    count = len(theirs) / (4 if name in PARTLY else 1)  # of draws by themselves
    for pair in zip(ours.T, theirs.T, strict=True):
        middle = np.mean(pair)
        for power in (1, 2):
            own, other = ((side.astype("float64") - middle) ** power for side in pair)
            error = np.sqrt((own.var() + other.var()) / count)
            assert abs(own.mean() - other.mean()) < 4.5 * error + 0.1**power
        largest = stats.ks_2samp(*pair, method="asymp").statistic
        assert largest < 2.3 * np.sqrt(2 / count)  # by chance in one of 20,000 cases


@cases
def test_each_image_has_its_own_draw(name: str, arguments: dict[str, Any]) -> None:
    """Or all have one, where Keras draws one."""
    picture = PICTURE.expand(64, -1, -1, -1).contiguous()
    images = batch(64) if name in ("MixUp", "CutMix") else picture
    made = getattr(L, name)(seed=3, **arguments)(images, training=True)
    distinct = len({tuple(row) for row in features(made)})
    if name == "RandomCrop":
        assert distinct == 1
    elif name not in SHARED:  # in those, images differ or not by what is drawn for all
        # Those that change an image or leave it make two of it.
        either = name.startswith(("RandomFlip", "RandomInvert", "RandomGray", "RandomGauss"))
        assert distinct >= (2 if either else 4)


@cases
def test_off_seeded_and_for_one_image(name: str, arguments: dict[str, Any]) -> None:
    make, images = getattr(L, name), batch(4)
    if name != "RandomCrop":  # Keras leaves images as large as they are, its documentation does not
        theirs = getattr(keras.layers, name)(**arguments)
        for layer in (make(**arguments), theirs):
            assert torch.equal(layer(images, training=False), images)
    layers = [make(seed=1, **arguments) for _ in range(2)]
    runs = [[layer(images) for _ in range(6)] for layer in layers]
    assert all(torch.equal(*pair) for pair in zip(*runs, strict=True))
    assert any(not torch.equal(runs[0][0], later) for later in runs[0][1:])
    one = [make(seed=2, **arguments)(given) for given in (images[:1], images[0])]
    assert torch.equal(one[0][0], one[1])
