"""Weights in files (Keras's .weights.h5, torch's .pt, .safetensors), programs (.onnx, .pt2)."""

from __future__ import annotations

from nnkit.saving.export import export
from nnkit.saving.torch_weights import load_torch
from nnkit.saving.weights import load_weights, save_weights

__all__ = ["export", "load_torch", "load_weights", "save_weights"]
