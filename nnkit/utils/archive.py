"""Unpack zip and tar files without letting any member out of its folder."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
import uuid
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from nnkit.errors import DownloadError, NnkitError, unknown_name

__all__ = ["extract_archive"]

_OF_THE_ARCHIVE = (None, errno.EINVAL, errno.ENOTDIR, errno.EISDIR)


def extract_archive(
    archive: Path, folder: Path, formats: str | Iterable[str] | None, renew: bool = True
) -> None:
    """Unpack an archive; every name in it is checked before anything is written.

    Args:
        archive: a zip or tar file, tar also compressed.
        folder: where the contents go; it appears only when all of them are there.
        formats: "tar", "zip", several of them, or "auto" for both.
        renew: unpack over a folder that exists; it is left alone otherwise.

    Raises: DownloadError for a file that is no such archive, is damaged, or has a member or link
        that leads outside the folder.
    """
    if folder.exists() and not renew:
        return
    known = ("tar", "zip")
    wanted = known if formats == "auto" else (formats,) if isinstance(formats, str) else formats
    scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    scratch.mkdir()
    try:
        for kind in wanted or ():
            if kind not in known:
                raise unknown_name("archive_format", kind, ["auto", *known])
            if kind == "tar" and tarfile.is_tarfile(archive):
                _unpack_tar(archive, scratch)
                break
            if kind == "zip" and zipfile.is_zipfile(archive):
                _unpack_zip(archive, scratch)
                break
        else:
            raise DownloadError(f"{archive} is no archive of the format {formats!r}.")
        if folder.exists():
            shutil.copytree(scratch, folder, symlinks=True, dirs_exist_ok=True)
        else:
            os.replace(scratch, folder)
    except NnkitError:
        raise
    except Exception as exc:  # each kind of compression has errors of its own
        if isinstance(exc, OSError) and exc.errno not in _OF_THE_ARCHIVE:
            raise  # a full disk, or a folder that may not be written
        raise DownloadError(f"{archive} is damaged: {exc}. Delete it and fetch it again.") from exc
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unpack_zip(archive: Path, scratch: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            _check_name(member.filename, archive)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _refusal(archive, member.filename, "is a link in a zip file")
        opened.extractall(scratch)


def _unpack_tar(archive: Path, scratch: Path) -> None:
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        links = {PurePosixPath(member.name) for member in members if member.issym()}
        for member in members:
            path = _check_name(member.name, archive)
            if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
                raise _refusal(archive, member.name, "is a device or pipe")
            # With no link on the way to any member, a link leads where its text says.
            if links.intersection(path.parents):
                raise _refusal(archive, member.name, "lies behind a link")
            if member.islnk():
                _check_name(member.linkname, archive)
            elif member.issym():
                _check_link(path, member, archive)
        # Python's own filter, where there is one, also resets owners and odd permissions.
        if hasattr(tarfile, "data_filter"):
            opened.extractall(scratch, members, filter="data")
        else:
            opened.extractall(scratch, members)
        # The checksum of the whole comes last, where nobody has looked yet.
        while opened.fileobj and opened.fileobj.read(1 << 20):
            pass


def _check_name(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or (path.parts and path.parts[0].endswith(":")):
        raise _refusal(archive, name, "is an absolute path")
    if ".." in path.parts:
        raise _refusal(archive, name, "leads outside the folder")
    return path


def _check_link(path: PurePosixPath, member: tarfile.TarInfo, archive: Path) -> None:
    target = PurePosixPath(member.linkname.replace("\\", "/"))
    ups = 0
    while ups < len(target.parts) and target.parts[ups] == "..":
        ups += 1
    # The steps up must come first: "a/../.." would climb from wherever a link "a" leads.
    if target.is_absolute() or ".." in target.parts[ups:] or ups > len(path.parent.parts):
        raise _refusal(archive, member.name, f"links to {member.linkname!r}, outside the folder")


def _refusal(archive: Path, name: str, why: str) -> DownloadError:
    return DownloadError(
        f"{archive.name} was not unpacked: its member {name!r} {why}. Do not trust this archive."
    )
