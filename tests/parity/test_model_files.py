"""Whole models in files: what Keras writes nnkit opens, and the other way round."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import nnkit
from nnkit.errors import ConfigError, FileError
from tests.parity.saved_models import IMAGE, MODELS, VEC, data, operators

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict"),
]


def outputs(model: Any, x: Any) -> list[np.ndarray]:
    found = model.predict(x, verbose=0)
    if isinstance(found, dict):
        return [found[key] for key in sorted(found)]
    return list(found) if isinstance(found, (list, tuple)) else [found]


def assert_same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def fresh() -> None:
    keras.utils.clear_session(free_memory=False)  # a collection over all of torch is slow
    nnkit.backend.clear_session()


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back(name: str, tmp_path: Path) -> None:
    build, x = MODELS[name]
    fresh()
    first = build(keras, keras.layers)
    expected = outputs(first, x)
    first.save(tmp_path / "keras.keras")
    ours = nnkit.models.load_model(tmp_path / "keras.keras")
    assert_same(outputs(ours, x), expected)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in first.layers]
    assert [layer.trainable for layer in ours.layers] == [layer.trainable for layer in first.layers]
    ours.save(tmp_path / "ours.keras")
    assert_same(outputs(keras.models.load_model(tmp_path / "ours.keras"), x), expected)
    fresh()
    own = build(nnkit, nnkit.layers)
    expected = outputs(own, x)
    own.save(tmp_path / "own.keras")
    back = keras.models.load_model(tmp_path / "own.keras")
    assert_same(outputs(back, x), expected)
    back.save(tmp_path / "back.keras")
    assert_same(outputs(nnkit.models.load_model(tmp_path / "back.keras"), x), expected)
    clone = nnkit.models.clone_model(own)
    clone.set_weights(own.get_weights())
    assert_same(outputs(clone, x), expected)


# Layers that no model of the table has, and why.
NOT_THERE = {
    "Layer": "a base class",
    "Wrapper": "a base class",
    "BaseImagePreprocessingLayer": "a base class",
    "TorchVisionTransform": "not in Keras",
    "Lambda": "its function has to be supplied: see test_functions_and_modules_are_supplied",
    "TorchModuleWrapper": "its module has to be supplied: see the same test",
    "Equalization": "Keras cannot build a model with it on torch: see test_layers_by_their_configs",
    "MaxNumBoundingBoxes": "works on boxes, which no model takes in: see the same test",
    "Hashing": "needs TensorFlow in Keras: see the same test",
    "HashedCrossing": "needs TensorFlow in Keras: see the same test",
    "IntegerLookup": "needs TensorFlow in Keras: see test_configs, and saving/test_archive",
    "StringLookup": "needs TensorFlow in Keras: see test_configs, and saving/test_archive",
    "TextVectorization": "needs TensorFlow in Keras: see test_configs, and saving/test_archive",
}


class Recorder:
    """nnkit's layers; notes which are asked for."""

    def __init__(self) -> None:
        self.classes: set[Any] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(nnkit.layers, name)
        self.classes.add(found)
        return found


def test_every_layer_is_in_the_table() -> None:
    recorder: Any = Recorder()
    for build, _ in MODELS.values():
        fresh()
        build(nnkit, recorder)
    recorder.classes |= {getattr(nnkit.layers, name) for name in NOT_THERE}
    every = {value for value in vars(nnkit.layers).values() if isinstance(value, type)}
    lacking = [
        kind.__name__
        for kind in every - recorder.classes
        if issubclass(kind, nnkit.layers.Layer)
        # Cells are in the recurrent layers that are made of them.
        and kind not in (nnkit.layers.SimpleRNNCell, nnkit.layers.GRUCell, nnkit.layers.LSTMCell)
    ]
    assert sorted(lacking) == []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Equalization", {"value_range": [0, 1], "bins": 64}),
        ("MaxNumBoundingBoxes", {"max_number": 3, "bounding_box_format": "xyxy"}),
        ("Hashing", {"num_bins": 5, "salt": 3, "mask_value": 0}),
        ("HashedCrossing", {"num_bins": 5, "output_mode": "one_hot"}),
    ],
)
def test_layers_by_their_configs(
    name: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh()
    kind = getattr(keras.layers, name)
    module = sys.modules[kind.__module__]
    if hasattr(module, "tf"):  # which is only looked for, to make one
        monkeypatch.setattr(module, "tf", SimpleNamespace(available=True))
    theirs = kind(**arguments)
    saved = json.dumps(keras.layers.serialize(theirs))
    ours = nnkit.layers.deserialize(json.loads(saved))
    assert type(ours) is getattr(nnkit.layers, name)
    sent = json.loads(json.dumps(nnkit.layers.serialize(ours)))
    assert sent["config"] == json.loads(saved)["config"]
    assert keras.layers.deserialize(sent).get_config() == theirs.get_config()


def test_functions_and_modules_are_supplied(tmp_path: Path) -> None:
    def plus(x: Any) -> Any:
        return x + 1

    linear = torch.nn.Linear(6, 2)
    x = keras.Input((6,))
    y = keras.layers.Lambda(lambda t: t + 1, name="plus")(x)
    model = keras.Model(x, y)
    model.save(tmp_path / "lambda.keras")
    ours = nnkit.models.load_model(tmp_path / "lambda.keras", {"plus": plus})
    assert_same(outputs(ours, VEC), outputs(model, VEC))
    ours.save(tmp_path / "ours.keras")
    back = keras.models.load_model(tmp_path / "ours.keras", {"plus": plus}, safe_mode=False)
    assert_same(outputs(back, VEC), outputs(model, VEC))
    wrapper = keras.layers.TorchModuleWrapper(linear, name="linear", output_shape=(None, 2))
    model = keras.Model(x, wrapper(x))
    model.save(tmp_path / "module.keras")
    supplied = {"linear": lambda: torch.nn.Linear(6, 2)}
    ours = nnkit.models.load_model(tmp_path / "module.keras", supplied)
    assert_same(outputs(ours, VEC), outputs(model, VEC))
    assert ours.layers[1].get_config()["output_shape"] == [None, 2]


# Written with torch's functions and methods on a (batch, 8, 8, 3) image: Keras has an operation.
TORCH_STEPS: dict[str, Callable[[Any], Any]] = {
    "movedim": lambda x: torch.movedim(x, -1, 1).movedim(1, -1)[:, 1:],
    "flatten": lambda x: torch.flatten(x, 1) + x.flatten(1, 2).flatten(start_dim=1),
    "reshape": lambda x: x.reshape(-1, 4, 48).view((-1, 192)),
    "permute": lambda x: x.permute(0, 3, 1, 2) - torch.permute(x, (0, 3, 2, 1)),
    "transpose": lambda x: x.transpose(1, 3) * torch.transpose(x, dim0=1, dim1=3),
    "squeeze": lambda x: x.unsqueeze(1).squeeze(1) + torch.unsqueeze(x, dim=0)[0],
    "reduced": lambda x: x.mean(dim=(1, 2), keepdim=True) + torch.sum(x, 3, True),
    "softmax": lambda x: F.softmax(x, dim=-1) + x.softmax(1) + torch.log_softmax(x, -1),
    "relu": lambda x: F.relu(x, inplace=False) + x.relu() + torch.relu(x) + F.relu6(5 * x),
    "gelu": lambda x: F.gelu(x) + F.gelu(x, approximate="tanh") + F.silu(x),
    "leaky": lambda x: F.leaky_relu(x) + F.leaky_relu(x, 0.3) + F.elu(x, 0.5) + F.selu(x),
    "pooled": lambda x: F.adaptive_avg_pool2d(x.movedim(-1, 1), 1),
    "powers": lambda x: torch.pow(x, 2) + x.pow(3) + x.square() + torch.sigmoid(x).rsqrt(),
    "extremes": lambda x: x.amax(dim=1)[:, None] + torch.amin(x, 1, True).exp(),
    "joined": lambda x: torch.cat([x, x + 1], dim=1) - torch.stack((x, x), 1).flatten(1, 2),
    "einsum": lambda x: torch.einsum("bhwc,bwhd->bcd", x, x),
    "chosen": lambda x: torch.where(x > 0, x, -x).minimum(x.abs() + 1).flip((1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", TORCH_STEPS)
def test_torchs_functions_in_a_graph(name: str, tmp_path: Path) -> None:
    x = nnkit.Input((8, 8, 3))
    model = nnkit.Model(x, TORCH_STEPS[name](x))
    expected = TORCH_STEPS[name](torch.as_tensor(IMAGE)).numpy()
    model.save(tmp_path / "steps.keras")
    for module in (nnkit, keras):
        again = module.models.load_model(tmp_path / "steps.keras")
        assert_same(outputs(again, IMAGE), [expected])


@pytest.mark.parametrize(
    "step", [lambda x: torch.add(x, x, alpha=2), lambda x: torch.div(x, 2, rounding_mode="floor")]
)
def test_torchs_own_arguments_are_not_lost(step: Any, tmp_path: Path) -> None:
    x = nnkit.Input((8, 8, 3))
    with pytest.raises(
        ConfigError, match=r"called in torch's way, .* Use the function of nnkit.ops"
    ):
        nnkit.Model(x, step(x)).save(tmp_path / "steps.keras")


OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "RMSprop": {"centered": True},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adamax": {},
    "Nadam": {},
    "Adagrad": {},
    "Adadelta": {},
    "Ftrl": {},
    "Lion": {},
    "Lamb": {},
    "Muon": {},
    "Adafactor": {},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on(name: str, tmp_path: Path) -> None:
    x, y = IMAGE, data(2, 2)
    fresh()
    model = keras.Sequential([
        keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="tanh"),
        keras.layers.DepthwiseConv2D(3, 2, depth_multiplier=2), keras.layers.Reshape((4, 8)),
        keras.layers.GRU(5), keras.layers.Dense(2),
    ])  # fmt: skip
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)
    optimizer = getattr(keras.optimizers, name)(schedule, **OPTIMIZERS[name])
    model.compile(optimizer, "mse", metrics=["mae"])
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    model.save(tmp_path / "keras.keras")
    ours = nnkit.models.load_model(tmp_path / "keras.keras")
    assert ours.optimizer.iterations == 2
    ours.save(tmp_path / "ours.keras")
    back = keras.models.load_model(tmp_path / "ours.keras")
    for one in (model, ours, back):
        one.train_on_batch(x, y)
    for mine, theirs, again in zip(
        ours.get_weights(), model.get_weights(), back.get_weights(), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(again, theirs, rtol=1e-4, atol=1e-5)


def loss_scale(k: Any) -> Any:
    return k.optimizers.LossScaleOptimizer(
        k.optimizers.Adam(), initial_scale=8.0, dynamic_growth_steps=3
    )


STATES: dict[str, Callable[[Any], Any]] = {
    "adam": lambda k: k.optimizers.Adam(),
    "sgd": lambda k: k.optimizers.SGD(momentum=0.9),
    "schedule": lambda k: k.optimizers.RMSprop(k.optimizers.schedules.CosineDecay(0.01, 9)),
    "average": lambda k: k.optimizers.Adam(use_ema=True, ema_momentum=0.5),
    "accumulation": lambda k: k.optimizers.Adam(gradient_accumulation_steps=2),
    "loss scale": loss_scale,
    "adafactor": lambda k: k.optimizers.Adafactor(),
}
TARGETS = data(3, 2)


def trained(k: Any, optimizer: Any, steps: int, loss: Any = "mse") -> Any:
    model = k.Sequential([k.Input((6,)), k.layers.Dense(5, "tanh"), k.layers.Dense(2)])
    if optimizer is not None:
        model.compile(optimizer(k), loss)
    for _ in range(steps):
        model.train_on_batch(VEC, TARGETS)
    return model


def assert_equal_after_a_step(*models: Any) -> None:
    for model in models:
        model.train_on_batch(VEC, TARGETS)
    assert_same_weights(*models)


def assert_same_weights(first: Any, *others: Any) -> None:
    for other in others:
        for mine, theirs in zip(other.get_weights(), first.get_weights(), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", STATES)
def test_state_in_files_of_weights(name: str, tmp_path: Path) -> None:
    fresh()
    first = trained(keras, STATES[name], 3)
    first.save_weights(tmp_path / "keras.weights.h5")
    ours = trained(nnkit, STATES[name], 0)
    ours.load_weights(tmp_path / "keras.weights.h5")
    ours.save_weights(tmp_path / "ours.weights.h5")
    back = trained(keras, STATES[name], 1)
    back.load_weights(tmp_path / "ours.weights.h5")
    if name == "loss scale":
        scales = [float(model.optimizer.dynamic_scale) for model in (first, ours, back)]
        assert scales == [16.0, 16.0, 16.0]
    assert_equal_after_a_step(first, ours, back)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (None, None),
        (lambda k: torch.optim.Adam, None),
        (lambda k: k.optimizers.SGD(), "'sgd' starts anew"),
        (loss_scale, "'loss_scale_optimizer' starts anew"),
    ],
)
def test_state_of_another_kind_is_no_error(other: Any, message: str | None, tmp_path: Path) -> None:
    fresh()
    first = trained(keras, STATES["adam"], 2)
    first.save_weights(tmp_path / "a.weights.h5")
    ours = trained(nnkit, other, 0)
    if message is None:
        ours.load_weights(tmp_path / "a.weights.h5")
    else:
        with pytest.warns(UserWarning, match=message) as seen:
            ours.load_weights(tmp_path / "a.weights.h5")
        assert len(seen) == 1
    assert_same_weights(first, ours)


@pytest.mark.parametrize("name", sorted(STATES.keys() - {"average", "accumulation", "adafactor"}))
@pytest.mark.parametrize("loss", ["mse", "MeanSquaredError"])
def test_training_goes_on_from_an_older_file(name: str, loss: str, tmp_path: Path) -> None:
    """In nnkit: Keras trains nothing that it reads, and fails at a loss given as a string."""

    def loss_of(k: Any) -> Any:
        return getattr(k.losses, loss)() if loss[0] == "M" else loss

    fresh()
    first = trained(keras, STATES[name], 3, loss_of(keras))
    first.save(tmp_path / "keras.h5")
    if loss == "mse":
        with pytest.raises(ValueError, match=r"Could not deserialize 'keras.metrics.mse'"):
            keras.models.load_model(tmp_path / "keras.h5")
    ours = nnkit.models.load_model(tmp_path / "keras.h5")
    ours.save(tmp_path / "ours.h5")
    again = nnkit.models.load_model(tmp_path / "ours.h5")
    assert_equal_after_a_step(first, ours, again)


def test_operators_in_older_files(tmp_path: Path) -> None:
    """Of nnkit; those of Keras say of no operator where it is from, and Keras cannot read them."""
    fresh()
    own = operators(nnkit, nnkit.layers)
    own.save(tmp_path / "own.h5")
    assert_same(outputs(nnkit.models.load_model(tmp_path / "own.h5"), VEC), outputs(own, VEC))
    operators(keras, keras.layers).save(tmp_path / "keras.h5")
    with pytest.raises(ValueError, match="Unknown layer"):
        keras.models.load_model(tmp_path / "keras.h5")
    with pytest.raises(FileError, match=r"keras.h5' cannot be loaded"):
        nnkit.models.load_model(tmp_path / "keras.h5")


def subclasses(k: Any) -> list[Any]:
    class Fixed(k.Model):
        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            inputs = k.Input((6,))
            super().__init__(inputs, k.layers.Dense(units)(inputs), **kwargs)
            self.units = units

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units, "name": self.name}

    class Given(k.Model):
        def train_step(self, data: Any) -> Any:
            return super().train_step(data)

    inputs = k.Input((6,))
    return [Fixed(4), Given(inputs, k.layers.Dense(3)(inputs))]


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(("writer", "reader"), [(keras, nnkit), (nnkit, keras), (nnkit, nnkit)])
def test_subclasses_made_of_inputs_and_outputs(
    at: int, writer: Any, reader: Any, tmp_path: Path
) -> None:
    fresh()
    model, kind = subclasses(writer)[at], type(subclasses(reader)[at])
    model.save(tmp_path / "model.keras")
    again = reader.models.load_model(tmp_path / "model.keras", {kind.__name__: kind})
    assert type(again) is kind
    assert_same(outputs(again, VEC), outputs(model, VEC))


@pytest.mark.parametrize("name", ["shared", "residual", "stack", "frozen"])
def test_old_files(name: str, tmp_path: Path) -> None:
    build, x = MODELS[name]
    fresh()
    first = build(keras, keras.layers)
    first.compile("adam", "mse", metrics=["mae"])
    expected = outputs(first, x)
    first.save(tmp_path / "keras.h5")
    ours = nnkit.models.load_model(tmp_path / "keras.h5")
    assert_same(outputs(ours, x), expected)
    assert ours.optimizer.name == "adam"
    ours.save(tmp_path / "ours.h5")
    assert_same(outputs(keras.models.load_model(tmp_path / "ours.h5", compile=False), x), expected)


def own_layer(k: Any) -> Any:
    """A layer that keeps an array and a file besides its weight, written the same for both."""

    class Own(k.layers.Layer):  # type: ignore[misc]
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")
            self.table, self.word = np.zeros(3), ""

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

        def save_own_variables(self, store: Any) -> None:
            super().save_own_variables(store)
            store["table"] = self.table

        def load_own_variables(self, store: Any) -> None:
            self.scale.assign(store["0"])
            self.table = np.array(store["table"])

        def save_assets(self, dir_path: str) -> None:
            Path(dir_path, "word.txt").write_text(self.word)

        def load_assets(self, dir_path: str) -> None:
            self.word = Path(dir_path, "word.txt").read_text()

    return Own


@pytest.mark.parametrize(("writer", "reader"), [(nnkit, keras), (keras, nnkit), (nnkit, nnkit)])
def test_what_a_layer_of_ones_own_keeps(writer: Any, reader: Any, tmp_path: Path) -> None:
    inputs = writer.Input((3,))
    model = writer.Model(inputs, own_layer(writer)()(inputs))
    own = model.layers[1]
    own.scale.assign([1.0, 2.0, 3.0])
    own.table, own.word = np.arange(3.0), "hello"
    model.save(tmp_path / "own.keras")
    again = reader.models.load_model(
        tmp_path / "own.keras", custom_objects={"Own": own_layer(reader)}
    ).layers[1]
    assert again.word == "hello"
    assert again.table.tolist() == [0, 1, 2]
    assert again.get_weights()[0].tolist() == [1, 2, 3]
