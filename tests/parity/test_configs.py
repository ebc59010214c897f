"""get_config and from_config of every public class, key by key with Keras's."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import keras
import pytest

import nnkit
from nnkit.serialization import deserialize_keras_object, serialize_keras_object

# Keras's optimizers, in NumPy's words.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
Make = Callable[[Any], Any]


def row(*args: Any, **kwargs: Any) -> Make:
    """Make a class with these arguments."""
    return lambda kind: kind(*args, **kwargs)


PLAIN = row()
LAYERS: dict[str, list[Make]] = {
    "Activation": [row("tanh"), row("gelu")],
    "ActivityRegularization": [row(0.1)],
    "Add": [PLAIN],
    "AdditiveAttention": [PLAIN, row(dropout=0.2, seed=3)],
    "AlphaDropout": [row(0.3)],
    "Attention": [PLAIN, row(True, score_mode="dot", dropout=0.1)],
    "Average": [PLAIN],
    "BatchNormalization": [PLAIN, row(1, 0.9, gamma_regularizer="l2", scale=False)],
    "CategoryEncoding": [row(5, "one_hot")],
    "CenterCrop": [row(4, 5)],
    "Concatenate": [PLAIN, row(axis=1)],
    "Dense": [
        row(4, "relu"),
        row(3, kernel_regularizer="l2", kernel_constraint="max_norm", bias_initializer="ones"),
        row(3, activity_regularizer="l2", use_bias=False, trainable=False, dtype="float64"),
    ],
    "Discretization": [row([-1.0, 0.0, 1.0]), row(num_bins=4, epsilon=0.1)],
    "Dot": [row(-1), row((1, 2), True)],
    "Dropout": [row(0.3), row(0.3, (None, 1), 3)],
    "ELU": [PLAIN, row(0.5)],
    "EinsumDense": [row("abc,cd->abd", (None, 3)), row("ab,bc->ac", 4, "relu", "c")],
    "Embedding": [row(5, 3), row(5, 3, mask_zero=True, embeddings_regularizer="l1")],
    "Flatten": [PLAIN],
    "GRU": [row(3), row(3, return_state=True, reset_after=False, recurrent_dropout=0.1, seed=2)],
    "GRUCell": [row(3)],
    "GaussianDropout": [row(0.3)],
    "GaussianNoise": [row(0.3)],
    "GroupNormalization": [row(2)],
    "GroupQueryAttention": [row(3, 4, 2)],
    "Identity": [PLAIN],
    "InputLayer": [row((8,)), row(batch_shape=(2, None, 3), dtype="int32")],
    "LSTM": [row(3), row(3, return_sequences=True, dropout=0.2, kernel_regularizer="l2")],
    "LSTMCell": [row(3, unit_forget_bias=False)],
    "LayerNormalization": [PLAIN, row([1, 2], center=False)],
    "LeakyReLU": [PLAIN, row(0.1)],
    "Masking": [PLAIN, row(-1.0)],
    "Maximum": [PLAIN],
    "Minimum": [PLAIN],
    "MultiHeadAttention": [row(2, 3), row(2, 3, 4, 0.1, False, output_shape=5)],
    "Multiply": [PLAIN],
    "Normalization": [PLAIN, row(mean=1.0, variance=4.0), row(None, invert=True)],
    "PReLU": [PLAIN, row(shared_axes=[1])],
    "Permute": [row((2, 1))],
    "RMSNormalization": [PLAIN],
    "ReLU": [PLAIN, row(6.0, 0.1, 0.5)],
    "RepeatVector": [row(3)],
    "ReversibleEmbedding": [row(5, 3)],
    "Rescaling": [row(1 / 255), row([1.0, 2.0], 3.0)],
    "Reshape": [row((2, -1))],
    "Resizing": [row(4, 5, "nearest", crop_to_aspect_ratio=True)],
    "SimpleRNN": [row(3), row(3, "relu", stateful=True)],
    "SimpleRNNCell": [row(3)],
    "Softmax": [PLAIN, row([1, 2])],
    "Subtract": [PLAIN],
    "UnitNormalization": [PLAIN],
    "Bidirectional": [lambda kind: kind(home(kind).GRU(3, name="g"), merge_mode="sum")],
    "RNN": [
        lambda kind: kind(home(kind).GRUCell(3, name="a")),
        lambda kind: kind([home(kind).GRUCell(3, name="a"), home(kind).LSTMCell(2, name="b")]),
    ],
    "SpectralNormalization": [lambda kind: kind(home(kind).Dense(3, name="d"))],
    "StackedRNNCells": [
        lambda kind: kind([home(kind).SimpleRNNCell(3, name="a"), home(kind).GRUCell(2, name="b")])
    ],
    "TimeDistributed": [lambda kind: kind(home(kind).Dense(3, name="d"))],
}
LAYERS |= {
    **{
        f"Random{name}": [row(0.2)]
        for name in (
            "Brightness",
            "ColorDegeneration",
            "Contrast",
            "Hue",
            "Posterization",
            "Rotation",
            "Saturation",
            "Sharpness",
            "Zoom",
        )
    },
    "MaxNumBoundingBoxes": [row(3)],
    "Pipeline": [
        lambda kind: kind([home(kind).RandomFlip(name="f"), home(kind).Dense(2, name="d")])
    ],
    "RandomCrop": [row(4, 5)],
    "RandomPosterization": [row(3)],
    "RandomTranslation": [row(0.2, 0.3, "nearest")],
}
for rank in (1, 2, 3):
    LAYERS |= {
        f"Conv{rank}D": [row(4, 3), row(4, 3, 2, "same", activation="relu")],
        f"Conv{rank}DTranspose": [row(4, 3), row(4, 3, 2, "same")],
        f"ConvLSTM{rank}D": [row(2, 3)],
        f"UpSampling{rank}D": [PLAIN, row(3)],
        f"Cropping{rank}D": [PLAIN, row(1)],
        f"ZeroPadding{rank}D": [PLAIN, row(2)],
        f"SpatialDropout{rank}D": [row(0.3)],
    }
    for kind in ("Average", "Max"):
        LAYERS |= {
            f"{kind}Pooling{rank}D": [row(2), row(3, 2, "same")],
            f"Global{kind}Pooling{rank}D": [PLAIN, row(keepdims=True)],
            f"Adaptive{kind}Pooling{rank}D": [row(3)],
        }
for rank in (1, 2):
    LAYERS |= {
        f"DepthwiseConv{rank}D": [row(3), row(3, 2, "same", 2)],
        f"SeparableConv{rank}D": [row(4, 3)],
    }
OTHERS: dict[str, dict[str, list[Make]]] = {
    "initializers": {
        **{
            name: [PLAIN, row(seed=3)]
            for name in (
                "GlorotNormal",
                "GlorotUniform",
                "HeNormal",
                "HeUniform",
                "LecunNormal",
                "LecunUniform",
                "Orthogonal",
                "RandomNormal",
                "RandomUniform",
                "TruncatedNormal",
                "VarianceScaling",
            )
        },
        **{name: [PLAIN] for name in ("Constant", "Identity", "Ones", "Zeros")},
    },
    "regularizers": {name: [PLAIN] for name in ["L1", "L1L2", "L2", "OrthogonalRegularizer"]},
    "constraints": {name: [PLAIN] for name in ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"]},
    "losses": {},
    "metrics": {
        "BinaryIoU": [row([0], 0.3)],
        "IoU": [row(3, [0])],
        "MeanIoU": [row(3, ignore_class=1)],
        "MeanMetricWrapper": [
            lambda kind: kind(home(kind, "losses").mean_squared_error, name="own"),
        ],
        "OneHotIoU": [row(3, [1])],
        "OneHotMeanIoU": [row(3)],
        "Precision": [PLAIN, row([0.1, 0.5]), row(top_k=2, class_id=1)],
        "PrecisionAtRecall": [row(0.5)],
        "RecallAtPrecision": [row(0.5)],
        "SensitivityAtSpecificity": [row(0.5)],
        "SpecificityAtSensitivity": [row(0.5)],
    },
    "optimizers": {
        "Adam": [
            PLAIN,
            row(0.1, clipnorm=1.0, use_ema=True, gradient_accumulation_steps=3),
            lambda kind: kind(home(kind, "optimizers").schedules.CosineDecay(0.1, 10)),
        ],
        "LossScaleOptimizer": [lambda kind: kind(home(kind, "optimizers").Ftrl(name="f"))],
        "SGD": [PLAIN, row(0.1, 0.9, True, name="mine")],
    },
    "optimizers.schedules": {
        "CosineDecay": [row(0.1, 10, warmup_target=0.2, warmup_steps=3)],
        "CosineDecayRestarts": [row(0.1, 10)],
        "ExponentialDecay": [row(0.1, 10, 0.5, True)],
        "InverseTimeDecay": [row(0.1, 10, 0.5)],
        "PiecewiseConstantDecay": [row([1, 2], [0.1, 0.2, 0.3])],
        "PolynomialDecay": [row(0.1, 10)],
    },
}
# Nothing to write, or nothing that Keras can be asked without TensorFlow or with code of one's own.
LEFT_OUT = {
    "Constraint", "Hashing", "HashedCrossing", "Initializer", "InputSpec",
    "IntegerLookup", "MultiOptimizer", "OptimizerMap", "Lambda", "Layer",
    "LearningRateSchedule", "Loss", "Metric", "Optimizer", "Regularizer", "StringLookup",
    "TextVectorization", "TorchModuleWrapper", "Wrapper",
}  # fmt: skip
# Where nnkit writes something else on purpose: path of the key, and why.
EXCEPTIONS = {
    ("RandomCrop", "config.seed"): "Keras draws one; nnkit keeps None, so that each run differs",
    ("L1", "config.l1"): "Keras rounds the factor to float32",
    ("OrthogonalRegularizer", "config.factor"): "Keras rounds the factor to float32",
    ("Embedding", "config.embeddings_regularizer.config.l1"): "Keras rounds the factor to float32",
    ("Identity", "config.gain"): "Keras forgets the argument",
    ("CosineSimilarity", "config.axis"): "Keras forgets the argument",
    ("Huber", "config.delta"): "Keras forgets the argument",
    ("SparseCategoricalCrossentropy", "config.axis"): "Keras forgets the argument",
    ("SparseTopKCategoricalAccuracy", "config.from_sorted_ids"): "Keras forgets the argument",
}


def home(kind: Any, module: str = "layers") -> Any:
    """nnkit.layers for a class of nnkit, keras.layers for one of Keras."""
    return getattr(nnkit if kind.__module__.startswith("nnkit") else keras, module)


def found(package: Any, path: str) -> Any:
    for part in path.split("."):
        package = getattr(package, part)
    return package


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in dict.fromkeys([*theirs, *ours]):
            where = f"{path}.{key}" if path else key
            if key in theirs and key in ours:
                yield from differences(theirs[key], ours[key], where)
            else:
                yield where
    elif theirs != ours or type(theirs) is not type(ours):
        yield path


def written(package: Any, module: str, name: str, make: Make) -> dict[str, Any]:
    (keras.utils.clear_session if package is keras else nnkit.backend.clear_session)()
    serialize = getattr(getattr(package, "saving", None), "serialize_keras_object", None)
    serialize = serialize if package is keras else serialize_keras_object
    config = json.loads(json.dumps(serialize(make(found(package, f"{module}.{name}")))))
    if str(config["module"]).startswith("keras.src.backend"):
        # Keras's own name for this backend's version of an optimizer.
        config |= {"module": "keras.optimizers", "registered_name": None}
    return config


def rows() -> Iterator[Any]:
    tables = {"layers": LAYERS, **OTHERS}
    for module, table in tables.items():
        theirs, ours = found(keras, module), found(nnkit, module)
        names = [
            name
            for name in ours.__all__
            if inspect.isclass(getattr(ours, name)) and inspect.isclass(getattr(theirs, name, None))
        ]
        for name in names:
            own = getattr(theirs, name).__name__
            alias = own != name and hasattr(theirs, own) and name not in table
            if name in LEFT_OUT or alias:
                continue
            for number, make in enumerate(table.get(name, [PLAIN])):
                yield pytest.param(module, name, make, id=f"{module}.{name}-{number}")


@pytest.mark.parametrize(("module", "name", "make"), list(rows()))
def test_config(module: str, name: str, make: Make) -> None:
    theirs = written(keras, module, name, make)
    ours = written(nnkit, module, name, make)
    unlike = {path for path in differences(theirs, ours) if (name, path) not in EXCEPTIONS}
    assert not unlike, f"{unlike}: Keras wrote {theirs}, nnkit {ours}"
    again = deserialize_keras_object(theirs)
    assert type(again) is type(make(found(nnkit, f"{module}.{name}")))
    back = json.loads(json.dumps(serialize_keras_object(again)))
    unlike = {path for path in differences(theirs, back) if (name, path) not in EXCEPTIONS}
    assert not unlike, f"{unlike}: Keras wrote {theirs}, nnkit made {back} of it"


def test_every_table_row_is_used() -> None:
    used = {(param.values[0], param.values[1]) for param in rows()}
    tables = {"layers": LAYERS, **OTHERS}
    unused = [(m, n) for m, table in tables.items() for n in table if (m, n) not in used]
    assert not unused, f"Keras or nnkit has no such class: {unused}"


# Of layers that Keras makes only with TensorFlow: what its get_config writes, from its source.
LOOKUP = {
    "invert": False, "max_tokens": None, "num_oov_indices": 1, "mask_token": None,
    "output_mode": "int", "sparse": False, "pad_to_max_tokens": False, "idf_weights": None,
    "vocabulary_size": None, "oov_method": "floormod", "salt": None,
}  # fmt: skip
WITHOUT_TENSORFLOW: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("StringLookup", {}, {**LOOKUP, "vocabulary": None, "oov_token": "[UNK]", "encoding": "utf-8"}),
    (
        "IntegerLookup",
        {"vocabulary": [4, 2]},
        {
            **LOOKUP, "vocabulary": [4, 2], "oov_token": -1, "vocabulary_dtype": "int64",
            "vocabulary_size": 3,
        },
    ),
    (
        "TextVectorization",
        {"ngrams": 2},
        {
            "max_tokens": None, "standardize": "lower_and_strip_punctuation", "split": "whitespace",
            "ngrams": 2, "output_mode": "int", "output_sequence_length": None,
            "pad_to_max_tokens": False, "sparse": False, "ragged": False, "vocabulary": None,
            "idf_weights": None, "encoding": "utf-8", "vocabulary_size": 2,
        },
    ),
    (
        "Hashing",
        {"num_bins": 4},
        {
            "num_bins": 4, "mask_value": None, "salt": None, "output_mode": "int", "sparse": False,
        },
    ),
    ("HashedCrossing", {"num_bins": 4}, {"num_bins": 4, "output_mode": "int", "sparse": False}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "wanted"), WITHOUT_TENSORFLOW)
def test_config_of_text_layers(name: str, arguments: Any, wanted: Any) -> None:
    kind = getattr(nnkit.layers, name)
    config = kind(**arguments, name="x").get_config()
    base = {"name", "dtype"} if name == "HashedCrossing" else {"name", "trainable", "dtype"}
    assert {k: v for k, v in config.items() if k not in base} == wanted
    assert set(config) == base | set(wanted)
    assert kind.from_config(config).get_config() == config
