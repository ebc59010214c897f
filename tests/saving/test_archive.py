"""Whole models in .keras files: custom objects, what is refused, and what a failure leaves."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import nnkit
from nnkit import Input, Model, Sequential
from nnkit.errors import ArgumentError, ConfigError, FileError
from nnkit.layers import Concatenate, Dense, IntegerLookup, Lambda, Layer, TextVectorization
from nnkit.models import clone_model, load_model, model_from_json

ROOT = Path(__file__).parents[2]
X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Scale(Layer):
    def __init__(self, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class Own(Model):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense = Dense(units)
        self.tracker = nnkit.metrics.Mean(name="seen")

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.dense(inputs)


def simple() -> Sequential:
    return Sequential([Input((4,)), Dense(3, "relu"), Dense(2)])


def test_custom_layer_and_registered_name(tmp_path: Path) -> None:
    model = Sequential([Input((4,)), Scale(3.0), Dense(2)])
    path = tmp_path / "model.keras"
    model.save(path)
    with pytest.raises(FileError, match=r"no class 'Scale' here.*custom_objects=\{'Scale'"):
        load_model(path)
    again = load_model(path, custom_objects={"Scale": Scale})
    assert again.layers[0].factor == 3.0
    torch.testing.assert_close(again(X), model(X))
    with nnkit.saving.custom_object_scope({"Scale": Scale}):
        torch.testing.assert_close(load_model(path)(X), model(X))
    nnkit.saving.register_keras_serializable("mine")(Scale)
    model.save(path)
    torch.testing.assert_close(load_model(path)(X), model(X))
    assert nnkit.saving.get_registered_name(Scale) == "mine>Scale"


def test_subclass_is_built_and_its_metrics_start_at_zero(tmp_path: Path) -> None:
    model = Own(2)
    model.compile("adam", "mse")
    model.fit(X, np.ones((3, 2)), verbose=0)
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras", {"Own": Own})
    torch.testing.assert_close(again(X), model(X))
    assert float(again.tracker.result()) == 0.0
    assert again.optimizer.iterations == 1
    assert not load_model(tmp_path / "model.keras", {"Own": Own}, compile=False).compiled


def test_lambda_and_module_are_supplied_by_the_caller(tmp_path: Path) -> None:
    linear = nn.Linear(4, 2)
    x = Input((4,))
    y = Lambda(lambda t: t + 1, name="plus")(x)
    model = Model(x, nnkit.layers.TorchModuleWrapper(linear, name="linear")(y))
    path = tmp_path / "model.keras"
    model.save(path)
    with pytest.raises(FileError, match="'plus'"):
        load_model(path)
    with pytest.raises(FileError, match=r"Supply it: custom_objects=\{'linear': module\}"):
        load_model(path, {"plus": lambda t: t + 1}, safe_mode=False)
    supplied = {"plus": lambda t: t + 1, "linear": lambda: nn.Linear(4, 2)}
    torch.testing.assert_close(load_model(path, supplied)(X), model(X))


def test_what_keras_has_no_name_for(tmp_path: Path) -> None:
    x = Input((4,))
    model = Model(x, torch.fft.rfft(x).real)
    with pytest.raises(ConfigError, match=r"The step 'fft_rfft.*' calls 'fft_rfft'"):
        model.save(tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_learned_vocabulary_is_an_asset(tmp_path: Path) -> None:
    lookup = IntegerLookup()
    lookup.adapt([7, 7, 5])
    model = Sequential([Input((2,), dtype="int64"), lookup])
    path = tmp_path / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        [name] = [name for name in archive.namelist() if name.startswith("assets")]
        assert (name, archive.read(name)) == (
            "assets/layers/integer_lookup/vocabulary.txt", b"-1\n7\n5",
        )  # fmt: skip
    assert load_model(path)(torch.tensor([[5, 9]])).tolist() == [[2, 0]]


class WithText(Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = TextVectorization(output_mode="tf_idf")
        self.dense = Dense(2)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.dense(inputs)


@pytest.mark.parametrize("padded", [False, True])
def test_weights_of_learned_tokens(padded: bool, tmp_path: Path) -> None:
    size = {"max_tokens": 8, "pad_to_max_tokens": True} if padded else {}
    lookup = IntegerLookup(output_mode="tf_idf", **size)
    lookup.adapt(np.array([[7, 7, 5], [5, 5, 5], [9, 5, 7]]))
    model = Sequential([Input((3,), dtype="int64"), lookup, Dense(2)])
    x = torch.tensor([[5, 9, 4]])
    assert len(lookup(x).unique()) == 4
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    torch.testing.assert_close(again.layers[0](x), lookup(x))
    torch.testing.assert_close(again(x), model(x))
    model.save_weights(tmp_path / "a.weights.h5")
    lookup.idf_weights.zero_()
    model.load_weights(tmp_path / "a.weights.h5")
    torch.testing.assert_close(model(x), again(x))


def test_weights_of_learned_words(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    model, key = WithText(), "layers/text_vectorization"
    model(torch.ones(1, 5))
    model.text.adapt(["a b b c", "a c", "d d a"])
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
        for at in (key, f"{key}/_lookup_layer"):  # Keras writes and reads both
            assert archive.read(f"assets/{at}/vocabulary.txt") == b"[UNK]\na\nd\nc\nb"
            assert weights[f"{at}/vars/idf_weights"].shape == (5,)
    words = np.array(["a b x", "d d"])
    again = load_model(path, {"WithText": WithText})
    torch.testing.assert_close(again.text(words), model.text(words))
    assert float(again.text(words).max()) > 1
    path = rewritten(path, model__weights__h5=without(weights, "idf_weights"))
    with pytest.raises(FileError, match=r"(?s)missing in the file \(2\).*idf_weights"):
        load_model(path, {"WithText": WithText})


def without(file: Any, name: str) -> bytes:
    """The bytes of an HDF5 file that lacks all arrays of a name."""
    target = io.BytesIO()
    with h5py.File(target, "w") as other:

        def copy(key: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and not key.endswith(name):
                other.create_dataset(key, data=item[()])

        file.visititems(copy)
    return target.getvalue()


def test_equal_models_give_equal_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    model = simple()
    model.save(tmp_path / "a.keras")
    model.save(tmp_path / "b.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save(tmp_path / "a.keras", overwrite=False)


def grown(code: str, *arguments: Any) -> float:
    """Memory that a process of its own needs at most for a call, as a part of its weights'."""
    program = (
        "import sys, nnkit\n"
        "def field(name):\n"
        "    rows = open('/proc/self/status').read().split('\\n')\n"
        "    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith(name))\n"
        "made = [nnkit.Input((2,)), *(nnkit.layers.Dense(2000) for _ in range(12))]\n"
        "model = nnkit.Sequential(made)\n"
        "size = sum(weight.nbytes for weight in model.weights)\n"
        "small = nnkit.Sequential([nnkit.Input((2,)), nnkit.layers.Dense(2)])\n"
        "small.save(sys.argv[2]), nnkit.models.load_model(sys.argv[2])\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        f"before = field('VmRSS')\n{code}\nprint((field('VmHWM') - before) / size)"
    )
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_memory_of_saving_and_loading(ending: str, tmp_path: Path) -> None:
    path, other = tmp_path / f"model{ending}", tmp_path / f"small{ending}"
    assert grown("model.save(sys.argv[1])", path, other) < 0.4
    assert path.stat().st_size > 170e6
    # The model itself, and a part of the weights in passing.
    assert grown("again = nnkit.models.load_model(sys.argv[1])", path, other) < 2.2


def test_large_weights_go_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnkit.saving.pieces._PIECE", 300)
    x = Input((37,))
    half = Dense(5, dtype="bfloat16", name="half")(Dense(30)(x))
    model = Model(x, Dense(3, dtype="float64")(half))
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    for mine, yours in zip(again.weights, model.weights, strict=True):
        assert mine.dtype == yours.dtype
        torch.testing.assert_close(mine, yours, rtol=0, atol=0)


def rewritten(path: Path, **members: Any) -> Path:
    """A copy of an archive with other members in place of some."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents |= {name.replace("__", "."): value for name, value in members.items()}
    other = path.with_name("other.keras")
    with zipfile.ZipFile(other, "w") as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)
    return other


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    simple().save(path)
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    with pytest.raises(FileError, match="reaches out of the archive"):
        load_model(rewritten(path, **{"../evil__txt": b""}))
    with pytest.raises(FileError, match=r"holds config.json and model.weights.h5"):
        load_model(rewritten(path, config__json=None))
    evil = {"module": "os", "class_name": "system", "config": {}, "registered_name": "system"}
    with pytest.raises(FileError, match="no class 'system' here"):
        load_model(rewritten(path, config__json=json.dumps(evil)))
    config["config"]["layers"][1]["config"]["units"] = 10**12
    with pytest.raises(FileError, match="more than there are in the file"):
        load_model(rewritten(path, config__json=json.dumps(config)))
    config["config"]["layers"][1]["config"]["units"] = 4
    with pytest.raises(FileError, match=r"do not fit Sequential(.|\n)*of another shape \(3\)"):
        load_model(rewritten(path, config__json=json.dumps(config)))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileError, match="it is damaged or no such file"):
        load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none.keras")
    with pytest.raises(ArgumentError, match="must end in"):
        load_model(tmp_path / "model.zip")


def test_every_changed_byte_of_the_weights_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    simple().save(path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
        [kernel] = [w for w in load_model(path).get_weights() if w.shape == (3, 2)]
    start = data.index(weights)
    inside = weights.index(kernel.tobytes())
    for at in [*range(0, len(weights), 61), *range(inside, inside + kernel.nbytes)]:
        changed = bytearray(data)
        changed[start + at] ^= 16
        path.write_bytes(bytes(changed))
        with pytest.raises(FileError, match=r"damaged|do not fit|cannot be loaded"):
            load_model(path)
    with pytest.raises(FileError, match=r"its member 'model.weights.h5' is damaged: its checksum"):
        load_model(path)  # the last change was in the kernel


def test_a_changed_byte_is_told_whichever_checksum_there_is(tmp_path: Path) -> None:
    """An archive's own sum is quick; without it, that of zip files counts."""
    path = tmp_path / "model.keras"
    simple().save(path)
    data = path.read_bytes()
    [kernel] = [w for w in load_model(path).get_weights() if w.shape == (3, 2)]
    at = data.index(kernel.tobytes())
    with zipfile.ZipFile(path) as archive:
        size = len(archive.comment)
    for rest in (data, data[: -size - 2] + bytes(2)):
        path.write_bytes(rest)
        np.testing.assert_array_equal(load_model(path).layers[1].kernel.detach(), kernel)
        path.write_bytes(rest[:at] + bytes([rest[at] ^ 4]) + rest[at + 1 :])
        with pytest.raises(FileError, match="is damaged: its checksum is another"):
            load_model(path)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 4]))  # the sum is damaged, not the weights
    np.testing.assert_array_equal(load_model(path).layers[1].kernel.detach(), kernel)


def test_weights_that_another_program_put_into_an_archive_are_loaded(tmp_path: Path) -> None:
    first, second = simple(), simple()
    first.save(tmp_path / "first.keras")
    second.save(tmp_path / "second.keras")
    with zipfile.ZipFile(tmp_path / "first.keras") as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
        comment = archive.comment
    with zipfile.ZipFile(tmp_path / "second.keras") as archive:
        old["model.weights.h5"] = archive.read("model.weights.h5")
    with zipfile.ZipFile(tmp_path / "mixed.keras", "w") as archive:
        for name, content in old.items():
            archive.writestr(name, content)
        archive.comment = comment
    for mine, wanted in zip(
        load_model(tmp_path / "mixed.keras").get_weights(), second.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, wanted)


def test_json_and_clone() -> None:
    model = simple()
    again = model_from_json(model.to_json(indent=2))
    assert again.to_json() == model.to_json()
    x = Input((4,), name="other")
    twin = clone_model(Model(x, Concatenate()([Dense(2)(x), x])), input_tensors=Input((4,)))
    assert twin.output_shape == (None, 6)
    doubled = clone_model(
        model, clone_function=lambda layer: Dense(2 * layer.units, name=layer.name)
    )
    assert doubled.output_shape == (None, 4)
    with pytest.raises(ArgumentError, match="The text is no JSON of a model"):
        model_from_json("{")


def test_checkpoint_of_whole_models(tmp_path: Path) -> None:
    model = simple()
    model.compile("sgd", "mse")
    checkpoint = nnkit.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    model.fit(X, np.ones((3, 2)), epochs=2, verbose=0, callbacks=[checkpoint])
    torch.testing.assert_close(load_model(tmp_path / "2.keras")(X), model(X))


def whole_h5(folder: Path) -> tuple[Path, Any]:
    """An older file of a model, open to be changed."""
    model = simple()
    model.compile("adam", "mse")
    model.fit(X, np.ones((3, 2)), verbose=0)
    model.save(folder / "model.h5")
    return folder / "model.h5", h5py.File(folder / "model.h5", "r+")


def test_limits_of_older_files(tmp_path: Path) -> None:
    path, file = whole_h5(tmp_path)
    with file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["units"] = 10**7
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(FileError, match="more than there are in the file"):
        load_model(path)
    path, file = whole_h5(tmp_path)
    with file:
        file.create_dataset("optimizer_weights/more", (2**40,), "float32", chunks=(2**16,))
    with pytest.raises(FileError, match=r"claims to hold 43980465\d+ bytes"):
        load_model(path)
    path, file = whole_h5(tmp_path)
    with file:
        file.attrs["model_config"] = "[" * 20_000 + "]" * 20_000
    with pytest.raises(FileError, match=f"'{path}' cannot be loaded: its config is nested too"):
        load_model(path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = "[]," * 2**19
    with pytest.raises(FileError, match="its config of 1572864 bytes is longer than that of any"):
        load_model(path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = 7
    with pytest.raises(FileError, match="its attribute 'model_config' is no text"):
        load_model(path)


def test_nested_too_deeply(tmp_path: Path) -> None:
    simple().save(tmp_path / "model.keras")
    deep = '{"a":' * 20_000 + "1" + "}" * 20_000
    with pytest.raises(FileError, match="its config is nested too deeply"):
        load_model(rewritten(tmp_path / "model.keras", config__json=deep))


def packed(path: Path, compression: int, **members: bytes) -> Path:
    """A copy of an archive with compressed members, some of them others."""
    other = path.with_name("packed.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w", compression) as new:
        given = {name.replace("__", "."): content for name, content in members.items()}
        for name in [*old.namelist(), *(given.keys() - set(old.namelist()))]:
            new.writestr(name, given[name] if name in given else old.read(name))
    return other


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_compressed_members(compression: int, tmp_path: Path) -> None:
    path, model = tmp_path / "model.keras", simple()
    model.save(path)
    torch.testing.assert_close(load_model(packed(path, compression))(X), model(X))
    huge = bytes(2**26 + 2**20)
    bomb = packed(path, compression, model__weights__h5=huge)
    assert bomb.stat().st_size < 2**18
    with pytest.raises(FileError, match=r"'model.weights.h5' claims to be 68157440 bytes"):
        load_model(bomb)
    with pytest.raises(FileError, match=r"'config.json' claims to be 68157440 bytes"):
        load_model(packed(path, compression, config__json=huge))


def test_an_asset_is_no_longer_than_it_can_be(tmp_path: Path) -> None:
    lookup = IntegerLookup()
    lookup.adapt([7, 7, 5])
    path = tmp_path / "model.keras"
    Sequential([Input((2,), dtype="int64"), lookup]).save(path)
    name = "assets/layers/integer_lookup/vocabulary.txt"
    other = packed(path, zipfile.ZIP_DEFLATED, **{name: b"-1\n7\n9"})
    assert load_model(other)(torch.tensor([[9, 5]])).tolist() == [[2, 0]]
    other = packed(path, zipfile.ZIP_DEFLATED, **{name: bytes(2**23 + 2**20)})
    with pytest.raises(FileError, match=r"vocabulary.txt' claims to be 9437184 bytes"):
        load_model(other)


def test_a_config_of_many_parts(tmp_path: Path) -> None:
    simple().save(tmp_path / "model.keras")
    many = json.dumps([{}] * 2**18)
    with pytest.raises(FileError, match="its config of 1048576 bytes is longer than that of any"):
        load_model(rewritten(tmp_path / "model.keras", config__json=many))
    long = json.dumps("x" * 2**24)
    with pytest.raises(FileError, match=r"'config.json' claims to be 16777218 bytes"):
        load_model(rewritten(tmp_path / "model.keras", config__json=long))


def test_texts_go_into_no_model(tmp_path: Path) -> None:
    what_to_do = r"Input\(dtype='string'\): a model takes numbers.*begin the model after it"
    with pytest.raises(ArgumentError, match=what_to_do):
        Input((1,), dtype="string")
    path = tmp_path / "model.keras"
    simple().save(path)
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][0]["config"]["dtype"] = "string"
    with pytest.raises(FileError, match=f"(?s)cannot be loaded.*{what_to_do}"):
        load_model(rewritten(path, config__json=json.dumps(config)))


def test_texts_whose_sizes_go_in_a_circle(tmp_path: Path) -> None:
    path, file = whole_h5(tmp_path)
    file.close()
    data = path.read_bytes()
    heap = data.index(b"GCOL")
    # So large that the HDF5 library, which adds up with overflow, would stay where it is.
    damaged = data[: heap + 24] + struct.pack("<Q", 2**64 - 16) + data[heap + 32 :]
    path.write_bytes(damaged)
    with pytest.raises(FileError, match="its attribute 'model_config' is damaged, or no text"):
        load_model(path)


def test_texts_that_claim_to_be_longer_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    for version, said in (("latest", "newer HDF5 format"), ("earliest", "holds weights only")):
        with h5py.File(path, "w", libver=version) as file:
            file.attrs["model_config"] = json.dumps([7] * 300)
        with pytest.raises(FileError, match=said):
            load_model(path)
    data = path.read_bytes()
    where = struct.pack("<Q", data.index(b"GCOL"))
    length = struct.pack("<I", 900)
    assert data.count(length + where) == 1
    path.write_bytes(data.replace(length + where, struct.pack("<I", 2**29) + where))
    with pytest.raises(FileError, match="its attribute 'model_config' is damaged, or no text"):
        load_model(path)


@pytest.mark.parametrize("group", ["model_weights", "model_weights/dense", "optimizer_weights"])
def test_groups_behind_links_are_not_there(group: str, tmp_path: Path) -> None:
    path, file = whole_h5(tmp_path)
    with file:
        name = next(name for name in file["model_weights"] if name.startswith("dense"))
        group = group.replace("dense", name)
        with h5py.File(tmp_path / "other.h5", "w") as other:
            file.copy(file[group], other, "inside")
        del file[group]
        file[group] = h5py.ExternalLink("other.h5", "/inside")
    if group == "optimizer_weights":
        assert load_model(path).optimizer.iterations == 0
    else:
        with pytest.raises(FileError, match=r"lists the layer|does not list its layers"):
            load_model(path)


def test_clone_with_functions() -> None:
    x = Input((4,))
    inner = Sequential([Input((4,)), Dense(3, name="inside")], name="inner")
    model = Model(x, Dense(2, name="last")(inner(x)))

    def wider(layer: Any) -> Any:
        if not isinstance(layer, Dense):
            return type(layer).from_config(layer.get_config())
        return Dense(layer.units + 1, name=layer.name)

    widths = {
        recursive: [
            layer.units for layer in (copy.get_layer("inner").layers[0], copy.get_layer("last"))
        ]
        for recursive in (False, True)
        for copy in [clone_model(model, clone_function=wider, recursive=recursive)]
    }
    assert widths == {False: [3, 3], True: [4, 3]}

    called = []

    def doubled(layer: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(layer.name)
        return layer(*args, **kwargs) * 2

    twin = clone_model(model, call_function=doubled)
    twin.set_weights(model.get_weights())
    assert called == ["inner", "last"]
    torch.testing.assert_close(twin(X), 4 * model(X))  # no bias yet


def test_learned_vocabulary_has_no_place_in_older_files(tmp_path: Path) -> None:
    lookup = IntegerLookup()
    lookup.adapt([7, 7, 5])
    model = Sequential([Input((2,), dtype="int64"), lookup])
    with pytest.raises(ArgumentError, match=r"no place for .*integer_lookup.*'.keras'"):
        model.save(tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())


def test_class_that_its_config_does_not_make(tmp_path: Path) -> None:
    class Needs(Model):
        def __init__(self, inputs: Any, outputs: Any, extra: int, **kwargs: Any) -> None:
            super().__init__(inputs, outputs, **kwargs)

        def get_config(self) -> dict[str, Any]:
            return {"name": self.name}

    x = Input((4,))
    Needs(x, Dense(2)(x), 1).save(tmp_path / "model.keras")
    with pytest.raises(FileError, match=r"Needs cannot be made from its config.*\['name'\].*extra"):
        load_model(tmp_path / "model.keras", {"Needs": Needs})


def test_what_pretrained_weights_want_of_pictures_is_kept(tmp_path: Path) -> None:
    x = Input((4,))
    base = Model(x, Dense(3)(x), name="base")
    base.preprocessing = "caffe"
    y = Input((4,))
    models = [base, Model(y, Dense(2)(base(y))), Sequential([Input((4,)), base, Dense(2)])]
    for model in models:
        model.save(tmp_path / "model.keras")
        again = load_model(tmp_path / "model.keras")
        inside = again if model is base else again.get_layer("base")
        assert inside.preprocessing == "caffe"
        if model is not base:
            assert again.preprocessing is None
        torch.testing.assert_close(again(X), model(X))
