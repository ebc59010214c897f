"""What a layer of your own keeps in a model's file, if it is more than its weights."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np
import torch

from nnkit.errors import ShapeError
from nnkit.weights import WeightOwner, to_numpy

__all__ = ["Filed", "keeps"]


class Filed(WeightOwner):
    """The half of `Layer` that files ask; override a pair of methods to write and read more."""

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Put arrays into a dict, to be written where this layer's weights lie: here, these."""
        for number, weight in enumerate(self._own()):
            store[str(number)] = to_numpy(weight.layout.to_keras(weight.tensor))

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Take the arrays that `save_own_variables` put there.

        Raises: ShapeError when they are not those of this layer's weights.
        """
        own = {str(number): weight for number, weight in enumerate(self._own())}
        for key, weight in own.items():
            shape = tuple(np.shape(store[key])) if key in store else None
            if shape != weight.keras_shape:
                name = getattr(self, "label", type(self).__name__)
                raise ShapeError(
                    f"{name} needs {weight.keras_shape} for {weight.name!r}, which lies under "
                    f"{key!r}; the file has {shape or 'none'}."
                )
        with torch.no_grad():
            for key, weight in own.items():
                value = torch.as_tensor(np.asarray(store[key]))
                weight.tensor.copy_(weight.layout.as_torch(value))

    def save_assets(self, dir_path: str) -> None:
        """Write files into a folder, which become part of a .keras file."""

    def load_assets(self, dir_path: str) -> None:
        """Read the files that `save_assets` wrote, from a folder that is there during the call."""


def keeps(layer: Any, what: str) -> bool:
    """Whether a class writes or reads "own_variables" or "assets" in its own way."""
    return isinstance(layer, Filed) and any(
        getattr(type(layer), f"{verb}_{what}") is not getattr(Filed, f"{verb}_{what}")
        for verb in ("save", "load")
    )
