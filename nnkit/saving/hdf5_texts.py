"""Reading texts in attributes of HDF5 files, which the HDF5 library does with too much trust.

Given damaged sizes or places, it takes any amount of memory, goes in circles or crashes. This reads
what files of its first format have, which Keras, h5py and nnkit write unless told otherwise.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from nnkit.errors import FileError
from nnkit.saving.file_part import Part

__all__ = ["Texts"]

_STEPS = 2**17  # parts of the file that are looked at; a text takes a dozen
_ATTRIBUTE, _CONTINUED = 0x0C, 0x10  # kinds of messages in the head of an object
_TEXT = 9, 1  # the class and kind of a type: of any length, and a text


class Texts:
    """The texts in the attributes of a file.

    Args:
        part: the file.
        base: where its addresses are counted from.
    """

    def __init__(self, part: Part, base: int) -> None:
        self._part, self._base, self._left = part, base, _STEPS

    def read(self, address: int, name: str, limit: int) -> list[bytes]:
        """The texts of an attribute of the object with a head at this address.

        Raises: FileError when they are damaged, longer than `limit` in all, or of another format.
        """
        try:
            every = (_places(attribute, name) for attribute in self._attributes(address))
            places = next(found for found in every if found is not None)
            if sum(length for length, *_ in places) > limit:
                raise ValueError
            return [self._text(*place) for place in places]
        except FileError:
            raise
        except (struct.error, ValueError, IndexError, StopIteration) as error:
            raise FileError(f"its attribute {name!r} is damaged, or no text.") from error

    def _bytes(self, at: int, count: int) -> bytes:
        """Bytes that must be there."""
        self._left -= 1
        found = self._part.bytes_at(self._base + at, count) if self._left >= 0 else b""
        if len(found) < count:
            raise ValueError
        return found

    def _attributes(self, address: int) -> Iterator[bytes]:
        """The attributes in the head of an object: its size, and the messages that it consists of.

        A message can say where more of them are.
        """
        version, size = struct.unpack("<B7xI", self._bytes(address, 12))
        if version != 1:
            raise FileError(
                "its texts are kept in a newer HDF5 format, in which they are not read here. Write "
                "it without libver='latest'."
            )
        parts = [(address + 16, size)]
        for at, size in parts:
            end = at + size
            while at + 8 <= end:
                kind, length = struct.unpack("<HH4x", self._bytes(at, 8))
                if kind == _CONTINUED:
                    parts.append(struct.unpack("<QQ", self._bytes(at + 8, 16)))
                elif kind == _ATTRIBUTE:
                    yield self._bytes(at + 8, length)
                at += 8 + length

    def _text(self, length: int, collection: int, number: int) -> bytes:
        """A text by its length, and its number in a collection of texts.

        Such one has a head of 16 bytes, with its size, and for each text 16 bytes, with its number
        and size, before the text, which is filled up to 8 bytes.
        """
        if length == 0:
            return b""
        kind, size = struct.unpack("<8sQ", self._bytes(collection, 16))
        at = collection + 16
        while kind == b"GCOL\x01\0\0\0" and at + 16 <= collection + size:
            here, taken = struct.unpack("<H6xQ", self._bytes(at, 16))
            if here == number and taken >= length:
                return self._bytes(at + 16, length).rstrip(b"\0")
            if here == 0:  # what is free, at the end
                break
            at += 16 + -(-taken // 8) * 8
        raise ValueError


def _places(attribute: bytes, name: str) -> list[tuple[int, int, int]] | None:
    """Where the texts of an attribute are; None if it has another name.

    It begins with its version, and the sizes of its name, its type and its space, which follow, in
    version 1 each filled up to 8 bytes; then come the length, collection and number of each text.
    """
    version, *sizes = struct.unpack_from("<BxHHH", attribute)
    fill, at = (8 if version == 1 else 1), (9 if version == 3 else 8)
    parts = []
    for size in sizes:
        parts.append(attribute[at : at + size])
        at += -(-size // fill) * fill
    if parts[0].rstrip(b"\0") != name.encode():
        return None
    if (parts[1][0] % 16, parts[1][1] % 16) != _TEXT:
        raise ValueError
    # A space begins with its version and its number of axes, whose sizes come later.
    space = parts[2]
    axes = struct.unpack_from(f"<{space[1]}Q", space, 8 if space[0] == 1 else 4)
    count = math.prod(axes)
    if count * 16 > len(attribute) - at:
        raise ValueError
    return [struct.unpack_from("<IQI", attribute, at + 16 * index) for index in range(count)]
