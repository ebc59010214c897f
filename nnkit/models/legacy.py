"""Methods of older models, which fit, evaluate and predict took over: each warns once."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.errors import ArgumentError
from nnkit.legacy import warn_once
from nnkit.symbolic import has_symbolic

__all__ = ["OldMethods"]


class OldMethods:
    """A mixin of Model. Arguments about workers and queues are taken and mean nothing here."""

    def add_loss(self, loss: Any) -> None:
        """Add scalars to the training loss; call it inside `call`, of a model or a layer.

        Raises: ArgumentError for a symbolic tensor, which Keras 2 took.
        """
        if has_symbolic((loss,), {}):
            raise ArgumentError(
                f"{type(self).__name__}.add_loss takes computed tensors. Compute the loss in the "
                f"call of a layer of your own that calls self.add_loss(loss) and returns its input."
            )
        super().add_loss(loss)  # type: ignore[misc]

    def fit_generator(self, generator: Any, *args: Any, **kwargs: Any) -> Any:
        """`fit` on a generator; by position: steps_per_epoch, epochs, verbose, callbacks."""
        self._old("fit_generator", "fit")
        names = ("steps_per_epoch", "epochs", "verbose", "callbacks", "validation_data")
        given = dict(zip(names, args, strict=False)) | kwargs
        return self.fit(generator, **given)  # type: ignore[attr-defined]

    def evaluate_generator(self, generator: Any, steps: Any = None, **kwargs: Any) -> Any:
        """`evaluate` on a generator."""
        self._old("evaluate_generator", "evaluate")
        return self.evaluate(generator, steps=steps, **{"verbose": 0, **kwargs})  # type: ignore[attr-defined]

    def predict_generator(self, generator: Any, steps: Any = None, **kwargs: Any) -> Any:
        """`predict` on a generator."""
        self._old("predict_generator", "predict")
        return self.predict(generator, steps=steps, **{"verbose": 0, **kwargs})  # type: ignore[attr-defined]

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """The same as `predict`."""
        self._old("predict_proba", "predict")
        return self.predict(x, batch_size, verbose)  # type: ignore[attr-defined]

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int = 0) -> np.ndarray:
        """The number of the likeliest class; of two when there is one output, which 0.5 parts."""
        self._old("predict_classes", "predict and np.argmax (or > 0.5)")
        outputs = self.predict(x, batch_size, verbose)  # type: ignore[attr-defined]
        if outputs.shape[-1] > 1:
            return np.argmax(outputs, axis=-1)
        return np.asarray(outputs > 0.5, dtype="int32")

    def reset_states(self) -> None:
        """Set the states of all stateful layers to zero."""
        self._old("reset_states", "layer.reset_state for each stateful layer")
        for layer in self.layers:  # type: ignore[attr-defined]
            if hasattr(layer, "reset_state"):
                layer.reset_state()

    def _old(self, name: str, now: str) -> None:
        warn_once(f"model.{name}", f"write {now}.", 3)
