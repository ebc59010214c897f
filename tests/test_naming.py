"""Names of layers."""

from __future__ import annotations

import pytest

from nnkit.layers import Dense, Input
from nnkit.naming import auto_name, clear, to_snake_case


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Dense", "dense"),
        ("MaxPooling2D", "max_pooling2d"),
        ("ReLU", "re_lu"),
        ("PReLU", "p_re_lu"),
        ("LSTM", "lstm"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("GlobalAveragePooling1D", "global_average_pooling1d"),
        ("STFTSpectrogram", "stft_spectrogram"),
        ("MyNet", "my_net"),
        ("A", "a"),
    ],
)
def test_snake_case(name: str, snake: str) -> None:
    assert to_snake_case(name) == snake


def test_names_are_counted() -> None:
    clear()
    assert [auto_name("Dense") for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    clear()
    assert auto_name("Dense") == "dense"


def test_a_given_name_is_not_counted() -> None:
    clear()
    assert Dense(1, name="dense").name == "dense"
    assert [Dense(1).name for _ in range(2)] == ["dense", "dense_1"]
    assert Input((3,)).name == "input_layer"
