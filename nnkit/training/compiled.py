"""What compile() sets up: the objective, its metrics, and the optimizer once there are weights."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nnkit import optimizers
from nnkit.added_losses import LossOwner
from nnkit.arguments import positive
from nnkit.callbacks import History
from nnkit.config import training_device
from nnkit.creation import placed
from nnkit.errors import ArgumentError, NotCompiledError
from nnkit.metrics import Mean, Metric
from nnkit.optimizers import LossScaleOptimizer, Optimizer
from nnkit.serialization import deserialize_keras_object, serialize_keras_object
from nnkit.training import step
from nnkit.training.jit import Jit
from nnkit.training.objective import Metrics, Objective
from nnkit.tree import flatten, map_structure
from nnkit.weights import Weight, WeightOwner, first_parameter, thaws

__all__ = ["Compiled"]

_log = logging.getLogger("nnkit")


class Compiled:
    """The half of a trainable model that knows what to optimize; `Trainer` is the other half."""

    optimizer: Any
    built: bool
    training: bool
    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    _objective: Any

    def _init_trainer(self) -> None:
        self.optimizer = None
        self.compiled = False
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.history: History | None = None
        self._objective = None
        self._jit: Jit | None = None
        self._thaws, self._told = -1, False
        self._known_trainable: set[int] | None = None
        self.run_eagerly = self.jit_compile = False
        self.steps_per_execution = 1
        self._loss_tracker = Mean(name="loss")
        self._parameters_to_train: list[torch.Tensor] = []
        self._ready = self._checked = self._loss_seen = False
        self._regularized: list[Weight] = []
        self._weights_hold = False
        kind = type(self)
        self._own_compute_loss = kind.compute_loss is not Compiled.compute_loss
        self._own_compute_metrics = kind.compute_metrics is not Compiled.compute_metrics
        self._labels_to_check: list[Any] = []
        self._watch: Any = None
        self._compile_config: dict[str, Any] | None = None

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
        """Say how to train.

        Called again, it keeps the weights and, as Keras does, the loss where none is given, and
        the metrics where neither kind is given; `metrics=[]` takes them away.

        Args:
            optimizer: a name, an nnkit optimizer, or torch's: an instance, a class, or a function
                from parameters to an optimizer.
            loss: a name, an nnkit or torch loss, or a function (y_true, y_pred); for several
                outputs a list in their order or a dict by their names.
            loss_weights: a factor for each output's loss.
            metrics: a list of names, objects or functions; for several outputs one list each.
            weighted_metrics: metrics to which sample and class weights apply.
            run_eagerly: turns jit_compile off; steps run eagerly in any case.
            steps_per_execution: batches between two calls of the callbacks' batch hooks.
            jit_compile: True compiles the built-in steps of fit, evaluate and predict with
                torch.compile; "auto" and False run them eagerly.
            auto_scale_loss: whether to wrap the optimizer in a LossScaleOptimizer under the
                policy "mixed_float16".

        Raises: ArgumentError for unknown names.
        """
        self.optimizer = optimizers.get(optimizer)
        if auto_scale_loss and self.dtype_policy.name == "mixed_float16":  # type: ignore[attr-defined]
            self._scale_loss()
        before = self._compile_config or {}
        if loss is None:
            loss, loss_weights = before.get("loss"), before.get("loss_weights", loss_weights)
        if metrics is None and weighted_metrics is None:
            metrics, weighted_metrics = before.get("metrics"), before.get("weighted_metrics")
        self._optimizer_factory = None if hasattr(self.optimizer, "step") else self.optimizer
        self._objective = Objective(loss, loss_weights, metrics, weighted_metrics)
        self.loss = None if isinstance(loss, nn.Module) else loss
        if jit_compile is True and run_eagerly:
            warnings.warn("jit_compile=True has no effect with run_eagerly=True.", stacklevel=2)
        if jit_compile is True and type(self).train_step is not Compiled.train_step:
            warnings.warn(
                f"jit_compile=True compiles the built-in steps; the train_step of "
                f"{type(self).__name__} runs as it is written. Use torch.compile inside it.",
                stacklevel=2,
            )
        self._jit = Jit() if jit_compile is True and not run_eagerly else None
        self.run_eagerly, self.jit_compile = bool(run_eagerly), self._jit is not None
        self.steps_per_execution = positive("compile", "steps_per_execution", steps_per_execution)
        self._told, self._known_trainable = False, None
        if self.built:
            self._known_trainable = set(map(id, self.trainable_weights))  # type: ignore[attr-defined]
        self.compiled = True
        self._compile_config = {
            "optimizer": self.optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile is True,
        }
        self._ready = self._checked = self._loss_seen = False
        self._loss_tracker.reset_state()

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain data; None when it was not called."""
        config = self._compile_config
        if config is None or not self.compiled:
            return None
        if not isinstance(config["optimizer"], Optimizer):
            warnings.warn(
                "An optimizer of torch cannot be written into a config, so the model will have to "
                "be compiled again after loading. Use nnkit.optimizers to have it restored.",
                stacklevel=2,
            )
            return None
        return {key: serialize_keras_object(value) for key, value in config.items()}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config()` says, nnkit's or Keras's."""
        owner = next(kind for kind in type(self).__mro__ if "compile" in vars(kind))
        if not owner.__module__.startswith("nnkit."):
            warnings.warn(
                f"{type(self).__name__} has a compile() of its own, so it was not called on "
                f"loading. Call it yourself, or write compile_from_config(self, config).",
                stacklevel=2,
            )
            return
        self.compile(**deserialize_keras_object(config))
        if self.built:
            self._collect_parameters()

    def _scale_loss(self) -> None:
        if isinstance(self.optimizer, Optimizer):
            if not isinstance(self.optimizer, LossScaleOptimizer):
                self.optimizer = LossScaleOptimizer(self.optimizer, name="loss_scale_optimizer")
        elif self.optimizer is not None:
            warnings.warn(
                "A torch optimizer has no loss scaling, without which small gradients are lost in "
                "float16. Use an optimizer of nnkit, or the policy 'mixed_bfloat16'.",
                stacklevel=3,
            )

    def _need_compiled(self, method: str) -> None:
        if not self.compiled:
            raise NotCompiledError(
                f"{self.label} was not compiled, so {method}() does not know "  # type: ignore[attr-defined]
                f"its loss. Call compile(optimizer=..., loss=...) first."
            )

    # -- what a subclass overrides -------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on one batch: (x, y) or (x, y, sample_weight). Returns the logs."""
        logs = step.update(self, data)
        return self.get_metrics_result() if logs is None else logs

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluate one batch. Returns the logs."""
        logs = step.test(self, data)
        return self.get_metrics_result() if logs is None else logs

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
        objective.track()
        return step.total_loss(self, loss)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Take a batch into the compiled metrics and return all results by name."""
        objective = self._objective
        if not objective.ready:
            objective.prepare(y, y_pred, self._names_of_outputs())
        if objective.has_metrics:
            objective.compiled_metrics.update(
                objective.targets(y, y_pred),
                objective.flat(y_pred),
                objective.weights(sample_weight, y_pred),
            )
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
            found.extend(self._objective.shown_trackers())
        for module in self.modules():  # type: ignore[attr-defined]
            if module is not self and isinstance(module, Compiled):
                continue  # the metrics of a model inside belong to its own fit
            for name, value in vars(module).items():
                if name == "_loss_tracker":
                    continue
                items = value.values() if isinstance(value, dict) else value
                items = items if isinstance(value, (dict, list, tuple)) else [value]
                found += [m for m in items if isinstance(m, Metric) and m not in found]
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
            # Keras knows the metrics of several outputs by their bare names here, finds none of
            # them in the logs, and gives them in alphabetical order at the end.
            names += [m.name for m in metric.metrics] if compiled else [metric.name]  # type: ignore[attr-defined]
        ordered = [logs[name] for name in dict.fromkeys(names) if name in logs]
        ordered += [logs[name] for name in sorted(logs) if name not in names]
        return ordered[0] if len(ordered) == 1 else ordered

    # -- getting ready -------------------------------------------------------------------------

    def _get_ready(self, x: Any) -> None:
        """At the first batch: build the model, then the optimizer for its parameters."""
        self._ready = True
        if not self.built:
            self._make_weights(x)
        self._collect_parameters()

    def _make_weights(self, x: Any) -> None:
        # On the CPU, where the same seed gives the same weights whatever the device is. Two
        # samples, because of code that squeezes an axis of size 1.
        model: Any = self
        first = next(leaf for leaf in flatten(x) if leaf is not None)
        was = model.training
        model.eval()
        with torch.no_grad():
            model(map_structure(lambda leaf: leaf if leaf is None else leaf[:2].cpu(), x))
        model.train(was)
        model.to(first.device)

    def _collect_parameters(self) -> None:
        model: Any = self
        weights = [w for w in model.collect(lambda o: o._trainable) if w.tensor.requires_grad]
        parameters = [weight.tensor for weight in weights]
        self._thaws = thaws[0]
        self._say_what_changed(parameters)
        self._regularized = model.regularized()
        self._parameters_to_train = parameters
        computed = model.trained_through_others()
        # Else what `_regularized` holds is of this moment only, or a class has `losses` of its own.
        self._weights_hold = not computed and type(model).losses is LossOwner.losses
        for weight in computed:
            if weight.constraint is not None:
                raise ArgumentError(
                    f"{model.label} has a constraint on a {weight.name} that torch computes from "
                    f"other weights, so it cannot be applied. Leave one of the two out."
                )
        optimizer = self.optimizer
        if not parameters or optimizer is None:
            return
        if isinstance(optimizer, Optimizer):
            for weight in weights:  # for optimizers that work along Keras's axes, or by name
                weight.tensor.keras_layout = weight.layout
                weight.tensor.path = weight.path
            held = optimizer.param_groups[0]["params"]
            if [*map(id, held)] != [*map(id, parameters)]:
                optimizer.build(parameters)
            optimizer.after_step = [_constrain(w) for w in weights if w.constraint is not None]
        elif self._optimizer_factory is not None:
            if not _held(optimizer).issuperset(map(id, parameters)):
                # Frozen parameters too: torch skips them until they are trained.
                fixed = _never_trained(model)
                every = [p for p in model.parameters() if id(p) not in fixed]
                self.optimizer = self._optimizer_factory.build(every)
        elif _held(optimizer).isdisjoint(map(id, parameters)):
            raise ArgumentError(
                f"The {type(optimizer).__name__} given to compile holds none of the model's "
                f"parameters. Make it after the model is built, or give its class."
            )

    def _is_graph(self) -> bool:
        """Whether the model was made of symbolic tensors, so that all its weights are there."""
        return getattr(self, "_graph", None) is not None

    def _say_what_changed(self, parameters: list[torch.Tensor]) -> None:
        before, now = self._known_trainable, {id(parameter) for parameter in parameters}
        if before is not None and before != now and not self._told:
            self._told = True
            _log.warning(
                "%s trains %d weights from here on, not the %d of when it was compiled; its "
                "optimizer keeps its state.", self.label, len(now), len(before),  # type: ignore[attr-defined]
            )  # fmt: skip
        if before is None:
            self._known_trainable = now

    def _names_of_outputs(self) -> list[str] | None:
        model: Any = self
        return model.output_names if self._is_graph() else None

    def _placed(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A step that makes its tensors, in losses and metrics too, where the model trains."""
        return placed(self._to_device(), step)

    def _to_device(self) -> torch.device:
        model: Any = self
        first = first_parameter(model)
        device = training_device(first)
        if first is not None and first.device != device:
            model.to(device)
        return device


def _never_trained(model: Any) -> set[int]:
    """The identities of the weights that were made with trainable=False."""
    owners = [module for module in model.modules() if isinstance(module, WeightOwner)]
    return {id(owner._parameters.get(key)) for owner in owners for key in owner._frozen_names}


def _held(optimizer: Any) -> set[int]:
    groups = getattr(optimizer, "param_groups", ())
    return {id(parameter) for group in groups for parameter in group["params"]}


def _constrain(weight: Any) -> Callable[[], None]:
    layout, tensor, constraint = weight.layout, weight.tensor, weight.constraint

    def apply() -> None:
        with torch.no_grad():
            tensor.copy_(layout.to_torch(constraint(layout.to_keras(tensor))))

    return apply
