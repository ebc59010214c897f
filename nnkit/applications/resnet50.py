"""ResNet50 under the name of its own that Keras has for it."""

from __future__ import annotations

from nnkit.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
