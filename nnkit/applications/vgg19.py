"""VGG19."""

from __future__ import annotations

from nnkit.applications.architecture import application
from nnkit.applications.imagenet_utils import decode_predictions, preprocessor
from nnkit.applications.vgg16 import vgg

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessor("caffe")

VGG19 = application(
    "VGG19",
    vgg(
        "vgg19",
        (2, 2, 4, 4, 4),
        ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    ),
    "Sixteen convolutions and three Dense layers.\n\nSource: https://arxiv.org/abs/1409.1556",
)
