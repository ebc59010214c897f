"""The functions of `keras.ops.image`."""

from nnkit.ops.colors import (
    gaussian_blur,
    hsv_to_rgb,
    rgb_to_grayscale,
    rgb_to_hsv,
    sobel_edges,
    ssim,
)  # fmt: skip
from nnkit.ops.geometry import (
    affine_transform,
    extract_patches,
    extract_patches_3d,
    map_coordinates,
    perspective_transform,
)  # fmt: skip
from nnkit.ops.resizing import crop_images, pad_images, resize
from nnkit.ops.warping import elastic_transform, scale_and_translate

__all__ = [
    "affine_transform", "crop_images", "elastic_transform", "extract_patches",
    "extract_patches_3d", "gaussian_blur", "hsv_to_rgb", "map_coordinates", "pad_images",
    "perspective_transform", "resize", "rgb_to_grayscale", "rgb_to_hsv", "scale_and_translate",
    "sobel_edges", "ssim",
]  # fmt: skip
