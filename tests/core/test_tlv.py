"""BER-TLV: what EMV's own documents show, what anybody can send, and that encoding and parsing are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tlv import DEPTH_MAX, OBJECTS_MAX, Tlv, TlvFault, encode, find, parse, walk

FCI = bytes.fromhex("6F1A840E325041592E5359532E4444463031A5088801025F2D02656E")
"""The answer of a card's directory (EMV Book 1, 11.3.4): its name, and a template with its file and language."""

tags = st.one_of(
    st.integers(1, 0xFF).filter(lambda tag: tag & 0x1F != 0x1F and not tag & 0x20),
    st.integers(0, 0x7F).map(lambda low: 0x9F00 | low),
    st.integers(0, 0x7F).map(lambda low: 0xDF8100 | low),
)
templates = st.sampled_from((0x6F, 0x70, 0xA5, 0xE1, 0xBF0C))


@st.composite
def trees(draw: st.DrawFn, depth: int = 1) -> bytes:
    if depth < DEPTH_MAX - 1 and draw(st.booleans()):
        inside = draw(st.lists(trees(depth=depth + 1), max_size=3))
        return encode(draw(templates), b"".join(inside))
    return encode(draw(tags), draw(st.binary(max_size=300)))


def test_a_directorys_answer() -> None:
    found = parse(FCI)
    assert find(found, 0x6F, 0x84) == b"2PAY.SYS.DDF01"
    assert find(found, 0x6F, 0xA5, 0x5F2D) == b"en"
    assert find(found, 0x6F, 0x50) is None
    assert [one.tag for one in walk(found)] == [0x6F, 0x84, 0xA5, 0x88, 0x5F2D]


def test_filling_between_objects_is_no_object() -> None:
    assert [one.value for one in parse(b"\0\0\x84\x01\xaa\0\x50\x01\xbb\0")] == [b"\xaa", b"\xbb"]


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        ("84", 1),  # no length
        ("9F", 1),  # half a tag
        ("9F81828384", 0),  # a tag without end
        ("8480", 1),  # an indefinite length
        ("8484000000", 1),  # a length in four bytes
        ("8482FF", 2),  # half a length
        ("8405AABB", 2),  # half a value
        ("6F038405AA", 4),  # half a value inside
    ],
)
def test_what_is_no_tlv_says_where(data: str, offset: int) -> None:
    with pytest.raises(TlvFault) as raised:
        parse(bytes.fromhex(data))
    assert raised.value.offset == offset


def test_depth_and_number_are_bounded() -> None:
    deep = b""
    for _ in range(DEPTH_MAX):
        deep = encode(0x6F, deep)
    parse(deep)
    with pytest.raises(TlvFault, match="deep"):
        parse(encode(0x6F, encode(0x6F, deep)))
    with pytest.raises(TlvFault, match="more than"):
        parse(b"\x84\x00" * (OBJECTS_MAX + 1))


def test_a_value_shows_nowhere() -> None:
    secret = b"4111111111111111"
    (one,) = parse(encode(0x5A, secret))
    assert "4111" not in repr(one)
    with pytest.raises(TlvFault) as raised:
        parse(encode(0x5A, secret)[:-1])
    assert "4111" not in str(raised.value)


@given(trees())
def test_what_was_encoded_is_found_again(data: bytes) -> None:
    def again(objects: tuple[Tlv, ...]) -> bytes:
        return b"".join(encode(one.tag, again(one.inside) if one.inside else one.value) for one in objects)

    assert again(parse(data)) == data


@given(st.binary(max_size=400))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        found = parse(data)
    except TlvFault as fault:
        offset = fault.offset
    else:
        offset = sum(len(one.value) for one in found)
    assert 0 <= offset <= len(data)


@pytest.mark.parametrize("tag", [0, 0x1F, 0x9F, 0x9F8182, 0x8401])
def test_no_tag_is_refused(tag: int) -> None:
    with pytest.raises(ValueError, match=r"tag|cut off"):
        encode(tag, b"")
