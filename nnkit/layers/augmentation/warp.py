"""Images seen from aside, and images drawn on rubber."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnkit.layers.augmentation.affine import WarpLayer
from nnkit.layers.augmentation.base import images_of
from nnkit.layers.augmentation.boxes import moved_boxes
from nnkit.layers.augmentation.draws import Draws
from nnkit.layers.augmentation.factors import as_factor, as_value_range
from nnkit.ops.geometry import homography, perspective_transform
from nnkit.ops.warping import pulled

__all__ = ["RandomElasticTransform", "RandomPerspective"]


class RandomPerspective(WarpLayer):
    """Show images as if seen from aside: each corner moves by a distance of its own.

    Args:
        factor: the chance of each image, itself drawn: from 0 to a number, or between two.
        scale: how far corners move, a fraction of the size from 0 to 1.
        interpolation: "bilinear" or "nearest".
        fill_value: what lies outside.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor or scale outside 0 to 1, or an unknown interpolation.
    """

    _FACTOR_BOUNDS = (0, 1)
    _chosen = "apply_perspective"

    def __init__(
        self,
        factor: Any = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("constant", interpolation, seed, fill_value, data_format, **kwargs)
        self._set_factor(factor)
        self.scale = as_factor(self.label, "scale", scale, (0, 1))[1]

    def drawn(self, data: Any, draws: Draws) -> Any:
        batch, height, width = self.sizes_of(data)
        chosen = draws.chances(batch, self.factor)
        right, down = width - 1.0, height - 1.0
        corners = [[0.0, 0.0], [right, 0.0], [0.0, down], [right, down]]
        start = torch.tensor(corners, device=draws.device).expand(batch, 4, 2)
        moves = draws.uniform((batch, 4, 2), -0.5 * self.scale, 0.5 * self.scale)
        return {
            "apply_perspective": chosen,
            "start_points": start,
            "end_points": start + start * moves,
            "input_shape": tuple(images_of(data).shape),
        }

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        warped: Tensor = perspective_transform(
            images,
            transformation["start_points"],
            transformation["end_points"],
            interpolation,
            self.fill_value,
            self.data_format,
        )
        return warped

    def move_boxes(self, boxes: Tensor, transformation: Any, height: int, width: int) -> Tensor:
        transform = homography(transformation["start_points"], transformation["end_points"])
        chosen = transformation["apply_perspective"][:, None, None]
        return torch.where(chosen, moved_boxes(boxes, transform), boxes)


class RandomElasticTransform(WarpLayer):
    """Pull images about as if drawn on rubber: neighbouring pixels move by similar distances.

    Boxes are not supported: their corners say little about where their contents go.

    Args:
        factor: the chance of each image, itself drawn: from 0 to a number, or between two.
        scale: how far and how smoothly pixels move, 0 to 1, or a pair to draw from.
        interpolation: "bilinear" or "nearest".
        fill_mode: what lies outside: "reflect", "wrap", "constant", "nearest" or "mirror".
        fill_value: the constant.
        value_range: the darkest and the brightest value.
        seed: an int for draws that repeat.
        data_format: "channels_last" (also None) or "channels_first".

    Shape: (batch, height, width, channels) or one image -> the same, floats
    Raises: ArgumentError for a factor or scale outside 0 to 1, or an unknown mode.
    Source: Simard et al., ICDAR 2003.
    """

    _FACTOR_BOUNDS = (0, 1)
    _chosen = "apply_transform"
    fill_modes = ("reflect", "wrap", "constant", "nearest", "mirror")

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self._set_factor(factor)
        self.scale = as_factor(self.label, "scale", scale, (0, 1))
        self.value_range = as_value_range(self.label, value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training or self.scale[1] == 0 or self.factor[1] == 0:
            return None
        batch, height, width = self.sizes_of(data)
        draws = self.draws(data, seed)
        # The size of the blur's window depends on this number, so Python has to know it; a compiled
        # graph, which cannot tell it, takes the largest window there may be.
        compiled = torch.compiler.is_compiling()
        factor = self.draws(data, seed, None if compiled else "cpu").uniform((), *self.scale)
        return {
            "apply_transform": draws.chances(batch, self.factor),
            "distortion_factor": factor if compiled else float(factor),
            "noise": draws.normal((batch, 2, height, width)),
        }

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        batch, height, width = self.sizes_of(images)
        factor, compiled = transformation["distortion_factor"], torch.compiler.is_compiling()
        factor = factor if compiled else float(factor)
        least = min(height, width) * 0.05
        reach, sigma = max(height, width) * 0.1 * factor, least * factor
        noise = transformation.get("noise")
        if noise is None:  # parameters written by hand, or Keras's
            noise = self.draws(images).normal((batch, 2, height, width))
        fill = self.fill_mode, self.fill_value
        moves = noise.movedim(1, 0)
        widest = least * self.scale[1] if compiled else None
        changed = pulled(images, moves, reach, sigma, interpolation, fill, self.data_format, widest)
        return changed.clamp_(*self.value_range) if images.is_floating_point() else changed

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        raise NotImplementedError(f"{self.label} cannot say where boxes go. Leave them out.")
