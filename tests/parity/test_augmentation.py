"""Augmentation against Keras: equal images for equal parameters, and draws of one range."""

from __future__ import annotations

import copy
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import layers as L
from nnkit.layers.augmentation import pieces

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
    return theirs.get_random_transformation(torch.as_tensor(images), training=True)


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


@pytest.mark.parametrize("value_range", [(0, 255), (0, 1), (-1, 1)])
@pytest.mark.parametrize("factor", [0.5, (0.5, 0.9), (0.99, 1.0)])
@pytest.mark.parametrize("low", [0, -40])
def test_saturation_at_and_beyond_its_limits(value_range: Any, factor: Any, low: int) -> None:
    high = value_range[1]
    images = (BYTES + low) * np.float32(high / 255)
    images[0, :2] = 0
    images[1, :2] = images[1, :2, :, :1]  # black and gray
    arguments = {"factor": factor, "value_range": value_range}
    check("RandomSaturation", arguments, images, 1e-3 * high)


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_gray(form: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = np.mgrid[0:256:3, 0:256:5, 0:256:7].reshape(3, -1)  # many colours
    colours = torch.tensor(axes.reshape(3, 86, -1)).movedim(0, -1).to(getattr(torch, dtype))
    images = torch.stack([colours, colours.flip(0), colours.flip(1)])
    images = images if form == "channels_last" else images.movedim(-1, 1).contiguous()
    theirs, ours = pair("RandomGrayscale", {"data_format": form})
    chosen = torch.tensor([True, False, True]).reshape(3, 1, 1, 1)
    expected = theirs.transform_images(images, chosen)
    for size in (pieces.PIECE, 1):
        monkeypatch.setattr(pieces, "PIECE", size)
        found = ours.transform_images(images, chosen)
        assert found.dtype is images.dtype
        same(found, expected, 0 if dtype != "float32" else 1e-4)


@pytest.mark.parametrize(("name", "arguments"), MIXING)
def test_mixing(name: str, arguments: dict[str, Any]) -> None:
    theirs, ours = pair(name, arguments)
    images, labels = torch.tensor(BYTES), torch.eye(3)
    parameters = drawn(theirs, BYTES)
    same(ours.transform_images(images, parameters), theirs.transform_images(images, parameters))
    same(ours.transform_labels(labels, parameters), theirs.transform_labels(labels, parameters))


def test_elastic_transform(monkeypatch: pytest.MonkeyPatch) -> None:
    for fill, form in (("reflect", "channels_last"), ("constant", "channels_first")):
        arguments = {"fill_mode": fill, "data_format": form, "fill_value": 30.0}
        theirs, ours = pair("RandomElasticTransform", {**arguments, "scale": (0.9, 1.0)})
        images = torch.tensor(SMOOTH).repeat_interleave(4, 1).repeat_interleave(4, 2)
        images = images if form == "channels_last" else images.movedim(-1, 1).contiguous()
        parameters = ours.get_random_transformation(images)
        noise = iter(
            parameters["noise"].unbind(1)
        )  # Keras draws it, across and then down, when it is used
        monkeypatch.setattr(torch, "normal", lambda *_, noise=noise, **__: next(noise))
        kept = {**parameters, "distortion_factor": torch.tensor(parameters["distortion_factor"])}
        expected = theirs.transform_images(images, {**kept, "seed": None})
        monkeypatch.undo()
        same(ours.transform_images(images, parameters), expected, 5e-3)


def policy(name: str, form: str, **arguments: Any) -> tuple[Any, Any, Any]:
    keras.utils.set_random_seed(3)
    images = torch.tensor(SMOOTH if form == "channels_last" else np.moveaxis(SMOOTH, -1, 1).copy())
    return *pair(name, {**arguments, "data_format": form}), images


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_rand_augment(form: str) -> None:
    theirs, ours, images = policy("RandAugment", form, num_ops=1, factor=(0.1, 0.6))
    for index, name in enumerate(theirs._AUGMENT_LAYERS):
        if name == "auto_contrast" and form == "channels_first":
            continue  # Keras looks at the wrong axes
        parameters = {**drawn(theirs, images), "layer_idxes": torch.tensor([index])}
        if name != "random_brightness":  # which Keras adds in place, chosen or not
            parameters["transforms"]["random_brightness"]["rgb_delta"].zero_()
        kept = copy.deepcopy(parameters)
        expected = theirs.transform_images(images.clone(), parameters)
        same(ours.transform_images(images, kept), expected, 5e-3)


@pytest.mark.parametrize("all_ops", [True, False])
def test_aug_mix(all_ops: bool) -> None:
    theirs, ours, images = policy("AugMix", "channels_last", all_ops=all_ops, chain_depth=5)
    assert set(ours.choices) == set(theirs._augment_layers)
    for _ in range(4):
        parameters = drawn(theirs, images)
        kept = copy.deepcopy(parameters)
        expected = theirs.transform_images(images.clone(), parameters)
        # A rounding error can carry a pixel over a threshold, or into another bin.
        close = (ours.transform_images(images, kept) - expected).abs() < 0.02
        assert float(close.float().mean()) > 0.97


def test_color_jitter_is_its_four_layers() -> None:
    factors = {f"{name}_factor": 0.5 for name in ("brightness", "contrast", "saturation", "hue")}
    ours = L.RandomColorJitter(**factors)
    parameters = ours.get_random_transformation(torch.tensor(BYTES))
    expected = torch.tensor(BYTES)
    for name in ("Brightness", "Contrast", "Saturation", "Hue"):
        theirs = getattr(keras.layers, f"Random{name}")(0.5)
        expected = theirs.transform_images(expected, parameters[f"random_{name.lower()}"])
    same(ours.transform_images(torch.tensor(BYTES), parameters), expected, 0.05)


MANY = np.zeros((4000, 4, 4, 3), "float32")


def spread(values: torch.Tensor) -> torch.Tensor:
    """Where draws lie: their mean, deviation, and how far from the mean they are at most."""
    values = values.float()
    mean = values.mean()
    return torch.stack([mean, values.std(), values.max() - mean, mean - values.min()])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomGrayscale", {"factor": 0.3}),
        *(
            row
            for row in (*MOVING[::4], *COLOURS, *MIXING)
            if row[0] not in ("RandomCrop", "AutoContrast", "Equalization", "CutMix")
            and "Adaptive" not in row[0]
        ),
    ],
)
def test_draws_are_spread_as_in_keras(name: str, arguments: dict[str, Any]) -> None:
    keras.utils.set_random_seed(0)
    theirs, ours = pair(name, arguments)
    expected, own = drawn(theirs, MANY), ours.get_random_transformation(torch.tensor(MANY))
    if name == "RandomSaturation":  # a range without end
        expected, own = ({"factor": 1 / (1.1 + side["factor"])} for side in (expected, own))
    if name == "RandomGrayscale":
        expected, own = {"chosen": expected}, {"chosen": own}
    assert set(own) == set(expected)
    for key in set(expected) - {"input_shape", "permutation_order", "blur_factor"}:
        if not isinstance(expected[key], torch.Tensor):
            assert own[key] == expected[key]
        elif key != "fill_value":  # Keras repeats a constant for each pixel
            close = 0.08 * float(expected[key].float().std()) + 1e-6
            assert own[key].dtype is expected[key].dtype
            difference = (spread(own[key]) - spread(expected[key])).abs()
            assert float(difference[:2].max()) < close
            assert float(difference[2:].max()) < 3 * close


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomCrop", {"height": 3, "width": 2}),
        ("CutMix", {"factor": (0.5, 1.0)}),
        ("RandomGaussianBlur", {"sigma": (0.3, 0.8)}),
        ("RandAugment", {}),
    ],
)
def test_draws_of_a_batch_are_spread_as_in_keras(name: str, arguments: dict[str, Any]) -> None:
    """What is drawn once for a batch: many draws, compared by their means."""
    keras.utils.set_random_seed(0)
    theirs, ours = pair(name, arguments)
    images = torch.zeros(8, 6, 8, 3)

    def number(parameters: Any) -> list[float]:
        if name == "RandomCrop":
            return [float(each) for each in parameters]
        key = {"CutMix": "mix_weight", "RandAugment": "layer_idxes"}.get(name, "blur_factor")
        return [float(parameters[key].float().mean()), float(parameters[key].float().max())]

    draws = {"RandAugment": 60, "CutMix": 100}.get(name, 400)
    means = [
        np.mean([number(side.get_random_transformation(images)) for _ in range(draws)], 0)
        for side in (theirs, ours)
    ]
    np.testing.assert_allclose(means[0], means[1], rtol=0.15)


def boxed(boxes: Any, images: np.ndarray) -> dict[str, Any]:
    labels = torch.arange(boxes.shape[1]).expand(len(images), -1)
    return {"images": torch.tensor(images), "bounding_boxes": {"boxes": boxes, "labels": labels}}


BOXES = torch.tensor([[2.0, 3, 7, 9], [0, 0, 3, 4], [5, 1, 9, 11]]).expand(3, 3, 4).contiguous()


@pytest.mark.parametrize(
    ("name", "arguments", "form"),
    [
        # Keras takes boxes as xyxy in the two where another format is missing.
        ("RandomRotation", {"factor": 0.2}, "xyxy"),
        ("RandomPerspective", {"factor": (1, 1), "scale": 0.3}, "xyxy"),
        *(
            (name, arguments, form)
            for form in ("xyxy", "rel_xywh", "center_yxhw", "rel_yxyx")
            for name, arguments in (
                ("RandomTranslation", {"height_factor": 0.3, "width_factor": 0.2}),
                ("RandomZoom", {"height_factor": 0.4, "width_factor": (-0.3, 0.1)}),
                ("RandomFlip", {}),
                ("RandomFlip", {"mode": "horizontal"}),
            )
        ),
    ],
)
def test_boxes(name: str, arguments: dict[str, Any], form: str) -> None:
    keras.utils.set_random_seed(2)
    theirs, ours = pair(name, {**arguments, "bounding_box_format": form})
    boxes = keras.utils.bounding_boxes.convert_format(
        BOXES, source="xyxy", target=form, height=12, width=10
    )
    parameters = drawn(theirs, SMOOTH)
    expected = theirs.transform_bounding_boxes(
        copy.deepcopy(boxed(boxes, SMOOTH)["bounding_boxes"]), copy.deepcopy(parameters)
    )
    found = ours.transform_bounding_boxes(boxed(boxes, SMOOTH)["bounding_boxes"], parameters)
    same(found["boxes"], expected["boxes"])
    if name != "RandomFlip":  # where Keras compares fractions with pixels
        assert found["labels"].tolist() == expected["labels"].tolist()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*MOVING[::8], *MOVING[33:], *COLOURS, *MIXING, ("RandomGrayscale", {}), ("RandAugment", {}),
     ("AugMix", {}), ("RandomElasticTransform", {}), ("RandomColorJitter", {"hue_factor": 0.1}),
     ("MaxNumBoundingBoxes", {"max_number": 3})],
)  # fmt: skip
def test_configs_go_both_ways(name: str, arguments: dict[str, Any]) -> None:
    theirs, ours = pair(name, arguments)
    again = type(ours).from_config(theirs.get_config())
    for attribute in ("factor", "scale", "sigma", "x_factor", "height_factor", "value_range"):
        assert getattr(again, attribute, None) == getattr(ours, attribute, None)
    if name != "RandomShear":  # whose own configs Keras refuses
        back = type(theirs).from_config(ours.get_config())
        assert getattr(back, "factor", None) == getattr(theirs, "factor", None)
        assert set(theirs.get_config()) <= {*ours.get_config(), "data_format"}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Resizing", {"height": 5, "width": 7}),
        ("Resizing", {"height": 5, "width": 7, "pad_to_aspect_ratio": True}),
        ("Resizing", {"height": 20, "width": 7, "crop_to_aspect_ratio": True}),
        ("CenterCrop", {"height": 7, "width": 6}),
        ("CenterCrop", {"height": 20, "width": 7}),
    ],
)
@pytest.mark.parametrize("form", ["xyxy", "rel_xywh"])
def test_new_sizes_of_boxes_and_masks(name: str, arguments: dict[str, Any], form: str) -> None:
    theirs, ours = pair(name, {**arguments, "bounding_box_format": form})
    boxes = keras.utils.bounding_boxes.convert_format(
        BOXES, source="xyxy", target=form, height=12, width=10
    )
    boxes[1, 2] = 0  # an image with fewer boxes
    given = {**boxed(boxes, SMOOTH), "segmentation_masks": torch.tensor(SMOOTH[..., :1] > 99).int()}
    found, expected = ours(given), theirs(copy.deepcopy(given))
    same(found["images"], expected["images"])
    if name == "Resizing":  # Keras mixes the masks that CenterCrop resizes
        same(found["segmentation_masks"], expected["segmentation_masks"])
        assert found["segmentation_masks"].dtype is torch.int32
    same(found["bounding_boxes"]["boxes"][:, :2], expected["bounding_boxes"]["boxes"][:, :2])
    assert torch.equal(found["bounding_boxes"]["labels"], expected["bounding_boxes"]["labels"])
