"""Pictures in and out: load_img, img_to_array, array_to_img, save_img, smart_resize."""

from __future__ import annotations

import importlib
import io
import os
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnkit.arguments import path_text
from nnkit.config import floatx, image_data_format
from nnkit.errors import ArgumentError, DataError, unknown_name
from nnkit.ops.resizing import resize

__all__ = [
    "COLORS",
    "array_to_img",
    "img_to_array",
    "load_img",
    "open_picture",
    "save_img",
    "smart_resize",
]

COLORS = {"grayscale": 1, "rgb": 3, "rgba": 4}
"""The channels of each color mode."""

_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_RESAMPLING = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def _pillow() -> Any:
    """PIL.Image, imported when a picture is first touched."""
    return importlib.import_module("PIL.Image")


def open_picture(source: Any, color_mode: str, eight_bit: bool = True) -> Any:
    """A picture in the colors asked for; the first frame of an animation, not turned by EXIF.

    Palettes, CMYK and transparency are converted by Pillow: transparency is dropped, not blended.

    Args:
        source: a path, or an open file.
        color_mode: "grayscale", "rgb" or "rgba".
        eight_bit: scale 16-bit grays down to 0..255; else a gray picture keeps them.

    Raises: DataError naming the file when it is empty, damaged, no picture, or has more pixels
        than Pillow's MAX_IMAGE_PIXELS.
    """
    if color_mode not in _MODES:
        raise unknown_name("color_mode", color_mode, _MODES)
    image_module = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", image_module.DecompressionBombWarning)
            with _opened(source) as file:
                picture = image_module.open(file)
                picture.load()
        return _in_colors(picture, color_mode, eight_bit)
    except FileNotFoundError:
        raise
    except (image_module.DecompressionBombError, image_module.DecompressionBombWarning) as exc:
        raise DataError(
            f"{_name(source)} has too many pixels: {exc} Leave it out, or raise "
            f"PIL.Image.MAX_IMAGE_PIXELS if you trust it."
        ) from exc
    except Exception as exc:
        # Pillow's readers raise nearly everything on damaged files.
        size = os.path.getsize(source) if isinstance(source, (str, bytes, os.PathLike)) else None
        what = f"cannot be read as a picture: {exc or type(exc).__name__}."
        if isinstance(exc, importlib.import_module("PIL").UnidentifiedImageError):
            what = "is empty." if size == 0 else "is no picture, or of an unknown format."
        raise DataError(f"{_name(source)} {what}") from exc


def _opened(source: Any) -> Any:
    return nullcontext(source) if hasattr(source, "read") else Path(os.fsdecode(source)).open("rb")


def _name(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", f"The {type(source).__name__}"))


def _in_colors(picture: Any, color_mode: str, eight_bit: bool) -> Any:
    if picture.mode in _DEEP:
        if color_mode == "grayscale" and not eight_bit:
            return picture
        # Pillow would cut off at 255 instead.
        scaled = (np.asarray(picture).astype(np.int64) >> 8).clip(0, 255)
        picture = _pillow().fromarray(scaled.astype(np.uint8))
    mode = _MODES[color_mode]
    return picture if picture.mode == mode else picture.convert(mode)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Load a picture as a PIL image.

    Args:
        path: of the file, or a BytesIO.
        color_mode: "rgb", "rgba" or "grayscale" (which keeps 16 bits, if it has them).
        target_size: (height, width) in pixels; its own when None.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
        keep_aspect_ratio: cut the sides instead of distorting.

    Raises: DataError naming the file when it is no picture.
    """
    if not isinstance(path, (str, bytes, os.PathLike, io.BytesIO)):
        raise ArgumentError(f"load_img expects a path or a BytesIO, got a {type(path).__name__}.")
    picture = open_picture(path, color_mode, eight_bit=False)
    if target_size is None:
        return picture
    if interpolation not in _RESAMPLING:
        raise unknown_name("interpolation", interpolation, _RESAMPLING)
    height, width = target_size
    if picture.size == (width, height):
        return picture
    resampling = getattr(_pillow().Resampling, interpolation.upper())
    box = _middle(picture.size, (width, height)) if keep_aspect_ratio else None
    return picture.resize((width, height), resampling, box=box)


def _middle(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest part in the middle of the target's proportions: left, top, right, bottom."""
    (width, height), (wide, high) = size, target
    cut_height = min(height, width * high // wide)
    cut_width = min(width, height * wide // high)
    top, left = (height - cut_height) // 2, (width - cut_width) // 2
    return left, top, left + cut_width, top + cut_height


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A PIL image as an array (height, width, channels).

    Args:
        img: the image; one without channels gets an axis for them.
        data_format: "channels_last" or "channels_first"; the global setting when None.
        dtype: the global float type when None.
    """
    array = np.asarray(img, dtype=dtype or floatx())
    if array.ndim not in (2, 3):
        raise DataError(f"img_to_array expects one image, got the shape {array.shape}.")
    array = array if array.ndim == 3 else array[:, :, None]
    return array.transpose(2, 0, 1) if _channels_first(data_format) else array


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """An array (height, width, channels) as a PIL image.

    Args:
        x: array or tensor with 1, 3 or 4 channels.
        data_format: "channels_last" or "channels_first"; the global setting when None.
        scale: stretch the values over 0 to 255.
        dtype: to compute in; the global float type when None.

    Raises: DataError for another shape.
    """
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu().numpy()
    array = np.asarray(x, dtype=dtype or floatx())
    if array.ndim != 3:
        raise DataError(
            f"array_to_img expects one image (height, width, channels), got {array.shape}."
        )
    array = array.transpose(1, 2, 0) if _channels_first(data_format) else array
    if array.shape[2] not in (1, 3, 4):
        raise DataError(f"array_to_img expects 1, 3 or 4 channels, got the shape {array.shape}.")
    if scale:
        array = array - np.min(array)
        largest = np.max(array)
        array = (array / largest if largest != 0 else array) * 255
    if array.shape[2] == 1:
        deep = np.max(array) > 255
        return _pillow().fromarray(array[:, :, 0].astype("int32" if deep else "uint8"))
    return _pillow().fromarray(array.astype("uint8"))


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as a picture.

    Args:
        path: of the file, or an open file (then give `file_format`).
        x, data_format, scale: as for array_to_img.
        file_format: such as "png"; by the file's name when None.
        **kwargs: for PIL's save, such as quality=90.
    """
    if not hasattr(path, "write"):
        path = path_text("save_img", "path", path)
    if file_format is None and isinstance(path, str):
        file_format = Path(path).suffix[1:]
    file_format = "jpeg" if (file_format or "").lower() == "jpg" else file_format
    picture = array_to_img(x, data_format=data_format, scale=scale)
    if picture.mode == "RGBA" and (file_format or "").lower() == "jpeg":
        warnings.warn("JPEG has no transparency: saving RGB.", stacklevel=2)
        picture = picture.convert("RGB")
    picture.save(path, format=file_format or None, **kwargs)


def smart_resize(
    x: Any, size: Any, interpolation: str = "bilinear", data_format: str = "channels_last"
) -> Any:
    """Resize an image or batch without distorting it: the sides are cut off first.

    Args:
        x: array or tensor (height, width, channels), or a batch of them; the result is its kind.
        size: (height, width) in pixels.
        interpolation: "bilinear", "nearest" or "bicubic".
        data_format: "channels_last" or "channels_first".
    """
    done = resize(x, size, interpolation, crop_to_aspect_ratio=True, data_format=data_format)
    return done.numpy() if isinstance(x, np.ndarray) else done


def _channels_first(data_format: str | None) -> bool:
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise unknown_name("data_format", data_format, ("channels_last", "channels_first"))
    return data_format == "channels_first"
