"""get_file against file URLs and a small server that breaks connections on request."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nnkit.errors import ArgumentError, DownloadError
from nnkit.utils import download, get_file

DATA = bytes(range(256)) * 4000  # about a megabyte
SHA = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `data`; `plan` holds one word per request: ok, cut, wrong, or an error code."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[str] = []
        self.data = DATA
        self.version = '"1"'
        self.seen: list[tuple[str | None, int]] = []

    def url(self, name: str = "data.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}?query=1"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        server: Any = self.server
        word = server.plan.pop(0) if server.plan else "ok"
        wanted = self.headers.get("Range")
        code = int(word) if word.isdigit() else 200
        body = server.data if word != "wrong" else b"x" * len(server.data)
        start = 0
        if wanted and code == 200 and word != "whole":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if self.headers.get("If-Range", server.version) != server.version:
                start = 0
            elif start >= len(body):
                code = 416
            else:
                code = 206
        server.seen.append((wanted, code))
        self.send_response(code)
        if code == 416:
            self.send_header("Content-Range", f"bytes */{len(body)}")
        if code not in (200, 206):
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if code == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("ETag", server.version)
        if word != "lengthless":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if word == "change":
            server.version, server.data = '"2"', DATA[::-1]
        half = word in ("cut", "change")
        self.wfile.write(body[start : start + (len(body) - start) // 2] if half else body[start:])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(download, "_PAUSE", 0.001)
    monkeypatch.setenv("NNKIT_HOME", str(tmp_path / "home"))
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def kept(tmp_path: Path) -> list[str]:
    return sorted(item.name for item in (tmp_path / "home" / "datasets").iterdir())


def test_fetched_once_into_the_cache(server: Server, tmp_path: Path) -> None:
    path = get_file(origin=server.url(), file_hash=SHA)
    assert path == str(tmp_path / "home" / "datasets" / "data.bin")
    assert Path(path).read_bytes() == DATA
    assert get_file(origin=server.url(), file_hash=SHA.upper()) == path
    assert get_file(origin=server.url(), md5_hash=MD5) == path
    assert len(server.seen) == 1
    get_file(origin=server.url(), force_download=True)
    assert len(server.seen) == 2
    assert kept(tmp_path) == ["data.bin"]


def test_the_cache_follows_the_users_file_mode(server: Server) -> None:
    before = os.umask(0o027)
    try:
        path = Path(get_file(origin=server.url()))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("file_hash", [SHA, None])
def test_a_broken_connection_is_resumed(server: Server, tmp_path: Path, file_hash: Any) -> None:
    server.plan = ["cut", "503", "cut"]
    path = get_file(origin=server.url(), file_hash=file_hash)
    assert Path(path).read_bytes() == DATA
    half, more = len(DATA) // 2, len(DATA) * 3 // 4
    assert server.seen == [
        (None, 200),
        (f"bytes={half}-", 503),
        (f"bytes={half}-", 206),
        (f"bytes={more}-", 206),
    ]
    assert kept(tmp_path) == ["data.bin"]


def test_a_server_without_ranges_sends_all_again(server: Server) -> None:
    server.plan = ["cut", "whole"]
    assert Path(get_file(origin=server.url(), file_hash=SHA)).read_bytes() == DATA


def test_a_file_that_changes_midway_is_fetched_anew(server: Server) -> None:
    server.plan = ["change"]
    assert Path(get_file(origin=server.url())).read_bytes() == DATA[::-1]


def test_a_server_that_does_not_say_how_much(server: Server) -> None:
    server.plan = ["lengthless"]
    assert Path(get_file(origin=server.url(), file_hash=SHA)).read_bytes() == DATA


def test_what_was_fetched_is_kept_for_the_next_run(server: Server, tmp_path: Path) -> None:
    server.plan = ["cut", "500", "500", "500"]
    with pytest.raises(DownloadError, match=r"Cannot download http://127.*500.* save it as .*data"):
        get_file(origin=server.url(), file_hash=SHA)
    assert kept(tmp_path) == ["data.bin.part"]
    server.seen.clear()
    assert Path(get_file(origin=server.url(), file_hash=SHA)).read_bytes() == DATA
    assert server.seen == [(f"bytes={len(DATA) // 2}-", 206)]
    assert kept(tmp_path) == ["data.bin"]


@pytest.mark.parametrize("leftover", [b"other bytes", DATA, DATA + b"more"])
def test_a_leftover_part_is_checked(server: Server, tmp_path: Path, leftover: bytes) -> None:
    folder = tmp_path / "home" / "datasets"
    folder.mkdir(parents=True)
    (folder / "data.bin.part").write_bytes(leftover)
    assert Path(get_file(origin=server.url(), file_hash=SHA)).read_bytes() == DATA
    assert kept(tmp_path) == ["data.bin"]


def test_a_wrong_file_is_never_kept(server: Server, tmp_path: Path) -> None:
    server.plan = ["wrong"]
    with pytest.raises(DownloadError, match=f"whose sha256 is not {SHA}.* nothing was kept"):
        get_file(origin=server.url(), file_hash=SHA)
    assert kept(tmp_path) == []


def test_a_wrong_file_does_not_replace_a_right_one(server: Server, tmp_path: Path) -> None:
    path = get_file(origin=server.url(), file_hash=SHA)
    server.plan = ["wrong"]
    with pytest.raises(DownloadError, match="whose md5 is not"):
        get_file(origin=server.url(), md5_hash=MD5, force_download=True)
    assert Path(path).read_bytes() == DATA
    assert kept(tmp_path) == ["data.bin"]


def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server) -> None:
    path = Path(get_file(origin=server.url(), file_hash=SHA))
    path.write_bytes(DATA[:-1])
    with pytest.warns(UserWarning, match=r"data\.bin is damaged or outdated: fetching it again"):
        get_file(origin=server.url(), file_hash=SHA)
    assert path.read_bytes() == DATA


def test_a_missing_file_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    server.plan = ["404"]
    with pytest.raises(DownloadError, match="404"):
        get_file(origin=server.url())
    assert len(server.seen) == 1
    assert kept(tmp_path) == []


def test_no_server(server: Server) -> None:
    with pytest.raises(
        DownloadError, match=r"Cannot download http://127\.0\.0\.1:9/x: .*Check the co"
    ):
        get_file(origin="http://127.0.0.1:9/x")


def test_file_urls_and_folders(server: Server, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(DATA)
    path = get_file("copy", source.as_uri(), cache_subdir="a/b", cache_dir=tmp_path, file_hash=SHA)
    assert path == str(tmp_path / "a" / "b" / "copy")
    assert Path(path).read_bytes() == DATA
    other = get_file("copy", source.as_uri(), cache_subdir=str(tmp_path / "absolute"))
    assert other == str(tmp_path / "absolute" / "copy")
    with pytest.raises(DownloadError, match=r"Cannot download file://.*No such file"):
        get_file(origin=(tmp_path / "missing").as_uri())


def test_a_cache_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file, not a folder")
    with pytest.raises(DownloadError, match=r"Cannot write .* Set NNKIT_HOME or cache_dir"):
        get_file(origin=server.url(), cache_dir=tmp_path / "blocked")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "get_file needs origin"),
        ({"origin": "ftp://host/x"}, "expects a http, https or file URL, got 'ftp://host/x'"),
        ({"origin": "folder/x"}, "expects a http, https or file URL"),
        ({"origin": "http://host/"}, "does not end in a file name. Give fname"),
        ({"origin": "http://host/.."}, "a name without folders, got '..'"),
        ({"origin": "http://host/x", "fname": "a/b"}, "a name without folders, got 'a/b'"),
        ({"origin": "http://host/x", "fname": "..\\b"}, "a name without folders"),
        ({"origin": "http://host/x", "hash_algorithm": "sha1"}, "Unknown hash_algorithm 'sha1'"),
        ({"origin": "http://host/x", "file_hash": "abc"}, "64 hex digits .* got 3"),
        (
            {"origin": "http://host/x", "file_hash": MD5, "hash_algorithm": "sha256"},
            "got 32 for hash_algorithm='sha256'",
        ),
    ],
)
def test_unfit_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        get_file(**arguments)
