"""Weights go to a file and come back, or nothing happens and the reason is told."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from nnkit import naming
from nnkit.errors import ArgumentError, FileError, NotBuiltError
from nnkit.layer import Layer
from nnkit.layers.core import Dense
from nnkit.layers.input import Input
from nnkit.layers.recurrent import GRU
from nnkit.models import Model, Sequential
from nnkit.saving import load_weights, save_weights


class Scale(Layer):
    """A layer with all kinds of weights."""

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight((), "zeros", dtype="int64", trainable=False, name="count")
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
        self.add_weight_buffer("mean", "moving_mean", torch.zeros(2))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.factor + self.mean.sum() + self.count


def stack(units: int = 4, bias: bool = True) -> Sequential:
    """A model with torch's and nnkit's layers; its random weights differ at every call."""
    naming.clear()
    torch_part = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    layers = [Dense(units, "tanh"), Scale(), Dense(3, use_bias=bias), torch_part]
    model = Sequential([Input((5,)), *layers])
    model(torch.zeros(2, 5))
    return model


def fill(model: Layer, start: int = 0) -> None:
    """Give each number of each weight a value of its own."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(torch.arange(start, start + tensor.numel()).reshape(tensor.shape))
            start += tensor.numel()


def values(model: Layer) -> dict[str, np.ndarray]:
    return {key: value.numpy().copy() for key, value in model.state_dict().items()}


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], err_msg=key, strict=True)


every_format = pytest.mark.parametrize("ending", [".weights.h5", ".pt", ".pth", ".safetensors"])


@every_format
def test_round_trip(tmp_path: Path, ending: str) -> None:
    model, other = stack(), stack()
    fill(model)
    save_weights(model, tmp_path / f"a{ending}")
    assert os.listdir(tmp_path) == [f"a{ending}"]
    load_weights(other, str(tmp_path / f"a{ending}"))
    assert_same(values(other), values(model))


@every_format
def test_nothing_is_shared_with_what_was_read(tmp_path: Path, ending: str) -> None:
    model = stack()
    before = [tensor.data_ptr() for tensor in model.weights]
    save_weights(model, tmp_path / f"a{ending}")
    load_weights(model, tmp_path / f"a{ending}")
    assert [tensor.data_ptr() for tensor in model.weights] == before


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("ending", [".weights.h5", ".pt"])
def test_types_are_kept(tmp_path: Path, dtype: str, ending: str) -> None:
    models = []
    for _ in range(2):
        naming.clear()
        models.append(Sequential([Input((3,), dtype=dtype), Dense(2, dtype=dtype)]))
    save_weights(models[0], tmp_path / f"a{ending}")
    load_weights(models[1], tmp_path / f"a{ending}")
    first, second = (model.layers[0].weight for model in models)
    assert second.dtype is getattr(torch, dtype)
    assert torch.equal(first, second)


def test_another_type_is_converted(tmp_path: Path) -> None:
    double = Sequential([Input((3,), dtype="float64"), Dense(2, dtype="float64")])
    single = Sequential([Input((3,)), Dense(2)])
    save_weights(double, tmp_path / "a.weights.h5")
    load_weights(single, tmp_path / "a.weights.h5")
    expected = double.layers[0].weight.float()
    assert torch.equal(single.layers[0].weight, expected)


def test_a_pt_file_is_a_state_dict(tmp_path: Path) -> None:
    model = stack()
    fill(model)
    save_weights(model, tmp_path / "a.pt")
    state = torch.load(tmp_path / "a.pt", weights_only=True)
    assert_same({key: value.numpy() for key, value in state.items()}, values(model))
    other = stack()
    other.load_state_dict(state)
    save_weights(model, tmp_path / "b.pt")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_extra_state_of_a_torch_module(tmp_path: Path) -> None:
    class Counting(nn.Linear):
        steps = 0

        def get_extra_state(self) -> dict[str, int]:
            return {"steps": self.steps}

        def set_extra_state(self, state: dict[str, int]) -> None:
            self.steps = state["steps"]

    models = []
    for _ in range(2):
        naming.clear()
        models.append(Sequential([Input((3,)), Counting(3, 2)]))
    list(models[0].modules())[-1].steps = 7
    save_weights(models[0], tmp_path / "a.pt")
    load_weights(models[1], tmp_path / "a.pt")
    assert list(models[1].modules())[-1].steps == 7
    assert_same(
        {k: v.detach().numpy() for k, v in models[0].named_parameters()},
        {k: v.detach().numpy() for k, v in models[1].named_parameters()},
    )


def test_two_names_for_one_weight(tmp_path: Path) -> None:
    class Tied(Model):
        def __init__(self) -> None:
            super().__init__(name="tied")
            self.there, self.back = nn.Linear(3, 3), nn.Linear(3, 3)
            self.back.weight = self.there.weight

        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.back(self.there(inputs))

    model, other = Tied(), Tied()
    for ending in (".weights.h5", ".pt", ".safetensors"):
        for one in (model, other):
            one(torch.zeros(1, 3))
        fill(model, start=len(ending))
        save_weights(model, tmp_path / f"a{ending}")
        load_weights(other, tmp_path / f"a{ending}")
        assert_same(values(other), values(model))
        assert other.back.weight is other.there.weight


# -- what is in an .h5 file ------------------------------------------------------------------------


def datasets(path: Path) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda key, item: (
                found.update({key: item.shape}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


class Block(Layer):
    """Layers in attributes, private ones, lists and dicts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._hidden = Dense(2)
        self.steps = [Dense(2), Dense(3)]
        self.by_name = {"z": Dense(2), "a": Dense(2)}
        self.linear = nn.Linear(2, 2)
        self.twice = self.steps[1]

    def build(self, input_shape: Any) -> None:
        self.fixed = self.add_weight((6,), trainable=False)
        self.w = self.add_weight((2,))

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        x = self.by_name["a"](self.by_name["z"](inputs)) * self.w
        return self.steps[1](self.steps[0](self._hidden(self.linear(x))))


def test_where_weights_lie_in_h5(tmp_path: Path) -> None:
    inner = Sequential([Input((3,)), Dense(4), Dense(5)])
    model = Sequential([Input((4, 5)), GRU(3, name="my_gru"), inner, nn.Linear(5, 3), Dense(1)])
    save_weights(model, tmp_path / "a.weights.h5")
    assert datasets(tmp_path / "a.weights.h5") == {
        "layers/gru/cell/vars/0": (5, 9),
        "layers/gru/cell/vars/1": (3, 9),
        "layers/gru/cell/vars/2": (2, 9),
        "layers/sequential/layers/dense/vars/0": (3, 4),
        "layers/sequential/layers/dense/vars/1": (4,),
        "layers/sequential/layers/dense_1/vars/0": (4, 5),
        "layers/sequential/layers/dense_1/vars/1": (5,),
        "layers/torch_module_wrapper/vars/weight": (3, 5),
        "layers/torch_module_wrapper/vars/bias": (3,),
        "layers/dense/vars/0": (3, 1),
        "layers/dense/vars/1": (1,),
    }
    with h5py.File(tmp_path / "a.weights.h5") as file:
        assert file["layers/gru/vars"].attrs["name"] == "my_gru"


def test_where_weights_of_attributes_lie_in_h5(tmp_path: Path) -> None:
    block = Block()
    block(torch.zeros(2, 5))
    save_weights(block, tmp_path / "a.weights.h5")
    found = datasets(tmp_path / "a.weights.h5")
    assert found == {
        "vars/0": (2,),
        "vars/1": (6,),
        "by_name/dense/vars/0": (5, 2),
        "by_name/dense/vars/1": (2,),
        "by_name/dense_1/vars/0": (2, 2),
        "by_name/dense_1/vars/1": (2,),
        "linear/vars/weight": (2, 2),
        "linear/vars/bias": (2,),
        "steps/dense/vars/0": (2, 2),
        "steps/dense/vars/1": (2,),
        "steps/dense_1/vars/0": (2, 3),
        "steps/dense_1/vars/1": (3,),
        "_hidden/vars/0": (2, 2),
        "_hidden/vars/1": (2,),
    }
    assert sum(int(np.prod(shape)) for shape in found.values()) == block.count_params()


def test_h5_goes_by_order_not_by_names(tmp_path: Path) -> None:
    models = [Sequential([Input((3,)), Dense(2), Dense(2)]) for _ in range(2)]
    save_weights(models[0], tmp_path / "a.weights.h5")
    load_weights(models[1], tmp_path / "a.weights.h5")
    for first, second in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("key", ["optimizer/vars/0", "layers/dropout/seed_generator/vars/0"])
def test_what_is_no_weight_is_left_out(tmp_path: Path, key: str) -> None:
    model = stack()
    save_weights(model, tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "a") as file:
        file[key] = np.zeros(2)
    load_weights(model, tmp_path / "a.weights.h5")


# -- what does not fit -----------------------------------------------------------------------------


def test_everything_that_does_not_fit_is_listed(tmp_path: Path) -> None:
    naming.clear()
    model = Sequential([Input((5,)), Dense(4), Dense(3), Dense(2, use_bias=False)])
    naming.clear()
    other = Sequential([Input((5,)), Dense(6), Dense(3, use_bias=False), Dense(2)])
    save_weights(other, tmp_path / "a.weights.h5")
    before = values(model)
    with pytest.raises(FileError) as caught:
        load_weights(model, tmp_path / "a.weights.h5")
    lines = str(caught.value).splitlines()
    assert "a.weights.h5' does not fit Sequential 'sequential':" in lines[0]
    assert [line.strip() for line in lines[1:-1]] == [
        "missing in the file (1):",
        "layers/dense_1/vars/1 (bias of 'dense_1') (3,)",
        "not in the model (1):",
        "layers/dense_2/vars/1 (2,)",
        "of another shape (3):",
        "layers/dense/vars/0 (kernel of 'dense'): (5, 4) in the model, (5, 6) in the file",
        "layers/dense/vars/1 (bias of 'dense'): (4,) in the model, (6,) in the file",
        "layers/dense_1/vars/0 (kernel of 'dense_1'): (4, 3) in the model, (6, 3) in the file",
    ]
    assert "skip_mismatch=True" in lines[-1]
    assert_same(values(model), before)


def test_everything_that_does_not_fit_a_state_dict_is_listed(tmp_path: Path) -> None:
    naming.clear()
    model = Sequential([Input((5,)), Dense(4)])
    save_weights(Sequential([Input((5,)), Dense(4)]), tmp_path / "a.pt")
    with pytest.raises(FileError) as caught:
        load_weights(model, tmp_path / "a.pt")
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert lines[1:-1] == [
        "missing in the file (2):",
        "dense.weight (weight) (4, 5)",
        "dense.bias (bias) (4,)",
        "not in the model (2):",
        "dense_1.weight (4, 5)",
        "dense_1.bias (4,)",
    ]
    assert "give the layers names, or use '.weights.h5'" in lines[-1]


@every_format
def test_skip_mismatch_loads_whole_layers(tmp_path: Path, ending: str) -> None:
    source, model = stack(units=6), stack(units=4)
    fill(source)
    save_weights(source, tmp_path / f"a{ending}")
    before = values(model)
    with pytest.warns(UserWarning, match="(?s)of another shape.*All other layers were loaded"):
        load_weights(model, tmp_path / f"a{ending}", skip_mismatch=True)
    after, given = values(model), values(source)
    # The second Dense has another kernel, so its bias stays too, although it would fit.
    for key, value in after.items():
        kept = key.startswith(("dense", "scale"))
        np.testing.assert_array_equal(value, (before if kept else given)[key], err_msg=key)
    assert any(not key.startswith(("dense", "scale")) for key in after)


@every_format
def test_skip_mismatch_is_silent_when_all_fits(tmp_path: Path, ending: str) -> None:
    model, other = stack(), stack()
    save_weights(model, tmp_path / f"a{ending}")
    load_weights(other, tmp_path / f"a{ending}", skip_mismatch=True)
    assert_same(values(other), values(model))


# -- files that are no weights ---------------------------------------------------------------------


@every_format
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_cut_file_changes_nothing(tmp_path: Path, ending: str, kept: float) -> None:
    model = stack()
    path = tmp_path / f"a{ending}"
    save_weights(model, path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    fill(model)
    before = values(model)
    with pytest.raises(FileError, match="damaged"):
        load_weights(model, path)
    assert_same(values(model), before)


@every_format
@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04" + bytes(50), b"\x89HDF\r\n\x1a\n"])
def test_a_foreign_file_is_told(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    with pytest.raises(FileError, match="damaged"):
        load_weights(stack(), path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([1, 2], "holds a list, but a state_dict was expected"),
        ({1: torch.zeros(1)}, "holds a dict, but a state_dict was expected"),
        ({"epoch": 3, "model": {"a": torch.zeros(1)}}, r"(?s)does not fit.*epoch \(\)"),
        (nn.Linear(2, 2), r"a.pt' cannot be read as weights.*Weights only load failed"),
    ],
)
def test_other_things_in_a_pt_file(tmp_path: Path, content: Any, match: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(FileError, match=match):
        load_weights(stack(), tmp_path / "a.pt")


def test_a_tar_is_refused_before_anything_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model = tmp_path / "a.pt", stack()
    save_weights(model, path)
    monkeypatch.setattr("tempfile.mkdtemp", None)
    for end in (b"", path.read_bytes()[2048:]):  # that of a zip
        path.write_bytes(bytes(2048) + end)  # a tar of no members
        with pytest.raises(FileError, match="a tar, as torch wrote before version 0"):
            load_weights(model, path)


def replaced(path: Path, key: str, value: Any) -> None:
    with h5py.File(path, "a") as file:
        del file[key]
        file[key] = value


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.array([b"abcd"] * 4), r"a.weights.h5' is damaged at '/layers/dense/vars/1'"),
        (h5py.ExternalLink("b.h5", "/a"), r"missing in the file \(1\)"),
        (h5py.SoftLink("/layers/dense_1/vars/1"), r"missing in the file \(1\)"),
        (h5py.SoftLink("/nowhere"), r"missing in the file \(1\)"),
    ],
)
def test_other_things_in_an_h5_file(tmp_path: Path, value: Any, match: str) -> None:
    model = stack()
    save_weights(model, tmp_path / "a.weights.h5")
    replaced(tmp_path / "a.weights.h5", "layers/dense/vars/1", value)
    fill(model)
    before = values(model)
    with pytest.raises(FileError, match=match):
        load_weights(model, tmp_path / "a.weights.h5")
    assert_same(values(model), before)


def test_data_outside_the_file_is_refused(tmp_path: Path) -> None:
    model = stack()
    save_weights(model, tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "a") as file:
        group = file["layers/dense/vars"]
        del group["1"]
        group.create_dataset("1", (4,), "float32", external=str(tmp_path / "secret"))
    with pytest.raises(FileError, match="keeps 'layers/dense/vars/1' in another file"):
        load_weights(model, tmp_path / "a.weights.h5")


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    model = stack()
    save_weights(model, tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "a") as file:
        file[b"layers/\xff"] = np.zeros(3)
    with pytest.raises(FileError, match=r"(?s)not in the model \(1\).*layers/.*ff \(3,\)"):
        load_weights(model, tmp_path / "a.weights.h5")


def test_a_declared_size_is_not_believed(tmp_path: Path) -> None:
    model = stack()
    save_weights(model, tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "a") as file:
        group = file["layers/dense/vars"]
        del group["1"]
        group.create_dataset("1", (1 << 40,), "float32", chunks=(1 << 20,))
    with pytest.raises(FileError, match=r"\(4,\) in the model, \(1099511627776,\) in the file"):
        load_weights(model, tmp_path / "a.weights.h5")


# -- weights of a whole model ----------------------------------------------------------------------


def test_a_whole_model_gives_its_weights(tmp_path: Path) -> None:
    source, model = (Sequential([Input((3,)), Dense(4), Dense(2)]) for _ in range(2))
    source.compile("adam", "mse")
    model.compile("adam", "mse")
    source.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    source.save(tmp_path / "a.keras")
    load_weights(model, tmp_path / "a.keras")
    for mine, other in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert int(model.optimizer.iterations) == 1
    with pytest.raises(FileError, match=r"does not fit .*\n.*of another shape"):
        load_weights(Sequential([Input((3,)), Dense(5), Dense(2)]), tmp_path / "a.keras")


def test_by_name_from_a_whole_model(tmp_path: Path) -> None:
    source = Sequential([Input((3,)), Dense(2, name="same"), Dense(2, name="first")])
    model = Sequential([Input((3,)), Dense(2, name="other"), Dense(3), Dense(2, name="first")])
    source.save(tmp_path / "a.keras")
    with pytest.raises(FileError, match=r"kernel of 'first'\): \(3, 2\) in the model"):
        load_weights(model, tmp_path / "a.keras", by_name=True)
    model = Sequential([Input((3,)), Dense(2, name="other"), Dense(2, name="first")])
    before = model.layers[0].get_weights()
    load_weights(model, tmp_path / "a.keras", by_name=True)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], before[0])
    np.testing.assert_array_equal(
        model.layers[1].get_weights()[0], source.layers[1].get_weights()[0]
    )


@pytest.mark.parametrize("kind", ["changed", "cut", "foreign", "empty"])
def test_a_damaged_model_changes_nothing(tmp_path: Path, kind: str) -> None:
    model, path = stack(), tmp_path / "a.keras"
    stack().save(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"model.weights.h5") + 3000] ^= 1
    content = {"changed": bytes(data), "cut": bytes(data[:500]), "foreign": b"hello", "empty": b""}
    path.write_bytes(content[kind])
    before = model.get_weights()
    match = "its checksum is another" if kind == "changed" else "no archive of a model, or is dam"
    with pytest.raises(FileError, match=match):
        load_weights(model, path)
    for mine, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, other)


# -- arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.keras", "a", "a.ckpt"])
@pytest.mark.parametrize("use", [save_weights, load_weights])
def test_other_endings_are_refused(tmp_path: Path, name: str, use: Any) -> None:
    known = r"must end in '.weights.h5', '.h5', '.hdf5', '.pt', '.pth', '.safetensors'"
    if use is load_weights:
        name, known = name.replace(".keras", ".zip"), known + ", '.keras'"
    known += "; got '.*" + name
    with pytest.raises(ArgumentError, match=known):
        use(stack(), tmp_path / name)


@pytest.mark.parametrize("use", [save_weights, load_weights])
def test_a_path_is_a_string_or_a_path(use: Any) -> None:
    with pytest.raises(ArgumentError, match="a string or a path, got 3"):
        use(stack(), 3)


@pytest.mark.parametrize("use", [save_weights, load_weights])
def test_a_folder_is_refused(tmp_path: Path, use: Any) -> None:
    (tmp_path / "a.pt").mkdir()
    with pytest.raises(ArgumentError, match=r"a\.pt' is a folder"):
        use(stack(), tmp_path / "a.pt")


@every_format
@pytest.mark.parametrize(("use", "what"), [(save_weights, "save"), (load_weights, "load")])
def test_a_model_without_weights_is_told(tmp_path: Path, ending: str, use: Any, what: str) -> None:
    model = Sequential([Dense(3)], name="bare")
    with pytest.raises(NotBuiltError, match=rf"'bare' has no weights to {what} yet. Give it an"):
        use(model, tmp_path / f"a{ending}")
    assert os.listdir(tmp_path) == []


def test_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save_weights(stack(), path, overwrite=False)
    assert path.read_text() == "mine"
    save_weights(stack(), path)
    assert path.read_bytes() != b"mine"


@every_format
def test_a_missing_file(tmp_path: Path, ending: str) -> None:
    with pytest.raises(FileNotFoundError):
        load_weights(stack(), tmp_path / f"a{ending}")


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        save_weights(stack(), tmp_path / "nowhere" / "a.weights.h5")


@pytest.mark.parametrize("use", [save_weights, load_weights])
def test_safetensors_may_be_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Any
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    (tmp_path / "a.safetensors").write_text("old")
    with pytest.raises(ArgumentError, match="pip install safetensors"):
        use(stack(), tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.safetensors"]


@pytest.mark.parametrize(
    ("ending", "module", "function"),
    [(".weights.h5", "nnkit.saving.hdf5_writer", "_write"), (".pt", "torch", "save")],
)
def test_a_failed_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, module: str, function: str
) -> None:
    path = tmp_path / f"a{ending}"
    path.write_text("old")

    def refuse(*args: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(importlib.import_module(module), function, refuse)
    with pytest.raises(OSError, match="No space left"):
        save_weights(stack(), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="the limit is of POSIX")
@pytest.mark.parametrize("ending", [".weights.h5", ".h5", ".pt", ".safetensors", ".keras"])
def test_a_file_that_cannot_grow_leaves_the_old_one(tmp_path: Path, ending: str) -> None:
    import resource

    path, model = tmp_path / f"a{ending}", Sequential([Input((300,)), Dense(300)])
    path.write_text("old")
    save = model.save if ending == ".keras" else model.save_weights
    save(tmp_path / f"warm{ending}")  # so that the limit meets no import
    (tmp_path / f"warm{ending}").unlink()
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, kept[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", [".weights.h5", ".h5", ".safetensors"])
def test_a_changed_weight_is_told_from_another_one(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    source = stack()
    save_weights(source, path)
    value = source.layers[0].get_weights()[0].T.ravel() if ending == ".safetensors" else None
    value = source.layers[0].get_weights()[0].ravel() if value is None else value
    data = bytearray(path.read_bytes())
    at = bytes(data).index(value.tobytes())
    data[at + 9] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(FileError, match="checksum"):
        load_weights(stack(), path)


@pytest.mark.parametrize("ending", [".weights.h5", ".h5", ".pt", ".safetensors"])
def test_by_name_loads_what_both_have(tmp_path: Path, ending: str) -> None:
    def model(*names: str, units: int = 3) -> Sequential:
        return Sequential([Input((3,)), *(Dense(units, name=name) for name in names)])

    source, target = model("a", "b", "c"), model("c", "d", "a")
    save_weights(source, tmp_path / f"m{ending}")
    before = target.layers[1].get_weights()
    load_weights(target, tmp_path / f"m{ending}", by_name=True)
    for name in ("a", "c"):
        ours, theirs = (m.get_layer(name).get_weights() for m in (target, source))
        assert all(map(np.array_equal, ours, theirs))
    assert all(map(np.array_equal, target.layers[1].get_weights(), before))
    with pytest.raises(FileError, match=r"no layer with a name of the model's. It has: a, b, c"):
        load_weights(model("x"), tmp_path / f"m{ending}", by_name=True)
    with pytest.raises(FileError, match="of another shape"):
        load_weights(model("a", units=4), tmp_path / f"m{ending}", by_name=True)


def test_a_header_that_makes_no_sense_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.weights.h5"
    model = stack()
    save_weights(model, path)
    data = path.read_bytes()
    # The description of 32-bit floats: class and version, bits, size, offset, precision, exponent.
    floats = bytes([0x11, 0x20, 0x1F, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0])
    assert floats in data
    path.write_bytes(data.replace(floats, floats[:16] + bytes(4)))
    with pytest.raises(FileError, match="damaged"):
        load_weights(model, path)
