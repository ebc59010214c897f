"""A file is replaced whole, or left as it was."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from nnkit.errors import FileError
from nnkit.saving import atomic
from nnkit.saving.atomic import check_room, replacing


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as part:
        assert part.parent == tmp_path
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError("disk full"), ValueError("x"), KeyboardInterrupt()])
@pytest.mark.parametrize("old", [None, "old"])
def test_an_error_leaves_everything_as_it_was(
    tmp_path: Path, error: BaseException, old: str | None
) -> None:
    path = tmp_path / "a.txt"
    if old is not None:
        path.write_text(old)

    def fail() -> None:
        with replacing(path) as part:
            part.write_text("half of")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert os.listdir(tmp_path) == ([] if old is None else ["a.txt"])
    assert old is None or path.read_text() == old


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_error_at_the_end_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def refuse(*args: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(atomic.os, step, refuse)
    with pytest.raises(OSError, match="no"), replacing(path) as part:
        part.write_text("new")
    assert os.listdir(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


def test_the_data_is_on_the_disk_before_the_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def note_replace(part: Path, target: Path) -> None:
        done.append("replace")
        replace(part, target)

    monkeypatch.setattr(atomic.os, "fsync", note_fsync)
    monkeypatch.setattr(atomic.os, "replace", note_replace)
    with replacing(tmp_path / "a.txt") as part:
        part.write_text("new")
    assert done == ["file", "replace", "folder"]


def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with replacing(link) as part:
        part.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with replacing(tmp_path / "a.txt") as part:
        part.write_text("new")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"there is no folder '.*nowhere'. Make it first"),
        replacing(tmp_path / "nowhere" / "a.txt"),
    ):
        pass


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path = tmp_path / "m.h5"
    with replacing(path) as part:
        part.write_text("1")
        mine = part.name  # of a process that lives: this one
    left_over = mine.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
    other_file = left_over.replace(".m.h5.", ".n.h5.")
    other_machine = left_over.replace(left_over[6:14], "00000000")
    stranger = ".m.h5.part"
    for name in (mine, left_over, other_file, other_machine, stranger):
        (tmp_path / name).write_text("half")
    with replacing(path) as part:
        part.write_text("2")
    kept = {mine, other_file, other_machine, stranger, "m.h5"}
    assert set(os.listdir(tmp_path)) == kept


def test_room_is_looked_for_before_it_is_needed(tmp_path: Path) -> None:
    check_room(tmp_path / "new" / "folder" / "m.h5", 10)
    assert os.listdir(tmp_path / "new" / "folder") == []
    with pytest.raises(FileError, match=r"need about 1000000000000 MB, but its disk has \d+ MB"):
        check_room(tmp_path / "m.h5", 10**18)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="Choose another folder"):
        check_room(tmp_path / "file" / "m.h5")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is of POSIX")
def test_a_process_killed_while_saving_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path, "200", "1"],
        capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[2]) > 50  # it was no idle test


@pytest.mark.parametrize("system", ["takes advice", "refuses it", "knows none"])
def test_what_flows_to_the_disk_is_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(atomic, "_STEP", 1000)
    if system == "refuses it":
        refuse = OSError(22, "Invalid argument")
        monkeypatch.setattr(atomic.os, "posix_fadvise", Mock(side_effect=refuse), raising=False)
    elif system == "knows none":
        monkeypatch.delattr(atomic.os, "posix_fadvise", raising=False)
    data = bytes(range(256)) * 40
    with replacing(tmp_path / "a") as part, atomic.flowing(part) as file:
        for start, stop in ((0, 1), (1, 900), (900, 901), (901, 7000), (7000, len(data))):
            assert file.write(data[start:stop]) == stop - start
        file.seek(2)
        file.write(b"xy")
        file.seek(0, os.SEEK_END)
        file.write(b"end")
    assert (tmp_path / "a").read_bytes() == data[:2] + b"xy" + data[4:] + b"end"


def test_a_file_that_may_not_be_read_can_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    refuse = Mock(side_effect=PermissionError(13, "Permission denied"))
    monkeypatch.setattr(atomic, "open", refuse, raising=False)  # also where root may read all
    with replacing(path) as part:
        part.write_text("new")
    refuse.assert_called_once()
    assert path.read_text() == "new"
