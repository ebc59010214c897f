"""The few names of `tensorflow` itself that programs written for `tf.keras` touch.

They are functions of torch and of `nnkit.ops` under TensorFlow's names and argument names. All
others raise an error that names them.
"""

from __future__ import annotations

import functools
import logging
import pkgutil
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from nnkit import ops, random
from nnkit.compat.names import Gone
from nnkit.compat.tape import GradientTape
from nnkit.data.pipeline import Pipeline
from nnkit.variable import Variable

__all__ = ["members"]


def members(path: str) -> dict[str, Any]:
    """The names below `tensorflow.<path>`, "" for tensorflow itself: objects and `Gone`."""
    prefix = f"{path}." if path else ""
    return {
        rest: value
        for name, value in _table().items()
        if name.startswith(prefix) and "." not in (rest := name.removeprefix(prefix))
    }


@functools.cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = {
        "DType": torch.dtype,
        "GradientTape": GradientTape,
        "Tensor": torch.Tensor,
        "TensorShape": tuple,
        "Variable": _variable,
        "argmax": _argmax,
        "config.experimental.list_physical_devices": _devices,
        "config.experimental.set_memory_growth": _nothing,
        "config.list_logical_devices": _devices,
        "config.list_physical_devices": _devices,
        "config.run_functions_eagerly": _nothing,
        "constant": _constant,
        "convert_to_tensor": _constant,
        "data.AUTOTUNE": -1,
        "data.Dataset": Pipeline,
        "data.experimental.AUTOTUNE": -1,
        "device": nullcontext,
        "executing_eagerly": lambda: True,
        "function": _function,
        "fill": lambda dims, value, name=None: ops.full(dims, value),
        "gather": _gather,
        "get_logger": lambda: logging.getLogger("tensorflow"),
        "image.flip_left_right": lambda image: ops.flip(image, -2),
        "identity": torch.clone,
        "is_tensor": torch.is_tensor,
        "linalg.band_part": _band_part,
        "linalg.matmul": _matmul,
        "math.argmax": _argmax,
        "matmul": _matmul,
        "name_scope": nullcontext,
        "newaxis": None,
        "nn.gelu": _gelu,
        "nn.sigmoid_cross_entropy_with_logits": _sigmoid_losses,
        "nn.sparse_softmax_cross_entropy_with_logits": _softmax_losses,
        "print": print,
        "random.set_seed": _set_seed,
        "random.uniform": _uniform,
        "range": _range,
        "set_random_seed": _set_seed,
        "split": _split,
        "test.gpu_device_name": lambda: "/device:GPU:0" if torch.cuda.is_available() else "",
        "test.is_built_with_cuda": torch.backends.cuda.is_built,
        "test.is_gpu_available": lambda *_, **__: torch.cuda.is_available(),
    }
    table |= {name: getattr(torch, now) for name, now in _DTYPES.items()}
    table |= {name: Gone(advice) for name, advice in _GONE.items()}
    for line in _OPS.split("\n"):
        if line:
            names, _, now = line.partition(" = ")
            target, *renamed = now.split()
            made = _adapted(f"nnkit.{target}", dict(pair.split(":") for pair in renamed))
            table |= dict.fromkeys(names.split(), made)
    return table


_DTYPES = {
    name: name
    for name in (
        "bfloat16", "bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64",
        "uint8",
    )
}  # fmt: skip
_GONE = {
    "Session": "There are no sessions: values are computed at once.",
    "data.TFRecordDataset": "Give arrays, a PyDataset or a torch DataLoader to model.fit.",
    "distribute": "Use torch.distributed and DistributedDataParallel.",
    "estimator": "Use model.fit.",
    "feature_column": "Use preprocessing layers of keras.layers.",
    "io": "Read files with Python, images with keras.utils.load_img.",
    "lite": "Export with model.export('model.onnx').",
    "placeholder": "Use keras.Input.",
    "saved_model": "Save with model.save('model.keras') or model.export('model.onnx').",
}
# TensorFlow's names, the function of nnkit, and its arguments that are called otherwise there, as
# theirs:ours.
_OPS = """
abs math.abs = ops.abs
add math.add = ops.add
argsort = ops.argsort values:x
broadcast_to = ops.broadcast_to input:x
cast = ops.cast
cond = ops.cond
clip_by_value = ops.clip t:x clip_value_min:x_min clip_value_max:x_max
concat = ops.concatenate values:xs
cumsum math.cumsum = ops.cumsum
divide math.divide = ops.divide
einsum = ops.einsum
eye = ops.eye num_rows:N num_columns:M
equal math.equal = ops.equal
exp math.exp = ops.exp
expand_dims = ops.expand_dims input:x
floor math.floor = ops.floor
greater math.greater = ops.greater x:x1 y:x2
greater_equal math.greater_equal = ops.greater_equal x:x1 y:x2
image.resize = ops.image.resize method:interpolation
image.rgb_to_grayscale = ops.image.rgb_to_grayscale
less math.less = ops.less x:x1 y:x2
less_equal math.less_equal = ops.less_equal x:x1 y:x2
linspace = ops.linspace
logical_and math.logical_and = ops.logical_and x:x1 y:x2
logical_not math.logical_not = ops.logical_not
logical_or math.logical_or = ops.logical_or x:x1 y:x2
math.divide_no_nan = ops.divide_no_nan x:x1 y:x2
math.is_nan = ops.isnan
math.log = ops.log
math.top_k nn.top_k = ops.top_k input:x
meshgrid = ops.meshgrid
norm linalg.norm = ops.norm tensor:x
math.rsqrt = ops.rsqrt
math.reduce_std = ops.std input_tensor:x
math.reduce_variance = ops.var input_tensor:x
maximum math.maximum = ops.maximum x:x1 y:x2
minimum math.minimum = ops.minimum x:x1 y:x2
multiply math.multiply = ops.multiply x:x1 y:x2
nn.l2_normalize math.l2_normalize = backend.l2_normalize
nn.elu = ops.elu features:x
nn.leaky_relu = ops.leaky_relu features:x alpha:negative_slope
nn.log_softmax = ops.log_softmax logits:x
nn.relu = ops.relu features:x
nn.softmax = ops.softmax logits:x
not_equal math.not_equal = ops.not_equal x:x1 y:x2
nn.softplus math.softplus = ops.softplus features:x
nn.swish nn.silu = ops.silu features:x
one_hot = ops.one_hot indices:x depth:num_classes
ones = ops.ones
ones_like = ops.ones_like input:x
pow math.pow = ops.power x:x1 y:x2
random.normal = random.normal
random.truncated_normal = random.truncated_normal
random.shuffle = random.shuffle value:x
reduce_all math.reduce_all = ops.all input_tensor:x
reduce_any math.reduce_any = ops.any input_tensor:x
reduce_max math.reduce_max = ops.max input_tensor:x
reduce_mean math.reduce_mean = ops.mean input_tensor:x
reduce_min math.reduce_min = ops.min input_tensor:x
reduce_prod math.reduce_prod = ops.prod input_tensor:x
reduce_sum math.reduce_sum = ops.sum input_tensor:x
repeat = ops.repeat input:x
reshape = ops.reshape tensor:x shape:newshape
reverse = ops.flip tensor:x
round math.round = ops.round
shape = ops.shape input:x
sigmoid math.sigmoid nn.sigmoid = ops.sigmoid
sign math.sign = ops.sign
size = ops.size input:x
sort = ops.sort values:x
sqrt math.sqrt = ops.sqrt
square math.square = ops.square
squeeze = ops.squeeze input:x
stack = ops.stack values:x
stop_gradient = ops.stop_gradient input:variable
subtract math.subtract = ops.subtract x:x1 y:x2
tanh math.tanh nn.tanh = ops.tanh
tensordot = ops.tensordot a:x1 b:x2
tile = ops.tile input:x multiples:repeats
transpose = ops.transpose a:x perm:axes
where = ops.where x:x1 y:x2
zeros = ops.zeros
zeros_like = ops.zeros_like input:x
"""


def _adapted(target: str, renamed: dict[str, str]) -> Callable[..., Any]:
    """The function of this name, which also takes TensorFlow's argument names; `name` is none."""
    function = pkgutil.resolve_name(target)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        return function(*args, **{renamed.get(word, word): kwargs[word] for word in kwargs})

    return run


def _constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    # As in TensorFlow, Python's floats are float32 and its integers int32.
    if isinstance(value, torch.Tensor):
        made = value
    else:
        array = np.asarray(value)
        made = torch.as_tensor(array)
        if not isinstance(value, np.ndarray) and array.dtype in (np.int64, np.float64):
            made = made.to(torch.int32 if array.dtype == np.int64 else torch.float32)
    made = made if dtype is None else made.to(_dtype(dtype))
    return made if shape is None else made.expand(shape) if made.ndim == 0 else made.reshape(shape)


def _dtype(dtype: Any) -> torch.dtype:
    return dtype if isinstance(dtype, torch.dtype) else getattr(torch, np.dtype(dtype).name)


def _variable(
    initial_value: Any, trainable: bool = True, name: str | None = None, dtype: Any = None
) -> Variable:
    value = _constant(initial_value() if callable(initial_value) else initial_value, dtype)
    trains = trainable and value.is_floating_point()
    return Variable(value.clone(), requires_grad=trains, name=name)


def _function(func: Any = None, **options: Any) -> Any:
    """`tf.function` only makes things faster; here functions run as they are."""
    return (lambda function: function) if func is None else func


def _nothing(*args: Any, **kwargs: Any) -> None:
    """A setting that has nothing to set here: torch takes GPU memory as it is needed."""


def _devices(device_type: str | None = None) -> list[str]:
    found = [f"/physical_device:GPU:{i}" for i in range(torch.cuda.device_count())]
    kinds = {"CPU": ["/physical_device:CPU:0"], "GPU": found}
    return kinds["CPU"] + found if device_type is None else kinds.get(device_type, [])


# -- where TensorFlow's defaults or arguments are others than those of `ops` -----------------------


def _argmax(input: Any, axis: int = 0, output_type: Any = torch.int64, name: Any = None) -> Any:
    return ops.cast(ops.argmax(input, axis), output_type)


def _gather(params: Any, indices: Any, axis: int = 0, name: Any = None) -> Any:
    return ops.take(params, indices, axis)


def _band_part(input: Any, num_lower: int, num_upper: int, name: Any = None) -> Any:
    below = input if num_lower < 0 else torch.triu(input, -num_lower)
    return below if num_upper < 0 else torch.tril(below, num_upper)


def _sigmoid_losses(labels: Any, logits: Any, name: Any = None) -> Any:
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def _softmax_losses(labels: Any, logits: Any, name: Any = None) -> Any:
    return F.cross_entropy(logits.movedim(-1, 1), labels.long(), reduction="none")


def _gelu(features: Any, approximate: bool = False, name: Any = None) -> Any:
    return ops.gelu(features, approximate)


def _matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, name: Any = None
) -> Any:
    return ops.matmul(
        ops.swapaxes(a, -1, -2) if transpose_a else a, ops.swapaxes(b, -1, -2) if transpose_b else b
    )


def _range(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: Any = None
) -> Any:
    return ops.arange(start, limit, delta, dtype)


def _split(value: Any, num_or_size_splits: Any, axis: int = 0, name: Any = None) -> Any:
    parts = num_or_size_splits
    if not isinstance(parts, int):
        parts = np.cumsum(parts)[:-1].tolist()
    return ops.split(value, parts, axis)


def _uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = torch.float32, seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    kind = _dtype(dtype)
    if kind.is_floating_point:
        return random.uniform(shape, minval, 1 if maxval is None else maxval, kind, seed)
    return random.randint(shape, minval, maxval, kind, seed)


def _set_seed(seed: int) -> None:
    torch.manual_seed(seed)
