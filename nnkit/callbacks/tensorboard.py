"""Write logs, histograms and graphs for TensorBoard."""

from __future__ import annotations

import importlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from nnkit.arguments import path_text
from nnkit.callbacks.base import Callback
from nnkit.callbacks.optimizer_rate import learning_rate
from nnkit.errors import ArgumentError

__all__ = ["TensorBoard"]

_IMAGES_AT_MOST = 3


class TensorBoard(Callback):
    """Write event files into `log_dir/train` and `log_dir/validation`, with Keras's names.

    Args:
        log_dir: the folder for `tensorboard --logdir`.
        histogram_freq: epochs between histograms of the weights; 0 for none.
        write_graph: whether to draw the model, if it was made of symbolic tensors.
        write_images: whether to show the weights as images too, along with the histograms.
        write_steps_per_second: whether to log the speed.
        update_freq: "epoch", "batch", or a number of batches between logs within the epoch.
        profile_batch: a batch, or the (first, last) ones, to profile with torch.profiler, counted
            from 1 over all epochs; 0 for none. The trace lies in `log_dir/train`.
        embeddings_freq: epochs between copies of Embedding layers for the projector; 0 for none.
        embeddings_metadata: a file with a line for each row, or {layer name: file}.

    Raises: ArgumentError for a bad argument; ImportError without the package tensorboard.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        counts = isinstance(update_freq, int) and update_freq > 0
        if update_freq not in ("epoch", "batch") and not counts:
            raise ArgumentError(
                f"TensorBoard expects update_freq='epoch', 'batch' or a number of batches, not "
                f"{update_freq!r}."
            )
        self.log_dir = path_text(self, "log_dir", log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self.embeddings_freq = embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self._first_profiled, self._last_profiled = _range(profile_batch)
        self._writers: dict[str, Any] = {}
        self._profiler: Any = None
        self._batches = self._batches_before = 0
        self._epoch_began = self._batch_began = 0.0
        self._drawn = False

    def _uses(self, hook: str) -> bool:
        if type(self) is TensorBoard and hook in ("on_train_batch_begin", "on_train_batch_end"):
            return self.update_freq != "epoch" or self._last_profiled > 0
        return super()._uses(hook)

    def set_model(self, model: Any) -> None:
        """Take the model; check what it is asked to log of it."""
        super().set_model(model)
        if isinstance(self.embeddings_metadata, dict):
            names = [layer.name for layer in self._embeddings()]
            unknown = [name for name in self.embeddings_metadata if name not in names]
            if unknown:
                raise ArgumentError(
                    f"TensorBoard's embeddings_metadata names {unknown[0]!r}, but the Embedding "
                    f"layers are: {', '.join(names) or 'none'}."
                )

    # -- hooks ---------------------------------------------------------------------------------

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._batches = 0
        if self.write_graph and not self._drawn:
            self._draw()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch_began, self._batches_before = perf_counter(), self._updates()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        self._batch_began = perf_counter()
        if self._batches == self._first_profiled:
            handler = torch.profiler.tensorboard_trace_handler(str(self._folder("train")))
            self._profiler = torch.profiler.profile(on_trace_ready=handler)
            self._profiler.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._batches >= self._last_profiled:
            self._end_profile()
        if self.update_freq == "epoch" or self._batches % int(self.update_freq):
            return
        if self.write_steps_per_second:
            speed = 1 / max(perf_counter() - self._batch_began, 1e-9)
            self._scalar("train", "batch_steps_per_second", speed, self._batches)
        for name, value in (logs or {}).items():
            self._scalar("train", f"batch_{name}", value, self._batches)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        for name, value in (logs or {}).items():
            self._scalar("validation", f"evaluation_{name}_vs_iterations", value, self._updates())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        found = {name: value for name, value in logs.items() if not name.startswith("val_")}
        if getattr(self.model, "optimizer", None) is not None:
            found["learning_rate"] = learning_rate(self)
        if self.write_steps_per_second:
            seconds = max(perf_counter() - self._epoch_began, 1e-9)
            found["steps_per_second"] = (self._updates() - self._batches_before) / seconds
        for name, value in found.items():
            self._scalar("train", f"epoch_{name}", value, epoch)
        for name, value in logs.items():
            if name.startswith("val_"):
                self._scalar("validation", f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._log_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._log_embeddings(epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Close the files, and end a profile."""
        self._end_profile()
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    # -- writing -------------------------------------------------------------------------------

    def _folder(self, part: str) -> Path:
        return Path(self.log_dir) / part

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            try:
                module = importlib.import_module("torch.utils.tensorboard")
            except ImportError as exc:
                raise ImportError(
                    "TensorBoard needs the package tensorboard. Install it: pip install tensorboard"
                ) from exc
            self._writers[part] = module.SummaryWriter(str(self._folder(part)))
        return self._writers[part]

    def _scalar(self, part: str, name: str, value: Any, step: int) -> None:
        value = torch.as_tensor(value)
        if value.numel() == 1:  # a metric of several values is no curve
            self._writer(part).add_scalar(name, value.item(), step)

    def _updates(self) -> int:
        return int(getattr(getattr(self.model, "optimizer", None), "iterations", self._batches))

    def _end_profile(self) -> None:
        if self._profiler is not None:
            profiler, self._profiler = self._profiler, None
            profiler.stop()

    def _log_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for name, value in self._weights():
            writer.add_histogram(f"{name}/histogram", value, epoch)
            image = _as_images(value) if self.write_images else None
            if image is not None:
                writer.add_images(f"{name}/image", image, epoch, dataformats="NHWC")

    def _weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """All weights in Keras's layout, under Keras's paths."""
        model, seen = self.model, Counter[str]()
        prefix = f"{model.name}/" if type(model).__name__ == "Sequential" else ""
        for layer in model.layers:
            for weight in layer.collect():
                path = f"{prefix}{layer.name}/{weight.name}"
                seen[path] += 1
                path = path if seen[path] == 1 else f"{path}_{seen[path] - 1}"
                yield path, weight.layout.to_keras(weight.tensor.detach())

    def _embeddings(self) -> list[Any]:
        layers = getattr(self.model, "layers", ())
        return [layer for layer in layers if type(layer).__name__ == "Embedding"]

    def _log_embeddings(self, epoch: int) -> None:
        for layer in self._embeddings():
            files = self.embeddings_metadata
            file = files.get(layer.name) if isinstance(files, dict) else files
            lines = None if file is None else Path(file).read_text(encoding="utf-8").splitlines()
            matrix = torch.as_tensor(layer.get_weights()[0])
            self._writer("train").add_embedding(
                matrix, metadata=lines, tag=layer.name, global_step=epoch
            )

    def _draw(self) -> None:
        """The graph of a model that was made of symbolic tensors, traced with zeros."""
        self._drawn = True
        if getattr(self.model, "_graph", None) is None:
            return
        inputs = [
            torch.zeros([size or 1 for size in each.shape], dtype=each.dtype)
            for each in self.model.inputs
        ]
        device = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        given = tuple(each.to(device) for each in inputs)
        was = self.model.training
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # of tracing: sizes become constants
                self.model.eval()
                self._writer("train").add_graph(self.model, given if len(given) == 1 else [given])
        except Exception as error:  # a picture is not worth a training
            warnings.warn(
                f"TensorBoard could not draw the model: {error}. write_graph=False skips it.",
                stacklevel=2,
            )
        finally:
            self.model.train(was)


def _range(profile_batch: Any) -> tuple[int, int]:
    """The first and last batch to profile, from 1."""
    given = profile_batch
    if isinstance(given, str):
        given = [int(part) for part in given.split(",")]
    if isinstance(given, int):
        given = (given, given)
    numbers = isinstance(given, (tuple, list)) and all(isinstance(n, int) for n in given)
    if not numbers or len(given) not in (1, 2) or not 0 <= given[0] <= given[-1]:
        raise ArgumentError(
            f"TensorBoard expects profile_batch to be a batch, or the first and last one as (10, "
            f"20), not {profile_batch!r}."
        )
    return given[0], given[-1]


def _as_images(value: torch.Tensor) -> torch.Tensor | None:
    """A weight as (images, height, width, channels), the way Keras shows it."""
    value = value.squeeze()
    if value.ndim == 1:
        value = value.reshape(1, -1, 1, 1)
    elif value.ndim == 2:
        value = value.T if value.shape[0] > value.shape[1] else value
        value = value.reshape(1, *value.shape, 1)
    elif value.ndim == 3:
        value = value.movedim(-1, 0).unsqueeze(-1)
    if value.ndim != 4 or value.shape[-1] not in (1, 3, 4):
        return None
    # Torch's writer puts pictures side by side, and only those of three colors.
    value = value[:_IMAGES_AT_MOST, ..., :3]
    return value.expand(-1, -1, -1, 3)
