"""Imports that published programs make: what they find, and what they are told."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import subprocess
import sys

import keras as real_keras
import pytest

import nnkit
from nnkit.compat import install_as_keras, uninstall_as_keras
from nnkit.errors import ArgumentError, MissingImportError, MissingNameError, NnkitError

# Each import statement, and the object of nnkit that the last name must be.
IMPORTS = [
    ("import keras; it = keras.layers.Dense", "layers.Dense"),
    ("import keras.layers; it = keras.layers.Dense", "layers.Dense"),
    ("import keras.layers as L; it = L.Dense", "layers.Dense"),
    ("from keras.models import Sequential as it", "Sequential"),
    ("from keras import Model as it", "Model"),
    ("from keras import backend as K; it = K.mean", "backend.mean"),
    ("import keras.backend as K; it = K.mean", "backend.mean"),
    ("import tf_keras; it = tf_keras.Sequential", "Sequential"),
    ("import tensorflow as tf; it = tf.keras.layers.LSTM", "layers.LSTM"),
    ("from tensorflow import keras; it = keras.losses.Huber", "losses.Huber"),
    ("from tensorflow.keras import layers; it = layers.GRU", "layers.GRU"),
    ("from tensorflow.keras.optimizers import Adam as it", "optimizers.Adam"),
    ("from tensorflow.keras.optimizers.legacy import Adam as it", "optimizers.Adam"),
    ("from tensorflow.keras.optimizers.schedules import *; it = CosineDecay",
     "optimizers.schedules.CosineDecay"),
    ("from tensorflow.python.keras.layers import Dense as it", "layers.Dense"),
    ("from tensorflow.keras.layers.experimental.preprocessing import Rescaling as it",
     "layers.Rescaling"),
    ("import tensorflow as tf; it = tf.keras.layers.experimental.preprocessing.Normalization",
     "layers.Normalization"),
    ("from keras.layers.core import Dense, Activation as it", "layers.Activation"),
    ("from keras.layers.convolutional import Conv2D as it", "layers.Conv2D"),
    ("from keras.layers.convolutional import Convolution2D as it", "layers.Conv2D"),
    ("from keras.layers.normalization import BatchNormalization as it",
     "layers.BatchNormalization"),
    ("from keras.layers.advanced_activations import LeakyReLU as it", "layers.LeakyReLU"),
    ("from keras.layers.merge import concatenate as it", "layers.concatenate"),
    ("from keras.layers.recurrent import LSTM as it", "layers.LSTM"),
    ("from keras.layers.embeddings import Embedding as it", "layers.Embedding"),
    ("from keras.layers.wrappers import TimeDistributed as it", "layers.TimeDistributed"),
    ("from keras.engine.topology import Layer as it", "layers.Layer"),
    ("from keras.engine import Model as it", "Model"),
    ("from keras.engine.training import Model as it", "Model"),
    ("from keras.utils import np_utils; it = np_utils.to_categorical", "utils.to_categorical"),
    ("from keras.utils.np_utils import to_categorical as it", "utils.to_categorical"),
    ("from keras.utils.data_utils import get_file as it", "utils.get_file"),
    ("from keras.objectives import mean_squared_error as it", "losses.mean_squared_error"),
    ("from keras import objectives; it = objectives.mean_squared_error",
     "losses.mean_squared_error"),
    ("from keras.callbacks.callbacks import EarlyStopping as it", "callbacks.EarlyStopping"),
    ("from keras.api.layers import Dense as it", "layers.Dense"),
    ("from keras.api import layers; it = layers.Dense", "layers.Dense"),
    ("from keras.api._v2.keras import layers; it = layers.Dense", "layers.Dense"),
    ("import keras; it = keras.utils.to_categorical", "utils.to_categorical"),
    ("from keras.datasets import mnist; it = mnist.load_data", "datasets.mnist.load_data"),
    ("from keras.optimizers.experimental import SGD as it", "optimizers.SGD"),
    ("from keras.optimizer_v2.adam import Adam as it", "optimizers.Adam"),
    ("import tensorflow.keras.backend as K; it = K.square", "backend.square"),
]  # fmt: skip


@pytest.mark.usefixtures("as_keras")
@pytest.mark.filterwarnings("ignore:.*old spelling:FutureWarning")
@pytest.mark.parametrize(("code", "target"), IMPORTS, ids=[code for code, _ in IMPORTS])
def test_an_import_finds_nnkit(code: str, target: str) -> None:
    names: dict[str, object] = {}
    exec(code, names)
    found: object = nnkit
    for part in target.split("."):
        found = getattr(found, part)
    assert names["it"] is found


@pytest.mark.usefixtures("as_keras")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import keras.layers.core", r"keras\.layers\.core is an old .* import from keras\.layers"),
        ("from keras.utils import np_utils", r"keras\.utils\.np_utils .* from keras\.utils"),
        ("import keras; keras.objectives", r"keras\.objectives .* from keras\.losses"),
        ("import tensorflow.keras.optimizers.legacy", r"keras\.optimizers\.legacy"),
    ],
)
def test_an_old_path_warns_once(code: str, message: str) -> None:
    with pytest.warns(FutureWarning, match=message):
        exec(code, {})
    for name in list(sys.modules):
        if name.startswith(("keras", "tensorflow")):
            del sys.modules[name]
    exec(code, {})


@pytest.mark.usefixtures("as_keras")
@pytest.mark.filterwarnings("ignore:.*old spelling:FutureWarning")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("from keras.layers import Dens", r"keras\.layers has no 'Dens' .*Did you mean 'Dense'"),
        ("import keras; keras.layers.Conv2d", r"no 'Conv2d' in nnkit. Did you mean .*'Conv2D'"),
        ("from keras.models import Dense", r"no 'Dense' .*There is keras\.layers\.Dense\."),
        ("import keras.nothing", r"keras has no 'nothing' in nnkit"),
        ("from keras import nothing", r"keras has no 'nothing' in nnkit"),
        ("import keras.src.layers", r"keras\.src is Keras's private code"),
        ("from keras.src import layers", r"keras\.src is Keras's private code"),
        ("from keras.layers import LocallyConnected1D", r"Write one with torch\.nn\.Unfold"),
        ("import keras; keras.layers.Merge", r"Use Concatenate, Add"),
        ("from keras.utils import multi_gpu_model", r"DistributedDataParallel"),
        ("import keras.version", r"no 'version' in nnkit. Did you mean '__version__'"),
        ("from keras.utils.np_utils import to_categorial", r"Did you mean 'to_categorical'"),
        ("from keras.layers.core import dens", r"keras\.layers\.core has no 'dens'"),
        ("from keras.backend import set_session", r"There are no sessions"),
        ("import tensorflow as tf; tf.Session()", r"There are no sessions"),
        ("import tensorflow as tf; tf.data.TFRecordDataset", r"DataLoader to model\.fit"),
        ("import tensorflow as tf; tf.reduce_meen", r"Did you mean 'reduce_mean'"),
        ("import tensorflow as tf; tf.linalg.svd", r"There is keras\.ops\.svd"),
        ("import tensorflow as tf; tf.nonsense", r"no 'nonsense' .*tensorflow\.keras and a few"),
        ("from tensorflow.math import nonsense", r"tensorflow\.math has no 'nonsense'"),
        ("import tensorflow.compat.v1 as tf", r"tensorflow has no 'compat'"),
    ],
)
def test_what_is_missing_is_named(code: str, message: str) -> None:
    with pytest.raises((MissingImportError, MissingNameError), match=message) as caught:
        exec(code, {})
    assert isinstance(caught.value, NnkitError)
    # What programs catch when they try one place after another.
    assert isinstance(caught.value, (ImportError, AttributeError))


@pytest.mark.usefixtures("as_keras")
def test_programs_that_try_several_places() -> None:
    keras = importlib.import_module("keras")
    assert not hasattr(keras.layers, "Merge")
    assert getattr(keras.layers, "Merge", None) is None
    names: dict[str, object] = {}
    exec(
        "try:\n    from keras.layers.nowhere import Dense\n"
        "except ModuleNotFoundError:\n    from keras.layers import Dense",
        names,
    )
    assert names["Dense"] is nnkit.layers.Dense


@pytest.mark.usefixtures("as_keras")
def test_a_star_import_brings_todays_names_without_a_warning() -> None:
    names: dict[str, object] = {}
    exec("from keras.layers import *", names)
    assert names["Conv2D"] is nnkit.layers.Conv2D
    assert "CuDNNLSTM" not in names


@pytest.mark.usefixtures("as_keras")
@pytest.mark.filterwarnings("ignore:keras.engine:FutureWarning")
@pytest.mark.parametrize(
    ("module", "name", "target"),
    [
        ("keras.layers", "CuDNNLSTM", nnkit.layers.LSTM),
        ("tensorflow.keras.layers", "CuDNNGRU", nnkit.layers.GRU),
        ("keras.layers", "Deconvolution2D", nnkit.layers.Conv2DTranspose),
        ("keras.optimizers", "adam", nnkit.optimizers.Adam),
        ("keras.engine", "Container", nnkit.Model),
    ],
)
def test_old_names_warn_once(module: str, name: str, target: object) -> None:
    found = importlib.import_module(module)
    with pytest.warns(FutureWarning, match=f"{name} is an old spelling: it is"):
        assert getattr(found, name) is target
    assert getattr(found, name) is target


@pytest.mark.usefixtures("as_keras")
def test_versions_say_whose_they_are() -> None:
    keras = importlib.import_module("keras")
    tf = importlib.import_module("tensorflow")
    assert keras.__version__ == keras.version() == tf.keras.__version__
    assert keras.__version__.endswith("+nnkit")
    assert keras.__version__.startswith(real_keras.__version__.rsplit(".", 1)[0])
    assert tf.__version__ >= "2"


@pytest.mark.usefixtures("as_keras")
def test_modules_list_and_find_their_names() -> None:
    layers = importlib.import_module("keras.layers")
    assert {"Dense", "Conv2D"} <= set(dir(layers))
    assert importlib.util.find_spec("keras.layers") is not None
    assert layers.__spec__.name == "keras.layers"


@pytest.mark.usefixtures("as_keras")
def test_a_module_travels_in_a_pickle() -> None:
    layers = importlib.import_module("keras.layers")
    sent = pickle.dumps(layers)
    assert pickle.loads(sent) is layers
    code = f"import pickle; print(pickle.loads({sent!r}).Dense.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "nnkit.layers.core"


def test_a_keras_that_is_imported_is_left_alone() -> None:
    with pytest.raises(ArgumentError, match=r"'keras.*' is imported already.*replace=True"):
        install_as_keras()
    assert sys.modules["keras"] is real_keras
    assert importlib.import_module("keras.layers") is real_keras.layers


def test_a_keras_that_was_set_aside_comes_back() -> None:
    install_as_keras(replace=True)
    try:
        assert importlib.import_module("keras") is not real_keras
        install_as_keras()  # a second time changes nothing
    finally:
        uninstall_as_keras()
    assert sys.modules["keras"] is real_keras
    assert "tensorflow.keras" not in sys.modules
    uninstall_as_keras()
    assert importlib.import_module("keras.layers").Dense is real_keras.layers.Dense


@pytest.mark.usefixtures("as_keras")
def test_torch_can_compile_a_served_model() -> None:
    """It leaves out the folders of packages it knows, `tensorflow` among them."""
    skipped = importlib.import_module("torch._dynamo.trace_rules")
    before = list(skipped.SKIP_DIRS)
    skipped.add("tensorflow")
    assert before == skipped.SKIP_DIRS
