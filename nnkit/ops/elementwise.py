"""Arithmetic on each element: one line a function, since torch has them all.

Results have Keras's types: Python numbers do not change the type of a tensor beyond its kind, and
integers become float32 where a fraction can come out.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnkit.errors import ArgumentError
from nnkit.ops.recording import (
    as_tensor,
    described,
    floats,
    is_number,
    recorded,
    tensors,
    wide_floats,
)

__all__ = [
    "abs",
    "absolute",
    "add",
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "cbrt",
    "ceil",
    "clip",
    "conj",
    "conjugate",
    "cos",
    "cosh",
    "deg2rad",
    "divide",
    "divide_no_nan",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "gcd",
    "greater",
    "greater_equal",
    "heaviside",
    "hypot",
    "i0",
    "imag",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "lcm",
    "ldexp",
    "left_shift",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "nan_to_num",
    "negative",
    "nextafter",
    "not_equal",
    "power",
    "rad2deg",
    "real",
    "reciprocal",
    "right_shift",
    "round",
    "rsqrt",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
]  # fmt: skip

Unary = Callable[[Any], Tensor]
Binary = Callable[[Any, Any], Tensor]


def _unary(name: str, fn: Unary, doc: str, prepare: Unary = as_tensor) -> Unary:
    def call(x: Any) -> Tensor:
        return fn(prepare(x))

    return described(name, __name__, doc, call)


def _binary(name: str, fn: Binary, doc: str, operands: Callable[..., Any] | None = None) -> Binary:
    prepare = operands or _pair

    def call(x1: Any, x2: Any) -> Tensor:
        return fn(*prepare(x1, x2))

    return described(name, __name__, doc, call)


def _bits(name: str, fn: Binary, doc: str) -> Binary:
    def call(x: Any, y: Any) -> Tensor:
        return fn(*_pair(x, y))

    return described(name, __name__, doc, call)


def _pair(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Both as operands: a number next to a tensor stays a number, which saves a tensor."""
    first, second = isinstance(x1, Tensor), isinstance(x2, Tensor)
    if first and is_number(x2):
        return _beside(x1, x2)
    if second and is_number(x1):
        x2, x1 = _beside(x2, x1)
    elif not (first and second):
        x1, x2 = tensors(x1, x2)
    return x1, x2


def _beside(x: Tensor, number: Any) -> tuple[Tensor, Any]:
    if isinstance(number, bool) and x.dtype is not torch.bool:
        return x, int(number)  # torch does not subtract truth values
    # Next to truth values Python's integers are of 32 bits, in torch of 64.
    return (x.int() if x.dtype is torch.bool and type(number) is int else x), number


def _float_pair(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    x1, x2 = tensors(x1, x2)
    return floats(x1), floats(x2)


def _wide_pair(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    given = tensors(x1, x2)
    own = [each.dtype for value, each in zip((x1, x2), given, strict=True) if not is_number(value)]
    kind = functools.reduce(torch.promote_types, own or [each.dtype for each in given])
    if not kind.is_floating_point:
        fraction = any(each.is_floating_point() for each in given)
        wide = kind is torch.int64 and not fraction
        kind = torch.float64 if wide else torch.get_default_dtype()
    return given[0].to(kind), given[1].to(kind)


def _no_bools(x1: Any, x2: Any) -> tuple[Any, Any]:
    x1, x2 = _pair(x1, x2)
    return _as_number(x1, x2), _as_number(x2, x1)


def _as_number(x: Any, other: Any) -> Any:
    if not isinstance(x, Tensor) or x.dtype is not torch.bool:
        return x
    known = isinstance(other, Tensor) and other.dtype is not torch.bool
    return x.to(other.dtype if known else torch.int32)


def _no_bool(x: Any) -> Tensor:
    x = as_tensor(x)
    return x.to(torch.int32) if x.dtype is torch.bool else x


def _same_if_bool(fn: Unary) -> Unary:
    return lambda x: x if x.dtype is torch.bool else fn(x)


# -- one operand -----------------------------------------------------------------------------------

abs = _unary("abs", _same_if_bool(torch.abs), "The size of each element, without its sign.")
absolute = _unary("absolute", _same_if_bool(torch.abs), "The same as `abs`.")
fabs = _unary("fabs", torch.abs, "The size of each element, as a float.", floats)
negative = _unary("negative", torch.neg, "Minus x.")
sign = _unary("sign", torch.sign, "-1, 0 or 1.")
signbit = _unary("signbit", torch.signbit, "True where the sign is minus, that of -0.0 included.")
square = _unary("square", torch.square, "x times x.", _no_bool)
sqrt = _unary("sqrt", torch.sqrt, "The square root; NaN below zero.")
rsqrt = _unary("rsqrt", torch.rsqrt, "One divided by the square root.")
cbrt = _unary(
    "cbrt",
    lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3),
    "The cube root, which negative numbers have too.",
    wide_floats,
)
reciprocal = _unary("reciprocal", torch.reciprocal, "One divided by x.")
exp = _unary("exp", torch.exp, "e to the power of x.")
exp2 = _unary("exp2", torch.exp2, "2 to the power of x.")
expm1 = _unary("expm1", torch.expm1, "exp(x) - 1, exact for small x.")
log = _unary("log", torch.log, "The natural logarithm.")
log10 = _unary("log10", torch.log10, "The logarithm to base 10.")
log1p = _unary("log1p", torch.log1p, "log(1 + x), exact for small x.")
log2 = _unary("log2", torch.log2, "The logarithm to base 2.")
sin = _unary("sin", torch.sin, "The sine of an angle in radians.")
cos = _unary("cos", torch.cos, "The cosine of an angle in radians.")
tan = _unary("tan", torch.tan, "The tangent of an angle in radians.")
sinc = _unary("sinc", torch.sinc, "sin(pi x) / (pi x), and 1 at zero.")
arcsin = _unary("arcsin", torch.asin, "The angle in radians with this sine.")
arccos = _unary("arccos", torch.acos, "The angle in radians with this cosine.")
arctan = _unary("arctan", torch.atan, "The angle in radians with this tangent.")
sinh = _unary("sinh", torch.sinh, "The hyperbolic sine.")
cosh = _unary("cosh", torch.cosh, "The hyperbolic cosine.")
tanh = _unary("tanh", torch.tanh, "The hyperbolic tangent.")
arcsinh = _unary("arcsinh", torch.asinh, "The inverse of the hyperbolic sine.")
arccosh = _unary("arccosh", torch.acosh, "The inverse of the hyperbolic cosine.")
arctanh = _unary("arctanh", torch.atanh, "The inverse of the hyperbolic tangent.")
deg2rad = _unary("deg2rad", torch.deg2rad, "Degrees in radians.", wide_floats)
rad2deg = _unary("rad2deg", torch.rad2deg, "Radians in degrees.", wide_floats)
erf = _unary("erf", torch.erf, "The error function.")
erfc = _unary("erfc", torch.erfc, "1 - erf(x), exact for large x.")
erfinv = _unary("erfinv", torch.erfinv, "The inverse of the error function.")
i0 = _unary("i0", torch.i0, "The modified Bessel function of the first kind, order 0.", wide_floats)
ceil = _unary("ceil", torch.ceil, "The next whole number upward, as a float.", floats)
floor = _unary("floor", torch.floor, "The next whole number downward, as a float.", floats)
trunc = _unary("trunc", _same_if_bool(torch.trunc), "The whole number next to x towards zero.")
isfinite = _unary("isfinite", torch.isfinite, "True where x is neither infinite nor NaN.")
isinf = _unary("isinf", torch.isinf, "True where x is infinite.")
isnan = _unary("isnan", torch.isnan, "True where x is not a number.")
isneginf = _unary("isneginf", torch.isneginf, "True where x is minus infinity.")
isposinf = _unary("isposinf", torch.isposinf, "True where x is plus infinity.")
isreal = _unary("isreal", torch.isreal, "True where the imaginary part is zero.")
logical_not = _unary("logical_not", torch.logical_not, "True where x is zero or False.")
bitwise_invert = _unary("bitwise_invert", torch.bitwise_not, "Every bit turned over.")
bitwise_not = _unary("bitwise_not", torch.bitwise_not, "The same as `bitwise_invert`.")
angle = _unary("angle", torch.angle, "The angle of a complex number in radians.")
conj = _unary("conj", lambda x: torch.conj(x).resolve_conj(), "The complex conjugate.")
conjugate = _unary("conjugate", lambda x: torch.conj(x).resolve_conj(), "The same as `conj`.")
real = _unary("real", torch.real, "The real part.")
imag = _unary(
    "imag",
    lambda x: torch.imag(x) if x.is_complex() else torch.zeros_like(x),
    "The imaginary part; zeros for real numbers.",
)

# -- two operands, which broadcast -----------------------------------------------------------------

add = _binary("add", operator.add, "x1 + x2.")
subtract = _binary("subtract", operator.sub, "x1 - x2.", _no_bools)
multiply = _binary("multiply", operator.mul, "x1 * x2.")
divide = _binary("divide", operator.truediv, "x1 / x2, a float.")
true_divide = _binary("true_divide", operator.truediv, "The same as `divide`.")
floor_divide = _binary("floor_divide", operator.floordiv, "x1 / x2, rounded downward.")
mod = _binary("mod", operator.mod, "The rest of x1 / x2, with the sign of x2.", _no_bools)
fmod = _binary("fmod", torch.fmod, "The rest of x1 / x2, with the sign of x1.", tensors)
power = _binary("power", operator.pow, "x1 to the power of x2.")
maximum = _binary("maximum", torch.maximum, "The larger of the two; NaN where one is.", tensors)
minimum = _binary("minimum", torch.minimum, "The smaller of the two; NaN where one is.", tensors)
fmax = _binary("fmax", torch.fmax, "The larger of the two, the other where one is NaN.", tensors)
fmin = _binary("fmin", torch.fmin, "The smaller of the two, the other where one is NaN.", tensors)
equal = _binary("equal", operator.eq, "True where x1 equals x2.")
not_equal = _binary("not_equal", operator.ne, "True where x1 differs from x2.")
greater = _binary("greater", operator.gt, "True where x1 > x2.")
greater_equal = _binary("greater_equal", operator.ge, "True where x1 >= x2.")
less = _binary("less", operator.lt, "True where x1 < x2.")
less_equal = _binary("less_equal", operator.le, "True where x1 <= x2.")
logical_and = _binary("logical_and", torch.logical_and, "True where both are.", tensors)
logical_or = _binary("logical_or", torch.logical_or, "True where at least one is.", tensors)
logical_xor = _binary("logical_xor", torch.logical_xor, "True where exactly one is.", tensors)
arctan2 = _binary("arctan2", torch.atan2, "The angle of the point (x2, x1).", _float_pair)
hypot = _binary("hypot", torch.hypot, "The root of x1 squared plus x2 squared.", _wide_pair)
heaviside = _binary(
    "heaviside",
    torch.heaviside,
    "0 below zero, x2 at zero, 1 above, by the sign of x1.",
    _wide_pair,
)
logaddexp = _binary(
    "logaddexp", torch.logaddexp, "log(exp(x1) + exp(x2)) without overflow.", _float_pair
)
logaddexp2 = _binary(
    "logaddexp2", torch.logaddexp2, "log2(2**x1 + 2**x2) without overflow.", _float_pair
)
nextafter = _binary(
    "nextafter", torch.nextafter, "The float after x1 in the direction of x2.", _wide_pair
)
gcd = _binary("gcd", torch.gcd, "The greatest common divisor of whole numbers.", tensors)
lcm = _binary("lcm", torch.lcm, "The least common multiple of whole numbers.", tensors)
bitwise_and = _bits("bitwise_and", operator.and_, "The bits set in both.")
bitwise_or = _bits("bitwise_or", operator.or_, "The bits set in at least one.")
bitwise_xor = _bits("bitwise_xor", operator.xor, "The bits set in exactly one.")
bitwise_left_shift = _bits("bitwise_left_shift", operator.lshift, "x moved up by y bits.")
bitwise_right_shift = _bits("bitwise_right_shift", operator.rshift, "x moved down by y bits.")
left_shift = _bits("left_shift", operator.lshift, "The same as `bitwise_left_shift`.")
right_shift = _bits("right_shift", operator.rshift, "The same as `bitwise_right_shift`.")

# -- those that need more than a line --------------------------------------------------------------


@recorded
def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """x limited to x_min .. x_max."""
    x = _no_bool(x)
    if is_number(x_min) and is_number(x_max):
        return torch.clamp(x, x_min, x_max)
    x, low, high = tensors(x, x_min, x_max)
    return torch.clamp(x, low, high)


@recorded
def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, and 0 where x2 is 0. Gradients stay finite there too."""
    x1, x2 = _float_pair(x1, x2)
    zero = x2 == 0
    return torch.where(zero, 0, x1 / torch.where(zero, 1, x2))


@recorded
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """True where |x1 - x2| <= atol + rtol * |x2|; integers must be equal."""
    x1, x2 = tensors(x1, x2)
    kind = torch.promote_types(x1.dtype, x2.dtype)
    if not kind.is_floating_point:
        return x1 == x2
    return torch.isclose(x1.to(kind), x2.to(kind), rtol=rtol, atol=atol, equal_nan=equal_nan)


@recorded
def ldexp(x1: Any, x2: Any) -> Tensor:
    """x1 * 2**x2 for whole x2."""
    x1, x2 = tensors(x1, x2)
    if x2.is_floating_point():
        raise ArgumentError(f"ldexp expects a whole number as x2, got {x2.dtype}. Cast it first.")
    return torch.ldexp(floats(x1), x2).to(floats(x1).dtype)


@recorded
def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """x with NaN and infinities replaced; by 0 and the largest floats unless given."""
    return torch.nan_to_num(as_tensor(x), nan=nan, posinf=posinf, neginf=neginf)


@recorded
def round(x: Any, decimals: int = 0) -> Tensor:
    """x rounded to this many decimals, halves to the even side; integers stay integers."""
    x = as_tensor(x)
    if x.is_floating_point():
        return torch.round(x, decimals=decimals)
    return x if decimals >= 0 else torch.round(x.double(), decimals=decimals).to(x.dtype)
