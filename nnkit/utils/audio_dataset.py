"""audio_dataset_from_directory: a folder of .wav files as batches."""

from __future__ import annotations

import os
import wave
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nnkit.errors import ArgumentError, DataError
from nnkit.utils.folder_dataset import FolderDataset, folder_parts

__all__ = ["audio_dataset_from_directory"]


class _Sounds(Dataset[Tensor]):
    def __init__(self, paths: list[str], rate: int | None, length: int | None) -> None:
        self.paths, self.rate, self.length = paths, rate, length

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        try:
            with wave.open(path) as file:
                channels, width, rate, count, *_ = file.getparams()
                data = file.readframes(count)
        except (wave.Error, EOFError) as exc:
            raise DataError(
                f"{path} cannot be read as PCM sound: {exc or 'it is cut off'}"
            ) from exc
        if self.rate not in (None, rate):
            raise DataError(
                f"{path} has {rate} samples a second, not sampling_rate={self.rate}. Convert the "
                f"files to one rate first."
            )
        sound = torch.from_numpy(_floats(data, width).reshape(-1, channels))
        if self.length is None:
            return sound
        missing = max(0, self.length - len(sound))
        return torch.nn.functional.pad(sound[: self.length], (0, 0, 0, missing))


def _floats(data: bytes, width: int) -> np.ndarray:
    """PCM samples of so many bytes each as numbers from -1 to 1."""
    if width == 1:
        return (np.frombuffer(data, "uint8").astype("float32") - 128) / 128
    if width == 3:
        # As the upper three bytes of four.
        parts = np.zeros((len(data) // 3, 4), "uint8")
        parts[:, 1:] = np.frombuffer(data, "uint8").reshape(-1, 3)
        return parts.view("<i4")[:, 0].astype("float32") / 2**31
    return np.frombuffer(data, f"<i{width}").astype("float32") / 2 ** (8 * width - 1)


def audio_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Batches (sounds, labels) of the .wav files in a folder, a folder inside it for each class.

    Args: as for image_dataset_from_directory.
        sampling_rate: samples a second that all files must have; they are not converted.
        output_sequence_length: samples to cut or fill up to; needed where lengths differ.
        ragged: must be False.

    Shape: (batch, samples, channels), floats from -1 to 1.
    Raises: DataError naming the file, ArgumentError.
    """
    if ragged:
        raise ArgumentError(
            "ragged=True is not offered: give output_sequence_length, or batch_size=None."
        )
    parts = folder_parts(
        directory, labels, label_mode, class_names, (".wav",), shuffle=shuffle, seed=seed,
        validation_split=validation_split, subset=subset, follow_links=follow_links,
        verbose=verbose,
    )  # fmt: skip
    datasets = [
        FolderDataset(
            _Sounds(part.paths, sampling_rate, output_sequence_length), part, batch_size=batch_size
        )
        for part in parts
    ]
    return datasets if subset == "both" else datasets[0]
