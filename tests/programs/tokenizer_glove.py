# ruff: noqa
"""Keras 2: Tokenizer, pad_sequences and an embedding matrix given as weights."""

import numpy as np
from keras.layers import Dense, Embedding, Flatten
from keras.models import Sequential
from keras.preprocessing.sequence import pad_sequences
from keras.preprocessing.text import Tokenizer

docs = [
    "Well done!",
    "Good work",
    "Great effort",
    "Poor effort!",
    "not good",
    "Could have done better.",
]
labels = np.array([1, 1, 1, 0, 0, 0])
t = Tokenizer()
t.fit_on_texts(docs)
vocab_size = len(t.word_index) + 1
padded_docs = pad_sequences(t.texts_to_sequences(docs), maxlen=4, padding="post")
embedding_matrix = np.zeros((vocab_size, 10))
for word, i in t.word_index.items():
    embedding_matrix[i] = i
model = Sequential()
model.add(Embedding(vocab_size, 10, weights=[embedding_matrix], input_length=4, trainable=False))
model.add(Flatten())
model.add(Dense(1, activation="sigmoid"))
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["acc"])
model.fit(padded_docs, labels, epochs=2, verbose=0)
same = np.array_equal(model.layers[0].get_weights()[0], embedding_matrix)
print("Result:", vocab_size, padded_docs[0].tolist(), same)
