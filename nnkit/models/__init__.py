"""Models: Sequential, functional and subclassed; and ways to make one again."""

from nnkit.custom_objects import publish
from nnkit.layers.input import Input
from nnkit.models.cloning import clone_model, model_from_config, model_from_json
from nnkit.models.model import Model
from nnkit.models.sequential import Sequential
from nnkit.saving import load_model, save_model

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "save_model",
]

for _home in ("keras", "keras.models", "keras.layers"):  # the last is how older files say it
    publish(_home, ["Model", "Sequential", "Functional"], {**globals(), "Functional": Model})
for _home in ("functional", "model", "sequential"):
    names = {**globals(), "Functional": Model}
    publish(f"keras.src.models.{_home}", ["Model", "Sequential", "Functional"], names)
