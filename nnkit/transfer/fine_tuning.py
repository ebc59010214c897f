"""The whole recipe in one call, from parts that you can also use one by one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from nnkit.callbacks import EarlyStopping, ModelCheckpoint
from nnkit.errors import ArgumentError
from nnkit.models import Model
from nnkit.optimizers import Adam
from nnkit.transfer.features import cached_features, feature_extractor
from nnkit.transfer.freezing import freeze, unfreeze
from nnkit.transfer.heads import classifier_head, with_head

__all__ = ["FineTuned", "Stage", "fine_tune"]


_LOSSES = {
    "int": "sparse_categorical_crossentropy",
    "categorical": "categorical_crossentropy",
    "binary": "binary_crossentropy",
}


class Stage(NamedTuple):
    """One stage of the training: what learned, how fast, for how long, and how well."""

    trained: str
    learning_rate: float
    epochs: int
    best: float


class FineTuned(NamedTuple):
    """The trained model, the logs of all epochs as `History.history` has them, and the stages."""

    model: Model
    history: dict[str, list[float]]
    stages: list[Stage]


def fine_tune(
    base: Model,
    train: Any,
    validation: Any = None,
    *,
    classes: int | None = None,
    head: Model | None = None,
    augment: Any = None,
    preprocess: bool = True,
    head_epochs: int = 10,
    stages: Sequence[int | str] = (1, 2),
    stage_epochs: int = 5,
    learning_rate: float = 1e-3,
    slower: float = 0.1,
    batch_size: int = 32,
    patience: int = 3,
    checkpoint: str | os.PathLike[str] | None = None,
    loss: Any = None,
    metrics: Sequence[Any] = ("accuracy",),
    verbose: int = 1,
) -> FineTuned:
    """Train a classifier on a pretrained network, then let the network follow, block by block.

    1. The network is frozen and a head learns on its features. Unless pictures are augmented,
       these are computed once for all epochs.
    2. In each stage the last blocks learn too, at a learning rate `slower` times the one before.
       A stage that does not lower the loss is taken back.

    Args:
        base: a network without top, such as `VGG16(include_top=False)`.
        train: (pictures, labels), or a source of such batches.
        validation: the same, to stop on and to choose the best epoch.
        classes: how many; from `train.class_names` or the labels when None.
        head: a classifier of your own for the features; see `classifier_head`.
        augment: a layer for the pixels, in training only.
        preprocess: whether the pictures are pixels from 0 to 255.
        head_epochs, stage_epochs: at most, for the head and for each stage.
        stages: how many of the last blocks learn in each stage; "all" for all, () for none.
        learning_rate: of Adam, for the head.
        slower: the factor from stage to stage.
        batch_size: for arrays.
        patience: epochs without a better loss before a stage ends.
        checkpoint: a .weights.h5 file for the best weights of the whole model.
        loss: from the form of the labels when None: whole numbers or one-hot rows.
        metrics: for `compile`.
        verbose: 0 nothing, 1 a line a stage, 2 also a line an epoch.

    Returns: FineTuned(model, history, stages); the model goes from pixels to probabilities. Ctrl-C
        ends the training after the batch at work, and what was learned until then is returned.
    """
    for name, part in (("augment", augment), ("head", head)):
        if part is not None and not callable(part):
            raise ArgumentError(f"fine_tune: {name} must be a layer or a model, got {part!r}.")
    classes = classes or _count_classes(train)
    loss = loss or _LOSSES[_label_mode(train)]
    for last in stages:  # a mistake here would else show after the first stage
        _unfreeze(base, last)
    freeze(base)
    head = head or classifier_head(base, 1 if classes == 2 and _binary(loss) else classes)
    model = with_head(base, head, augment, preprocess)
    run = _Run(model, loss, list(metrics), batch_size, patience, checkpoint, verbose, validation)

    total = 1 + len(stages)
    size = head.count_params()
    if augment is None:
        run.say(
            f"Stage 1 of {total}: the head ({size:,} weights) learns on {base.name}'s features."
        )
        features = feature_extractor(model, base.name)
        kept, held = (
            data if data is None else cached_features(features, **run.arrays(data))[:2]
            for data in (train, validation)
        )
        run.stage("head", head, kept, held, learning_rate, head_epochs)
    else:
        run.say(f"Stage 1 of {total}: the head ({size:,} weights) learns, {base.name} is frozen.")
        run.stage("head", model, train, validation, learning_rate, head_epochs)

    rate = learning_rate
    for number, last in enumerate(stages, start=2):
        rate *= slower
        if run.interrupted:
            run.say("Interrupted: the stages that were to follow are left out.")
            break
        names = _unfreeze(base, last)
        size = sum(weight.numel() for weight in base.trainable_weights)
        run.say(
            f"Stage {number} of {total}: {base.name} learns from {names[0]} on ({size:,} weights), "
            f"learning rate {rate:.1e}."
        )
        run.stage(f"from {names[0]}", model, train, validation, rate, stage_epochs)
    return FineTuned(model, run.history, run.stages)


class _Run:
    """What the stages share: the whole model, how it is trained, and the best loss so far."""

    def __init__(
        self, model: Model, loss: Any, metrics: list[Any], batch_size: int, patience: int,
        checkpoint: Any, verbose: int, validation: Any,
    ) -> None:  # fmt: skip
        self.model = model
        self.loss, self.metrics = loss, metrics
        self.batch_size, self.patience = batch_size, patience
        self.checkpoint, self.verbose = checkpoint, verbose
        self.monitor = "loss" if validation is None else "val_loss"
        model.compile(Adam(), loss, metrics=metrics)
        self.best = float("inf")
        self.history: dict[str, list[float]] = {}
        self.stages: list[Stage] = []
        self.interrupted = False
        if checkpoint is not None:  # told before anything is trained
            self._saver()
            model.check_can_save(checkpoint)

    def _saver(self) -> ModelCheckpoint:
        return ModelCheckpoint(
            self.checkpoint, self.monitor, save_best_only=True, save_weights_only=True,
            initial_value_threshold=self.best if np.isfinite(self.best) else None,
        )  # fmt: skip

    def say(self, text: str) -> None:
        if self.verbose:
            print(text, flush=True)

    def arrays(self, data: Any) -> dict[str, Any]:
        """The arguments x, y and batch_size for arrays; for a source x alone."""
        x, y = _pair(data)
        return {"x": x} if y is None else {"x": x, "y": y, "batch_size": self.batch_size}

    def stage(
        self, name: str, part: Model, train: Any, validation: Any, rate: float, epochs: int
    ) -> None:
        """Train a part (the head, or all of the model) and keep it if that was of use."""
        before = {key: value.clone() for key, value in part.state_dict().items()}
        part.compile(Adam(rate), self.loss, metrics=self.metrics)
        early = EarlyStopping(self.monitor, patience=self.patience, restore_best_weights=True)
        callbacks: list[Any] = [early]
        if self.checkpoint is not None and part is self.model:
            callbacks.append(self._saver())
        history = part.fit(
            **self.arrays(train), epochs=epochs, validation_data=validation, callbacks=callbacks,
            verbose=2 if self.verbose > 1 else 0,
        ).history  # fmt: skip
        self.interrupted = part.stop_training and not early.stopped_epoch
        if not history.get(self.monitor):  # interrupted before there was anything to compare
            part.load_state_dict(before)
            return
        best = min(history[self.monitor])
        for key, values in history.items():
            self.history.setdefault(key, []).extend(values)
        self.stages.append(Stage(name, rate, len(history[self.monitor]), best))
        at = history[self.monitor].index(best)
        told = ", ".join(f"{key} {values[at]:.4f}" for key, values in history.items())
        self.say(f"  epoch {at + 1} of {len(history[self.monitor])} was the best: {told}")
        if best >= self.best:
            part.load_state_dict(before)
            self.say("  That is no better than before, so this stage is taken back.")
            return
        self.best = best
        if self.checkpoint is not None and part is not self.model:
            self.model.save_weights(self.checkpoint)


def _unfreeze(base: Model, last: int | str) -> list[str]:
    if last == "all":
        return unfreeze(base)
    if isinstance(last, bool) or not isinstance(last, int):
        raise ArgumentError(f"fine_tune: stages are numbers of blocks or 'all', got {last!r}.")
    return unfreeze(base, last=last)


def _pair(data: Any) -> tuple[Any, Any]:
    """(x, y) of arrays, or (source, None)."""
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return data[0], data[1]
    return data, None


def _label_mode(train: Any) -> str:
    """The form of the labels: "int", "categorical" (one-hot rows) or "binary"."""
    x, labels = _pair(train)
    if labels is None and not hasattr(x, "__next__"):  # a source that can be read again
        labels = next(iter(x))[1]
    if labels is None:
        return "int"
    if _is_one_hot(labels):
        return "categorical"
    return "binary" if "float" in str(labels.dtype) and _pair(train)[1] is None else "int"


def _is_one_hot(labels: Any) -> bool:
    return np.ndim(labels) == 2 and labels.shape[1] > 1


def _binary(loss: Any) -> bool:
    name = loss if isinstance(loss, str) else type(loss).__name__
    return str(name).lower().replace("_", "").startswith("binary")


def _count_classes(train: Any) -> int:
    names = getattr(train, "class_names", None)
    if names:
        return len(names)
    labels = _pair(train)[1]
    if labels is None:
        raise ArgumentError(
            "fine_tune cannot tell how many classes there are from this source. Give classes=."
        )
    labels = labels.cpu().numpy() if isinstance(labels, torch.Tensor) else np.asarray(labels)
    return int(labels.shape[1]) if _is_one_hot(labels) else int(labels.max()) + 1
