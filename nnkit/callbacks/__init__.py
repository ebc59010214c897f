"""What can act while a model trains: stop, save, change the learning rate, log, show progress."""

from __future__ import annotations

from nnkit.callbacks.backup_and_restore import BackupAndRestore
from nnkit.callbacks.base import Callback, Logs
from nnkit.callbacks.callback_list import CallbackList
from nnkit.callbacks.csv_logger import CSVLogger
from nnkit.callbacks.early_stopping import EarlyStopping
from nnkit.callbacks.history import History
from nnkit.callbacks.lambda_callback import LambdaCallback
from nnkit.callbacks.learning_rate_scheduler import LearningRateScheduler
from nnkit.callbacks.model_checkpoint import ModelCheckpoint
from nnkit.callbacks.monitor import Monitor
from nnkit.callbacks.progress import ProgbarLogger
from nnkit.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from nnkit.callbacks.remote_monitor import RemoteMonitor
from nnkit.callbacks.swap_ema_weights import SwapEMAWeights
from nnkit.callbacks.tensorboard import TensorBoard
from nnkit.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "Monitor",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
