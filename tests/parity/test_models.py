"""Whole models against Keras: order of layers and weights, counts, shapes, outputs."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import torch

import nnkit
from nnkit import layers
from nnkit.models import Model, Sequential
from nnkit.tree import flatten, map_structure

# Keras's variables do not know NumPy 2's copy argument.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OURS = SimpleNamespace(Input=layers.Input, Model=Model, Sequential=Sequential, layers=layers)


def residual(k: Any) -> Any:
    """A stem and three blocks, one of them without a projection, added in both orders."""
    dense, add, act = k.layers.Dense, k.layers.Add, k.layers.Activation
    start = k.Input((8,), name="start")
    x = dense(8, "relu", name="stem")(start)
    for b in range(3):
        short = dense(8, name=f"proj{b}")(x) if b != 1 else x
        y = dense(8, name=f"b{b}")(dense(8, "relu", name=f"a{b}")(x))
        x = act("relu", name=f"r{b}")(add(name=f"add{b}")([short, y] if b else [y, short]))
    return k.Model(start, dense(3, name="head")(x))


def images(k: Any) -> Any:
    """A small convolutional residual net with batch norm and pooling."""
    n = k.layers
    start = k.Input((8, 8, 3), name="start")
    x = n.Conv2D(4, 3, padding="same", name="stem")(start)
    for b in range(2):
        y = n.Conv2D(4, 3, padding="same", name=f"a{b}")(x)
        y = n.BatchNormalization(name=f"n{b}")(y)
        short = n.Conv2D(4, 1, name=f"s{b}")(x)
        x = n.ReLU(name=f"r{b}")(n.Add(name=f"add{b}")([y, short]))
        x = n.MaxPooling2D(2, name=f"p{b}")(x)
    return k.Model(start, n.Dense(2, name="head")(n.GlobalAveragePooling2D(name="gap")(x)))


def many_inputs(k: Any) -> Any:
    dense = k.layers.Dense
    a, b, c = (k.Input((size,), name=name) for size, name in ((4, "a"), (5, "b"), (6, "c")))
    x, z = dense(3, name="da")(a), dense(3, name="dc")(c)
    y = dense(3, name="db2")(dense(3, name="db")(b))
    joined = k.layers.Concatenate(name="join")([z, x, y])
    return k.Model([b, a, c], [dense(2, name="o")(joined)])


def many_outputs(k: Any) -> Any:
    dense = k.layers.Dense
    a = k.Input((4,), name="a")
    trunk = dense(5, name="trunk")(a)
    early = dense(2, name="early")(trunk)
    late = dense(2, name="late")(dense(4, name="hidden")(trunk))
    return k.Model(a, [late, early, dense(1, name="direct")(a)])


def dicts(k: Any) -> Any:
    a, b = k.Input((4,), name="a"), k.Input((5,), name="b")
    x = k.layers.Concatenate(name="join")([b, a])
    z, m = k.layers.Dense(2, name="zz")(x), k.layers.Dense(1, name="mm")(x)
    return k.Model({"b": b, "a": a}, {"z": z, "m": m})


def shared(k: Any) -> Any:
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    twice, extra = k.layers.Dense(4, name="twice"), k.layers.Dense(4, name="extra")
    x, y = twice(a), twice(extra(b))
    joined = k.layers.Concatenate(name="join")([x, y, twice(x)])
    return k.Model([a, b], k.layers.Dense(1, name="o")(joined))


def nested(k: Any) -> Any:
    dense = k.layers.Dense
    start = k.Input((4,), name="start")
    inner = k.Model(start, dense(3, name="in2")(dense(5, name="in1")(start)), name="inner")
    stack = k.Sequential([k.Input((3,)), dense(2, name="s1"), dense(2, name="s2")], name="stack")
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    x, y, w = inner(a), inner(b), dense(3, name="w")(b)
    return k.Model([a, b], [stack(k.layers.Add(name="add")([x, y, w])), stack(x)])


def passing(k: Any) -> Any:
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    return k.Model([a, b], [k.layers.Dense(2, name="d")(a), b])


def dense_net(k: Any) -> Any:
    a = k.Input((4,), name="a")
    seen = [a]
    for step in range(4):
        joined = k.layers.Concatenate(name=f"c{step}")(list(seen)) if step else a
        seen.append(k.layers.Dense(3, name=f"d{step}")(joined))
    return k.Model(a, k.layers.Add(name="sum")(seen[1:][::-1]))


def unused_call(k: Any) -> Any:
    a, layer = k.Input((4,), name="a"), k.layers.Dense(4, name="d")
    x = layer(a)
    layer(x)
    return k.Model(a, k.layers.Dense(2, name="o")(x))


def part(k: Any) -> Any:
    whole = residual(k)
    return k.Model(whole.input, [whole.get_layer("add1").output, whole.get_layer("a2").output])


def stack(k: Any) -> Any:
    n = k.layers
    return k.Sequential(
        [
            k.Input((6, 3)),
            n.Dense(4, "tanh", name="one"),
            n.Flatten(name="flat"),
            n.Dropout(0.5, name="drop"),
            n.Dense(2, name="two"),
        ]
    )


BUILDERS = [
    residual, images, many_inputs, many_outputs, dicts, shared, nested, passing, dense_net,
    unused_call, part, stack,
]  # fmt: skip


def inputs_for(model: Any) -> Any:
    random = np.random.default_rng(0)

    def data(tensor: Any) -> Any:
        return torch.tensor(random.normal(size=(3, *tensor.shape[1:])).astype("float32"))

    return map_structure(data, model.input)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_order_counts_shapes_and_outputs(build: Callable[[Any], Any]) -> None:
    theirs, ours = build(keras), build(OURS)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert ours.count_params() == theirs.count_params()
    weights = theirs.get_weights()
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in weights]
    for kind in ("trainable_weights", "non_trainable_weights"):
        assert len(getattr(ours, kind)) == len(getattr(theirs, kind))
    if build is not dicts:  # Keras gives the shapes of a dict as a list
        assert ours.input_shape == theirs.input_shape
        assert ours.output_shape == theirs.output_shape
    random = np.random.default_rng(1)
    weights = [np.abs(random.normal(size=w.shape)).astype("float32") * 0.5 for w in weights]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    x = inputs_for(ours)
    expected, actual = flatten(theirs(x)), flatten(ours(x))
    assert len(expected) == len(actual)
    for e, a in zip(expected, actual, strict=True):
        torch.testing.assert_close(a, e, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_freezing_counts_alike(build: Callable[[Any], Any]) -> None:
    theirs, ours = build(keras), build(OURS)
    for model in (theirs, ours):
        for layer in model.layers[1:4]:
            layer.trainable = False
    for kind in ("trainable_weights", "non_trainable_weights", "weights"):
        assert [
            tuple(w.layout.to_keras(w.tensor).shape)
            for t in getattr(ours, kind)
            for w in ours.collect()
            if w.tensor.data_ptr() == t.data_ptr()
        ] == [tuple(v.shape) for v in getattr(theirs, kind)]


def test_a_sequential_counts_as_a_functional_model() -> None:
    def names(library: Any) -> list[str]:
        library.utils.clear_session() if library is keras else library.config.clear_session()
        dense = library.layers.Dense
        first = library.Sequential([library.Input((3,)), dense(2)])
        second = library.Sequential()
        for layer in (library.Input((3,)), dense(2), dense(2)):
            second.add(layer)
        third = library.Sequential([dense(2)])
        third(np.ones((2, 3), "float32"))
        last = library.Model(inputs := library.Input((3,)), dense(2)(inputs))
        return [m.name for m in (first, second, third, last)] + [x.name for x in last.layers]

    assert names(nnkit) == names(keras)
