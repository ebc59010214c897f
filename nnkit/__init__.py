"""Write Keras, get PyTorch."""
