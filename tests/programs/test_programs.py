"""Programs in the ways people have written Keras since 2016, each run as it stands.

What a program says last, in a line that begins with "Result:", is written down here; those that
Keras 3 can run say the same under Keras.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import nnkit
from nnkit.compat import install_as_keras, uninstall_as_keras

FOLDER = Path(__file__).parent

# What each program must say.
RESULTS = {
    "cnn_digits_2017": "19282 dense_1 2",
    "convolution2d_keras1": "(None, 2) (4, 2) True",
    "gan_train_on_batch": "(4, 28, 28, 1) 6",
    "imdb_cnn_bidirectional": "(3, 1) (2, 1)",
    "imdb_lstm": "(48, 20) 4009 True",
    "image_generator": "['accuracy', 'loss', 'val_accuracy', 'val_loss'] (32, 32, 3)",
    "k_functions": "20.0 (2, 4) [2.0, 2.0, 0.0, 0.0] (2, 3, 5) True 1e-07",
    "mlp_digits_2016": "2 (16,) True",
    "multi_gpu_memory_lines": "torch.Size([2, 3]) 2",
    "own_loop_tf": "6 True",
    "own_optimizer": "['3.5835', '1.2851', '0.6549', '0.3774', '0.2125'] True 15 80.0 0.8 "
    "net/dense/kernel",
    "pandas_regression": "['epoch', 'loss', 'val_loss'] 2 (13,)",
    "sklearn_wrapper_old": "3 ['batch_size', 'epochs', 'optimizer'] (3,) (5,) (5, 3)",
    "subclassed_train_step": "['loss', 'mae'] True",
    "time_series_lstm": "(74, 1) (74, 1) True",
    "tokenizer_glove": "12 [4, 1, 0, 0] True",
    "transfer_vgg": "4 10 23 block1_conv1",
    "tuner_like": "dense ['activation', 'layers', 'learning_rate'] (None, 1) True",
    "vae_lambda": "(64, 2) (3, 784) 2",
    "siamese": "(32, 1) ['accuracy', 'loss'] 728",
    "custom_metric_loss": "['loss', 'mae', 'r_squared'] [['binary_accuracy', 'dice_coef', 'loss', "
    "'precision'], ['binary_accuracy', 'dice_coef', 'loss', 'precision']]",
    "custom_layer_build": "['input_layer', 'attention', 'my_layer', 'dense'] [(8, 1), (5, 1), "
    "(8, 4), (4, 1), (1,)]",
    "callbacks_everywhere": "12 [0, 1, 2] 3 ['epoch', 'learning_rate', 'loss', 'mae', 'val_loss', "
    "'val_mae'] True",
    "autoencoder": "(48, 7, 7, 4) (2, 28, 28, 1) 889",
    "functional_two_inputs": "(3, 1) (3, 1) ['aux_output_loss', 'loss', 'main_output_loss'] True",
    "resnet_functional": "2146 6 0.0001",
    "save_and_load": "True True",
    "seq2seq": "1046 3 (1, 1, 6)",
    "sklearn_wrapper_3": "['no', 'yes'] 2 ['no', 'yes'] (60,)",
    "text_vectorization": "['', '[UNK]', 'the'] (24, 6) [2, 4, 6, 7, 2, 9] [2, 0]",
    "torch_backend_loop": "90 1 True",
    "distillation": "['155.96', '125.09'] ['107.86', '0.12'] True False",
    "ema_diffusion": "['4.418', '3.037'] (2, 8, 8, 1) -123.4 18",
    "files_of_own_layers": "random_normal 2 [0, 1, 2] [UNK] a b ['assets/layers/"
    "layer_with_custom_assets/vocabulary.txt'] True my_package>custom_fn",
    "gradient_penalty_tf": "['d_loss', 'g_loss', 'penalty'] True",
    "hands_on_parts": "['huber', 'loss', 'val_huber', 'val_loss'] ['0.817', '0.518'] ['0.0005', "
    "'0.0030', '0.0055', '0.0080', '0.0105', '0.0080'] 2.0 True 124",
    "miniature_gpt": "['loss'] ['2.999', '2.996'] [1, 2, 3] 6",
    "ocr_ctc": "['22.204', '20.652'] (3, 16, 8) (1, 3) ['image', 'bidirectional', 'label', "
    "'dense2', 'ctc_loss']",
    "translation_transformer": "3286 ['3.408', '3.398'] True (16, 10, 30)",
    "vector_quantization": "['loss', 'vqvae_loss'] ['271.479', '259.794'] 549 (32,)",
    "grad_cam_by_hand": "['InputLayer', 'GlobalAveragePooling2D', 'Dense'] (None, 2, "
    "2, 5) True (2, 2) ['-9.955', '-0.058', '-3.352', '-3.859'] ['-9.955', '-0.058', "
    "'-3.352', '-3.859'] 2.3680 [(11, 11, 4), (9, 9, 6), (2, 2, 5)] ['early', 'last',"
    " 'middle']",
    "grad_cam_tf": "(7, 7) 1.000 0.903 4.793 (1, 32, 32, 3) None",
    "nested_lists_and_checkpoints": "['Dense', 'LayerNormalization', 'Dense', 'LayerNormalization"
    "', 'Dense', 'Dense', 'Dense', 'Dense', 'Sequential'] 127 18 ['2.1777', '2.0241']"
    " True True 0.0482",
    "transformer_block": "1314 ['accuracy', 'loss', 'val_accuracy', 'val_loss'] 20",
}
# Those that Keras 3 on torch runs too; the others are older, or need TensorFlow there.
MODERN = [
    "autoencoder",
    "cnn_digits_2017",
    "distillation",
    "ema_diffusion",
    "files_of_own_layers",
    "grad_cam_by_hand",
    "hands_on_parts",
    "miniature_gpt",
    "nested_lists_and_checkpoints",
    "ocr_ctc",
    "own_optimizer",
    "resnet_functional",
    "save_and_load",
    "seq2seq",
    "sklearn_wrapper_3",
    "torch_backend_loop",
    "transformer_block",
    "translation_transformer",
    "vector_quantization",
]
# What they need that may not be there yet: a module, or a name of one.
NEEDS = {
    "image_generator": "nnkit.preprocessing.image:ImageDataGenerator",
    "imdb_cnn_bidirectional": "nnkit.preprocessing.sequence:pad_sequences",
    "imdb_lstm": "nnkit.preprocessing.sequence:pad_sequences",
    "save_and_load": "nnkit.models:load_model",
    "tokenizer_glove": "nnkit.preprocessing.text:Tokenizer",
    "transfer_vgg": "nnkit.applications:VGG16",
    "tuner_like": "nnkit.models:clone_model",
}


@pytest.fixture
def _at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty folder, with the stand-ins for data sets at hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    nnkit.config.clear_session()
    nnkit.utils.set_random_seed(1)
    yield
    nnkit.config.set_device(None)
    torch.set_default_dtype(torch.float32)
    sys.modules.pop("fakes", None)


@pytest.fixture
def _served(_at_home: None) -> Iterator[None]:
    install_as_keras(replace=True)
    yield
    uninstall_as_keras()


def said_by(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out.strip().splitlines()[-1]


@pytest.mark.usefixtures("_served")
@pytest.mark.filterwarnings("ignore:.*old spelling:FutureWarning")
@pytest.mark.parametrize("name", sorted(RESULTS))
def test_a_program(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, _, wanted = NEEDS.get(name, "nnkit:Model").partition(":")
    if not hasattr(pytest.importorskip(module), wanted):
        pytest.skip(f"{module} has no {wanted}")
    assert said_by(name, capsys) == f"Result: {RESULTS[name]}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Keras's own
@pytest.mark.usefixtures("_at_home")
@pytest.mark.parametrize("name", MODERN)
def test_keras_says_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("keras").utils.clear_session(free_memory=False)
    assert said_by(name, capsys) == f"Result: {RESULTS[name]}"


def test_every_program_is_run() -> None:
    programs = {path.stem for path in FOLDER.glob("*.py")} - {"fakes", "test_programs", "__init__"}
    assert programs == set(RESULTS)
