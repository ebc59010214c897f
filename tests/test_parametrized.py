"""What torch does to a module's weights, done to layers: parametrizations, old hooks, pruning."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from nnkit.errors import ArgumentError, ConfigError
from nnkit.layer import Layer
from nnkit.layers import Conv2D, Dense, Embedding, Flatten, Input
from nnkit.models import Sequential, clone_model, load_model
from nnkit.variable import Variable

KINDS = ["dense", "conv", "embedding"]
CHANGES: dict[str, Callable[[nn.Module], Any]] = {
    "parameter": lambda layer: setattr(layer, "weight", nn.Parameter(layer.weight)),
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "old_weight_norm": nn.utils.weight_norm,
    "old_spectral_norm": nn.utils.spectral_norm,
    "prune": lambda layer: prune.l1_unstructured(
        layer, "weight", 0.25, importance_scores=layer.weight.detach().contiguous()
    ),
    "prune_rows": lambda layer: prune.ln_structured(layer, "weight", 0.3, 2, dim=0),
}


def made(kind: str, change: str, **options: Any) -> tuple[Sequential, torch.Tensor]:
    """A model whose first layer torch has changed, and data for it."""
    torch.manual_seed(0)
    if kind == "dense":
        first: list[Any] = [Input((4,)), Dense(3, name="first", **options)]
        x = torch.randn(8, 4)
    elif kind == "conv":
        first = [Input((6, 6, 2)), Conv2D(3, 3, name="first", **options), Flatten()]
        x = torch.randn(8, 6, 6, 2)
    else:
        first = [Input((5,)), Embedding(7, 3, name="first", **options), Flatten()]
        x = torch.randint(0, 7, (8, 5)).float()
    model = Sequential([*first, Dense(1, name="last")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the old weight_norm has a new form
        CHANGES[change](model.layers[0])
    return model, x


def by_torch(kind: str, layer: Any, x: torch.Tensor) -> torch.Tensor:
    if kind == "dense":
        return F.linear(x, layer.weight, layer.bias)
    if kind == "embedding":
        return F.embedding(x.long(), layer.weight).flatten(1)
    images = F.conv2d(x.movedim(-1, 1), layer.weight, layer.bias)
    return images.movedim(1, -1).flatten(1)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_layer_computes_trains_and_is_restored(kind: str, change: str, tmp_path: Path) -> None:
    model, x = made(kind, change)
    layer = model.layers[0]
    np.testing.assert_allclose(
        model(x).detach(), model.layers[-1](by_torch(kind, layer, x)).detach(), rtol=1e-5, atol=1e-6
    )
    before = layer.weight.detach().clone()
    model.compile("sgd", "mse")
    model.fit(x, np.ones((8, 1)), epochs=2, verbose=0)
    model.eval()
    model(x)
    assert not torch.equal(layer.weight, before)
    if "prune" in change:
        assert int((layer.weight == 0).sum()) >= layer.weight.numel() // 4 - 2
    wanted = model(x).detach()

    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    other, _ = made(kind, change)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), wanted)
    for ending in (".weights.h5", ".pt", ".safetensors"):
        path = tmp_path / f"model{ending}"
        model.save_weights(path)
        other, _ = made(kind, change)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(1.0)
        other.load_weights(path)
        np.testing.assert_allclose(other(x).detach(), wanted, rtol=1e-6, atol=1e-7)
    other, _ = made(kind, change)
    other.set_weights(model.get_weights())
    np.testing.assert_allclose(other(x).detach(), wanted, rtol=1e-6, atol=1e-7)


def test_weights_and_counts_are_those_that_are_stored() -> None:
    model, _ = made("dense", "weight_norm")
    layer = model.layers[0]
    assert [w.shape for w in layer.get_weights()] == [(3,), (3, 1), (3, 4)]
    assert layer.count_params() == 18
    assert layer.kernel.shape == (4, 3)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "Total params: 22" in "\n".join(lines)
    assert len(model.trainable_weights) == 5


def test_a_mask_and_vectors_are_among_the_weights() -> None:
    layer = made("dense", "prune")[0].layers[0]
    mask = layer.get_weights()[-1]
    assert sorted(np.unique(mask)) == [0, 1]
    assert int((mask == 0).sum()) == 3
    assert len(layer.non_trainable_weights) == 1


@pytest.mark.parametrize("change", ["weight_norm", "old_weight_norm", "prune"])
def test_a_regularizer_sees_the_weight_in_effect(change: str) -> None:
    model, x = made("dense", change, kernel_regularizer="l2")
    layer = model.layers[0]
    model(x)
    before = layer.weight.square().sum().item()
    assert [loss.item() for loss in model.losses] == [pytest.approx(0.01 * before)]
    model.compile("sgd", "mse")
    model.fit(x, model(x).detach(), verbose=0)  # targets that ask for no change
    model(x)
    assert layer.weight.square().sum().item() < before
    layer.trainable = False
    assert model.losses == []


def test_a_constraint_on_a_computed_weight_is_refused() -> None:
    model, x = made("dense", "weight_norm", kernel_constraint="non_neg")
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="constraint on a kernel that torch computes"):
        model.fit(x, np.ones((8, 1)), verbose=0)


@pytest.mark.parametrize("change", ["weight_norm", "old_spectral_norm", "prune_rows"])
def test_no_config_leaves_it_out_in_silence(change: str, tmp_path: Path) -> None:
    model, x = made("conv", change)

    class Own(type(model)):  # type: ignore[misc]
        def get_config(self) -> dict[str, Any]:
            return {}

    own = Own(model.layers)
    own.build((None, 6, 6, 2))
    for each in (model, own):
        with pytest.raises(ConfigError, match="torch computes its kernel from other weights"):
            each.save(tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match=r"parametrize\.remove_parametrizations"):
        clone_model(model)
    layer = model.layers[0]
    if change == "weight_norm":
        parametrize.remove_parametrizations(layer, "weight")
    elif change == "prune_rows":
        prune.remove(layer, "weight")
    else:
        nn.utils.remove_spectral_norm(layer)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(load_model(tmp_path / "model.keras")(x).detach(), model(x).detach())


def test_a_parameter_of_a_weight_shares_its_memory() -> None:
    layer = Dense(3)
    layer.build((None, 4))
    parameter: Any = nn.Parameter(layer.weight, requires_grad=False)
    assert type(parameter) is Variable
    assert parameter.data_ptr() == layer.weight.data_ptr()
    assert not parameter.requires_grad
    shown: Any = nn.Parameter(layer.kernel)
    assert isinstance(shown, nn.Parameter)
    assert shown.requires_grad
    holder = nn.Module()
    holder.kernel = shown
    copied = copy.deepcopy(holder)
    assert [name for name, _ in copied.named_parameters()] == ["kernel"]
    assert copied.kernel.requires_grad
    assert copied.kernel.data_ptr() != shown.data_ptr()


def test_detached_weights_are_plain_tensors() -> None:
    layer = Dense(3)
    layer.build((None, 4))
    assert type(layer.weight.detach()) is torch.Tensor
    assert {type(value) for value in layer.state_dict().values()} == {torch.Tensor}


class Counting(Layer):
    """A layer that keeps a tensor torch's way."""

    def build(self, input_shape: Any) -> None:
        self.register_buffer("seen", torch.zeros(2))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

    def call(self, inputs: Any) -> Any:
        return inputs + self.seen


def test_buffers_of_an_own_layer_are_kept_in_files(tmp_path: Path) -> None:
    model = Sequential([Input((2,)), Counting()])
    model.layers[0].seen.fill_(5.0)
    model.save_weights(tmp_path / "model.weights.h5")
    other = Sequential([Input((2,)), Counting()])
    other.load_weights(tmp_path / "model.weights.h5")
    assert other(torch.zeros(1, 2)).tolist() == [[5.0, 5.0]]
    assert [w.tolist() for w in model.get_weights()] == [[5.0, 5.0]]
