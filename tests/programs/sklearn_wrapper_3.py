# ruff: noqa
"""Keras 3: the scikit-learn wrappers that take a function of X and y."""

import numpy as np
from keras import Input, Model, layers
from keras.wrappers import SKLearnClassifier, SKLearnRegressor
from sklearn.model_selection import cross_val_score


def dynamic_model(X, y, loss, units=(10,)):
    inputs = Input(shape=(X.shape[1],))
    x = inputs
    for n in units:
        x = layers.Dense(n, activation="relu")(x)
    outputs = y.shape[1] if len(y.shape) > 1 else 1
    outputs = layers.Dense(outputs, activation="softmax" if "entropy" in loss else None)(x)
    model = Model(inputs, outputs)
    model.compile(loss=loss, optimizer="rmsprop")
    return model


X = np.random.RandomState(0).normal(size=(60, 5))
names = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
classifier = SKLearnClassifier(
    model=dynamic_model,
    model_kwargs={"loss": "categorical_crossentropy", "units": [8, 8]},
    fit_kwargs={"verbose": 0, "epochs": 2},
)
classifier.fit(X, names)
scores = cross_val_score(classifier, X, names, cv=2)
regressor = SKLearnRegressor(dynamic_model, model_kwargs={"loss": "mse"}, fit_kwargs={"verbose": 0})
regressor.fit(X, X[:, 1])
print(
    "Result:",
    sorted(set(classifier.predict(X).tolist()) | {"no", "yes"}),
    len(scores),
    classifier.classes_.tolist(),
    regressor.predict(X).shape,
)
