"""The functions of old scripts' `K`: `from nnkit import backend as K`.

New code needs none of them: write torch, or `nnkit.ops`. Names, arguments and defaults are those of
the old `keras.backend`, over tensors that hold their values: nothing waits for a session.
"""

# isort: off
from contextlib import nullcontext as name_scope

from nnkit.backend.state import (
    arange, batch_get_value, batch_set_value, cast_to_floatx, constant, eval, eye,
    function, get_uid, get_value, gradients, in_train_phase, is_float_dtype, is_int_dtype,
    learning_phase, moving_average_update, ones, placeholder, random_bernoulli,
    random_normal, random_uniform, set_learning_phase, set_value,
    truncated_normal, update, update_add, update_sub, variable, zeros,
)  # fmt: skip
from nnkit.backend.tensors import (
    argmax, argmin, batch_dot, batch_flatten, bias_add, clip, concatenate, count_params,
    cumprod, cumsum, dropout, expand_dims, gather, hard_sigmoid, in_top_k, int_shape,
    l2_normalize, map_fn, ndim, one_hot, permute_dimensions, relu, repeat, repeat_elements,
    resize_images, reverse, sparse_categorical_crossentropy, spatial_2d_padding, switch,
    temporal_padding,
)  # fmt: skip
from nnkit.backend.windows import conv1d, conv2d, conv3d, pool2d, pool3d
from nnkit.config import (
    backend, clear_session, epsilon, floatx, image_data_format, set_epsilon, set_floatx,
    set_image_data_format,
)  # fmt: skip
from nnkit.ops import (
    abs, all, any, binary_crossentropy, cast, categorical_crossentropy, cos, dot, dtype, elu,
    equal, exp, greater, greater_equal, is_tensor, less, less_equal, log, logsumexp, max,
    maximum, mean, min, minimum, not_equal, ones_like, power as pow, prod, ravel as flatten,
    reshape, round, shape, sigmoid, sign, sin, slice, softmax, softplus, softsign, sqrt, square,
    squeeze, stack, std, stop_gradient, sum, tanh, tile, transpose, var, zeros_like,
)  # fmt: skip
from nnkit.utils.sources import is_keras_tensor, result_type, standardize_dtype

__all__ = [
    "abs", "all", "any", "arange", "argmax", "argmin", "backend", "batch_dot", "batch_flatten",
    "batch_get_value", "batch_set_value", "bias_add", "binary_crossentropy", "cast",
    "cast_to_floatx", "categorical_crossentropy", "clear_session", "clip", "concatenate",
    "constant", "conv1d", "conv2d", "conv3d", "cos", "count_params", "cumprod", "cumsum", "dot",
    "dropout", "dtype", "elu", "epsilon", "equal", "eval", "exp", "expand_dims", "eye", "flatten",
    "floatx", "function", "gather", "get_uid", "get_value", "gradients", "greater",
    "greater_equal", "hard_sigmoid", "image_data_format", "in_top_k", "in_train_phase",
    "int_shape", "is_float_dtype", "is_int_dtype", "is_keras_tensor", "is_tensor", "l2_normalize",
    "learning_phase", "less", "less_equal", "log", "logsumexp", "map_fn", "max", "maximum",
    "mean", "min", "minimum", "moving_average_update", "name_scope", "ndim", "not_equal",
    "one_hot", "ones", "ones_like", "permute_dimensions", "placeholder", "pool2d", "pool3d",
    "pow", "prod", "random_bernoulli", "random_normal", "random_uniform", "relu", "repeat",
    "repeat_elements", "reshape", "resize_images", "result_type", "reverse", "round",
    "set_epsilon", "set_floatx", "set_image_data_format", "set_learning_phase", "set_value",
    "shape", "sigmoid", "sign", "sin", "slice", "softmax", "softplus", "softsign",
    "sparse_categorical_crossentropy", "spatial_2d_padding", "sqrt", "square", "squeeze", "stack",
    "standardize_dtype", "std", "stop_gradient", "sum", "switch", "tanh", "temporal_padding",
    "tile", "transpose", "truncated_normal", "update", "update_add", "update_sub", "var",
    "variable", "zeros", "zeros_like",
]  # fmt: skip
