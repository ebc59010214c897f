# ruff: noqa
"""Keras 3: layers that decide for themselves how they are built again and what they save."""

import os
import zipfile

import keras
import numpy as np
from keras import ops

keras.saving.get_custom_objects().clear()


@keras.saving.register_keras_serializable(package="my_package", name="custom_fn")
def custom_fn(x):
    return x**2


@keras.saving.register_keras_serializable(package="my_layers")
class LayerWithCustomBuild(keras.layers.Layer):
    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self):
        return dict(units=self.units, **super().get_config())

    def build(self, input_shape, layer_init="zeros"):
        self.layer_init, self.seen_shape = layer_init, input_shape
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer=layer_init)
        self.b = self.add_weight(shape=(self.units,), initializer=layer_init)

    def get_build_config(self):
        return {"layer_init": self.layer_init, "input_shape": self.seen_shape}

    def build_from_config(self, config):
        self.build(config["input_shape"], config["layer_init"])


@keras.saving.register_keras_serializable(package="my_layers")
class LayerWithCustomVariables(keras.layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        self.extra = np.zeros(3)

    def call(self, inputs):
        return inputs * self.scale

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["variables"] = self.extra

    def load_own_variables(self, store):
        self.scale.assign(store["0"])
        self.extra = np.array(store["variables"])


@keras.saving.register_keras_serializable(package="my_layers")
class LayerWithCustomAssets(keras.layers.Layer):
    def __init__(self, vocab=None, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.vocab = vocab

    def call(self, inputs):
        return inputs

    def save_assets(self, inner_path):
        with open(os.path.join(inner_path, "vocabulary.txt"), "w") as file:
            file.write(self.vocab)

    def load_assets(self, inner_path):
        with open(os.path.join(inner_path, "vocabulary.txt")) as file:
            self.vocab = file.read().replace("<unk>", "[UNK]")


built = LayerWithCustomBuild(units=16)
built.build((None, 8), layer_init="random_normal")
config = keras.saving.serialize_keras_object(built)
rebuilt = keras.saving.deserialize_keras_object(config)

model = keras.Sequential(
    [
        keras.Input((4,)),
        LayerWithCustomVariables(),
        LayerWithCustomAssets(vocab="<unk> a b"),
        keras.layers.Dense(2, activation=custom_fn),
    ]
)
model.layers[0].scale.assign([1.0, 2.0, 3.0, 4.0])
model.layers[0].extra = np.arange(3)
model.save("own.keras")
again = keras.models.load_model("own.keras")
x = np.ones((2, 4), "float32")
assets = [name for name in zipfile.ZipFile("own.keras").namelist() if "assets" in name]
print(
    "Result:",
    rebuilt.layer_init,
    len(rebuilt.weights),
    again.layers[0].extra.tolist(),
    again.layers[1].vocab,
    assets,
    np.allclose(model.predict(x, verbose=0), again.predict(x, verbose=0)),
    keras.saving.get_registered_name(custom_fn),
)
