"""Layers and training under dtype policies, against Keras: dtypes exactly, values as they round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import config, layers
from tests.parity.twins import assert_same_logs, compiled_twins

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
VEC = RNG.normal(size=(4, 6)).astype("float32")
SEQ = RNG.normal(size=(4, 5, 6)).astype("float32")
IMG = RNG.normal(size=(2, 8, 8, 3)).astype("float32")
IDS = RNG.integers(0, 7, (4, 5))
EVEN = {"recurrent_initializer": "glorot_uniform"}  # Keras has no orthogonal one in bfloat16

LAYERS = [
    ("Dense", {"units": 3, "activation": "softmax"}, VEC),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"}, IMG),
    ("Conv1D", {"filters": 4, "kernel_size": 3}, SEQ),
    ("DepthwiseConv2D", {"kernel_size": 3}, IMG),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3}, IMG),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, IMG),
    ("BatchNormalization", {}, IMG),
    ("BatchNormalization", {"scale": False, "center": False}, VEC),
    ("LayerNormalization", {}, SEQ),
    ("RMSNormalization", {}, SEQ),
    ("GroupNormalization", {"groups": 3}, SEQ),
    ("UnitNormalization", {}, VEC),
    ("Embedding", {"input_dim": 7, "output_dim": 3}, IDS),
    ("LSTM", {"units": 3, "return_sequences": True, **EVEN}, SEQ),
    ("GRU", {"units": 3, **EVEN}, SEQ),
    ("SimpleRNN", {"units": 3, **EVEN}, SEQ),
    ("Bidirectional", {"layer": ("LSTM", {"units": 3, **EVEN})}, SEQ),
    ("TimeDistributed", {"layer": ("Dense", {"units": 3})}, SEQ),
    ("RNN", {"cell": ("LSTMCell", {"units": 3, **EVEN})}, SEQ),
    (
        "ConvLSTM1D",
        {"filters": 2, "kernel_size": 3, **EVEN},
        RNG.normal(size=(2, 3, 6, 2)).astype("f4"),
    ),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 4)}, SEQ),
    ("PReLU", {}, VEC),
    ("Softmax", {}, VEC),
    ("ReLU", {}, VEC),
    ("Activation", {"activation": "gelu"}, VEC),
    ("MaxPooling2D", {}, IMG),
    ("GlobalAveragePooling2D", {}, IMG),
    ("Rescaling", {"scale": 0.5, "offset": 1.0}, IMG),
    ("Flatten", {}, IMG),
    ("UpSampling2D", {"interpolation": "bilinear"}, IMG),
    ("Normalization", {"mean": 0.5, "variance": 2.0}, VEC),
]
TOLERANCE = {"bfloat16": 2e-2, "float16": 3e-3, "float32": 1e-5, "float64": 1e-5}


@pytest.fixture(autouse=True)
def no_global_policy() -> Iterator[None]:
    yield
    for set_policy in (config.set_dtype_policy, keras.config.set_dtype_policy):
        set_policy("float32")
    config.set_dtype_policy(None)


def make(kit: Any, name: str, arguments: dict[str, Any], policy: str) -> Any:
    inner = {
        key: make(kit, *value, policy)
        for key, value in arguments.items()
        if type(value) is tuple and type(value[0]) is str
    }
    return getattr(kit, name)(**{**arguments, **inner}, dtype=policy)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float64"])
@pytest.mark.parametrize(("name", "arguments", "x"), LAYERS)
def test_layers(name: str, arguments: dict[str, Any], x: Any, policy: str) -> None:
    theirs, mine = (make(kit, name, arguments, policy) for kit in (keras.layers, layers))
    theirs(x), mine(x)
    assert (mine.dtype, mine.compute_dtype) == (theirs.dtype, theirs.compute_dtype)
    mine.set_weights([weight.value.detach().float().numpy() for weight in theirs.weights])
    for ours, keras_weight in zip(mine.weights, theirs.weights, strict=True):
        if "float" in str(ours.dtype):
            assert ours.dtype == keras_weight.value.dtype
    takes = "training" in theirs._call_signature.parameters
    for training in (False, True) if takes else (None,):
        given = {} if training is None else {"training": training}
        expected, found = theirs(x, **given), mine(x, **given)
        assert found.dtype == expected.dtype
        tolerance = TOLERANCE[mine.compute_dtype]
        np.testing.assert_allclose(
            found.detach().double(), expected.detach().double(), rtol=tolerance, atol=tolerance
        )
        symbol = mine(layers.Input(x.shape[1:], dtype=str(x.dtype)))
        assert symbol.dtype == expected.dtype


def convnet(kit: Any) -> Any:
    return kit.Sequential(
        [
            kit.Input((8, 8, 3)),
            kit.Conv2D(4, 3, activation="relu"),
            kit.BatchNormalization(),
            kit.GlobalAveragePooling2D(),
            kit.Dense(3, activation="softmax", dtype="float32"),
        ]
    )


def recurrent(kit: Any) -> Any:
    inputs = kit.Input((5,), dtype="int32")
    x = kit.LSTM(6)(kit.Embedding(7, 4, mask_zero=True)(inputs))
    return kit.Model(inputs, kit.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
@pytest.mark.parametrize(
    ("build", "x"),
    [
        (convnet, RNG.normal(size=(48, 8, 8, 3)).astype("float32")),
        (recurrent, RNG.integers(0, 7, (48, 5))),
    ],
)
def test_training(build: Any, x: Any, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    config.set_dtype_policy(policy)
    y = RNG.integers(0, 3, 48)
    theirs, mine = compiled_twins(
        build,
        lambda kit: {
            "optimizer": kit.optimizers.Adam(0.01),
            "loss": "sparse_categorical_crossentropy",
        },
    )
    arguments = {"epochs": 4, "batch_size": 16, "shuffle": False, "verbose": 0}
    expected = theirs.fit(x, y, **arguments).history
    found = mine.fit(x, y, **arguments).history
    assert_same_logs(expected, found, 1e-4 if policy == "float64" else 2e-2)
    assert type(mine.optimizer).__name__ == type(theirs.optimizer).__name__
    assert mine(x[:2]).dtype == theirs(x[:2]).dtype
    for ours, other in zip(mine.weights, theirs.weights, strict=True):
        assert ours.dtype == other.value.dtype
    assert torch.isfinite(mine(x[:2])).all()
