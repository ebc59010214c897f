"""Brightness and channels of one picture."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from nnkit.errors import ArgumentError
from nnkit.utils.images import array_to_img, img_to_array

__all__ = [
    "apply_brightness_shift",
    "apply_channel_shift",
    "random_brightness",
    "random_channel_shift",
]


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """Add a number to all values, within the range that they have.

    Args:
        x: the picture.
        intensity: the number.
        channel_axis: of x; plays no part.
    """
    return np.clip(x + intensity, np.min(x), np.max(x))


def random_channel_shift(
    x: np.ndarray, intensity_range: float, channel_axis: int = 0
) -> np.ndarray:
    """Add a random number of up to `intensity_range`, within the range of the values."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range))


def apply_brightness_shift(x: np.ndarray, brightness: float, scale: bool = True) -> np.ndarray:
    """Make a picture brighter or darker.

    Args:
        x: (height, width, channels).
        brightness: a factor; 1 changes nothing.
        scale: stretch the values over 0 to 255 first.
    """
    low, high = np.min(x), np.max(x)
    outside = low < 0 or high > 255
    picture = array_to_img(x, scale=outside or scale)
    enhancer = importlib.import_module("PIL.ImageEnhance").Brightness(picture)
    done = img_to_array(enhancer.enhance(brightness))
    return done / 255 * (high - low) + low if outside and not scale else done


def random_brightness(x: np.ndarray, brightness_range: Any, scale: bool = True) -> np.ndarray:
    """Change the brightness by a factor between the two of `brightness_range`."""
    if len(brightness_range) != 2:
        raise ArgumentError(f"brightness_range expects two factors, got {brightness_range!r}.")
    return apply_brightness_shift(x, np.random.uniform(*brightness_range), scale)
