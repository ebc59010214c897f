"""Histories and weights of whole trainings with everything on at once, against Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.parity.twins import fit_twins

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(3)
A, B = (RNG.normal(size=(64, size)).astype("float32") for size in (5, 3))
SEQ = RNG.normal(size=(64, 7, 3)).astype("float32")
LABELS = RNG.integers(0, 3, 64)
AMOUNT = RNG.normal(size=(64, 1)).astype("float32")
STEPS = RNG.normal(size=(64, 7, 2)).astype("float32")
W = [RNG.uniform(0.1, 2, 64).astype("float32") for _ in range(2)]
PER_STEP = RNG.uniform(0, 2, (64, 7)).astype("float32")
SPARSE = "sparse_categorical_crossentropy"


def two_in_two_out(kit: Any) -> Any:
    a, b = kit.Input((5,), name="a"), kit.Input((3,), name="b")
    joined = kit.Concatenate()(
        [
            kit.Dense(6, activation="tanh", kernel_regularizer=kit.regularizers.L2(0.02))(a),
            kit.Dense(4, activation="relu", activity_regularizer=kit.regularizers.L1(0.01))(b),
        ]
    )
    kind = kit.Dense(3, activation="softmax", name="kind")(joined)
    return kit.Model([a, b], [kind, kit.Dense(1, name="amount")(joined)])


def per_step(kit: Any) -> Any:
    inputs = kit.Input((7, 3))
    return kit.Model(inputs, kit.Dense(2)(kit.LSTM(5, return_sequences=True)(inputs)))


OPTIMIZERS = {
    "accumulation": lambda kit: kit.optimizers.Adam(0.02, gradient_accumulation_steps=2),
    "average": lambda kit: kit.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8),
    "clipped": lambda kit: kit.optimizers.RMSprop(0.01, clipnorm=0.5),
    "value": lambda kit: kit.optimizers.SGD(0.1, momentum=0.9, clipvalue=0.05),
    "all": lambda kit: kit.optimizers.AdamW(
        0.02, weight_decay=0.01, global_clipnorm=0.3, use_ema=True, ema_overwrite_frequency=2,
        gradient_accumulation_steps=2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("weights", [None, W, "by name"])
def test_several_inputs_and_outputs(name: str, weights: Any) -> None:
    def settings(kit: Any) -> dict[str, Any]:
        return {
            "optimizer": OPTIMIZERS[name](kit),
            "loss": {"kind": SPARSE, "amount": "huber"},
            "loss_weights": {"kind": 0.7, "amount": 1.5},
            "metrics": {"kind": ["accuracy"], "amount": ["mae"]},
            "weighted_metrics": {"kind": ["accuracy"], "amount": ["mse"]},
        }

    x: Any = [A, B]
    y: Any = [LABELS, AMOUNT]
    if weights == "by name":
        x, y, weights = {"a": A, "b": B}, {"kind": LABELS, "amount": AMOUNT}, None
    more = {"validation_data": (x, y)} if weights is None else {}
    fit_twins(two_in_two_out, settings, x, y, sample_weight=weights, epochs=4, **more)


@pytest.mark.parametrize("name", ["accumulation", "all"])
def test_weights_of_each_time_step(name: str) -> None:
    def settings(kit: Any) -> dict[str, Any]:
        return {"optimizer": OPTIMIZERS[name](kit), "loss": "mse", "weighted_metrics": ["mae"]}

    fit_twins(per_step, settings, SEQ, STEPS, sample_weight=PER_STEP, epochs=4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_class_weights(name: str) -> None:
    def build(kit: Any) -> Any:
        return kit.Sequential(
            [kit.Input((5,)), kit.Dense(8, activation="relu"), kit.Dense(3, activation="softmax")]
        )

    def settings(kit: Any) -> dict[str, Any]:
        return {
            "optimizer": OPTIMIZERS[name](kit),
            "loss": SPARSE,
            "weighted_metrics": ["accuracy"],
        }

    fit_twins(build, settings, A, LABELS, class_weight={0: 0.5, 1: 2.0, 2: 1.0}, epochs=4)
