# ruff: noqa
"""Keras 2: an encoder and a decoder LSTM that pass their states, and inference models."""

import numpy as np
from keras.layers import LSTM, Dense, Input
from keras.models import Model

num_encoder_tokens, num_decoder_tokens, latent_dim = 7, 6, 8
encoder_inputs = Input(shape=(None, num_encoder_tokens))
encoder = LSTM(latent_dim, return_state=True)
encoder_outputs, state_h, state_c = encoder(encoder_inputs)
encoder_states = [state_h, state_c]
decoder_inputs = Input(shape=(None, num_decoder_tokens))
decoder_lstm = LSTM(latent_dim, return_sequences=True, return_state=True)
decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=encoder_states)
decoder_dense = Dense(num_decoder_tokens, activation="softmax")
decoder_outputs = decoder_dense(decoder_outputs)
model = Model([encoder_inputs, decoder_inputs], decoder_outputs)
model.compile(optimizer="rmsprop", loss="categorical_crossentropy")
source = np.random.random((16, 5, num_encoder_tokens))
target = np.eye(num_decoder_tokens)[np.random.randint(0, num_decoder_tokens, (16, 4))]
model.fit([source, target], target, batch_size=8, epochs=1, validation_split=0.25, verbose=0)

encoder_model = Model(encoder_inputs, encoder_states)
state_inputs = [Input(shape=(latent_dim,)), Input(shape=(latent_dim,))]
outputs, h, c = decoder_lstm(decoder_inputs, initial_state=state_inputs)
decoder_model = Model([decoder_inputs] + state_inputs, [decoder_dense(outputs), h, c])
states_value = encoder_model.predict(source[:1], verbose=0)
token = np.zeros((1, 1, num_decoder_tokens))
decoded = []
for _ in range(3):
    output_tokens, h, c = decoder_model.predict([token] + states_value, verbose=0)
    decoded.append(int(np.argmax(output_tokens[0, -1, :])))
    states_value = [h, c]
print("Result:", model.count_params(), len(decoded), output_tokens.shape)
