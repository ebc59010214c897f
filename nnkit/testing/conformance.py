"""What a conformance check is made of: properties, faults, and the error that tells of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from nnkit.errors import ArgumentError, NnkitError, unknown_name
from nnkit.tree import flatten

__all__ = ["Checklist", "ConformanceError", "Fault", "Property", "same", "tensors"]

Check = Callable[[Any], None]


class ConformanceError(NnkitError, AssertionError):
    """A layer, model or callback lacks a property that all of its kind have.

    Attributes:
        property: the name of the property, as `skip` takes it.
    """

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message, name)
        self.property = name

    def __str__(self) -> str:
        return str(self.args[0])


class Fault(Exception):  # noqa: N818 - says what came; the ConformanceError is what users see
    """What a check found in place of what a property promises.

    Args:
        came: what was found, to be read after "but".
        advice: what to do, where the property's own advice does not fit.
    """

    def __init__(self, came: str, advice: str | None = None) -> None:
        super().__init__(came)
        self.advice = advice


class Property(NamedTuple):
    """One thing to check: how, what is expected, and what to do when it is not so."""

    check: Check
    promise: str
    advice: str


class Checklist(dict[str, Property]):
    """Properties by name, checked in their order; the first that fails raises."""

    def add(self, name: str, promise: str, advice: str) -> Callable[[Check], Check]:
        """Put the decorated function at the end, as the check of the property `name`."""

        def enter(check: Check) -> Check:
            self[name] = Property(check, promise, advice)
            return check

        return enter

    def reasons(self, skip: Mapping[str, str] | None) -> dict[str, str]:
        """The properties to leave out, each with its reason.

        Raises: ArgumentError for a name that is no property, or a reason that is missing.
        """
        reasons = dict(skip or {}) if isinstance(skip, Mapping) or not skip else None
        if reasons is None:
            raise ArgumentError(f"skip must map properties to reasons, got {skip!r}.")
        for name, reason in reasons.items():
            if name not in self:
                raise unknown_name("property in skip", name, self)
            if not isinstance(reason, str) or not reason.strip():
                raise ArgumentError(
                    f"skip must say why: give {name!r} a reason in words, got {reason!r}."
                )
        return reasons

    def check(self, label: str, subject: Any, skip: Mapping[str, str] | None) -> None:
        """Check all properties of a subject but those in `skip`.

        Raises: ConformanceError for the first that it lacks.
        """
        left_out = self.reasons(skip)
        for name, (check, promise, advice) in self.items():
            if name in left_out:
                continue
            try:
                check(subject)
            except Fault as fault:
                advice = fault.advice or advice
                said = f"{label} fails {name!r}: expected {promise}, but {fault}. {advice}"
                raise ConformanceError(said, name) from fault.__cause__
            except Exception as error:
                came = f"{type(error).__name__} came: {_short(error)}"
                said = f"{label} fails {name!r}: expected {promise}, but {came}. {advice}"
                raise ConformanceError(said, name) from error


def _short(error: Exception) -> str:
    """The first lines of a message; those of the compiler run over pages."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return " ".join(lines[:3])[:300].rstrip(".")


def tensors(outputs: Any) -> list[torch.Tensor]:
    """The tensors in a nesting, in order."""
    return [leaf for leaf in flatten(outputs) if isinstance(leaf, torch.Tensor)]


def same(
    actual: Any, expected: Any, who: str, *, tolerance: float = 1e-5, dtypes: bool = True
) -> None:
    """Raise a Fault unless two nestings hold equal tensors.

    Args:
        actual, expected: the nestings.
        who: made `actual`, for the message: "the copy".
        tolerance: the largest difference, absolute for values up to 1 and relative above.
        dtypes: whether types must agree too.
    """
    ours, theirs = tensors(actual), tensors(expected)
    if len(ours) != len(theirs):
        raise Fault(f"{who} gave {len(ours)} tensors in place of {len(theirs)}")
    for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        place = f" {at}" if len(ours) > 1 else ""
        if one.shape != other.shape:
            raise Fault(f"{who} gave output{place} {tuple(one.shape)}, not {tuple(other.shape)}")
        if dtypes and one.dtype != other.dtype:
            raise Fault(f"{who} gave output{place} of {one.dtype}, not {other.dtype}")
        wide, known = one.detach().double(), other.detach().double()
        if not torch.allclose(wide, known, tolerance, tolerance, equal_nan=True):
            off = float((wide - known).abs().nan_to_num(torch.inf).max())
            raise Fault(f"{who} gave output{place} that differs by up to {off:.3g}")
