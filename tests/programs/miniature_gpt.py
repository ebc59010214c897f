# ruff: noqa
"""Keras 3: a language model with a second output that has no loss, and text made while training."""

import keras
import numpy as np
from fakes import fixed_weights
from keras import layers, ops

VOCABULARY, LENGTH, WIDTH = 20, 10, 8


class TransformerBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ff_dim):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads, embed_dim)
        self.ffn = keras.Sequential(
            [layers.Dense(ff_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)

    def call(self, inputs):
        steps = ops.shape(inputs)[1]
        causal_mask = ops.cast(ops.tril(ops.ones((steps, steps)))[None], "bool")
        attention_output = self.att(inputs, inputs, attention_mask=causal_mask)
        out1 = self.layernorm1(inputs + attention_output)
        return self.layernorm2(out1 + self.ffn(out1))


class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim):
        super().__init__()
        self.token_emb = layers.Embedding(input_dim=vocab_size, output_dim=embed_dim)
        self.pos_emb = layers.Embedding(input_dim=maxlen, output_dim=embed_dim)

    def call(self, x):
        positions = ops.arange(0, ops.shape(x)[-1], 1)
        return self.token_emb(x) + self.pos_emb(positions)


class TextGenerator(keras.callbacks.Callback):
    def __init__(self, start_tokens, count):
        super().__init__()
        self.start_tokens, self.count, self.said = start_tokens, count, []

    def on_epoch_end(self, epoch, logs=None):
        tokens = list(self.start_tokens)
        while len(tokens) < self.count:
            x = np.array([tokens + [0] * (LENGTH - len(tokens))])
            y, _ = self.model.predict(x, verbose=0)
            values, indices = ops.top_k(y[0][len(tokens) - 1], k=3, sorted=True)
            probabilities = keras.activations.softmax(ops.expand_dims(values, 0))[0]
            best = int(np.argmax(ops.convert_to_numpy(probabilities)))
            tokens.append(int(ops.convert_to_numpy(indices)[best]))
        self.said.append(tokens)


inputs = layers.Input(shape=(LENGTH,), dtype="int32")
x = TokenAndPositionEmbedding(LENGTH, VOCABULARY, WIDTH)(inputs)
x = TransformerBlock(WIDTH, 2, WIDTH)(x)
outputs = layers.Dense(VOCABULARY)(x)
model = keras.Model(inputs=inputs, outputs=[outputs, x])
fixed_weights(model)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss=[loss_fn, None])
text = np.random.RandomState(7).randint(1, VOCABULARY, (32, LENGTH + 1))
generator = TextGenerator([1, 2, 3], 6)
history = model.fit(
    text[:, :-1], text[:, 1:], batch_size=8, epochs=2, shuffle=False, verbose=0,
    callbacks=[generator],
)  # fmt: skip
print(
    "Result:",
    sorted(history.history),
    ["%.3f" % loss for loss in history.history["loss"]],
    generator.said[0][:3],
    len(generator.said[1]),
)
