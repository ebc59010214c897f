"""Run programs written for Keras: `keras` and `tensorflow.keras` served from this package.

    import nnkit
    nnkit.install_as_keras()

    from tensorflow.keras import layers  # nnkit's

`python -m nnkit run script.py` does the same for a script that stays as it is.
"""

from __future__ import annotations

from nnkit.compat.finder import install_as_keras, uninstall_as_keras

__all__ = ["install_as_keras", "uninstall_as_keras"]
