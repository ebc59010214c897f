"""What compile() was told: a loss and metrics for each output of the model."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nnkit import losses as losses_module
from nnkit import metrics as metrics_module
from nnkit.errors import ArgumentError, DataError
from nnkit.metrics import Mean, Metric
from nnkit.training.nesting import align, free_name, is_nested, path_names, spread
from nnkit.tree import flatten

__all__ = ["Metrics", "Objective", "batch_size_of"]


def batch_size_of(tree: Any) -> int:
    """Samples in a batch: the first size of its first tensor."""
    return int(flatten(tree)[0].shape[0])


class Metrics(Metric):
    """The compiled metrics of all outputs as one metric, named as Keras names it.

    Args:
        plain: metrics argument of compile.
        weighted: weighted_metrics argument, which sample weights apply to.
    """

    def __init__(self, plain: Any, weighted: Any) -> None:
        super().__init__(name="compile_metrics")
        self._asked = (plain, weighted)
        self._by_output: list[tuple[list[Metric], list[Metric]]] = []
        self._logged: dict[str, Metric] = {}
        self.built = False

    @property
    def metrics(self) -> list[Metric]:
        """All of them, flat."""
        return [m for each in self._by_output for kind in each for m in kind]

    @property
    def by_output(self) -> list[tuple[list[Metric], list[Metric]]]:
        """For each output its plain and its weighted metrics."""
        return self._by_output

    def build(
        self, targets: list[Any], outputs: list[Any], names: Sequence[str], nesting: Any = None
    ) -> None:
        """Choose the metric objects, now that the shapes of targets and outputs are known.

        Args:
            targets, outputs: of a batch, flat.
            names: of the outputs.
            nesting: the outputs as the model gives them, if they are nested.
        """
        columns = []
        for what, asked in zip(("metrics", "weighted_metrics"), self._asked, strict=True):
            if nesting is not None:
                per_output = spread(what, asked, nesting)
            elif len(names) == 1 and not isinstance(asked, dict):
                per_output = [asked]
            else:
                per_output = align(what, asked, names)
            columns.append(
                [
                    [_metric(one, y, p, name) for one in flatten(entry) if one is not None]
                    for entry, y, p, name in zip(per_output, targets, outputs, names, strict=True)
                ]
            )
        self._by_output = list(zip(*columns, strict=True))
        self._name_them(names)
        self.built = True

    def _name_them(self, names: Sequence[str]) -> None:
        self._logged = {}
        for column, weighted in ((0, False), (1, True)):
            for output, pair in zip(names, self._by_output, strict=True):
                prefix = f"{output}_" if len(names) > 1 else ""
                for metric in pair[column]:
                    name = f"{prefix}{metric.name}"
                    if weighted and name in self._logged:
                        name = f"{prefix}weighted_{metric.name}"
                    self._logged[free_name(name, self._logged)] = metric

    def update(self, targets: list[Any], outputs: list[Any], weights: list[Any]) -> None:
        """Take in a batch: one entry an output in each list."""
        for (plain, weighted), y, p, w in zip(
            self._by_output, targets, outputs, weights, strict=True
        ):
            for metric in plain:
                metric.update_state(y, p)
            for metric in weighted:
                metric.update_state(y, p, sample_weight=w)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch in Keras's form, for a train_step that updates metrics by itself."""
        outputs = flatten(y_pred)
        targets = flatten(y_true)
        names = sorted(y_pred) if isinstance(y_pred, dict) else _numbered(len(outputs))
        if not self.built:
            self.build(targets, outputs, names)
        self.update(
            targets, outputs, align("sample_weight", sample_weight, names, one_for_all=True)
        )

    def result(self) -> Any:
        """The metrics by their logged names."""
        return {name: metric.result() for name, metric in self._logged.items()}

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()


class Objective:
    """The losses and metrics of a compiled model.

    Args:
        loss, loss_weights, metrics, weighted_metrics: as given to compile.
    """

    def __init__(self, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any) -> None:
        for what, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value is not None and not isinstance(value, (list, tuple, dict)):
                raise ArgumentError(f"{what} must be a list or dict, got {value!r}. Write [...].")
        self.asked = loss
        self.asked_weights = loss_weights
        self.has_loss = any(entry is not None for entry in flatten(loss))
        self.losses: list[Any] = []
        self.factors: list[float | None] = []
        self.trackers: list[Mean | None] = []
        self.untracked: list[tuple[int, torch.Tensor, int]] = []
        self.names: list[str] = []
        self.nested = self.by_name = False
        self.compiled_metrics = Metrics(metrics, weighted_metrics)
        # Names are looked up at once, so that a typing error shows at compile.
        for entry in filter(_known_at_once, flatten(loss)):
            losses_module.as_loss(entry)
        for entry in filter(_known_at_once, [*flatten(metrics), *flatten(weighted_metrics)]):
            metrics_module.get(entry)
        for entry in flatten(loss_weights):
            _factor(entry)
        self.has_metrics = bool(metrics or weighted_metrics)
        self.ready = False

    def prepare(self, y: Any, y_pred: Any, names: list[str] | None) -> None:
        """Pair losses, metrics, targets and outputs, at the first batch."""
        outputs = flatten(y_pred)
        if isinstance(y_pred, dict) and not is_nested(y_pred):
            names = names if names and set(names) == set(y_pred) else sorted(y_pred)
        elif not names or len(names) != len(outputs):
            names = _numbered(len(outputs))
        self.names = [free_name(name, names[:i]) for i, name in enumerate(names)]
        self.nested = is_nested(y_pred)
        self.by_name = isinstance(y_pred, dict) and not self.nested
        logged = path_names(y_pred, self.names) if self.nested else self.names
        if self.has_loss:
            asked = self._each("loss", self.asked, y_pred, one_for_all=True)
            self.losses = asked  # where `targets` looks for which outputs need some
            targets = asked if y is None else self.targets(y, y_pred)
            self.losses = [
                _loss(one, target, output, name)
                for one, target, output, name in zip(
                    asked, targets, self.flat(y_pred), self.names, strict=True
                )
            ]
            self.factors = self._each("loss_weights", self.asked_weights, y_pred)
            several = sum(loss is not None for loss in self.losses) > 1
            self.trackers = [
                Mean(name=f"{name}_loss") if several and loss is not None else None
                for name, loss in zip(logged, self.losses, strict=True)
            ]
        else:
            nothing = [None] * len(self.names)
            self.losses, self.factors, self.trackers = nothing, [*nothing], [*nothing]
        if self.has_metrics and y is not None and not self.compiled_metrics.built:
            nesting = y_pred if self.nested else None
            self.compiled_metrics.build(
                self.targets(y, y_pred), self.flat(y_pred), self.names, nesting
            )
        self.ready = True

    def _each(self, what: str, value: Any, y_pred: Any, one_for_all: bool = False) -> list[Any]:
        if self.nested:
            return spread(what, value, y_pred)
        return align(what, value, self.names, one_for_all=one_for_all)

    def flat(self, y_pred: Any) -> list[Any]:
        """The outputs in the order of `names`."""
        if isinstance(y_pred, torch.Tensor):
            return [y_pred]
        if isinstance(y_pred, dict) and not self.nested:
            return [y_pred[name] for name in self.names]
        return flatten(y_pred)

    def targets(self, y: Any, y_pred: Any) -> list[Any]:
        """The targets in the order of `names`; None where an output has no loss and no target.

        Raises: DataError when their number does not fit.
        """
        if isinstance(y, torch.Tensor) and len(self.names) == 1:
            return [y]
        if isinstance(y, dict) and not self.nested:
            return align("y", y, self.names)
        values = [y] if isinstance(y, torch.Tensor) else flatten(y)
        if len(values) == len(self.names):
            return values
        wanted = [i for i, loss in enumerate(self.losses) if loss is not None]
        if len(values) == len(wanted):
            by_output = dict(zip(wanted, values, strict=True))
            return [by_output.get(i) for i in range(len(self.names))]
        raise DataError(
            f"y holds {len(values)} arrays, but the model has {len(self.names)} outputs: "
            f"{', '.join(self.names)}. Give one array an output."
        )

    def weights(self, sample_weight: Any, y_pred: Any) -> list[Any]:
        """The sample weights of each output: one array serves them all."""
        return self._each("sample_weight", sample_weight, y_pred, one_for_all=True)

    def loss(self, y: Any, y_pred: Any, sample_weight: Any) -> torch.Tensor | None:
        """The weighted sum of the outputs' losses; `track` takes them in one by one."""
        if isinstance(y_pred, torch.Tensor) and self.factors[0] is None:
            one = self.losses[0]
            if one is None:
                return None
            if not isinstance(y, torch.Tensor):
                y, sample_weight = (
                    self.targets(y, y_pred)[0],
                    self.weights(sample_weight, y_pred)[0],
                )
            return one(y, y_pred, sample_weight)
        total = None
        outputs, targets = self.flat(y_pred), self.targets(y, y_pred)
        for i, (one, target, output, weight) in enumerate(
            zip(self.losses, targets, outputs, self.weights(sample_weight, y_pred), strict=True)
        ):
            if one is None:
                continue
            value = one(target, output, weight)
            factor = self.factors[i]
            if self.trackers[i] is not None:
                self.untracked.append((i, value.detach(), batch_size_of(output)))
            value = value if factor is None else value * factor
            total = value if total is None else total + value
        return total

    def shown_trackers(self) -> list[Mean]:
        """The outputs' losses in Keras's order: of a dict of outputs, that of the losses' dict."""
        found = dict(zip(self.names, self.trackers, strict=False))
        asked = self.asked if isinstance(self.asked, dict) and self.by_name else ()
        shown = [found.get(name) for name in dict.fromkeys([*asked, *found])]
        return [tracker for tracker in shown if tracker is not None]

    def track(self) -> None:
        """Take the outputs' losses of the last batch into their running means."""
        for i, value, size in self.untracked:
            self.trackers[i].update_state(value, sample_weight=size)  # type: ignore[union-attr]
        self.untracked.clear()

    def check(self, y: Any, y_pred: Any) -> None:
        """Look once for targets and outputs that would train wrongly."""
        for one, target, output in zip(
            self.losses, self.targets(y, y_pred), self.flat(y_pred), strict=True
        ):
            if one is not None and target is not None:
                losses_module.check_targets(one, target, output)
        for one, kinds in zip(self.losses, self.compiled_metrics.by_output, strict=False):
            for metric in (*kinds[0], *kinds[1]):
                metrics_module.warn_of_logits(metric, one)

    def check_labels(self, y: Any, y_pred: Any) -> None:
        """Look once through the class numbers of all samples, if they are in memory."""
        y = y.to_numpy() if hasattr(y, "to_numpy") else y
        if all(map(_is_array, flatten(y))):
            targets = self.targets(y, y_pred)
            for one, target, output in zip(self.losses, targets, self.flat(y_pred), strict=True):
                if one is not None:
                    losses_module.check_labels(one, target, output)


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, torch.Tensor))


_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def _known_at_once(asked: Any) -> bool:
    return not (isinstance(asked, str) and asked.lower() in _BY_SHAPE)


def _loss(asked: Any, target: Any, output: Any, name: str) -> Any:
    if asked is not None and target is None:
        raise DataError(f"The output {name!r} has the loss {asked!r}, but y has no targets for it.")
    if asked is None or _known_at_once(asked):
        return losses_module.as_loss(asked)
    return losses_module.resolve(asked, tuple(target.shape), tuple(output.shape))


def _metric(asked: Any, target: Any, output: Any, name: str) -> Metric:
    if target is None:
        raise DataError(
            f"The output {name!r} has the metric {asked!r}, but y has no targets for it."
        )
    return metrics_module.resolve(asked, tuple(target.shape), tuple(output.shape))


def _factor(value: Any) -> None:
    if value is not None and not isinstance(value, numbers.Real):
        raise ArgumentError(
            f"loss_weights must be numbers, got {value!r}. It is compile's third argument; write "
            f"metrics=[...] for metrics."
        )


def _numbered(count: int) -> list[str]:
    return [f"output_{i}" for i in range(count)]
