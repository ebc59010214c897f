"""The wrappers of Keras 2, for old programs; new ones use SKLearnClassifier and its kin."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
from sklearn.base import (  # type: ignore[import-untyped]
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
)

from nnkit.errors import ArgumentError, unknown_name
from nnkit.legacy import warn_once
from nnkit.models import Model
from nnkit.utils.numeric import to_categorical

__all__ = ["KerasClassifier", "KerasRegressor"]


class _Wrapper(BaseEstimator):
    """What the two have in common: one bag of arguments for the function, fit and predict.

    Args:
        build_fn: makes a compiled model.
        **sk_params: arguments of build_fn, or of the model's fit, predict and evaluate.

    Raises: ArgumentError for one that none of them takes.
    """

    def __init__(self, build_fn: Any = None, **sk_params: Any) -> None:
        warn_once("keras.wrappers.scikit_learn", "write keras.wrappers.SKLearnClassifier.", 2)
        self.build_fn = build_fn
        self.sk_params = sk_params
        methods = (Model.fit, Model.predict, Model.evaluate)
        known = {word for method in (self._maker, *methods) for word in _takes(method)}
        for name in sk_params:
            if name not in known:
                raise unknown_name(f"argument of {type(self).__name__}", name, known)

    @property
    def _maker(self) -> Any:
        if self.build_fn is not None:
            return self.build_fn
        if type(self).__call__ is _Wrapper.__call__:
            raise ArgumentError(f"{type(self).__name__} needs build_fn, which makes a model.")
        return self.__call__

    def __call__(self, **kwargs: Any) -> Any:
        """A subclass may write this in place of a build_fn."""
        raise NotImplementedError

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments, as scikit-learn wants them."""
        return {"build_fn": self.build_fn, **self.sk_params}

    def set_params(self, **params: Any) -> Self:
        """Change arguments."""
        self.__init__(**{**self.get_params(), **params})  # type: ignore[misc]
        return self

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Make the model and train it; the History."""
        self.model = self._maker(**self._for(self._maker))
        loss = self.model.loss
        if getattr(loss, "__name__", loss) == "categorical_crossentropy" and np.ndim(y) == 1:
            y = to_categorical(y)
        self.history_ = self.model.fit(x, y, **self._for(Model.fit, kwargs))
        return self.history_

    def _for(self, function: Any, more: Any = None) -> dict[str, Any]:
        """Those of the arguments that a function takes."""
        taken = _takes(function)
        return {word: v for word, v in self.sk_params.items() if word in taken} | (more or {})

    def _predicted(self, x: Any, kwargs: Any) -> np.ndarray:
        options = {"verbose": 0, **self._for(Model.predict, kwargs)}
        outputs: np.ndarray = self.model.predict(x, **options)
        return outputs


class KerasClassifier(ClassifierMixin, _Wrapper):
    """A classifier from a function that makes a model.

    Args: build_fn, sk_params: see the module's base.
    """

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Make the model and train it on classes, or on one-hot rows; the History."""
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_, y = np.unique(y.reshape(-1), return_inverse=True)
        return super().fit(x, y, **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The class of each sample."""
        outputs = self._predicted(x, kwargs)
        many = outputs.shape[-1] > 1
        places = outputs.argmax(axis=-1) if many else (outputs[:, 0] > 0.5).astype(int)
        classes: np.ndarray = self.classes_[places]
        return classes

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The probability of each class."""
        outputs = self._predicted(x, kwargs)
        return outputs if outputs.shape[1] > 1 else np.hstack([1 - outputs, outputs])


class KerasRegressor(RegressorMixin, _Wrapper):
    """A regressor from a function that makes a model.

    Args: build_fn, sk_params: see the module's base.
    """

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The value for each sample."""
        return np.squeeze(self._predicted(x, kwargs), axis=-1)


def _takes(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self", "kwargs"}
