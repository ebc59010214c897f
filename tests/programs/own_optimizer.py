"""An optimizer of one's own, with variables it makes in build, trained, saved and opened again."""

import os
import tempfile

import keras
import numpy as np
from keras import ops


class Damped(keras.optimizers.Optimizer):
    def __init__(self, learning_rate=0.01, momentum=0.9, name="damped", **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momentums = [
            self.add_variable_from_reference(variable, name="momentum") for variable in variables
        ]
        self.squares, self.scales = self.add_optimizer_variables(
            variables, ["square", "scale"], ["zeros", "ones"]
        )
        self.count = self.add_variable(shape=(), name="count")

    def update_step(self, gradient, variable, learning_rate):
        learning_rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        index = self._get_variable_index(variable)
        momentum, square = self.momentums[index], self.squares[index]
        self.assign(momentum, momentum * self.momentum - gradient * learning_rate)
        self.assign_add(square, ops.square(gradient))
        self.assign_add(self.count, 1.0)
        self.assign_sub(self.scales[index], 0.001 * ops.abs(momentum))
        self.assign_add(variable, self.scales[index] * momentum / (ops.sqrt(square) / step + 1.0))

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


rng = np.random.default_rng(0)
x = rng.normal(size=(32, 3)).astype("float32")
y = x.sum(axis=1, keepdims=True)
layers = [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
model = keras.Sequential(layers, name="net")
model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
model.compile(Damped(0.05, momentum=0.8), "mse")
more = {"batch_size": 8, "shuffle": False, "verbose": 0}
first = model.fit(x, y, epochs=3, **more).history["loss"]
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "net.keras")
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"Damped": Damped})
here = model.fit(x, y, epochs=2, **more).history["loss"]
there = again.fit(x, y, epochs=2, **more).history["loss"]
optimizer = model.optimizer
print(
    "Result:",
    [f"{loss:.4f}" for loss in first + here],
    np.allclose(here, there, rtol=1e-4),
    len(optimizer.variables),
    float(optimizer.count),
    optimizer.get_config()["momentum"],
    model.trainable_variables[0].path,
)
