"""get_file: fetch a file once, check it, keep it."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from nnkit.arguments import path_text
from nnkit.errors import ArgumentError, DownloadError, unknown_name
from nnkit.utils.archive import extract_archive

__all__ = ["cache_folder", "get_file", "matches_hash"]

_TRIES = 4
_PAUSE = 0.5  # seconds before the second try; doubles with each one
_TIMEOUT = 60.0  # seconds without an answer
_BLOCK = 1 << 18  # bytes
_START = 8  # hex digits of a hash that may stand for all of it
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP codes that may be gone a moment later


def cache_folder() -> Path:
    """Where downloads are kept: $NNKIT_HOME, or ~/.nnkit."""
    return Path(os.environ.get("NNKIT_HOME", "~/.nnkit")).expanduser()


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | list[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """Download a file unless it is in the cache already, and give its path.

    Args:
        fname: name in the cache; the last part of the URL when None.
        origin: http, https or file URL.
        untar: extract a tar file; `extract=True` does so for every format.
        md5_hash: old spelling of file_hash for MD5.
        file_hash: SHA-256 or MD5 of the file, in hex; a file that does not match is not kept. With
            hash_algorithm="sha256" the first eight digits will do, as torch's file names have them.
        cache_subdir: folder below the cache; an absolute path is taken as it is.
        hash_algorithm: "sha256", "md5", or "auto" to tell by the hash's length.
        extract: unpack the archive, and give the folder with its contents.
        archive_format: "tar", "zip", a list of them, "auto" for both.
        cache_dir: the cache; $NNKIT_HOME or ~/.nnkit when None.
        force_download: fetch it again even if it is there.

    Raises: ArgumentError for unfit arguments; DownloadError if the file cannot be fetched, is
        damaged, or holds names that lead outside its folder.
    """
    if not isinstance(origin, str) or not origin:
        raise ArgumentError(f"get_file needs origin, the URL of the file, got {origin!r}.")
    place = path_text("get_file", "cache_dir", cache_folder() if cache_dir is None else cache_dir)
    if file_hash is None and md5_hash is not None:
        file_hash, hash_algorithm = md5_hash, "md5"
    algorithm = _algorithm(file_hash, hash_algorithm)
    file_name, folder_name = _names(fname, origin, extract or untar)
    folder = Path(place).expanduser() / cache_subdir
    target = folder / file_name
    fetch = force_download or not target.exists()
    if not fetch and file_hash and not matches_hash(target, file_hash, algorithm):
        warnings.warn(f"{target} is damaged or outdated: fetching it again.", stacklevel=2)
        fetch = True
    if fetch:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _download(origin, target, file_hash, algorithm)
        except DownloadError:
            raise
        except OSError as exc:
            raise DownloadError(
                f"Cannot write {target}: {exc}. Set NNKIT_HOME or cache_dir to a folder that can "
                f"be written."
            ) from exc
    if not (extract or untar):
        return str(target)
    extract_archive(target, folder / folder_name, "tar" if untar else archive_format, renew=fetch)
    return str(folder / folder_name)


def matches_hash(path: Path, file_hash: str, algorithm: str = "sha256") -> bool:
    """Whether a file has this hash, "sha256" or "md5" in hex, or one with this start."""
    with path.open("rb") as file:
        digits = hashlib.file_digest(file, algorithm).hexdigest()
    wanted = file_hash.strip().lower()
    return digits[:_START] == wanted if len(wanted) == _START else digits == wanted


def _algorithm(file_hash: str | None, algorithm: str) -> str:
    lengths = {64: "sha256", 32: "md5"}
    if algorithm not in ("auto", *lengths.values()):
        raise unknown_name("hash_algorithm", algorithm, ["auto", *lengths.values()])
    if file_hash is None:
        return "sha256"
    found = lengths.get(len(file_hash.strip()))
    if algorithm == "sha256" and len(file_hash.strip()) == _START:
        return algorithm
    if found is None or algorithm not in ("auto", found):
        raise ArgumentError(
            f"file_hash expects 64 hex digits (SHA-256) or 32 (MD5), got {len(file_hash)} "
            f"for hash_algorithm={algorithm!r}."
        )
    return found


def _names(fname: str | os.PathLike[str] | None, origin: str, extract: bool) -> tuple[str, str]:
    """The names of the file and of the folder it is extracted to, both as Keras has them."""
    parts = urllib.parse.urlsplit(origin)
    if parts.scheme not in ("http", "https", "file"):
        raise ArgumentError(f"origin expects a http, https or file URL, got {origin!r}.")
    name = path_text("get_file", "fname", fname) if fname else parts.path.rsplit("/", 1)[-1]
    if not name:
        raise ArgumentError(f"{origin!r} does not end in a file name. Give fname.")
    if name in (".", "..") or any(mark in name for mark in {"/", "\\", os.sep}):
        raise ArgumentError(
            f"fname expects a name without folders, got {name!r}. Folders go into cache_dir."
        )
    if not extract:
        return name, ""
    if fname and "." in name.lstrip("."):
        return name, f"{name.split('.')[0]}_extracted"
    return f"{name}_archive", name


def _download(origin: str, target: Path, file_hash: str | None, algorithm: str) -> None:
    # Each process works on a part file of its own. A part left by an earlier run is taken over by
    # renaming it, which only one process can do, and only with a hash that tells if it fits.
    leftover = target.with_name(target.name + ".part")
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    resumed = file_hash is not None and _take_over(leftover, part)
    part.touch()
    try:
        _Transfer(origin, part, target).run()
        if file_hash and resumed and not matches_hash(part, file_hash, algorithm):
            part.write_bytes(b"")
            _Transfer(origin, part, target).run()
        if file_hash and not matches_hash(part, file_hash, algorithm):
            size = part.stat().st_size
            part.write_bytes(b"")
            raise DownloadError(
                f"{origin} gave {size} bytes whose {algorithm} is not {file_hash}. "
                f"It was damaged on the way or has changed; nothing was kept."
            )
        os.replace(part, target)
    finally:
        if file_hash and part.exists() and part.stat().st_size:
            os.replace(part, leftover)
        part.unlink(missing_ok=True)


def _take_over(leftover: Path, part: Path) -> bool:
    try:
        os.replace(leftover, part)
    except FileNotFoundError:
        return False
    return True


class _Transfer:
    """Fills a part file, going on where it stops when the connection breaks.

    Args:
        origin: the URL.
        part: the file to fill; what it holds already is not fetched again.
        target: its final place, for messages.
    """

    def __init__(self, origin: str, part: Path, target: Path) -> None:
        self.origin = origin
        self.part = part
        self.target = target
        self._validator: str | None = None

    def run(self) -> None:
        """Fetch the rest, in several tries.

        Raises: DownloadError when the last try fails, or at once when trying again is no use.
        """
        pause = _PAUSE
        for attempt in range(1, _TRIES + 1):
            try:
                return self._try()
            except urllib.error.HTTPError as exc:
                exc.close()
                reason: Exception = exc
                again = exc.code in _PASSING
            except (OSError, http.client.HTTPException) as exc:
                reason = exc
                again = not self.origin.startswith("file:")
            if not again or attempt == _TRIES:
                raise DownloadError(
                    f"Cannot download {self.origin}: {reason}. "
                    f"Check the connection, or fetch it elsewhere and save it as {self.target}."
                ) from reason
            time.sleep(pause)
            pause *= 2
        return None

    def _try(self) -> None:
        have = self.part.stat().st_size
        request = urllib.request.Request(self.origin, headers={"User-Agent": "nnkit"})
        if have:
            request.add_header("Range", f"bytes={have}-")
            if self._validator:
                # A file that changed meanwhile is then sent from its beginning.
                request.add_header("If-Range", self._validator)
        try:
            response = urllib.request.urlopen(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as exc:
            if exc.code != 416 or not have:
                raise
            exc.close()
            # Nothing lies beyond what is here: it is complete, or not this file.
            if exc.headers.get("Content-Range", "") != f"bytes */{have}":
                self.part.write_bytes(b"")
                self._try()
            return
        with response:
            headers = response.headers
            self._validator = headers.get("ETag") or headers.get("Last-Modified")
            resuming = have > 0 and headers.get("Content-Range", "").startswith(f"bytes {have}-")
            with self.part.open("ab" if resuming else "wb") as file:
                self._copy(response, file, have if resuming else 0)

    def _copy(self, response: Any, file: BinaryIO, have: int) -> None:
        length = response.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        # disable=None shows the bar on a terminal only.
        with tqdm(
            total=total,
            initial=have,
            unit="B",
            unit_scale=True,
            desc=self.target.name,
            disable=None,
        ) as progress:
            while block := response.read(_BLOCK):
                file.write(block)
                progress.update(len(block))
        if total is not None and file.tell() != total:
            raise http.client.IncompleteRead(b"", total - file.tell())
