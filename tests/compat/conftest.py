"""The hook, put in and taken out again; real Keras, if imported, is set aside meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nnkit.compat import install_as_keras, uninstall_as_keras


@pytest.fixture
def as_keras() -> Iterator[None]:
    install_as_keras(replace=True)
    yield
    uninstall_as_keras()
