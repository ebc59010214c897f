"""The files of a folder, read by a DataLoader: what the *_from_directory functions give."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler, default_collate

from nnkit.data.pipeline import Pipeline
from nnkit.data.workers import watched
from nnkit.errors import ArgumentError, DataError
from nnkit.utils.folders import check_labels, index_folder, labels_as, part_of

__all__ = ["FolderDataset", "Part", "folder_parts"]


class Part(NamedTuple):
    """The files of one dataset.

    Attributes:
        paths: of the files.
        labels: as a model wants them; None for none.
        class_names: in the order of their numbers; None without labels.
        shuffle: whether each pass has an order of its own.
        seed: of these orders; None for torch's random state.
    """

    paths: list[str]
    labels: torch.Tensor | None
    class_names: list[str] | None
    shuffle: bool
    seed: int | None


def folder_parts(
    directory: Any,
    labels: Any,
    label_mode: str | None,
    class_names: Any,
    formats: tuple[str, ...],
    *,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    verbose: bool,
) -> list[Part]:
    """The files of a folder as one part, or as the two of subset="both".

    Args: as for image_dataset_from_directory; formats are the endings of the files' names.
    """
    split = (validation_split, subset)
    labels = check_labels(labels, label_mode, class_names, split, shuffle, seed)
    index = index_folder(
        directory, labels, formats, class_names=class_names, shuffle=shuffle, seed=seed,
        follow_links=follow_links, verbose=verbose,
    )  # fmt: skip
    targets = labels_as(index, label_mode)
    parts = []
    for which in ("training", "validation") if subset == "both" else (subset,):
        files = part_of(len(index.paths), validation_split, which, verbose)
        mixed = shuffle and not (subset == "both" and which == "validation")
        labels = None if targets is None else targets[files]
        parts.append(Part(index.paths[files], labels, index.class_names, mixed, seed))
    return parts


class FolderDataset(Pipeline):
    """Batches of a folder's files.

    Args:
        samples: the files as a torch Dataset, in the order of the part's paths.
        part: the files with their labels.
        batch_size: files; None gives them one by one.
        num_workers, pin_memory: as torch's DataLoader has them.
        skip: leave out files whose reading raises DataError, and note them in `skipped`.

    Attributes:
        class_names: in the order of their numbers; None without labels.
        file_paths: of the files, in the order before any mixing of a pass.
        loader: the DataLoader that reads them.
        skipped: {path: what was wrong}, as far as the files were read.
    """

    class_names: list[str] | None
    file_paths: list[str]

    def __init__(
        self,
        samples: Dataset[Any],
        part: Part,
        *,
        batch_size: int | None,
        num_workers: int = 0,
        pin_memory: bool = False,
        skip: bool = False,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ArgumentError(f"batch_size expects a whole number >= 1 or None: {batch_size!r}.")
        labelled: Any = _Labelled(samples, part.labels, part.paths if skip else None)
        sampler = None
        if part.shuffle:
            generator = None if part.seed is None else torch.Generator().manual_seed(part.seed)
            sampler = RandomSampler(labelled, generator=generator)
        self.loader: DataLoader[Any] = DataLoader(
            labelled,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=num_workers,
            pin_memory=pin_memory,
            collate_fn=_Collate(batch_size is not None, skip),
        )
        self._skips = skip
        self.skipped: dict[str, str] = {}
        super().__init__(
            self._pass, len(self.loader), class_names=part.class_names, file_paths=part.paths
        )

    def _pass(self) -> Iterator[Any]:
        before = len(self.skipped)
        for batch in watched(self.loader, "The folder"):
            if not self._skips:
                yield batch
                continue
            good, bad = batch
            self.skipped.update(bad)
            if good is not None:
                yield good
        if len(self.skipped) > before:
            warnings.warn(
                f"Left out {len(self.skipped)} of {len(self.file_paths)} files, which `skipped` "
                f"lists: {next(iter(self.skipped.values()))}",
                stacklevel=2,
            )


class _Bad(NamedTuple):
    path: str
    reason: str


class _Labelled(Dataset[Any]):
    """Samples with their labels; a `_Bad` for one that cannot be read, where paths are given."""

    def __init__(self, samples: Any, labels: torch.Tensor | None, paths: list[str] | None) -> None:
        self.samples, self.labels, self.paths = samples, labels, paths

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        try:
            sample = self.samples[index]
        except DataError as exc:
            if self.paths is None:
                raise
            return _Bad(self.paths[index], str(exc))
        return sample if self.labels is None else (sample, self.labels[index])


class _Collate:
    """Puts samples into a batch, if they are to be; where some may be bad, with a list of those."""

    def __init__(self, batched: bool, skip: bool) -> None:
        self.put = _stack if batched else _as_it_is
        self.batched, self.skip = batched, skip

    def __call__(self, samples: Any) -> Any:
        if not self.skip:
            return self.put(samples)
        samples = samples if self.batched else [samples]
        bad = [sample for sample in samples if isinstance(sample, _Bad)]
        good = [sample for sample in samples if not isinstance(sample, _Bad)]
        if not good:
            return None, bad
        return self.put(good if self.batched else good[0]), bad


def _stack(samples: Sequence[Any]) -> Any:
    if isinstance(samples[0], tuple):
        return tuple(map(_stack, zip(*samples, strict=True)))
    if isinstance(samples[0], str):
        return np.array(samples, dtype=object)
    shapes = {tuple(sample.shape) for sample in samples}
    if len(shapes) > 1:
        one, other, *_ = shapes
        raise DataError(
            f"Files of one batch have the shapes {one} and {other}. Bring them to one length "
            f"(output_sequence_length), or give batch_size=None."
        )
    # Resized pictures lie channels first in memory; stacked, they lie as their axes say.
    return default_collate(list(samples)).contiguous()


def _as_it_is(sample: Any) -> Any:
    return sample
