"""Batches of changed pictures whose files a pandas frame names."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from nnkit.arguments import path_text
from nnkit.errors import ArgumentError, DataError
from nnkit.preprocessing.image.directory import FileIterator

__all__ = ["DataFrameIterator"]


class DataFrameIterator(FileIterator):
    """Batches of changed pictures from the files that a frame names.

    Args: as for `ImageDataGenerator.flow_from_dataframe`.
    """

    class_modes = ("categorical", "binary", "sparse", "input", "multi_output", "raw", None)

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = "channels_last",
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = "float32",
        validate_filenames: bool = True,
    ) -> None:
        super().__init__(
            image_data_generator, target_size=target_size, color_mode=color_mode,
            class_mode=class_mode, data_format=data_format, save_to_dir=save_to_dir,
            save_prefix=save_prefix, save_format=save_format, subset=subset,
            interpolation=interpolation, keep_aspect_ratio=keep_aspect_ratio, dtype=dtype,
        )  # fmt: skip
        self.directory = path_text("flow_from_dataframe", "directory", directory or "")
        with_classes = class_mode in ("categorical", "binary", "sparse")
        self._check(dataframe, x_col, y_col, weight_col)
        frame = self._with_files(dataframe, x_col) if validate_filenames else dataframe
        if with_classes:
            frame, names = _with_classes(frame, y_col, classes)
            if class_mode == "binary" and len(names) != 2:
                raise ArgumentError(
                    f"class_mode='binary' expects two classes in {y_col!r}, but there are "
                    f"{len(names)}: {', '.join(map(str, names[:10]))}."
                )
            self.class_indices = {name: number for number, name in enumerate(names)}
        elif classes:
            warnings.warn(f"classes has no effect with class_mode={class_mode!r}.", stacklevel=3)
        frame = frame.iloc[self._part(len(frame))]
        if with_classes:
            self.classes = [self._numbers(label) for label in frame[y_col]]
        elif class_mode == "multi_output":
            self.targets = [np.array(frame[column].tolist()) for column in y_col]
        elif class_mode == "raw":
            self.targets = frame[y_col].to_numpy()
        if weight_col:
            self.sample_weight = frame[weight_col].to_numpy()
        self.filenames = frame[x_col].tolist()
        self.filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        kind = "validated" if validate_filenames else "non-validated"
        of = f" belonging to {len(self.class_indices)} classes" if with_classes else ""
        print(f"Found {len(self.filepaths)} {kind} image filenames{of}.")
        self._begin_with(batch_size, shuffle, seed)

    def _check(self, frame: Any, x_col: str, y_col: Any, weight_col: str | None) -> None:
        several = isinstance(y_col, (list, tuple))
        used = [x_col, *([weight_col] if weight_col else [])]
        if self.class_mode not in ("input", None):
            used += y_col if several else [y_col]
        missing = [column for column in used if column not in frame.columns]
        if missing:
            raise ArgumentError(
                f"The frame has no column {missing[0]!r}; it has: "
                f"{', '.join(map(str, frame.columns))}."
            )
        if self.class_mode == "multi_output" and not several:
            raise ArgumentError(
                f"class_mode='multi_output' expects a list of columns as y_col, got {y_col!r}."
            )
        if not all(isinstance(name, str) for name in frame[x_col]):
            raise DataError(f"The column x_col={x_col!r} must hold file names as text.")
        kinds = {"binary": str, "sparse": str, "categorical": (str, list, tuple)}
        kind: Any = kinds.get(self.class_mode or "")
        if kind and not all(isinstance(label, kind) for label in frame[y_col]):
            raise DataError(
                f"class_mode={self.class_mode!r} expects class names as text in the column "
                f"y_col={y_col!r}. For numbers use .astype(str), or class_mode='raw'."
            )
        if weight_col and frame[weight_col].dtype.kind not in "iuf":
            raise DataError(f"The column weight_col={weight_col!r} must hold numbers.")

    def _with_files(self, frame: Any, x_col: str) -> Any:
        good = [
            name.lower().endswith(self.white_list_formats)
            and os.path.isfile(os.path.join(self.directory, name))
            for name in frame[x_col]
        ]
        if not all(good):
            warnings.warn(
                f"{good.count(False)} of {len(good)} files named in {x_col!r} are not there or "
                f"are no pictures, and left out.",
                stacklevel=4,
            )
        return frame[good]

    def _numbers(self, label: Any) -> Any:
        if isinstance(label, (list, tuple)):
            return [self.class_indices[one] for one in label]
        return self.class_indices[label]


def _with_classes(frame: Any, y_col: str, classes: Any) -> tuple[Any, list[str]]:
    """The rows that belong to the classes, and these in order."""
    if not classes:
        names: set[str] = set()
        for label in frame[y_col]:
            names.update(label if isinstance(label, (list, tuple)) else [label])
        return frame, sorted(names)
    wanted = list(dict.fromkeys(classes))

    def kept(label: Any) -> Any:
        if isinstance(label, (list, tuple)):
            return [one for one in label if one in wanted] or None
        return label if label in wanted else None

    frame = frame.assign(**{y_col: [kept(label) for label in frame[y_col]]})
    return frame.dropna(subset=[y_col]), wanted
