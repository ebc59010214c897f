"""The functions of `keras.ops.numpy`."""

# isort: off
from nnkit.ops.control import vectorize
from nnkit.ops.creation import (
    arange, array, bartlett, blackman, copy, diag, diagflat, empty, empty_like, eye, full,
    full_like, geomspace, hamming, hanning, identity, kaiser, linspace, logspace, meshgrid,
    ones, ones_like, tri, tril, triu, vander, zeros, zeros_like,
)  # fmt: skip
from nnkit.ops.elementwise import (
    abs, absolute, add, angle, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh,
    bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_not, bitwise_or,
    bitwise_right_shift, bitwise_xor, cbrt, ceil, clip, conj, conjugate, cos, cosh, deg2rad,
    divide, divide_no_nan, equal, exp, exp2, expm1, fabs, floor, floor_divide, fmax, fmin, fmod,
    gcd, greater, greater_equal, heaviside, hypot, i0, imag, isclose, isfinite, isinf, isnan,
    isneginf, isposinf, isreal, lcm, ldexp, left_shift, less, less_equal, log, log1p, log2,
    log10, logaddexp, logaddexp2, logical_and, logical_not, logical_or, logical_xor, maximum,
    minimum, mod, multiply, nan_to_num, negative, nextafter, not_equal, power, rad2deg, real,
    reciprocal, right_shift, round, sign, signbit, sin, sinc, sinh, sqrt, square, subtract, tan,
    tanh, true_divide, trunc,
)  # fmt: skip
from nnkit.ops.indexing import (
    argpartition, argsort, bincount, diagonal, digitize, get_item, histogram, isin, nonzero,
    searchsorted, select, sort, take, take_along_axis, unique, unravel_index, where,
)  # fmt: skip
from nnkit.ops.linalg import slogdet
from nnkit.ops.products import (
    corrcoef, correlate, cross, diff, dot, einsum, inner, kron, matmul, outer, tensordot,
    trapezoid, vdot,
)  # fmt: skip
from nnkit.ops.reduction import (
    all, allclose, amax, amin, any, argmax, argmin, average, count_nonzero, max, mean, min,
    prod, ptp, std, sum, trace, var,
)  # fmt: skip
from nnkit.ops.shaping import (
    append, array_split, broadcast_to, concatenate, dsplit, dstack, expand_dims, flip, fliplr,
    flipud, hsplit, hstack, moveaxis, ndim, pad, ravel, repeat, reshape, roll, rot90, size,
    split, squeeze, stack, swapaxes, tile, transpose, view, vsplit, vstack,
)  # fmt: skip
from nnkit.ops.statistics import (
    cumprod, cumsum, median, nanargmax, nanargmin, nancumprod, nancumsum, nanmax, nanmean,
    nanmedian, nanmin, nanpercentile, nanprod, nanquantile, nanstd, nansum, nanvar, percentile,
    quantile,
)  # fmt: skip

__all__ = [
    "abs", "absolute", "add", "all", "allclose", "amax", "amin", "angle", "any", "append",
    "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh",
    "argmax", "argmin", "argpartition", "argsort", "array", "array_split", "average",
    "bartlett", "bincount", "bitwise_and", "bitwise_invert", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "blackman",
    "broadcast_to", "cbrt", "ceil", "clip", "concatenate", "conj", "conjugate", "copy",
    "corrcoef", "correlate", "cos", "cosh", "count_nonzero", "cross", "cumprod", "cumsum",
    "deg2rad", "diag", "diagflat", "diagonal", "diff", "digitize", "divide", "divide_no_nan",
    "dot", "dsplit", "dstack", "einsum", "empty", "empty_like", "equal", "exp", "exp2",
    "expand_dims", "expm1", "eye", "fabs", "flip", "fliplr", "flipud", "floor", "floor_divide",
    "fmax", "fmin", "fmod", "full", "full_like", "gcd", "geomspace", "get_item", "greater",
    "greater_equal", "hamming", "hanning", "heaviside", "histogram", "hsplit", "hstack",
    "hypot", "i0", "identity", "imag", "inner", "isclose", "isfinite", "isin", "isinf", "isnan",
    "isneginf", "isposinf", "isreal", "kaiser", "kron", "lcm", "ldexp", "left_shift", "less",
    "less_equal", "linspace", "log", "log1p", "log2", "log10", "logaddexp", "logaddexp2",
    "logical_and", "logical_not", "logical_or", "logical_xor", "logspace", "matmul", "max",
    "maximum", "mean", "median", "meshgrid", "min", "minimum", "mod", "moveaxis", "multiply",
    "nan_to_num", "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean",
    "nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum",
    "nanvar", "ndim", "negative", "nextafter", "nonzero", "not_equal", "ones", "ones_like",
    "outer", "pad", "percentile", "power", "prod", "ptp", "quantile", "rad2deg", "ravel",
    "real", "reciprocal", "repeat", "reshape", "right_shift", "roll", "rot90", "round",
    "searchsorted", "select", "sign", "signbit", "sin", "sinc", "sinh", "size", "slogdet",
    "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "swapaxes",
    "take", "take_along_axis", "tan", "tanh", "tensordot", "tile", "trace", "transpose",
    "trapezoid", "tri", "tril", "triu", "true_divide", "trunc", "unique", "unravel_index",
    "vander", "var", "vdot", "vectorize", "view", "vsplit", "vstack", "where", "zeros",
    "zeros_like",
]  # fmt: skip
