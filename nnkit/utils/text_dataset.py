"""text_dataset_from_directory: a folder of text files as batches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from nnkit.errors import DataError, unknown_name
from nnkit.utils.folder_dataset import FolderDataset, folder_parts

__all__ = ["text_dataset_from_directory"]


class _Texts(Dataset[str]):
    def __init__(self, paths: list[str], max_length: int | None) -> None:
        self.paths, self.max_length = paths, max_length

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> str:
        try:
            return Path(self.paths[index]).read_text(encoding="utf-8")[: self.max_length]
        except UnicodeDecodeError as exc:
            raise DataError(f"{self.paths[index]} is not text in UTF-8: {exc}") from exc


def text_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches (texts, labels) of the .txt files in a folder, a folder inside it for each class.

    The texts are NumPy arrays of strings, which TextVectorization takes:
    `dataset.map(lambda x, y: (vectorize(x), y))`.

    Args: as for image_dataset_from_directory.
        max_length: characters to keep; all when None.

    Raises: DataError naming the file, ArgumentError.
    """
    if format not in ("tf", "grain"):
        raise unknown_name("format", format, ("tf", "grain"))
    parts = folder_parts(
        directory, labels, label_mode, class_names, (".txt",), shuffle=shuffle, seed=seed,
        validation_split=validation_split, subset=subset, follow_links=follow_links,
        verbose=verbose,
    )  # fmt: skip
    datasets = [
        FolderDataset(_Texts(part.paths, max_length), part, batch_size=batch_size) for part in parts
    ]
    return datasets if subset == "both" else datasets[0]
