"""Where older programs look for Keras's names, and what became of those that are gone."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

from nnkit import config
from nnkit.legacy import warn_once

__all__ = [
    "GONE_MODULES",
    "JOINED",
    "PAGE",
    "TENSORFLOW",
    "VERSIONS",
    "At",
    "Gone",
    "is_current",
    "moved",
    "old_path",
    "search",
]

# What programs compare with: the versions whose interfaces are served, "" for Keras.
VERSIONS = {"": "3.15.1+nnkit", "tensorflow": "2.20.0+nnkit"}


class At:
    """A name that stands elsewhere in nnkit.

    Args:
        target: the whole name, "nnkit.layers.LSTM".
        old: what to warn of, once, as an old spelling; None for no warning.
    """

    def __init__(self, target: str, old: str | None = None) -> None:
        self.target = target
        self.old = old

    def __call__(self) -> Any:
        """The object itself."""
        if self.old is not None:
            warn_once(self.old, f"it is {self.target.removeprefix('nnkit.')} now.", 3)
        return pkgutil.resolve_name(self.target)


class Gone:
    """A name that cannot be had, and what to write instead."""

    def __init__(self, advice: str) -> None:
        self.advice = advice


def is_current(value: Any) -> bool:
    """Whether this stands for a name that new programs use, so that a star import brings it."""
    return not isinstance(value, Gone) and not (isinstance(value, At) and value.old)


# Modules of older versions: a pattern of the whole path, and the path it has now.
_OLD_PATHS = [
    (re.compile(pattern), path)
    for pattern, path in (
        (
            r"layers\.(activation|advanced_activations|attention|convolutional"
            r"|convolutional_recurrent|core|cudnn_recurrent|dense_attention|embeddings"
            r"|experimental(\.preprocessing)?|kernelized|local|merge|merging|noise"
            r"|normalization(\.(batch|layer|unit)_normalization)?|normalization_v2|pooling"
            r"|preprocessing(\.[a-z]+_preprocessing|\.[a-z]+_lookup|\.text_vectorization)?"
            r"|recurrent|recurrent_v2|regularization|reshaping|rnn|wrappers)",
            "layers",
        ),
        (
            r"engine(\.(base_layer|functional|input_layer|input_spec|network|sequential|topology"
            r"|training))?",
            "engine",
        ),
        (
            r"utils\.(all_utils|conv_utils|data_utils|generic_utils|image_utils|io_utils"
            r"|layer_utils|np_utils|tf_utils|training_utils|vis_utils)",
            "utils",
        ),
        (r"optimizer_v2\.learning_rate_schedule", "optimizers.schedules"),
        (r"optimizers\.schedules\.learning_rate_schedule", "optimizers.schedules"),
        (
            r"optimizer_v1|optimizer_v2(\.[a-z_]+)?|optimizers\.(legacy|experimental|[a-z_]+_v[12])",
            "optimizers",
        ),
        (r"callbacks\.(callbacks|experimental)", "callbacks"),
        (r"backend\.(common|load_backend|tensorflow_backend|theano_backend)", "backend"),
        (r"initializers\.initializers(_v[12])?", "initializers"),
        (r"models\.(cloning|model|sequential|functional)", "models"),
        (r"objectives", "losses"),
        (r"backend_config", "config"),
        (r"legacy\.saving", "saving"),
    )
]

# Paths whose names come from several modules of nnkit.
JOINED = {
    "engine": ("layers", "models", "utils"),
    "experimental": ("optimizers.schedules", "layers"),
}

_PRIVATE = "keras.src is Keras's private code. Import the name from where Keras's manual has it."
_INTERFACES = "It translated Keras 1's arguments, which the layers here take by themselves."
GONE_MODULES = {
    "src": _PRIVATE,
    "legacy.interfaces": _INTERFACES,
    "legacy.layers": _INTERFACES,
    "estimator": "TensorFlow's estimators are gone from Keras 3 too. Use model.fit.",
    "premade": "Write the model out, with keras.Sequential.",
}


def _set_ordering(dim_ordering: str) -> None:
    """Keras 1's `K.set_image_dim_ordering`: "tf" is how images are kept, "th" is refused."""
    config.set_image_data_format({"tf": "channels_last"}.get(dim_ordering, "channels_first"))


_LOCAL = "Keras 3 has no locally connected layers either. Write one with torch.nn.Unfold."
_DISTRIBUTE = "Wrap the model in torch.nn.parallel.DistributedDataParallel."
_SESSION = "There are no sessions: values are computed at once. Leave the line out."
_LAYERS: dict[str, Any] = {
    "AtrousConvolution1D": At("nnkit.layers.Conv1D", "AtrousConvolution1D"),
    "AtrousConvolution2D": At("nnkit.layers.Conv2D", "AtrousConvolution2D"),
    "CuDNNGRU": At("nnkit.layers.GRU", "CuDNNGRU"),
    "CuDNNLSTM": At("nnkit.layers.LSTM", "CuDNNLSTM"),
    "Deconvolution2D": At("nnkit.layers.Conv2DTranspose", "Deconvolution2D"),
    "Deconvolution3D": At("nnkit.layers.Conv3DTranspose", "Deconvolution3D"),
    "DenseFeatures": Gone("Use keras.layers.Concatenate of preprocessing layers."),
    "Highway": Gone("Write the gate out: t * h + (1 - t) * x, with two Dense layers."),
    "LocallyConnected1D": Gone(_LOCAL),
    "LocallyConnected2D": Gone(_LOCAL),
    "MaxoutDense": Gone(
        "Use Dense(units * n), Reshape((units, n)) and the max over the last axis."
    ),
    "Merge": Gone("Use Concatenate, Add, Multiply, Average, Maximum or Dot on tensors."),
    "ThresholdedReLU": Gone("Keras 3 has none either. Use Lambda(lambda x: x * (x > theta))."),
    "merge": Gone("Use concatenate, add, multiply, average, maximum or dot."),
}
_OPTIMIZERS: dict[str, Any] = {
    name.lower(): At(f"nnkit.optimizers.{name}", f"optimizers.{name.lower()}")
    for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "Nadam", "RMSprop", "SGD")
}
_OPTIMIZERS["TFOptimizer"] = Gone("Use an optimizer of keras.optimizers or of torch.optim.")
_MOVED: dict[str, dict[str, Any]] = {
    "": {
        "src": Gone(_PRIVATE),
        "version": lambda: VERSIONS[""],
    },
    "layers": _LAYERS,
    "engine": {
        "Container": At("nnkit.models.Model", "Container"),
        "Network": At("nnkit.models.Model", "Network"),
    },
    "optimizers": _OPTIMIZERS,
    "models": {
        "Input": At("nnkit.layers.Input", "keras.models.Input"),
        "Layer": At("nnkit.layers.Layer", "keras.models.Layer"),
        "Functional": At("nnkit.models.Model"),
        "model_from_yaml": Gone("YAML could run code. Use to_json and model_from_json."),
    },
    "utils": {
        "GeneratorEnqueuer": Gone("Give the generator to model.fit, or use a torch DataLoader."),
        "HDF5Matrix": Gone("Open the file with h5py and give model.fit a PyDataset of its slices."),
        "OrderedEnqueuer": Gone("Give a PyDataset with workers= to model.fit."),
        "convert_all_kernels_in_model": Gone("It was for Theano, which flipped kernels."),
        "multi_gpu_model": Gone(_DISTRIBUTE),
    },
    "backend": {
        "clear_session": At("nnkit.config.clear_session"),
        "get_session": Gone(_SESSION),
        "image_dim_ordering": lambda: "tf",
        "set_image_dim_ordering": _set_ordering,
        "set_session": Gone(_SESSION),
        "tf": Gone("Import tensorflow, of which a few functions are here, or write torch."),
    },
}


def old_path(path: str) -> str:
    """Where the module that was at `path` in an older version is now; `path` itself if it is."""
    for pattern, now in _OLD_PATHS:
        if pattern.fullmatch(path):
            return now
    return path


def moved(path: str) -> dict[str, Any]:
    """The names of a module that are elsewhere (`At`) or nowhere (`Gone`) now."""
    return _MOVED.get(path, {})


_SEARCHED = (
    "activations", "callbacks", "config", "constraints", "initializers", "layers", "losses",
    "metrics", "models", "ops", "optimizers", "random", "regularizers", "saving", "utils",
)  # fmt: skip


def search(name: str) -> list[str]:
    """The modules of nnkit that have this name, as "keras.layers.Dense"."""
    return [
        f"keras.{path}.{name}"
        for path in _SEARCHED
        if name in getattr(importlib.import_module(f"nnkit.{path}"), "__all__", ())
    ]


PAGE = "See docs/keras-symbols.md for the names there are."
TENSORFLOW = (
    "Of tensorflow, nnkit has tensorflow.keras and a few functions; write torch or keras.ops."
)
