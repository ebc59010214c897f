"""HDF5 files are written in one go and read piece by piece; their seal tells of damage."""

from __future__ import annotations

import errno
import io
import os
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from nnkit.errors import FileError
from nnkit.saving import hdf5, pieces
from nnkit.saving.checksum import BLOCK, Sum, part_sum
from nnkit.saving.file_part import Part, SummedPart
from nnkit.saving.hdf5 import reading
from nnkit.saving.hdf5_writer import new_file

VALUES: dict[str, torch.Tensor] = {
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "image kernel": torch.arange(48.0).reshape(2, 2, 3, 4).permute(2, 3, 1, 0),
    "number": torch.tensor(7),
    "half number": torch.tensor(1.5, dtype=torch.bfloat16),
    "empty": torch.zeros(0, 3),
    "flags": torch.tensor([True, False]),
    "complex": torch.tensor([1 + 2j, 3.0]),
    "halves": torch.arange(6, dtype=torch.bfloat16).reshape(3, 2).T,
    "bytes": torch.arange(5, dtype=torch.uint8),
    "doubles": torch.arange(9, dtype=torch.float64)[::2],
    "in parts": torch.arange(24).reshape(2, 3, 4).movedim(1, 0),
}


def write(path: Path, values: dict[str, torch.Tensor]) -> None:
    with new_file(path) as file:
        group = file.root.create_group("a/b")
        for key, value in values.items():
            file.add(group, key, value)


def read(path: Path, key: str) -> Any:
    with reading(path) as file:
        return file.arrays[f"a/b/{key}"].read()


@pytest.mark.parametrize("piece", [1, 50, 2**20])
def test_values_come_back(piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_PIECE", piece)
    path = tmp_path / "a.h5"
    write(path, VALUES)
    with reading(path) as file:
        assert sorted(file.arrays) == sorted(f"a/b/{key}" for key in VALUES)
        for key, value in VALUES.items():
            array = file.arrays[f"a/b/{key}"]
            array.check()
            assert (array.shape, array.size) == (tuple(value.shape), value.nbytes)
            torch.testing.assert_close(array.read(), value, rtol=0, atol=0)
            target = torch.full_like(value, 1)  # with the strides of the value
            assert array.read(target) is target
            torch.testing.assert_close(target, value, rtol=0, atol=0)
    with h5py.File(path) as theirs:
        np.testing.assert_array_equal(theirs["a/b/turned"], [[0, 3], [1, 4], [2, 5]])


def test_pieces_are_read_by_threads(tmp_path: Path) -> None:
    value = torch.arange(3_000_000.0).reshape(1500, 2000)
    write(tmp_path / "a.h5", {"x": value.T})
    assert value.nbytes > hdf5._MANY * BLOCK
    target = torch.nn.Parameter(torch.zeros(1500, 2000))
    with reading(tmp_path / "a.h5") as file, torch.no_grad():
        file.arrays["a/b/x"].read(target.T)
    assert torch.equal(target, value)


def test_what_hdf5_has_to_make(tmp_path: Path) -> None:
    value = np.arange(12.0).reshape(3, 4)
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file["behind a block"] = value
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("packed", data=value, compression="gzip")
        file.create_dataset("swapped", data=value, dtype=">f4")
        file.create_dataset("never written", (3, 4), "f8", fillvalue=2.0)
    for name in "ab":
        with reading(tmp_path / f"{name}.h5") as file:
            for key, array in file.arrays.items():
                assert array._start is None
                wanted = np.full_like(value, 2) if key == "never written" else value
                np.testing.assert_array_equal(array.read(), wanted)


def test_the_seal_tells_of_every_changed_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, {"x": torch.arange(100.0), "y": torch.arange(3)})
    data = path.read_bytes()
    for at in range(len(data) - 16):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        with pytest.raises(FileError, match="its checksum is another"), reading(path):
            pass
    path.write_bytes(data[:-16] + bytes(16) + data[-16:])
    with pytest.raises(FileError, match="its checksum is another"), reading(path):
        pass


def test_the_seal_tells_of_blocks_in_another_order(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, {"x": torch.arange(4 * BLOCK // 8)})
    data = path.read_bytes()
    first, second = data[BLOCK : 2 * BLOCK], data[2 * BLOCK : 3 * BLOCK]
    path.write_bytes(data[:BLOCK] + second + first + data[3 * BLOCK :])
    with pytest.raises(FileError, match="its checksum is another"), reading(path):
        pass


def test_the_sum_of_a_file_is_that_of_its_parts() -> None:
    data = np.random.default_rng(0).integers(0, 256, 3 * BLOCK + 5, np.uint8).tobytes()
    words = np.frombuffer(data + bytes(3), "<u8").astype(object)
    wanted = sum(  # as it is defined
        int(words[block * BLOCK // 8 : (block + 1) * BLOCK // 8].sum()) * 0x9E3779B97F4A7C15**block
        for block in range(4)
    )
    assert part_sum(data, 0) == wanted % 2**64
    whole = Sum()
    for start in range(0, len(data), 100_003):
        whole.add(data[start : start + 100_003])
    assert (whole.total % 2**64, whole.size) == (part_sum(data, 0), len(data))


def test_a_part_adds_up_what_is_read_of_it_in_any_steps() -> None:
    data = np.random.default_rng(1).integers(0, 256, 2 * BLOCK + 11, np.uint8).tobytes()
    size = len(data) - 7
    wanted = part_sum(data[7:], 0)
    for steps in (
        [],
        [(0, size)],
        [(5, 1000), (BLOCK - 3, 17), (2000, BLOCK)],  # what overlaps, and what lies apart
        [(size - 4, 100), (100, 0), (3, 1), (0, 4), (size, 8)],
    ):
        part = SummedPart(io.BytesIO(data), 7, size)
        for at, count in steps:
            assert part.bytes_at(at, count) == data[7 + at : 7 + at + count]
        assert part.total() == wanted
    broken = SummedPart(io.BytesIO(data[:-1]), 7, size)
    with pytest.raises(ValueError, match="breaks off"):
        broken.total()


def test_a_file_that_others_have_changed_has_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, {"x": torch.arange(3.0)})
    with h5py.File(path, "a") as file:
        file["a/b/x"][1] = 5
    assert read(path, "x").tolist() == [0, 5, 2]
    write(path, {"x": torch.arange(3.0)})
    path.write_bytes(path.read_bytes()[:-16])
    assert read(path, "x").tolist() == [0, 1, 2]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full disk to try")
@pytest.mark.parametrize("size", [10, 40 * BLOCK])
def test_a_full_disk_is_told(size: int) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        write(Path("/dev/full"), {"x": torch.zeros(size, dtype=torch.uint8)})
    assert caught.value.errno == errno.ENOSPC


def test_nothing_is_written_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name already exists"):
        write_twice(tmp_path / "a.h5")
    assert not os.listdir(tmp_path)


def write_twice(path: Path) -> None:
    with new_file(path) as file:
        file.add(file.root, "x", torch.zeros(3))
        file.add(file.root, "x", torch.zeros(3))


def with_text(path: Path) -> tuple[bytes, int]:
    """The bytes of a file with a text in an attribute, and where the text's place is given."""
    with h5py.File(path, "w") as file:
        for number in range(20):  # so that the head is in several parts
            file.attrs[f"other{number}"] = "x"
        file.attrs["name"] = "dense"
        file.attrs["many"] = ["a", "", "later"]
    data = path.read_bytes()
    return data, data.index(b"name\0") + 8 + 24 + 8


def text(path: Path, name: str = "name") -> Any:
    with reading(path) as file:
        return file.attribute(file.root, name)


def test_texts_are_read(tmp_path: Path) -> None:
    data, at = with_text(tmp_path / "a.h5")
    assert data[at : at + 4] == b"\5\0\0\0"
    assert text(tmp_path / "a.h5") == b"dense"
    assert text(tmp_path / "a.h5", "many") == [b"a", b"", b"later"]
    assert text(tmp_path / "a.h5", "none") is None
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=1024) as file:
        file.attrs["name"] = "behind a block"
    assert text(tmp_path / "a.h5") == b"behind a block"


@pytest.mark.parametrize("place", [0, 8, 2**32, 2**63, 2**64 - 1])
@pytest.mark.parametrize("length", [1, 5, 6, 2**31, 2**32 - 1])
def test_texts_that_are_not_where_they_should_be(place: int, length: int, tmp_path: Path) -> None:
    data, at = with_text(tmp_path / "a.h5")
    changed = struct.pack("<IQ", length, place)
    (tmp_path / "a.h5").write_bytes(data[:at] + changed + data[at + 12 :])
    with pytest.raises(FileError, match="its attribute 'name' is damaged, or no text"):
        text(tmp_path / "a.h5")


def test_a_type_that_the_library_crashes_at(tmp_path: Path) -> None:
    data, at = with_text(tmp_path / "a.h5")
    kind = at - 8 - 24 + 1
    assert data[kind - 1 : kind + 1] == b"\x19\1"
    (tmp_path / "a.h5").write_bytes(data[:kind] + b"\5" + data[kind + 1 :])
    with pytest.raises(FileError, match="its attribute 'name' is damaged, or no text"):
        text(tmp_path / "a.h5")


def test_a_part_is_a_file_of_its_own() -> None:
    part = Part(io.BytesIO(b"0123456789"), 2, 5)
    assert (part.read(), part.seek(-2, io.SEEK_END), part.read()) == (b"23456", 3, b"56")
    assert (part.bytes_at(4, 9), part.bytes_at(7, 1)) == (b"6", b"")
