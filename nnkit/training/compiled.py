"""What compile() sets up: the objective, its metrics, and the optimizer once there are weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nnkit import optimizers
from nnkit.callbacks import History
from nnkit.config import training_device
from nnkit.errors import ArgumentError, NotCompiledError
from nnkit.metrics import Mean, Metric
from nnkit.optimizers import Optimizer
from nnkit.training import step
from nnkit.training.objective import Metrics, Objective
from nnkit.tree import flatten

__all__ = ["Compiled"]


class Compiled:
    """The half of a trainable model that knows what to optimize; `Trainer` is the other half."""

    optimizer: Any
    stop_training: bool
    _objective: Any

    def _init_trainer(self) -> None:
        self.optimizer = None
        self.compiled = False
        self.stop_training = False
        self.history: History | None = None
        self._objective = None
        self._loss_tracker = Mean(name="loss")
        self._parameters_to_train: list[torch.Tensor] = []
        self._ready = self._checked = self._loss_seen = self._regularized = False
        self._train_counter = 0
        kind = type(self)
        self._own_compute_loss = kind.compute_loss is not Compiled.compute_loss
        self._own_compute_metrics = kind.compute_metrics is not Compiled.compute_metrics
        self._logs: dict[str, Any] = {}

    # -- compile -------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: str | bool | None = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how to train. Weights are kept when it is called again.

        Args:
            optimizer: a name, an nnkit optimizer, or torch's: an instance, a class, or a function
                from parameters to an optimizer.
            loss: a name, an nnkit or torch loss, or a function (y_true, y_pred); for several
                outputs a list in their order or a dict by their names.
            loss_weights: a factor for each output's loss.
            metrics: a list of names, objects or functions; for several outputs one list each.
            weighted_metrics: metrics to which sample and class weights apply.
            run_eagerly, steps_per_execution, auto_scale_loss: accepted as in Keras; steps always
                run eagerly, one by one.
            jit_compile: "auto", False or None; True is refused: use torch.compile(model).

        Raises: ArgumentError for unknown names.
        """
        if jit_compile is True:
            raise ArgumentError(
                "compile(jit_compile=True) is not offered. Call torch.compile(model) for "
                "inference, or in a train_step of your own."
            )
        self.optimizer = optimizers.get(optimizer)
        self._optimizer_factory = None if hasattr(self.optimizer, "step") else self.optimizer
        self._objective = Objective(loss, loss_weights, metrics, weighted_metrics)
        self.loss = None if isinstance(loss, nn.Module) else loss
        self.compiled = True
        self._ready = False
        self._loss_tracker.reset_state()

    def _need_compiled(self, method: str) -> None:
        if not self.compiled:
            raise NotCompiledError(
                f"{self.label} was not compiled, so {method}() does not know "  # type: ignore[attr-defined]
                f"its loss. Call compile(optimizer=..., loss=...) first."
            )

    # -- what a subclass overrides -------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on one batch: (x, y) or (x, y, sample_weight). Returns the logs."""
        step.update(self, data)
        return self.get_metrics_result()

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluate one batch. Returns the logs."""
        step.test(self, data)
        return self.get_metrics_result()

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch."""
        return step.predict(self, data)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
        training: bool = True,
    ) -> torch.Tensor:  # fmt: skip
        """The compiled loss of a batch, plus regularizers and what layers added."""
        objective = self._objective
        if not objective.ready:
            objective.prepare(y, y_pred, self._names_of_outputs())
        loss = objective.loss(y, y_pred, sample_weight) if y is not None else None
        return step.total_loss(self, loss)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Take a batch into the compiled metrics and return all results by name."""
        compiled = self._objective.compiled_metrics
        if self._objective.has_metrics:
            compiled.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _call_compute_loss(self, x: Any, y: Any, y_pred: Any, weight: Any, training: bool) -> Any:
        takes = inspect.signature(self.compute_loss).parameters
        more = {"training": training} if "training" in takes else {}
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weight, **more)

    # -- metrics -------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """The loss tracker, the compiled metrics, and metrics kept as attributes."""
        found: list[Metric] = []
        if self._objective is not None:
            found.append(self._loss_tracker)
            if self._objective.has_metrics:
                found.append(self._objective.compiled_metrics)
            found.extend(t for t in self._objective.trackers if t is not None)
        for module in self.modules():  # type: ignore[attr-defined]
            for name, value in vars(module).items():
                if isinstance(value, Metric) and name != "_loss_tracker" and value not in found:
                    found.append(value)
        return found

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Start all running averages again."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """All metrics by name, as they stand; the values are on the device."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return results

    def _in_order(self, logs: dict[str, Any]) -> Any:
        names: list[str] = []
        for metric in self.metrics:
            compiled = isinstance(metric, Metrics)
            names += list(metric._logged) if compiled else [metric.name]  # type: ignore[attr-defined]
        ordered = [logs[name] for name in names if name in logs]
        ordered += [logs[name] for name in sorted(logs) if name not in names]
        return ordered[0] if len(ordered) == 1 else ordered

    # -- getting ready -------------------------------------------------------------------------

    def _get_ready(self, x: Any) -> None:
        """At the first batch: build the model, then the optimizer for its parameters."""
        model: Any = self
        if not model.built or not list(model.parameters()):
            was = model.training
            model.eval()
            with torch.no_grad():
                model(x)
            model.train(was)
            model.to(flatten(x)[0].device)
        self._ready = True
        self._collect_parameters()

    def _collect_parameters(self) -> None:
        model: Any = self
        weights = [w for w in model.collect(lambda o: o._trainable) if w.tensor.requires_grad]
        parameters = [weight.tensor for weight in weights]
        self._regularized = any(weight.regularizer is not None for weight in weights)
        same = len(parameters) == len(self._parameters_to_train) and all(
            a is b for a, b in zip(parameters, self._parameters_to_train, strict=True)
        )
        self._parameters_to_train = parameters
        optimizer = self.optimizer
        if self._optimizer_factory is not None:
            if not same or optimizer is self._optimizer_factory:
                self.optimizer = self._optimizer_factory.build(parameters)
        elif isinstance(optimizer, Optimizer):
            optimizer.build(parameters, names=[weight.name for weight in weights])
            optimizer.after_step = [_constrain(w) for w in weights if w.constraint is not None]
        elif parameters:
            held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            if not held & {id(p) for p in parameters}:
                raise ArgumentError(
                    f"The {type(optimizer).__name__} given to compile holds none of the model's "
                    f"parameters. Make it after the model is built, or give its class."
                )

    def _names_of_outputs(self) -> list[str] | None:
        model: Any = self
        graph = getattr(model, "_graph", None)
        return model.output_names if graph is not None else None

    def _to_device(self) -> torch.device:
        model: Any = self
        first = next(model.parameters(), None)
        device = training_device(first)
        if first is not None and first.device != device:
            model.to(device)
        return device


def _constrain(weight: Any) -> Callable[[], None]:
    layout, tensor, constraint = weight.layout, weight.tensor, weight.constraint

    def apply() -> None:
        with torch.no_grad():
            tensor.copy_(layout.to_torch(constraint(layout.to_keras(tensor))))

    return apply
