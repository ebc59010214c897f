"""Whether the HDF5 library can be let read the texts in a file, which it does with too much trust.

An attribute whose text may have any length holds where in the file the text is, and how long.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from nnkit.errors import FileError
from nnkit.saving.file_part import Part

__all__ = ["check_texts"]

_COLLECTION, _TEXTS = b"GCOL\x01\0\0\0", 2**16
_ANY_LENGTH = 9  # the class of the type


def check_texts(part: Part, name: str) -> None:
    """Refuse a file in which attributes of this name cannot be read with little memory and time.

    Raises: FileError
    """
    try:
        lengths = list(_lengths(part, name))
    except (struct.error, ValueError):  # it breaks off
        lengths = []
    if not lengths or max(lengths) > part.size or not _come_to_an_end(part):
        raise FileError(f"the sizes of its texts are damaged, as that of {name!r}.")


def _lengths(part: Part, name: str) -> Iterator[float]:
    """What the texts claim to be long, which the library makes room for at once.

    An attribute begins with its version, and the sizes of its name, its type and its space, which
    follow, in version 1 each filled up to 8 bytes. Then come 16 bytes for each text, of which the
    first 4 are its length.
    """
    key = name.encode() + b"\0"
    for at in part.find(key):
        for version, head, fill in ((1, 8, 8), (2, 8, 1), (3, 9, 1)):
            begins, *sizes = struct.unpack("<BxHHH", part.bytes_at(at - head, 8))
            kind, space, data = (
                at + sum(-(-size // fill) * fill for size in sizes[:count]) for count in (1, 2, 3)
            )
            is_text = int.from_bytes(part.bytes_at(kind, 1), "little") % 16 == _ANY_LENGTH
            if (begins, sizes[0]) == (version, len(key)) and is_text:
                wanted = 16 * _entries(part.bytes_at(space, sizes[2]))
                found = part.bytes_at(data, min(wanted, part.size))
                yield from (length for length, *_ in struct.iter_unpack("<I12x", found))
                yield 0 if len(found) == wanted else math.inf


def _entries(space: bytes) -> int:
    """How many values a space has: after its version and its number of axes come their sizes."""
    version, axes = space[:2]
    start = 8 if version == 1 else 4
    return math.prod(struct.unpack_from(f"<{axes}Q", space, start))


def _come_to_an_end(part: Part) -> bool:
    """Whether the library would not go in a circle.

    Texts lie in collections: a head of 16 bytes, with the collection's size, then for each text a
    head of 16 bytes, with its number and size, and the text, filled up to 8 bytes. The library adds
    up these sizes with overflow.
    """
    left = _TEXTS
    for start in part.find(_COLLECTION):
        size = int.from_bytes(part.bytes_at(start + 8, 8), "little")
        at, end = start + 16, min(start + size, part.size)
        while at + 16 <= end:
            number, taken = struct.unpack("<H6xQ", part.bytes_at(at, 16))
            # Number 0 is what is free, with its own head.
            taken = taken if number == 0 else 16 + -(-taken // 8) * 8
            left -= 1
            if taken < 16 or at + taken > end or left < 0:
                return False
            at += taken
    return True
