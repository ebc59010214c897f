"""Optimizers under the names of `keras.optimizers`, on torch's fused and multi-tensor kernels."""

from __future__ import annotations

from nnkit.optimizers import schedules
from nnkit.optimizers.adadelta import Adadelta
from nnkit.optimizers.adafactor import Adafactor
from nnkit.optimizers.adagrad import Adagrad
from nnkit.optimizers.adam import Adam, AdamW
from nnkit.optimizers.adamax import Adamax
from nnkit.optimizers.base import REGISTRY, Optimizer
from nnkit.optimizers.ftrl import Ftrl
from nnkit.optimizers.lamb import Lamb
from nnkit.optimizers.lion import Lion
from nnkit.optimizers.lookup import TorchFactory, deserialize, get, serialize
from nnkit.optimizers.loss_scale import LossScaleOptimizer
from nnkit.optimizers.multi import MultiOptimizer, OptimizerMap
from nnkit.optimizers.muon import Muon
from nnkit.optimizers.nadam import Nadam
from nnkit.optimizers.rmsprop import RMSprop
from nnkit.optimizers.schedule_free import ScheduleFreeAdamW
from nnkit.optimizers.sgd import SGD

__all__ = [
    "REGISTRY",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "ScheduleFreeAdamW",
    "TorchFactory",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
