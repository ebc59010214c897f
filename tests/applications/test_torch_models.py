"""Torchvision's and timm's networks as models: the same outputs, named layers, channels last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import nnkit
from nnkit import explain, transfer
from nnkit.applications import from_torchvision
from nnkit.errors import ArgumentError, FileError

IMAGES = torch.randn(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))


def theirs(name: str) -> Any:
    torch.manual_seed(0)
    return torchvision.models.get_model(name, weights=None).eval()


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("vgg11", "densenet121", "efficientnet_b0", "convnext_tiny", "swin_t")
        ),
    ],
)
def test_outputs_are_torchvisions(name: str) -> None:
    network = theirs(name)
    ours = from_torchvision(network, input_shape=(64, 64, 3))
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGES), network(IMAGES.movedim(-1, 1)))
    assert ours.output_shape == (None, 1000)
    # The batch norms' counters are no numbers that are learned.
    own = sum(p.numel() for p in network.parameters())
    assert sum(weight.numel() for weight in ours.trainable_weights) == own


def test_layers_have_torchs_names() -> None:
    model = from_torchvision("resnet18", input_shape=(64, 64, 3), num_classes=7)
    names = [layer.name for layer in model.layers][1:]
    assert names == [
        "conv1", "bn1", "relu", "maxpool", "layer1.0", "layer1.1", "layer2.0", "layer2.1",
        "layer3.0", "layer3.1", "layer4.0", "layer4.1", "avgpool", "fc",
    ]  # fmt: skip
    assert model.name == "resnet18"
    assert model.output_shape == (None, 7)
    shown: list[str] = []
    model.summary(print_fn=shown.append)
    assert "layer4.1 (torch BasicBlock)" in "\n".join(shown)
    assert model.get_layer("fc").count_params() == 512 * 7 + 7


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet18", (None, 2, 2, 512)),
        ("vgg11", (None, 2, 2, 512)),
        ("mobilenet_v2", (None, 2, 2, 1280)),
        ("squeezenet1_1", (None, 3, 3, 512)),
    ],
)
def test_without_top_the_last_feature_map_comes_channels_last(name: str, shape: Any) -> None:
    network = theirs(name)
    model = from_torchvision(network, include_top=False, input_shape=(64, 64, 3))
    assert model.output_shape == shape
    pooled = from_torchvision(network, include_top=False, input_shape=(64, 64, 3), pooling="avg")
    with torch.no_grad():
        torch.testing.assert_close(pooled(IMAGES), model(IMAGES).mean((1, 2)))
        if name == "vgg11":
            expected = network.features(IMAGES.movedim(-1, 1)).movedim(1, -1)
            torch.testing.assert_close(model(IMAGES), expected)


def test_training_is_torchs_training() -> None:
    first, second = theirs("resnet18"), theirs("resnet18")
    ours = from_torchvision(first, input_shape=(64, 64, 3))
    labels = torch.tensor([3, 7])
    ours.compile(torch.optim.SGD(first.parameters(), lr=0.01), nn.CrossEntropyLoss())
    ours.fit(IMAGES.numpy(), labels.numpy(), batch_size=2, shuffle=False, verbose=0)
    second.train()
    adam = torch.optim.SGD(second.parameters(), lr=0.01)
    nn.functional.cross_entropy(second(IMAGES.movedim(-1, 1)), labels).backward()
    adam.step()
    for (name, one), other in zip(
        first.named_buffers(), dict(second.named_buffers()).values(), strict=True
    ):
        torch.testing.assert_close(one, other, msg=name, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.fc.weight, second.fc.weight, rtol=1e-4, atol=1e-6)


def test_code_that_cannot_be_followed_becomes_one_layer() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            count = int(y.shape[0] * 1.0)  # the batch size as a number
            return y.reshape(count, -1)

    odd = Odd()
    model = from_torchvision(odd, input_shape=(8, 8, 3))
    assert [layer.name for layer in model.layers][1:] == ["odd_network"]
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES[:, :8, :8]), odd(IMAGES[:, :8, :8].movedim(-1, 1)))
    with pytest.raises(ArgumentError, match="odd has no feature map"):
        from_torchvision(odd, input_shape=(8, 8, 3), include_top=False)


def test_files_get_their_modules_from_a_network_of_the_same_kind(tmp_path: Path) -> None:
    base = from_torchvision("resnet18", include_top=False, input_shape=(64, 64, 3))
    model = transfer.with_head(base, transfer.classifier_head(base, 3), preprocess=False)
    transfer.unfreeze(base, "layer4.1")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(tmp_path / "m.keras")
    with pytest.raises(FileError, match=r"'conv1' .* custom_objects=dict\(network.named_modules"):
        nnkit.models.load_model(tmp_path / "m.keras")
    parts = dict(theirs("resnet18").named_modules())
    with pytest.raises(FileError, match=r"has no part 'bn1.weight', which its config says does"):
        nnkit.models.load_model(tmp_path / "m.keras", {**parts, "layer4.1": nn.Identity()})
    again = nnkit.models.load_model(tmp_path / "m.keras", parts)
    pixels = IMAGES.numpy()
    expected = model.predict(pixels, verbose=0)
    np.testing.assert_array_equal(again.predict(pixels, verbose=0), expected)
    names = [
        [name for name, p in each.named_parameters() if p.requires_grad] for each in (model, again)
    ]
    assert names[0] == names[1]
    assert [name for name in names[0] if "resnet18" in name] == [
        "resnet18.layer4_1.conv1.weight", "resnet18.layer4_1.conv2.weight",
    ]  # fmt: skip
    again.train()
    assert not again.get_layer("resnet18").get_layer("layer4.1").module.bn1.training
    for layer in ("bn1", "layer4.1"):  # the next layer, a ReLU, works in place in torchvision
        one, other = (transfer.feature_extractor(each, layer) for each in (model, again))
        assert one.output_shape == other.output_shape
        np.testing.assert_array_equal(
            one.predict(pixels, verbose=0), other.predict(pixels, verbose=0)
        )
        one, other = (explain.grad_cam(each, pixels, 1, layer) for each in (model, again))
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_dropout_as_a_function_is_at_work_in_training_only() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.dropout(torch.flatten(x, 1), 0.5, training=self.training)

    model = from_torchvision(Net(), input_shape=(8, 8, 3))
    ones = torch.ones(4, 8, 8, 3)
    assert model(ones).unique().tolist() == [1.0]
    assert model(ones, training=True).unique().tolist() == [0.0, 2.0]


def test_timm() -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model("resnet10t", num_classes=5).eval()
    model = from_torchvision(network, input_shape=(64, 64, 3))
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES), network(IMAGES.movedim(-1, 1)))
    features = from_torchvision(network, input_shape=(64, 64, 3), include_top=False, pooling="max")
    assert features.output_shape == (None, 512)
    assert np.isfinite(features.predict(IMAGES.numpy(), verbose=0)).all()


def test_mistakes() -> None:
    with pytest.raises(ArgumentError, match="Did you mean 'resnet18'"):
        from_torchvision("resnet-18")
    with pytest.raises(ArgumentError, match="Did you mean 'IMAGENET1K_V1'"):
        from_torchvision("resnet18", weights="IMAGENET_V1")
    with pytest.raises(ArgumentError, match="go with a name, not a module"):
        from_torchvision(theirs("resnet18"), weights="DEFAULT")
    with pytest.raises(ArgumentError, match="pooling must be one of"):
        from_torchvision("resnet18", pooling="mean")


def test_pretrained_weights_are_fetched_into_torchs_cache(tmp_path: Any, monkeypatch: Any) -> None:
    network = theirs("resnet18")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    asked: list[Any] = []

    def get_file(name: str, origin: str, **options: Any) -> str:
        folder = options["cache_dir"] / options["cache_subdir"]
        folder.mkdir(parents=True)
        torch.save(network.state_dict(), folder / name)
        asked.append((name, options["file_hash"], options["hash_algorithm"]))
        return str(folder / name)

    monkeypatch.setattr("nnkit.applications.torch_models.get_file", get_file)
    monkeypatch.setattr(
        "torchvision._internally_replaced_utils.load_state_dict_from_url",
        lambda url, **_: torch.load(tmp_path / "hub" / "checkpoints" / url.rsplit("/", 1)[1]),
        raising=False,
    )
    model = from_torchvision("resnet18", weights="DEFAULT", input_shape=(64, 64, 3))
    assert asked == [("resnet18-f37072fd.pth", "f37072fd", "sha256")]
    assert model.preprocessing == "torch"
    torch.testing.assert_close(model.get_layer("fc").module.weight, network.fc.weight)
    with pytest.warns(UserWarning, match="'resnet18' has weights for"):
        model(torch.rand(1, 64, 64, 3) * 255)
    assert isinstance(model, nnkit.Model)
