"""check_layer passes good layers and catches each kind of fault in a broken one."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnkit import naming
from nnkit.errors import ArgumentError, NnkitError
from nnkit.layer import Layer
from nnkit.layers.core import Dense, Lambda
from nnkit.layers.recurrent import GRU
from nnkit.testing import LAYER_PROPERTIES, ConformanceError, check_layer

NOT_TRACED = {"compile": "to be quick", "export": "to be quick"}


class Scale(Layer):
    """A good layer: one weight a feature, and an argument."""

    supports_masking = True

    def __init__(self, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.scale * self.factor


# -- broken ones -----------------------------------------------------------------------------------


class Raises(Scale):
    def call(self, inputs: Any) -> Any:
        raise ValueError("no such luck")


class GivesNothing(Scale):
    def call(self, inputs: Any) -> Any:
        return None


class HoldsALock(Scale):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lock = threading.Lock()


class CopiesItselfOnly(Scale):
    def __deepcopy__(self, memo: Any) -> Any:
        return self


class HoldsALambda(Scale):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.twice = lambda x: x * 2

    def call(self, inputs: Any) -> Any:
        return self.twice(super().call(inputs))


class HidesATensor(Scale):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.hidden = torch.rand(input_shape[-1])

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) + self.hidden


class ForgetsWholeNumbers(Scale):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.register_buffer("offset", torch.randint(1000, (input_shape[-1],)))

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) + self.offset


class GivesItsMemory(Scale):
    def get_weights(self) -> list[np.ndarray]:
        return [weight.detach().numpy() for weight in self.weights]


class Miscounts(Scale):
    def count_params(self) -> int:
        return 7


class StaysTrainable(Scale):
    @property
    def trainable_weights(self) -> list[torch.Tensor]:
        return self.weights


class BuildsOnMeta(Scale):
    def build(self, input_shape: Any) -> None:
        on = "meta" if input_shape[0] is None else "cpu"
        self.scale = nn.Parameter(torch.ones(input_shape[-1], device=on))


class BuildsByBatch(Scale):
    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[0] or 1, 1, 1), "ones", name="scale")


class InfersForGood(Scale):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.add_weight_buffer("seen", "seen", torch.zeros(()))

    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        self.seen.add_(1)
        return torch.empty_like(inputs)


class DrawsWhenSymbolic(Scale):
    def call(self, inputs: Any, training: Any = None) -> Any:
        noise = torch.rand((), device="cpu") if training else 1.0
        return super().call(inputs) * noise


class PromisesAnotherShape(Scale):
    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return inputs.new_empty((*inputs.shape[:-1], 3))


class PromisesOneBatchSize(Scale):
    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return inputs.new_empty((2, *inputs.shape[1:]))


class PromisesAnotherType(Scale):
    keeps_shape = True

    def call(self, inputs: Any) -> Any:
        return super().call(inputs).double()


class PromisesMore(Scale):
    def infer_output(self, inputs: Any, **kwargs: Any) -> Any:
        return torch.empty_like(inputs), torch.empty_like(inputs)


class ChangesItsInput(Scale):
    def call(self, inputs: Any) -> Any:
        return super().call(inputs.add_(1))


class ChangesItsInputInTraining(Scale):
    def call(self, inputs: Any, training: Any = None) -> Any:
        return super().call(inputs.mul_(2) if training else inputs)


class AlwaysDrops(Scale):
    def call(self, inputs: Any) -> Any:
        return F.dropout(super().call(inputs), 0.5)


class CountsInInference(Scale):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.add_weight_buffer("count", "count", torch.zeros(()))

    def call(self, inputs: Any) -> Any:
        self.count.add_(1)
        return super().call(inputs)


class GivesNaN(Scale):
    def call(self, inputs: Any, training: Any = None) -> Any:
        return super().call(inputs).log() if training else super().call(inputs)


class ShrinksInTraining(Scale):
    def call(self, inputs: Any, training: Any = None) -> Any:
        return super().call(inputs)[..., :2] if training else super().call(inputs)


class Detaches(Scale):
    def call(self, inputs: Any) -> Any:
        return inputs * self.scale.detach()


class LeavesOneOut(Scale):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.idle = self.add_weight((3,), "ones", name="idle")


class HasASteepSlope(Scale):
    def call(self, inputs: Any) -> Any:
        return inputs * (self.scale - self.scale).sqrt()


class MakesFloat32(Scale):
    def call(self, inputs: Any) -> Any:
        return super().call(inputs) @ torch.ones(inputs.shape[-1], 2)


class GivesFloat32(Scale):
    def call(self, inputs: Any) -> Any:
        return super().call(inputs).float()


class MixesTypes(Scale):
    def call(self, inputs: Any) -> Any:
        product = F.linear(super().call(inputs), torch.diag(self.scale))
        return torch.lerp(inputs, product, 0.5)


class LooksAtValues(Scale):
    def call(self, inputs: Any) -> Any:
        return super().call(inputs) if float(inputs.detach().sum()) < 1e9 else inputs


class BranchesOnBatch(Scale):
    def call(self, inputs: Any) -> Any:
        return super().call(inputs) * (1.0 if inputs.shape[0] < 3 else 1)


class ForgetsAnArgument(Scale):
    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class ForgetsItsWidth(Layer):
    def __init__(self, width: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.width), "ones", name="kernel")

    def call(self, inputs: Any) -> Any:
        return inputs @ self.kernel

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class DoublesAnArgument(Scale):
    def __init__(self, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(factor * 2, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "factor": self.factor}


class BecomesItsBase(Scale):
    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return Scale(**config)


class ConfigNeedsMore(Scale):
    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": 3}


class KeepsItsName(Scale):
    def __init__(self, factor: float = 2.0, name: Any = None, **kwargs: Any) -> None:
        super().__init__(factor, name="mine", **kwargs)


class NamesTwoAlike(Scale):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.shift = self.add_weight((input_shape[-1],), "zeros", name="scale")

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) + self.shift


class MasksOnDataOnly(Scale):
    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask if isinstance(inputs, torch.Tensor) else None


class MasksWithNumbers(Scale):
    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return (inputs != 0).any(-1) * 1.0


class MasksAnotherShape(Scale):
    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return (inputs != 0).any(-1)[:, 1:]


class MasksOtherwiseInAModel(Scale):
    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        empty = (inputs == 0).all(-1)
        return ~empty if isinstance(inputs, torch.Tensor) else empty


class ComputesOutsideCall(Scale):
    supports_masking = False

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = super().__call__(inputs, *args, **kwargs)
        return outputs + 1 if isinstance(outputs, torch.Tensor) else outputs


@pytest.mark.parametrize(
    ("broken", "name", "said"),
    [
        (Raises, "call", "ValueError came: no such luck"),
        (GivesNothing, "call", "a call on data to give tensors, but it gave none"),
        (HoldsALock, "deepcopy", "cannot pickle '_thread.lock' object"),
        (CopiesItselfOnly, "deepcopy", "the copy shares the memory of 'scale'"),
        (HoldsALambda, "pickle", "Use functions and classes from the top of a module"),
        (HidesATensor, "state_dict", "the fresh one gave output that differs by up to 0"),
        (ForgetsWholeNumbers, "weights", "the fresh one gave output that differs by up to"),
        (GivesItsMemory, "weights", "with get_weights's arrays zeroed, gave output that differs"),
        (Miscounts, "counts", "count_params says 7 and get_weights holds 4 numbers"),
        (StaysTrainable, "counts", "1 weights stay trainable with trainable=False"),
        (BuildsOnMeta, "building", "'scale' has no data: it is on torch's meta device"),
        (
            BuildsByBatch,
            "building",
            "it made weights [(1, 1, 1)], where a call on data makes [(2, 1, 1)]",
        ),
        (InfersForGood, "building", "a second symbolic call changed 'seen'"),
        (DrawsWhenSymbolic, "building", "a second symbolic call drew random numbers"),
        (
            PromisesAnotherShape,
            "shapes",
            "(None, None, 3) torch.float32 was promised and (2, 6, 4)",
        ),
        (
            PromisesOneBatchSize,
            "shapes",
            "was promised and (3, 9, 4) torch.float32 came for inputs (3, 9, 4)",
        ),
        (PromisesAnotherType, "shapes", "was promised and (2, 6, 4) torch.float64 came"),
        (PromisesMore, "shapes", "2 outputs were promised and 1 came"),
        (ChangesItsInput, "inputs", "inference changed the values of input 0"),
        (ChangesItsInputInTraining, "inputs", "training changed the values of input 0"),
        (AlwaysDrops, "modes", "a second call in inference gave output that differs"),
        (CountsInInference, "modes", "inference changed 'count'"),
        (GivesNaN, "modes", "training gave values that are not finite"),
        (ShrinksInTraining, "modes", "training gave [(2, 6, 2)] and inference [(2, 6, 4)]"),
        (Detaches, "gradients", "no output depends on a parameter"),
        (LeavesOneOut, "gradients", "no gradient reaches 'idle'. Use every weight in call"),
        (HasASteepSlope, "gradients", "the gradient of 'scale' is not finite"),
        (MakesFloat32, "dtypes", "RuntimeError came: expected m1 and m2 to have the same dtype"),
        (GivesFloat32, "dtypes", "the outputs are torch.float32"),
        (MixesTypes, "autocast", "RuntimeError came: expected dtype float for `end`"),
        (LooksAtValues, "compile", "Keep call free of .item(), float(x), bool(x)"),
        (ForgetsAnArgument, "config", "the new one, with these weights, gave output that differs"),
        (ForgetsItsWidth, "config", "it made weights [(4, 2)] in place of [(4, 3)]"),
        (DoublesAnArgument, "config", "'factor' went from 4.0 to 8.0"),
        (BecomesItsBase, "config", "it gave a Scale"),
        (ConfigNeedsMore, "config", "Unknown argument of ConfigNeedsMore 'size'"),
        (KeepsItsName, "names", "name='given_name' made one called 'mine'"),
        (NamesTwoAlike, "names", "two of its weights are called 'scale'"),
        (MasksOnDataOnly, "masks", "a call on data gave a mask and a symbolic call none"),
        (MasksWithNumbers, "masks", "the mask is of torch.float32, not torch.bool"),
        (MasksAnotherShape, "masks", "the mask is (2, 5) for an output (2, 6, 4)"),
        (MasksOtherwiseInAModel, "masks", "the model's masks gave output that differs by up to 1"),
        (ComputesOutsideCall, "uses", "the functional model gave output that differs by up to 1"),
    ],
)
def test_catches(broken: type, name: str, said: str) -> None:
    arguments = {ForgetsAnArgument: (3.0,), ForgetsItsWidth: (3,)}.get(broken, ())
    skip = {key: why for key, why in NOT_TRACED.items() if key != name}
    with pytest.raises(ConformanceError) as caught:
        check_layer(lambda: broken(*arguments), (None, 4), skip=skip)
    assert caught.value.property == name
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{broken.__name__} '")


def test_catches_a_program_for_one_batch_size() -> None:
    with pytest.raises(
        ConformanceError, match=r"'export': expected torch.export with a free batch"
    ):
        check_layer(BranchesOnBatch, (4,), skip={"compile": "to be quick"})


def test_the_error_is_what_test_runners_and_users_of_nnkit_catch() -> None:
    assert issubclass(ConformanceError, AssertionError)
    assert issubclass(ConformanceError, NnkitError)


def test_the_cause_is_kept() -> None:
    with pytest.raises(ConformanceError) as caught:
        check_layer(Raises, (4,))
    assert isinstance(caught.value.__cause__, ValueError)


# -- good ones -------------------------------------------------------------------------------------


def test_passes_a_good_layer_with_everything_checked() -> None:
    check_layer(lambda: Scale(3.0), (None, 4))


def test_takes_a_layer_and_leaves_it_alone() -> None:
    layer = Scale(name="mine")
    random, count = torch.get_rng_state(), naming._used.copy()
    check_layer(layer, 4, skip=NOT_TRACED)
    assert not layer.built
    assert not layer._inbound_nodes
    assert torch.equal(random, torch.get_rng_state())
    assert naming._used == count


def test_takes_a_torch_module() -> None:
    check_layer(nn.Linear(4, 2), (4,), skip=NOT_TRACED)


def test_several_inputs_called_in_their_own_way() -> None:
    check_layer(
        Attend,
        [(5, 4), (None, 4)],
        call=lambda layer, query, value: layer(query, value=value),
        skip=NOT_TRACED,
    )


class Attend(Layer):
    def call(self, query: Any, value: Any) -> Any:
        return torch.softmax(query @ value.transpose(1, 2), -1) @ value


def test_data_and_types() -> None:
    seen: list[torch.Tensor] = []

    def words(shape: tuple[int, ...]) -> torch.Tensor:
        seen.append(torch.full(shape, 40))
        return seen[-1]

    check_layer(lambda: Lambda(torch.abs), [(None,)], "int64", data=words, skip=NOT_TRACED)
    assert {tuple(x.shape) for x in seen} == {(2, 6), (3, 9)}


def test_a_fixed_batch_size() -> None:
    skip = {"modes": "a stateful layer goes on from where it was", **NOT_TRACED}
    check_layer(lambda: GRU(2, stateful=True), (3, 4), batch_size=2, skip=skip)


def test_weights_without_gradient() -> None:
    check_layer(LeavesOneOut, (4,), without_gradient=["idle"], skip=NOT_TRACED)


def test_skips_what_it_is_told_to() -> None:
    check_layer(Miscounts, (4,), skip={"counts": "it cannot count", **NOT_TRACED})


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: check_layer(3, (4,)), ArgumentError, r"needs a layer, or a class or .*, got 3"),
        (lambda: check_layer(lambda: 3, (4,)), ArgumentError, r"made 3. It has to make a layer"),
        (
            lambda: check_layer(Scale, (4,), skip={"picle": "no"}),
            ArgumentError,
            r"Unknown property in skip 'picle'. Did you mean 'pickle'",
        ),
        (
            lambda: check_layer(Scale, (4,), skip={"pickle": " "}),
            ArgumentError,
            r"skip must say why: give 'pickle' a reason",
        ),
        (
            lambda: check_layer(Scale, (4,), skip=["pickle"]),  # type: ignore[arg-type]
            ArgumentError,
            r"skip must map properties to reasons, got \['pickle'\]",
        ),
        (
            lambda: check_layer(Scale, [(4,), (3,)], ["float32"]),
            ArgumentError,
            r"input_dtype must be one value or a list of 2",
        ),
        (
            lambda: check_layer(Scale, (4,), without_gradient=["skale"]),
            ConformanceError,
            r"Unknown parameter in without_gradient 'skale'. Did you mean 'scale'",
        ),
        (
            lambda: check_layer(HoldsALock(), (4,)),
            ConformanceError,
            r"copy.deepcopy raised TypeError.*or give a function that makes a new one",
        ),
        (
            lambda: check_layer(Dense(3), (None,)),
            ConformanceError,
            r"Dense 'dense\w*' needs to know the number of features",
        ),
    ],
)
def test_refuses(call: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        call()


def test_every_property_is_caught_by_a_test_above() -> None:
    rows = test_catches.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {name for _, name, _ in rows} | {"export"} == set(LAYER_PROPERTIES)
