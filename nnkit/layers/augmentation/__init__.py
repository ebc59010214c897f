"""Layers that change images at random, in training only, under the names of `keras.layers`."""

from nnkit.layers.augmentation.affine import (
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from nnkit.layers.augmentation.base import BaseImagePreprocessingLayer
from nnkit.layers.augmentation.colors import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
)
from nnkit.layers.augmentation.filters import RandomGaussianBlur, RandomSharpness
from nnkit.layers.augmentation.flip_crop import RandomCrop, RandomFlip
from nnkit.layers.augmentation.histograms import (
    ContrastLimitedAdaptiveHistogramEqualization,
    Equalization,
)
from nnkit.layers.augmentation.levels import (
    AutoContrast,
    RandomInvert,
    RandomPosterization,
    Solarization,
)
from nnkit.layers.augmentation.mixing import CutMix, MixUp, RandomErasing
from nnkit.layers.augmentation.pipeline import MaxNumBoundingBoxes, Pipeline, TorchVisionTransform
from nnkit.layers.augmentation.policies import AugMix, RandAugment
from nnkit.layers.augmentation.warp import RandomElasticTransform, RandomPerspective

__all__ = [
    "AugMix",
    "AutoContrast",
    "BaseImagePreprocessingLayer",
    "ContrastLimitedAdaptiveHistogramEqualization",
    "CutMix",
    "Equalization",
    "MaxNumBoundingBoxes",
    "MixUp",
    "Pipeline",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Solarization",
    "TorchVisionTransform",
]
