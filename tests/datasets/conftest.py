"""Caches in a folder of the test, and small files in the form of the real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from nnkit.datasets.files import RemoteFile

Serve = Callable[..., RemoteFile]


@pytest.fixture(autouse=True)
def _caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NNKIT_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Let a data set's module fetch this file, as if it were the one on the server."""

    def run(module: ModuleType, path: Path, name: str = "_FILE", **options: str) -> RemoteFile:
        known: RemoteFile = getattr(module, name)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        changed = {"origin": path.as_uri(), "file_hash": digest, **options}
        file = known._replace(**changed)
        monkeypatch.setattr(module, name, file)
        return file

    return run
