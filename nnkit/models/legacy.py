"""Methods of older models, which fit, evaluate and predict took over: each warns once."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.legacy import warn_once

__all__ = ["OldMethods"]


class OldMethods:
    """A mixin of Model. Arguments about workers and queues are taken and mean nothing here."""

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

    def _old(self, name: str, now: str) -> None:
        warn_once(f"model.{name}", f"write {now}.", 3)
