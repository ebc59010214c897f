"""Dtype policies: names, maps, configs and what layers do with them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnkit import config, dtype_policies
from nnkit.dtype_policies import DTypePolicy, DTypePolicyMap, FloatDTypePolicy
from nnkit.errors import ArgumentError
from nnkit.layer import Layer
from nnkit.layers.activation import Softmax
from nnkit.layers.core import Dense
from nnkit.layers.embedding import Embedding
from nnkit.layers.input import Input
from nnkit.layers.regularization import Dropout
from nnkit.models import Model, Sequential


@pytest.fixture(autouse=True)
def no_global_policy() -> Iterator[None]:
    yield
    config.set_dtype_policy(None)


@pytest.mark.parametrize(
    ("name", "compute", "variable"),
    [
        ("float32", "float32", "float32"),
        ("mixed_bfloat16", "bfloat16", "float32"),
        ("mixed_float16", "float16", "float32"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("int64", "int64", "int64"),
    ],
)
def test_names(name: str, compute: str, variable: str) -> None:
    policy = DTypePolicy(name)
    assert (policy.name, policy.compute_dtype, policy.variable_dtype) == (name, compute, variable)
    assert policy == FloatDTypePolicy(name) == dtype_policies.get(name)
    assert hash(policy) == hash(DTypePolicy(name))
    assert copy.deepcopy(policy) == pickle.loads(pickle.dumps(policy)) == policy
    assert repr(policy) == f'<DTypePolicy "{name}">'
    assert DTypePolicy.from_config(policy.get_config()) == policy


def test_the_global_policy() -> None:
    assert config.dtype_policy().name == "float32"
    config.set_dtype_policy("mixed_bfloat16")
    assert DTypePolicy().name == dtype_policies.get(None).name == "mixed_bfloat16"
    assert Dense(2).compute_dtype == "bfloat16"
    assert Dense(2, dtype="float32").compute_dtype == "float32"
    config.clear_session()
    assert Dense(2).compute_dtype == "float32"
    config.set_floatx("float64")
    try:
        assert config.dtype_policy().name == Dense(2).dtype == "float64"
    finally:
        config.set_floatx("float32")


@pytest.mark.parametrize(
    "given",
    ["mixed_float16", DTypePolicy("mixed_float16"), DTypePolicyMap("mixed_float16")]
    + [{"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}],
)
def test_what_a_layer_takes(given: Any) -> None:
    layer = Dense(2, dtype=given)
    assert (layer.dtype, layer.variable_dtype) == ("float32", "float32")
    assert layer.compute_dtype == layer.input_dtype == "float16"
    assert type(layer).from_config(layer.get_config()).dtype_policy == layer.dtype_policy


@pytest.mark.parametrize("given", [torch.float64, np.float64, np.dtype("float64")])
def test_dtypes_as_policies(given: Any) -> None:
    assert dtype_policies.get(given).name == "float64"


def test_maps() -> None:
    policies = DTypePolicyMap("mixed_bfloat16", {"out": "float32", "wide.*": "float64"})
    assert [policies[name].name for name in ("out", "wide_1", "other")] == [
        "float32", "float64", "mixed_bfloat16",
    ]  # fmt: skip
    assert policies.name == "map_mixed_bfloat16"
    assert (len(policies), list(policies), "out" in policies) == (2, ["out", "wide.*"], True)
    assert Dense(2, name="out", dtype=policies).compute_dtype == "float32"
    assert dtype_policies.deserialize(dtype_policies.serialize(policies)) == policies
    del policies["out"]
    assert policies["out"].name == "mixed_bfloat16"
    assert DTypePolicyMap().default_policy.name == "float32"


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: DTypePolicy("mixed_float15"), "Unknown dtype policy 'mixed_float15'. Use 'mixed"),
        (lambda: DTypePolicy(3), "name of a DTypePolicy must be a string, got 3"),
        (lambda: DTypePolicy("int8_from_float32"), "quantizes, which nnkit does not"),
        (lambda: dtype_policies.get(3), "dtype must be a name such as 'float32'"),
        (lambda: Dense(2, dtype="flaot32"), "Unknown dtype policy 'flaot32'"),
        (lambda: dtype_policies.get({"class_name": "Int4"}), "no dtype policy of the class 'Int4'"),
        (lambda: DTypePolicyMap(DTypePolicyMap()), "cannot be a map itself"),
        (lambda: DTypePolicyMap(policy_map=[1]), r"policy_map must be a dict, got \[1\]"),
        (lambda: DTypePolicyMap("float32", {"a.*": "float64", ".b": "float16"})["ab"], "several"),
        (lambda: DTypePolicyMap("float32", {"a": "int8"}).__setitem__("a", "int8"), "'a' already"),
        (
            lambda: setattr(Sequential([Input((2,)), Dense(1)]).layers[0], "dtype_policy", "int8"),
            "is part of a graph already",
        ),
    ],
)
def test_mistakes(mistake: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        mistake()


class Scaled(Layer):
    """A layer of Keras's kind, with a weight in an addition, which promotes."""

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((input_shape[-1],), "ones")
        self.shift = self.add_weight((input_shape[-1],), "zeros")

    def call(self, inputs: Any) -> Any:
        self.seen = inputs.dtype
        return inputs * self.factor + self.shift


@pytest.mark.parametrize("kind", [Scaled, lambda **kw: Dense(3, **kw)])
@pytest.mark.parametrize(
    ("policy", "out", "kept"),
    [
        ("mixed_bfloat16", torch.bfloat16, torch.float32),
        ("mixed_float16", torch.float16, torch.float32),
        ("bfloat16", torch.bfloat16, torch.bfloat16),
        ("float64", torch.float64, torch.float64),
    ],
)
def test_outputs_and_weights(kind: Any, policy: str, out: Any, kept: Any) -> None:
    layer = kind(dtype=policy)
    made = layer(torch.rand(2, 3))
    assert made.dtype == layer(np.ones((2, 3))).dtype == layer(torch.ones(2, 3).half()).dtype == out
    assert {weight.dtype for weight in layer.weights} == {kept}
    made.sum().backward()
    assert {weight.grad.dtype for weight in layer.weights} == {kept}
    symbol = kind(dtype=policy)(Input((3,)))
    assert symbol.dtype == out


def test_layers_cast_within_a_model() -> None:
    inputs = Input((4,))
    x = Dense(3, "relu", dtype="mixed_bfloat16", name="a")(inputs)
    x = Dropout(0.5, dtype="mixed_bfloat16")(x)
    x = nn.Tanh()(x)
    scaled = Scaled(dtype="mixed_bfloat16")
    x = scaled(x)
    outputs = Softmax(dtype="float32")(Dense(2, dtype="float64", name="b")(x))
    model = Model(inputs, outputs)
    seen = {}
    for name in "ab":
        layer = model.get_layer(name)
        layer.register_forward_hook(
            lambda layer, args, out: seen.update({layer.name: (args[0].dtype, out.dtype)})
        )
    result = model(np.ones((2, 4)))
    assert result.dtype == outputs.dtype == torch.float32
    assert seen == {
        "a": (torch.bfloat16, torch.bfloat16),
        "b": (torch.float64, torch.float64),
    }
    assert scaled.seen == torch.bfloat16
    assert not torch.is_autocast_enabled("cpu")


def test_a_float32_layer_inside_a_mixed_one_stays_exact() -> None:
    class Block(Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.exact = Dense(2, dtype="float32", use_bias=False)

        def build(self, shape: Any) -> None:
            self.gain = self.add_weight((2, 2), "ones")

        def call(self, x: Any) -> Any:
            inside = self.exact(x)
            assert inside.dtype == torch.float32
            with torch.autocast("cpu", enabled=False):
                expected = x.float() @ self.exact.kernel
            torch.testing.assert_close(inside, expected, rtol=0, atol=0)
            return inside @ self.gain

    assert Block(dtype="mixed_bfloat16")(torch.rand(5, 3)).dtype == torch.bfloat16


def test_moving_a_model_to_another_float_type_changes_its_policies() -> None:
    model = Sequential([Input((3,)), Dense(2), Dropout(0.5)]).to(torch.bfloat16)
    assert [layer.dtype_policy.name for layer in model.layers] == ["bfloat16"] * 2
    assert model(torch.ones(1, 3)).dtype == torch.bfloat16
    assert [layer.compute_dtype for layer in model.double().layers] == ["float64"] * 2
    mixed = Sequential([Input((3,)), Dense(2, dtype="mixed_float16")]).to("cpu")
    assert mixed.layers[0].dtype_policy.name == "mixed_float16"


def test_whole_numbers_and_masks_stay() -> None:
    embedding = Embedding(5, 2, mask_zero=True, dtype="mixed_bfloat16")
    made = embedding(np.array([[1, 0]]))
    assert made.dtype == torch.bfloat16
    assert made._keras_mask.tolist() == [[True, False]]


def test_autocast_off() -> None:
    assert Dropout(0.5, autocast=False)(torch.ones(2).double()).dtype == torch.float64
    assert Dropout(0.5)(torch.ones(2).double()).dtype == torch.float32


def test_torch_autocast_of_the_caller_is_left_alone() -> None:
    model = Sequential([Dense(3), Dropout(0.5), Dense(2)])
    model(torch.ones(1, 4))
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.ones(1, 4)).dtype == torch.bfloat16


def test_what_was_seen_before_is_cast_when_the_policy_has_changed() -> None:
    layer, x = Dense(2), torch.ones(1, 3)
    assert [layer(x).dtype for _ in range(2)] == [torch.float32] * 2
    assert layer(x.double()).dtype == torch.float32
    layer.dtype_policy = "mixed_bfloat16"
    assert [layer(x).dtype for _ in range(2)] == [torch.bfloat16] * 2
    layer.dtype_policy = "float32"
    layer.double()
    assert [layer(each).dtype for each in (x, x.double())] == [torch.float64] * 2


def test_layers_of_a_graph_cast_behind_their_doors() -> None:
    inputs = Input((3,))
    half = Dense(4, dtype="mixed_bfloat16")(inputs)
    model = Model(inputs, [half, Dense(2, dtype="float64")(half), Dense(2)(half)])
    outputs = model(torch.ones(1, 3))
    kinds = [torch.bfloat16, torch.float64, torch.float32]
    assert [output.dtype for output in outputs] == kinds
    first, wide, _ = model.layers[1:]
    with torch.autocast("cpu", torch.bfloat16):
        wanted = torch.nn.functional.linear(torch.ones(1, 3), first.weight, first.bias)
    assert torch.equal(outputs[0], wanted)
    exact = torch.nn.functional.linear(wanted.double(), wide.weight, wide.bias)
    assert torch.equal(outputs[1], exact)
