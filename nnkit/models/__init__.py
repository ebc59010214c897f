"""Models: Sequential, functional and subclassed."""

from nnkit.layers.input import Input
from nnkit.models.model import Model
from nnkit.models.sequential import Sequential

__all__ = ["Input", "Model", "Sequential"]
