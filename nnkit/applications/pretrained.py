"""Weights from Keras's servers, from torchvision's, and from files; each found, fetched, loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nnkit.errors import ArgumentError
from nnkit.models import Model
from nnkit.saving import load_torch, load_weights
from nnkit.saving.weights import read_state
from nnkit.utils.download import get_file, matches_hash
from nnkit.weights import WeightOwner

__all__ = ["Source", "Torchvision", "find_source"]

_ENDINGS = (".h5", ".hdf5", ".keras", ".pt", ".pth", ".safetensors")
_TORCH_MEAN = [0.485, 0.456, 0.406]


@dataclass(frozen=True)
class Torchvision:
    """Torchvision's version of a network.

    Attributes:
        url: of its usual weights; the file's name ends in the start of their SHA-256.
        names: the torchvision module that a layer of ours takes its weights from.
        top: how the names of its classifier's modules begin.
        preprocessing: what the weights were trained on.
        adapt: changes the names or shapes in a state_dict that differ further.
    """

    url: str
    names: Callable[[str], str]
    top: str
    preprocessing: str = "torch"
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Source:
    """Where the weights of a network come from.

    Attributes:
        origin: "" (nowhere), "imagenet", "torchvision" or "file".
        location: a URL or a path.
        file_hash: of the file behind a URL: MD5, SHA-256 or its first eight digits.
        torchvision: how torchvision names the weights, if they may be its.
    """

    origin: str = ""
    location: str = ""
    file_hash: str | None = None
    torchvision: Torchvision | None = None

    @property
    def is_imagenet(self) -> bool:
        """Whether these are downloaded weights, for 1000 classes and 3 channels."""
        return self.location.startswith("https:")

    @property
    def preprocessing(self) -> str | None:
        """What the weights want, if that is not what Keras's want."""
        other = self.origin == "torchvision" and self.torchvision is not None
        return self.torchvision.preprocessing if other and self.torchvision else None

    def fetch(self) -> Path | None:
        """The file: downloaded and checked unless it is there; None without weights.

        A file that Keras or torch has fetched into its own cache is taken from there.
        """
        if self.origin == "" or not self.is_imagenet:
            return Path(self.location).expanduser() if self.location else None
        name = self.location.rsplit("/", 1)[1]
        digits = self.file_hash
        kind = "md5" if digits and len(digits) == 32 else "sha256"
        for folder in (_keras_cache(), Path(torch.hub.get_dir()) / "checkpoints"):
            known = folder / name
            if digits and known.is_file() and matches_hash(known, digits, kind):
                return known
        path = get_file(
            name, self.location, cache_subdir="models", file_hash=digits, hash_algorithm=kind
        )
        return Path(path)

    def load(self, model: Model, path: Path) -> None:
        """Fill the model; nothing is changed unless all of it fits."""
        if self.origin == "torchvision" and self.torchvision is not None:
            _load_torchvision(model, path, self.torchvision)
        else:
            load_weights(model, path)


def _keras_cache() -> Path:
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def find_source(
    weights: Any,
    name: str,
    files: tuple[tuple[str, str | None], tuple[str, str | None]] | None,
    torchvision: Torchvision | None,
    include_top: bool,
) -> Source:
    """What the argument `weights` means.

    Raises: ArgumentError for an unknown word, a file that is not there, or weights that are not
        of this network.
    """
    if weights is None:
        return Source()
    if hasattr(weights, "url") and hasattr(weights, "transforms"):
        return _from_enum(weights, name, torchvision)
    if isinstance(weights, str) and weights in ("imagenet", "torchvision"):
        if weights == "imagenet":
            if files is None:
                raise ArgumentError(f"{name}: there are no ImageNet weights for these arguments.")
            url, digits = files[0 if include_top else 1]
            return Source("imagenet", url, digits)
        if torchvision is None:
            raise _without_torchvision(name)
        return _from_url(torchvision.url, torchvision)
    if not isinstance(weights, (str, os.PathLike)):
        raise ArgumentError(
            f"{name}: weights must be None, 'imagenet', 'torchvision', a member of torchvision's "
            f"weights or the path of a file, got {weights!r}."
        )
    path = Path(weights).expanduser()
    if not path.is_file():
        raise ArgumentError(
            f"{name}: weights must be None, 'imagenet', 'torchvision' or the path of a file, but "
            f"there is no file {str(path)!r}."
        )
    if not path.name.endswith(_ENDINGS):
        raise ArgumentError(
            f"{name}: a file of weights must end in {', '.join(_ENDINGS)}, got {str(path)!r}."
        )
    foreign = path.suffix in (".pt", ".pth") and torchvision and _is_torchvisions(path, torchvision)
    return Source("torchvision" if foreign else "file", str(path), None, torchvision)


def _from_url(url: str, torchvision: Torchvision) -> Source:
    digits = re.search(r"-([0-9a-f]{8})\.pth$", url)
    return Source("torchvision", url, digits[1] if digits else None, torchvision)


def _from_enum(weights: Any, name: str, torchvision: Torchvision | None) -> Source:
    if torchvision is None:
        raise _without_torchvision(name)
    given, usual = (
        re.split(r"[-.]", u.rsplit("/", 1)[1])[0] for u in (weights.url, torchvision.url)
    )
    if given != usual or getattr(weights.transforms(), "mean", None) != _TORCH_MEAN:
        raise ArgumentError(
            f"{name}: {weights} are weights of another network or for other pictures. "
            f"This one takes those of torchvision.models.{usual}."
        )
    return _from_url(weights.url, torchvision)


def _without_torchvision(name: str) -> ArgumentError:
    return ArgumentError(
        f"{name}: torchvision's network of this name pads or normalizes in another way, so its "
        f"weights would give other outputs here. Use weights='imagenet', or take torchvision's "
        f"own network: nnkit.applications.from_torchvision(...)."
    )


# -- torchvision's names ---------------------------------------------------------------------------


def _is_torchvisions(path: Path, torchvision: Torchvision) -> bool:
    """Whether the names in a file are torchvision's rather than ours."""
    return any(key.startswith((torchvision.top, "features.")) for key in read_state(path))


def _load_torchvision(model: Model, path: Path, torchvision: Torchvision) -> None:
    """Fill a model, with each layer's module told by name."""
    # Some of torchvision's files still have the names of its first versions.
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
    state = {old.sub(r"\1\2", key): value for key, value in read_state(path).items()}
    if torchvision.adapt is not None:
        state = torchvision.adapt(state)
    mapping = {}
    for place, layer in model.named_modules():
        if not isinstance(layer, WeightOwner) or not layer._own():
            continue
        module = torchvision.names(place.rpartition(".")[2])
        mapping[module] = place
        bias = getattr(layer, "bias", None)
        if bias is not None and f"{module}.weight" in state:
            # Torchvision leaves it out before a normalization.
            state.setdefault(f"{module}.bias", torch.zeros(bias.shape))
    left_out = tuple(name for name in (torchvision.top,) if not _has(mapping, name))
    state = {key: value for key, value in state.items() if not key.startswith(left_out)}
    load_torch(model, state, mapping)


def _has(names: Mapping[str, str], start: str) -> bool:
    return any(f"{name}.".startswith(start) for name in names)
