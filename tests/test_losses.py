"""Losses: bare torch as the oracle, the short paths, torch's own losses, and every error."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnkit import losses, naming
from nnkit.activations import keep_logits, sigmoid, softmax
from nnkit.errors import ArgumentError, DataError, ShapeError

torch.manual_seed(1)
LOGITS = torch.randn(6, 4) * 3
LABELS = torch.tensor([0, 3, 2, 1, 1, 0])
ONE_HOT = F.one_hot(LABELS, 4).float()
BITS = (torch.rand(6, 4) < 0.5).float()


def folded(activation: Any, x: torch.Tensor) -> torch.Tensor:
    with keep_logits():
        return activation(x)


FUSED: list[tuple[Any, Any, Any, torch.Tensor]] = [
    (losses.MeanSquaredError(), BITS, LOGITS, F.mse_loss(LOGITS, BITS)),
    (losses.MeanSquaredError(), BITS[:, 0], LOGITS[:, :1], F.mse_loss(LOGITS[:, 0], BITS[:, 0])),
    (losses.MeanAbsoluteError(), BITS.int(), LOGITS, F.l1_loss(LOGITS, BITS)),
    (
        losses.BinaryCrossentropy(from_logits=True),
        BITS[:, 0],
        LOGITS[:, :1],
        F.binary_cross_entropy_with_logits(LOGITS[:, 0], BITS[:, 0]),
    ),
    (
        losses.BinaryCrossentropy(),
        BITS,
        folded(sigmoid, LOGITS * 30),
        F.binary_cross_entropy_with_logits(LOGITS * 30, BITS),
    ),
    (
        losses.BinaryCrossentropy(),
        BITS,
        LOGITS.sigmoid(),
        F.binary_cross_entropy(LOGITS.sigmoid(), BITS),
    ),
    (
        losses.CategoricalCrossentropy(from_logits=True),
        ONE_HOT,
        LOGITS,
        F.cross_entropy(LOGITS, LABELS),
    ),
    (
        losses.CategoricalCrossentropy(label_smoothing=0.2),
        ONE_HOT.int(),
        folded(softmax, LOGITS * 30),
        F.cross_entropy(LOGITS * 30, LABELS, label_smoothing=0.2),
    ),
    (
        losses.SparseCategoricalCrossentropy(),
        LABELS,
        folded(softmax, LOGITS * 30),
        F.cross_entropy(LOGITS * 30, LABELS),
    ),
    (
        losses.SparseCategoricalCrossentropy(from_logits=True),
        LABELS.int().unsqueeze(1),
        LOGITS,
        F.cross_entropy(LOGITS, LABELS),
    ),
]


@pytest.mark.parametrize(("loss", "y_true", "y_pred", "expected"), FUSED)
def test_the_short_path(loss: Any, y_true: Any, y_pred: Any, expected: torch.Tensor) -> None:
    short = loss._fused_mean(y_true, y_pred)
    assert short is not None
    torch.testing.assert_close(short, expected)
    values = loss(y_true, y_pred, torch.ones(6))
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred"),
    [
        (losses.MeanSquaredError(dtype="float64"), BITS, LOGITS),
        (losses.MeanSquaredError(), BITS.numpy(), LOGITS),
        (losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2), LABELS, LOGITS),
        (losses.SparseCategoricalCrossentropy(), LABELS, LOGITS.softmax(-1)),
        (losses.CategoricalCrossentropy(axis=0, from_logits=True), ONE_HOT, LOGITS),
    ],
)
def test_no_short_path_where_it_would_be_wrong(loss: Any, y_true: Any, y_pred: Any) -> None:
    assert loss._fused_mean(y_true, y_pred) is None


def test_a_subclass_with_its_own_formula_does_not_take_the_short_path() -> None:
    class Doubled(losses.MeanSquaredError):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return 2 * super().call(y_true, y_pred)

    torch.testing.assert_close(Doubled()(BITS, LOGITS), 2 * F.mse_loss(LOGITS, BITS))


def test_a_changed_reduction_is_honoured() -> None:
    loss = losses.MeanSquaredError()
    loss.reduction = "sum"
    torch.testing.assert_close(loss(BITS, LOGITS), (LOGITS - BITS).square().mean(-1).sum())


def test_logits_survive_a_change_of_dtype_and_rank() -> None:
    half = folded(sigmoid, LOGITS[:, :1].double() * 40)
    expected = F.binary_cross_entropy_with_logits(LOGITS[:, 0] * 40, BITS[:, 0])
    torch.testing.assert_close(losses.BinaryCrossentropy()(BITS[:, 0], half), expected)
    sequence = folded(sigmoid, LOGITS.unsqueeze(-1) * 40)
    expected = F.binary_cross_entropy_with_logits(LOGITS * 40, BITS)
    torch.testing.assert_close(losses.BinaryCrossentropy()(BITS, sequence), expected)


def test_the_wrong_kind_of_logits_is_not_used() -> None:
    probabilities = folded(softmax, LOGITS)
    expected = F.binary_cross_entropy(LOGITS.softmax(-1), BITS)
    torch.testing.assert_close(losses.BinaryCrossentropy()(BITS, probabilities), expected)


def test_large_labels_stay_exact() -> None:
    label = 2**24 + 1
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    assert loss._targets(torch.tensor([label]), LOGITS).item() == label


def test_binary_loss_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = losses.BinaryCrossentropy()(BITS, LOGITS.sigmoid())
    torch.testing.assert_close(value, F.binary_cross_entropy(LOGITS.sigmoid(), BITS))


@pytest.mark.parametrize(
    "loss", [losses.MeanSquaredError(), losses.SparseCategoricalCrossentropy()]
)
def test_compiled(loss: Any) -> None:
    torch.compiler.reset()
    y = LABELS if "sparse" in loss.name else BITS
    compiled = torch.compile(lambda a, b: loss(a, b), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(y, LOGITS.softmax(-1)), loss(y, LOGITS.softmax(-1)))


def test_one_weight_per_sample_of_a_sequence() -> None:
    y, x = torch.rand(3, 3, 2), torch.rand(3, 3, 2)
    weight = torch.tensor([0.0, 1, 2])
    expected = ((x - y).square().mean(-1) * weight[:, None]).mean()
    torch.testing.assert_close(losses.MeanSquaredError()(y, x, weight), expected)


def test_masks_with_one_weight_per_sample() -> None:
    y, x = torch.rand(3, 4, 2), torch.rand(3, 4, 2)
    x._keras_mask = torch.arange(4).expand(3, 4) < torch.tensor([[1], [4], [2]])
    weight = torch.tensor([0.5, 1, 2])
    values = (x - y).square().mean(-1) * weight[:, None]
    expected = values[x._keras_mask].mean()
    torch.testing.assert_close(losses.MeanSquaredError()(y, x, weight), expected)


def test_a_mask_leaves_a_whole_batch_loss_alone() -> None:
    x = LOGITS.sigmoid()
    plain = losses.Dice()(BITS, x)
    x._keras_mask = torch.arange(6) < 2
    torch.testing.assert_close(losses.Dice()(BITS, x), plain)


def test_dict_and_tuple_outputs() -> None:
    class Both(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            assert y_pred["b"][0].dtype == torch.float32
            return (y_pred["a"] - y_true["a"]).square().mean(-1)

    y_pred = {"a": LOGITS, "b": (LOGITS.double(),)}
    value = Both()({"a": BITS.numpy(), "b": (BITS,)}, y_pred)
    torch.testing.assert_close(value, F.mse_loss(LOGITS, BITS))


def test_lists_and_read_only_arrays() -> None:
    assert losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]]).item() == 2.5
    array = np.ones((2, 2), "float32")
    array.flags.writeable = False
    assert losses.MeanSquaredError()(array, array[:, ::-1] * 3).item() == 4


def test_default_names_are_counted() -> None:
    class MyLoss(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return y_pred - y_true

    naming.clear()
    assert [MyLoss().name, MyLoss().name] == ["my_loss", "my_loss_1"]


# ---- get ----


@pytest.mark.parametrize(
    ("identifier", "kind", "name"),
    [
        ("mse", losses.MeanSquaredError, "mse"),
        ("MSE", losses.MeanSquaredError, "MSE"),
        ("mean_squared_error", losses.MeanSquaredError, "mean_squared_error"),
        ("MeanSquaredError", losses.MeanSquaredError, "mean_squared_error"),
        ("bce", losses.BinaryCrossentropy, "bce"),
        ("kld", losses.KLDivergence, "kld"),
        ("Huber", losses.Huber, "huber_loss"),
        ("huber", losses.Huber, "huber"),
        (losses.mean_absolute_error, losses.MeanAbsoluteError, "mean_absolute_error"),
        (losses.Hinge, losses.Hinge, "hinge"),
        (nn.MSELoss, losses.TorchLoss, "mse_loss"),
        (nn.CrossEntropyLoss(), losses.TorchLoss, "cross_entropy_loss"),
        (F.smooth_l1_loss, losses.TorchLoss, "smooth_l1_loss"),
        (functools.partial(F.huber_loss, delta=2.0), losses.TorchLoss, "huber_loss"),
        ({"class_name": "Huber", "config": {"delta": 3.0}}, losses.Huber, "huber_loss"),
    ],
)
def test_as_loss(identifier: Any, kind: type, name: str) -> None:
    found = losses.as_loss(identifier)
    assert (type(found), found.name) == (kind, name)


def test_get_gives_what_keras_does() -> None:
    """A function of single losses for a function's name."""
    truth, outputs = torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[2.0, 4], [3, 3]])
    assert losses.get("mse") is losses.get("mean_squared_error") is losses.mean_squared_error
    assert losses.get("mse")(truth, outputs).tolist() == [2.5, 0.5]
    assert losses.get("MeanSquaredError")(truth, outputs).item() == 1.5
    assert losses.get(losses.huber) is losses.huber
    assert isinstance(losses.get(F.mse_loss), losses.TorchLoss)
    with pytest.raises(ArgumentError, match=r"Unknown loss 'mze'\. Did you mean 'mse'"):
        losses.get("mze")
    with pytest.raises(ArgumentError, match="Cannot use 3 as a loss"):
        losses.get(3)


def test_as_loss_of_the_rest() -> None:
    loss = losses.Huber(delta=2.0)
    assert losses.as_loss(loss) is loss
    assert losses.as_loss(None) is None

    def own_loss(y_true: Any, y_pred: Any) -> Any:
        return (y_true - y_pred).abs().mean(-1)

    assert losses.as_loss(own_loss).name == "own_loss"
    torch.testing.assert_close(losses.as_loss(own_loss)(BITS, LOGITS), F.l1_loss(LOGITS, BITS))


@pytest.mark.parametrize(
    ("identifier", "message"),
    [("mean_sqared_error", "Did you mean 'mean_squared_error'"), (3, "Cannot use 3 as a loss")],
)
def test_as_loss_of_nothing(identifier: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        losses.as_loss(identifier)


@pytest.mark.parametrize("name", losses.REGISTRY.names())
def test_everything_registered_can_be_had_by_name(name: str) -> None:
    needs_arguments = {"TorchLoss": TypeError, "LossFunctionWrapper": TypeError}
    if name in needs_arguments:
        with pytest.raises(needs_arguments[name], match="missing 1 required positional"):
            losses.as_loss(name)
    else:
        assert isinstance(losses.as_loss(name), losses.Loss)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "kind"),
    [
        ((6, 1), (6, 1), losses.BinaryCrossentropy),
        ((6,), (6, 4), losses.SparseCategoricalCrossentropy),
        ((6, 1), (6, 4), losses.SparseCategoricalCrossentropy),
        ((6, 4), (6, 4), losses.CategoricalCrossentropy),
    ],
)
def test_resolve(y_true: tuple[int, ...], y_pred: tuple[int, ...], kind: type) -> None:
    found = losses.resolve("crossentropy", y_true, y_pred)
    assert (type(found), found.name) == (kind, "crossentropy")
    assert type(losses.resolve("mse", y_true, y_pred)) is losses.MeanSquaredError


@pytest.mark.parametrize(
    "loss",
    [
        losses.Huber(delta=2.0, name="mine", reduction="sum"),
        losses.SparseCategoricalCrossentropy(axis=1, ignore_class=3),
        losses.as_loss(nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, 3, 4]), ignore_index=2)),
        losses.as_loss(functools.partial(F.huber_loss, delta=0.5)),
        losses.LossFunctionWrapper(losses.huber, delta=0.2),
    ],
)
def test_configs_make_the_same_loss(loss: Any) -> None:
    again = losses.deserialize(losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert repr(again) == repr(loss)
    name = loss.get_config().get("loss", "")
    y = LABELS if "sparse" in loss.name or "Cross" in name else BITS
    torch.testing.assert_close(again(y, LOGITS.softmax(-1)), loss(y, LOGITS.softmax(-1)))


# ---- torch's losses ----


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "expected"),
    [
        (nn.MSELoss(), BITS, LOGITS, F.mse_loss(LOGITS, BITS)),
        (
            nn.MSELoss(reduction="sum"),
            BITS[:, 0],
            LOGITS[:, :1],
            (LOGITS - BITS)[:, 0].square().sum(),
        ),
        (F.l1_loss, BITS.numpy(), LOGITS, F.l1_loss(LOGITS, BITS)),
        (
            nn.BCEWithLogitsLoss(),
            BITS.long(),
            LOGITS,
            F.binary_cross_entropy_with_logits(LOGITS, BITS),
        ),
        (nn.CrossEntropyLoss(), LABELS.float()[:, None], LOGITS, F.cross_entropy(LOGITS, LABELS)),
        (F.cross_entropy, LABELS.int(), LOGITS, F.cross_entropy(LOGITS, LABELS)),
        (nn.CrossEntropyLoss(), ONE_HOT, LOGITS, F.cross_entropy(LOGITS, ONE_HOT)),
        (nn.NLLLoss(), LABELS, LOGITS.log_softmax(-1), F.cross_entropy(LOGITS, LABELS)),
        (
            nn.CrossEntropyLoss(),
            LABELS.reshape(2, 3),
            LOGITS.reshape(2, 3, 4),
            F.cross_entropy(LOGITS, LABELS),
        ),
        (
            nn.CrossEntropyLoss(),
            ONE_HOT.reshape(2, 3, 4),
            LOGITS.reshape(2, 3, 4),
            F.cross_entropy(LOGITS, LABELS),
        ),
        (
            nn.MultiLabelMarginLoss(),
            torch.tensor([[0.0, -1, -1, -1]] * 6),
            LOGITS,
            F.multilabel_margin_loss(LOGITS, torch.tensor([[0, -1, -1, -1]] * 6)),
        ),
    ],
)
def test_torch_losses(loss: Any, y_true: Any, y_pred: Any, expected: torch.Tensor) -> None:
    torch.testing.assert_close(losses.as_loss(loss)(y_true, y_pred), expected)


def test_torch_losses_with_weights_and_masks() -> None:
    weight = torch.tensor([0.0, 1, 2, 0, 1, 1])
    values = F.cross_entropy(LOGITS, LABELS, reduction="none")
    loss = losses.as_loss(nn.CrossEntropyLoss())
    torch.testing.assert_close(loss(LABELS, LOGITS, weight), (values * weight).mean())
    torch.testing.assert_close(loss.call(LABELS, LOGITS), values)
    total = losses.as_loss(F.mse_loss)(BITS, LOGITS, weight)
    torch.testing.assert_close(total, ((LOGITS - BITS).square() * weight[:, None]).mean())
    x = LOGITS.clone()
    x._keras_mask = torch.arange(6) < 2
    torch.testing.assert_close(loss(LABELS, x), values[:2].mean())
    total = losses.as_loss(functools.partial(F.cross_entropy, reduction="sum"))
    torch.testing.assert_close(total(LABELS, LOGITS, weight), (values * weight).sum())


def test_torch_losses_that_cannot_be_used() -> None:
    with pytest.raises(ArgumentError, match="TripletMarginLoss takes more than outputs"):
        losses.as_loss(nn.TripletMarginLoss())

    class Odd(nn.MSELoss):
        def __init__(self) -> None:
            super().__init__()
            del self.reduction

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return (a - b).square().mean()

    loss = losses.as_loss(Odd())
    torch.testing.assert_close(loss(BITS, LOGITS), F.mse_loss(LOGITS, BITS))
    with pytest.raises(ArgumentError, match="Odd has no reduction argument"):
        loss(BITS, LOGITS, torch.ones(6))


# ---- errors ----


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: losses.BinaryCrossentropy(label_smoothing=1.5),
            "label_smoothing must be a number from 0 to 1",
        ),
        (
            lambda: losses.CategoricalCrossentropy(label_smoothing=-0.1),
            "label_smoothing must be a number from 0 to 1",
        ),
        (
            lambda: losses.BinaryFocalCrossentropy(label_smoothing=2),
            "label_smoothing must be a number from 0 to 1",
        ),
        (
            lambda: losses.CategoricalFocalCrossentropy(label_smoothing=2),
            "label_smoothing must be a number from 0 to 1",
        ),
        (lambda: losses.CategoricalCrossentropy(axis=True), "axis must be an int"),
        (lambda: losses.MeanSquaredError(reduction="avg"), "reduction='avg' is not a reduction"),
        (lambda: losses.MeanSquaredError(dtype="float33"), "dtype='float33' is not a dtype"),
        (
            lambda: losses.CategoricalGeneralizedCrossEntropy(q=1),
            "q must be a number above 0 and below 1",
        ),
        (lambda: losses.deserialize({"config": {}}), "needs 'class_name'"),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


ELEMENTWISE = [
    "mse", "mae", "mape", "msle", "huber", "log_cosh", "poisson", "kld", "bce", "hinge",
    "squared_hinge", "categorical_hinge", "cosine_similarity", "dice", "tversky",
    "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
]  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(6, 1), (6,), (3, 4), (1, 4)])
def test_targets_never_broadcast(name: str, shape: tuple[int, ...]) -> None:
    message = r"y_true is " + str(shape).replace("(", r"\(").replace(")", r"\)") + r".*\(6, 4\)"
    with pytest.raises(ShapeError, match=message):
        losses.as_loss(name)(torch.rand(shape), torch.rand(6, 4))
    with pytest.raises(ShapeError, match=message):
        losses.check_targets(losses.as_loss(name), torch.rand(shape), torch.rand(6, 4))


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "weight", "message"),
    [
        ("sparse_categorical_crossentropy", ONE_HOT, LOGITS, None, "One-hot targets need"),
        ("sparse_categorical_crossentropy", LABELS[:5], LOGITS, None, r"shape \(6,\).*\(5,\)"),
        ("mse", BITS, LOGITS, torch.ones(4), r"shape \(4,\) cannot weight.*\(6,\)"),
        ("mse", BITS, LOGITS, torch.ones(6, 2), r"\(6, 2\) cannot weight values of shape \(6,\)"),
        ("dice", BITS, LOGITS, torch.ones(6), "one value for the whole batch"),
        ("ctc", LABELS, LOGITS, None, r"labels \(batch, length\)"),
        (nn.MSELoss(), BITS[:, :1], LOGITS, None, r"MSELoss compares.*\(6, 1\)"),
    ],
)
def test_bad_shapes(loss: Any, y_true: Any, y_pred: Any, weight: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        losses.as_loss(loss)(y_true, y_pred, weight)


def test_a_loss_without_call() -> None:
    with pytest.raises(NotImplementedError, match=r"Loss has no call"):
        losses.Loss()(BITS, LOGITS)


# ---- check_targets ----

PROBS = LOGITS.softmax(-1)
NAN = torch.full((6, 4), torch.nan)
SPARSE, SPARSE_LOGITS = (losses.SparseCategoricalCrossentropy(from_logits=b) for b in (False, True))
BINARY, CATEGORICAL = losses.BinaryCrossentropy(), losses.CategoricalCrossentropy()


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "error", "message"),
    [
        (losses.MeanSquaredError(), NAN, LOGITS, DataError, "targets y_true contain NaN"),
        (losses.MeanSquaredError(), BITS, NAN, DataError, "outputs y_pred contain NaN"),
        (
            SPARSE,
            LABELS + 1,
            PROBS,
            DataError,
            "label 4, but the outputs have 4 classes, 0 to 3.*5",
        ),
        (SPARSE, LABELS - 1, PROBS, DataError, "found the label -1.*ignore_class=-1"),
        (
            SPARSE,
            LABELS + 0.5,
            PROBS,
            DataError,
            "whole numbers as labels, but y_true contains 0.5",
        ),
        (SPARSE, ONE_HOT, PROBS, ShapeError, "One-hot targets need categorical_crossentropy"),
        (SPARSE, LABELS, PROBS[:, :1], ShapeError, "Use binary_crossentropy with a sigmoid"),
        (SPARSE, LABELS, LOGITS, DataError, "give the loss from_logits=True"),
        (CATEGORICAL, LABELS, PROBS, ShapeError, "Integer labels need sparse_categorical_cross"),
        (CATEGORICAL, LABELS[:, None], PROBS, ShapeError, "Integer labels need sparse_categorical"),
        (CATEGORICAL, ONE_HOT[:, :3], PROBS, ShapeError, "one-hot vectors of that many classes"),
        (CATEGORICAL, BITS[:, :1], PROBS[:, :1], ShapeError, "whose softmax is always 1"),
        (CATEGORICAL, ONE_HOT, LOGITS, DataError, "End the model with softmax"),
        (
            BINARY,
            BITS * 2 - 1,
            PROBS,
            DataError,
            "targets from 0 to 1, but y_true goes from -1 to 1",
        ),
        (BINARY, BITS * 2, PROBS, DataError, "y_true goes from 0 to 2"),
        (BINARY, BITS, LOGITS, DataError, "End the model with sigmoid"),
        (BINARY, LABELS, PROBS, ShapeError, "For one class out of 4 use sparse_categorical"),
        (BINARY, BITS[:, :1], folded(softmax, LOGITS[:, :1]), ShapeError, "softmax is always 1"),
        (losses.Dice(), BITS[:, :3], LOGITS, ShapeError, r"y_true is \(6, 3\)"),
        (
            losses.as_loss(nn.CrossEntropyLoss()),
            LABELS + 1,
            LOGITS,
            DataError,
            "CrossEntropyLoss found the",
        ),
        (losses.as_loss(nn.MSELoss()), LABELS, LOGITS, ShapeError, "MSELoss compares"),
        (
            losses.CategoricalGeneralizedCrossEntropy(),
            LABELS + 1,
            PROBS,
            DataError,
            "found the label 4",
        ),
    ],
)
def test_checks(loss: Any, y_true: Any, y_pred: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        losses.check_targets(loss, y_true, y_pred)


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred"),
    [
        (losses.MeanSquaredError(), BITS[:, 0], LOGITS[:, :1]),
        (SPARSE, LABELS, PROBS),
        (SPARSE, LABELS.float().unsqueeze(1), PROBS),
        (SPARSE, LABELS.numpy(), folded(softmax, LOGITS)),
        (SPARSE_LOGITS, LABELS, LOGITS),
        (losses.SparseCategoricalCrossentropy(ignore_class=-1), LABELS - 1, PROBS),
        (CATEGORICAL, ONE_HOT, PROBS),
        (BINARY, BITS > 0, PROBS),
        (BINARY, BITS[:, 0], PROBS[:, :1]),
        (losses.Circle(), LABELS, LOGITS),
        (losses.as_loss(nn.CrossEntropyLoss(ignore_index=-1)), LABELS - 1, LOGITS),
        (losses.as_loss(nn.CrossEntropyLoss()), ONE_HOT, LOGITS),
        (losses.as_loss(lambda y_true, y_pred: y_pred.mean(-1)), BITS[:2], LOGITS),
        (losses.MeanSquaredError(), {"a": BITS}, LOGITS),
    ],
)
def test_checks_that_pass(loss: Any, y_true: Any, y_pred: Any) -> None:
    losses.check_targets(loss, y_true, y_pred)


@pytest.mark.parametrize(
    ("loss", "y_true", "activation"),
    [
        (SPARSE_LOGITS, LABELS, softmax),
        (losses.CategoricalCrossentropy(from_logits=True), ONE_HOT, softmax),
        (losses.BinaryCrossentropy(from_logits=True), BITS, sigmoid),
        (losses.as_loss(nn.CrossEntropyLoss()), LABELS, softmax),
        (losses.as_loss(nn.BCEWithLogitsLoss()), BITS, sigmoid),
    ],
)
def test_an_activation_applied_twice_is_warned_about(
    loss: Any, y_true: Any, activation: Any
) -> None:
    with pytest.warns(UserWarning, match="already went through"):
        losses.check_targets(loss, y_true, folded(activation, LOGITS))


def test_binary_crossentropy_runs_without_data() -> None:
    """As it must inside the `call` of a layer whose shapes are being inferred."""
    x = torch.empty(3, 2, device="meta")
    assert losses.binary_crossentropy(x, x).shape == (3,)
