"""Folders of files, one folder a class: which files, with which labels, in which order."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from nnkit.arguments import path_text
from nnkit.errors import ArgumentError, DataError, unknown_name

__all__ = [
    "LABEL_MODES",
    "Index",
    "check_labels",
    "class_folders",
    "files_in",
    "index_folder",
    "labels_as",
    "part_of",
]

LABEL_MODES = ("int", "binary", "categorical", None)


class Index(NamedTuple):
    """The files of a folder.

    Attributes:
        paths: of the files.
        labels: a class number a file; None for none.
        class_names: in the order of their numbers; None without labels.
    """

    paths: list[str]
    labels: np.ndarray | None
    class_names: list[str] | None


def check_labels(
    labels: Any,
    label_mode: str | None,
    class_names: Any,
    split: tuple[float | None, str | None],
    shuffle: bool,
    seed: int | None,
) -> Any:
    """The labels argument as it counts: None also when the mode is None.

    Args:
        labels, label_mode, class_names, shuffle, seed: as given by the user.
        split: validation_split and subset.

    Raises: ArgumentError for what does not fit together.
    """
    fraction, subset = split
    if label_mode not in LABEL_MODES:
        raise unknown_name("label_mode", label_mode, [m for m in LABEL_MODES if m])
    inferred = isinstance(labels, str) and labels == "inferred"
    if not inferred and not (labels is None or isinstance(labels, (list, tuple, np.ndarray))):
        raise ArgumentError(
            f"labels expects 'inferred' (from the folders), None, or a list of class numbers, one "
            f"a file; got {labels!r}."
        )
    if class_names is not None and not (inferred and label_mode):
        raise ArgumentError("class_names only goes with labels='inferred' and a label_mode.")
    if subset not in ("training", "validation", "both", None):
        raise unknown_name("subset", subset, ("training", "validation", "both"))
    if fraction and not 0 < fraction < 1:
        raise ArgumentError(f"validation_split expects a fraction above 0, below 1: {fraction!r}.")
    if bool(fraction) != bool(subset):
        raise ArgumentError(
            "validation_split and subset ('training', 'validation' or 'both') go together."
        )
    if fraction and shuffle and seed is None and subset != "both":
        raise ArgumentError(
            "With validation_split and shuffle=True give a seed, so that the two parts do not "
            "overlap; or subset='both'."
        )
    return None if label_mode is None else labels


def index_folder(
    directory: Any,
    labels: Any,
    formats: tuple[str, ...],
    *,
    class_names: Sequence[str] | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Index:
    """Find the files, in Keras's order, or mixed as Keras mixes them with this seed.

    Args:
        directory: the folder.
        labels: "inferred" takes each folder in it for a class; None; or one number a file.
        formats: endings of the files' names, in small letters.
        class_names: the class folders, in an order of their own.
        shuffle, seed: mix the files.
        follow_links: go into folders that are links; one that leads back up is left out.
        verbose: print what was found.

    Raises: ArgumentError or DataError when there are no files or classes, or another number.
    """
    directory = path_text("A folder of files", "directory", directory)
    if not os.path.isdir(directory):
        raise DataError(f"There is no folder {directory!r}.")
    inferred = isinstance(labels, str)
    folders = class_folders(directory, class_names) if inferred else [""]
    paths: list[str] = []
    numbers: list[int] = []
    for number, folder in enumerate(folders):
        found = list(files_in(os.path.join(directory, folder), formats, follow_links))
        if inferred and not found:
            warnings.warn(f"The class folder {folder!r} holds no files to use.", stacklevel=4)
        paths += found
        numbers += [number] * len(found)
    if not paths:
        raise DataError(
            f"{directory!r} holds no files that end in {', '.join(formats)}."
            + (" Files that lie outside class folders need labels=None." if inferred else "")
        )
    kept: np.ndarray | None = None
    names: list[str] | None = None
    if inferred:
        kept, names = np.array(numbers, "int32"), list(folders)
        if len(names) == 1:
            warnings.warn(
                f"{directory!r} has a single class folder, {names[0]!r}. Is it the folder above "
                f"the classes? For files without classes use labels=None.",
                stacklevel=4,
            )
    elif labels is not None:
        kept = np.asarray(labels)
        if len(kept) != len(paths):
            raise ArgumentError(
                f"labels has {len(kept)} numbers, but {directory!r} holds {len(paths)} files."
            )
        names = [str(label) for label in sorted(set(kept.tolist()))]
    if verbose:
        of = "" if names is None else f" belonging to {len(names)} classes"
        print(f"Found {len(paths)} files{of}.")
    if shuffle:
        seed = int(np.random.randint(10**6)) if seed is None else seed
        np.random.RandomState(seed).shuffle(paths)
        if kept is not None:
            kept = kept.copy()
            np.random.RandomState(seed).shuffle(kept)
    return Index(paths, kept, names)


def class_folders(directory: str, class_names: Sequence[str] | None) -> list[str]:
    """The folders in a folder that stand for classes; those that begin with a dot do not.

    Args:
        directory: the folder.
        class_names: some of them, in an order of their own.

    Raises: ArgumentError for names that are no folders in it, DataError for no folder.
    """
    if not os.path.isdir(directory):
        raise DataError(f"There is no folder {directory!r}.")
    folders = sorted(
        name
        for name in os.listdir(directory)
        if os.path.isdir(os.path.join(directory, name)) and not name.startswith(".")
    )
    if class_names is None:
        return folders
    unknown = [name for name in class_names if name not in folders]
    if unknown:
        raise ArgumentError(
            f"class_names has {unknown[0]!r}, but the folders of {directory!r} are: "
            f"{', '.join(folders)}."
        )
    return list(class_names)


def files_in(folder: str, formats: tuple[str, ...], follow_links: bool) -> Iterator[str]:
    """The files with these endings in a folder and below it, in Keras's order.

    Args:
        folder: where to look.
        formats: endings, in small letters.
        follow_links: also into folders that are links, unless one leads back up.
    """
    found = []
    for root, inner, files in os.walk(folder, followlinks=follow_links):
        if follow_links:
            here = os.path.realpath(root)
            # A link to a folder it lies in would be walked for ever.
            inner[:] = [
                name
                for name in inner
                if os.path.commonpath([here, real := os.path.realpath(os.path.join(root, name))])
                != real
            ]
        found.append((root, files))
    for root, files in sorted(found):
        for name in sorted(files):
            if name.lower().endswith(formats):
                yield os.path.join(root, name)


def part_of(files: int, fraction: float | None, subset: str | None, verbose: bool) -> slice:
    """Which of the files train, or validate: the last ones.

    Args:
        files: how many there are.
        fraction: that validates; None for no split.
        subset: "training" or "validation".
        verbose: print how many.

    Raises: DataError when a part would be empty.
    """
    if not fraction:
        return slice(None)
    held = int(fraction * files)
    if not 0 < held < files:
        raise DataError(f"validation_split={fraction} of {files} files leaves one part empty.")
    if verbose:
        print(f"Using {held if subset == 'validation' else files - held} files for {subset}.")
    return slice(-held, None) if subset == "validation" else slice(None, -held)


def labels_as(index: Index, mode: str | None) -> torch.Tensor | None:
    """The labels as a model wants them.

    Shape: "int" (files,); "binary" (files, 1), floats; "categorical" (files, classes), floats.
    Raises: ArgumentError when they do not suit the mode.
    """
    if index.labels is None or mode is None:
        return None
    names = index.class_names or []
    if mode == "binary":
        if len(names) != 2:
            raise ArgumentError(
                f"label_mode='binary' expects two classes, but there are {len(names)}: "
                f"{', '.join(names)}."
            )
        return torch.tensor(index.labels, dtype=torch.float32).unsqueeze(1)
    numbers = torch.tensor(index.labels, dtype=torch.int64)
    if mode == "int":
        return numbers
    if numbers.max() >= len(names) or numbers.min() < 0:
        raise ArgumentError(
            f"label_mode='categorical' expects labels 0 to {len(names) - 1}, got "
            f"{int(numbers.min())} to {int(numbers.max())}."
        )
    return torch.nn.functional.one_hot(numbers, len(names)).float()
