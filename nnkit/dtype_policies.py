"""Dtype policies: what a layer computes in, and what its weights are kept in."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

import torch

from nnkit.dtypes import to_dtype
from nnkit.errors import ArgumentError

__all__ = [
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "deserialize",
    "dtype_policy",
    "get",
    "serialize",
    "set_dtype_policy",
]

_MIXED = {"mixed_float16": torch.float16, "mixed_bfloat16": torch.bfloat16}
_QUANTIZED = ("int8_", "int4_", "int4/", "float8_", "gptq", "awq")
_set: list[DTypePolicy] = []


class DTypePolicy:
    """The dtypes of a layer, by a name.

    Args:
        name: a dtype such as "float32" for weights and computation alike, or "mixed_bfloat16" or
            "mixed_float16": weights in float32, computation in the shorter type. The global
            policy when None.

    Raises: ArgumentError for a name that is none of these.

    Example: `Dense(10, dtype=DTypePolicy("mixed_bfloat16"))`, or just the name.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name: str = dtype_policy().name if name is None else name
        self.compute_type, self.variable_type = _types(self.name)

    @property
    def compute_dtype(self) -> str:
        """What inputs are cast to, by name."""
        return _name_of(self.compute_type)

    @property
    def variable_dtype(self) -> str:
        """What weights are made and kept in, by name."""
        return _name_of(self.variable_type)

    @property
    def quantization_mode(self) -> None:
        """Always None: weights are not quantized here."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this policy again."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The policy of a config made by `get_config`."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


class FloatDTypePolicy(DTypePolicy):
    """Another name of `DTypePolicy`, which older configs have."""


class DTypePolicyMap(DTypePolicy, MutableMapping[str, DTypePolicy]):
    """A policy for each layer by its name, and one for all others.

    Args:
        default_policy: of layers that no key fits; the global policy when None.
        policy_map: policies by layer names, or by regular expressions for whole names.

    Raises: ArgumentError for a key given twice, or a name that several expressions fit.

    Example: `DTypePolicyMap("mixed_bfloat16", {"probabilities": "float32"})`
    """

    def __init__(self, default_policy: Any = None, policy_map: Any = None) -> None:
        if isinstance(default_policy, DTypePolicyMap):
            raise ArgumentError("The default_policy of a DTypePolicyMap cannot be a map itself.")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise ArgumentError(f"policy_map must be a dict, got {policy_map!r}.")
        self._given = default_policy
        self._policies: dict[str, DTypePolicy] = {}
        for key, policy in (policy_map or {}).items():
            self[key] = policy
        super().__init__(get(default_policy).name)
        self.name = f"map_{self.default_policy.name}"

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of layers that are not in the map."""
        return get(self._given)

    def __getitem__(self, key: str) -> DTypePolicy:
        if key in self._policies:
            return self._policies[key]
        fitting = [pattern for pattern in self._policies if re.fullmatch(pattern, key)]
        if len(fitting) > 1:
            raise ArgumentError(f"{key!r} fits several keys of the DTypePolicyMap: {fitting}.")
        return self._policies[fitting[0]] if fitting else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policies:
            raise ArgumentError(f"The DTypePolicyMap has the key {key!r} already; delete it first.")
        self._policies[key] = get(policy)

    def __delitem__(self, key: str) -> None:
        del self._policies[key]

    def __contains__(self, key: object) -> bool:
        return key in self._policies

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)

    def get_config(self) -> dict[str, Any]:
        given = self._given
        return {
            "default_policy": given if given is None or isinstance(given, str) else given.name,
            "policy_map": {key: serialize(policy) for key, policy in self._policies.items()},
        }

    __hash__ = DTypePolicy.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicyMap) and self.get_config() == other.get_config()

    def __repr__(self) -> str:
        return f"<DTypePolicyMap default={self.default_policy.name!r}, {self._policies!r}>"


_CLASSES = {kind.__name__: kind for kind in (DTypePolicy, FloatDTypePolicy, DTypePolicyMap)}


def dtype_policy() -> DTypePolicy:
    """The global policy: what `set_dtype_policy` was given, or else torch's default dtype."""
    return _set[0] if _set else DTypePolicy(_name_of(torch.get_default_dtype()))


def set_dtype_policy(policy: Any) -> None:
    """Choose the policy of layers made from now on; None for torch's default dtype.

    Args:
        policy: a name such as "mixed_bfloat16", a policy or its config.
    """
    found = None if policy is None else get(policy)
    _set[:] = [] if found is None else [found]


def get(identifier: Any) -> DTypePolicy:
    """A policy, from anything that names one.

    Args:
        identifier: None for the global policy, a policy (returned as it is), a name, a dtype of
            torch or NumPy, or a config.

    Raises: ArgumentError for anything else.
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    try:
        return DTypePolicy(_name_of(to_dtype(identifier)))
    except ArgumentError:
        raise ArgumentError(
            f"dtype must be a name such as 'float32' or 'mixed_bfloat16', or a DTypePolicy, "
            f"got {identifier!r}."
        ) from None


def serialize(policy: DTypePolicy) -> dict[str, Any]:
    """The config of a policy, as Keras writes it."""
    return {
        "module": "keras.dtype_policies" if isinstance(policy, DTypePolicyMap) else "keras",
        "class_name": type(policy).__name__,
        "config": policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The policy of a config made by `serialize`, here or in Keras.

    Args:
        config: with "class_name" and "config".
        custom_objects: further classes by name.

    Raises: ArgumentError for a class there is not.
    """
    known = {**_CLASSES, **(custom_objects or {})}
    name = config.get("class_name")
    if name not in known:
        raise ArgumentError(
            f"There is no dtype policy of the class {name!r}. Known: {', '.join(sorted(known))}."
        )
    return known[name].from_config(config.get("config") or {})


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _types(name: Any) -> tuple[torch.dtype, torch.dtype]:
    if not isinstance(name, str):
        raise ArgumentError(f"The name of a DTypePolicy must be a string, got {name!r}.")
    if name in _MIXED:
        return _MIXED[name], torch.float32
    if name.startswith(_QUANTIZED):
        raise ArgumentError(
            f"The dtype policy {name!r} quantizes, which nnkit does not. Quantize with torch, or "
            f"use 'float32', 'bfloat16' or 'mixed_bfloat16'."
        )
    try:
        found = to_dtype(name)
    except ArgumentError:
        raise ArgumentError(
            f"Unknown dtype policy {name!r}. Use 'mixed_bfloat16', 'mixed_float16', or the name of "
            f"a dtype such as 'float32'."
        ) from None
    return found, found
