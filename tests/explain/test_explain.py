"""Grad-CAM, saliency and pictures of results, against what they are defined as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import nnkit
from nnkit import explain, layers, transfer
from nnkit.applications import from_torchvision
from nnkit.errors import ArgumentError, DataError, ShapeError


def classifier(units: int = 3) -> nnkit.Model:
    torch.manual_seed(0)
    return nnkit.Sequential(
        [
            nnkit.Input((12, 10, 3)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="first"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(5, 3, padding="same", activation="relu", name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(units, activation="softmax" if units > 1 else "sigmoid", name="scores"),
        ]
    )


IMAGES = torch.randn(2, 12, 10, 3, generator=torch.Generator().manual_seed(1))


def by_hand(model: nnkit.Model, images: torch.Tensor, chosen: list[int]) -> np.ndarray:
    """Grad-CAM of the layer "last", with the head's weights written out."""
    maps = model.get_layer("last")(model.get_layer("pool")(model.get_layer("first")(images)))
    # The logit's gradient by each pixel is the Dense layer's weight over the number of pixels.
    weights = model.get_layer("scores").weight[chosen] / (maps.shape[1] * maps.shape[2])
    heat = (maps * weights[:, None, None]).sum(-1).relu().detach()
    heat = F.interpolate(heat[:, None], images.shape[1:3], mode="bilinear")[:, 0]
    return (heat / heat.amax((1, 2), keepdim=True).clamp_min(1e-12)).numpy()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_grad_cam_is_what_the_paper_says(frozen: bool, nested: bool) -> None:
    model = classifier()
    model.trainable = not frozen
    whole: Any = model
    if nested:
        inputs = nnkit.Input((12, 10, 3))
        whole = nnkit.Model(inputs, model(inputs))
    for layer in ("last", None):
        heat = explain.grad_cam(whole, IMAGES, [2, 0], layer=layer)
        np.testing.assert_allclose(heat, by_hand(model, IMAGES, [2, 0]), rtol=1e-4, atol=1e-5)
    best = model(IMAGES).argmax(1).tolist()
    single = explain.grad_cam(whole, IMAGES[0].numpy())
    np.testing.assert_allclose(single, by_hand(model, IMAGES, best)[0], rtol=1e-4, atol=1e-5)
    assert not model.get_layer("last")._forward_hooks


def test_grad_cam_of_a_yes_or_no() -> None:
    model = classifier(1)
    yes, no = (explain.grad_cam(model, IMAGES[0], c, layer="last") for c in (1, 0))
    maps = model.get_layer("last")(model.get_layer("pool")(model.get_layer("first")(IMAGES[:1])))
    signed = (maps * model.get_layer("scores").weight[0]).sum(-1)[0]
    assert (yes > 0).any() == bool((signed > 0).any())
    assert (no > 0).any() == bool((signed < 0).any())


def test_grad_cam_of_torchvisions_network() -> None:
    model = from_torchvision("resnet18", input_shape=(64, 64, 3), num_classes=4)
    heat = explain.grad_cam(model, torch.randn(64, 64, 3), layer="layer3.1")
    assert heat.shape == (64, 64)
    assert heat.max() <= 1
    assert heat.min() >= 0
    whole = transfer.with_head(model, transfer.classifier_head((4,), 2))
    assert explain.grad_cam(whole, torch.randn(64, 64, 3)).shape == (64, 64)


def test_saliency_is_the_size_of_the_gradient() -> None:
    model = classifier()
    images = IMAGES.clone().requires_grad_()
    features = model.layers[3](model.layers[2](model.layers[1](model.layers[0](images))))
    dense = model.get_layer("scores")
    logits = features @ dense.weight.T + dense.bias
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), images)
    expected = gradient.abs().amax(-1)
    expected = expected / expected.amax((1, 2), keepdim=True)
    np.testing.assert_allclose(explain.saliency(model, IMAGES, 1), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"layer": "lst"}, ArgumentError, "Did you mean 'last'"),
        ({"layer": "scores"}, ShapeError, "'scores' gives"),
        ({"class_index": 3}, ArgumentError, "from 0 to 2"),
        ({"class_index": [0, 1, 2]}, ArgumentError, "one for all pictures"),
    ],
)
def test_mistakes(arguments: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        explain.grad_cam(classifier(), IMAGES, **arguments)


# -- pictures --------------------------------------------------------------------------------------


def test_an_overlay_shows_color_where_it_is_hot() -> None:
    image = np.full((2, 2, 1), 0.5, dtype="float32")
    heat = np.array([[0.0, 1.0], [0.25, 0.0]])
    made = explain.overlay(image, heat, strength=0.5)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made[0, 0], [128, 128, 128])
    np.testing.assert_array_equal(made[0, 1], [176, 72, 72])  # half gray, half red
    assert made[1, 0, 2] > made[1, 0, 0]  # cold is blue
    with pytest.raises(ShapeError, match=r"size \(2, 2\), got \(3, 2\)"):
        explain.overlay(image, np.zeros((3, 2)))


def texts(figure: Any) -> list[str]:
    return [t.get_text() for axes in figure.axes for t in [*axes.texts, axes.title]]


def test_a_confusion_matrix(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    true, guessed = [0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0]
    figure = explain.plot_confusion_matrix(true, guessed, ["a", "b", "c"], path=tmp_path / "c.png")
    assert texts(figure) == ["1", "1", "1", "1", "2", "66.7% of 6 right"]
    assert (tmp_path / "c.png").stat().st_size > 1000
    scores = np.eye(3)[guessed]
    shares = explain.plot_confusion_matrix(np.eye(3)[true], scores, normalize=True)
    assert texts(shares)[:2] == ["50%", "50%"]
    with pytest.raises(DataError, match="6 labels and 2 predictions"):
        explain.plot_confusion_matrix(true, [0, 1])
    with pytest.raises(DataError, match="2 class_names, but labels up to 2"):
        explain.plot_confusion_matrix(true, guessed, ["a", "b"])


def test_a_grid_of_mistakes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    images = np.random.default_rng(0).uniform(0, 255, (4, 6, 6, 3))
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
    figure = explain.plot_wrong_predictions(
        images, [0, 0, 0, 1], scores, ["cat", "dog"], path=tmp_path / "w.png"
    )
    titles = [t for t in texts(figure) if t]
    assert titles == ["dog 80%\ntrue: cat", "cat 70%\ntrue: dog", "dog 60%\ntrue: cat"]
    right = explain.plot_wrong_predictions(images, [0, 1, 1, 0], scores)
    assert [t.get_text() for t in right.texts] == ["none wrong"]
    with pytest.raises(DataError, match="4 pictures, 2 labels and 4 predictions"):
        explain.plot_wrong_predictions(images, [0, 1], scores)
