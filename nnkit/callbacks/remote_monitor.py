"""Send the logs of every epoch to a server."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
import warnings
from typing import Any

import numpy as np

from nnkit.callbacks.base import Callback
from nnkit.errors import ArgumentError

__all__ = ["RemoteMonitor"]

_SECONDS_TO_WAIT = 10


class RemoteMonitor(Callback):
    """Post the number of the epoch and its logs to a web server, as JSON.

    Args:
        root: address of the server, "http://localhost:9000".
        path: where on it.
        field: the name of the form's field that holds the JSON.
        headers: further HTTP headers, {name: value}.
        send_as_json: whether to send the JSON itself rather than a form.

    A server that cannot be reached within ten seconds is warned of; training goes on.

    Raises: ArgumentError for an address that does not begin with http:// or https://.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: dict[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        if not isinstance(root, str) or not root.startswith(("http://", "https://")):
            raise ArgumentError(
                f"RemoteMonitor expects a root that begins with http:// or https://, not {root!r}."
            )
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        sent = {name: _bare(value) for name, value in {**(logs or {}), "epoch": epoch}.items()}
        text = json.dumps({"epoch": sent.pop("epoch"), **sent})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        request = urllib.request.Request(
            self.root + self.path, body.encode(), {"Content-Type": kind, **(self.headers or {})}
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS_TO_WAIT):
                pass
        except urllib.error.HTTPError as answer:
            answer.close()  # it was reached; what it makes of the logs is its own affair
        except (OSError, http.client.HTTPException) as error:
            warnings.warn(
                f"RemoteMonitor could not reach {self.root} ({error}); training goes on.",
                stacklevel=2,
            )


def _bare(value: Any) -> Any:
    """Without NumPy, which JSON does not know."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
