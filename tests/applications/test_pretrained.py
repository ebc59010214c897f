"""Where weights come from, what is refused, and what a first batch is told."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import nnkit
from nnkit import applications, layers
from nnkit.applications import imagenet_utils
from nnkit.applications.input_range import watch_range
from nnkit.errors import ArgumentError, DownloadError, FileError, ShapeError

SMALL = {"input_shape": (64, 64, 3)}


# -- torchvision -----------------------------------------------------------------------------------


def scrambled(module: torch.nn.Module) -> torch.nn.Module:
    """A torch network whose normalizations do something."""
    for each in module.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.running_mean.normal_(0, 0.1)
            each.running_var.uniform_(0.5, 1.5)
            each.weight.data.uniform_(0.5, 1.5)
            each.bias.data.normal_(0, 0.1)
    return module.eval()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("ResNet50", 64),
        pytest.param("DenseNet121", 64, marks=pytest.mark.slow),
        pytest.param("ConvNeXtTiny", 64, marks=pytest.mark.slow),
        pytest.param("VGG16", 224, marks=pytest.mark.slow),
        pytest.param("VGG16", 150, marks=pytest.mark.slow),
        pytest.param("VGG19", 224, marks=pytest.mark.slow),
    ],
)
def test_torchvisions_checkpoints_give_torchvisions_outputs(
    name: str, size: int, tmp_path: Path
) -> None:
    other = "convnext_tiny" if name == "ConvNeXtTiny" else name.lower()
    theirs = scrambled(torchvision.models.get_model(other, weights=None))
    path = tmp_path / "theirs.pth"
    torch.save(theirs.state_dict(), path)
    ours = getattr(applications, name)(weights=path, input_shape=(size, size, 3))
    pixels = torch.rand(1, size, size, 3) * 255
    prepared = imagenet_utils.preprocess_input(pixels, mode="torch")
    given = pixels if ours.preprocessing == "pixels" else prepared
    with torch.no_grad():
        expected = theirs(prepared.movedim(-1, 1)).softmax(-1)
        torch.testing.assert_close(ours(given), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [64, pytest.param(150, marks=pytest.mark.slow)])
def test_vgg16_without_top_from_torchvision(size: int, tmp_path: Path) -> None:
    # The classifier of the file is left out; here it is small, as nobody reads it.
    theirs = torchvision.models.vgg16(weights=None)
    state = {k: v for k, v in theirs.state_dict().items() if k.startswith("features.")}
    torch.save({**state, "classifier.6.weight": torch.zeros(2, 2)}, tmp_path / "vgg.pth")
    ours = applications.VGG16(weights=tmp_path / "vgg.pth", include_top=False)
    assert ours.preprocessing == "torch"
    images = torch.randn(1, size, size, 3)
    with torch.no_grad():
        expected = theirs.features(images.movedim(-1, 1)).movedim(1, -1)
        torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-5)


def test_a_member_of_torchvisions_enumeration(tmp_path: Path, monkeypatch: Any) -> None:
    theirs = scrambled(torchvision.models.resnet50(weights=None))
    member = torchvision.models.ResNet50_Weights.IMAGENET1K_V2
    asked = []

    def get_file(name: str, origin: str, **options: Any) -> str:
        asked.append((name, origin, options["file_hash"], options["hash_algorithm"]))
        torch.save(theirs.state_dict(), tmp_path / name)
        return str(tmp_path / name)

    monkeypatch.setattr("nnkit.applications.pretrained.get_file", get_file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    ours = applications.ResNet50(weights=member, include_top=False, pooling="avg")
    assert asked == [("resnet50-11ad3fa6.pth", member.url, "11ad3fa6", "sha256")]
    assert ours.preprocessing == "torch"


def test_weights_of_another_network_are_refused() -> None:
    weights = torchvision.models.VGG16_Weights
    with pytest.raises(ArgumentError, match="weights of another network"):
        applications.VGG19(weights=weights.IMAGENET1K_V1)
    with pytest.raises(ArgumentError, match="or for other pictures"):
        applications.VGG16(weights=weights.IMAGENET1K_FEATURES, include_top=False)
    with pytest.raises(ArgumentError, match=r"pads or normalizes in another way.*from_torchvision"):
        applications.MobileNetV2(weights="torchvision")


def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    theirs = torchvision.models.vgg11(weights=None).features
    state = {f"features.{key}": value for key, value in theirs.state_dict().items()}
    torch.save(state, tmp_path / "vgg11.pth")
    with pytest.raises((FileError, ArgumentError), match=r"features\.2"):
        applications.VGG16(weights=tmp_path / "vgg11.pth", include_top=False)


# -- files and downloads ---------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".weights.h5", ".pt", ".safetensors"])
def test_own_files(ending: str, tmp_path: Path) -> None:
    first = applications.MobileNet(weights=None, alpha=0.25, classes=3, **SMALL)
    first.save_weights(tmp_path / f"own{ending}")
    nnkit.config.clear_session()
    again = applications.MobileNet(
        weights=str(tmp_path / f"own{ending}"), alpha=0.25, classes=3, **SMALL
    )
    images = torch.rand(1, 64, 64, 3) * 2 - 1
    torch.testing.assert_close(again(images), first(images))


def test_offline_the_error_says_which_file_goes_where(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("NNKIT_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("nnkit.utils.download._PAUSE", 0.0)

    def no_network(*_: Any, **__: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    place = tmp_path / "cache" / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with pytest.raises(DownloadError, match=f"save it as {place}"):
        applications.VGG16(include_top=False)
    with pytest.raises(DownloadError, match=r"models/vgg16-397923af\.pth"):
        applications.VGG16(weights="torchvision")
    assert not list((tmp_path / "cache" / "models").iterdir())


def test_a_file_that_keras_or_torch_has_is_taken(tmp_path: Path, monkeypatch: Any) -> None:
    source = applications.pretrained.Source
    folder = tmp_path / "keras" / "models"
    folder.mkdir(parents=True)
    (folder / "w.h5").write_bytes(b"abc")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    md5 = "900150983cd24fb0d6963f7d28e17f72"
    assert source("imagenet", "https://nowhere.invalid/w.h5", md5).fetch() == folder / "w.h5"
    other = tmp_path / "torch" / "hub" / "checkpoints"
    other.mkdir(parents=True)
    (other / "w.pth").write_bytes(b"abc")
    start = "ba7816bf"
    assert source("torchvision", "https://nowhere.invalid/w.pth", start).fetch() == other / "w.pth"


def test_a_downloaded_file_of_another_hash_is_not_used(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "w.pth").write_bytes(b"abc")
    monkeypatch.setenv("NNKIT_HOME", str(tmp_path / "cache"))
    get = nnkit.utils.get_file
    origin = (tmp_path / "w.pth").as_uri()
    right = get("w.pth", origin, file_hash="ba7816bf", hash_algorithm="sha256")
    assert Path(right).read_bytes() == b"abc"
    with pytest.raises(DownloadError, match="whose sha256 is not ba7816be"):
        get("v.pth", origin, file_hash="ba7816be", hash_algorithm="sha256")
    with pytest.raises(ArgumentError, match="64 hex digits"):
        get("v.pth", origin, file_hash="ba7816be")


# -- arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"weights": "imagenette"}, ArgumentError, "no file 'imagenette'"),
        ({"weights": 3}, ArgumentError, "or the path of a file, got 3"),
        ({"classes": 10}, ArgumentError, "classes=1000, got classes=10"),
        ({"weights": None, "classes": 0}, ArgumentError, "classes must be a whole number"),
        ({"classifier_activation": "relu"}, ArgumentError, "None or 'softmax', got 'relu'"),
        ({"weights": None, "pooling": "mean"}, ArgumentError, "pooling must be one of"),
        ({"weights": None, "input_shape": (16, 64, 3)}, ShapeError, "at least 32 x 32"),
        ({"weights": None, "input_shape": (None, None, 3)}, ShapeError, "must be known"),
        ({"weights": None, "input_shape": (64, 3)}, ShapeError, "height, width, channels"),
        ({"input_shape": (150, 150, 3)}, ShapeError, r"\(224, 224, 3\), got \(150, 150, 3\)"),
        ({"include_top": False, "input_shape": (64, 64, 1)}, ShapeError, "for 3 channels"),
        ({"weights": None, "input_tensor": 3}, ArgumentError, "must come from Input"),
    ],
)
def test_what_does_not_go_together(arguments: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        applications.VGG16(**arguments)


def test_alpha_without_weights_of_its_own() -> None:
    with pytest.raises(ArgumentError, match=r"alpha 0\.25, 0\.5, 0\.75, 1\.0, got alpha=0\.3"):
        applications.MobileNet(alpha=0.3)
    with pytest.raises(ArgumentError, match=r"minimalistic ones for 1\.0"):
        applications.MobileNetV3Small(alpha=0.75, minimalistic=True)
    with pytest.raises(ArgumentError, match="depth_multiplier=1, got 2"):
        applications.MobileNet(depth_multiplier=2)


def test_input_tensor_and_what_comes_before_it() -> None:
    inputs = layers.Input((40, 40, 3))
    scaled = layers.Rescaling(1 / 255)(inputs)
    with torch.device("meta"):
        model = applications.VGG16(weights=None, include_top=False, input_tensor=scaled)
    assert model.inputs == [inputs]
    assert model.output_shape == (None, 1, 1, 512)


def test_the_function_documents_its_arguments() -> None:
    assert applications.VGG16.__name__ == "VGG16"
    assert "include_top: whether" in applications.VGG16.__doc__
    assert applications.VGG16.__module__ == "nnkit.applications"


# -- what the first batch is told ------------------------------------------------------------------


def watched(mode: str) -> nnkit.Model:
    inputs = layers.Input((4, 4, 3))
    model = nnkit.Model(inputs, layers.GlobalAveragePooling2D()(inputs), name="net")
    model.preprocessing = mode
    watch_range(model)
    return model


PIXELS = torch.linspace(0, 255, 2 * 48).reshape(2, 4, 4, 3)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch", "pixels"])
def test_a_batch_of_the_right_range_is_not_warned_of(mode: str) -> None:
    watched(mode)(imagenet_utils.preprocess_input(PIXELS, mode=mode))
    watched(mode)(torch.zeros(1, 4, 4, 3))  # says nothing


@pytest.mark.parametrize(
    ("mode", "batch", "said"),
    [
        ("caffe", PIXELS / 255, "scaled to a small range"),
        ("caffe", PIXELS, "look like raw pixels"),
        ("tf", PIXELS, "look like raw pixels"),
        ("tf", PIXELS / 255, "divided by 255"),
        ("torch", PIXELS, "look like raw pixels"),
        ("torch", PIXELS / 255, "divided by 255"),
        ("pixels", PIXELS / 255, "leave them from 0 to 255"),
        ("pixels", PIXELS - 120, "do not preprocess them"),
    ],
)
def test_a_batch_of_another_range_is_warned_of_once(mode: str, batch: Any, said: str) -> None:
    model = watched(mode)
    copied = copy.deepcopy(model)
    for each in (model, copied):
        with pytest.warns(UserWarning, match=f"'net' has weights for .*{said}"):
            each(batch)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            each(batch)
        assert not each._forward_pre_hooks


def test_the_check_sees_through_an_outer_model_and_leaves_building_alone() -> None:
    inner = watched("tf")
    inputs = layers.Input((4, 4, 3))
    outer = nnkit.Model(inputs, layers.Dense(1)(inner(inputs)))
    assert inner._forward_pre_hooks
    with pytest.warns(UserWarning, match="raw pixels"):
        outer.predict(PIXELS.numpy(), verbose=0)
    assert not inner._forward_pre_hooks


# -- names of classes ------------------------------------------------------------------------------


def test_decode_predictions(tmp_path: Path, monkeypatch: Any) -> None:
    index = {str(i): [f"n{i:08d}", f"thing_{i}"] for i in range(1000)}
    (tmp_path / "index.json").write_text(json.dumps(index))
    monkeypatch.setattr(imagenet_utils, "get_file", lambda *_, **__: str(tmp_path / "index.json"))
    imagenet_utils._class_names.cache_clear()
    scores = np.zeros((2, 1000), dtype="float32")
    scores[0, [3, 7, 9]] = [0.2, 0.5, 0.3]
    scores[1, 999] = 1
    try:
        found = applications.vgg16.decode_predictions(scores, top=2)
        again = imagenet_utils.decode_predictions(torch.tensor(scores), top=1)
    finally:
        imagenet_utils._class_names.cache_clear()
    assert found[0] == [("n00000007", "thing_7", 0.5), ("n00000009", "thing_9", np.float32(0.3))]
    assert [row[0][1] for row in again] == ["thing_7", "thing_999"]
    with pytest.raises(ShapeError, match=r"expects \(batch, 1000\) but received \(batch, 10\)|10"):
        imagenet_utils.decode_predictions(np.zeros((2, 10)))
