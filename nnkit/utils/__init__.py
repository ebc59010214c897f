"""Small helpers with Keras's names: files, labels, seeds, batches, pictures of models."""

from __future__ import annotations

from nnkit.config import (
    clear_session,
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from nnkit.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from nnkit.data.batches import pack_x_y_sample_weight, unpack_x_y_sample_weight
from nnkit.data.py_dataset import PyDataset
from nnkit.data.py_dataset import PyDataset as Sequence
from nnkit.random import set_random_seed
from nnkit.serialization import deserialize_keras_object, serialize_keras_object
from nnkit.summary import print_summary
from nnkit.utils.audio_dataset import audio_dataset_from_directory
from nnkit.utils.download import get_file
from nnkit.utils.image_dataset import image_dataset_from_directory
from nnkit.utils.images import array_to_img, img_to_array, load_img, save_img
from nnkit.utils.numeric import normalize, to_categorical
from nnkit.utils.plot_model import model_to_dot, plot_model
from nnkit.utils.progbar import Progbar
from nnkit.utils.sequences import pad_sequences, timeseries_dataset_from_array
from nnkit.utils.settings import Config
from nnkit.utils.sources import get_source_inputs, is_keras_tensor, standardize_dtype
from nnkit.utils.splitting import split_dataset
from nnkit.utils.text_dataset import text_dataset_from_directory

__all__ = [
    "Config",
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "print_summary",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
