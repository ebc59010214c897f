"""Unusual but legal configurations next to Keras's, a row each, over all families of layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

import nnkit
from nnkit import layers as ours
from nnkit import losses
from tests.parity.compare import compare_layer

# Keras turns its variables into arrays in a way numpy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FIRST = {"data_format": "channels_first"}
MASK = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0]], bool)

ROWS: list[tuple[str, dict[str, Any], Any, dict[str, Any]]] = [
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "groups": 2}, (2, 7, 4), {}),
    ("Conv1D", {"filters": 2, "kernel_size": 4, "dilation_rate": 3, "padding": "same", **FIRST},
     (2, 3, 9), {"symbolic": (3, None)}),
    ("Conv2D", {"filters": 6, "kernel_size": (2, 3), "dilation_rate": (1, 2), "groups": 3,
                "padding": "same", **FIRST}, (2, 3, 6, 7), {"symbolic": (3, None, 7)}),
    ("Conv3D", {"filters": 2, "kernel_size": (1, 2, 3), "strides": (2, 1, 3), "padding": "same",
                "groups": 2, **FIRST}, (2, 4, 4, 5, 6), {}),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": (2, 3), "strides": (3, 2),
                         "output_padding": (2, 0), "padding": "same", **FIRST}, (2, 3, 4, 3), {}),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "same"},
     (2, 5, 3), {"symbolic": (None, 3)}),
    ("DepthwiseConv2D", {"kernel_size": 2, "strides": (1, 3), "dilation_rate": (3, 2)},
     (2, 8, 9, 3), {}),
    ("DepthwiseConv1D", {"kernel_size": 2, "strides": 2, "dilation_rate": 3}, (2, 9, 3), {}),
    ("SeparableConv2D", {"filters": 3, "kernel_size": 3, "strides": 2, "dilation_rate": 2},
     (2, 9, 8, 2), {"symbolic": (None, 8, 2)}),
    ("MaxPooling2D", {"pool_size": (3, 2), "strides": (1, 4), "padding": "same", **FIRST},
     (2, 3, 5, 7), {"symbolic": (3, None, 7)}),
    ("AveragePooling3D", {"pool_size": (1, 4, 2), "strides": (2, 1, 3), "padding": "same"},
     (2, 3, 7, 6, 2), {}),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, (2, 3, 4, 2),
     {"dtype": "int16", "high": 90}),
    ("UpSampling2D", {"interpolation": "bicubic", **FIRST}, (2, 2, 3, 4), {}),
    ("GlobalMaxPooling3D", {"keepdims": True, **FIRST}, (2, 3, 2, 4, 2), {}),
    ("Softmax", {"axis": (-1, 1)}, (3, 4, 2), {"call": {"mask": np.ones((3, 4, 1), bool)}}),
    ("LayerNormalization", {"axis": (-2, -1), "center": False}, (2, 3, 4), {}),
    ("UnitNormalization", {"axis": [1, -1]}, (2, 3, 4), {}),
    ("BatchNormalization", {"axis": 1, "scale": False, "momentum": 0.0}, (4, 3, 2, 2),
     {"training": True}),
    ("BatchNormalization", {"momentum": 1.0, "trainable": False}, (4, 3), {"training": True}),
    ("GroupNormalization", {"groups": -1, "axis": 1}, (2, 4, 3, 3), {}),
    ("PReLU", {"shared_axes": [2, 1], "alpha_regularizer": "l2"}, (2, 3, 4, 2), {}),
    ("EinsumDense", {"equation": "...ab,bcd->...acd", "output_shape": (4, 2, 5),
                     "bias_axes": "d"}, (2, 2, 4, 3), {}),
    ("Dot", {"axes": (-1, 1), "normalize": True}, [(2, 3, 4), (2, 4, 5)], {}),
    ("Concatenate", {"axis": -2}, [(2, 1, 3), (2, 4, 3), (2, 2, 3)], {}),
    ("Average", {}, [(2, 3, 4), (2, 1, 4), (2, 4)], {}),
    ("LSTM", {"units": 3, "go_backwards": True, "return_sequences": True, "return_state": True,
              "zero_output_for_mask": True, "recurrent_activation": "hard_sigmoid"},
     (3, 4, 2), {"call": {"mask": MASK}, "symbolic": (None, 2)}),
    ("GRU", {"units": 3, "reset_after": False, "use_bias": False, "activation": None},
     (3, 4, 2), {"call": {"mask": MASK}}),
    ("SimpleRNN", {"units": 3, "activation": "relu", "go_backwards": True}, (3, 4, 2),
     {"call": {"mask": MASK}}),
    ("ConvLSTM2D", {"filters": 2, "kernel_size": (2, 3), "strides": 2, "padding": "same",
                    "return_state": True, **FIRST}, (2, 3, 2, 5, 4), {"symbolic": (3, 2, 5, 4)}),
    ("Attention", {"use_scale": True, "score_mode": "concat"}, [(2, 3, 4), (2, 5, 4)], {}),
    ("Resizing", {"height": 5, "width": 2, "pad_to_aspect_ratio": True, "fill_value": 5.0},
     (2, 3, 7, 1), {"gradients": False}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "shape", "more"),
    ROWS,
    ids=[f"{i}-{row[0]}" for i, row in enumerate(ROWS)],
)
def test_layer(name: str, arguments: dict[str, Any], shape: Any, more: dict[str, Any]) -> None:
    compare_layer(getattr(ours, name), arguments, shape, **more)


def test_batch_normalization_in_time_distributed_looks_at_each_step() -> None:
    compare_layer(
        lambda **a: ours.TimeDistributed(ours.BatchNormalization(), **a),
        {},
        (16, 3, 2),
        theirs=lambda **a: keras.layers.TimeDistributed(keras.layers.BatchNormalization(), **a),
        training=True,
    )


@pytest.mark.parametrize("name", ["MultiHeadAttention", "GroupQueryAttention"])
def test_a_query_mask_in_the_call(name: str) -> None:
    sizes = (2, 3) if name == "MultiHeadAttention" else (3, 2, 2)
    x, mask = torch.randn(3, 4, 5), torch.tensor(MASK)
    theirs, mine = (getattr(library, name)(*sizes) for library in (keras.layers, ours))
    theirs(x, x)
    mine(x, x)
    mine.set_weights(theirs.get_weights())
    expected = theirs(x, x, query_mask=mask, value_mask=mask)
    torch.testing.assert_close(mine(x, x, query_mask=mask, value_mask=mask), expected)


def test_a_mask_given_to_a_call_goes_on() -> None:
    x, mask = torch.randn(3, 4), torch.tensor(MASK)
    for library in (keras.layers, ours):
        assert torch.equal(library.Softmax()(x, mask=mask)._keras_mask, mask)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 2, 2)])
@pytest.mark.parametrize("from_logits", [True, False])
def test_labels_of_pixels(shape: tuple[int, ...], from_logits: bool) -> None:
    labels = torch.randint(0, shape[-1], shape[:-1])
    values, gradients = [], []
    for library in (keras.losses, losses):
        outputs = torch.rand(shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
        # In rows for Keras, whose own way ends in an error of torch's backward pass.
        rows = library is keras.losses
        given = (labels.flatten(), outputs.flatten(0, 2)) if rows else (labels, outputs)
        loss = library.SparseCategoricalCrossentropy(from_logits=from_logits)(*given)
        loss.backward()
        values.append(loss.detach())
        gradients.append(outputs.grad)
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", ["Adafactor", "Muon"])
def test_weights_that_lie_as_in_keras(name: str) -> None:
    """Adafactor works along Keras's last two axes, which an EinsumDense has last here too."""
    x = np.random.default_rng(0).normal(size=(8, 3, 4)).astype("float32")
    models = []
    for k in (keras, nnkit):
        inputs = k.Input((3, 4))
        y = k.layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3))(inputs)
        y = k.layers.EinsumDense("abde,def->abf", output_shape=(None, 4))(y)
        y = k.layers.Conv1D(5, 2, padding="same")(y)
        model = k.Model(inputs, y)
        model.compile(getattr(k.optimizers, name)(0.05), "mse")
        models.append(model)
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.fit(x, np.ones((8, 3, 5), "float32"), epochs=4, shuffle=False, verbose=0)
    for expected, own in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-3, atol=2e-4)
