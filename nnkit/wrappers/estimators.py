"""The estimators of `keras.wrappers`: scikit-learn fits, clones and scores them as its own."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from sklearn.base import (  # type: ignore[import-untyped]
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils import multiclass, validation  # type: ignore[import-untyped]

from nnkit.errors import DataError, NotCompiledError
from nnkit.models import Model

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


class _Estimator(BaseEstimator):
    """What the three have in common.

    Args:
        model: a compiled model, or a function of (X, y, **model_kwargs) that makes one.
        warm_start: go on with the model of the last fit instead of starting anew.
        model_kwargs: what the function is given besides X and y.
        fit_kwargs: arguments of `model.fit`; those given to `fit` here come first.

    Attributes: model_, the fitted model; history_, what its fit returned.
    """

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self) -> Self:
        model = copy.deepcopy(self.model) if isinstance(self.model, Model) else self.model
        return type(self)(model, self.warm_start, self.model_kwargs, self.fit_kwargs)

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Self:
        """Train on samples X, (samples, features), with targets y; kwargs are `model.fit`'s.

        Raises: NotCompiledError for a model without loss and optimizer; DataError for targets that
            cannot be used.
        """
        X, y = _validated(self, X, y, multi_output=True)
        targets = self._targets(y)
        model = self._model_for(X, targets)
        if not model.compiled or not model.loss or not model.optimizer:
            raise NotCompiledError(
                f"{type(self).__name__} needs a compiled model. Call compile(optimizer, loss) on "
                f"it, in the function that makes it if there is one."
            )
        self.history_ = model.fit(X, targets, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _model_for(self, X: Any, targets: Any) -> Any:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if not isinstance(self.model, Model):
            return self.model(X=X, y=targets, **(self.model_kwargs or {}))
        return self.model if self.warm_start else copy.deepcopy(self.model)

    def _outputs(self, X: Any) -> np.ndarray:
        validation.check_is_fitted(self)
        X = _validated(self, X, reset=False)
        outputs: np.ndarray = self.model_.predict(X, verbose=0)
        return outputs

    def _targets(self, y: Any) -> Any:
        self._one_axis = y.ndim == 1
        return y.reshape(-1, 1) if self._one_axis else y


class SKLearnClassifier(ClassifierMixin, _Estimator):
    """A classifier: targets of any kind become one-hot rows, `predict` gives them back.

    Args: model, warm_start, model_kwargs, fit_kwargs: see the module's base; the model's outputs
        are one probability a class.

    Attributes: classes_, the sorted classes; model_; history_.
    """

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each sample."""
        classes: np.ndarray = self.classes_[self._outputs(X).argmax(axis=-1)]
        return classes

    def decision_function(self, X: Any) -> np.ndarray:
        """The model's outputs, one a class."""
        return self._outputs(X)

    def _targets(self, y: Any) -> np.ndarray:
        kind = multiclass.type_of_target(y)
        if kind not in ("binary", "multiclass"):
            raise DataError(
                f"SKLearnClassifier takes one class a sample, got targets of the kind {kind!r}."
            )
        y = np.asarray(y).reshape(-1)
        self.classes_ = np.unique(y)
        if len(self.classes_) == 1:
            raise DataError("SKLearnClassifier cannot train when only one class is present.")
        return (y[:, None] == self.classes_).astype("float64")


class SKLearnRegressor(RegressorMixin, _Estimator):
    """A regressor.

    Args: model, warm_start, model_kwargs, fit_kwargs: see the module's base.

    Attributes: model_; history_.
    """

    def predict(self, X: Any) -> np.ndarray:
        """The model's outputs, of the targets' shape."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._one_axis and outputs.ndim == 2 else outputs


class SKLearnTransformer(TransformerMixin, _Estimator):
    """A step of a pipeline that passes the model's outputs on.

    Args: model, warm_start, model_kwargs, fit_kwargs: see the module's base.

    Attributes: model_; history_.
    """

    def transform(self, X: Any) -> np.ndarray:
        """The model's outputs for samples."""
        return self._outputs(X)


def _validated(estimator: Any, *data: Any, **options: Any) -> Any:
    """X (and y) as scikit-learn checks them, in its newer way or the older one."""
    if hasattr(validation, "validate_data"):
        return validation.validate_data(estimator, *data, **options)
    return estimator._validate_data(*data, **options)
