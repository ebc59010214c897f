"""Every loss against real Keras: values in many configurations, and gradients."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from nnkit import losses
from nnkit.activations import keep_logits, sigmoid, softmax

N, C = 6, 4
rng = np.random.default_rng(3)


def softmaxed(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype("float32")


LOGITS = rng.normal(size=(N, C)).astype("float32") * 2
PROBS = softmaxed(LOGITS)
UNIT = (1 / (1 + np.exp(-LOGITS))).astype("float32")
LABELS = rng.integers(0, C, N)
ONE_HOT = np.eye(C, dtype="float32")[LABELS]
BITS = (rng.random((N, C)) < 0.4).astype("float32")
REAL = rng.normal(size=(N, C)).astype("float32")
POSITIVE = rng.random((N, C)).astype("float32") * 3
LENGTH_1 = REAL / np.linalg.norm(REAL, axis=-1, keepdims=True)

CASES: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray]] = [
    ("MeanSquaredError", {}, REAL, LOGITS),
    ("MeanAbsoluteError", {}, REAL, LOGITS),
    ("MeanAbsolutePercentageError", {}, BITS, LOGITS),
    ("MeanSquaredLogarithmicError", {}, POSITIVE, LOGITS),
    ("Huber", {}, REAL, LOGITS),
    ("Huber", {"delta": 0.3}, REAL, LOGITS),
    ("LogCosh", {}, REAL, LOGITS * 10),
    ("Poisson", {}, POSITIVE, PROBS),
    ("KLDivergence", {}, softmaxed(REAL), PROBS),
    ("Hinge", {}, BITS, LOGITS),
    ("Hinge", {}, 2 * BITS - 1, LOGITS),
    ("SquaredHinge", {}, BITS, LOGITS),
    ("CategoricalHinge", {}, ONE_HOT, LOGITS),
    ("CosineSimilarity", {}, REAL, LOGITS),
    ("CosineSimilarity", {"axis": 0}, REAL, LOGITS),
    ("CosineSimilarity", {}, np.zeros((N, C), "float32"), LOGITS),
    ("BinaryCrossentropy", {}, BITS, UNIT),
    ("BinaryCrossentropy", {}, BITS, BITS),
    ("BinaryCrossentropy", {"from_logits": True}, BITS, LOGITS),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, BITS, UNIT),
    ("BinaryCrossentropy", {"axis": 0, "from_logits": True}, BITS, LOGITS),
    ("BinaryFocalCrossentropy", {}, BITS, UNIT),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 1.0}, BITS, LOGITS),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "alpha": 0.7, "label_smoothing": 0.1},
        BITS,
        UNIT,
    ),
    ("CategoricalCrossentropy", {}, ONE_HOT, PROBS),
    ("CategoricalCrossentropy", {}, ONE_HOT, UNIT),
    ("CategoricalCrossentropy", {}, ONE_HOT, ONE_HOT[::-1].copy()),
    ("CategoricalCrossentropy", {"from_logits": True}, ONE_HOT, LOGITS),
    ("CategoricalCrossentropy", {"label_smoothing": 0.3}, ONE_HOT, PROBS),
    ("CategoricalCrossentropy", {"label_smoothing": 0.3, "from_logits": True}, ONE_HOT, LOGITS),
    ("CategoricalCrossentropy", {"axis": 0, "from_logits": True}, ONE_HOT, LOGITS),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, PROBS),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 1.0}, ONE_HOT, LOGITS),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.5, 1.0, 2.0]}, ONE_HOT, PROBS),
    ("CategoricalFocalCrossentropy", {"alpha": 0.6, "label_smoothing": 0.1}, ONE_HOT, PROBS),
    ("SparseCategoricalCrossentropy", {}, LABELS, PROBS),
    ("SparseCategoricalCrossentropy", {}, LABELS[:, None], UNIT),
    ("SparseCategoricalCrossentropy", {}, LABELS.astype("float64"), PROBS),
    ("SparseCategoricalCrossentropy", {}, LABELS.astype("uint8"), PROBS),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, LOGITS),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS[:, None], LOGITS),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, LABELS, PROBS),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": -1},
        np.where(LABELS == 2, -1, LABELS),
        PROBS,
    ),
    ("CategoricalGeneralizedCrossEntropy", {}, LABELS, PROBS),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.2}, LABELS, PROBS),
    ("Dice", {}, BITS, UNIT),
    ("Dice", {"axis": (1,)}, BITS, UNIT),
    ("Tversky", {}, BITS, UNIT),
    ("Tversky", {"alpha": 0.2, "beta": 0.9, "axis": 1}, BITS, UNIT),
    ("Circle", {}, LABELS, LENGTH_1),
    ("Circle", {"gamma": 8.0, "margin": 0.2, "remove_diagonal": False}, LABELS, LENGTH_1),
]
IDS = [f"{name}-{options}" for name, options, _, _ in CASES]
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None]
WHOLE_BATCH = {"Dice", "Tversky"}


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, rtol: float = 2e-6) -> None:
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=1e-7, equal_nan=False
    )


@pytest.mark.parametrize(("name", "options", "y_true", "y_pred"), CASES, ids=IDS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_values(
    name: str,
    options: dict[str, Any],
    y_true: np.ndarray,
    y_pred: np.ndarray,
    reduction: str | None,
    weighted: bool,
) -> None:
    ours = getattr(losses, name)(reduction=reduction, **options)
    theirs = getattr(keras.losses, name)(reduction=reduction, **options)
    weight = None
    if weighted:
        size = theirs.call(torch.tensor(y_true).float(), torch.tensor(y_pred)).shape
        if len(size) == 0:
            return
        weight = np.linspace(0, 2, size[0], dtype="float32")
    expected = theirs(y_true, y_pred, weight)
    assert_same(ours(y_true, y_pred, weight), expected)
    tensors = torch.tensor(y_true), torch.tensor(y_pred)
    assert_same(ours(*tensors, None if weight is None else torch.tensor(weight)), expected)


@pytest.mark.parametrize(("name", "options", "y_true", "y_pred"), CASES, ids=IDS)
def test_gradients(
    name: str, options: dict[str, Any], y_true: np.ndarray, y_pred: np.ndarray
) -> None:
    gradients = []
    for module in (losses, keras.losses):
        x = torch.tensor(y_pred, requires_grad=True)
        getattr(module, name)(**options)(torch.tensor(y_true), x).backward()
        gradients.append(x.grad)
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "options", "y_true", "y_pred"), CASES, ids=IDS)
def test_functions(
    name: str, options: dict[str, Any], y_true: np.ndarray, y_pred: np.ndarray
) -> None:
    function = getattr(keras.losses, name)().fn.__name__
    if name == "CategoricalGeneralizedCrossEntropy":
        options = {"q": 0.5, **options}
    expected = getattr(keras.losses, function)(y_true, torch.tensor(y_pred), **options)
    assert_same(getattr(losses, function)(y_true, torch.tensor(y_pred), **options), expected)


@pytest.mark.parametrize("name", sorted({case[0] for case in CASES} | {"CTC"}))
def test_names_and_configs(name: str) -> None:
    ours, theirs = getattr(losses, name)(), getattr(keras.losses, name)()
    assert (ours.name, ours.reduction, ours.dtype) == (theirs.name, theirs.reduction, theirs.dtype)
    assert theirs.get_config().items() <= ours.get_config().items()
    again = type(theirs).from_config(ours.get_config())
    assert again.name == ours.name
    assert type(ours).from_config(theirs.get_config()).get_config() == ours.get_config()


def test_all_of_keras_is_here() -> None:
    names = {n for n in dir(keras.losses) if not n.startswith("_")}
    assert names <= set(dir(losses))


MASKS = [np.array([1, 1, 0, 1, 0, 1], bool), np.zeros(N, bool)]


@pytest.mark.parametrize("mask", MASKS, ids=["some", "none"])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weight", [None, np.linspace(0, 2, N, dtype="float32")])
def test_masks(mask: np.ndarray, reduction: str, weight: np.ndarray | None) -> None:
    results = []
    for module in (losses, keras.losses):
        y_pred = torch.tensor(PROBS)
        y_pred._keras_mask = torch.tensor(mask)
        loss = module.SparseCategoricalCrossentropy(reduction=reduction, ignore_class=1)
        results.append(loss(torch.tensor(LABELS), y_pred, weight))
    assert_same(*results)


@pytest.mark.parametrize("weight_shape", [None, (3, 5)])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight"])
def test_masked_sequences(weight_shape: tuple[int, ...] | None, reduction: str) -> None:
    y = rng.integers(0, C, (3, 5))
    x = rng.normal(size=(3, 5, C)).astype("float32")
    mask = rng.random((3, 5)) < 0.6
    weight = None if weight_shape is None else rng.random(weight_shape).astype("float32")
    results = []
    for module in (losses, keras.losses):
        y_pred = torch.tensor(x)
        y_pred._keras_mask = torch.tensor(mask)
        loss = module.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
        results.append(loss(torch.tensor(y), y_pred, weight))
    assert_same(*results)


@pytest.mark.parametrize(
    ("true_shape", "pred_shape"),
    [((N,), (N, 1)), ((N, 1), (N,)), ((N, 3), (N, 3, 1)), ((N, 3, 1), (N, 3)), ((N,), (N,))],
)
@pytest.mark.parametrize("name", ["mean_squared_error", "binary_crossentropy", "huber", "hinge"])
def test_ranks(name: str, true_shape: tuple[int, ...], pred_shape: tuple[int, ...]) -> None:
    y_true = (rng.random(true_shape) < 0.5).astype("float32")
    y_pred = rng.random(pred_shape).astype("float32")
    theirs = keras.losses.Loss.__subclasses__()[0](getattr(keras.losses, name))
    ours = losses.as_loss(name)
    assert_same(ours(y_true, y_pred), theirs(y_true, y_pred))
    assert_same(ours(torch.tensor(y_true), torch.tensor(y_pred)), theirs(y_true, y_pred))


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool", "float64", "uint8"])
@pytest.mark.parametrize("name", ["BinaryCrossentropy", "MeanSquaredError", "Hinge"])
def test_label_dtypes(name: str, dtype: str) -> None:
    theirs = getattr(keras.losses, name)()(BITS.astype(dtype), UNIT)
    assert_same(getattr(losses, name)()(BITS.astype(dtype), UNIT), theirs)
    assert_same(
        getattr(losses, name)()(torch.tensor(BITS.astype(dtype)), torch.tensor(UNIT)), theirs
    )


@pytest.mark.parametrize("dtype", [None, "float64", "float16"])
def test_dtypes(dtype: str | None) -> None:
    x = LOGITS.astype("float64")
    for name in ("MeanSquaredError", "LogCosh"):
        # Keras's mean turns float64 back into float32 at the very end; its sum does not.
        theirs = getattr(keras.losses, name)(dtype=dtype, reduction="sum")(REAL, x)
        ours = getattr(losses, name)(dtype=dtype, reduction="sum")(REAL, x)
        assert_same(ours, theirs, rtol=2e-3 if dtype == "float16" else 1e-6)


def test_channels_first_and_images() -> None:
    y = rng.integers(0, C, (2, 3, 5))
    x = rng.normal(size=(2, C, 3, 5)).astype("float32")
    for options in ({}, {"ignore_class": 0}):
        name = "SparseCategoricalCrossentropy"
        ours = getattr(losses, name)(from_logits=True, axis=1, **options)
        theirs = getattr(keras.losses, name)(from_logits=True, axis=1, **options)
        assert_same(ours(y, x), theirs(y, x))
        last = np.moveaxis(x, 1, -1).copy()
        ours = getattr(losses, name)(from_logits=True, **options)
        theirs = getattr(keras.losses, name)(from_logits=True, **options)
        assert_same(ours(y, last), theirs(y, last))


def test_ctc() -> None:
    y = np.array([[1, 2, 0], [3, 1, 2]])
    x = rng.normal(size=(2, 7, C)).astype("float32")
    assert_same(losses.CTC()(y, x), keras.losses.CTC()(y, x))
    assert_same(losses.ctc(torch.tensor(y), torch.tensor(x)), keras.losses.ctc(y, x))


@pytest.mark.parametrize(
    ("kind", "name", "y_true"),
    [
        ("softmax", "SparseCategoricalCrossentropy", LABELS),
        ("softmax", "CategoricalCrossentropy", ONE_HOT),
        ("sigmoid", "BinaryCrossentropy", BITS),
    ],
)
@pytest.mark.parametrize("weight", [None, np.linspace(0, 2, N, dtype="float32")])
def test_folded_logits(kind: str, name: str, y_true: np.ndarray, weight: np.ndarray | None) -> None:
    """Outputs of an activation give the loss and the gradient that Keras has from_logits."""
    mine, keras_logits = (torch.tensor(LOGITS * 20, requires_grad=True) for _ in range(2))
    with keep_logits():
        probabilities = {"softmax": softmax, "sigmoid": sigmoid}[kind](mine)
    ours = getattr(losses, name)()(torch.tensor(y_true), probabilities, weight)
    theirs = getattr(keras.losses, name)(from_logits=True)(y_true, keras_logits, weight)
    assert_same(ours, theirs)
    ours.backward()
    theirs.backward()
    np.testing.assert_allclose(mine.grad, keras_logits.grad, rtol=1e-5, atol=1e-6)


def test_circle_with_references() -> None:
    refs = LENGTH_1[::-1].copy()
    labels = LABELS[::-1].copy()
    options = {"ref_labels": labels, "ref_embeddings": refs, "remove_diagonal": False}
    expected = keras.losses.circle(LABELS, LENGTH_1, **options)
    assert_same(losses.circle(LABELS, LENGTH_1, **options), expected)


def test_custom_losses() -> None:
    def cubic(y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(abs(y_true - y_pred) ** 3, axis=-1)

    class Ours(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return cubic(y_true, y_pred)

    class Theirs(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return cubic(y_true, y_pred)

    weight = np.linspace(0, 2, N)
    expected = Theirs()(REAL, LOGITS, weight)
    assert_same(Ours()(REAL, LOGITS, weight), expected)
    assert_same(losses.as_loss(cubic)(REAL, LOGITS, weight), expected)
