"""Spellings of older Keras: each is understood, and named once in a process by a warning.

`accept_old_arguments` makes the layers take the arguments of Keras 1 and 2, `accept_old_calls` the
methods of a model; the tables below are all there is to it.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from nnkit.errors import level_outside

__all__ = [
    "OldResetStates",
    "accept_old_arguments",
    "accept_old_calls",
    "drop_arguments",
    "rename_arguments",
    "warn_once",
]

_told: set[str] = set()


def warn_once(old: str, advice: str, stacklevel: int | None = None) -> None:
    """Warn of an old spelling the first time it is met in this process.

    Args:
        old: the spelling.
        advice: what to do, a sentence.
        stacklevel: whose line is shown, 2 for the caller's; the first outside of nnkit when None.
    """
    if old not in _told:
        _told.add(old)
        level = level_outside() if stacklevel is None else stacklevel + 1
        warnings.warn(f"{old} is an old spelling: {advice}", FutureWarning, level)


class OldResetStates:
    """A mixin of what has a `reset_state`, which was once called `reset_states`."""

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        warn_once(f"{type(self).__name__}.reset_states", "write reset_state.", 2)
        self.reset_state()  # type: ignore[attr-defined]


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
_CONV["atrous_rate"] = "dilation_rate"
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
_SIZES = ("nb_row", "nb_col")
_DROPPED: dict[str, tuple[str, ...]] = {
    "SimpleRNN": ("consume_less",),
    "LSTM": ("consume_less", "forget_bias_init"),
    "GRU": ("consume_less",),
    "Embedding": ("input_length", "dropout"),
    "BatchNormalization": ("mode", "fused", "renorm"),
}
_WORKERS = ("max_queue_size", "use_multiprocessing", "workers")
# For each method of a model: what is called otherwise now, and what says nothing any more.
_CALLS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "__init__": ({"input": "inputs", "output": "outputs"}, ()),
    "compile": ({}, ("class_mode", "sample_weight_mode", "target_tensors")),
    "evaluate": ({}, (*_WORKERS, "show_accuracy")),
    "fit": ({"nb_epoch": "epochs"}, (*_WORKERS, "show_accuracy")),
    "predict": ({}, _WORKERS),
}
_ORDERINGS = {"tf": "channels_last", "th": "channels_first"}


def accept_old_arguments(classes: dict[str, Any]) -> None:
    """Let these layer classes, by name, take what the tables above say, and `weights=`."""
    for name in sorted(_RENAMED.keys() | _DROPPED.keys()):
        layer = classes[name]
        layer.__init__ = _layer_init(layer.__init__, name)


def accept_old_calls(model: type) -> None:
    """Let this model class and its methods take what `_CALLS` says."""
    for name, (renamed, dropped) in _CALLS.items():
        setattr(model, name, _method(getattr(model, name), model.__name__, renamed, dropped))


def _method(
    function: Callable[..., Any], owner: str, renamed: dict[str, str], dropped: Iterable[str]
) -> Callable[..., Any]:
    old = {*renamed, *dropped}
    where = owner if function.__name__ == "__init__" else f"{owner}.{function.__name__}"

    @functools.wraps(function)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not old.isdisjoint(kwargs):
            drop_arguments(where, kwargs, dropped)
            rename_arguments(where, kwargs, renamed)
        return function(self, *args, **kwargs)

    return run


def _layer_init(init: Callable[..., None], owner: str) -> Callable[..., None]:
    known = inspect.signature(init).parameters
    renamed = {old: new for old, new in _RENAMED.get(owner, {}).items() if old not in known}
    dropped = [old for old in _DROPPED.get(owner, ()) if old not in known]
    takes_weights = "weights" in known
    old = {*renamed, *dropped, *_SIZES, "weights"} - known.keys()

    @functools.wraps(init)
    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        if old.isdisjoint(kwargs):
            return init(self, *args, **kwargs)
        weights = None if takes_weights else kwargs.pop("weights", None)
        drop_arguments(owner, kwargs, dropped)
        rename_arguments(owner, kwargs, renamed)
        if "data_format" in kwargs:
            kwargs["data_format"] = _ORDERINGS.get(kwargs["data_format"], kwargs["data_format"])
        if "subsample" in renamed:
            args = _join_sizes(owner, args, kwargs)
        if type(self).__init__ is run:
            object.__setattr__(self, "_init_args", (args, kwargs))
        init(self, *args, **kwargs)
        if weights is not None:
            warn_once(f"{owner}(weights=)", "call layer.set_weights once the layer is built.", 2)
            self.__dict__["_initial_weights"] = weights
        return None

    return run


def _join_sizes(owner: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Keras 1 wrote the rows and columns of a kernel apart: Convolution2D(32, 3, 3, ...)."""
    if kwargs.keys() >= set(_SIZES):
        kwargs["kernel_size"] = tuple(kwargs.pop(name) for name in _SIZES)
        warn_once(f"{owner}(nb_row=, nb_col=)", "write kernel_size=(rows, columns).", 3)
    elif len(args) == 3 and all(isinstance(arg, int) for arg in args):
        return args[0], args[1:]
    return args
