"""A .weights.h5 file of nnkit is one of Keras: each reads what the other wrote."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import torch

import nnkit.layers
from nnkit.errors import ArgumentError, FileError
from nnkit.layer import Layer
from nnkit.models import Model, Sequential
from nnkit.saving import load_weights, save_weights
from nnkit.wrapper import TorchModuleWrapper

# Keras converts its variables in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

THEIRS = SimpleNamespace(
    **{name: getattr(keras.layers, name) for name in dir(keras.layers)},
    Model=keras.Model,
    Sequential=keras.Sequential,
)
THEIRS.TorchModuleWrapper = keras.layers.TorchModuleWrapper
OURS = SimpleNamespace(
    Layer=Layer, Model=Model, Sequential=Sequential, TorchModuleWrapper=TorchModuleWrapper
)
for part in pkgutil.iter_modules(nnkit.layers.__path__, "nnkit.layers."):
    vars(OURS).update(vars(importlib.import_module(part.name)))


def in_a_row(shape: tuple[int, ...], *makers: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A maker of a Sequential, of the layers made from either side's classes."""
    return lambda k: k.Sequential([k.Input(shape), *(make(k) for make in makers)])


def scale(k: Any) -> Any:
    class Scale(k.Layer):
        def build(self, input_shape: Any) -> None:
            self.shift = self.add_weight(shape=(1,), trainable=False, name="shift")
            self.factor = self.add_weight(shape=(input_shape[-1],), name="factor")

        def call(self, inputs: Any) -> Any:
            return inputs * self.factor + self.shift

    return Scale()


def block(k: Any) -> Any:
    class Block(k.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.steps = [k.Dense(2, activation="tanh"), k.Dense(3)]
            self.alone = k.Dense(4)
            self.by_name = {"z": k.Dense(3), "a": k.Dense(3)}
            self._hidden = k.Dense(5)

        def build(self, input_shape: Any) -> None:
            self.alone.build(input_shape)
            self.steps[0].build((None, 4))
            self.steps[1].build((None, 2))
            self.by_name["z"].build((None, 3))
            self.by_name["a"].build((None, 3))
            self._hidden.build((None, 3))
            self.w = self.add_weight(shape=(5,))
            self.built = True

        def call(self, inputs: Any) -> Any:
            x = self.steps[1](self.steps[0](self.alone(inputs)))
            return self._hidden(self.by_name["a"](self.by_name["z"](x))) * self.w

    return Block()


def nested(k: Any) -> Any:
    inner = k.Sequential([k.Input((4,)), k.Dense(3, activation="relu"), k.Dense(2)])
    there = k.Input((3,))
    middle = k.Model(there, k.Dense(4)(k.Dense(4)(there)))
    first, second = k.Input((3,)), k.Input((6,))
    shared = k.Dense(3, activation="tanh", name="shared")
    x = k.Add()([shared(first), shared(k.Dense(3)(second))])
    return k.Model([first, second], [inner(middle(x)), k.Dense(1)(x)])


def subclassed(k: Any) -> Any:
    class Net(k.Model):
        """Its attributes lie on both sides of "layers" in the alphabet."""

        def __init__(self) -> None:
            super().__init__()
            self.zoom, self.alone = k.Dense(4, activation="tanh"), k.Dense(3)
            self.blocks = [k.Dense(5), k.Dense(2)]
            self._private = k.Dense(2)
            self.norm = k.LayerNormalization()

        def call(self, inputs: Any) -> Any:
            x = self.norm(self.alone(self.zoom(inputs)))
            return self._private(self.blocks[1](self.blocks[0](x)))

    net = Net()
    net(torch.zeros(2, 3))
    return net


def functional_with_more(k: Any) -> Any:
    class Net(k.Model):
        """A functional model with a layer as an attribute, which the graph also has, and one more.

        What else a subclass holds is no entry of `layers`.
        """

        def __init__(self) -> None:
            inputs, head = k.Input((3,)), k.Dense(2, name="head")
            super().__init__(inputs, head(k.Dense(4, name="body")(inputs)))
            self.best = head
            self.extra = k.Dense(5)
            self.extra.build((None, 3))

    return Net()


def lists_in_lists(k: Any) -> Any:
    class Net(k.Model):
        """Layers in lists of lists, beside other things, under keys of all kinds, and private."""

        def __init__(self) -> None:
            super().__init__()
            self.first = k.Dense(4)
            self.blocks = [[k.Dense(4), k.LayerNormalization()], (k.Dense(4), None)]
            self.pairs = [(k.Dense(4), k.Dense(4))]
            self.by_key = {1: k.Dense(4), "keys": k.Dense(4)}
            self._hidden: list[Any] = []
            for _ in range(2):
                self._hidden.append(k.Dense(4))
            self.mixed = [3, k.Dense(4), "x", {"deep": [k.Dense(4)]}]
            self.again = [self.first]
            self.last = k.Dense(2)

        def call(self, inputs: Any) -> Any:
            x = self.first(inputs)
            for step in [step for part in (*self.blocks, *self.pairs) for step in part]:
                x = x if step is None else step(x)
            x = self.by_key[1](x) + self.by_key["keys"](x)
            for layer in self._hidden:
                x = layer(x)
            return self.last(self.mixed[3]["deep"][0](self.mixed[1](x)))

    net = Net()
    net(torch.zeros(2, 3))
    return net


def torch_modules(k: Any) -> Any:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).eval()
    return k.Sequential([k.Input((3,)), k.Dense(3), k.TorchModuleWrapper(module)])


MODELS: dict[str, tuple[Callable[[Any], Any], list[tuple[int, ...]]]] = {
    "dense": (in_a_row((5,), lambda k: k.Dense(4, "relu"), lambda k: k.Dense(3)), [(2, 5)]),
    "no bias": (in_a_row((5,), lambda k: k.Dense(4, use_bias=False)), [(2, 5)]),
    "custom": (in_a_row((5,), scale, lambda k: k.Dense(2), scale), [(2, 5)]),
    "attributes": (in_a_row((5,), block, block), [(2, 5)]),
    "images": (
        in_a_row(
            (8, 9, 3),
            lambda k: k.Conv2D(4, 3, strides=2, padding="same"),
            lambda k: k.BatchNormalization(),
            lambda k: k.LayerNormalization(),
            lambda k: k.Conv2D(6, 2, groups=2),
            lambda k: k.Dropout(0.5),
            lambda k: k.GroupNormalization(1),
            lambda k: k.RMSNormalization(),
            lambda k: k.PReLU(),
            lambda k: k.Flatten(),
            lambda k: k.Dense(2),
        ),
        [(2, 8, 9, 3)],
    ),
    "sequences": (
        in_a_row(
            (6, 4),
            lambda k: k.Conv1D(5, 2),
            lambda k: k.LSTM(4, return_sequences=True, recurrent_dropout=0.1),
            lambda k: k.GRU(3, return_sequences=True, dropout=0.1, seed=1),
            lambda k: k.GRU(3, return_sequences=True, reset_after=False),
            lambda k: k.SimpleRNN(3, return_sequences=True),
            lambda k: k.TimeDistributed(k.Dense(4)),
            lambda k: k.Bidirectional(k.LSTM(3, return_sequences=True)),
            lambda k: k.Bidirectional(k.GRU(2)),
            lambda k: k.Dense(2),
        ),
        [(2, 6, 4)],
    ),
    "volumes": (
        in_a_row((4, 4, 4, 2), lambda k: k.Conv3D(3, 2), lambda k: k.UnitNormalization()),
        [(2, 4, 4, 4, 2)],
    ),
    "words": (
        in_a_row(
            (5,),
            lambda k: k.Embedding(10, 4, mask_zero=True),
            lambda k: k.LSTM(3),
        ),
        [(2, 5)],
    ),
    "nested": (nested, [(2, 3), (2, 6)]),
    "subclassed": (subclassed, [(2, 3)]),
    "lists in lists": (lists_in_lists, [(2, 3)]),
    "functional with more": (functional_with_more, [(2, 3)]),
    "torch modules": (torch_modules, [(2, 3)]),
}

every_model = pytest.mark.parametrize(("make", "shapes"), MODELS.values(), ids=MODELS)


def contents(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def visit(key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[key] = item[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def shake(model: Any, seed: int) -> None:
    """Other weights than a new model has; positive ones, as some are variances."""
    random = np.random.default_rng(seed)
    model.set_weights(
        [random.uniform(0.1, 0.6, w.shape).astype(w.dtype) for w in model.get_weights()]
    )


def outputs(model: Any, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    inputs = [torch.tensor(random.uniform(0, 9, s).astype("float32")).round() for s in shapes]
    with torch.no_grad():
        found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [one.numpy() for one in (found if isinstance(found, (list, tuple)) else [found])]


def assert_equal(ours: Any, theirs: Any, shapes: list[tuple[int, ...]], folder: Path) -> None:
    """The same outputs, and files with the same numbers in the same places."""
    for mine, yours in zip(outputs(ours, shapes), outputs(theirs, shapes), strict=True):
        np.testing.assert_allclose(mine, yours, rtol=1e-5, atol=1e-5)
    save_weights(ours, folder / "ours.weights.h5")
    theirs.save_weights(folder / "theirs.weights.h5")
    files = [contents(folder / f"{name}.weights.h5") for name in ("ours", "theirs")]
    assert files[0].keys() == files[1].keys()
    for key, value in files[0].items():
        np.testing.assert_array_equal(value, files[1][key], err_msg=key, strict=True)


@every_model
def test_keras_loads_ours(tmp_path: Path, make: Any, shapes: Any) -> None:
    ours, theirs = make(OURS), make(THEIRS)
    shake(ours, 1)
    save_weights(ours, tmp_path / "a.weights.h5")
    theirs.load_weights(tmp_path / "a.weights.h5")
    assert_equal(ours, theirs, shapes, tmp_path)


@every_model
def test_we_load_theirs(tmp_path: Path, make: Any, shapes: Any) -> None:
    ours, theirs = make(OURS), make(THEIRS)
    shake(theirs, 2)
    theirs.save_weights(tmp_path / "a.weights.h5")
    load_weights(ours, tmp_path / "a.weights.h5")
    assert_equal(ours, theirs, shapes, tmp_path)


def test_layers_in_lists_come_in_keras_order() -> None:
    ours, theirs = lists_in_lists(OURS), lists_in_lists(THEIRS)
    kinds = [[type(layer).__name__ for layer in model.layers] for model in (ours, theirs)]
    assert kinds[0] == kinds[1]
    assert ours.count_params() == theirs.count_params()
    assert len(list(ours.parameters())) == len(theirs.trainable_weights)


def test_weights_of_a_whole_model(tmp_path: Path) -> None:
    ours, theirs = lists_in_lists(OURS), lists_in_lists(THEIRS)
    shake(ours, 1)
    theirs.save(tmp_path / "theirs.keras")
    load_weights(ours, tmp_path / "theirs.keras")
    assert_equal(ours, theirs, [(2, 3)], tmp_path)
    shake(ours, 2)
    ours.save(tmp_path / "ours.keras")
    theirs.load_weights(tmp_path / "ours.keras")
    assert_equal(ours, theirs, [(2, 3)], tmp_path)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_types(tmp_path: Path, dtype: str) -> None:
    def make(k: Any) -> Any:
        return k.Sequential([k.Input((3,), dtype=dtype), k.Dense(2, dtype=dtype)])

    ours, theirs = make(OURS), make(THEIRS)
    save_weights(ours, tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    kernel = theirs.layers[0].kernel.value
    assert torch.equal(kernel, ours.layers[0].kernel)
    with torch.no_grad():
        kernel.add_(1)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    load_weights(ours, tmp_path / "theirs.weights.h5")
    assert torch.equal(kernel, ours.layers[0].kernel)


def test_a_trained_model_of_keras(tmp_path: Path) -> None:
    """Its file also has the optimizer's state."""
    make, shapes = MODELS["dense"]
    ours, theirs, plain = make(OURS), make(THEIRS), make(THEIRS)
    theirs.compile("adam", "mse", metrics=["mae"])
    theirs.fit(np.ones((4, 5)), np.ones((4, 3)), verbose=0)
    theirs.save_weights(tmp_path / "a.weights.h5")
    assert any(key.startswith("optimizer/") for key in contents(tmp_path / "a.weights.h5"))
    load_weights(ours, tmp_path / "a.weights.h5")
    plain.set_weights(theirs.get_weights())
    assert_equal(ours, plain, shapes, tmp_path)


def in_attributes(k: Any) -> Any:
    """The layers of `in_list`, as the attributes of a class."""

    class Net(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.zoom = k.Bidirectional(k.LSTM(2))
            self.blocks = [k.Dense(4), k.Dense(4, activation="tanh")]
            self.alone = k.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.alone(self.blocks[1](self.blocks[0](self.zoom(inputs))))

    net = Net()
    net(torch.zeros(2, 3, 4))
    return net


in_list = in_a_row(
    (3, 4),
    lambda k: k.Bidirectional(k.LSTM(2)),
    lambda k: k.Dense(4),
    lambda k: k.Dense(4, activation="tanh"),
    lambda k: k.Dense(2),
)


@pytest.mark.parametrize("functional", [False, True])
def test_layers_as_attributes_take_the_file_of_a_list(tmp_path: Path, functional: bool) -> None:
    source, ours, theirs = in_list(THEIRS), in_attributes(OURS), in_attributes(THEIRS)
    if functional:
        source = THEIRS.Model(source.inputs, source.outputs)
    shake(source, 3)
    source.save_weights(tmp_path / "a.weights.h5")
    theirs.load_weights(tmp_path / "a.weights.h5")
    load_weights(ours, tmp_path / "a.weights.h5")
    assert_equal(ours, theirs, [(2, 3, 4)], tmp_path)
    np.testing.assert_array_equal(ours.get_weights()[0], source.get_weights()[0])


def test_a_list_does_not_take_the_file_of_attributes(tmp_path: Path) -> None:
    source, ours, theirs = in_attributes(THEIRS), in_list(OURS), in_list(THEIRS)
    source.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="could not be loaded"):
        theirs.load_weights(tmp_path / "a.weights.h5")
    with pytest.raises(FileError, match=r"layers/dense/vars/0 \(kernel of 'dense"):
        load_weights(ours, tmp_path / "a.weights.h5")


def test_more_layers_than_the_attributes_are_not_left_out_in_silence(tmp_path: Path) -> None:
    source = in_list(OURS)
    source.add(OURS.Dense(2))
    save_weights(source, tmp_path / "a.weights.h5")
    ours = in_attributes(OURS)
    before = ours.get_weights()
    with pytest.raises(FileError, match=r"not in the model \(2\):\n +layers/dense_3/vars/0"):
        load_weights(ours, tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(ours.get_weights()[0], before[0])


def test_a_misfit_is_one_in_both(tmp_path: Path) -> None:
    theirs = THEIRS.Sequential([THEIRS.Input((5,)), THEIRS.Dense(4), THEIRS.Dense(3)])
    ours = OURS.Sequential([OURS.Input((5,)), OURS.Dense(4), OURS.Dense(2)])
    theirs.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(FileError, match=r"\(4, 2\) in the model, \(4, 3\) in the file"):
        load_weights(ours, tmp_path / "a.weights.h5")
    with pytest.warns(UserWarning, match="All other layers were loaded"):
        load_weights(ours, tmp_path / "a.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(ours.get_weights()[0], theirs.get_weights()[0])
    save_weights(ours, tmp_path / "b.weights.h5")
    with pytest.raises(ValueError, match="could not be loaded"):
        theirs.load_weights(tmp_path / "b.weights.h5")


# -- the layout before Keras 3 ---------------------------------------------------------------------

# Keras leaves out what a torch module has besides parameters, and weights that are in no layer.
OLD = {
    name: MODELS[name] for name in sorted(MODELS.keys() - {"torch modules", "functional with more"})
}
every_old_model = pytest.mark.parametrize(("make", "shapes"), OLD.values(), ids=OLD)


def write_legacy(model: Any, path: Path) -> None:
    format = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    with h5py.File(path, "w") as file:
        format.save_weights_to_hdf5_group(file, model)


def assert_same_weights(ours: Any, theirs: Any) -> None:
    for mine, yours in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, yours)


@every_old_model
def test_keras_loads_our_legacy_file(tmp_path: Path, make: Any, shapes: Any) -> None:
    ours, theirs = make(OURS), make(THEIRS)
    shake(ours, 1)
    save_weights(ours, tmp_path / "a.h5")
    theirs.load_weights(tmp_path / "a.h5")
    assert_same_weights(ours, theirs)


@every_old_model
@pytest.mark.parametrize("inside", [False, True])
def test_we_load_their_legacy_file(tmp_path: Path, make: Any, shapes: Any, inside: bool) -> None:
    ours, theirs = make(OURS), make(THEIRS)
    shake(theirs, 2)
    write_legacy(theirs, tmp_path / "plain.h5")
    if inside:  # as in the file of a whole model
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["model_weights"] = h5py.ExternalLink("plain.h5", "/")
            with pytest.raises(FileError, match="missing in the file"):
                load_weights(ours, tmp_path / "a.h5")
            del file["model_weights"]
            with h5py.File(tmp_path / "plain.h5") as plain:
                plain.copy("/", file, "model_weights")
    load_weights(ours, tmp_path / ("a.h5" if inside else "plain.h5"))
    assert_same_weights(ours, theirs)


def test_a_frozen_layer_keeps_its_weights_in_another_order(tmp_path: Path) -> None:
    def make(k: Any) -> Any:
        normalized = k.Sequential([k.Input((3,)), k.BatchNormalization(), k.Dense(2)])
        model = k.Sequential([k.Input((3,)), normalized, k.BatchNormalization()])
        model.layers[0].trainable = False
        return model

    ours, theirs = make(OURS), make(THEIRS)
    shake(theirs, 2)
    write_legacy(theirs, tmp_path / "a.h5")
    load_weights(ours, tmp_path / "a.h5")
    assert_same_weights(ours, theirs)
    shake(ours, 3)
    save_weights(ours, tmp_path / "b.h5")
    theirs.load_weights(tmp_path / "b.h5")
    assert_same_weights(ours, theirs)


def test_a_long_list_of_layers_is_cut(tmp_path: Path) -> None:
    def make(k: Any) -> Any:
        names = [f"{'x' * 900}{number}" for number in range(80)]
        return k.Sequential([k.Input((1,)), *(k.Dense(1, name=name) for name in names)])

    ours, theirs = make(OURS), make(THEIRS)
    shake(theirs, 2)
    write_legacy(theirs, tmp_path / "a.h5")
    load_weights(ours, tmp_path / "a.h5")
    assert_same_weights(ours, theirs)
    shake(ours, 3)
    save_weights(ours, tmp_path / "b.h5")
    theirs.load_weights(tmp_path / "b.h5", by_name=True)
    assert_same_weights(ours, theirs)


def test_torch_modules_keep_all_their_state(tmp_path: Path) -> None:
    source, target = torch_modules(OURS), torch_modules(OURS)
    shake(source, 2)
    save_weights(source, tmp_path / "a.h5")
    load_weights(target, tmp_path / "a.h5")
    assert_same_weights(source, target)


def test_weights_without_a_place_are_not_lost_in_silence(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"no place for 2 weights .*\(kernel, bias\)"):
        save_weights(functional_with_more(OURS), tmp_path / "a.h5")
