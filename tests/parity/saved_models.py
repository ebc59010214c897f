"""Models of every layer, made of the classes of either side, and what goes into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

RNG = np.random.default_rng(0)
Build = Callable[[Any, Any], Any]


def data(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def numbers(*shape: int) -> np.ndarray:
    return RNG.integers(0, 7, size=shape)


VEC, STEPS, IMAGE = data(3, 6), data(3, 5, 4), data(2, 8, 8, 3)
VOLUME, WORDS = data(2, 6, 6, 6, 2), numbers(3, 5)


def one(make: Callable[[Any], Any], x: np.ndarray, dtype: str = "float32") -> Any:
    """A functional model of one layer after an input."""

    def build(k: Any, layers: Any) -> Any:
        inputs = k.Input(x.shape[1:], dtype=dtype)
        return k.Model(inputs, make(layers)(inputs))

    return build, x


def chain(*layers: Any) -> Callable[[Any], Any]:
    """Layers one after the other."""

    def call(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return call


def two(make: Callable[[Any], Any], x: np.ndarray) -> Any:
    def build(k: Any, layers: Any) -> Any:
        inputs = [k.Input(x.shape[1:], name=name) for name in ("a", "b")]
        return k.Model(inputs, make(layers)(inputs))

    return build, [x, x[::-1].copy()]


def shared(k: Any, layers: Any) -> Any:
    a, b = k.Input((6,), name="a"), k.Input((6,), name="b")
    dense = layers.Dense(4, "tanh")
    return k.Model([a, b], [dense(a), layers.Add()([dense(a), dense(b)])])


def nested(k: Any, layers: Any) -> Any:
    inner_input = k.Input((6,))
    inner = k.Model(inner_input, layers.Dense(4)(inner_input), name="inner")
    stack = k.Sequential([k.Input((4,)), layers.Dense(3, "relu"), layers.Dense(2)], name="stack")
    inputs = k.Input((6,))
    return k.Model(inputs, layers.Concatenate()([stack(inner(inputs)), stack(inner(inputs * 2))]))


def operators(k: Any, layers: Any) -> Any:
    x = k.Input((6,))
    y = layers.Dense(6)(x)
    z = (x + y) * 2.0 - y / 3.0 + 1 - (-x)
    z = k.ops.concatenate([z[:, :3], k.ops.relu(z)[:, 2:]], axis=1)
    return k.Model(x, [k.ops.mean(z, axis=-1, keepdims=True), k.ops.softmax(z), abs(z) ** 2])


def dicts(k: Any, layers: Any) -> Any:
    inputs = {name: k.Input((6,), name=name) for name in ("a", "b")}
    return k.Model(inputs, {"sum": layers.Add()(list(inputs.values())), "first": inputs["a"] + 0})


def states(k: Any, layers: Any) -> Any:
    x = k.Input((5, 4))
    sequence, h, c = layers.LSTM(3, return_sequences=True, return_state=True)(x)
    return k.Model(x, layers.LSTM(3)(sequence, initial_state=[h, c]))


def masked(k: Any, layers: Any) -> Any:
    words = k.Input((5,), dtype="int32")
    x = layers.Embedding(8, 4, mask_zero=True)(words)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    return k.Model(words, layers.GRU(2)(layers.Dropout(0.3)(x)))


def attention(k: Any, layers: Any) -> Any:
    x = k.Input((5, 4))
    y = layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    return k.Model(x, layers.LayerNormalization()(layers.Add()([x, y])))


def residual(k: Any, layers: Any) -> Any:
    x = k.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    y = layers.Activation("relu")(layers.BatchNormalization()(y))
    y = layers.Add()([y, layers.Conv2D(4, 1)(x)])
    return k.Model(x, layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(y)))


def stack(k: Any, layers: Any) -> Any:
    return k.Sequential([
        k.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Flatten(), layers.Dropout(0.2), layers.Dense(3, kernel_regularizer="l2"),
    ])  # fmt: skip


def frozen(k: Any, layers: Any) -> Any:
    model = k.Sequential([k.Input((6,)), layers.Dense(4, name="first"), layers.Dense(2)])
    model.layers[0].trainable = False
    return model


def reversible(k: Any, layers: Any) -> Any:
    words = k.Input((5,), dtype="int32")
    embedding = layers.ReversibleEmbedding(8, 4)
    return k.Model(words, embedding(embedding(words), reverse=True))


MODELS: dict[str, Any] = {
    "shared": (shared, [VEC, VEC[::-1].copy()]),
    "nested": (nested, VEC),
    "operators": (operators, VEC),
    "dicts": (dicts, {"a": VEC, "b": VEC + 1}),
    "states": (states, STEPS),
    "masked": (masked, WORDS),
    "attention": (attention, STEPS),
    "residual": (residual, IMAGE),
    "stack": (stack, IMAGE),
    "frozen": (frozen, VEC),
    "Dense": one(lambda L: L.Dense(3, "gelu", kernel_constraint="unit_norm"), VEC),
    "Embedding": one(lambda L: L.Embedding(8, 3), WORDS, "int32"),
    "EinsumDense": one(lambda L: L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), STEPS),
    "PReLU": one(lambda L: L.PReLU(shared_axes=[1]), STEPS),
    "LeakyReLU": one(lambda L: L.LeakyReLU(0.1), VEC),
    "ReLU": one(lambda L: L.ReLU(3.0), VEC),
    "ELU": one(lambda L: L.ELU(), VEC),
    "Softmax": one(lambda L: L.Softmax(), VEC),
    "Activation": one(lambda L: L.Activation("swish"), VEC),
    "Masking": one(lambda L: L.Masking(), STEPS),
    "Identity": one(lambda L: L.Identity(), VEC),
    "BatchNormalization": one(lambda L: L.BatchNormalization(), STEPS),
    "LayerNormalization": one(lambda L: L.LayerNormalization(), STEPS),
    "GroupNormalization": one(lambda L: L.GroupNormalization(2), STEPS),
    "RMSNormalization": one(lambda L: L.RMSNormalization(), STEPS),
    "UnitNormalization": one(lambda L: L.UnitNormalization(), STEPS),
    "SpectralNormalization": one(lambda L: L.SpectralNormalization(L.Dense(3)), VEC),
    "SimpleRNN": one(lambda L: L.SimpleRNN(3), STEPS),
    "LSTM": one(lambda L: L.LSTM(3, return_sequences=True), STEPS),
    "GRU": one(lambda L: L.GRU(3, reset_after=False), STEPS),
    "RNN": one(lambda L: L.RNN([L.GRUCell(3), L.LSTMCell(2)]), STEPS),
    "Bidirectional": one(lambda L: L.Bidirectional(L.GRU(3), merge_mode="ave"), STEPS),
    "TimeDistributed": one(lambda L: L.TimeDistributed(L.Dense(3)), STEPS),
    "ConvLSTM1D": one(lambda L: L.ConvLSTM1D(2, 3), data(2, 3, 6, 2)),
    "ConvLSTM2D": one(lambda L: L.ConvLSTM2D(2, 3), data(2, 3, 6, 6, 2)),
    "Attention": two(lambda L: L.Attention(use_scale=True), STEPS),
    "AdditiveAttention": two(lambda L: L.AdditiveAttention(), STEPS),
    "Conv1D": one(lambda L: L.Conv1D(3, 3, padding="causal"), STEPS),
    "Conv2D": one(lambda L: L.Conv2D(3, 3, 2, "same"), IMAGE),
    "Conv3D": one(lambda L: L.Conv3D(3, 2), VOLUME),
    "Conv1DTranspose": one(lambda L: L.Conv1DTranspose(3, 3, 2), STEPS),
    "Conv2DTranspose": one(lambda L: L.Conv2DTranspose(3, 3, 2, "same"), IMAGE),
    "Conv3DTranspose": one(lambda L: L.Conv3DTranspose(3, 2), VOLUME),
    "DepthwiseConv1D": one(lambda L: L.DepthwiseConv1D(3), STEPS),
    "DepthwiseConv2D": one(lambda L: L.DepthwiseConv2D(3, depth_multiplier=2), IMAGE),
    "SeparableConv1D": one(lambda L: L.SeparableConv1D(3, 3), STEPS),
    "SeparableConv2D": one(lambda L: L.SeparableConv2D(3, 3), IMAGE),
    "MaxPooling1D": one(lambda L: L.MaxPooling1D(2), STEPS),
    "AveragePooling2D": one(lambda L: L.AveragePooling2D(3, 2, "same"), IMAGE),
    "GlobalMaxPooling1D": one(lambda L: L.GlobalMaxPooling1D(), STEPS),
    "GlobalAveragePooling3D": one(lambda L: L.GlobalAveragePooling3D(keepdims=True), VOLUME),
    "AdaptiveAveragePooling2D": one(lambda L: L.AdaptiveAveragePooling2D(3), IMAGE),
    "Flatten": one(lambda L: L.Flatten(), IMAGE),
    "Reshape": one(lambda L: L.Reshape((2, -1)), VEC),
    "Permute": one(lambda L: L.Permute((2, 1)), STEPS),
    "RepeatVector": one(lambda L: L.RepeatVector(3), VEC),
    "UpSampling2D": one(lambda L: L.UpSampling2D(2, interpolation="bilinear"), IMAGE),
    "ZeroPadding2D": one(lambda L: L.ZeroPadding2D(((1, 2), (0, 1))), IMAGE),
    "Cropping2D": one(lambda L: L.Cropping2D(1), IMAGE),
    "Dropout": one(lambda L: L.Dropout(0.3), VEC),
    "GaussianNoise": one(lambda L: L.GaussianNoise(0.3), VEC),
    "SpatialDropout1D": one(lambda L: L.SpatialDropout1D(0.3), STEPS),
    "ActivityRegularization": one(lambda L: L.ActivityRegularization(0.1), VEC),
    "Concatenate": two(lambda L: L.Concatenate(1), STEPS),
    "Dot": two(lambda L: L.Dot(-1), STEPS),
    "Subtract": two(lambda L: L.Subtract(), VEC),
    "Multiply": two(lambda L: L.Multiply(), VEC),
    "Average": two(lambda L: L.Average(), VEC),
    "Maximum": two(lambda L: L.Maximum(), VEC),
    "Minimum": two(lambda L: L.Minimum(), VEC),
    "Rescaling": one(lambda L: L.Rescaling(0.5, 1.0), IMAGE),
    "Resizing": one(lambda L: L.Resizing(4, 5), IMAGE),
    "CenterCrop": one(lambda L: L.CenterCrop(4, 4), IMAGE),
    "Normalization": one(lambda L: L.Normalization(mean=0.5, variance=4.0), VEC),
    "Discretization": one(lambda L: L.Discretization([-1.0, 0.0, 1.0]), VEC),
    "CategoryEncoding": one(lambda L: L.CategoryEncoding(8, "multi_hot"), WORDS, "int32"),
    "ConvLSTM3D": one(lambda L: L.ConvLSTM3D(2, 2), data(2, 2, 4, 4, 4, 1)),
    "Layers of volumes": one(
        lambda L: chain(
            L.ZeroPadding3D(1),
            L.Cropping3D(((1, 0), (0, 1), (0, 0))),
            L.UpSampling3D(2),
            L.MaxPooling3D(2),
            L.AveragePooling3D(2, 1),
            L.SpatialDropout3D(0.2),
            L.AdaptiveMaxPooling3D(3),
            L.AdaptiveAveragePooling3D(2),
            L.GlobalMaxPooling3D(),
        ),
        VOLUME,
    ),
    "Layers of images": one(
        lambda L: chain(
            L.MaxPooling2D(2, 1),
            L.SpatialDropout2D(0.2),
            L.AdaptiveMaxPooling2D(5),
            L.AlphaDropout(0.1),
            L.GaussianDropout(0.1),
            L.GlobalAveragePooling2D(keepdims=True),
            L.GlobalMaxPooling2D(),
        ),
        IMAGE,
    ),
    "Layers of sequences": one(
        lambda L: chain(
            L.ZeroPadding1D(2),
            L.Cropping1D(1),
            L.UpSampling1D(2),
            L.AveragePooling1D(2),
            L.AdaptiveMaxPooling1D(4),
            L.AdaptiveAveragePooling1D(3),
            L.GlobalAveragePooling1D(),
        ),
        STEPS,
    ),
    "GroupQueryAttention": two(
        lambda L: lambda x: L.GroupQueryAttention(4, 4, 2)(x[0], x[1]), STEPS
    ),
    "StackedRNNCells": one(lambda L: L.RNN(L.StackedRNNCells([L.SimpleRNNCell(2)])), STEPS),
    "Augmentation": one(
        lambda L: chain(
            L.RandomFlip("vertical"),
            L.RandomRotation(0.2),
            L.RandomZoom(0.3),
            L.RandomTranslation(0.1, 0.2),
            L.RandomContrast(0.1),
            L.RandomBrightness(0.1),
            L.RandomGrayscale(0.2),
            L.RandomPosterization(4),
            L.RandomInvert(0.1),
            L.RandomHue(0.1),
            L.RandomSaturation(0.1),
            L.RandomPerspective(0.1),
            L.RandomGaussianBlur(),
            L.RandomErasing(),
            L.Solarization(),
            L.RandomCrop(8, 8),  # of a smaller part, Keras cuts nothing out in predict
            L.RandomShear((0.0, 0.1), (0.0, 0.1)),  # Keras cannot read its own config of a number
            L.RandomSharpness(0.2),
            L.RandomColorDegeneration(0.2),
            L.RandomColorJitter((0, 255), 0.2),
            L.RandomElasticTransform(),
            L.RandAugment(),
            L.AugMix(),
            L.MixUp(),
            L.CutMix(),
            L.Pipeline([L.RandomFlip(), L.Rescaling(0.5)]),
        ),
        IMAGE,
    ),
    "Changes of all images": one(
        lambda L: chain(L.AutoContrast(), L.ContrastLimitedAdaptiveHistogramEqualization()),
        RNG.integers(0, 256, size=(2, 16, 16, 3)).astype("float32"),
    ),
    "InputLayer": (
        lambda k, layers: k.Sequential([layers.InputLayer((6,), name="start"), layers.Dense(2)]),
        VEC,
    ),
    "ReversibleEmbedding": (reversible, WORDS),
    "STFTSpectrogram": one(lambda L: L.STFTSpectrogram("log", 64, 16, 64), data(2, 320, 1)),
    "MelSpectrogram": one(
        lambda L: L.MelSpectrogram(128, 64, sampling_rate=4000, num_mel_bins=8), data(2, 640)
    ),
}
