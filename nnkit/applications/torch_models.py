"""Torchvision's and timm's own networks as models."""

from __future__ import annotations

__all__ = ["from_torchvision"]


def from_torchvision() -> None:
    """To come."""
