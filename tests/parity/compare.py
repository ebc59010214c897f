"""Run one layer in Keras and here, with the same weights on the same data."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch

from nnkit.layers.input import Input

TOLERANCE = {"outputs": 1e-5, "gradients": 1e-4}


def _data(shape: tuple[int, ...], dtype: str, seed: int, high: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    if dtype.startswith("int"):
        return random.integers(0, high, shape).astype(dtype)
    return random.normal(size=shape).astype(dtype)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in _leaves(value[key])]
    return (
        [leaf for item in value for leaf in _leaves(item)]
        if isinstance(value, (list, tuple))
        else [value]
    )


def compare_layer(
    kind: Any,
    arguments: dict[str, Any],
    shape: Any,
    *,
    dtype: str = "float32",
    high: int = 5,
    training: bool = False,
    theirs: Any = None,
    call: dict[str, Any] | None = None,
    symbolic: Any = None,
    data: Any = None,
    gradients: bool = True,
) -> None:
    """Assert that nnkit's layer does what Keras's does.

    Args:
        kind: nnkit's class; Keras's of the same name is its counterpart.
        arguments: given to both constructors (a callable value is called anew for each side).
        shape: of the input with batch, or a list of shapes.
        dtype, high: of random data; integers are below `high`.
        training: the mode of the call.
        theirs: Keras's class, when the name differs.
        call: more keyword arguments of the call, as NumPy arrays (tensors are made for each side).
        symbolic: input shape(s) without batch for the symbolic comparison; from `shape` when None.
        data: the input arrays instead of random ones.
    """
    theirs = theirs or getattr(keras.layers, kind.__name__)
    several = isinstance(shape, list)
    shapes = shape if several else [shape]
    arrays = [_data(s, dtype, i, high) for i, s in enumerate(shapes)]
    if data is not None:
        arrays = data if several else [data]

    def make() -> dict[str, Any]:
        return {k: v() if getattr(v, "fresh", False) else v for k, v in arguments.items()}

    keras_layer, layer = theirs(**make()), kind(**make())
    floats = dtype.startswith("float")
    inputs = [[torch.tensor(a, requires_grad=floats) for a in arrays] for _ in range(2)]
    more = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in (call or {}).items()}
    first = lambda side: inputs[side] if several else inputs[side][0]  # noqa: E731
    keras_layer(first(0), **more)
    layer(first(1), **more)

    random = np.random.default_rng(7)
    assert [tuple(w.shape) for w in keras_layer.get_weights()] == [
        w.shape for w in layer.get_weights()
    ]
    assert keras_layer.count_params() == layer.count_params()
    weights = [
        np.abs(w) + random.uniform(0.05, 0.3, size=w.shape).astype(w.dtype)
        if "variance" in v.name
        else w + random.normal(scale=0.1, size=w.shape).astype(w.dtype)
        for w, v in zip(keras_layer.get_weights(), keras_layer.weights, strict=True)
    ]
    keras_layer.set_weights(weights)
    layer.set_weights(weights)
    for ours, given in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, given)

    expected = _leaves(keras_layer(first(0), training=training, **more))
    actual = _leaves(layer(first(1), training=training, **more))
    assert len(expected) == len(actual)
    for e, a in zip(expected, actual, strict=True):
        assert tuple(e.shape) == tuple(a.shape)
        np.testing.assert_allclose(
            a.detach().numpy(),
            e.detach().numpy(),
            atol=TOLERANCE["outputs"],
            rtol=TOLERANCE["outputs"],
        )
    for before, after in zip(keras_layer.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6, rtol=1e-5)

    if gradients and floats:
        factors = [
            torch.tensor(random.normal(size=tuple(e.shape)).astype("float32")) for e in expected
        ]
        sum((e * f).sum() for e, f in zip(expected, factors, strict=True)).backward()
        sum((a * f).sum() for a, f in zip(actual, factors, strict=True)).backward()
        for one, other in zip(inputs[0], inputs[1], strict=True):
            _close(other.grad, one.grad)
        theirs_grads = [v.value.grad for v in keras_layer.trainable_variables]
        ours = [w for w in layer.collect() if w.tensor.requires_grad]
        assert len(ours) == len(theirs_grads)
        for weight, grad in zip(ours, theirs_grads, strict=True):
            _close(
                weight.layout.to_keras(weight.tensor.grad)
                if weight.tensor.grad is not None
                else None,
                grad,
            )

    wanted = (
        symbolic
        if symbolic is not None
        else ([s[1:] for s in shapes] if several else shapes[0][1:])
    )
    symbols = [
        [maker(s, dtype=dtype) for s in (wanted if several else [wanted])]
        for maker in (keras.Input, Input)
    ]
    made = [
        [tuple(t.shape) for t in _leaves(one(s if several else s[0]))]
        for one, s in zip((theirs(**make()), kind(**make())), symbols, strict=True)
    ]
    assert made[0] == made[1]


def _close(actual: Any, expected: Any) -> None:
    if expected is None or actual is None:
        for grad in (actual, expected):
            assert grad is None or not grad.abs().any()
        return
    np.testing.assert_allclose(
        actual.numpy(), expected.numpy(), atol=TOLERANCE["gradients"], rtol=TOLERANCE["gradients"]
    )
