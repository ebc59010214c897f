# ruff: noqa
"""Keras 3: a small network taught by a large one, through a compute_loss of the model's own."""

import keras
import numpy as np
from fakes import digits, fixed_weights
from keras import layers, ops


class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.teacher = teacher
        self.student = student

    def compile(
        self, optimizer, metrics, student_loss_fn, distillation_loss_fn, alpha, temperature
    ):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss_fn = student_loss_fn
        self.distillation_loss_fn = distillation_loss_fn
        self.alpha, self.temperature = alpha, temperature

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False):
        teacher_pred = self.teacher(x, training=False)
        student_loss = self.student_loss_fn(y, y_pred)
        distillation_loss = self.distillation_loss_fn(
            ops.softmax(teacher_pred / self.temperature, axis=1),
            ops.softmax(y_pred / self.temperature, axis=1),
        ) * (self.temperature**2)
        return self.alpha * student_loss + (1 - self.alpha) * distillation_loss

    def call(self, x):
        return self.student(x)


def network(filters, name):
    return keras.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(filters, (3, 3), strides=(2, 2), padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.MaxPooling2D(pool_size=(2, 2), strides=(1, 1), padding="same"),
            layers.Conv2D(filters, (3, 3), strides=(2, 2), padding="same"),
            layers.Flatten(),
            layers.Dense(10),
        ],
        name=name,
    )


(x_train, y_train), _ = digits(32)
x_train = np.reshape(x_train.astype("float32") / 255.0, (-1, 28, 28, 1))
teacher, student = network(6, "teacher"), network(3, "student")
fixed_weights(teacher)
fixed_weights(student)
untaught = keras.models.clone_model(student)
untaught.set_weights(student.get_weights())
teacher.trainable = False
taught_by = teacher.get_weights()

distiller = Distiller(student=student, teacher=teacher)
distiller.compile(
    optimizer=keras.optimizers.Adam(),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
    student_loss_fn=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    distillation_loss_fn=keras.losses.KLDivergence(),
    alpha=0.1,
    temperature=10,
)
history = distiller.fit(x_train, y_train, batch_size=8, epochs=2, shuffle=False, verbose=0)
print(
    "Result:",
    ["%.2f" % loss for loss in history.history["loss"]],
    ["%.2f" % value for value in distiller.evaluate(x_train, y_train, verbose=0)],
    all(np.array_equal(a, b) for a, b in zip(taught_by, teacher.get_weights())),
    np.array_equal(untaught.get_weights()[0], student.get_weights()[0]),
)
