"""Functions of tensors under the names of `keras.ops`.

They take torch tensors, NumPy arrays, lists, numbers and symbolic tensors, and give tensors. A call
on a symbolic tensor becomes one step of the graph. `image`, `linalg`, `nn` and `numpy` hold them by
subject, as in Keras.
"""

# isort: off
from nnkit.ops import image, linalg, nn, numpy
from nnkit.ops.activation import (
    celu, elu, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_swish, hard_tanh,
    leaky_relu, log_sigmoid, log_softmax, relu, relu6, selu, sigmoid, silu, soft_shrink,
    softmax, softplus, softsign, sparse_plus, sparse_sigmoid, sparsemax, squareplus, swish,
    tanh_shrink, threshold,
)  # fmt: skip
from nnkit.ops.attention import depth_to_space, dot_product_attention, fold, space_to_depth, unfold
from nnkit.ops.control import (
    associative_scan, cond, fori_loop, map, scan, switch, vectorize, vectorized_map, while_loop,
)  # fmt: skip
from nnkit.ops.convolution import (
    adaptive_average_pool, adaptive_max_pool, average_pool, conv, conv_transpose,
    depthwise_conv, max_pool, separable_conv,
)  # fmt: skip
from nnkit.ops.core import (
    cast, convert_to_numpy, convert_to_tensor, custom_gradient, dtype, is_tensor, saturate_cast,
    stop_gradient,
)  # fmt: skip
from nnkit.ops.creation import (
    arange, array, bartlett, blackman, copy, diag, diagflat, empty, empty_like, eye, full,
    full_like, geomspace, hamming, hanning, identity, kaiser, linspace, logspace, meshgrid,
    ones, ones_like, tri, tril, triu, vander, zeros, zeros_like,
)  # fmt: skip
from nnkit.ops.crossentropies import (
    binary_crossentropy, categorical_crossentropy, ctc_decode, ctc_loss, psnr,
    sparse_categorical_crossentropy,
)  # fmt: skip
from nnkit.ops.elementwise import (
    abs, absolute, add, angle, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh,
    bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_not, bitwise_or,
    bitwise_right_shift, bitwise_xor, cbrt, ceil, clip, conj, conjugate, cos, cosh, deg2rad,
    divide, divide_no_nan, equal, erf, erfc, erfinv, exp, exp2, expm1, fabs, floor,
    floor_divide, fmax, fmin, fmod, gcd, greater, greater_equal, heaviside, hypot, i0, imag,
    isclose, isfinite, isinf, isnan, isneginf, isposinf, isreal, lcm, ldexp, left_shift, less,
    less_equal, log, log1p, log2, log10, logaddexp, logaddexp2, logical_and, logical_not,
    logical_or, logical_xor, maximum, minimum, mod, multiply, nan_to_num, negative, nextafter,
    not_equal, power, rad2deg, real, reciprocal, right_shift, round, rsqrt, sign, signbit, sin,
    sinc, sinh, sqrt, square, subtract, tan, tanh, true_divide, trunc,
)  # fmt: skip
from nnkit.ops.indexing import (
    argpartition, argsort, bincount, diagonal, digitize, get_item, histogram, in_top_k, isin,
    nonzero, searchsorted, select, slice, sort, take, take_along_axis, top_k, unique,
    unravel_index, where,
)  # fmt: skip
from nnkit.ops.linalg import (
    cholesky, cholesky_inverse, det, eig, eigh, inv, jvp, logdet, lstsq, lu_factor, matrix_rank,
    norm, pinv, qr, slogdet, solve, solve_triangular, svd,
)  # fmt: skip
from nnkit.ops.normalization import (
    batch_normalization, layer_normalization, moments, multi_hot, normalize, one_hot,
    rms_normalization,
)  # fmt: skip
from nnkit.ops.products import (
    cdist, corrcoef, correlate, cross, diff, dot, einsum, inner, kron, matmul, outer, tensordot,
    trapezoid, vdot,
)  # fmt: skip
from nnkit.ops.reduction import (
    all, allclose, amax, amin, any, argmax, argmin, average, count_nonzero, logsumexp, max,
    mean, min, prod, ptp, std, sum, trace, var,
)  # fmt: skip
from nnkit.ops.scattering import (
    scatter, scatter_update, segment_max, segment_min, segment_prod, segment_sum, slice_update,
)  # fmt: skip
from nnkit.ops.shaping import (
    append, array_split, broadcast_to, concatenate, dsplit, dstack, expand_dims, flip, fliplr,
    flipud, hsplit, hstack, moveaxis, ndim, pad, ravel, rearrange, repeat, reshape, roll, rot90,
    shape, size, split, squeeze, stack, swapaxes, tile, transpose, unstack, view, vsplit,
    vstack,
)  # fmt: skip
from nnkit.ops.spectral import (
    extract_sequences, fft, fft2, ifft2, irfft, istft, polar, rfft, stft, view_as_complex,
    view_as_real,
)  # fmt: skip
from nnkit.ops.statistics import (
    cumprod, cumsum, median, nanargmax, nanargmin, nancumprod, nancumsum, nanmax, nanmean,
    nanmedian, nanmin, nanpercentile, nanprod, nanquantile, nanstd, nansum, nanvar, percentile,
    quantile,
)  # fmt: skip

__all__ = [
    "abs", "absolute", "adaptive_average_pool", "adaptive_max_pool", "add", "all", "allclose",
    "amax", "amin", "angle", "any", "append", "arange", "arccos", "arccosh", "arcsin",
    "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin", "argpartition", "argsort",
    "array", "array_split", "associative_scan", "average", "average_pool", "bartlett",
    "batch_normalization", "binary_crossentropy", "bincount", "bitwise_and", "bitwise_invert",
    "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "blackman", "broadcast_to", "cast", "categorical_crossentropy", "cbrt", "cdist", "ceil",
    "celu", "cholesky", "cholesky_inverse", "clip", "concatenate", "cond", "conj", "conjugate",
    "conv", "conv_transpose", "convert_to_numpy", "convert_to_tensor", "copy", "corrcoef",
    "correlate", "cos", "cosh", "count_nonzero", "cross", "ctc_decode", "ctc_loss", "cumprod",
    "cumsum", "custom_gradient", "deg2rad", "depth_to_space", "depthwise_conv", "det", "diag",
    "diagflat", "diagonal", "diff", "digitize", "divide", "divide_no_nan", "dot",
    "dot_product_attention", "dsplit", "dstack", "dtype", "eig", "eigh", "einsum", "elu",
    "empty", "empty_like", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expand_dims",
    "expm1", "extract_sequences", "eye", "fabs", "fft", "fft2", "flip", "fliplr", "flipud",
    "floor", "floor_divide", "fmax", "fmin", "fmod", "fold", "fori_loop", "full", "full_like",
    "gcd", "gelu", "geomspace", "get_item", "glu", "greater", "greater_equal", "hamming",
    "hanning", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "heaviside", "histogram", "hsplit", "hstack", "hypot", "i0", "identity", "ifft2", "imag",
    "image", "in_top_k", "inner", "inv", "irfft", "is_tensor", "isclose", "isfinite", "isin",
    "isinf", "isnan", "isneginf", "isposinf", "isreal", "istft", "jvp", "kaiser", "kron",
    "layer_normalization", "lcm", "ldexp", "leaky_relu", "left_shift", "less", "less_equal",
    "linalg", "linspace", "log", "log1p", "log2", "log10", "log_sigmoid", "log_softmax",
    "logaddexp", "logaddexp2", "logdet", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logspace", "logsumexp", "lstsq", "lu_factor", "map", "matmul",
    "matrix_rank", "max", "max_pool", "maximum", "mean", "median", "meshgrid", "min", "minimum",
    "mod", "moments", "moveaxis", "multi_hot", "multiply", "nan_to_num", "nanargmax",
    "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "ndim", "negative",
    "nextafter", "nn", "nonzero", "norm", "normalize", "not_equal", "numpy", "one_hot", "ones",
    "ones_like", "outer", "pad", "percentile", "pinv", "polar", "power", "prod", "psnr", "ptp",
    "qr", "quantile", "rad2deg", "ravel", "real", "rearrange", "reciprocal", "relu", "relu6",
    "repeat", "reshape", "rfft", "right_shift", "rms_normalization", "roll", "rot90", "round",
    "rsqrt", "saturate_cast", "scan", "scatter", "scatter_update", "searchsorted",
    "segment_max", "segment_min", "segment_prod", "segment_sum", "select", "selu",
    "separable_conv", "shape", "sigmoid", "sign", "signbit", "silu", "sin", "sinc", "sinh",
    "size", "slice", "slice_update", "slogdet", "soft_shrink", "softmax", "softplus",
    "softsign", "solve", "solve_triangular", "sort", "space_to_depth",
    "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid", "sparsemax", "split",
    "sqrt", "square", "squareplus", "squeeze", "stack", "std", "stft", "stop_gradient",
    "subtract", "sum", "svd", "swapaxes", "swish", "switch", "take", "take_along_axis", "tan",
    "tanh", "tanh_shrink", "tensordot", "threshold", "tile", "top_k", "trace", "transpose",
    "trapezoid", "tri", "tril", "triu", "true_divide", "trunc", "unfold", "unique",
    "unravel_index", "unstack", "vander", "var", "vdot", "vectorize", "vectorized_map", "view",
    "view_as_complex", "view_as_real", "vsplit", "vstack", "where", "while_loop", "zeros",
    "zeros_like",
]  # fmt: skip
