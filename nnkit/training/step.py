"""One update, one test and one prediction of a batch: the work inside the training loop.

    predict -> loss -> gradients -> update -> metrics

Nothing here reads a value from the device; losses and metrics add up there.
"""

from __future__ import annotations

from typing import Any

import torch

from nnkit.activations import keep_logits
from nnkit.data import unpack_x_y_sample_weight
from nnkit.errors import DataError, NotCompiledError
from nnkit.masks import attach_mask, mask_of
from nnkit.optimizers import Optimizer
from nnkit.training.objective import batch_size_of
from nnkit.tree import map_structure
from nnkit.weights import thaws

__all__ = ["minimize", "predict", "test", "total_loss", "update"]

_keep_logits = keep_logits()  # what torch compiles makes one of its own, as torch 2.13 needs


def update(model: Any, data: Any) -> Any:
    """Train on one batch and take it into the running loss and metrics.

    Returns: the logs if the model has a compute_metrics of its own, else None.
    """
    x, y, weight = unpack_x_y_sample_weight(data)
    if not model._ready:
        model._get_ready(x)
    elif model._thaws != thaws[0]:
        model._collect_parameters()
    if model._jit is not None and model._loss_seen and model._parameters_to_train:
        if not all(parameter.requires_grad for parameter in model._parameters_to_train):
            model._collect_parameters()
        args, parameters = (model, x, y, weight), model._parameters_to_train
        y_pred, masks, loss, grads = model._jit("train", _gradients, args, parameters)
        attach_mask(y_pred, masks)
        if model._watch is None or model._watch.see(loss):
            _apply(model, grads)
        return _track(model, x, y, y_pred, weight, loss)
    with _keep_logits:
        y_pred = model(x, training=True)
    loss = _loss(model, x, y, y_pred, weight, True)
    if not model._loss_seen:
        _refuse_nan(model, loss)
    watch = model._watch
    if watch is None or watch.see(loss):
        minimize(model, loss)
    return _track(model, x, y, y_pred, weight, loss)


def minimize(model: Any, loss: torch.Tensor) -> None:
    """Change the trainable weights by the gradient of the loss."""
    optimizer = model.optimizer
    if not model._parameters_to_train:
        return
    if isinstance(optimizer, Optimizer):
        loss = optimizer.scale_loss(loss)
        try:
            grads = torch.autograd.grad(loss, model._parameters_to_train, allow_unused=True)
        except RuntimeError:
            if all(parameter.requires_grad for parameter in model._parameters_to_train):
                raise
            model._collect_parameters()  # a callback has frozen some since the epoch began
            grads = torch.autograd.grad(loss, model._parameters_to_train, allow_unused=True)
        optimizer.apply(grads)
    else:
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def _gradients(model: Any, x: Any, y: Any, weight: Any) -> tuple[Any, Any, torch.Tensor, Any]:
    """Outputs, their masks, loss and gradients, in a form that torch compiles as one graph."""
    with keep_logits():
        y_pred = model(x, training=True)
        loss = _loss(model, x, y, y_pred, weight, True)
    optimizer = model.optimizer
    scaled = optimizer.scale_loss(loss) if isinstance(optimizer, Optimizer) else loss
    grads = torch.autograd.grad(scaled, model._parameters_to_train, allow_unused=True)
    for layer in model._lossy:
        layer._losses.clear()
    return map_structure(torch.Tensor.detach, y_pred), mask_of(y_pred), loss.detach(), grads


def _apply(model: Any, grads: Any) -> None:
    optimizer = model.optimizer
    if isinstance(optimizer, Optimizer):
        optimizer.apply(grads)
        return
    for parameter, grad in zip(model._parameters_to_train, grads, strict=True):
        parameter.grad = grad
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def test(model: Any, data: Any) -> Any:
    """Take one batch into the running loss and metrics, without training; returns as `update`."""
    x, y, weight = unpack_x_y_sample_weight(data)
    with torch.no_grad():
        if model._jit is not None and model._checked:
            y_pred, masks, loss = model._jit("test", _forward, (model, x, y, weight))
            attach_mask(y_pred, masks)
        else:
            y_pred, _, loss = _forward(model, x, y, weight)
        return _track(model, x, y, y_pred, weight, loss)


def _forward(model: Any, x: Any, y: Any, weight: Any) -> tuple[Any, Any, torch.Tensor]:
    """Outputs, their masks and the loss in inference mode."""
    with keep_logits():
        y_pred = model(x, training=False)
    return y_pred, mask_of(y_pred), _loss(model, x, y, y_pred, weight, False)


def predict(model: Any, data: Any) -> Any:
    """The outputs for one batch."""
    x, _, _ = unpack_x_y_sample_weight(data)
    if not model.built:
        model._make_weights(x)
    if model._jit is not None:
        with torch.no_grad():
            return model._jit("predict", _outputs, (model, x))
    with torch._C._InferenceMode(True):  # torch.inference_mode, which is made anew, takes longer
        return model(x, training=False)


def _outputs(model: Any, x: Any) -> Any:
    """The outputs in inference mode."""
    return model(x, training=False)


def _loss(model: Any, x: Any, y: Any, y_pred: Any, weight: Any, training: bool) -> torch.Tensor:
    objective = model._objective
    if not model._checked:
        _check(model, y, y_pred)
    if model._own_compute_loss:
        return model._call_compute_loss(x, y, y_pred, weight, training)
    try:
        loss = objective.loss(y, y_pred, weight) if y is not None else None
    except IndexError:
        objective.check(y, y_pred)  # torch only says that a label is out of range
        raise
    if loss is not None and not model._regularized and not model._lossy:
        return loss
    if training and model._weights_hold:  # they are known since the epoch began
        added = model.added_losses() if model._lossy else []
        return _with_added(model, loss, added + [each.loss() for each in model._regularized])
    return total_loss(model, loss)


def total_loss(model: Any, loss: torch.Tensor | None) -> torch.Tensor:
    """The compiled loss plus what layers and regularizers add."""
    return _with_added(model, loss, model.losses)


def _with_added(model: Any, loss: torch.Tensor | None, added: list[Any]) -> torch.Tensor:
    for extra in added:
        extra = torch.as_tensor(extra)
        extra = extra.sum() if extra.ndim else extra
        loss = extra if loss is None else loss + extra
    if loss is None:
        raise NotCompiledError(
            f"{model.label} has no loss to train on. Give compile() a loss=, or add one with "
            f"add_loss in a layer."
        )
    return loss


def _check(model: Any, y: Any, y_pred: Any) -> None:
    objective = model._objective
    if y is None and objective.has_loss and not model._own_compute_loss:
        raise DataError(
            f"{model.label} was compiled with a loss, which needs targets: give y too, or data "
            f"that yields (x, y)."
        )
    if not objective.ready:
        objective.prepare(y, y_pred, model._names_of_outputs())
    if y is not None and objective.has_loss and not model._own_compute_loss:
        objective.check(y, y_pred)
        for labels in model._labels_to_check:
            objective.check_labels(labels, y_pred)
    model._labels_to_check = []
    model._checked = True


def _refuse_nan(model: Any, loss: torch.Tensor) -> None:
    model._loss_seen = True
    loss = loss.detach()
    if not bool(torch.isfinite(loss).all()):
        raise DataError(
            f"The loss of the first batch is {float(loss)}. Look for NaN or infinity in x and y, "
            f"for values far from 1 that should be scaled (Rescaling, Normalization), and for "
            f"targets outside what the loss allows."
        )


def _track(model: Any, x: Any, y: Any, y_pred: Any, weight: Any, loss: torch.Tensor) -> Any:
    objective = model._objective
    if objective.untracked:
        objective.track()
    with torch.no_grad():
        model._loss_tracker.update_state(loss.detach(), sample_weight=batch_size_of(x))
        if model._own_compute_metrics:
            return model.compute_metrics(x, y, y_pred, weight)
        if objective.has_metrics and y is not None:
            objective.compiled_metrics.update(
                objective.targets(y, y_pred),
                objective.flat(y_pred),
                objective.weights(weight, y_pred),
            )
    return None
