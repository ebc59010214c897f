"""The command line: converting files and looking into them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import nnkit
from nnkit import layers
from nnkit.cli import main
from nnkit.models import load_model


def saved(folder: Path) -> tuple[nnkit.Model, Path]:
    inputs = nnkit.Input((6, 6, 1))
    x = layers.Conv2D(2, 3, name="conv")(inputs)
    model = nnkit.Model(inputs, layers.Dense(3, name="head")(layers.Flatten(name="flat")(x)))
    model.save(folder / "m.keras")
    return model, folder / "m.keras"


@pytest.mark.parametrize("ending", [".weights.h5", ".safetensors", ".pt"])
def test_weights_out_and_in_again(
    tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, path = saved(tmp_path)
    weights, back = tmp_path / f"w{ending}", tmp_path / "back.keras"
    assert main(["convert", str(path), str(weights)]) == 0
    assert capsys.readouterr().out == f"{path} -> {weights}\n"
    assert main(["convert", str(weights), str(back), "--like", str(path)]) == 0
    for ours, theirs in zip(load_model(back).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_program(tmp_path: Path) -> None:
    model, path = saved(tmp_path)
    assert main(["convert", str(path), str(tmp_path / "m.onnx")]) == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    x = torch.rand(4, 6, 6, 1)
    (got,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(got, model.predict(x, verbose=0), atol=1e-5)


def test_a_model_described_by_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, _ = saved(tmp_path)
    (tmp_path / "m.json").write_text(model.to_json())
    assert main(["summary", str(tmp_path / "m.json")]) == 0
    assert "Total params: 119" in capsys.readouterr().out
    model.save_weights(tmp_path / "w.pt")
    words = ["convert", "w.pt", "m.keras", "--like", "m.json", "--force"]
    assert main([str(tmp_path / word) if "." in word else word for word in words]) == 0
    assert np.array_equal(load_model(tmp_path / "m.keras").get_weights()[0], model.get_weights()[0])


OWN = """
import nnkit

@nnkit.saving.register_keras_serializable("mine")
class Twice(nnkit.layers.Layer):
    def call(self, x):
        return 2 * x
"""


def test_layers_of_ones_own_come_from_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_layers.py").write_text(OWN)
    scope: dict[str, type[layers.Layer]] = {}
    exec(OWN, scope)
    nnkit.Sequential([nnkit.Input((2,)), scope["Twice"](), layers.Dense(1)]).save("m.keras")
    nnkit.saving.get_custom_objects().clear()
    assert main(["summary", "m.keras"]) == 1
    err = capsys.readouterr().err
    assert "Twice" in err
    assert "Here: --import MODULE" in err
    assert main(["summary", "m.keras", "--import", "own_layers"]) == 0
    assert "twice (Twice)" in capsys.readouterr().out


def test_summary_of_a_model_and_of_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, path = saved(tmp_path)
    assert main(["summary", str(path)]) == 0
    out = capsys.readouterr().out
    assert "conv (Conv2D)" in out
    assert "Total params: 119" in out
    model.save_weights(tmp_path / "w.safetensors")
    assert main(["summary", str(tmp_path / "w.safetensors")]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "4 weights, 119 numbers"
    assert "conv.weight" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["convert", "m.keras", "m.keras"], "exists. Give --force"),
        (["convert", "none.keras", "m.pt"], "No such file"),
        (["convert", "none.keras", "m.txt"], "must end in .keras, .h5, .hdf5, .weights.h5, .safe"),
        (["convert", "m.keras", "m.txt"], ".pt, .pth, .onnx, .pt2, got"),
        (["convert", "m.txt", "m.keras"], ".pt, .pth, got"),
        (["convert", "m.keras", "fold.keras"], "fold.keras' is a folder"),
        (["convert", "w.pt", "m.onnx"], "Say which they belong to: --like"),
        (["convert", "m.onnx", "n.keras"], "is a program, which holds no model to read back"),
        (["convert", "m.keras", "n.pt", "--import", "no_such"], "--import no_such: there is no"),
        (["summary", "m.txt"], "must end in"),
        (["summary", "none.pt"], "No such file"),
    ],
)
def test_mistakes_are_told(
    tmp_path: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = saved(tmp_path)
    model.save_weights(tmp_path / "w.pt")
    (tmp_path / "fold.keras").mkdir()
    paths = [str(tmp_path / word) if "." in word else word for word in words]
    assert main(paths) == 1
    assert told in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"nnkit {nnkit.__version__}\n"


def test_an_import_that_fails_in_its_own_code_shows_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half_done.py").write_text("import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        main(["summary", "m.keras", "--import", "half_done"])
