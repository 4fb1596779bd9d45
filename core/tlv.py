"""BER-TLV as EMV uses it: tag, length, value, taken apart without trust (ISO/IEC 8825-1; EMV Book 3, annex B).

Bounded in depth and in number of objects; definite lengths alone, as EMV allows no others. A fault names where it is,
never what stands there: a value may be a card's.
"""

from collections.abc import Iterator, Sequence

import msgspec

DEPTH_MAX = 8
OBJECTS_MAX = 512
TAG_BYTES_MAX = 4
LENGTH_BYTES_MAX = 3

_CONSTRUCTED = 0x20
_MORE_TAG = 0x1F


class TlvFault(ValueError):
    """The bytes are no BER-TLV. `offset` is where in the whole data it showed."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(f"{what}, at byte {offset}")
        self.offset = offset


class Tlv(msgspec.Struct, frozen=True, kw_only=True):
    """One data object: the number that is its tag's bytes (0x9F26), its value, and what is in it where it is constructed."""

    tag: int
    value: bytes
    inside: tuple["Tlv", ...] = ()

    def __repr__(self) -> str:
        """Without the value."""
        return f"Tlv(tag={self.tag:X}, {len(self.value)} bytes)"


def parse(data: bytes) -> tuple[Tlv, ...]:
    """All data objects in `data`, in order, those inside constructed ones too. Raises TlvFault.

    Bytes 00 between objects are filling and left out (EMV Book 3, annex B1).

    >>> parse(bytes.fromhex("6F078405A000000003"))[0].inside[0].value.hex()
    'a000000003'
    """
    found, _ = _objects(data, 0, 1, OBJECTS_MAX)
    return found


def find(objects: Sequence[Tlv], *path: int) -> bytes | None:
    """The value of the first object at `path`, a tag a level; None where there is none.

    >>> find(parse(bytes.fromhex("6F078405A000000003")), 0x6F, 0x84).hex()
    'a000000003'
    """
    for found in objects:
        if found.tag == path[0]:
            inner = find(found.inside, *path[1:]) if len(path) > 1 else found.value
            if inner is not None:
                return inner
    return None


def walk(objects: Sequence[Tlv]) -> Iterator[Tlv]:
    """Each object, and after it those inside it."""
    for found in objects:
        yield found
        yield from walk(found.inside)


def encode(tag: int, value: bytes) -> bytes:
    """One data object's bytes, its length in as few bytes as it takes. Raises ValueError for no tag, or too long a value.

    >>> encode(0x6F, encode(0x84, bytes.fromhex("A000000003"))).hex()
    '6f078405a000000003'
    """
    name = tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big")
    if tag <= 0 or _tag(name, 0, 0) != (tag, len(name)):
        raise ValueError(f"{tag:X} is no tag")
    length = len(value)
    if length < 0x80:
        return name + bytes((length,)) + value
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    if len(size) > LENGTH_BYTES_MAX:
        raise ValueError(f"a value of {length} bytes is too long")
    return name + bytes((0x80 | len(size),)) + size + value


def _objects(data: bytes, base: int, depth: int, room: int) -> tuple[tuple[Tlv, ...], int]:
    """The objects in `data`, which begins at `base` of the whole, and how many more there may be."""
    if depth > DEPTH_MAX:
        raise TlvFault(f"objects inside objects more than {DEPTH_MAX} deep", base)
    found: list[Tlv] = []
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        if room == 0:
            raise TlvFault(f"more than {OBJECTS_MAX} objects", base + at)
        room -= 1
        first = data[at]
        tag, at = _tag(data, at, base)
        length, at = _length(data, at, base)
        if length > len(data) - at:
            raise TlvFault(f"{length} bytes announced and {len(data) - at} there", base + at)
        value = data[at : at + length]
        inside: tuple[Tlv, ...] = ()
        if first & _CONSTRUCTED and value:
            inside, room = _objects(value, base + at, depth + 1, room)
        found.append(Tlv(tag=tag, value=value, inside=inside))
        at += length
    return tuple(found), room


def _tag(data: bytes, at: int, base: int) -> tuple[int, int]:
    """A tag and where its length begins."""
    start = at
    at += 1
    if data[start] & _MORE_TAG == _MORE_TAG:
        while True:
            if at == len(data):
                raise TlvFault("cut off in a tag", base + at)
            at += 1
            if at - start > TAG_BYTES_MAX:
                raise TlvFault(f"a tag of more than {TAG_BYTES_MAX} bytes", base + start)
            if data[at - 1] < 0x80:
                break
    return int.from_bytes(data[start:at], "big"), at


def _length(data: bytes, at: int, base: int) -> tuple[int, int]:
    """A length and where its value begins."""
    if at == len(data):
        raise TlvFault("cut off before a length", base + at)
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    count = first & 0x7F
    if not 0 < count <= LENGTH_BYTES_MAX:
        raise TlvFault("an indefinite length, or one in too many bytes", base + at - 1)
    if count > len(data) - at:
        raise TlvFault("cut off in a length", base + at)
    return int.from_bytes(data[at : at + count], "big"), at + count
