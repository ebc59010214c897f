"""Spellings of older Keras: each is understood, and named once in a process by a warning.

`accept_old_arguments` makes the layers take the arguments of Keras 1 and 2; the tables below are
all there is to it.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["accept_old_arguments", "drop_arguments", "rename_arguments", "warn_once"]

_told: set[str] = set()


def warn_once(old: str, advice: str, stacklevel: int = 2) -> None:
    """Warn of an old spelling the first time it is met in this process."""
    if old not in _told:
        _told.add(old)
        warnings.warn(f"{old} is an old spelling: {advice}", FutureWarning, stacklevel + 1)


def rename_arguments(owner: str, kwargs: dict[str, Any], renamed: dict[str, str]) -> None:
    """Put old keyword arguments under their new names, in place; a new name that is given wins."""
    for old, new in renamed.items():
        if old in kwargs:
            value = kwargs.pop(old)
            kwargs.setdefault(new, value)
            warn_once(f"{owner}({old}=)", f"write {new}=.", 3)


def drop_arguments(owner: str, kwargs: dict[str, Any], names: Iterable[str]) -> None:
    """Leave out keyword arguments that no longer say anything, in place."""
    for name in names:
        if name in kwargs:
            del kwargs[name]
            warn_once(f"{owner}({name}=)", "leave it out, it has no meaning any more.", 3)


_KERNEL = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
}
_IMAGES = {"dim_ordering": "data_format", "border_mode": "padding"}
_CONV = {**_KERNEL, **_IMAGES, "nb_filter": "filters", "subsample": "strides"}
_CONV |= {"atrous_rate": "dilation_rate", "nb_col": "_columns", "nb_row": "_rows"}
_CONV_1D = {**_KERNEL, "border_mode": "padding", "nb_filter": "filters"}
_CONV_1D |= {"filter_length": "kernel_size", "subsample_length": "strides"}
_POOL_1D = {"pool_length": "pool_size", "stride": "strides", "border_mode": "padding"}
_RECURRENT = {
    **_KERNEL,
    "output_dim": "units",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}
# For each layer: what its old arguments are called now.
_RENAMED: dict[str, dict[str, str]] = {
    "Dense": {**_KERNEL, "output_dim": "units"},
    "Conv1D": _CONV_1D,
    "Conv2D": _CONV,
    "Conv2DTranspose": _CONV,
    "SeparableConv2D": _CONV,
    "MaxPooling1D": _POOL_1D,
    "AveragePooling1D": _POOL_1D,
    "MaxPooling2D": _IMAGES,
    "AveragePooling2D": _IMAGES,
    "GlobalAveragePooling2D": _IMAGES,
    "GlobalMaxPooling2D": _IMAGES,
    "ZeroPadding2D": _IMAGES,
    "UpSampling2D": _IMAGES,
    "UpSampling1D": {"length": "size"},
    "SimpleRNN": _RECURRENT,
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "Dropout": {"p": "rate"},
    "SpatialDropout1D": {"p": "rate"},
    "SpatialDropout2D": {"p": "rate"},
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "LeakyReLU": {"alpha": "negative_slope"},
    "Embedding": {"init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer"},
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
}
_DROPPED: dict[str, tuple[str, ...]] = {
    "SimpleRNN": ("consume_less", "implementation"),
    "LSTM": ("consume_less", "implementation", "forget_bias_init"),
    "GRU": ("consume_less", "implementation"),
    "Embedding": ("input_length", "dropout"),
    "BatchNormalization": ("mode", "fused", "renorm"),
}
_ORDERINGS = {"tf": "channels_last", "th": "channels_first"}


def accept_old_arguments(classes: dict[str, Any]) -> None:
    """Let these layer classes, by name, take what the tables above say."""
    for name in sorted(_RENAMED.keys() | _DROPPED.keys()):
        layer = classes[name]
        layer.__init__ = _translating(layer.__init__, name)


def _translating(init: Callable[..., None], owner: str) -> Callable[..., None]:
    renamed, dropped = _RENAMED.get(owner, {}), _DROPPED.get(owner, ())
    known = inspect.signature(init).parameters
    old = {*renamed, *dropped, "weights"} - known.keys()

    @functools.wraps(init)
    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        if old.isdisjoint(kwargs):
            return init(self, *args, **kwargs)
        drop_arguments(owner, kwargs, [name for name in dropped if name in old])
        weights = kwargs.pop("weights", None) if "weights" in old else None
        rename_arguments(owner, kwargs, {name: renamed[name] for name in renamed if name in old})
        if "data_format" in kwargs:
            kwargs["data_format"] = _ORDERINGS.get(kwargs["data_format"], kwargs["data_format"])
        args = _join_sizes(args, kwargs) if renamed is _CONV else args
        if type(self).__init__ is run:
            object.__setattr__(self, "_init_args", (args, kwargs))
        init(self, *args, **kwargs)
        if weights is not None:
            warn_once(f"{owner}(weights=)", "call layer.set_weights once the layer is built.")
            self.__dict__["_initial_weights"] = weights
        return None

    return run


def _join_sizes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Keras 1 wrote the rows and columns of a kernel apart: Convolution2D(32, 3, 3, ...)."""
    if "_rows" in kwargs and "_columns" in kwargs:
        kwargs["kernel_size"] = (kwargs.pop("_rows"), kwargs.pop("_columns"))
    elif len(args) == 3 and all(isinstance(arg, int) for arg in args):
        return args[0], args[1:]
    return args
