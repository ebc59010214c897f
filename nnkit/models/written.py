"""What a model does about configs and whole-model files."""

from __future__ import annotations

import inspect
import json
from typing import Any, Self

from nnkit.custom_objects import supplying
from nnkit.layer_config import Configured
from nnkit.models.configs import graph_config, read_graph
from nnkit.saving import save_model
from nnkit.saving.atomic import check_room
from nnkit.serialization import serialize_keras_object, sharing_objects

__all__ = ["Written"]


class Written(Configured):
    """A mixin of Model."""

    _graph: Any
    name: str
    trainable: bool

    @property
    def _keras_class(self) -> tuple[str, str] | None:
        """Where Keras has the class of this model, if not under its own name."""
        functional = type(self).__module__ == "nnkit.models.model" and self._graph is not None
        return ("keras.src.models.functional", "Functional") if functional else None

    def get_config(self) -> dict[str, Any]:
        """The layers and their calls, for a model made of inputs and outputs; else its arguments.

        Raises: ConfigError, naming the step, for what Keras has no name for.
        """
        if self._graph is None or not _takes_ends(type(self)):
            return super().get_config()
        config = {"name": self.name, "trainable": self.trainable}
        return {**config, **graph_config(self._graph)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """A new model from `get_config()`, nnkit's or Keras's.

        Args:
            config: the dict.
            custom_objects: classes and functions by the names the config has for them.
        """
        with supplying(custom_objects):
            if not {"layers", "input_layers", "output_layers"} <= set(config):
                return super().from_config(config)
            config = dict(config)
            inputs, outputs = read_graph(config)
            parts = ("layers", "input_layers", "output_layers")
            more = {key: value for key, value in config.items() if key not in parts}
            trainable = more.pop("trainable", True)
            model = cls(inputs, outputs, **more)  # type: ignore[call-arg]  # a Model
            if trainable is False:
                model.trainable = False
            return model

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build_from_config` needs; of a graph only what its pretrained weights want."""
        if self._graph is None:
            return super().get_build_config()
        return {"preprocessing": self.preprocessing} if self.preprocessing else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Take up what `get_build_config` gave, nnkit's or Keras's."""
        if self._graph is None:
            super().build_from_config(config)
        self.preprocessing = config.get("preprocessing")

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as text; `nnkit.models.model_from_json` makes the model of it again.

        Args:
            kwargs: of `json.dumps`, such as indent.
        """
        with sharing_objects():
            return json.dumps(serialize_keras_object(self), **kwargs)

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Write the whole model: architecture, weights and how it is trained.

        Args and Raises: see `nnkit.saving.save_model`.
        """
        save_model(self, filepath, overwrite, **kwargs)

    def check_can_save(self, filepath: Any) -> None:
        """See, before a long training, that a file of this model can be written there.

        Missing folders are made, and the disk is asked for room for the weights.

        Raises: FileError that says what is wrong with the folder, or how much room is missing.
        """
        every: list[Any] = self.weights  # type: ignore[attr-defined]
        check_room(filepath, sum(weight.nbytes for weight in every))


def _takes_ends(kind: type[Any]) -> bool:
    """Whether a class is made of inputs and outputs, as `Model` is."""
    names = list(inspect.signature(kind.__init__).parameters)[1:3]
    return names in (["inputs", "outputs"], ["args", "kwargs"])
