"""Operations in a graph by the names Keras has for them.

In a graph of Keras `x + y` and `ops.mean(x, axis=1)` are objects of classes such as `Add` and
`Mean`. What such a class is made with stands in its config; what it is called with, which the table
lists, stands at the node.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from nnkit import ops
from nnkit.errors import ArgumentError, ConfigError
from nnkit.naming import to_snake_case
from nnkit.symbolic import Function

__all__ = ["Operation", "operation_of", "written"]

# Module and class in Keras, by what a call is given; all other arguments belong to the config.
_OPERATIONS: dict[str, dict[str, str]] = {
    "numpy": {
        "array": "Rot90",
        "x": (
            "Abs Absolute All Amax Amin Angle Any Arccos Arccosh Arcsin Arcsinh Arctan Arctanh "
            "Argmax Argmin Argpartition Argsort Array ArraySplit Bincount BitwiseInvert "
            "BitwiseNot BroadcastTo Cbrt Ceil Clip Conj Conjugate Copy Corrcoef Cos Cosh "
            "CountNonzero Cumprod Cumsum Deg2rad Diag Diagflat Diagonal Dsplit EmptyLike Exp Exp2 "
            "ExpandDims Expm1 Fabs Flip Fliplr Flipud Floor Histogram Hsplit I0 Imag Isfinite "
            "Isinf Isnan Isneginf Isposinf Isreal Log Log10 Log1p Log2 LogicalNot Max Mean Median "
            "Min Moveaxis NanToNum Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean "
            "Nanmedian Nanmin Nanprod Nanstd Nansum Nanvar Ndim Negative Nonzero OnesLike Prod "
            "Ptp Rad2deg Ravel Real Reciprocal Repeat Reshape Roll Round Sign Signbit Sin Sinc "
            "Sinh Size Slogdet Sort Split Sqrt Square Squeeze Stack Std Sum Swapaxes Tan Tanh "
            "Tile Trace Transpose Tril Triu Trunc Unique Vander Var View Vsplit ZerosLike"
        ),
        "x1 x2": (
            "Add AllClose Append Arctan2 Correlate Cross Divide DivideNoNan Dot Equal FloorDivide "
            "Fmax Fmin Fmod Gcd Greater GreaterEqual Heaviside Hypot Inner IsIn Kron Lcm Ldexp "
            "Less LessEqual Logaddexp Logaddexp2 LogicalAnd LogicalOr LogicalXor Matmul Maximum "
            "Minimum Mod Multiply Nextafter NotEqual Outer Power Subtract Tensordot TrueDivide "
            "Vdot"
        ),
        "start stop step": "Arange",
        "x weights": "Average",
        "x y": (
            "BitwiseAnd BitwiseLeftShift BitwiseOr BitwiseRightShift BitwiseXor LeftShift "
            "RightShift"
        ),
        "xs": "Concatenate Dstack Hstack Vstack",
        "a": "Diff",
        "x bins": "Digitize",
        "fill_value": "Full",
        "x fill_value": "FullLike",
        "x key": "GetItem",
        "start stop": "Geomspace Linspace Logspace",
        "x1 x2 rtol atol": "Isclose",
        "x q": "Nanpercentile Nanquantile Percentile Quantile",
        "x constant_values": "Pad",
        "indices": "UnravelIndex",
        "sorted_sequence values": "SearchSorted",
        "x indices": "Take TakeAlongAxis",
        "condition x1 x2": "Where",
        "y": "Trapezoid",
        "condlist choicelist default": "Select",
    },
    "nn": {
        "x": (
            "Celu DepthToSpace Elu Fold Gelu Glu HardShrink HardSigmoid HardSilu HardTanh "
            "LeakyRelu LogSigmoid LogSoftmax Moments Normalize OneHot Relu Relu6 Selu Sigmoid "
            "Silu SoftShrink Softmax Softplus Softsign SpaceToDepth SparsePlus SparseSigmoid "
            "Sparsemax Squareplus TanhShrink Threshold Unfold"
        ),
        "inputs": "AdaptiveAveragePool AdaptiveMaxPool AveragePool MaxPool MultiHot",
        "inputs kernel": "Conv ConvTranspose DepthwiseConv",
        "inputs depthwise_kernel pointwise_kernel": "SeparableConv",
        "target output": (
            "BinaryCrossentropy CategoricalCrossentropy SparseCategoricalCrossentropy"
        ),
        "target output target_length output_length": "CTCLoss",
        "inputs sequence_lengths": "CTCDecode",
        "x1 x2": "PSNR",
        "query key value bias mask scale": "DotProductAttention",
        "abs_ angle": "Polar",
    },
    "core": {
        "f xs": "Map",
        "f init xs": "Scan",
        "f elems": "AssociativeScan",
        "indices values": "Scatter",
        "inputs indices updates": "ScatterUpdate",
        "inputs start_indices": "Slice",
        "inputs start_indices updates": "SliceUpdate",
        "loop_vars": "WhileLoop",
        "variable": "StopGradient",
        "init_val": "ForiLoop",
        "x": "Cast ConvertToTensor SaturateCast Unstack",
        "pred true_fn false_fn": "Cond",
        "elements": "VectorizedMap",
    },
    "image": {
        "images": (
            "CropImages ExtractPatches GaussianBlur HSVToRGB PadImages RGBToGrayscale RGBToHSV "
            "Resize SobelEdges"
        ),
        "images transform": "AffineTransform",
        "inputs coordinates": "MapCoordinates",
        "images start_points end_points": "PerspectiveTransform",
        "image1 image2": "SSIM",
    },
    "linalg": {
        "x": ("Cholesky CholeskyInverse Det Eig Eigh Inv LuFactor MatrixRank Norm Pinv Qr SVD"),
        "a b": "Lstsq Solve SolveTriangular",
        "fun primals tangents": "JVP",
    },
    "math": {
        "data segment_ids": "SegmentMax SegmentMin SegmentProd SegmentSum",
        "x": (
            "Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT Logdet Logsumexp RFFT "
            "Rsqrt STFT TopK ViewAsComplex ViewAsReal"
        ),
        "targets predictions": "InTopK",
        "x y": "CDist",
    },
}


class _Known(NamedTuple):
    module: str
    name: str
    called_with: tuple[str, ...]
    function: Callable[..., Any]


def _function(module: str, name: str) -> Any:
    home = ops.image if module == "image" else ops
    return getattr(home, to_snake_case(name), None) or getattr(home, name.lower())


_KNOWN = {
    name: _Known(module, name, tuple(called.split()), _function(module, name))
    for module, group in _OPERATIONS.items()
    for called, names in group.items()
    for name in names.split()
}
_KNOWN["Einsum"] = _Known("numpy", "Einsum", ("operands",), ops.einsum)
_BY_FUNCTION = {known.function: known for known in reversed(_KNOWN.values())}

# What else is written on symbolic tensors, by the names of operations that compute the same.
_SAME: dict[Any, str] = {
    operator.add: "Add", operator.sub: "Subtract", operator.mul: "Multiply",
    operator.truediv: "Divide", operator.floordiv: "FloorDivide", operator.mod: "Mod",
    operator.pow: "Power", operator.matmul: "Matmul", operator.lt: "Less",
    operator.le: "LessEqual", operator.gt: "Greater", operator.ge: "GreaterEqual",
    operator.eq: "Equal", operator.ne: "NotEqual", operator.neg: "Negative",
    operator.abs: "Absolute", operator.getitem: "GetItem", operator.and_: "LogicalAnd",
    operator.or_: "LogicalOr", operator.xor: "LogicalXor", operator.invert: "LogicalNot",
}  # fmt: skip
# Functions of torch, which are methods of its tensors too, whose arguments differ in name only.
_OF_TORCH = """
abs=Absolute add=Add amax=Amax amin=Amin cat=Concatenate concat=Concatenate cos=Cos div=Divide
einsum=Einsum elu=Elu exp=Exp flip=Flip leaky_relu=LeakyRelu log=Log log_softmax=LogSoftmax
matmul=Matmul maximum=Maximum mean=Mean minimum=Minimum movedim=Moveaxis mul=Multiply neg=Negative
pow=Power relu=Relu relu6=Relu6 rsqrt=Rsqrt selu=Selu sigmoid=Sigmoid silu=Silu sin=Sin
softmax=Softmax sqrt=Sqrt square=Square squeeze=Squeeze stack=Stack sub=Subtract sum=Sum
swapaxes=Swapaxes tanh=Tanh transpose=Swapaxes unsqueeze=ExpandDims where=Where
"""
_SAME |= {
    getattr(home, name): operation
    for name, _, operation in (word.partition("=") for word in _OF_TORCH.split())
    for home in (torch, torch.Tensor, F)
    if hasattr(home, name)
}
_RENAMED = {
    "dim": "axis", "dims": "axis", "keepdim": "keepdims", "input": "x", "other": "x2",
    "dim0": "axis1", "dim1": "axis2", "tensors": "xs",
}  # fmt: skip
_SAYS_NOTHING = {"inplace", "_stacklevel"}  # about what is computed


def _reshaped(x: Any, *shape: Any) -> dict[str, Any]:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return {"x": x, "newshape": tuple(sizes)}


def _flattened(x: Any, start_dim: int = 0, end_dim: int = -1) -> dict[str, Any]:
    first, last = start_dim % x.ndim, end_dim % x.ndim
    joined = x.shape[first : last + 1]
    size = None if None in joined else math.prod(joined)
    sizes = [*x.shape[:first], size, *x.shape[last + 1 :]]
    return {"x": x, "newshape": tuple(-1 if size is None else size for size in sizes)}


def _transposed(x: Any, *dims: Any) -> dict[str, Any]:
    axes = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    return {"x": x, "axes": tuple(axes)}


def _gelu(input: Any, approximate: str = "none") -> dict[str, Any]:
    return {"x": input, "approximate": approximate == "tanh"}


def _pooled(input: Any, output_size: Any) -> dict[str, Any]:
    if set(output_size if isinstance(output_size, tuple) else [output_size]) != {1}:
        raise TypeError("only the mean over all pixels can be written")
    return {"x": input, "axis": (-2, -1), "keepdims": True}


# Functions of torch whose arguments differ in more: the operation, and its arguments from theirs.
_REWRITTEN: dict[Any, tuple[str, Callable[..., dict[str, Any]]]] = {
    torch.flatten: ("Reshape", _flattened), torch.Tensor.flatten: ("Reshape", _flattened),
    torch.reshape: ("Reshape", _reshaped), torch.Tensor.reshape: ("Reshape", _reshaped),
    torch.Tensor.view: ("Reshape", _reshaped),
    torch.permute: ("Transpose", _transposed), torch.Tensor.permute: ("Transpose", _transposed),
    F.gelu: ("Gelu", _gelu), F.adaptive_avg_pool2d: ("Mean", _pooled),
}  # fmt: skip


class Operation:
    """An operation of a config that is being read; calling it makes a step of the graph.

    Args:
        name: of the step.
        function: what it computes.
        arguments: what the config gives besides the call.
    """

    def __init__(self, name: str, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
        self.name = name
        self.function = function
        self.arguments = arguments

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs, **self.arguments)


def operation_of(config: dict[str, Any]) -> Operation | None:
    """The operation that a layer's config of Keras stands for; None for a layer.

    Raises: ArgumentError for an operation that nnkit lacks.
    """
    module, name = str(config.get("module")), config["class_name"]
    if not module.startswith("keras.src.ops."):
        return None
    if name not in _KNOWN:
        raise ArgumentError(
            f"The graph has the operation {name!r} of {module}, which nnkit cannot read. Put that "
            f"step into a layer of your own before saving."
        )
    arguments = dict(config.get("config") or {})
    label = str(arguments.pop("name", name))
    function: Any = _KNOWN[name].function
    if name == "GetItem":
        function = _get_item
    if name == "Einsum":
        function = partial(ops.einsum, arguments.pop("subscripts"))
    takes = inspect.signature(_KNOWN[name].function).parameters
    known = {key: _tuples(value) for key, value in arguments.items() if key in takes}
    return Operation(label, function, known)


def _get_item(x: Any, key: Any) -> Any:
    return x[tuple(key) if isinstance(key, list) else key]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def written(function: Function, args: Any, kwargs: Any) -> tuple[dict[str, Any], Any, Any]:
    """A step as Keras writes it: the operation's config, and the call's arguments.

    Raises: ConfigError, naming the step, for what Keras has no operation for.
    """
    fn = function.fn
    name, rewrite = _REWRITTEN.get(fn, (_SAME.get(fn, ""), None))
    known = _BY_FUNCTION.get(fn) or _KNOWN.get(name)
    if known is None:
        raise ConfigError(
            f"The step {function.name!r} calls {getattr(fn, '__name__', fn)!r}, for which Keras "
            f"has no operation, so the graph cannot be written. Use the function of nnkit.ops, or "
            f"put the step into a layer of your own (or Lambda)."
        )
    config: dict[str, Any] = {"name": function.name}
    if known.name == "GetItem":
        call_args: Any = args
    elif known.name == "Einsum":
        config["subscripts"], call_args = args[0], args[1:]
    else:
        given = _by_name(function, known, args, kwargs, rewrite)
        call_args = tuple(given.pop(name) for name in known.called_with if name in given)
        config.update(given)
    module = f"keras.src.ops.{known.module}"
    operation = {"module": module, "class_name": known.name, "config": config}
    return {**operation, "registered_name": known.name}, call_args, {}


def _by_name(
    function: Function, known: _Known, args: Any, kwargs: Any, rewrite: Any
) -> dict[str, Any]:
    """The arguments of a call by the names of Keras's function."""
    try:
        if rewrite is not None:
            args, kwargs = (), rewrite(*args, **kwargs)
        renamed = {
            _RENAMED.get(key, key): value
            for key, value in kwargs.items()
            if key not in _SAYS_NOTHING and (key, value) != ("dtype", None)
        }
        bound = inspect.signature(known.function).bind(*args, **renamed)
    except TypeError as error:
        raise ConfigError(
            f"The step {function.name!r} is called in torch's way, which Keras's {known.name} does "
            f"not take ({error}). Use the function of nnkit.ops."
        ) from error
    bound.apply_defaults()
    taken = dict(bound.arguments)
    taken.pop("name", None)
    if known.name == "Relu":  # Keras's takes no further arguments
        taken = {"x": taken["x"]}
    return taken
