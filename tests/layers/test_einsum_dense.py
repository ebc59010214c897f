"""EinsumDense against torch.einsum, and its errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nnkit import initializers
from nnkit.errors import ArgumentError, ShapeError
from nnkit.layers.einsum_dense import EinsumDense
from nnkit.layers.input import Input

# equation, output_shape, bias_axes, input, kernel, bias, output
CASES = [
    ("ab,bc->ac", 5, "c", (2, 4), (4, 5), (5,), (2, 5)),
    ("abc,cd->abd", (None, 5), "d", (2, 3, 4), (4, 5), (5,), (2, 3, 5)),
    ("...x, xy -> ...y", 5, "y", (2, 3, 6, 4), (4, 5), (5,), (2, 3, 6, 5)),
    ("abc,cde->abde", (None, 2, 5), "de", (2, 3, 4), (4, 2, 5), (2, 5), (2, 3, 2, 5)),
    ("abc,dce->abed", (None, 2, 5), "e", (2, 3, 4), (5, 4, 2), (2, 1), (2, 3, 2, 5)),
    ("abcd,dce->abe", (3, 5), "b", (2, 3, 4, 6), (6, 4, 5), (3, 1), (2, 3, 5)),
    ("abc,bcd->abd", (None, 5), "bd", (2, 3, 4), (3, 4, 5), (3, 5), (2, 3, 5)),
    ("abc,bd->adc", (5, None), None, (2, 3, 4), (3, 5), None, (2, 5, 4)),
    ("ab...,bc->ac...", 5, "c", (2, 4, 3, 6), (4, 5), (5, 1, 1), (2, 5, 3, 6)),
    ("ab,b->ab", (4,), "b", (2, 4), (4,), (4,), (2, 4)),
    ("ab,b->a", (), None, (2, 4), (4,), None, (2,)),
]


@pytest.mark.parametrize(("equation", "out", "axes", "inputs", "kernel", "bias", "result"), CASES)
def test_is_the_einsum(
    equation: str, out: Any, axes: Any, inputs: Any, kernel: Any, bias: Any, result: Any
) -> None:
    layer = EinsumDense(equation, out, "tanh", axes, bias_initializer="random_normal")
    x = torch.randn(inputs)
    got = layer(x)
    assert layer.kernel.shape == kernel
    assert got.shape == result == tuple(layer(Input(batch_shape=inputs)).shape)
    expected = torch.einsum(equation.replace(" ", ""), x, layer.kernel)
    if bias is None:
        assert layer.bias is None
    else:
        assert layer.bias.shape == bias
        expected = expected + layer.bias
    torch.testing.assert_close(got, expected.tanh())


def test_is_kept_as_linear_takes_it() -> None:
    layer = EinsumDense("abc,cde->abde", (None, 2, 5), bias_axes="de")
    x = torch.randn(2, 3, 4)
    outputs = layer(x)
    assert layer.weight.shape == (2, 5, 4)
    assert layer.weight.is_contiguous()
    flat = F.linear(x, layer.weight.view(10, 4), layer.bias.view(10))
    torch.testing.assert_close(outputs, flat.view(2, 3, 2, 5), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("equation", "out", "shape", "fans"),
    [
        ("abc,cde->abde", (None, 20, 30), (2, 3, 40), (40, 600)),
        ("abcd,cde->abe", (None, 30), (2, 3, 20, 40), (800, 30)),
        ("abc,bcd->abd", (20, 30), (2, 20, 40), (40, 600)),
    ],
)
def test_counts_inputs_and_outputs(equation: str, out: Any, shape: Any, fans: Any) -> None:
    """The limit of a uniform draw tells what was counted."""
    layer = EinsumDense(equation, out)
    layer.build(shape)
    limit = (6 / sum(fans)) ** 0.5
    assert 0.99 * limit < layer.kernel.abs().max() <= limit
    own = initializers.GlorotUniform(input_axes=[0], output_axes=[0])
    layer = EinsumDense(equation, out, kernel_initializer=own)
    layer.build(shape)
    limit = (3 / layer.kernel.shape[0]) ** 0.5
    assert 0.99 * limit < layer.kernel.abs().max() <= limit


def test_free_sizes() -> None:
    layer = EinsumDense("abc,cd->abd", (None, 5))
    assert layer(Input((None, 4))).shape == (None, None, 5)
    assert layer(Input((3, 4))).shape == (None, 3, 5)
    assert EinsumDense("...x,xy->...y", 5)(Input((None, 2, 4))).shape == (None, None, 2, 5)
    assert layer(torch.zeros(2, 7, 4)).shape == (2, 7, 5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("abc", 5), r"expects an equation like 'abc,cd->abd'.* got 'abc'"),
        (("ab,bc->ac,d", 5), "expects an equation"),
        (("ab...,bc->ac", 5), "expects an equation"),
        (("ab,bc->ad", 5), r"axis 'd' of 'ab,bc->ad' is in one place only"),
        (("ab,bcd->ac", 5), r"axis 'd' of 'ab,bcd->ac' is in one place only"),
        (("ab,bc->ac", 0), r"a size in output_shape must be a whole number of at least 1, got 0"),
        (("ab,bc->ac", 5, None, "b"), r"bias_axes has 'b', which is no axis of the output 'ac'"),
        (("ab,bc->ac", 5, "reluu"), "Unknown activation 'reluu'"),
    ],
)
def test_wrong_arguments(arguments: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        EinsumDense(*arguments)


@pytest.mark.parametrize("name", ["lora_rank", "quantization_config"])
def test_what_is_not_here(name: str) -> None:
    with pytest.raises(ArgumentError, match=rf"{name} is not available; leave it out"):
        EinsumDense("ab,bc->ac", 5, **{name: 2})
    assert EinsumDense("ab,bc->ac", 5).get_config().get(name) is None


@pytest.mark.parametrize(
    ("equation", "out", "shape", "said"),
    [
        ("abc,cd->abd", (None, 5), (4,), r"input has 3 axes, but received \(batch, 4\)"),
        ("abc,cd->abd", 5, (3, 4), r"one entry for each of b, d, got \(5,\)"),
        ("...ab,bc->...ac", 5, (3, 4), r"one entry for each of a, c, got \(5,\)"),
        ("abc,cd->abd", (6, 5), (3, 4), r"says 6 for axis 'b' .* input \(batch, 3, 4\) has 3"),
        ("abc,cd->abd", (None, 5), (3, None), r"know the size of axis 'c'.* Input\(shape=...\)"),
        ("abc,cd->abd", (None, None), (3, 4), "know the size of axis 'd'.*Give it in output_shape"),
        ("ab...,bc->ac...", 5, (), r"input has 2 or more axes, but received \(batch,\)"),
    ],
)
def test_what_does_not_fit(equation: str, out: Any, shape: Any, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        EinsumDense(equation, out)(Input(shape))


def test_an_axis_that_changes() -> None:
    layer = EinsumDense("abc,cd->abd", (None, 5), name="heads")
    layer(torch.zeros(2, 3, 4))
    for other in (torch.zeros(2, 3, 6), Input((3, 6))):
        with pytest.raises(ShapeError, match=r"'heads' was built for 4 along axis 'c'.* 3, 6\)"):
            layer(other)
    with pytest.raises(ShapeError, match="'heads' expects one tensor"):
        layer([torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)])


@pytest.mark.parametrize("equation", ["abc,cd->abd", "abc,dc->abd", "abc,bd->adc"])
def test_compiles_copies_and_reloads(equation: str) -> None:
    layer = EinsumDense(equation, (3, 4), bias_axes="d", activity_regularizer="l2")
    x = torch.randn(2, 3, 4)
    expected = layer(x)
    assert len(layer.losses) == 1
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for made in (compiled, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(made(x), expected)
    again = EinsumDense.from_config(layer.get_config())
    again(x)
    again.set_weights(layer.get_weights())
    torch.testing.assert_close(again(x), expected)
