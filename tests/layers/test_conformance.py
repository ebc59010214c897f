"""Every public layer goes through check_layer; the table says with what, and what it cannot do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from nnkit import layers as L
from nnkit.testing import ConformanceError, check_layer


class Row(NamedTuple):
    """A layer, how it is made, the shape of its input, and the rest of check_layer's arguments."""

    kind: Any
    make: Callable[[], Any]
    shape: Any
    options: dict[str, Any]


def row(kind: Any, *args: Any, shape: Any, skip: Any = None, **options: Any) -> Row:
    """A row; an argument made by `fresh` is made anew for each layer."""
    given = options.pop("given", {})

    def make() -> Any:
        return kind(*(arg() if getattr(arg, "fresh", False) else arg for arg in args), **given)

    return Row(kind, make, shape, {"skip": skip, **options})


def fresh(make: Callable[[], Any]) -> Callable[[], Any]:
    make.fresh = True  # type: ignore[attr-defined]
    return make


def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def with_mask(layer: Any, x: Any) -> Any:
    return layer(x, mask=x > 0)


VEC, STEPS, IMAGE, VOLUME = (8,), (None, 4), (None, None, 3), (None, 6, 6, 2)
SMALL_IMAGE, SMALL_VOLUME = (6, 5, 4), (4, 3, 5, 2)
PAIR = [(6, 4), (6, 4)]


SAME_CODE = "the same code is traced for"
ON_SOME_CPUS = "torch.nn.LSTM itself refuses bfloat16 on CPUs without AVX-512"


def traced(name: str) -> dict[str, str]:
    """Tracing takes most of the time: a layer with the code of another leaves it to that one."""
    return dict.fromkeys(("compile", "export"), f"{SAME_CODE} {name}")


ROWS = [
    # core
    row(L.Dense, 4, "relu", shape=VEC),
    row(L.Activation, "tanh", shape=STEPS),
    row(L.Lambda, double, shape=VEC),
    row(L.Identity, shape=STEPS),
    row(L.Masking, shape=STEPS),
    row(L.Embedding, 5, 3, shape=(None,), input_dtype="int64", skip=traced("mask_zero")),
    row(L.Embedding, 5, 3, given={"mask_zero": True}, shape=(None,), input_dtype="int64"),
    row(L.TorchModuleWrapper, fresh(lambda: nn.Linear(8, 3)), shape=VEC),
    row(
        L.InputLayer, (8,), shape=VEC,
        skip={"uses": "a Sequential makes its Input itself", **traced("Identity")},
    ),
    # activation
    row(L.ELU, shape=VEC, skip=traced("ReLU")),
    row(L.LeakyReLU, shape=VEC, skip=traced("ReLU")),
    row(L.PReLU, given={"shared_axes": [1]}, shape=STEPS),
    row(L.ReLU, 6.0, 0.1, 0.5, shape=VEC),
    row(L.Softmax, shape=STEPS, skip={"masks": "its mask has the shape of the input, see below"}),
    row(L.Softmax, shape=VEC, call=with_mask),
    # convolution
    row(L.Conv1D, 4, 3, 1, "causal", shape=STEPS),
    row(L.Conv2D, 4, 3, 2, "same", shape=IMAGE),
    row(L.Conv3D, 2, 2, shape=VOLUME, skip=traced("Conv2D")),
    row(L.Conv1DTranspose, 4, 3, 2, shape=STEPS, skip=traced("Conv2DTranspose")),
    row(L.Conv2DTranspose, 4, 3, 2, "same", shape=IMAGE),
    row(L.Conv3DTranspose, 2, 2, shape=VOLUME, skip=traced("Conv2DTranspose")),
    row(L.DepthwiseConv1D, 3, 1, "valid", 2, shape=STEPS, skip=traced("DepthwiseConv2D")),
    row(L.DepthwiseConv2D, 3, 1, "same", 2, shape=IMAGE),
    row(L.SeparableConv1D, 4, 3, shape=STEPS, skip=traced("SeparableConv2D")),
    row(L.SeparableConv2D, 4, 3, 1, "same", shape=IMAGE),
    # pooling
    row(L.AveragePooling1D, 2, 2, "same", shape=STEPS, skip=traced("AveragePooling2D")),
    row(L.AveragePooling2D, 3, 2, "same", shape=IMAGE),
    row(L.AveragePooling3D, 2, shape=VOLUME, skip=traced("AveragePooling2D")),
    row(L.MaxPooling1D, 2, 2, "same", shape=STEPS, skip=traced("MaxPooling2D")),
    row(L.MaxPooling2D, 3, 2, "same", shape=IMAGE),
    row(L.MaxPooling3D, 2, shape=VOLUME, skip=traced("MaxPooling2D")),
    row(L.GlobalAveragePooling1D, shape=STEPS),
    row(L.GlobalAveragePooling2D, shape=IMAGE),
    row(L.GlobalAveragePooling3D, shape=VOLUME, skip=traced("GlobalAveragePooling2D")),
    row(L.GlobalMaxPooling1D, shape=STEPS, skip=traced("GlobalMaxPooling2D")),
    row(L.GlobalMaxPooling2D, shape=IMAGE),
    row(L.GlobalMaxPooling3D, shape=VOLUME, skip=traced("GlobalMaxPooling2D")),
    # recurrent
    row(L.SimpleRNN, 3, given={"return_sequences": True}, shape=STEPS),
    row(L.GRU, 3, given={"return_state": True}, shape=STEPS),
    row(
        L.LSTM, 3, given={"return_sequences": True}, shape=STEPS,
        skip={"autocast": ON_SOME_CPUS},
    ),
    row(
        L.LSTM, 3, given={"stateful": True}, shape=(5, 4), batch_size=2,
        skip={
            "autocast": ON_SOME_CPUS,
            "modes": "a second call goes on from the states of the first",
            **traced("LSTM above"),
        },
    ),
    row(
        L.Bidirectional, fresh(lambda: L.GRU(3, return_sequences=True)), shape=STEPS,
        skip=traced("GRU"),
    ),
    row(L.TimeDistributed, fresh(lambda: L.Dense(3)), shape=STEPS),
    # normalization
    row(L.BatchNormalization, shape=STEPS),
    row(L.GroupNormalization, 2, shape=SMALL_IMAGE),
    row(L.LayerNormalization, shape=STEPS),
    row(L.RMSNormalization, shape=STEPS),
    row(L.UnitNormalization, shape=STEPS),
    # regularization
    row(
        L.ActivityRegularization, 0.1, shape=STEPS,
    ),
    row(L.AlphaDropout, 0.3, shape=STEPS, skip=traced("Dropout")),
    row(L.Dropout, 0.3, None, 1, shape=STEPS),
    row(L.GaussianDropout, 0.3, shape=STEPS, skip=traced("Dropout")),
    row(L.GaussianNoise, 0.3, shape=STEPS, skip=traced("Dropout")),
    row(L.SpatialDropout1D, 0.3, shape=STEPS, skip=traced("Dropout")),
    row(L.SpatialDropout2D, 0.3, shape=IMAGE, skip=traced("Dropout")),
    row(L.SpatialDropout3D, 0.3, shape=VOLUME, skip=traced("Dropout")),
    # merging
    row(L.Add, shape=PAIR),
    row(L.Average, shape=PAIR, skip=traced("Add")),
    row(L.Concatenate, 1, shape=PAIR),
    row(L.Dot, -1, shape=PAIR),
    row(L.Maximum, shape=PAIR, skip=traced("Add")),
    row(L.Minimum, shape=PAIR, skip=traced("Add")),
    row(L.Multiply, shape=PAIR, skip=traced("Add")),
    row(L.Subtract, shape=PAIR, skip=traced("Add")),
    # reshaping
    row(L.Cropping1D, shape=STEPS),
    row(L.Cropping2D, 1, shape=IMAGE, skip=traced("Cropping1D")),
    row(L.Cropping3D, 1, shape=VOLUME, skip=traced("Cropping1D")),
    row(L.Flatten, shape=IMAGE),
    row(L.Permute, (2, 1), shape=STEPS),
    row(L.RepeatVector, 3, shape=VEC),
    row(L.Reshape, (2, -1), shape=STEPS),
    row(L.UpSampling1D, shape=STEPS),
    row(L.UpSampling2D, 2, None, "bilinear", shape=IMAGE),
    row(L.UpSampling3D, shape=SMALL_VOLUME, skip=traced("UpSampling1D")),
    row(L.ZeroPadding1D, shape=STEPS),
    row(L.ZeroPadding2D, shape=IMAGE, skip=traced("ZeroPadding1D")),
    row(L.ZeroPadding3D, shape=SMALL_VOLUME, skip=traced("ZeroPadding1D")),
    # preprocessing
    row(L.Rescaling, 1 / 255, shape=IMAGE),
    row(L.AdaptiveAveragePooling1D, 3, shape=STEPS),
    row(L.AdaptiveAveragePooling2D, 3, shape=IMAGE),
    row(L.AdaptiveAveragePooling3D, 3, shape=VOLUME, skip=traced("AdaptiveAveragePooling2D")),
    row(L.AdaptiveMaxPooling1D, 3, shape=STEPS, skip=traced("AdaptiveMaxPooling2D")),
    row(L.AdaptiveMaxPooling2D, 3, shape=IMAGE),
    row(L.AdaptiveMaxPooling3D, 3, shape=VOLUME, skip=traced("AdaptiveMaxPooling2D")),
    row(L.AdditiveAttention, shape=[(5, 4), (None, 4)]),
    row(L.Attention, True, shape=[(5, 4), (None, 4)]),
    row(
        L.MultiHeadAttention, 2, 3, shape=[(5, 4), (None, 4)],
        call=lambda layer, query, value: layer(query, value),
    ),
    row(
        L.GroupQueryAttention, 3, 4, 2, shape=[(5, 4), (None, 4)],
        call=lambda layer, query, value: layer(query, value),
    ),
    row(L.SimpleRNNCell, 3, shape=[(4,), (3,)], call=lambda layer, x, h: layer(x, [h])),
    row(L.GRUCell, 3, shape=[(4,), (3,)], call=lambda layer, x, h: layer(x, [h])),
    row(L.LSTMCell, 3, shape=[(4,), (3,), (3,)], call=lambda layer, x, h, c: layer(x, [h, c])),
    row(
        L.StackedRNNCells, fresh(lambda: [L.SimpleRNNCell(3), L.GRUCell(2)]),
        shape=[(4,), (3,), (2,)], call=lambda layer, x, h, g: layer(x, [h, g]),
    ),
    row(L.RNN, fresh(lambda: L.GRUCell(3)), shape=(5, 4)),
    row(L.ConvLSTM1D, 2, 3, shape=(3, 6, 2)),
    row(L.ConvLSTM2D, 2, 3, shape=(3, 6, 6, 2)),
    row(L.ConvLSTM3D, 2, 2, shape=(2, 4, 4, 4, 1), skip=traced("ConvLSTM2D")),
    row(L.EinsumDense, "abc,cd->abd", (None, 3), shape=STEPS),
    row(L.SpectralNormalization, fresh(lambda: L.Dense(3)), shape=VEC),
    # preprocessing
    row(L.CategoryEncoding, 5, shape=(6,), input_dtype="int64"),
    row(L.Discretization, [-1.0, 0.0, 1.0], shape=(6,)),
    row(
        L.Hashing, 4, shape=(6,), input_dtype="int64",
        skip=dict.fromkeys(("compile", "export"), "hashes in NumPy"),
    ),
    row(
        L.HashedCrossing, 4, shape=[(1,), (1,)], input_dtype="int64",
        skip={
            "export": "hashes in NumPy",
            "uses": "a subclassed model builds on floats, which it refuses",
        },
    ),
    row(L.IntegerLookup, given={"vocabulary": [1, 2, 3]}, shape=(6,), input_dtype="int64"),
    row(L.Normalization, -1, 1.0, 4.0, shape=STEPS),
    row(L.CenterCrop, 4, 4, shape=(8, 8, 3)),
    row(L.Resizing, 4, 5, shape=IMAGE),
    # augmentation
    row(L.RandomRotation, 0.1, shape=IMAGE),
    row(L.RandomTranslation, 0.1, 0.2, shape=IMAGE),
    row(L.RandomShear, 0.1, 0.2, shape=IMAGE),
    row(L.RandomZoom, 0.1, shape=IMAGE),
    row(L.RandomPerspective, shape=IMAGE),
    row(L.RandomElasticTransform, shape=IMAGE),
    row(L.RandomFlip, shape=IMAGE),
    row(L.RandomCrop, 4, 5, shape=IMAGE),
    row(L.RandomContrast, 0.5, shape=IMAGE),
    row(L.RandomBrightness, 0.5, shape=IMAGE),
    row(L.RandomSaturation, 0.5, shape=IMAGE),
    row(L.RandomHue, 0.5, shape=IMAGE),
    row(L.RandomGrayscale, shape=IMAGE),
    row(L.RandomColorDegeneration, 0.5, shape=IMAGE),
    row(L.RandomColorJitter, (0, 255), 0.1, 0.1, 0.1, 0.1, shape=IMAGE),
    row(L.RandomSharpness, 0.5, shape=IMAGE),
    row(L.RandomGaussianBlur, shape=IMAGE),
    row(L.RandomPosterization, 4, shape=IMAGE),
    row(L.RandomInvert, shape=IMAGE),
    row(L.RandomErasing, shape=IMAGE),
    row(L.Solarization, 0.1, 0.5, shape=IMAGE),
    row(L.AutoContrast, shape=IMAGE),
    row(L.Equalization, shape=IMAGE),
    row(L.ContrastLimitedAdaptiveHistogramEqualization, shape=IMAGE),
    row(L.MixUp, shape=IMAGE),
    row(L.CutMix, shape=IMAGE),
    row(L.AugMix, shape=IMAGE),
    row(L.RandAugment, shape=IMAGE),
    row(L.MaxNumBoundingBoxes, 3, shape=IMAGE),
    row(L.Pipeline, fresh(lambda: [L.RandomFlip(), L.RandomContrast(0.1)]), shape=IMAGE),
    row(L.STFTSpectrogram, "log", 4, shape=(None, 2)),
    row(L.MelSpectrogram, 8, 4, shape=(24,)),
    row(L.ReversibleEmbedding, 9, 4, shape=(None,), input_dtype="int64"),
    row(
        L.TorchVisionTransform,
        fresh(lambda: v2.RandomInvert()),
        shape=IMAGE,
        skip=dict.fromkeys(("config", "names"), "a config cannot make torchvision's transforms"),
    ),
]  # fmt: skip

# Public classes that are not layers to be used as they are.
BASES = {
    L.Layer: "the base of all",
    L.BaseImagePreprocessingLayer: "the base of all augmentation",
    L.Wrapper: "the base of layers around a layer",
    L.StringLookup: "takes words, which are no tensors",
    L.TextVectorization: "takes words, which are no tensors",
}


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.kind.__name__)
def test_layer_has_all_properties(case: Row) -> None:
    check_layer(case.make, case.shape, **case.options)


EXEMPT = [
    (case, name)
    for case in ROWS
    for name, reason in (case.options["skip"] or {}).items()
    if reason != ON_SOME_CPUS and not reason.startswith(SAME_CODE)
]


@pytest.mark.parametrize(
    ("case", "name"), EXEMPT, ids=[f"{case.kind.__name__}-{name}" for case, name in EXEMPT]
)
def test_nothing_is_skipped_that_would_pass(case: Row, name: str) -> None:
    """When this fails the layer has become better: take the property out of its row's skip."""
    skip = {key: reason for key, reason in case.options["skip"].items() if key != name}
    with pytest.raises(ConformanceError) as caught:
        check_layer(case.make, case.shape, **{**case.options, "skip": skip})
    assert caught.value.property == name


def test_every_public_layer_has_a_row() -> None:
    public = {name: getattr(L, name) for name in L.__all__}
    kinds = {case.kind for case in ROWS} | set(BASES)
    missing = [
        name
        for name, kind in public.items()
        if inspect.isclass(kind) and issubclass(kind, L.Layer) and kind not in kinds
    ]
    assert not missing, f"Give these a row in {__file__}: {', '.join(missing)}"
