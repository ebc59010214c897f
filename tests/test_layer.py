"""A layer builds itself, follows modes, carries masks and losses."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnkit import layers
from nnkit.errors import ArgumentError
from nnkit.layer import Layer
from nnkit.layers import BatchNormalization, Dense, Embedding, Input
from nnkit.models import Model, Sequential
from nnkit.wrapper import TorchModuleWrapper, as_layer


class Scale(Layer):
    """Has a weight, a state, a loss and another result in training."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight((input_shape[-1], self.units), "ones", name="table")
        self.count = self.add_weight((), "zeros", trainable=False, name="count")

    def call(self, inputs: Any, training: Any = None) -> Any:
        self.add_loss(inputs.sum())
        return inputs @ self.table * (1 if training else 2)


class AddMask(Layer):
    """Makes a mask: positive numbers count."""

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return inputs[..., 0] > 0


class Pass(Layer):
    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs + 1


class CountMasked(Layer):
    """Gives how many steps its mask keeps; -1 without one."""

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return torch.full_like(inputs[:, :1, 0], -1)
        return mask.sum(1, keepdim=True).to(inputs.dtype)


class OldStyle(Layer):
    def forward(self, x: Any) -> Any:
        return x * 3


def test_builds_on_the_first_input() -> None:
    layer = Scale(4)
    assert not layer.built
    assert layer.weights == []
    assert layer(torch.ones(2, 5)).tolist() == [[10.0] * 4] * 2
    assert layer.built
    assert [tuple(w.shape) for w in layer.weights] == [(5, 4), ()]
    assert list(layer.state_dict()) == ["table", "count"]
    assert len(layer.trainable_weights) == len(layer.non_trainable_weights) == 1
    assert layer.count_params() == 21


def test_forward_is_call() -> None:
    assert OldStyle()(torch.ones(2)).tolist() == [3.0, 3.0]
    assert OldStyle().call(torch.ones(2)).tolist() == [3.0, 3.0]
    assert OldStyle()(Input((4,))).shape == (None, 4)


@pytest.mark.parametrize(
    ("mode", "argument", "result"),
    [(False, None, 2), (True, None, 1), (False, True, 1), (True, False, 2)],
)
def test_training(mode: bool, argument: Any, result: int) -> None:
    x = Input((1,))
    for model in (Scale(1), Sequential([Scale(1)]), Model(x, Scale(1)(x))):
        model.train(mode)
        value = torch.ones(1, 1)
        assert model(value, training=argument).item() == result
        assert model.training is mode


@pytest.mark.parametrize(
    ("make", "name", "shape"),
    [
        (lambda: Dense(2), "inputs", (2, 3)),
        (lambda: BatchNormalization(), "inputs", (2, 3)),
        (lambda: layers.RMSNormalization(), "x", (2, 3)),
        (lambda: layers.LSTM(2), "sequences", (2, 4, 3)),
        (lambda: Sequential([Input((3,)), Dense(2)]), "inputs", (2, 3)),
    ],
)
def test_the_input_may_be_given_by_name(make: Any, name: str, shape: tuple[int, ...]) -> None:
    layer, value = make(), torch.rand(shape)
    first = layer(**{name: value})
    assert torch.equal(first, layer(value))
    assert layer(**{name: Input(shape[1:])}).shape == (None, *first.shape[1:])


@pytest.mark.parametrize("kind", ["torch", "sequential", "nnkit"])
def test_a_part_kept_in_inference(kind: str) -> None:
    """`base(x, training=False)`: batch norm and dropout rest while the model around trains."""
    parts: list[Any] = [nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)]
    if kind == "nnkit":
        parts = [Dense(4), BatchNormalization(), nn.Dropout(0.5)]
    base = nn.Sequential(*parts) if kind == "torch" else Sequential([Input((3,)), *parts])
    x = Input((3,))
    model = Model(x, nn.Dropout(0.0)(Dense(2)(base(x, training=False))))
    for trained in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        trained.train()
        value, before = torch.rand(8, 3), [b.clone() for b in trained.buffers()]
        assert torch.equal(trained(value), trained(value))
        assert all(torch.equal(a, b) for a, b in zip(before, trained.buffers(), strict=True))
    assert base.training
    assert not torch.equal(base(torch.rand(8, 3)), base(torch.rand(8, 3)))


def test_trainable_reaches_down() -> None:
    model = Sequential([Input((3,)), Scale(2, name="s"), nn.Linear(2, 1)])
    model.trainable = False
    assert model.trainable_weights == []
    assert len(model.non_trainable_weights) == 4
    assert not any(p.requires_grad for p in model.parameters())
    model.trainable = True
    assert len(model.trainable_weights) == 3
    assert not model.layers[0].count.requires_grad
    model.layers[1].trainable = False
    assert not model.linear.weight.requires_grad if hasattr(model, "linear") else True
    assert len(model.trainable_weights) == 1


def test_frozen_before_it_is_built() -> None:
    layer = Dense(2, trainable=False)
    layer(torch.ones(1, 3))
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 2


def test_frozen_batch_norm_rests() -> None:
    layer = BatchNormalization()
    layer.trainable = False
    layer.train()
    x = torch.rand(16, 3) * 9
    layer(x)
    assert layer.get_weights()[2].tolist() == [0, 0, 0]
    torch.testing.assert_close(layer(x), x / (1 + 1e-3) ** 0.5)


def test_losses_belong_to_the_last_call() -> None:
    layer = Scale(2)
    x = Input((5,))
    model = Model(x, Dense(1, kernel_regularizer="l2", kernel_initializer="ones")(layer(x)))
    assert [round(v.item(), 4) for v in model.losses] == [0.02]
    layer(torch.ones(1, 5))
    for _ in range(2):
        model(torch.ones(2, 5))
        assert [round(v.item(), 4) for v in model.losses] == [10.0, 0.02]
    model.get_layer(index=2).trainable = False
    assert [v.item() for v in model.losses] == [10.0]


def test_activity_regularizer_is_divided_by_the_batch() -> None:
    layer = Dense(2, kernel_initializer="ones", activity_regularizer="l2")
    layer(torch.ones(4, 3))
    assert layer.losses[0].item() == pytest.approx(0.01 * 8 * 9 / 4)


def masked_models() -> list[Any]:
    class Own(Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.middle, self.last = AddMask(), Pass(), CountMasked()

        def call(self, inputs: Any) -> Any:
            return self.last(self.middle(self.first(inputs)))

    x = Input((4, 2))
    inner = Sequential([AddMask(), Pass()])
    return [
        Sequential([AddMask(), Pass(), CountMasked()]),
        Sequential([Input((4, 2)), AddMask(), Pass(), CountMasked()]),
        Model(x, CountMasked()(Pass()(AddMask()(x)))),
        Own(),
        Sequential([inner, CountMasked()]),
        Model(x, CountMasked()(Model(x, Pass()(AddMask()(x)))(x))),
    ]


@pytest.mark.parametrize("which", range(6))
def test_masks_reach_later_layers(which: int) -> None:
    model = masked_models()[which]
    x = torch.ones(2, 4, 2)
    x[0, 2:] = -1
    for _ in range(2):
        assert model(x).tolist() == [[2.0], [4.0]]
    assert copy.deepcopy(model)(x).tolist() == [[2.0], [4.0]]


def test_masks_stop_where_unsupported() -> None:
    model = Sequential([AddMask(), OldStyle(name="old"), CountMasked()])
    with pytest.warns(UserWarning, match="OldStyle 'old' was given a masked input but does not"):
        assert model(torch.ones(2, 4, 2)).tolist() == [[-1.0], [-1.0]]
    masked = AddMask()(torch.ones(2, 4, 2))
    with pytest.warns(UserWarning, match="masked steps count from here on"):
        OldStyle()(masked)


def test_a_models_output_carries_its_mask() -> None:
    tokens = Input((4,), dtype="int64")
    model = Model(tokens, Pass()(Embedding(5, 3, mask_zero=True)(tokens)))
    data = torch.tensor([[1, 2, 0, 0]])
    for copied in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert copied(data)._keras_mask.tolist() == [[True, True, False, False]]
    assert CountMasked()(model(data)).tolist() == [[2.0]]
    kept = Model(tokens, CountMasked()(model(tokens)))
    assert kept(data).tolist() == [[2.0]]


def test_a_mask_given_by_hand_wins() -> None:
    mask = torch.tensor([[True, False, False, False]])
    assert CountMasked()(AddMask()(torch.ones(1, 4, 2)), mask=mask).tolist() == [[1.0]]


def test_building_leaves_no_trace() -> None:
    """Inference of shapes touches neither the random state nor the statistics."""
    normal, state = nn.BatchNorm1d(6), torch.get_rng_state()
    x = Input((6,))
    model = Model(x, nn.Dropout(0.5)(normal(x)))
    model.train()
    model(Input((6,)), training=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert normal.num_batches_tracked == 0
    assert normal.running_mean.abs().sum() == 0


def test_code_that_looks_at_values() -> None:
    """A branch on data is run on zeros to find its shape, without a trace."""

    class Branch(Layer):
        def call(self, inputs: Any) -> Any:
            if inputs.sum() > 0:
                return inputs * 2 + torch.rand(())
            return inputs - torch.rand(())

    state, layer = torch.get_rng_state(), Branch()
    x = Input((None, 3))
    assert layer(x).shape == (None, None, 3)
    assert torch.equal(torch.get_rng_state(), state)
    assert Model(x, layer(x))(torch.ones(1, 2, 3)).min() >= 2


def test_lazy_torch_modules() -> None:
    model = Sequential([nn.LazyConv1d(3, 1), nn.LazyBatchNorm1d(), nn.Flatten(), nn.LazyLinear(2)])
    model.train()
    assert model(torch.ones(2, 4, 5)).shape == (2, 2)
    assert [tuple(w.shape) for w in model.trainable_weights] == [
        (3, 4, 1), (3,), (3,), (3,), (2, 15), (2,),
    ]  # fmt: skip
    assert next(b for n, b in model.named_buffers() if "tracked" in n) == 1


def test_torch_module_channels_first() -> None:
    conv = nn.Conv2d(3, 4, 3)
    x = torch.rand(2, 8, 8, 3)
    wrapped = TorchModuleWrapper(conv, data_format="channels_first")
    torch.testing.assert_close(wrapped(x), conv(x.movedim(-1, 1)).movedim(1, -1))
    assert wrapped(Input((8, 8, 3))).shape == (None, 6, 6, 4)
    assert as_layer(conv) is as_layer(conv)
    with pytest.raises(ArgumentError, match="TorchModuleWrapper needs a torch module, got 'relu'"):
        TorchModuleWrapper("relu")


def test_config() -> None:
    layer = Scale(4, name="mine", trainable=False)
    config = layer.get_config()
    dtype = config.pop("dtype")
    assert config == {"name": "mine", "trainable": False, "units": 4}
    assert (dtype["class_name"], dtype["config"]) == ("DTypePolicy", {"name": "float32"})
    again = Scale.from_config(config)
    assert (again.units, again.name, again.trainable) == (4, "mine", False)
    assert not again.built


@pytest.mark.parametrize(
    ("layer", "shape", "result"),
    [
        (Dense(4), (None, 3), (None, 4)),
        (Dense(4), (2, 5, 3), (2, 5, 4)),
        (Scale(2), (7, 3), (7, 2)),
        (nn.Linear(3, 2), (None, 3), (None, 2)),
    ],
)
def test_compute_output_shape(layer: Any, shape: Any, result: Any) -> None:
    layer = as_layer(layer)
    assert layer.compute_output_shape(shape) == result
    assert layer._inbound_nodes == []


def test_arrays_are_taken() -> None:
    layer = Dense(2, kernel_initializer="ones")
    assert layer(np.ones((2, 3))).tolist() == [[3.0, 3.0]] * 2
    assert layer(np.ones((2, 3), dtype="int64") * 1.0).dtype is torch.float32


@pytest.mark.parametrize(
    "arguments", [{"input_shape": (3,)}, {"input_dim": 3}, {"batch_input_shape": (None, 3)}]
)
def test_shape_on_the_first_layer(arguments: dict[str, Any]) -> None:
    assert Sequential([Dense(2, **arguments)]).input_shape == (None, 3)
    assert Sequential([Dense(2, input_shape=(3,), batch_size=5)]).input_shape == (5, 3)


@pytest.mark.parametrize("which", [1, 2, 4, 5])
def test_masks_under_compile(which: int) -> None:
    torch._dynamo.reset()
    model, x = masked_models()[which], torch.ones(2, 4, 2)
    x[0, 2:] = -1
    model(x)
    fast = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert fast(x).tolist() == [[2.0], [4.0]]


def test_double_input_is_cast_to_the_weights() -> None:
    dense = Dense(2)
    assert dense(torch.ones(1, 3, dtype=torch.float64)).dtype == torch.float32
    assert dense.double()(torch.ones(1, 3, dtype=torch.float64)).dtype == torch.float64
    assert dense.float()(np.ones((1, 3))).dtype == torch.float32


def test_a_subclass_that_computes_something_else_is_inferred_anew() -> None:
    class Twice(Dense):
        def call(self, inputs):
            outputs = super().call(inputs)
            return torch.cat([outputs, outputs], dim=-1)

    assert Twice(3)(Input((4,))).shape == (None, 6)


def test_a_layer_held_under_two_names_is_inferred() -> None:
    class Both(Layer):
        def __init__(self):
            super().__init__()
            self.steps = [Dense(4), Dense(4)]
            self.again = self.steps[1]

        def call(self, inputs):
            return self.again(self.steps[1](self.steps[0](inputs)))

    model = Model(x := Input((4,)), Both()(x))
    assert model(torch.ones(2, 4)).shape == (2, 4)
    assert len(model.weights) == 4


@pytest.mark.parametrize(
    ("make", "several"),
    [
        (layers.GlobalAveragePooling1D, False),
        (BatchNormalization, False),
        (lambda: layers.LSTM(2), False),
        (layers.Attention, True),
    ],
)
def test_masks_may_be_arrays(make: Callable[[], Any], several: bool) -> None:
    layer, x = make(), torch.rand(2, 3, 4)
    mask = np.array([[True, True, False], [True, False, False]])
    inputs, masks = ([x, x], [mask, mask]) if several else (x, mask)
    tensors = [torch.tensor(mask)] * 2 if several else torch.tensor(mask)
    given = layer(inputs, mask=masks)
    torch.testing.assert_close(given, layer(inputs, mask=tensors))
    assert not torch.equal(given, layer(inputs)) or isinstance(layer, BatchNormalization)
