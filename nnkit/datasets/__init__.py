"""Data sets: digits comes with nnkit, mnist is downloaded once."""

from __future__ import annotations

from nnkit.datasets import digits, mnist

__all__ = ["digits", "mnist"]
