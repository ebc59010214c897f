"""Write Keras, get PyTorch.

    import nnkit
    from nnkit import layers

    model = nnkit.Sequential([nnkit.Input((784,)), layers.Dense(10, activation="softmax")])

Names, arguments, defaults and numbers are Keras 3's; every layer and model is a torch module.
"""

from nnkit import (
    activations,
    applications,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    dtype_policies,
    errors,
    explain,
    initializers,
)
from nnkit import (
    layers,
    losses,
    metrics,
    mixed_precision,
    models,
    ops,
    optimizers,
    preprocessing,
    random,
    regularizers,
    saving,
    transfer,
    tree,
    utils,
    wrappers,
)
from nnkit.backend import name_scope
from nnkit.compat import install_as_keras
from nnkit.config import device
from nnkit.dtype_policies import DTypePolicy, FloatDTypePolicy
from nnkit.initializers import Initializer
from nnkit.input_spec import InputSpec
from nnkit.layers import Input, InputLayer, Layer
from nnkit.losses import Loss
from nnkit.metrics import Metric
from nnkit.models import Model, Sequential
from nnkit.optimizers import Optimizer
from nnkit.regularizers import Regularizer
from nnkit.symbolic import SymbolicTensor
from nnkit.symbolic import SymbolicTensor as KerasTensor
from nnkit.variable import Variable

__version__ = "0.1.0"


def version() -> str:
    """The version of nnkit."""
    return __version__


__all__ = [
    "DTypePolicy",
    "FloatDTypePolicy",
    "Initializer",
    "Input",
    "InputLayer",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "SymbolicTensor",
    "Variable",
    "__version__",
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "device",
    "dtype_policies",
    "errors",
    "explain",
    "initializers",
    "install_as_keras",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "transfer",
    "tree",
    "utils",
    "version",
    "wrappers",
]
