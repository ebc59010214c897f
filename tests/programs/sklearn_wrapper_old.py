# ruff: noqa
"""Keras 2: KerasClassifier and KerasRegressor in scikit-learn's cross validation and grids."""

import numpy as np
from fakes import houses
from keras.layers import Dense
from keras.models import Sequential
from keras.wrappers.scikit_learn import KerasClassifier, KerasRegressor
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler


def create_model(optimizer="rmsprop", init="glorot_uniform"):
    model = Sequential()
    model.add(Dense(8, input_dim=4, kernel_initializer=init, activation="relu"))
    model.add(Dense(3, kernel_initializer=init, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return model


def baseline():
    model = Sequential([Dense(8, input_dim=13, activation="relu"), Dense(1)])
    model.compile(loss="mean_squared_error", optimizer="adam")
    return model


X = np.random.RandomState(0).normal(size=(60, 4))
labels = np.array(["a", "b", "c"])[X[:, :3].argmax(axis=1)]
y = LabelEncoder().fit_transform(labels)
estimator = KerasClassifier(build_fn=create_model, epochs=2, batch_size=10, verbose=0)
scores = cross_val_score(estimator, X, y, cv=KFold(n_splits=3, shuffle=True, random_state=1))
grid = GridSearchCV(
    estimator=KerasClassifier(build_fn=create_model, verbose=0),
    param_grid={"optimizer": ["rmsprop", "adam"], "epochs": [1], "batch_size": [20]},
    cv=2,
)
result = grid.fit(X, y)

(hx, hy), _ = houses()
pipeline = Pipeline(
    [
        ("standardize", StandardScaler()),
        ("mlp", KerasRegressor(build_fn=baseline, epochs=2, batch_size=16, verbose=0)),
    ]
)
pipeline.fit(hx, hy)
estimator.fit(X, y)
print(
    "Result:",
    len(scores),
    sorted(result.best_params_),
    pipeline.predict(hx[:3]).shape,
    estimator.predict(X[:5]).shape,
    estimator.predict_proba(X[:5]).shape,
)
