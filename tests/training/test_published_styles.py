"""Training code as it is published for Keras with torch: own steps, own losses, own loops.

Only the import differs from what stands in such programs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import nnkit as keras
from nnkit import layers, ops

RNG = np.random.default_rng(0)


def step_of_the_guide(model: Any, loss: Any, optimizer: Any = None) -> None:
    """zero_grad, backward and apply, as in the guide for torch."""
    model.zero_grad()
    loss.backward()
    trainable_weights = [v for v in model.trainable_weights]  # noqa: C416
    gradients = [v.value.grad for v in trainable_weights]
    with torch.no_grad():
        (optimizer or model.optimizer).apply(gradients, trainable_weights)


# -- a conditional GAN -----------------------------------------------------------------


class ConditionalGAN(keras.Model):
    def __init__(self, discriminator: Any, generator: Any, latent_dim: int) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim
        self.seed_generator = keras.random.SeedGenerator(1337)
        self.gen_loss_tracker = keras.metrics.Mean(name="generator_loss")
        self.disc_loss_tracker = keras.metrics.Mean(name="discriminator_loss")
        self.built = True

    @property
    def metrics(self) -> list[Any]:
        return [self.gen_loss_tracker, self.disc_loss_tracker]

    def compile(self, d_optimizer: Any, g_optimizer: Any, loss_fn: Any) -> None:  # type: ignore[override]
        super().compile()
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.loss_fn = loss_fn

    def train_step(self, data: Any) -> dict[str, Any]:
        real, one_hot_labels = data
        batch_size = ops.shape(real)[0]
        noise = keras.random.normal((batch_size, self.latent_dim), seed=self.seed_generator)
        noise = ops.concatenate([noise, one_hot_labels], axis=1)
        generated = self.generator(noise)
        fake_and_labels = ops.concatenate([generated, one_hot_labels], -1)
        real_and_labels = ops.concatenate([real, one_hot_labels], -1)
        combined = ops.concatenate([fake_and_labels.detach(), real_and_labels], axis=0)
        labels = ops.concatenate([ops.ones((batch_size, 1)), ops.zeros((batch_size, 1))], axis=0)
        labels += 0.05 * keras.random.uniform(ops.shape(labels), seed=self.seed_generator)
        d_loss = self.loss_fn(labels, self.discriminator(combined, training=True))
        step_of_the_guide(self.discriminator, d_loss, self.d_optimizer)

        misleading = ops.zeros((batch_size, 1))
        fake = ops.concatenate([self.generator(noise, training=True), one_hot_labels], -1)
        g_loss = self.loss_fn(misleading, self.discriminator(fake))
        step_of_the_guide(self.generator, g_loss, self.g_optimizer)
        self.gen_loss_tracker.update_state(g_loss)
        self.disc_loss_tracker.update_state(d_loss)
        return {"g_loss": self.gen_loss_tracker.result(), "d_loss": self.disc_loss_tracker.result()}


def test_conditional_gan() -> None:
    labels = RNG.integers(0, 2, 400)
    real = (labels[:, None] * 4 - 2 + RNG.normal(scale=0.2, size=(400, 1))).astype("float32")
    hot = keras.utils.to_categorical(labels, 2)
    discriminator = keras.Sequential(
        [keras.layers.InputLayer((3,)), layers.Dense(16), layers.LeakyReLU(0.2), layers.Dense(1)]
    )
    generator = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(1)])
    gan = ConditionalGAN(discriminator, generator, latent_dim=2)
    gan.compile(
        d_optimizer=keras.optimizers.Adam(learning_rate=0.01),
        g_optimizer=keras.optimizers.Adam(learning_rate=0.01),
        loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    history = gan.fit(real, hot, epochs=15, batch_size=32, verbose=0).history
    assert list(history) == ["d_loss", "g_loss"]
    noise = np.random.default_rng(1).normal(size=(50, 2)).astype("float32")
    means = [
        generator.predict(np.hstack([noise, np.tile(row, (50, 1))]), verbose=0).mean()
        for row in np.eye(2, dtype="float32")
    ]
    assert means[0] < -0.5 < 0.5 < means[1]


# -- a variational autoencoder ---------------------------------------------------------


class Sampling(layers.Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs: Any) -> Any:
        z_mean, z_log_var = inputs
        batch, dim = ops.shape(z_mean)[0], ops.shape(z_mean)[1]
        epsilon = keras.random.normal(shape=(batch, dim), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


class VAE(keras.Model):
    def __init__(self, encoder: Any, decoder: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self) -> list[Any]:
        return [
            self.total_loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker,
        ]  # fmt: skip

    def losses_of(self, data: Any) -> Any:
        z_mean, z_log_var, z = self.encoder(data)
        reconstruction = self.decoder(z)
        reconstruction_loss = ops.mean(
            ops.sum(keras.losses.binary_crossentropy(data, reconstruction), axis=(1, 2))
        )
        kl_loss = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
        return reconstruction_loss, ops.mean(ops.sum(kl_loss, axis=1))

    def train_step(self, data: Any) -> dict[str, Any]:
        if isinstance(data, tuple):
            data = data[0]
        reconstruction_loss, kl_loss = self.losses_of(data)
        total_loss = reconstruction_loss + kl_loss
        step_of_the_guide(self, total_loss)
        self.total_loss_tracker.update_state(total_loss)
        self.reconstruction_loss_tracker.update_state(reconstruction_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {
            "loss": self.total_loss_tracker.result(),
            "reconstruction_loss": self.reconstruction_loss_tracker.result(),
            "kl_loss": self.kl_loss_tracker.result(),
        }


def test_variational_autoencoder() -> None:
    encoder_inputs = keras.Input(shape=(8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu", strides=2, padding="same")(encoder_inputs)
    x = layers.Dense(8, activation="relu")(layers.Flatten()(x))
    z_mean = layers.Dense(2, name="z_mean")(x)
    z_log_var = layers.Dense(2, name="z_log_var")(x)
    z = Sampling()([z_mean, z_log_var])
    encoder = keras.Model(encoder_inputs, [z_mean, z_log_var, z], name="encoder")
    latent_inputs = keras.Input(shape=(2,))
    x = layers.Reshape((4, 4, 4))(layers.Dense(4 * 4 * 4, activation="relu")(latent_inputs))
    x = layers.Conv2DTranspose(4, 3, activation="relu", strides=2, padding="same")(x)
    outputs = layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x)
    decoder = keras.Model(latent_inputs, outputs, name="decoder")
    images = np.zeros((128, 8, 8, 1), "float32")
    images[:64, :4], images[64:, 4:] = 1, 1
    vae = VAE(encoder, decoder)
    vae.compile(optimizer=keras.optimizers.Adam(0.01))
    history = vae.fit(images, epochs=12, batch_size=32, verbose=0).history
    assert list(history) == ["kl_loss", "loss", "reconstruction_loss"]
    assert history["loss"][-1] < history["loss"][0] * 0.8
    assert history["loss"][-1] == np.float64(history["loss"][-1])
    mean, _, _ = vae.encoder.predict(images[:3], verbose=0)
    assert vae.decoder.predict(mean, verbose=0).shape == (3, 8, 8, 1)


# -- Q-learning with a target network --------------------------------------------------


def test_q_learning_with_a_target_network() -> None:
    def create_q_model() -> Any:
        return keras.Sequential(
            [
                layers.Lambda(lambda tensor: ops.transpose(tensor, [0, 2, 1]), input_shape=(3, 2)),
                layers.Flatten(),
                layers.Dense(24, activation="relu"),
                layers.Dense(2, activation="linear"),
            ]
        )

    model, model_target = create_q_model(), create_q_model()
    optimizer = keras.optimizers.Adam(learning_rate=0.01, clipnorm=1.0)
    loss_function = keras.losses.Huber()
    states = RNG.normal(size=(64, 3, 2)).astype("float32")
    best = (states[:, 0, 0] > 0).astype(int)
    errors = []
    for step in range(80):
        actions = RNG.integers(0, 2, 64)
        rewards = ops.convert_to_tensor((actions == best).astype("float32"))
        future_rewards = model_target.predict(states, verbose=0)
        updated_q_values = rewards + 0.1 * ops.amax(future_rewards, axis=1)
        masks = ops.one_hot(actions, 2)
        q_values = model(states)
        q_action = ops.sum(ops.multiply(q_values, masks), axis=1)
        loss = loss_function(updated_q_values, q_action)
        step_of_the_guide(model, loss, optimizer)
        errors.append(float(loss.detach()))
        if step % 10 == 0:
            model_target.set_weights(model.get_weights())
    assert np.mean(errors[-10:]) < np.mean(errors[:10]) / 2
    state_tensor = ops.expand_dims(ops.convert_to_tensor(states[0]), 0)
    assert int(ops.argmax(model(state_tensor, training=False)[0])) == best[0]


# -- contrastive learning --------------------------------------------------------------


class ContrastiveModel(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.temperature = 0.1
        self.augmenter = keras.Sequential([layers.GaussianNoise(0.1)])
        self.encoder = keras.Sequential(
            [keras.Input((6,)), layers.Dense(8, "relu")], name="encoder"
        )
        self.projection_head = keras.Sequential(
            [keras.Input(shape=(8,)), layers.Dense(8, activation="relu"), layers.Dense(4)]
        )
        self.linear_probe = keras.Sequential([layers.Input(shape=(8,)), layers.Dense(3)])

    def compile(self, contrastive_optimizer: Any, probe_optimizer: Any, **kwargs: Any) -> None:  # type: ignore[override]
        super().compile(**kwargs)
        self.contrastive_optimizer = contrastive_optimizer
        self.probe_optimizer = probe_optimizer
        self.probe_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.contrastive_loss_tracker = keras.metrics.Mean(name="c_loss")
        self.contrastive_accuracy = keras.metrics.SparseCategoricalAccuracy(name="c_acc")
        self.probe_accuracy = keras.metrics.SparseCategoricalAccuracy(name="p_acc")

    @property
    def metrics(self) -> list[Any]:
        return [self.contrastive_loss_tracker, self.contrastive_accuracy, self.probe_accuracy]

    def train_step(self, data: Any) -> dict[str, Any]:
        x, labels = data
        features = [self.encoder(self.augmenter(x, training=True), training=True) for _ in "12"]
        projections = [
            ops.normalize(self.projection_head(each, training=True), axis=-1) for each in features
        ]
        similarities = ops.matmul(projections[0], ops.transpose(projections[1]))
        numbers = ops.arange(ops.shape(x)[0])
        contrastive_loss = ops.mean(
            ops.sparse_categorical_crossentropy(
                numbers, similarities / self.temperature, from_logits=True
            )
        )
        self.encoder.zero_grad()
        self.projection_head.zero_grad()
        contrastive_loss.backward()
        weights = self.encoder.trainable_weights + self.projection_head.trainable_weights
        gradients = [weight.value.grad for weight in weights]
        with torch.no_grad():
            self.contrastive_optimizer.apply(gradients, weights)
        self.contrastive_loss_tracker.update_state(contrastive_loss)
        self.contrastive_accuracy.update_state(numbers, similarities)

        class_logits = self.linear_probe(self.encoder(x, training=False).detach(), training=True)
        step_of_the_guide(
            self.linear_probe, self.probe_loss(labels, class_logits), self.probe_optimizer
        )
        self.probe_accuracy.update_state(labels, class_logits)
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, data: Any) -> dict[str, Any]:
        x, labels = data
        self.probe_accuracy.update_state(labels, self.linear_probe(self.encoder(x)))
        return {"p_acc": self.probe_accuracy.result()}


def test_contrastive_learning() -> None:
    x = RNG.normal(size=(192, 6)).astype("float32")
    y = x[:, :3].argmax(-1)
    model = ContrastiveModel()
    model.compile(
        contrastive_optimizer=keras.optimizers.Adam(0.01),
        probe_optimizer=keras.optimizers.Adam(0.05),
    )
    history = model.fit(x, y, epochs=12, validation_data=(x, y), verbose=0).history
    assert list(history) == ["c_acc", "c_loss", "p_acc", "val_p_acc"]
    assert history["c_loss"][-1] < history["c_loss"][0]
    assert history["val_p_acc"][-1] > 0.6


# -- knowledge distillation ------------------------------------------------------------


class Distiller(keras.Model):
    def __init__(self, student: Any, teacher: Any) -> None:
        super().__init__()
        self.teacher = teacher
        self.student = student

    def compile(  # type: ignore[override]
        self, optimizer: Any, metrics: Any, student_loss_fn: Any, distillation_loss_fn: Any,
        alpha: float = 0.1, temperature: float = 3,
    ) -> None:  # fmt: skip
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss_fn = student_loss_fn
        self.distillation_loss_fn = distillation_loss_fn
        self.alpha = alpha
        self.temperature = temperature

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
        allow_empty: bool = False,
    ) -> Any:  # fmt: skip
        teacher_pred = self.teacher(x, training=False)
        student_loss = self.student_loss_fn(y, y_pred)
        distillation_loss = self.distillation_loss_fn(
            ops.softmax(teacher_pred / self.temperature, axis=1),
            ops.softmax(y_pred / self.temperature, axis=1),
        ) * (self.temperature**2)
        return self.alpha * student_loss + (1 - self.alpha) * distillation_loss

    def call(self, x: Any) -> Any:
        return self.student(x)


def test_knowledge_distillation() -> None:
    x = RNG.normal(size=(200, 6)).astype("float32")
    y = x[:, :3].argmax(-1)

    def net(units: int, name: str) -> Any:
        return keras.Sequential(
            [keras.Input((6,)), layers.Dense(units, "relu"), layers.Dense(3)], name=name
        )

    teacher, student = net(32, "teacher"), net(8, "student")
    teacher.compile(
        optimizer=keras.optimizers.Adam(0.02),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    teacher.fit(x, y, epochs=8, verbose=0)
    before = teacher.get_weights()
    distiller = Distiller(student=student, teacher=teacher)
    distiller.teacher.trainable = False
    distiller.compile(
        optimizer=keras.optimizers.Adam(0.02),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
        student_loss_fn=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        distillation_loss_fn=keras.losses.KLDivergence(),
        alpha=0.1,
        temperature=10,
    )
    history = distiller.fit(x, y, epochs=10, verbose=0).history
    assert list(history) == ["loss", "sparse_categorical_accuracy"]
    loss, accuracy = distiller.evaluate(x, y, verbose=0)
    assert loss > 0
    assert accuracy > 0.7
    for one, other in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# -- a siamese network with a triplet loss ---------------------------------------------


class DistanceLayer(layers.Layer):
    def call(self, anchor: Any, positive: Any, negative: Any) -> Any:
        ap_distance = ops.sum(ops.square(anchor - positive), -1)
        an_distance = ops.sum(ops.square(anchor - negative), -1)
        return (ap_distance, an_distance)


class SiameseModel(keras.Model):
    def __init__(self, siamese_network: Any, margin: float = 0.5) -> None:
        super().__init__()
        self.siamese_network = siamese_network
        self.margin = margin
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def call(self, inputs: Any) -> Any:
        return self.siamese_network(inputs)

    def train_step(self, data: Any) -> dict[str, Any]:
        loss = self._compute_loss(data)
        step_of_the_guide(self.siamese_network, loss, self.optimizer)
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}

    def test_step(self, data: Any) -> dict[str, Any]:
        self.loss_tracker.update_state(self._compute_loss(data))
        return {"loss": self.loss_tracker.result()}

    def _compute_loss(self, data: Any) -> Any:
        ap_distance, an_distance = self.siamese_network(data[0])
        return ops.mean(ops.maximum(ap_distance - an_distance + self.margin, 0.0))

    @property
    def metrics(self) -> list[Any]:
        return [self.loss_tracker]


class TripletLossLayer(layers.Layer):
    """The other way to write it: the loss is added by a layer."""

    def call(self, inputs: Any) -> Any:
        anchor, positive, negative = inputs
        apart = ops.sum((anchor - positive) ** 2 - (anchor - negative) ** 2, -1)
        loss = ops.mean(ops.maximum(apart + 0.5, 0.0))
        self.add_loss(loss)
        return loss


def triplets() -> list[Any]:
    anchor = RNG.normal(size=(96, 4)).astype("float32")
    near = anchor + RNG.normal(scale=0.3, size=anchor.shape).astype("float32")
    return [anchor, near, RNG.normal(size=anchor.shape).astype("float32")]


def embedding_net() -> tuple[Any, list[Any], list[Any]]:
    embedding = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(3)])
    inputs = [keras.Input((4,), name=name) for name in ("anchor", "positive", "negative")]
    return embedding, inputs, [embedding(each) for each in inputs]


def test_siamese_network() -> None:
    _, inputs, embedded = embedding_net()
    model = SiameseModel(keras.Model(inputs=inputs, outputs=DistanceLayer()(*embedded)))
    model.compile(optimizer=keras.optimizers.Adam(0.01), weighted_metrics=[])
    data = triplets()
    history = model.fit(data, epochs=12, verbose=0, validation_data=(data,)).history
    assert list(history) == ["loss", "val_loss"]
    assert history["val_loss"][-1] < history["val_loss"][0] * 0.8


def test_siamese_network_with_add_loss() -> None:
    _, inputs, embedded = embedding_net()
    model = keras.Model(inputs, TripletLossLayer()(embedded))
    model.compile(optimizer="adam", loss=None)
    losses = model.fit(triplets(), epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] * 0.9


# -- super-resolution: a callback that predicts ----------------------------------------


class ESPCNCallback(keras.callbacks.Callback):
    def __init__(self, image: Any) -> None:
        super().__init__()
        self.test_img = image

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.psnr: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        prediction = self.model.predict(self.test_img[None], verbose=0)
        assert prediction.shape == (1, 8, 8, 1)
        logs["psnr"] = np.mean(self.psnr)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.psnr.append(10 * np.log10(1 / logs["loss"]))


def test_super_resolution() -> None:
    inputs = keras.Input(shape=(None, None, 1))
    x = layers.Conv2D(8, 3, activation="relu", kernel_initializer="orthogonal", padding="same")(
        inputs
    )
    x = layers.Conv2D(4, 3, padding="same")(x)

    class DepthToSpace(layers.Layer):
        def call(self, x: Any) -> Any:
            batch, height, width, _ = ops.shape(x)
            x = ops.reshape(x, [batch, height, width, 2, 2, 1])
            x = ops.transpose(x, [0, 1, 3, 2, 4, 5])
            return ops.reshape(x, [batch, height * 2, width * 2, 1])

    model = keras.Model(inputs, DepthToSpace()(x))
    large = RNG.uniform(size=(40, 8, 8, 1)).astype("float32")
    small = large.reshape(40, 4, 2, 4, 2, 1).mean((2, 4))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.MeanSquaredError())
    history = model.fit(
        small, large, epochs=3, callbacks=[ESPCNCallback(small[0])], validation_data=(small, large),
        verbose=0,
    ).history  # fmt: skip
    assert history["psnr"][-1] > history["psnr"][0]


# -- pieces of one's own ---------------------------------------------------------------


class F1(keras.metrics.Metric):
    def __init__(self, name: str = "f1", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.true_positives = self.add_variable(shape=(), initializer="zeros", name="tp")
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = ops.cast(ops.squeeze(y_pred, -1) > 0.5, "float32")
        y_true = ops.cast(ops.reshape(y_true, (-1,)), "float32")
        self.true_positives.assign_add(ops.sum(y_true * y_pred))
        self.total.assign(self.total + ops.sum(y_true) + ops.sum(y_pred))

    def result(self) -> Any:
        return 2 * self.true_positives / (self.total + keras.backend.epsilon())

    def reset_state(self) -> None:
        for variable in self.variables:
            variable.assign(ops.zeros(variable.shape))


class WeightedMSE(keras.losses.Loss):
    def __init__(self, factor: float = 2.0, name: str = "weighted_mse") -> None:
        super().__init__(name=name)
        self.factor = factor

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.factor * ops.mean(ops.square(y_true - y_pred), axis=-1)


class PlainSGD(keras.optimizers.Optimizer):
    def build(self, variables: Any, *args: Any, **kwargs: Any) -> None:
        super().build(variables, *args, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        variable.sub_(gradient * learning_rate)


class Linear(keras.layers.Layer):
    def __init__(self, units: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True
        )
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        self.calls.assign_add(1.0)
        return ops.sigmoid(ops.matmul(inputs, self.w) + self.b)


def test_pieces_of_ones_own() -> None:
    x = RNG.normal(size=(96, 3)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    model = keras.Sequential([keras.Input((3,)), Linear(1, name="mine")])
    model.compile(optimizer=PlainSGD(learning_rate=0.5), loss=WeightedMSE(), metrics=[F1()])
    history = model.fit(x, y, epochs=20, verbose=0).history
    assert list(history) == ["f1", "loss"]
    assert history["loss"][-1] < history["loss"][0] * 0.8
    right = model.predict(x, verbose=0) > 0.5
    loss, f1 = model.evaluate(x, y, verbose=0)
    expected = 2 * (right * y).sum() / (right.sum() + y.sum())
    assert f1 == np.float32(expected) or abs(f1 - expected) < 1e-6
    assert abs(loss - 2 * np.square(model.predict(x, verbose=0) - y).mean()) < 1e-5
    assert float(model.get_layer("mine").calls) > 60


def test_a_loop_over_a_data_loader_with_keras_pieces() -> None:
    """The loop of the guide: nnkit's model, loss, metric and optimizer in torch's loop."""
    x = RNG.normal(size=(96, 3)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    dataset = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    loader = torch.utils.data.DataLoader(dataset, batch_size=16)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(8, "relu"), layers.Dense(2)])
    optimizers = [keras.optimizers.Adam(0.02), torch.optim.Adam(model.parameters(), lr=0.02)]
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metric = keras.metrics.SparseCategoricalAccuracy()
    for optimizer in optimizers:
        for _ in range(6):
            for inputs, targets in loader:
                logits = model(inputs, training=True)
                loss = loss_fn(targets, logits)
                if isinstance(optimizer, keras.optimizers.Optimizer):
                    step_of_the_guide(model, loss, optimizer)
                else:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                metric.update_state(targets, logits)
            accuracy = float(metric.result())
            metric.reset_state()
    assert accuracy > 0.9


def test_functions_of_ops_as_loss_and_metric() -> None:
    def custom_loss(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.abs(y_true - y_pred) ** 1.5, axis=-1)

    def largest_error(y_true: Any, y_pred: Any) -> Any:
        return ops.max(ops.abs(y_true - y_pred))

    x = RNG.normal(size=(64, 3)).astype("float32")
    y = x @ np.array([[1.0], [2.0], [-1.0]], "float32")
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile(
        optimizer=keras.optimizers.RMSprop(0.05), loss=custom_loss, metrics=[largest_error]
    )
    history = model.fit(x, y, epochs=30, batch_size=64, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    loss, error = model.evaluate(x, y, batch_size=64, verbose=0)
    off = np.abs(model.predict(x, verbose=0) - y)
    assert abs(error - off.max()) < 1e-4
    assert abs(loss - (off**1.5).mean()) < 1e-4
