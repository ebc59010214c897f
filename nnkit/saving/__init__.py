"""Weights in files: Keras's .weights.h5, torch's .pt and .pth, .safetensors."""

from __future__ import annotations

from nnkit.saving.weights import load_weights, save_weights

__all__ = ["load_weights", "save_weights"]
