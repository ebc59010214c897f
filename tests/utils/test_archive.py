"""Unpacking archives, and refusing those that reach outside their folder."""

from __future__ import annotations

import errno
import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nnkit.errors import ArgumentError, DownloadError
from nnkit.utils import get_file

Member = tuple[str, Any]


def make_tar(path: Path, members: list[Member], mode: str = "w:gz") -> None:
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            else:
                info.type, info.linkname = content
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)


def make_zip(path: Path, members: list[Member]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            if isinstance(content, tuple):
                info.external_attr = 0o120777 << 16
                content = content[1].encode()
            archive.writestr(info, content)


GOOD: list[Member] = [("top.txt", b"top"), ("deep/er/a.txt", b"hello")]
SYM, HARD, PIPE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE


def unpack(archive: Path, tmp_path: Path, **options: Any) -> Path:
    options = {"extract": True, **options}
    return Path(get_file("data", archive.as_uri(), cache_dir=tmp_path / "cache", **options))


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (make_zip, {}),
        (make_tar, {}),
        (make_tar, {"untar": True, "extract": False}),
        (make_tar, {"archive_format": "tar"}),
        (make_zip, {"archive_format": ["zip"]}),
        (lambda path, members: make_tar(path, members, "w"), {}),
        (lambda path, members: make_tar(path, members, "w:xz"), {}),
    ],
)
def test_contents(make: Any, options: dict[str, Any], tmp_path: Path) -> None:
    make(tmp_path / "a", GOOD)
    folder = unpack(tmp_path / "a", tmp_path, **options)
    assert folder == tmp_path / "cache" / "datasets" / "data"
    assert (folder / "deep" / "er" / "a.txt").read_text() == "hello"
    assert sorted(os.listdir(folder.parent)) == ["data", "data_archive"]
    assert os.listdir(tmp_path / "cache") == ["datasets"]


def test_what_is_there_is_left_alone_until_fetched_anew(tmp_path: Path) -> None:
    make_zip(tmp_path / "a", GOOD)
    folder = unpack(tmp_path / "a", tmp_path)
    (folder / "top.txt").write_text("edited")
    (folder / "own.txt").write_text("mine")
    unpack(tmp_path / "a", tmp_path)
    assert (folder / "top.txt").read_text() == "edited"
    unpack(tmp_path / "a", tmp_path, force_download=True)
    assert (folder / "top.txt").read_text() == "top"
    assert (folder / "own.txt").read_text() == "mine"


def test_links_inside_are_kept(tmp_path: Path) -> None:
    members = [*GOOD, ("deep/link", (SYM, "../top.txt")), ("hard", (HARD, "top.txt"))]
    make_tar(tmp_path / "a", members)
    folder = unpack(tmp_path / "a", tmp_path)
    assert (folder / "deep" / "link").read_text() == (folder / "hard").read_text() == "top"


@pytest.mark.parametrize(
    ("make", "bad", "message"),
    [
        (make_tar, [("../evil", b"x")], "'../evil' leads outside the folder"),
        (make_zip, [("../evil", b"x")], "'../evil' leads outside the folder"),
        (make_zip, [("a/../../evil", b"x")], "leads outside the folder"),
        (make_zip, [("..\\evil", b"x")], "leads outside the folder"),
        (make_tar, [("/evil", b"x")], "'/evil' is an absolute path"),
        (make_zip, [("/evil", b"x")], "'/evil' is an absolute path"),
        (make_zip, [("C:/evil", b"x")], "'C:/evil' is an absolute path"),
        (make_zip, [("link", (SYM, "/etc"))], "'link' is a link in a zip file"),
        (make_tar, [("link", (SYM, "/etc"))], "links to '/etc', outside the folder"),
        (make_tar, [("link", (SYM, ".."))], "links to '..', outside the folder"),
        (make_tar, [("deep/link", (SYM, "../../x"))], "links to '../../x', outside the folder"),
        (make_tar, [("link", (SYM, "deep/../../x"))], "links to .* outside the folder"),
        (make_tar, [("hard", (HARD, "../x"))], "'../x' leads outside the folder"),
        (make_tar, [("hard", (HARD, "/etc/passwd"))], "is an absolute path"),
        (make_tar, [("link", (SYM, "deep")), ("link/x", b"x")], "'link/x' lies behind a link"),
        (make_tar, [("pipe", (PIPE, ""))], "'pipe' is a device or pipe"),
    ],
)
def test_nothing_is_unpacked_if_any_member_leads_out(
    make: Any, bad: list[Member], message: str, tmp_path: Path
) -> None:
    make(tmp_path / "a", [*GOOD, *bad])
    with pytest.raises(DownloadError, match=f"was not unpacked: its member .*{message}"):
        unpack(tmp_path / "a", tmp_path)
    assert sorted(os.listdir(tmp_path / "cache" / "datasets")) == ["data_archive"]
    assert sorted(os.listdir(tmp_path)) == ["a", "cache"]


def test_a_damaged_archive(tmp_path: Path) -> None:
    make_tar(tmp_path / "whole", [("a", os.urandom(50_000)), ("b", os.urandom(50_000))])
    (tmp_path / "a").write_bytes((tmp_path / "whole").read_bytes()[:70_000])
    with pytest.raises(DownloadError, match=r"data_archive is damaged: .* Delete it"):
        unpack(tmp_path / "a", tmp_path)
    assert os.listdir(tmp_path / "cache" / "datasets") == ["data_archive"]


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz", "zip", "zip bz2", "zip xz"])
def test_damage_inside_of_each_compression(mode: str, tmp_path: Path) -> None:
    data = os.urandom(2_000_000)  # several blocks, so that the first is whole
    if mode.startswith("zip"):
        methods = {"zip": zipfile.ZIP_DEFLATED, "zip bz2": zipfile.ZIP_BZIP2}
        with zipfile.ZipFile(tmp_path / "a", "w", methods.get(mode, zipfile.ZIP_LZMA)) as opened:
            opened.writestr("a", data)
    else:
        member = tarfile.TarInfo("a")
        member.size = len(data)
        with tarfile.open(tmp_path / "a", f"w:{mode}") as opened:
            opened.addfile(member, io.BytesIO(data))
    damaged = bytearray((tmp_path / "a").read_bytes())
    damaged[1_500_000:1_500_400] = bytes(400)
    (tmp_path / "a").write_bytes(damaged)
    with pytest.raises(DownloadError, match=r"data_archive is damaged: .* Delete it"):
        unpack(tmp_path / "a", tmp_path)
    assert os.listdir(tmp_path / "cache" / "datasets") == ["data_archive"]


def test_members_that_do_not_fit_together(tmp_path: Path) -> None:
    for bad in (("hard", (HARD, "nothing")), ("top/below", b"x")):
        make_tar(tmp_path / "a", [*GOOD, bad, ("top", b"x"), ("top/below", b"x")])
        with pytest.raises(DownloadError, match="data_archive is damaged"):
            unpack(tmp_path / "a", tmp_path)


def test_a_full_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    make_zip(tmp_path / "a", GOOD)
    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(tmp_path / "a", tmp_path)


@pytest.mark.parametrize("formats", ["auto", "zip", None, []])
def test_a_file_that_is_no_archive(formats: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("just text")
    with pytest.raises(DownloadError, match="is no archive of the format"):
        unpack(tmp_path / "a", tmp_path, archive_format=formats)


def test_an_unknown_format(tmp_path: Path) -> None:
    make_zip(tmp_path / "a", GOOD)
    with pytest.raises(ArgumentError, match=r"Unknown archive_format 'rar'\. Did you mean 'tar'"):
        unpack(tmp_path / "a", tmp_path, archive_format="rar")
