# ruff: noqa
"""Keras 2: a frozen base without its top, a new head, then some of it thawed."""

from fakes import colours
from keras import applications, optimizers
from keras.layers import Dense, Dropout, GlobalAveragePooling2D
from keras.models import Model

(x, y), _ = colours(8, classes=2)
base_model = applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
x_out = base_model.output
x_out = GlobalAveragePooling2D()(x_out)
x_out = Dense(8, activation="relu")(x_out)
x_out = Dropout(0.3)(x_out)
predictions = Dense(1, activation="sigmoid")(x_out)
model = Model(inputs=base_model.input, outputs=predictions)
for layer in base_model.layers:
    layer.trainable = False
model.compile(optimizer="rmsprop", loss="binary_crossentropy")
frozen = len(model.trainable_weights)
model.fit(x / 255.0, y, epochs=1, batch_size=4, verbose=0)
for layer in model.layers[:15]:
    layer.trainable = False
for layer in model.layers[15:]:
    layer.trainable = True
model.compile(optimizer=optimizers.SGD(lr=0.0001, momentum=0.9), loss="binary_crossentropy")
print("Result:", frozen, len(model.trainable_weights), len(model.layers), model.layers[1].name)
