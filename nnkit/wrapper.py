"""Torch modules as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

from torch import nn

from nnkit.custom_objects import custom_objects_now
from nnkit.errors import ArgumentError
from nnkit.layer import Layer
from nnkit.layer_config import readable
from nnkit.modes import is_marked, mark_frozen
from nnkit.naming import auto_name
from nnkit.symbolic import has_symbolic
from nnkit.tree import map_structure

__all__ = ["TorchModuleWrapper", "adapts", "as_layer", "held_module", "intercept_modules"]

K = TypeVar("K", bound=type[Layer])

# Which layer wraps the modules of a package that are more than plain functions of tensors.
_ADAPTERS: dict[str, Callable[[nn.Module], Layer]] = {}


def adapts(package: str) -> Callable[[K], K]:
    """Let the decorated layer wrap the modules that are defined in this package."""

    def register(kind: K) -> K:
        _ADAPTERS[package + "."] = kind
        return kind

    return register


def held_module(config: dict[str, Any], argument: str) -> Any:
    """The torch module for an argument of a layer's config: it is there, or a custom object."""
    given, name = config.get(argument), config.get("name")
    if given is None or isinstance(given, nn.Module):
        return given
    supplied = custom_objects_now()
    keys = (str(name), str(given.get("registered_name")) if isinstance(given, dict) else "")
    module = next((supplied[key] for key in keys if key in supplied), None)
    if module is None:
        raise ArgumentError(
            f"The layer {name!r} holds a torch module of class {keys[1]!r}, which a config "
            f"cannot make. Supply it: custom_objects={{{name!r}: module}}, or a function "
            f"without arguments that makes it. A whole network has its parts by their names: "
            f"custom_objects=dict(network.named_modules())."
        )
    return module if isinstance(module, nn.Module) else module()


class TorchModuleWrapper(Layer):
    """A torch module with a name and a place in a model's layers.

    Models wrap modules by themselves; write it out for a name, or for a module that wants
    channels first.

    Args:
        module: any torch module.
        output_shape: accepted for Keras's sake; the module itself shows its shapes.
        data_format: "channels_first" moves the last axis of an image or sequence to where torch's
            convolutions want it and back; None passes tensors as they are.

    Attributes: channels_first: whether images come out of it as (batch, channels, height, width).

    Source: keras.layers.TorchModuleWrapper, with data_format added.
    """

    channels_first = False

    def __init__(
        self,
        module: nn.Module,
        name: str | None = None,
        output_shape: Any = None,
        data_format: str | None = None,
        **kw: Any,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise ArgumentError(f"TorchModuleWrapper needs a torch module, got {module!r}.")
        super().__init__(name=name or auto_name(type(module).__name__), **kw)
        self.module = module
        self._output_shape, self.data_format = output_shape, data_format
        self.built = True
        if not self.trainable:
            self.trainable = False  # the module was not there to be told

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new layer from `get_config()`; custom objects must have its module.

        Under the layer's name, or under that of the module's class: a module, or a class or
        function that makes one without arguments.
        """
        made = held_module(config, "module")
        own = {
            key: value for key, value in config.items() if key not in ("channels_first", "frozen")
        }
        layer = cls(**{**readable(cls, {**own, "module": None}), "module": made})
        layer._freeze_parts(config.get("frozen", []))
        if config.get("channels_first", False):
            layer.of_network()
        return layer

    def of_network(self) -> Self:
        """The same layer as a part of a network with channels first whose code is followed."""
        self.channels_first = True
        self.module.__dict__["_nnkit_layer"] = self
        for part in self.module.modules():
            if hasattr(part, "inplace"):
                part.inplace = False  # type: ignore[assignment]  # a layer's output must not change later
        return self

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, and what was set since: parts that do not learn."""
        config = super().get_config()
        if self.channels_first:
            config["channels_first"] = True
        if self.trainable:
            still = [name for name, p in self.module.named_parameters() if not p.requires_grad]
            still += [name for name, part in self.module.named_modules() if is_marked(part)]
            config |= {"frozen": still} if still else {}
        return config

    def _freeze_parts(self, names: Any) -> None:
        parts = {**dict(self.module.named_modules()), **dict(self.module.named_parameters())}
        for name in names if isinstance(names, list) else [names]:
            part = parts.get(name) if isinstance(name, str) else None
            if part is None:
                raise ArgumentError(
                    f"{self.label} has no part {name!r}, which its config says does not learn. "
                    f"Is it the module that was saved?"
                )
            if isinstance(part, nn.Module):
                mark_frozen(part, True)
            else:
                part.requires_grad_(False)

    @property
    def label(self) -> str:
        return f"torch module {type(self.module).__name__} {self.name!r}"

    @property
    def misfit_advice(self) -> str:
        """What to do when the module does not accept an input."""
        spatial = hasattr(self.module, "kernel_size") or hasattr(self.module, "num_features")
        if spatial and self.data_format is None:
            return (
                "If the channels come last, wrap it: "
                "TorchModuleWrapper(module, data_format='channels_first')."
            )
        return "Check the sizes it needs."

    def call(self, *args: Any, **kwargs: Any) -> Any:
        if self.data_format != "channels_first":
            return self.module(*args, **kwargs)
        moved = [value.movedim(-1, 1) for value in args]
        return map_structure(lambda value: value.movedim(1, -1), self.module(*moved, **kwargs))


def as_layer(module: nn.Module) -> Layer:
    """The layer for a torch module: itself, or its one wrapper."""
    if isinstance(module, Layer):
        return module
    known = module.__dict__.get("_nnkit_layer")
    if known is None:
        where = type(module).__module__ + "."
        kinds = [kind for package, kind in _ADAPTERS.items() if where.startswith(package)]
        known = module.__dict__["_nnkit_layer"] = [*kinds, TorchModuleWrapper][0](module)
    if isinstance(known, TorchModuleWrapper) and known.training != module.training:
        known.training = module.training  # the model trains the module, not its wrapper
    return known


def intercept_modules() -> None:
    """Let torch modules be called on symbolic tensors; done once, at the first Input."""
    if getattr(nn.Module.__call__, "symbolic", False):
        return
    original = nn.Module.__call__

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if has_symbolic(args, kwargs):
            return as_layer(self)(*args, **kwargs)
        return original(self, *args, **kwargs)

    call.symbolic = True  # type: ignore[attr-defined]
    nn.Module.__call__ = call  # type: ignore[method-assign]
