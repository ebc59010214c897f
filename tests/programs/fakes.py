"""Small stand-ins for the data sets that the programs of this folder train on."""

import numpy as np


def digits(count, classes=10):
    """Images like MNIST's: (x_train, y_train), (x_test, y_test), uint8."""
    random = np.random.RandomState(0)
    x = random.randint(0, 256, size=(count + 16, 28, 28)).astype("uint8")
    y = random.randint(0, classes, size=(count + 16,)).astype("uint8")
    return (x[:count], y[:count]), (x[count:], y[count:])


def colours(count, size=32, classes=10):
    """Images like CIFAR's, with labels (count, 1)."""
    random = np.random.RandomState(1)
    x = random.randint(0, 256, size=(count + 16, size, size, 3)).astype("uint8")
    y = random.randint(0, classes, size=(count + 16, 1)).astype("uint8")
    return (x[:count], y[:count]), (x[count:], y[count:])


def reviews(words, count=48):
    """Lists of word numbers of many lengths, and 0 or 1, like IMDB's."""
    random = np.random.RandomState(2)
    x = [random.randint(1, words, size=random.randint(5, 30)).tolist() for _ in range(count + 16)]
    y = random.randint(0, 2, size=(count + 16,))
    data = np.array(x, dtype=object)
    return (data[:count], y[:count]), (data[count:], y[count:])


def houses(count=64, columns=13):
    """A table of numbers and a price for each row, like the Boston housing set's."""
    random = np.random.RandomState(3)
    x = random.normal(size=(count + 16, columns))
    y = x @ random.normal(size=columns) + 20
    return (x[:count], y[:count]), (x[count:], y[count:])


def fixed_weights(model):
    """Give a model weights that no library has drawn, so that its numbers can be compared."""
    random = np.random.RandomState(4)
    model.set_weights([np.abs(random.normal(size=w.shape)) * 0.2 for w in model.get_weights()])
