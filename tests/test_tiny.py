"""Everything once, in a few seconds: run this after each change."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnkit
from nnkit import Input, Model, Sequential, callbacks, layers, losses, metrics, optimizers
from nnkit.random import set_random_seed
from nnkit.saving import load_weights, save_weights

random = np.random.default_rng(0)
LABELS = random.integers(0, 3, 24)
# In each kind of data the label shows: a bright stripe, a frequent word, a high value.
VECTORS = (random.normal(size=(24, 6)) + 3 * np.eye(6)[LABELS]).astype("float32")
STRIPES = (np.arange(8) == LABELS[:, None, None])[..., None]
IMAGES = (random.normal(size=(24, 8, 8, 1)) / 3 + STRIPES).astype("float32")
WORDS = np.where(random.random((24, 7)) < 0.7, LABELS[:, None] + 1, random.integers(4, 9, (24, 7)))

MODELS: dict[str, tuple[Any, np.ndarray]] = {
    "mlp": (
        lambda: [
            layers.Dense(12, "relu", kernel_regularizer="l2"),
            layers.Dropout(0.1),
            layers.LayerNormalization(),
        ],
        VECTORS,
    ),
    "cnn": (
        lambda: [
            layers.Conv2D(6, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.5),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
        ],
        IMAGES,
    ),
    "rnn": (
        lambda: [
            layers.Embedding(9, 6, mask_zero=True),
            layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
            layers.GRU(6),
        ],
        WORDS,
    ),
    "torch": (lambda: [torch.nn.Linear(6, 8), torch.nn.Tanh()], VECTORS),
}


@pytest.mark.parametrize("kind", MODELS)
def test_build_train_save_load(kind: str, tmp_path: Path) -> None:
    set_random_seed(0)
    make, x = MODELS[kind]
    start = Input(x.shape[1:], dtype="int32" if kind == "rnn" else None)
    model = Sequential([start, *make(), layers.Dense(3, "softmax")])
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert f"{model.count_params():,}" in "\n".join(lines)
    model.compile(optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, LABELS, 8, epochs=15, verbose=0, validation_data=(x, LABELS))
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    loss, accuracy = model.evaluate(x, LABELS, verbose=0)
    assert accuracy > 0.9
    assert history.history["val_loss"][-1] == pytest.approx(loss, rel=1e-4)
    outputs = model.predict(x, verbose=0)
    np.testing.assert_allclose(outputs.sum(-1), 1, rtol=1e-5)

    path = tmp_path / "model.weights.h5"
    save_weights(model, path)
    twin = copy.deepcopy(model)
    twin.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    load_weights(twin, path)
    np.testing.assert_allclose(twin.predict(x, verbose=0), outputs, rtol=1e-5, atol=1e-6)


def test_functional_model_with_two_of_everything() -> None:
    left, right = Input((6,), name="left"), Input((1,), name="right")
    hidden = layers.Dense(8, "tanh")(layers.Concatenate()([left, right * 2]))
    kind = layers.Dense(3, "softmax", name="kind")(hidden)
    size = layers.Dense(1, name="size")(torch.relu(hidden))
    model = Model({"left": left, "right": right}, [kind, size])
    model.compile(
        "adam",
        {"kind": "sparse_categorical_crossentropy", "size": losses.Huber()},
        {"kind": 1.0, "size": 0.1},
        {"kind": ["accuracy"], "size": [metrics.MeanAbsoluteError(name="error")]},
    )
    x = {"left": VECTORS, "right": VECTORS[:, :1]}
    y = {"kind": LABELS, "size": VECTORS.sum(-1)}
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert list(history) == ["kind_accuracy", "kind_loss", "loss", "size_error", "size_loss"]
    assert [part.shape for part in model.predict(x, verbose=0)] == [(24, 3), (24, 1)]


def test_own_model_own_step_and_callbacks(capsys: pytest.CaptureFixture[str]) -> None:
    class Own(Model):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.outside = layers.Dense(8, "tanh"), layers.Dense(1)

        def call(self, x: torch.Tensor) -> torch.Tensor:
            return self.outside(self.inside(x))

        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            loss = (self(x, training=True) - y).square().mean()
            self.zero_grad()
            loss.backward()
            self.optimizer.apply([p.grad for p in self.trainable_weights], self.trainable_weights)
            return {"squares": loss}

    model = Own()
    model.compile("adam", "mse")
    stop = callbacks.EarlyStopping("squares", min_delta=100, patience=1, mode="min")
    history = model.fit(VECTORS, VECTORS[:, :1], epochs=9, verbose=2, callbacks=[stop])
    assert history.epoch == [0, 1]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("Epoch 2/9 - 1 step")
    assert history.history["squares"][1] < history.history["squares"][0]


def test_torch_sees_a_module() -> None:
    model = Sequential([Input((6,)), layers.Dense(4, "relu"), layers.Dense(2)])
    assert isinstance(model, torch.nn.Module)
    assert [tuple(value.shape) for value in model.state_dict().values()] == [
        (4, 6), (4,), (2, 4), (2,),
    ]  # fmt: skip
    x = torch.tensor(VECTORS)
    exported = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(exported(x), model(x))


def test_mistakes_have_names() -> None:
    with pytest.raises(nnkit.errors.ShapeError, match="expects"):
        Sequential([Input((6,)), layers.Conv2D(3, 3)])
    with pytest.raises(nnkit.errors.ArgumentError, match="Did you mean"):
        Sequential([Input((6,)), layers.Dense(3, "rellu")])
    with pytest.raises(nnkit.errors.NotCompiledError, match="compile"):
        Sequential([Input((6,)), layers.Dense(3)]).fit(VECTORS, LABELS)
