"""Spellings of Keras 1 and 2: each gives what today's spelling gives, with one warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit import layers

pytestmark = pytest.mark.filterwarnings("default::FutureWarning")

# What was written, what is written now, and what the warning must say.
LAYERS: list[tuple[Callable[[], Any], Callable[[], Any], str]] = [
    (
        lambda: layers.Dense(output_dim=4, init="uniform", W_regularizer="l2", bias=False),
        lambda: layers.Dense(
            4, kernel_initializer="uniform", kernel_regularizer="l2", use_bias=False
        ),
        r"Dense\(output_dim=\) .*write units=",
    ),
    (
        lambda: layers.Convolution2D(8, 3, 5, border_mode="same", subsample=(2, 1)),
        lambda: layers.Conv2D(8, (3, 5), padding="same", strides=(2, 1)),
        r"Conv2D\(border_mode=\) .*write padding=",
    ),
    (
        lambda: layers.Convolution2D(nb_filter=8, nb_row=3, nb_col=5, dim_ordering="tf"),
        lambda: layers.Conv2D(8, (3, 5), data_format="channels_last"),
        r"Conv2D\(dim_ordering=\) .*write data_format=",
    ),
    (
        lambda: layers.Conv2D(8, 3, dim_ordering="th"),
        lambda: layers.Conv2D(8, 3, data_format="channels_first"),
        "data_format=",
    ),
    (
        lambda: layers.Convolution1D(8, filter_length=3, subsample_length=2),
        lambda: layers.Conv1D(8, 3, strides=2),
        r"Conv1D\(filter_length=\) .*kernel_size=",
    ),
    (
        lambda: layers.MaxPooling1D(pool_length=3, stride=1),
        lambda: layers.MaxPooling1D(3, strides=1),
        r"MaxPooling1D\(pool_length=\)",
    ),
    (
        lambda: layers.MaxPooling2D((2, 2), border_mode="same"),
        lambda: layers.MaxPooling2D((2, 2), padding="same"),
        r"MaxPooling2D\(border_mode=\)",
    ),
    (
        lambda: layers.LSTM(output_dim=4, inner_activation="hard_sigmoid", dropout_W=0.1),
        lambda: layers.LSTM(4, recurrent_activation="hard_sigmoid", dropout=0.1),
        r"LSTM\(inner_activation=\) .*recurrent_activation=",
    ),
    (
        lambda: layers.GRU(4, consume_less="mem"),
        lambda: layers.GRU(4),
        r"GRU\(consume_less=\) .*leave it out",
    ),
    (lambda: layers.Dropout(p=0.3), lambda: layers.Dropout(0.3), r"Dropout\(p=\) .*rate="),
    (
        lambda: layers.GaussianNoise(sigma=0.3),
        lambda: layers.GaussianNoise(0.3),
        r"GaussianNoise\(sigma=\)",
    ),
    (
        lambda: layers.LeakyReLU(alpha=0.2),
        lambda: layers.LeakyReLU(0.2),
        r"LeakyReLU\(alpha=\) .*negative_slope=",
    ),
    (
        lambda: layers.Embedding(9, 4, input_length=7),
        lambda: layers.Embedding(9, 4),
        r"Embedding\(input_length=\) .*leave it out",
    ),
    (
        lambda: layers.UpSampling1D(length=3),
        lambda: layers.UpSampling1D(3),
        r"UpSampling1D\(length=\)",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), LAYERS, ids=[row[2] for row in LAYERS])
def test_a_layers_old_arguments(old: Any, new: Any, message: str) -> None:
    with pytest.warns(FutureWarning, match=message) as caught:
        made = old()
    assert all(warning.filename == __file__ for warning in caught)
    config, expected = made.get_config(), new().get_config()
    for each in (config, expected):
        each.pop("name")
    assert config == expected
    assert type(made).from_config(made.get_config()).get_config() == made.get_config()


def test_each_spelling_warns_once(recwarn: pytest.WarningsRecorder) -> None:
    for _ in range(3):
        layers.Dropout(p=0.3)
    assert len(recwarn) == 1


def test_an_unknown_argument_is_still_refused() -> None:
    with pytest.raises(ValueError, match="Unknown argument of Dense 'unit'"):
        layers.Dense(4, unit=3)


def test_a_subclass_keeps_its_own_arguments() -> None:
    class Wide(layers.Dense):
        def __init__(self, factor: int = 2, **kwargs: Any) -> None:
            super().__init__(output_dim=4 * factor, **kwargs)
            self.factor = factor

    with pytest.warns(FutureWarning, match="output_dim"):
        assert Wide(3).units == 12
    assert Wide(3).get_config()["factor"] == 3


@pytest.mark.parametrize("given", [True, False])
def test_weights_are_set_when_the_layer_is_built(given: bool) -> None:
    kernel, bias = np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0, 3.0])
    with pytest.warns(FutureWarning, match=r"Dense\(weights=\)"):
        layer = layers.Dense(3, weights=[kernel, bias], **({"input_dim": 2} if given else {}))
    model = nnkit.Sequential([layer])
    outputs = model.predict(np.array([[1.0, 10.0]]), verbose=0)
    np.testing.assert_allclose(outputs, [[31.0, 43.0, 55.0]])
    assert "weights" not in layer.get_config()


# -- models ----------------------------------------------------------------------------------------


def compiled() -> nnkit.Model:
    inputs = nnkit.Input((3,))
    with pytest.warns(FutureWarning, match=r"Model\(input=\) .*inputs="):
        model = nnkit.Model(input=inputs, output=layers.Dense(2, activation="softmax")(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def batches() -> Any:
    generator = np.random.default_rng(0)
    while True:
        x = generator.normal(size=(4, 3))
        yield x, (x[:, 0] > 0).astype("int64")


def test_fit_takes_old_arguments() -> None:
    model = compiled()
    x, y = next(batches())
    with pytest.warns(FutureWarning, match=r"Model\.fit\(nb_epoch=\) .*epochs="):
        history = model.fit(x, y, nb_epoch=3, workers=2, use_multiprocessing=True, verbose=0)
    assert len(history.history["loss"]) == 3


def test_the_generator_methods() -> None:
    model, twin = compiled(), nnkit.Sequential([layers.Dense(2, "softmax", input_shape=(3,))])
    twin.set_weights(model.get_weights())
    twin.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(FutureWarning, match=r"model\.fit_generator .*write fit"):
        old = model.fit_generator(batches(), 5, 2, verbose=0, max_queue_size=4)
    new = twin.fit(batches(), steps_per_epoch=5, epochs=2, verbose=0)
    assert old.history == new.history
    with pytest.warns(FutureWarning, match=r"model\.evaluate_generator"):
        assert model.evaluate_generator(batches(), 3) == twin.evaluate(
            batches(), steps=3, verbose=0
        )
    with pytest.warns(FutureWarning, match=r"model\.predict_generator"):
        predicted = model.predict_generator(batches(), steps=2)
    np.testing.assert_array_equal(predicted, twin.predict(batches(), steps=2, verbose=0))


def test_classes_and_probabilities() -> None:
    model = compiled()
    x = np.random.default_rng(1).normal(size=(5, 3))
    with pytest.warns(FutureWarning, match="predict_proba"):
        probabilities = model.predict_proba(x)
    with pytest.warns(FutureWarning, match="predict_classes"):
        assert model.predict_classes(x).tolist() == probabilities.argmax(1).tolist()
    binary = nnkit.Sequential([layers.Dense(1, "sigmoid", input_shape=(3,))])
    classes = binary.predict_classes(x)
    assert classes.dtype == np.int32
    assert classes.tolist() == (binary.predict(x, verbose=0) > 0.5).astype(int).tolist()


def test_a_symbolic_loss_is_refused() -> None:
    inputs = nnkit.Input((3,))
    outputs = layers.Dense(2)(inputs)
    model = nnkit.Model(inputs, outputs)
    with pytest.raises(ValueError, match="Compute the loss in the call of a layer"):
        model.add_loss(outputs**2)


def test_reset_states() -> None:
    metric = nnkit.metrics.Mean()
    metric.update_state(3.0)
    with pytest.warns(FutureWarning, match=r"Mean\.reset_states .*reset_state"):
        metric.reset_states()
    assert float(metric.result()) == 0
    lstm = layers.LSTM(2, stateful=True)
    model = nnkit.Sequential([nnkit.Input(batch_shape=(1, 3, 1)), lstm])
    first = model.predict(np.ones((1, 3, 1)), verbose=0)
    assert not np.allclose(model.predict(np.ones((1, 3, 1)), verbose=0), first)
    with pytest.warns(FutureWarning, match=r"model\.reset_states"):
        model.reset_states()
    np.testing.assert_array_equal(model.predict(np.ones((1, 3, 1)), verbose=0), first)
