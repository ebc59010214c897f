# ruff: noqa
"""Keras 3: a sequence-to-sequence Transformer with masks, written as layers that are saved."""

import keras
import numpy as np
from fakes import fixed_weights
from keras import layers, ops

VOCABULARY, WIDTH = 30, 8


@keras.saving.register_keras_serializable()
class PositionalEmbedding(layers.Layer):
    def __init__(self, sequence_length, vocab_size, embed_dim, **kwargs):
        super().__init__(**kwargs)
        self.token_embeddings = layers.Embedding(vocab_size, embed_dim)
        self.position_embeddings = layers.Embedding(sequence_length, embed_dim)
        self.sequence_length, self.vocab_size = sequence_length, vocab_size
        self.embed_dim = embed_dim

    def call(self, inputs):
        positions = ops.arange(0, ops.shape(inputs)[-1], 1)
        return self.token_embeddings(inputs) + self.position_embeddings(positions)

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0)

    def get_config(self):
        config = super().get_config()
        config.update(
            sequence_length=self.sequence_length,
            vocab_size=self.vocab_size,
            embed_dim=self.embed_dim,
        )
        return config


@keras.saving.register_keras_serializable()
class TransformerEncoder(layers.Layer):
    def __init__(self, embed_dim, dense_dim, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim, self.dense_dim, self.num_heads = embed_dim, dense_dim, num_heads
        self.attention = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.dense_proj = keras.Sequential(
            [layers.Dense(dense_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.layernorm_1 = layers.LayerNormalization()
        self.layernorm_2 = layers.LayerNormalization()
        self.supports_masking = True

    def call(self, inputs, mask=None):
        padding_mask = None if mask is None else ops.cast(mask[:, None, :], dtype="int32")
        attention_output = self.attention(
            query=inputs, value=inputs, key=inputs, attention_mask=padding_mask
        )
        proj_input = self.layernorm_1(inputs + attention_output)
        return self.layernorm_2(proj_input + self.dense_proj(proj_input))

    def get_config(self):
        config = super().get_config()
        config.update(embed_dim=self.embed_dim, dense_dim=self.dense_dim, num_heads=self.num_heads)
        return config


@keras.saving.register_keras_serializable()
class TransformerDecoder(layers.Layer):
    def __init__(self, embed_dim, latent_dim, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim, self.latent_dim, self.num_heads = embed_dim, latent_dim, num_heads
        self.attention_1 = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.attention_2 = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.dense_proj = keras.Sequential(
            [layers.Dense(latent_dim, activation="relu"), layers.Dense(embed_dim)]
        )
        self.norms = [layers.LayerNormalization() for _ in range(3)]
        self.add = layers.Add()
        self.supports_masking = True

    def call(self, inputs, mask=None):
        inputs, encoder_outputs = inputs
        inputs_mask, encoder_mask = (None, None) if mask is None else mask
        attended = self.attention_1(
            query=inputs, value=inputs, key=inputs, use_causal_mask=True, query_mask=inputs_mask
        )
        out_1 = self.norms[0](self.add([inputs, attended]))
        attended = self.attention_2(
            query=out_1,
            value=encoder_outputs,
            key=encoder_outputs,
            query_mask=inputs_mask,
            key_mask=encoder_mask,
        )
        out_2 = self.norms[1](self.add([out_1, attended]))
        return self.norms[2](self.add([out_2, self.dense_proj(out_2)]))

    def get_config(self):
        config = super().get_config()
        config.update(
            embed_dim=self.embed_dim, latent_dim=self.latent_dim, num_heads=self.num_heads
        )
        return config


encoder_inputs = keras.Input(shape=(None,), dtype="int64", name="encoder_inputs")
x = PositionalEmbedding(12, VOCABULARY, WIDTH)(encoder_inputs)
encoder_outputs = TransformerEncoder(WIDTH, 16, 2)(x)
decoder_inputs = keras.Input(shape=(None,), dtype="int64", name="decoder_inputs")
x = PositionalEmbedding(12, VOCABULARY, WIDTH)(decoder_inputs)
x = TransformerDecoder(WIDTH, 16, 2)([x, encoder_outputs])
decoder_outputs = layers.Dense(VOCABULARY, activation="softmax")(x)
transformer = keras.Model([encoder_inputs, decoder_inputs], decoder_outputs, name="transformer")
fixed_weights(transformer)

random = np.random.RandomState(5)
source, target = random.randint(1, VOCABULARY, (16, 7)), random.randint(1, VOCABULARY, (16, 10))
source[:, 5:], target[:, 8:] = 0, 0
transformer.compile(
    "rmsprop", loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=0), metrics=["accuracy"]
)
history = transformer.fit(
    {"encoder_inputs": source, "decoder_inputs": target[:, :-1]}, target[:, 1:],
    batch_size=8, epochs=2, shuffle=False, verbose=0,
)  # fmt: skip
transformer.save("transformer.keras")
again = keras.models.load_model("transformer.keras")
before, after = (model.predict([source, target], verbose=0) for model in (transformer, again))
print(
    "Result:",
    transformer.count_params(),
    ["%.3f" % loss for loss in history.history["loss"]],
    np.allclose(before, after, atol=1e-6),
    after.shape,
)
