"""RemoteMonitor, against a server in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from nnkit.callbacks import RemoteMonitor
from nnkit.errors import ArgumentError


class Server:
    def __init__(self, answer: int = 200) -> None:
        self.received: list[tuple[str, dict[str, str], str]] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                received.append((self.path, dict(self.headers), body))
                self.send_response(answer)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


LOGS = [{"loss": 0.5, "acc": np.float32(0.25)}, {"loss": 0.25, "each": np.array([1.0, 2.0])}]


def test_a_form(server: Server, model: Any, run: Any) -> None:
    run(model, RemoteMonitor(server.root), LOGS)
    assert [path for path, _, _ in server.received] == ["/publish/epoch/end/"] * 2
    sent = [json.loads(parse_qs(body)["data"][0]) for _, _, body in server.received]
    assert sent == [
        {"epoch": 0, "loss": 0.5, "acc": 0.25},
        {"epoch": 1, "loss": 0.25, "each": [1.0, 2.0]},
    ]
    kind = server.received[0][1]["Content-Type"]
    assert kind == "application/x-www-form-urlencoded"


def test_json(server: Server, model: Any, run: Any) -> None:
    callback = RemoteMonitor(server.root, "/here", headers={"X-Key": "7"}, send_as_json=True)
    run(model, callback, LOGS[:1])
    [(path, headers, body)] = server.received
    assert path == "/here"
    assert (headers["Content-Type"], headers["X-Key"]) == ("application/json", "7")
    assert json.loads(body) == {"epoch": 0, "loss": 0.5, "acc": 0.25}


def test_an_error_of_the_server_is_its_own_affair(model: Any, run: Any) -> None:
    server = Server(answer=500)
    try:
        run(model, RemoteMonitor(server.root), LOGS)
    finally:
        server.close()
    assert len(server.received) == 2


def test_nobody_there(model: Any, run: Any) -> None:
    server = Server()
    server.close()
    with pytest.warns(UserWarning, match=r"could not reach http://127.*training goes on"):
        done = run(model, RemoteMonitor(server.root), LOGS[:1])
    assert len(done) == 1


def test_refuses() -> None:
    with pytest.raises(ArgumentError, match="begins with http:// or https://, not 'file:///etc'"):
        RemoteMonitor("file:///etc")
