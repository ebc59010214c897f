"""Augmentation: modes, seeds, dicts, boxes, masks, mistakes, and torchvision as a source."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as TV

import nnkit
from nnkit import layers as L
from nnkit.custom_objects import custom_object_scope
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.augmentation import pieces

IMAGES = torch.rand(4, 9, 8, 3, generator=torch.Generator().manual_seed(0)) * 255

RANDOM: list[Callable[..., Any]] = [
    lambda **k: L.RandomRotation(0.3, **k),
    lambda **k: L.RandomTranslation(0.3, 0.3, **k),
    lambda **k: L.RandomShear(0.5, 0.5, **k),
    lambda **k: L.RandomZoom(0.5, **k),
    lambda **k: L.RandomPerspective((1, 1), **k),
    lambda **k: L.RandomElasticTransform((1, 1), **k),
    lambda **k: L.RandomFlip(**k),
    lambda **k: L.RandomCrop(5, 4, **k),
    lambda **k: L.RandomContrast(0.5, **k),
    lambda **k: L.RandomBrightness(0.5, **k),
    lambda **k: L.RandomSaturation(0.5, **k),
    lambda **k: L.RandomHue(0.5, **k),
    lambda **k: L.RandomGrayscale(0.5, **k),
    lambda **k: L.RandomColorDegeneration(0.5, **k),
    lambda **k: L.RandomColorJitter((0, 255), 0.2, 0.2, 0.2, 0.2, **k),
    lambda **k: L.RandomSharpness(0.5, **k),
    lambda **k: L.RandomGaussianBlur(0.9, **k),
    lambda **k: L.RandomPosterization(6, **k),
    lambda **k: L.RandomInvert(**k),
    lambda **k: L.RandomErasing(**k),
    lambda **k: L.Solarization(0.5, 0.5, **k),
    lambda **k: L.MixUp(1.0, **k),
    lambda **k: L.CutMix(**k),
    lambda **k: L.AugMix(**k),
    lambda **k: L.RandAugment(**k),
]
by_name = pytest.mark.parametrize("make", RANDOM, ids=lambda make: make().name)


# -- when, and which numbers -----------------------------------------------------------------------


@by_name
def test_a_seed_repeats_the_draws(make: Callable[..., Any]) -> None:
    first, second = (make(seed=7) for _ in range(2))
    runs = [[layer(IMAGES) for _ in range(5)] for layer in (first, second)]
    assert all(torch.equal(*pair) for pair in zip(*runs, strict=True))
    assert any(not torch.equal(runs[0][0], later) for later in runs[0][1:])


@by_name
def test_set_random_seed_repeats_layers_without_a_seed(make: Callable[..., Any]) -> None:
    layer, outputs = make(), []
    for _ in range(2):
        nnkit.utils.set_random_seed(3)
        outputs.append(layer(IMAGES))
    assert torch.equal(*outputs)


@by_name
def test_inference_passes_images_on(make: Callable[..., Any]) -> None:
    layer = make()
    state = torch.get_rng_state()
    if not isinstance(layer, L.RandomCrop):
        assert torch.equal(layer(IMAGES, training=False), IMAGES)
    layer.eval()
    layer(IMAGES)
    assert torch.equal(state, torch.get_rng_state())


@by_name
def test_one_image_is_a_batch_of_one(make: Callable[..., Any]) -> None:
    whole, one = (make(seed=5)(images) for images in (IMAGES[:1], IMAGES[0]))
    assert torch.equal(whole[0], one)


@by_name
def test_whole_numbers(make: Callable[..., Any]) -> None:
    layer, images = make(seed=1), IMAGES.to(torch.uint8)
    wanted = torch.uint8 if layer.keeps_dtype else torch.float32
    assert layer(images).dtype is wanted
    assert layer(images, training=False).dtype is wanted
    assert nnkit.Sequential([nnkit.Input((9, 8, 3), dtype="uint8"), layer]).output.dtype is wanted


def test_modes_in_models() -> None:
    """On until somebody switches the mode, as in Keras; fit and predict do."""
    flip = L.RandomRotation(0.4)
    model = nnkit.Sequential([nnkit.Input((9, 8, 3)), flip, L.Flatten(), L.Dense(1)])
    assert flip.training
    assert not model.training
    picture = nnkit.Model(model.inputs, flip.output)
    assert not torch.equal(picture(IMAGES), IMAGES)
    assert torch.equal(picture(IMAGES, training=False), IMAGES)
    assert flip.training  # a call leaves the mode as it was
    assert not torch.equal(picture(IMAGES), IMAGES)
    assert np.array_equal(picture.predict(IMAGES, verbose=0), IMAGES.numpy())
    assert torch.equal(picture(IMAGES), IMAGES)
    assert not torch.equal(picture(IMAGES, training=True), IMAGES)
    picture.train()
    assert not torch.equal(picture(IMAGES), IMAGES)
    model.compile("sgd", "mse")
    model.fit(IMAGES, torch.zeros(4, 1), epochs=1, verbose=0)
    assert not flip.training


def test_a_model_of_own_keeps_the_mode() -> None:
    class Own(nnkit.Model):
        def __init__(self) -> None:
            super().__init__()
            self.steps = [L.RandomFlip("horizontal", seed=0), L.Dropout(0.5)]

        def call(self, inputs: Any) -> Any:
            return self.steps[0](inputs)

    model = Own()
    assert [step.training for step in model.steps] == [True, False]
    assert any(not torch.equal(model(IMAGES), IMAGES) for _ in range(8))
    assert torch.equal(model(IMAGES, training=False), IMAGES)


# -- a batch in pieces -----------------------------------------------------------------------------

ALL = [
    *RANDOM,
    lambda **k: L.AutoContrast(**k),
    lambda **k: L.Equalization(**k),
    lambda **k: L.RandomErasing(fill_value=(10, 200, 90), **k),
    lambda **k: L.RandomGaussianBlur((0.5, 1), 5, (0.9, 1), **k),
]


@pytest.mark.parametrize("make", ALL, ids=lambda make: make().name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
@pytest.mark.parametrize("size", [1, 2500, 4 * 9 * 8 * 3 * 4])
def test_batches_cut_into_pieces_become_the_same(
    make: Callable[..., Any], dtype: torch.dtype, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image at a time, some at a time, and places that do not follow one another."""
    images = torch.cat([IMAGES, IMAGES.flip(1), IMAGES.flip(2)]).to(dtype)
    whole = make(seed=3)(images)
    given = images.clone()
    monkeypatch.setattr(pieces, "PIECE", size)
    cut = make(seed=3)(images)
    assert torch.equal(images, given)
    assert cut.dtype is whole.dtype
    # At a threshold a rounding error of the last digit shows; elsewhere it does not.
    same = torch.isclose(cut.float(), whole.float(), atol=1e-3, rtol=1e-5)
    assert float(same.float().mean()) > 0.999


@pytest.mark.parametrize("make", ALL, ids=lambda make: make().name)
def test_views_of_other_memory_stay_as_they_are(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channels last as a view of channels first, as pictures come from torchvision."""
    expected = make(seed=3)(IMAGES)
    memory = IMAGES.movedim(-1, 1).contiguous()
    for size in (pieces.PIECE, 1):
        monkeypatch.setattr(pieces, "PIECE", size)
        found = make(seed=3)(memory.movedim(1, -1))
        assert torch.equal(memory, IMAGES.movedim(-1, 1))
        same = torch.isclose(found, expected, atol=1e-3, rtol=1e-5)
        assert float(same.float().mean()) > 0.999


def test_any_mask_is_covered() -> None:
    """Also what is no rectangle, has holes, or is empty."""
    masks = torch.rand(4, 9, 8, 1, generator=torch.Generator().manual_seed(1)) < 0.3
    masks[1], masks[2, 2:5, 3:7] = False, True
    masks[3] = False
    masks[3, 8, 7] = True
    layer, chosen = L.RandomErasing(fill_value=7), torch.tensor([True, True, False, True])
    given = {"batch_masks": masks, "apply_erasing": chosen, "fill_value": torch.tensor(7.0)}
    wanted = torch.where(masks & chosen.reshape(4, 1, 1, 1), 7.0, IMAGES)
    assert torch.equal(layer.transform_images(IMAGES, given), wanted)
    given["batch_masks"] = masks.expand(-1, -1, -1, 3)  # as Keras has them
    assert torch.equal(layer.transform_images(IMAGES, given), wanted)


@pytest.mark.parametrize(
    "make",
    [
        L.Equalization,
        L.AutoContrast,
        *(make for make in RANDOM if isinstance(make(), (
            L.RandomFlip, L.RandomRotation, L.RandomCrop, L.RandomElasticTransform,
            L.RandomSaturation, L.RandomGrayscale, L.RandomErasing, L.CutMix, L.RandomColorJitter,
        ))),
    ],
    ids=lambda make: make().name,
)  # fmt: skip
def test_compiled_layers_ask_no_values(make: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    model = nnkit.Sequential([nnkit.Input((9, 8, 3)), make()])
    compiled = torch.compile(
        lambda images: model(images, training=True), backend="eager", fullgraph=True
    )
    images = IMAGES.repeat(5, 1, 1, 1)
    found = [compiled(images) for _ in range(4)]
    assert found[0].shape[1:] == model.output.shape[1:]
    steady = isinstance(model.layers[-1], (L.Equalization, L.AutoContrast))
    assert all(torch.equal(found[0], one) for one in found[1:]) is steady


def test_a_compiled_crop_is_a_part_of_the_image() -> None:
    crop = L.RandomCrop(5, 4)
    crop(IMAGES)
    compiled = torch.compile(crop, backend="eager", fullgraph=True)
    places = IMAGES[0].unfold(0, 5, 1).unfold(1, 4, 1).movedim(2, -1).flatten(0, 1)
    for _ in range(8):
        part = compiled(IMAGES, training=True)[0]
        assert any(torch.equal(part, place) for place in places)


# -- against torchvision ---------------------------------------------------------------------------


def first(images: torch.Tensor) -> torch.Tensor:
    return images.movedim(-1, -3)


def whole(images: torch.Tensor, parameters: dict[str, Any]) -> dict[str, Any]:
    return {**parameters, "input_shape": tuple(images.shape)}


BIG = torch.nn.functional.interpolate(first(IMAGES), (32, 40), mode="bicubic").clamp(0, 255)
BIG = BIG.movedim(1, -1)


def torchvision_cases() -> list[Any]:
    bilinear = InterpolationMode.BILINEAR
    angles = torch.full((4,), 25.0)
    turn = L.RandomRotation(0.1, fill_mode="constant")
    move = L.RandomTranslation(0.5, 0.5, fill_mode="constant")
    moved = whole(BIG, {"translations": torch.tensor([[3.0, -5.0]]).expand(4, 2)})
    flipped = whole(BIG, {"flips": torch.ones(4, 1, 1, 1, dtype=torch.bool)})
    bright = {"rgb_delta": torch.full((4, 1, 1, 1), -30.0)}
    factor = {"factor": torch.full((4,), 0.3)}
    return [
        (turn, {"rotation_matrix": turn._turn(angles, 32, 40)},
         lambda x: TV.rotate(x, 25.0, bilinear)),
        (move, moved, lambda x: TV.affine(x, 0.0, [3, -5], 1.0, [0.0, 0.0], bilinear)),
        (L.RandomFlip("horizontal"), flipped, TV.horizontal_flip),
        (L.RandomFlip("vertical"), flipped, TV.vertical_flip),
        (L.RandomBrightness(0.5), bright, lambda x: (x - 30).clamp(0, 255)),
        (L.RandomInvert(), {"apply_inversion": torch.ones(4, dtype=torch.bool)},
         lambda x: 255 - x),
        (L.RandomHue(0.5), factor, lambda x: TV.adjust_hue(x / 255, 0.3) * 255),
        (L.RandomSaturation(0.5), factor, None),
        (L.RandomColorDegeneration(0.5), {"factor": torch.full((4, 1, 1, 1), 0.3)},
         lambda x: TV.adjust_saturation(x / 255, 0.7) * 255),
        (L.RandomSharpness(0.5), factor, lambda x: TV.adjust_sharpness(x / 255, 0.6) * 255),
        (L.RandomPosterization(3), {"shift_factor": torch.full((4,), 5, dtype=torch.uint8)},
         lambda x: TV.posterize(x.to(torch.uint8), 3).float()),
        (L.Solarization(), {"additions": torch.zeros(4, 1, 1, 1),
                            "thresholds": torch.full((4, 1, 1, 1), 99.0)},
         lambda x: TV.solarize(x / 255, 99 / 255) * 255),
        (L.AutoContrast(), None, lambda x: TV.autocontrast(x / 255) * 255),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "case", torchvision_cases(), ids=lambda case: f"{case[0].name}" if case else ""
)
def test_equals_torchvision(case: Any) -> None:
    """In the interior, and where torchvision has the same function."""
    layer, parameters, theirs = case
    ours = first(layer.transform_images(BIG, parameters))
    if theirs is None:  # saturation of HSV has no counterpart: gray stays gray, hue stays
        gray = torch.full((4, 3, 3, 3), 80.0)
        torch.testing.assert_close(layer.transform_images(gray, parameters), gray)
        return
    expected = theirs(first(BIG))
    inside = (..., slice(2, -2), slice(2, -2))
    close = (ours - expected)[inside].abs() < 0.255
    assert float(close.float().mean()) > (0.99 if layer.name.startswith("solar") else 0.9999)


def test_equalization_of_one_image_equals_torchvision() -> None:
    image = torch.randint(0, 256, (1, 256, 256, 1), generator=torch.Generator().manual_seed(1))
    ours = L.Equalization()(image.float())
    expected = TV.equalize(first(image).to(torch.uint8)).float()
    # torchvision rounds the table down, and by steps of its own.
    assert float((first(ours) - expected).abs().max()) <= 2


# -- dicts, boxes, masks, labels -------------------------------------------------------------------


def sample(**more: Any) -> dict[str, Any]:
    masks = (IMAGES[..., :1] > 99).to(torch.int64)
    return {"images": IMAGES, "labels": torch.eye(4), "segmentation_masks": masks, **more}


@by_name
def test_dicts(make: Callable[..., Any]) -> None:
    layer, given = make(seed=2), sample(weights=torch.ones(4))
    kept = {key: value.clone() for key, value in given.items()}
    changed = layer(given)
    assert all(torch.equal(given[key], kept[key]) for key in given)  # the input stays
    alone = make(seed=2)(IMAGES)
    assert torch.equal(changed["images"], alone)
    assert torch.equal(changed["weights"], given["weights"])
    assert changed["segmentation_masks"].shape[:3] == alone.shape[:3]
    if not isinstance(layer, (L.MixUp, L.CutMix)):
        assert torch.equal(changed["labels"], given["labels"])
    one = make(seed=2)({key: value[0] for key, value in given.items()})
    assert one["images"].shape == changed["images"].shape[1:]
    assert one["segmentation_masks"].shape == changed["segmentation_masks"].shape[1:]


@pytest.mark.parametrize("make", RANDOM[:8], ids=lambda make: make().name)
def test_masks_go_with_the_images(make: Callable[..., Any]) -> None:
    """An image of its own mask: where it moves, the mask moves."""
    square = torch.zeros(4, 9, 8, 1)
    square[:, 2:6, 3:7] = 200
    masks = (square > 0).to(torch.int64)
    given = {"images": square, "segmentation_masks": masks}
    plain = isinstance(make(), (L.RandomFlip, L.RandomCrop))
    changed = make(seed=4, **({} if plain else {"interpolation": "nearest"}))(given)
    assert changed["segmentation_masks"].dtype is torch.int64
    assert torch.equal((changed["images"] > 100).long(), changed["segmentation_masks"])


def test_labels_are_mixed_by_what_is_seen() -> None:
    """Images that are their own label, so that pixels show what the label must be."""
    images = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 150, 150, 1) * 50
    labels = torch.arange(4.0).reshape(4, 1) * 50
    for layer, close in ((L.MixUp(0.5, seed=0), 1e-3), (L.CutMix(seed=0), 2.0)):
        changed = layer({"images": images, "labels": labels})
        means = changed["images"].mean((1, 2))
        assert float((means - changed["labels"]).abs().max()) < close
        assert not torch.equal(changed["labels"], labels)
    mixed = L.MixUp(0.5, seed=0)({"images": images, "labels": torch.arange(4)})
    assert mixed["labels"].is_floating_point()


def test_lists_of_labels_become_tensors() -> None:
    changed = L.RandomFlip()({"images": IMAGES.numpy(), "labels": [3, 1, 0, 2]})
    assert changed["labels"].tolist() == [3, 1, 0, 2]
    mixed = L.MixUp(seed=1)({"images": IMAGES, "labels": [[1.0, 0], [0, 1], [1, 0], [0, 1]]})
    torch.testing.assert_close(mixed["labels"].sum(1), torch.ones(4))


def test_boxes_cover_what_they_covered() -> None:
    """The box around a bright square, after the layer, holds the bright square."""
    images = torch.zeros(2, 40, 40, 1)
    images[:, 12:20, 16:26] = 255
    boxes = torch.tensor([[[16.0, 12, 26, 20]], [[16.0, 12, 26, 20]]])
    for make in (*RANDOM[:5], RANDOM[6], lambda **k: L.RandomCrop(30, 32, **k)):
        layer = make(seed=3, bounding_box_format="xyxy")
        given = {"boxes": boxes, "labels": torch.ones(2, 1, dtype=torch.int64)}
        changed = layer({"images": images, "bounding_boxes": given})
        for image, box in zip(changed["images"], changed["bounding_boxes"]["boxes"], strict=True):
            rows, columns = torch.nonzero(image[..., 0] > 200, as_tuple=True)
            seen = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            x1, y1, x2, y2 = (box[0] - seen).tolist()
            assert max(x1, y1, -x2, -y2) < 1.6, layer.name


def test_boxes_that_leave_the_image_lose_their_label() -> None:
    layer = L.RandomTranslation(0.0, (0.5, 0.5), bounding_box_format="rel_xywh")
    boxes = torch.tensor([[[0.6, 0.1, 0.2, 0.2], [0.1, 0.1, 0.2, 0.2]]])
    given = {"boxes": boxes, "labels": torch.tensor([[3, 5]])}
    changed = layer({"images": torch.zeros(1, 10, 10, 1), "bounding_boxes": given})
    assert changed["bounding_boxes"]["labels"].tolist() == [[-1, 5]]
    expected = torch.tensor([0.6, 0.1, 0.2, 0.2])
    torch.testing.assert_close(changed["bounding_boxes"]["boxes"][0, 1], expected)


def test_lists_of_boxes_are_filled_up() -> None:
    layer = L.MaxNumBoundingBoxes(3, bounding_box_format="xyxy")
    given = {"boxes": [[[0, 0, 4, 4]], [[1, 1, 2, 2], [2, 2, 3, 3]]], "labels": [[1], [2, 3]]}
    changed = layer({"images": IMAGES[:2], "bounding_boxes": given})["bounding_boxes"]
    assert changed["boxes"].shape == (2, 3, 4)
    assert changed["labels"].tolist() == [[1, -1, -1], [2, 3, -1]]
    cut = L.MaxNumBoundingBoxes(1, bounding_box_format="xyxy")
    assert cut({"images": IMAGES[:2], "bounding_boxes": given})["bounding_boxes"][
        "labels"
    ].tolist() == [[1], [2]]


@pytest.mark.parametrize("form", ["yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy",
                                  "rel_yxyx", "rel_xywh", "rel_center_xywh"])  # fmt: skip
def test_crop_boxes_in_all_formats(form: str) -> None:
    """Keras takes rows for columns here; the same box in two formats must stay the same box."""
    from nnkit.layers.augmentation.boxes import convert_format

    corners = torch.tensor([[[2.0, 3, 6, 8]]])
    found = []
    for each in ("xyxy", form):
        layer = L.RandomCrop(6, 5, seed=1, bounding_box_format=each)
        boxes = convert_format(corners, "xyxy", each, 9, 8)
        given = {"boxes": boxes, "labels": torch.ones(1, 1)}
        changed = layer({"images": IMAGES[:1], "bounding_boxes": given})["bounding_boxes"]
        found.append(convert_format(changed["boxes"], each, "xyxy", 6, 5))
    torch.testing.assert_close(*found)


def test_transformations_by_hand() -> None:
    """With arrays and numbers, and one image in place of a batch, as Keras takes them."""
    image = IMAGES[0].numpy()
    turned = L.RandomFlip("horizontal").transform_images(image, {"flips": np.array([[[True]]])})
    assert torch.equal(turned, IMAGES[0].flip(1))
    mixed = L.MixUp().transform_images(IMAGES, {"mix_weight": 0, "permutation_order": [1, 0, 2, 3]})
    assert torch.equal(mixed, IMAGES[[1, 0, 2, 3]])
    inverted = L.RandomInvert().transform_images(
        transformation={"apply_inversion": np.array([True])}, images=image
    )
    torch.testing.assert_close(inverted, 255 - IMAGES[0])
    pulled = L.RandomElasticTransform().transform_images(
        IMAGES, {"apply_transform": np.array([True] * 4), "distortion_factor": 0.9}
    )
    assert not torch.equal(pulled, IMAGES)
    drawn = L.RandomBrightness(0.2).get_random_transformation(IMAGES.numpy())
    assert drawn["rgb_delta"].shape == (4, 1, 1, 1)


# -- layers of one's own, and put together ---------------------------------------------------------


class Darker(L.BaseImagePreprocessingLayer):
    """An own layer as one writes it for Keras."""

    def __init__(self, factor: float = 0.5, **kwargs: Any) -> None:
        super().__init__(factor, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"amount": self.factor[1]} if training else None

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        return images * transformation["amount"] if training else images

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return labels + 1


def test_an_own_layer() -> None:
    layer = Darker(0.25)
    torch.testing.assert_close(layer(IMAGES), IMAGES / 4)
    given = layer({"images": IMAGES[0], "labels": torch.tensor(3)})
    torch.testing.assert_close(given["images"], IMAGES[0] / 4)
    assert given["labels"] == 4
    model = nnkit.Sequential([nnkit.Input((9, 8, 3)), layer])
    assert model.output_shape == (None, 9, 8, 3)
    assert torch.equal(model(IMAGES, training=False), IMAGES)
    assert Darker.from_config(layer.get_config()).factor == layer.factor
    boxes = {"boxes": torch.zeros(4, 1, 4), "labels": torch.zeros(4, 1)}
    with pytest.raises(NotImplementedError, match="has no transform_bounding_boxes"):
        Darker(bounding_box_format="xyxy")({"images": IMAGES, "bounding_boxes": boxes})


def test_pipeline() -> None:
    steps = [L.RandomFlip("horizontal", seed=1), L.RandomBrightness(0.2, seed=1)]
    pipeline = L.Pipeline([L.RandomFlip("horizontal", seed=1), L.RandomBrightness(0.2, seed=1)])
    assert torch.equal(pipeline(IMAGES), steps[1](steps[0](IMAGES)))
    assert torch.equal(pipeline(IMAGES, training=False), IMAGES)
    assert [type(each) for each in pipeline.layers] == [L.RandomFlip, L.RandomBrightness]
    changed = pipeline(sample())
    assert changed["images"].shape == IMAGES.shape
    with pytest.raises(ArgumentError, match=r"Pipeline 'pipeline.*takes a list of layers"):
        L.Pipeline(L.RandomFlip())


@by_name
def test_configs_keep_the_formats(make: Callable[..., Any]) -> None:
    layer = make(data_format="channels_first", bounding_box_format="rel_xywh", seed=3)
    again = type(layer).from_config(layer.get_config())
    assert (again.data_format, again.bounding_box_format) == ("channels_first", "rel_xywh")
    assert again.seed == (None if isinstance(layer, L.RandomGrayscale) else 3)  # as in Keras


def test_transforms_are_supplied_to_a_config() -> None:
    layer = L.TorchVisionTransform(v2.RandomInvert(1.0), name="inverted")
    with pytest.raises(ArgumentError, match="'inverted' holds a torch module of class"):
        L.TorchVisionTransform.from_config(layer.get_config())
    with custom_object_scope({"inverted": layer.transform}):
        again = L.TorchVisionTransform.from_config(layer.get_config())
    assert again.inference is None
    torch.testing.assert_close(again(IMAGES), layer(IMAGES))


def test_torchvision_transforms_are_layers() -> None:
    crop = L.TorchVisionTransform(v2.RandomResizedCrop(5), inference=v2.Resize((5, 5)))
    assert crop(IMAGES).shape == crop(IMAGES, training=False).shape == (4, 5, 5, 3)
    assert crop(IMAGES[0]).shape == (5, 5, 3)
    model = nnkit.Sequential([nnkit.Input((9, 8, 3)), v2.RandomHorizontalFlip(1.0), L.Flatten()])
    assert isinstance(model.layers[0], L.TorchVisionTransform)
    flipped = IMAGES.flip(2).flatten(1)
    torch.testing.assert_close(model(IMAGES, training=True), flipped)
    assert np.array_equal(model.predict(IMAGES, verbose=0), IMAGES.flatten(1).numpy())
    inputs = nnkit.Input((None, None, 3))
    free = nnkit.Model(inputs, v2.RandomVerticalFlip(1.0)(inputs))
    assert free.output_shape == (None, None, None, 3)
    torch.testing.assert_close(free(IMAGES, training=True), IMAGES.flip(1))
    pipeline = L.Pipeline([v2.RandomHorizontalFlip(1.0), L.RandomBrightness(0.0)])
    torch.testing.assert_close(pipeline(IMAGES), IMAGES.flip(2))


# -- gradients -------------------------------------------------------------------------------------


@by_name
def test_gradients_flow(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 1)  # such images are not cut, however large
    sizes = []
    steps = make().name.startswith("random_posterization")  # which have no gradient
    for seed in range(5):
        images = IMAGES.clone().requires_grad_()
        outputs = make(seed=seed)(images)
        if not outputs.requires_grad:
            assert steps or isinstance(make(), L.RandAugment)  # which may draw such a layer
            continue
        outputs.sum().backward()
        assert images.grad is not None
        assert bool(torch.isfinite(images.grad).all())
        sizes.append(float(images.grad.abs().sum()))
    assert steps or max(sizes) > 0


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.RandomRotation(90), "RandomRotation 'random_.*factor must be .* -1 to 1"),
        (lambda: L.RandomRotation((-90, 90)), "a pair of numbers from -1 to 1, got"),
        (lambda: L.RandomRotation((0.1, 0.2, 0.3)), "factor must be"),
        (lambda: L.RandomRotation("0.1"), "factor must be"),
        (lambda: L.RandomRotation(float("nan")), "factor must be"),
        (lambda: L.RandomRotation(0.1, fill_mode="mirrored"), "fill_mode must be one of 'reflect'"),
        (lambda: L.RandomRotation(0.1, interpolation="cubic"), "interpolation must be one of"),
        (lambda: L.RandomTranslation(2, 0.1), "height_factor must be .* -1 to 1, got 2"),
        (lambda: L.RandomTranslation(0.1, 1.5), "width_factor must be"),
        (lambda: L.RandomShear(-0.1), "x_factor must be .* from 0 to 1"),
        (lambda: L.RandomShear(0.1, 2), "y_factor must be"),
        (lambda: L.RandomZoom(-1), "height_factor must be above -1"),
        (lambda: L.RandomZoom(0.1, (-1, 0)), "width_factor must be above -1"),
        (lambda: L.RandomZoom(1.5), "height_factor must be"),
        (lambda: L.RandomFlip("diagonal"), "mode must be one of 'horizontal'"),
        (lambda: L.RandomFlip(factor=0.5), "takes no factor"),
        (lambda: L.RandomFlip(bounding_box_format="xxyy"), "bounding_box_format must be one of"),
        (lambda: L.RandomFlip(data_format="first"), "data_format must be one of"),
        (lambda: L.RandomCrop(0, 4), "height must be a whole number of at least 1"),
        (lambda: L.RandomPerspective(2.0), "factor must be .* from 0 to 1"),
        (lambda: L.RandomPerspective(scale=1.5), "scale must be"),
        (lambda: L.RandomElasticTransform(fill_mode="none"), "fill_mode must be one of .*'mirror'"),
        (lambda: L.RandomContrast(1.5), "factor must be .* from 0 to 1"),
        (lambda: L.RandomBrightness(20), "factor must be .* from -1 to 1"),
        (lambda: L.RandomBrightness(0.2, 255), "value_range must be two different numbers"),
        (lambda: L.RandomBrightness(0.2, (1, 1)), "value_range must be two different numbers"),
        (lambda: L.RandomHue(2), "factor must be"),
        (lambda: L.RandomGrayscale((0.1, 0.2)), "factor must be"),
        (lambda: L.RandomPosterization(0), "factor must be .* from 1 to 8"),
        (lambda: L.RandomPosterization(2.5), "factor is a number of bits"),
        (lambda: L.RandomErasing(scale=2), "scale must be"),
        (lambda: L.RandomErasing(fill_value=(1, 2)), "fill_value must be a number, three numbers"),
        (lambda: L.RandomGaussianBlur(kernel_size=4), "kernel_size must be odd"),
        (lambda: L.RandomGaussianBlur(sigma=3), "sigma must be .* from 0 to 1"),
        (lambda: L.Solarization(2), "addition_factor must be"),
        (lambda: L.Equalization(bins=0), "bins must be a whole number"),
        (lambda: L.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(8,)),
         "tile_grid_size must be an int or 2 ints"),
        (lambda: L.ContrastLimitedAdaptiveHistogramEqualization(clip_limit="4"),
         "clip_limit must be a number"),
        (lambda: L.MixUp(0), "alpha must be a number above 0"),
        (lambda: L.CutMix(2), "factor must be"),
        (lambda: L.RandAugment(num_ops=-1), "num_ops must be a whole number"),
        (lambda: L.AugMix(alpha=-1), "alpha must be a number above 0"),
        (lambda: L.AugMix(num_chains=0), "num_chains must be"),
        (lambda: L.MaxNumBoundingBoxes(0), "max_number must be"),
        (lambda: L.TorchVisionTransform(None), "transform must be a transform such as"),
        (lambda: L.TorchVisionTransform(v2.Resize(3), "x"), "inference must be a transform"),
        (lambda: L.RandomFlip()({"images": IMAGES, "bounding_boxes": {}}),
         'must be a dict with "boxes" and "labels"'),
        (lambda: L.RandomFlip()(sample(bounding_boxes={
            "boxes": torch.zeros(4, 1, 4), "labels": torch.zeros(4, 1)})),
         "was given bounding_boxes but not their format"),
    ],
)  # fmt: skip
def test_wrong_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.RandomFlip()(torch.zeros(3, 4)), r"expects images \(batch, height, width, ch"),
        (lambda: L.RandomFlip()({"image": IMAGES}), r'needs "images" in the dict, got \[.image'),
        (lambda: L.RandomHue(0.1)(torch.zeros(2, 4, 4, 1)), "expects 3 channels, but received"),
        (lambda: L.RandomGrayscale()(torch.zeros(2, 3, 4, 4)), "expects 1 or 3 channels, but rec"),
        (lambda: L.RandomGrayscale()(nnkit.Input((3, 4, 4))), "expects 1 or 3 channels"),
        (lambda: nnkit.Sequential([nnkit.Input((9, 8, 3)), v2.RandomResizedCrop(5)]),
         r"of \(5, 5\) in training and \(9, 8\) in inference. Give what to do in inference"),
        (lambda: L.RandomFlip(bounding_box_format="xyxy")(sample(bounding_boxes={
            "boxes": torch.zeros(4, 1, 3), "labels": torch.zeros(4, 1)})),
         r"takes boxes \(batch, boxes, 4\)"),
    ],
)  # fmt: skip
def test_wrong_shapes(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        make()


@pytest.mark.parametrize("make", [L.CutMix, L.RandomElasticTransform])
def test_no_boxes(make: Callable[..., Any]) -> None:
    boxes = {"boxes": torch.zeros(4, 1, 4), "labels": torch.zeros(4, 1)}
    with pytest.raises(NotImplementedError, match="cannot"):
        make(bounding_box_format="xyxy")({"images": IMAGES, "bounding_boxes": boxes})


def test_a_wrong_value_range_is_warned_of_once() -> None:
    layer, small = L.RandomBrightness(0.2), IMAGES / 255
    with pytest.warns(UserWarning, match=r"value_range=\(0, 255\), but the brightest pixel .* 1.*"):
        layer(small)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(small)
        L.RandomBrightness(0.2, (0, 1))(small)
        L.RandomBrightness(0.2)(IMAGES)
        L.RandomContrast(0.2)(small)  # which only cuts at the range
        L.RandomBrightness(0.2)(small, training=False)
    with pytest.warns(UserWarning, match=r"value_range=\(0, 1\), but the brightest pixel"):
        L.RandomInvert(value_range=(0, 1))(IMAGES)
