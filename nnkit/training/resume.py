"""The whole state of a fit in one file, so that another process can go on with it exactly."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from nnkit.callbacks import BackupAndRestore, CallbackList
from nnkit.callbacks.console import say
from nnkit.errors import ArgumentError, FileError, NotBuiltError, warn_user
from nnkit.optimizers import Optimizer
from nnkit.training import step
from nnkit.training.plain import from_plain, plain_part, set_attributes, to_plain
from nnkit.training.randomness import (
    find_generators,
    random_state,
    set_random_state,
    set_state,
    state_of,
)
from nnkit.training.signals import Interruptions
from nnkit.training.state import (
    Changes,
    metrics_state,
    model_state,
    optimizers_of,
    optimizers_state,
    set_metrics_state,
    set_model_state,
    set_optimizers_state,
    translate,
)
from nnkit.training.state_file import read_state, write_state
from nnkit.tree import flatten, map_structure

__all__ = ["Resume"]

_FILE, _PREVIOUS = "training.state", "training.state.previous"


class Resume:
    """What one `fit` keeps in a folder.

    Args:
        callback: says where and when.
        model, batches, validation, calls: what the state is about.
        signals: whether the run is to end before its time.

    Attributes:
        in_validation: whether the run that was read had ended in the validation of an epoch.
    """

    def __init__(
        self, callback: BackupAndRestore, model: Any, batches: Any, validation: Any,
        calls: CallbackList, signals: Interruptions,
    ) -> None:  # fmt: skip
        self.in_validation = False
        self._signals, self._watch = signals, model._watch
        self._callback, self._model, self._calls = callback, model, calls
        self._sources = [batches] if validation is None else [batches, validation]
        self.logs: dict[str, Any] = {}
        self._sample: Any = None
        self._found: dict[str, Any] | None = None
        self._before_validation: Any = None
        self._folder = Path(callback.backup_dir)
        self._data = [source.source for source in self._sources]
        self._owners = [model, *self._data]
        for source in self._sources:
            source.snapshot = self._random_of_data

    # -- going on ------------------------------------------------------------------------------

    def open(self) -> None:
        """Read the state, if there is one, and see that it fits, before anything happens.

        Raises: FileError saying what differs, or that the file is damaged.
        """
        found = self._read()
        if found is None:
            return
        model = self._model
        self._sample = found["sample"]
        if not model._ready:
            with suppress(NotBuiltError):
                model._get_ready(self._sample_on(model._to_device())[0])
        if len(found["model"]["modules"]) != len(list(model.modules())):
            self._warm_up()  # a step of the user's own may make layers
        translate(model, found)
        try:
            _compare(found["setup"], self._setup())
            set_model_state(model, found["model"])
        except FileError as error:
            raise FileError(
                f"The training in {str(self._folder)!r} cannot be gone on with. {error} "
                f"Make everything as it was, or give another folder to start anew."
            ) from None
        self._found = found

    @property
    def found(self) -> bool:
        """Whether there is a run to go on with."""
        return self._found is not None

    def begin(self, epochs: range) -> range:
        """Go on between two epochs, after on_train_begin; the epochs that are left."""
        self._changes = {
            at: Changes(callback)
            for at, callback in enumerate(self._calls.callbacks)
            if not hasattr(callback, "state_dict")
        }
        self._attributes = {
            name: Changes(module, private=False) for name, module in self._model.named_modules()
        }
        found = self._found
        if found is None:
            return epochs
        first = int(found["epoch"])
        if not found["steps"]:
            self._apply(found)
            self.logs = from_plain(found["logs"])
        if found["stop"] or first >= epochs.stop:
            warn_user(
                f"fit has nothing to do: the training in {str(self._folder)!r} came to its end "
                f"after {first} epochs. Give more epochs, or another folder to train anew."
            )
            return range(0)
        if (self._calls.params or {}).get("verbose"):
            after = f" after batch {found['steps']}" if found["steps"] else ""
            say(f"Going on in epoch {first + 1}{after}, from {str(self._folder)!r}.")
        return range(first, epochs.stop)

    def enter(self) -> tuple[int, dict[str, Any] | None]:
        """Go on within an epoch, after on_epoch_begin: the batches it had seen, and its logs."""
        found, self._found = self._found, None
        self.in_validation = False
        if found is None or not found["steps"]:
            return 0, None
        self._warm_up()
        self._apply(found)
        self.in_validation = found["in validation"]
        if not self.in_validation:
            set_metrics_state(self._model, found["metrics"])
        return found["steps"], from_plain(found["logs"])

    def sampled(self, batches: Iterable[Any]) -> Iterable[Any]:
        """The same batches; two samples of the first one are kept, to build another model with."""
        return self._sampling(batches) if self._sample is None else batches

    def _sampling(self, batches: Iterable[Any]) -> Iterator[Any]:
        for data in batches:
            if self._sample is None:
                self._sample = map_structure(
                    lambda leaf: leaf if leaf is None else leaf[:2].detach().cpu().clone(), data
                )
            yield data

    def _sample_on(self, device: torch.device) -> Any:
        return map_structure(lambda leaf: leaf if leaf is None else leaf.to(device), self._sample)

    def _apply(self, found: dict[str, Any]) -> None:
        model = self._model
        set_model_state(model, found["model"])
        if model._ready:
            model._collect_parameters()
        set_optimizers_state(model, found["optimizers"])
        if model._ready:
            model._collect_parameters()
        modules = dict(model.named_modules())
        for name, values in found["attributes"].items():
            set_attributes(modules[name], values)
        self._set_callbacks(found["callbacks"])
        for source, place in zip(self._sources, found["data"], strict=True):
            first = found["steps"] if source is self._sources[0] else 0
            source.go_to(place, first, lambda random: set_random_state(random, self._data))
        set_random_state(found["random"], self._owners)

    def _warm_up(self) -> None:
        """Let metrics come into being, which wait for a batch; what it changes is overwritten."""
        model, data = self._model, self._sample_on(self._model._to_device())
        own = model._own_step("train_step")
        if own:
            model.train()
            model._placed(own)(data)
        else:
            waiting = model._labels_to_check
            model._placed(step.test)(model, data)
            model._checked, model._labels_to_check = False, waiting

    # -- writing -------------------------------------------------------------------------------

    def save(self, epoch: int, steps: int, logs: dict[str, Any] | None) -> None:
        """Write the state.

        Args:
            epoch: the epoch to go on with, from 0.
            steps: batches done in it.
            logs: of the last batch, or of the last epoch when steps is 0.
        """
        model = self._model
        if self._sample is None or self._is_spoilt():
            return  # nothing has been learned yet, or nothing good any more
        state = {
            "epoch": epoch,
            "steps": steps,
            "logs": plain_part(dict(logs or {})),
            "stop": bool(model.stop_training) and self._signals.received is None,
            "in validation": self._before_validation is not None,
            "setup": self._setup(),
            "sample": self._sample,
            "model": model_state(model),
            "optimizers": optimizers_state(model),
            "metrics": metrics_state(model) if steps else [],
            "callbacks": self._callbacks(),
            "attributes": {
                name: changed
                for name, each in self._attributes.items()
                if (changed := each.state())
            },
            **(self._before_validation or self._places()),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        latest = self._folder / _FILE
        if self._callback.double_checkpoint and latest.exists():
            os.replace(latest, self._folder / _PREVIOUS)
        write_state(latest, state)

    def before_validation(self) -> None:
        """Remember this place: a run that ends within a validation goes on before it."""
        self._before_validation = self._places()

    def validated(self) -> None:
        """The validation is over."""
        self._before_validation = None

    def delete(self) -> None:
        """Delete the state, and the folder if nothing else is in it."""
        for name in (_FILE, _PREVIOUS):
            (self._folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def is_over(self) -> bool:
        """Whether training has come to its end."""
        return self._signals.received is None and not self._is_spoilt()

    def _is_spoilt(self) -> bool:
        return self._watch is not None and self._watch.found is not None

    # -- parts ---------------------------------------------------------------------------------

    def _places(self) -> dict[str, Any]:
        """The places in the data, and the state of all generators."""
        places = [source.place() for source in self._sources]
        for source, place in zip(self._sources[1:], places[1:], strict=True):
            if source.restartable:  # each validation begins at the beginning
                place["taken"] = 0
        return {"data": places, "random": random_state(self._owners)}

    def _random_of_data(self) -> dict[str, Any]:
        return random_state(self._data)

    def _read(self) -> dict[str, Any] | None:
        latest, previous = self._folder / _FILE, self._folder / _PREVIOUS
        if not latest.exists() and not previous.exists():
            return None
        try:
            return read_state(latest if latest.exists() else previous)
        except FileError as error:
            if not previous.exists():
                raise
            warn_user(f"{error} Going on from the state before it.")
            return read_state(previous)

    def _callbacks(self) -> list[tuple[str, Any, list[Any]]]:
        return [
            (
                type(each).__name__,
                self._changes[at].state() if at in self._changes else to_plain(each.state_dict()),
                [state_of(generator) for generator in self._generators(each)],
            )
            for at, each in enumerate(self._calls.callbacks)
        ]

    def _generators(self, callback: Any) -> list[Any]:
        """Those of a callback of the user's own."""
        if type(callback).__module__.startswith("nnkit."):
            return []
        return find_generators([callback], known=self._owners)

    def _set_callbacks(self, saved: list[tuple[str, Any, list[Any]]]) -> None:
        """Callbacks find their state by class and order; new ones begin anew."""
        left = list(saved)
        for callback in self._calls.callbacks:
            at = next(
                (i for i, each in enumerate(left) if each[0] == type(callback).__name__), None
            )
            if at is None:
                continue
            _, state, generators = left.pop(at)
            if hasattr(callback, "load_state_dict"):
                callback.load_state_dict(from_plain(state))
            elif state:
                set_attributes(callback, state)
            for generator, (_, value) in zip(self._generators(callback), generators, strict=False):
                set_state(generator, value)

    def _setup(self) -> dict[str, Any]:
        model, batches = self._model, self._sources[0]
        setup = {
            "the model's class": type(model).__name__,
            "the number of samples": getattr(batches, "samples", None),
            "the number of batches per epoch": batches.steps,
            "the validation": len(self._sources) > 1,
        }
        kinds = Counter(type(module).__name__ for module in model.modules())
        setup.update({f"the number of {kind} modules": count for kind, count in kinds.items()})
        for at, leaf in enumerate(flatten(self._sample)):
            if leaf is not None:
                setup[f"array {at} of a batch"] = f"{tuple(leaf.shape[1:])} {leaf.dtype}"
        for key, optimizer in optimizers_of(model):
            optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # one in one that scales
            setup[f"{key}'s class"] = type(optimizer).__name__
            setup.update({f"{key}'s {k}": v for k, v in _arguments(optimizer).items()})
        return {key: value for key, value in setup.items() if _is_text_or_number(value)}


def _arguments(optimizer: Any) -> dict[str, Any]:
    """What an optimizer was made with, without its learning rate, which training may change."""
    found = optimizer.defaults
    if isinstance(optimizer, Optimizer):
        try:
            found = optimizer.get_config()
        except ArgumentError:  # its learning rate is a function
            return {}
    left_out = ("name", "learning_rate", "lr", "initial_lr")
    return {key: value for key, value in found.items() if key not in left_out}


def _is_text_or_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str, type(None)))


def _compare(saved: dict[str, Any], now: dict[str, Any]) -> None:
    differ = [
        f"{key} was {saved.get(key)!r} and is {now.get(key)!r}"
        for key in dict.fromkeys([*saved, *now])
        if saved.get(key) != now.get(key)
    ]
    if differ:
        shown = "; ".join(differ[:6])
        raise FileError(f"{shown[0].upper()}{shown[1:]}.")
