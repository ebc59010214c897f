"""Normalization against plain formulas and bare torch, and what the layers refuse."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nnkit import layers as normalization
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.batch_normalization import BatchNormalization
from nnkit.layers.input import Input
from nnkit.layers.normalization import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)


@pytest.mark.parametrize("axis", [-1, 1, 2])
def test_batch_statistics(axis: int) -> None:
    x = torch.randn(5, 4, 3, 6) * 3 + 2
    layer = BatchNormalization(axis, momentum=0.9)
    y = layer(x, training=True)
    others = [a for a in range(4) if a != axis % 4]
    mean, variance = x.mean(others), x.var(others, correction=0)
    torch.testing.assert_close(layer.moving_mean, 0.1 * mean)
    torch.testing.assert_close(layer.moving_variance, 0.9 + 0.1 * variance)
    torch.testing.assert_close(y.mean(others), torch.zeros_like(mean), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(others, correction=0), variance / (variance + 1e-3))
    assert layer(x).mean().abs() > 0.1  # inference: moving statistics


def test_gradients_equal_torch() -> None:
    x = torch.randn(6, 5, 4, 3, requires_grad=True)
    layer = BatchNormalization()
    factors = torch.randn(6, 5, 4, 3)
    (layer(x, training=True) * factors).sum().backward()
    other = x.detach().movedim(-1, 1).requires_grad_()
    weight, bias = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    out = F.batch_norm(other, None, None, weight, bias, training=True, eps=1e-3)
    (out.movedim(1, -1) * factors).sum().backward()
    torch.testing.assert_close(x.grad, other.grad.movedim(1, -1))
    torch.testing.assert_close(layer.gamma.grad, weight.grad)
    torch.testing.assert_close(layer.beta.grad, bias.grad)


@pytest.mark.parametrize("mode", ["train", "argument", "positional"])
def test_training_modes(mode: str) -> None:
    layer, x = BatchNormalization(), torch.randn(8, 3) + 4
    layer(x)
    assert layer.moving_mean.tolist() == [0, 0, 0]
    if mode == "train":
        layer.train()(x)
    elif mode == "argument":
        layer(x, training=True)
    else:
        layer(x, True)
    torch.testing.assert_close(layer.moving_mean, 0.01 * x.mean(0))


def test_frozen_stays_in_inference() -> None:
    layer, x = BatchNormalization(), torch.randn(8, 3) + 4
    layer(x)
    layer.trainable = False
    torch.testing.assert_close(layer.train()(x), x / (1 + 1e-3) ** 0.5)
    assert layer.moving_mean.tolist() == [0, 0, 0]


def test_single_sample() -> None:
    layer = BatchNormalization(moving_variance_initializer="zeros")
    y = layer(torch.tensor([[3.0, -1.0]]), training=True)
    torch.testing.assert_close(y, torch.zeros(1, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.moving_mean, torch.tensor([0.03, -0.01]))
    torch.testing.assert_close(layer.moving_variance, torch.zeros(2), atol=1e-8, rtol=0)


def test_building_leaves_statistics_alone() -> None:
    layer = BatchNormalization()
    layer(Input((4, 3)), training=True)
    assert layer.moving_mean.tolist() == [0, 0, 0]
    assert layer.moving_variance.tolist() == [1, 1, 1]


def test_two_calls_before_one_backward() -> None:
    layer, x = BatchNormalization(), torch.randn(8, 3, requires_grad=True)
    (layer(x, training=True) + layer(2 * x, training=True)).square().sum().backward()
    assert torch.isfinite(x.grad).all()


def test_half_precision() -> None:
    layer, x = BatchNormalization(dtype="mixed_bfloat16"), torch.randn(8, 3)
    y = layer(x, training=True)
    assert y.dtype == torch.bfloat16
    assert layer.moving_mean.dtype == torch.float32
    torch.testing.assert_close(layer.moving_mean, 0.01 * x.mean(0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}, {}])
def test_layer_normalization_trains_in_mixed_precision(options: Any, dtype: str) -> None:
    layer, wide = (LayerNormalization(**options, dtype=t) for t in (dtype, "float32"))
    x = torch.randn(3, 4).to(layer(torch.randn(3, 4)).dtype).float()
    found = []
    for each in (layer, wide):
        given = x.clone().requires_grad_()
        (each(given).float() * torch.arange(4)).sum().backward()
        found.append(given.grad)
    torch.testing.assert_close(*found, rtol=0.05, atol=0.05)


def test_weights_in_order() -> None:
    layer = BatchNormalization(renorm=True)
    layer(torch.zeros(2, 3))
    assert [weight.name for weight in layer.collect()] == [
        "gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean",
        "renorm_stddev",
    ]  # fmt: skip
    assert set(BatchNormalization(scale=False).state_dict()) == set()


@pytest.mark.parametrize("axis", [1, 2, -2, [1], (1, 2), [1, 3], [-1, 1]], ids=str)
@pytest.mark.parametrize("kind", [LayerNormalization, RMSNormalization])
def test_inner_axes(kind: Any, axis: Any) -> None:
    x = torch.randn(2, 4, 5, 3)
    layer = kind(axis, epsilon=0.1)
    layer(x)
    axes = sorted(a % 4 for a in (axis if isinstance(axis, (list, tuple)) else [axis]))
    sizes = [x.shape[a] for a in axes]
    assert list(layer.weight.shape) == sizes
    layer.set_weights([torch.rand(sizes).numpy() for _ in layer.get_weights()])
    mean = x.mean(axes, keepdim=True) if kind is LayerNormalization else 0
    square = ((x - mean) ** 2).mean(axes, keepdim=True)
    shape = [n if a in axes else 1 for a, n in enumerate(x.shape)]
    expected = (x - mean) / (square + 0.1).sqrt() * layer.weight.reshape(shape)
    if kind is LayerNormalization:
        expected = expected + layer.beta.reshape(shape)
    torch.testing.assert_close(layer(x), expected)


def test_rms_scaling() -> None:
    x = torch.randn(4, 5) + 3
    with pytest.warns(UserWarning, match="Use RMSNormalization"):
        layer = LayerNormalization(rms_scaling=True, scale=False)
    expected = x / (x.var(-1, correction=0, keepdim=True) + 1e-3).sqrt()
    torch.testing.assert_close(layer(x), expected)
    assert [weight.name for weight in layer.collect()] == ["gamma"]


def test_unit_length() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    y = UnitNormalization()(x)
    torch.testing.assert_close(y, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    assert torch.isfinite(torch.autograd.grad(y.sum(), x)[0][0]).all()


def test_instance_normalization() -> None:
    x = torch.randn(2, 5, 4, 3)
    expected = F.instance_norm(x.movedim(-1, 1), eps=1e-3).movedim(1, -1)
    torch.testing.assert_close(GroupNormalization(-1)(x), expected)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("BatchNormalization", {"axis": 0}, "not 0, the batch axis; got 0"),
        ("BatchNormalization", {"axis": [1, 2]}, "axis must be a whole number and not 0"),
        ("LayerNormalization", {"axis": 1.5}, "a whole number or a list of them"),
        ("LayerNormalization", {"axis": []}, r"got \[\]"),
        ("LayerNormalization", {"epsilon": -1}, "epsilon must be a number of at least 0, got -1"),
        ("BatchNormalization", {"epsilon": "small"}, "epsilon must be a number"),
        ("BatchNormalization", {"momentum": 1.5}, "momentum must be a number from 0 to 1, got 1.5"),
        (
            "BatchNormalization",
            {"renorm_momentum": -1},
            "renorm_momentum must be a number from 0 to 1",
        ),
        ("BatchNormalization", {"synchronized": True}, "SyncBatchNorm"),
        ("BatchNormalization", {"renorm_clipping": {"max": 1}}, "Unknown bound in renorm_clipping"),
        ("BatchNormalization", {"renorm_clipping": {"rmin": 2, "rmax": 1}}, "rmin <= rmax"),
        ("BatchNormalization", {"renorm_clipping": {"dmax": -1}}, "dmax >= 0"),
        ("GroupNormalization", {"groups": 0}, "groups must be a whole number of at least 1"),
        ("BatchNormalization", {"eps": 1e-5}, "Unknown argument of BatchNormalization 'eps'"),
    ],
)
def test_wrong_arguments(kind: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(normalization, kind)(**arguments)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (lambda: BatchNormalization(), (), r"axis -1, which \(batch,\) does not have"),
        (lambda: BatchNormalization(3), (4, 5), "axis 3, which .batch, 4, 5. does not have"),
        (lambda: LayerNormalization([1, -3]), (4, 5), r"axis \[1, -3\]"),
        (lambda: GroupNormalization(), (4, 5), "groups=32, but 5 channels do not divide evenly"),
        (lambda: UnitNormalization(2), (4,), "axis 2, which"),
    ],
)
@pytest.mark.parametrize("symbolic", [False, True])
def test_wrong_shapes(layer: Any, shape: tuple[int, ...], message: str, symbolic: bool) -> None:
    if not symbolic:
        message = message.replace("batch,", "2,")
    with pytest.raises(ShapeError, match=message):
        layer()(Input(shape) if symbolic else torch.zeros(2, *shape))


@pytest.mark.parametrize("kind", [BatchNormalization, LayerNormalization, RMSNormalization])
def test_other_sizes(kind: Any) -> None:
    layer = kind()
    layer(torch.zeros(2, 5, 3))
    assert layer(torch.zeros(4, 6, 3)).shape == (4, 6, 3)
    with pytest.raises(
        ShapeError, match=r"built for \(3,\) along axis -1 but received \(2, 3, 5\)"
    ):
        layer(torch.zeros(2, 3, 5))
    with pytest.raises(ShapeError, match="needs to know the size of axis -1"):
        kind()(Input((5, None)))


def test_mask_of_a_wrong_rank() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\), but received \(2,\)"):
        BatchNormalization()(torch.zeros(2, 3, 4), training=True, mask=torch.ones(2))


LAYERS = [
    ("BatchNormalization", {}),
    ("BatchNormalization", {"axis": 2}),
    ("BatchNormalization", {"renorm": True, "renorm_clipping": {"rmax": 2.0}}),
    ("LayerNormalization", {"axis": [1, 3]}),
    ("LayerNormalization", {}),
    ("RMSNormalization", {"axis": (2, 3)}),
    ("GroupNormalization", {"groups": 2}),
    ("UnitNormalization", {}),
]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize(("kind", "arguments"), LAYERS)
def test_compiles(kind: str, arguments: dict[str, Any], backend: str) -> None:
    layer, x = getattr(normalization, kind)(**arguments), torch.randn(3, 4, 5, 6)
    layer(x)
    layer.train()
    other = copy.deepcopy(layer)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(x), other(x))
    for ours, theirs in zip(layer.weights, other.weights, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("kind", "arguments"), LAYERS)
def test_exports_with_a_free_batch(kind: str, arguments: dict[str, Any]) -> None:
    layer, x = getattr(normalization, kind)(**arguments), torch.randn(2, 4, 5, 6)
    layer(x)
    program = torch.export.export(layer, (x,), dynamic_shapes=[{0: torch.export.Dim("batch")}])
    more = torch.randn(7, 4, 5, 6)
    torch.testing.assert_close(program.module()(more), layer(more))


@pytest.mark.parametrize(("kind", "arguments"), LAYERS)
def test_copies_and_config(kind: str, arguments: dict[str, Any]) -> None:
    layer, x = getattr(normalization, kind)(**arguments), torch.randn(3, 4, 5, 6)
    layer(x, training=True)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again(x)
    again.set_weights(layer.get_weights())
    for other in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(x), layer(x))
