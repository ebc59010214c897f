"""Freezing, features, heads and rates: what changes in training, and what must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import nnkit
from nnkit import applications, layers, transfer
from nnkit.applications import from_torchvision
from nnkit.errors import ArgumentError, ShapeError


def small_base(name: str = "base") -> nnkit.Model:
    inputs = x = nnkit.Input((16, 16, 3))
    for block in (1, 2, 3):
        x = layers.Conv2D(4 * block, 3, padding="same", name=f"block{block}_conv")(x)
        x = layers.BatchNormalization(name=f"block{block}_bn")(x)
        x = layers.ReLU(name=f"block{block}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return nnkit.Model(inputs, x, name=name)


def pictures(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, count)
    x = random.normal(size=(count, 16, 16, 3)).astype("float32") + y[:, None, None, None]
    return x, y


def state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """The keys whose values are equal, bit for bit."""
    return {key for key, value in before.items() if torch.equal(value, after[key])}


# -- freezing --------------------------------------------------------------------------------------


def test_nothing_of_a_frozen_base_changes_in_fit() -> None:
    base = transfer.freeze(small_base())
    model = transfer.with_head(base, transfer.classifier_head(base, 3))
    before = state(base)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*pictures(), epochs=2, verbose=0)
    assert same(before, state(base)) == set(before)
    assert any(key.endswith("running_mean") for key in before)
    held = {id(p) for group in model.optimizer.param_groups for p in group["params"]}
    head = model.get_layer("head")
    assert held == {id(p) for p in head.parameters()}


@pytest.mark.parametrize("how", ["frozen", "unfrozen"])
def test_torchs_batch_normalization_stays_in_inference_mode(how: str) -> None:
    torch.manual_seed(0)
    base = from_torchvision("resnet18", include_top=False, pooling="avg", input_shape=(32, 32, 3))
    if how == "frozen":
        transfer.freeze(base)
    else:
        transfer.unfreeze(base, "layer4.1")
    model = transfer.with_head(base, transfer.classifier_head(base, 3))
    before = state(base)
    x = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, np.array([0, 1, 2, 0]), verbose=0)
    changed = set(before) - same(before, state(base))
    wanted = set() if how == "frozen" else {"layer4_1.conv1.weight", "layer4_1.conv2.weight"}
    assert changed == wanted
    model.trainable = True
    assert all(module.training for module in base.train().modules())


def test_blocks_of_a_network() -> None:
    assert list(transfer.blocks(small_base())) == ["block1", "block2", "block3"]
    with torch.device("meta"):
        networks = {
            "VGG16": (["block1", "block2", "block3", "block4", "block5"], {}),
            "MobileNet": (["conv_pw_11", "conv_pw_12", "conv_pw_13"], {}),
            "MobileNetV2": (["block_15", "block_16", "Conv_1"], {}),
            "ResNet50": (["conv5_block1", "conv5_block2", "conv5_block3"], {}),
            "EfficientNetB0": (["block6d", "block7a", "top_conv"], {}),
            "InceptionV3": (["mixed9", "mixed10"], {}),
            "InceptionResNetV2": (["block8_9", "block8_10", "conv_7b"], {}),
            "DenseNet121": (["conv5_block15", "conv5_block16"], {}),
            "ConvNeXtTiny": (["convnext_tiny_stage_3_block_2"], {"pooling": None}),
            "Xception": (["block13", "block14"], {}),
        }
        for name, (last, options) in networks.items():
            model = getattr(applications, name)(weights=None, include_top=False, **options)
            assert list(transfer.blocks(model))[-len(last) :] == last, name
    found = list(transfer.blocks(from_torchvision("resnet18")))
    assert found[-2:] == ["layer4.1", "fc"]


@pytest.mark.parametrize(
    ("arguments", "learning"),
    [
        ({"start": "block2_relu"}, ["block3_conv"]),
        ({"start": "block2"}, ["block2_conv", "block3_conv"]),
        ({"last": 1}, ["block3_conv"]),
        ({"last": 1, "batch_normalization": True}, ["block3_conv", "block3_bn"]),
        ({}, ["block1_conv", "block2_conv", "block3_conv"]),
    ],
)
def test_unfreeze(arguments: Any, learning: list[str]) -> None:
    base = transfer.freeze(small_base())
    assert transfer.unfreeze(base, **arguments) == learning
    model = transfer.with_head(base, transfer.classifier_head(base, 3))
    before = state(base)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(*pictures(), verbose=0)
    changed = {key.partition(".")[0] for key in set(before) - same(before, state(base))}
    assert changed == set(learning)


def test_a_stage_of_a_network_can_be_unfrozen() -> None:
    with torch.device("meta"):
        base = applications.ResNet50(weights=None, include_top=False)
    names = transfer.unfreeze(base, "conv5")
    assert names[0] == "conv5_block1_1_conv"
    assert not base.get_layer("conv4_block6_3_conv").trainable_weights
    assert base.get_layer("conv5_block3_3_conv").trainable_weights


def test_mistakes_in_unfreeze() -> None:
    base = small_base()
    with pytest.raises(ArgumentError, match="Did you mean 'block3'"):
        transfer.unfreeze(base, "blok3")
    with pytest.raises(ArgumentError, match="from 1 to 3, the blocks of 'base', got 9"):
        transfer.unfreeze(base, last=9)
    with pytest.raises(ArgumentError, match="start or last, not both"):
        transfer.unfreeze(base, "block3", last=1)


# -- features --------------------------------------------------------------------------------------


def test_features_from_inside() -> None:
    base, (x, _) = small_base(), pictures(4)
    part = transfer.feature_extractor(base, "block2_pool")
    expected = x
    for layer in base.layers[1:9]:
        expected = layer(torch.as_tensor(expected))
    np.testing.assert_allclose(part.predict(x, verbose=0), expected.detach(), rtol=1e-5, atol=1e-6)
    several = transfer.feature_extractor(base, ["block1_conv", "block3_pool"])
    first, last = several.predict(x, verbose=0)
    assert first.shape == (4, 16, 16, 4)
    np.testing.assert_allclose(last, base.predict(x, verbose=0), rtol=1e-6)
    assert part.get_layer("block1_conv") is base.get_layer("block1_conv")
    with pytest.raises(ArgumentError, match="Did you mean 'block2_pool'"):
        transfer.feature_extractor(base, "block2_pol")


def test_features_of_a_sequential() -> None:
    x, _ = pictures(2)
    model = nnkit.Sequential([nnkit.Input((16, 16, 3)), layers.Conv2D(2, 3, name="first"),
                              layers.Flatten(), layers.Dense(1, name="score")])  # fmt: skip
    part = transfer.feature_extractor(model, "first")
    expected = model.get_layer("first")(torch.as_tensor(x)).detach()
    np.testing.assert_allclose(part.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert transfer.unfreeze(model, "score") == ["score"]


def test_features_from_a_model_inside_and_from_torchvision() -> None:
    base, (x, _) = small_base(), pictures(2)
    model = transfer.with_head(base, transfer.classifier_head(base, 3))
    inner = transfer.feature_extractor(model, "block1_pool")
    np.testing.assert_allclose(
        inner.predict(x, verbose=0),
        transfer.feature_extractor(base, "block1_pool").predict(x, verbose=0),
    )
    theirs = torchvision.models.resnet18(weights=None).eval()
    ours = transfer.feature_extractor(from_torchvision(theirs, input_shape=(32, 32, 3)), "layer2.1")
    images = torch.randn(2, 32, 32, 3)
    with torch.no_grad():
        y = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images.movedim(-1, 1)))))
        expected = theirs.layer2(theirs.layer1(y)).movedim(1, -1)
        torch.testing.assert_close(ours(images), expected)


def test_cached_features_run_the_base_once_a_picture() -> None:
    base, (x, y) = transfer.freeze(small_base()), pictures()
    seen = []
    base.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    kept = transfer.cached_features(base, x, y, batch_size=10)
    assert seen == [10, 10, 4]
    np.testing.assert_array_equal(kept.y, y)
    np.testing.assert_allclose(kept.x, base.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    seen.clear()
    head = transfer.classifier_head(base, 3)
    head.compile("adam", "sparse_categorical_crossentropy")
    head.fit(kept.x, kept.y, epochs=3, verbose=0)
    assert not seen


def test_cached_features_of_a_loader_keep_its_order() -> None:
    base, (x, y) = small_base(), pictures(10)
    data = torch.utils.data.TensorDataset(torch.as_tensor(x), torch.as_tensor(y))
    loader = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)
    kept = transfer.cached_features(base, loader)
    expected = base.predict(x, verbose=0)
    for features, label in zip(kept.x.numpy(), kept.y, strict=True):
        at = [i for i in range(10) if np.allclose(expected[i], features, atol=1e-5)]
        assert [int(y[i]) for i in at] == [int(label)]


# -- heads and rates -------------------------------------------------------------------------------


def test_heads() -> None:
    head = transfer.classifier_head((7, 7, 512), 4, units=(16, 8), dropout=0.5)
    assert head.output_shape == (None, 4)
    assert head.count_params() == 512 * 16 + 16 + 16 * 8 + 8 + 8 * 4 + 4
    assert head.layers[-1].activation is nnkit.activations.softmax
    assert transfer.classifier_head((5,), 1).layers[-1].activation is nnkit.activations.sigmoid
    with pytest.raises(ShapeError, match=r"got \(None, 7\)"):
        transfer.classifier_head((None, 7), 3)


def test_preprocessing_is_part_of_the_whole_model() -> None:
    base = small_base()
    base.preprocessing = "tf"
    head = transfer.classifier_head(base, 3)
    whole = transfer.with_head(base, head)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    expected = head(base(torch.as_tensor(pixels / 127.5 - 1)))
    np.testing.assert_allclose(
        whole.predict(pixels, verbose=0), expected.detach(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch", "pixels"])
def test_the_whole_model_in_a_file(mode: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    base = small_base()
    base.preprocessing = mode
    base.save(tmp_path / "base.keras")
    assert nnkit.models.load_model(tmp_path / "base.keras").preprocessing == mode
    head = transfer.classifier_head(base, 3)
    whole = transfer.with_head(base, head)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    expected = whole.predict(pixels, verbose=0)
    given = applications.imagenet_utils.preprocess_input(pixels, mode=mode)
    by_hand = head(base(torch.as_tensor(given.copy()))).detach()
    np.testing.assert_allclose(expected, by_hand, rtol=1e-4, atol=1e-6)
    whole.save(tmp_path / "whole.keras")
    for load in (nnkit.models.load_model, keras.models.load_model):
        again = load(tmp_path / "whole.keras").predict(pixels, verbose=0)
        np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-6)


def test_each_block_has_a_rate_of_its_own() -> None:
    base = small_base()
    model = transfer.with_head(base, transfer.classifier_head(base, 3))
    rates = transfer.block_rates(model, 0.1, decay=0.5, rates={"block1": 1e-9}, momentum=0.0,
                                 optimizer=torch.optim.SGD)  # fmt: skip
    model.compile(rates, "sparse_categorical_crossentropy")
    before = state(base)
    model.fit(*pictures(), verbose=0, batch_size=24)
    found = {group["name"]: group["lr"] for group in model.optimizer.param_groups}
    assert found == {"head_predictions": 0.1, "block3": 0.05, "block2": 0.025, "block1": 1e-9}
    moved = {key: float((state(base)[key] - value).abs().max()) for key, value in before.items()}
    assert moved["block1_conv.weight"] < 1e-8 < moved["block2_conv.weight"]
    with pytest.raises(ArgumentError, match="Did you mean 'block3'"):
        transfer.block_rates(model, 0.1, rates={"blok3": 1.0})
    with pytest.raises(ArgumentError, match="decay must be a positive number, got 0"):
        transfer.block_rates(model, 0.1, decay=0)
