"""Raw traffic as a file: nothing of a card in it, however it comes, and everything else as it was."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.card import wipe
from core.wallet import CPM_BEGIN, hide
from drivers.codecs.recording import ByteMask, Heading, KeyMask, Piece, read
from drivers.tap import Source
from tests.drivers.typing_scanner import alt_code, press, typed

PAN = "4111111111111111"
TRACK_1 = "%B4111111111111111^DOE/JANE^29121010000?"
TRACK_2 = ";4111111111111111=29121010123?"
EVENT = struct.Struct("@llHHi")


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


def kept(pieces: list[Piece], source: Source = "device") -> bytes:
    return b"".join(bytes.fromhex(piece.data) for piece in pieces if piece.source == source)


def passed(mask: ByteMask | KeyMask, pieces: list[bytes]) -> list[Piece]:
    found = [piece for at_ms, data in enumerate(pieces) for piece in mask.feed(at_ms, "device", data)]
    return found + mask.finish()


def events(keys: list[tuple[int, int]]) -> bytes:
    return b"".join(
        EVENT.pack(0, 0, 4, 4, 0x70000 + code) + EVENT.pack(0, 0, 1, code, value) + EVENT.pack(0, 0, 0, 0, 0)
        for code, value in keys
    )


@pytest.mark.parametrize("secret", [PAN, "4111 1111 1111 1111", "4111-1111-1111-1111", TRACK_1, TRACK_2])
@pytest.mark.parametrize("parity", [0, 0x80])
@given(places=st.lists(st.integers(0, 400), max_size=60))
def test_a_card_is_starred_however_it_is_cut(secret: str, parity: int, places: list[int]) -> None:
    data = bytes(byte | parity for byte in f"before\r{secret}\rafter 1234567890128\r".encode())
    found = kept(passed(ByteMask(), cut(data, places)))
    plain = bytes(byte & 0x7F for byte in found).decode()
    assert len(found) == len(data)
    assert wipe(plain) == plain
    assert "111111111111" not in plain
    assert "DOE" not in plain
    assert "before" in plain
    assert "after" in plain


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_what_is_kept_is_as_long_as_what_passed_and_in_its_order(pieces: list[bytes]) -> None:
    found = passed(ByteMask(), pieces)
    whole = b"".join(pieces)
    assert len(kept(found)) == len(whole)
    assert all(was == now or now == ord("*") for was, now in zip(whole, kept(found), strict=True))
    assert [piece.at_ms for piece in found] == sorted(piece.at_ms for piece in found)


def test_both_ways_are_kept_apart() -> None:
    mask = ByteMask()
    found = mask.feed(0, "device", PAN[:8].encode()) + mask.feed(1, "till", b"W") + mask.feed(2, "till", b"\r")
    found += mask.feed(3, "device", PAN[8:].encode()) + mask.finish()
    assert kept(found, "till") == b"W\r"
    assert kept(found) == b"*" * 12 + b"1111"


def test_an_endless_line_is_not_held_for_ever() -> None:
    mask = ByteMask()
    found = [piece for at_ms in range(200) for piece in mask.feed(at_ms, "device", b"x" * 64)]
    assert len(kept(found)) > 100 * 64
    tail = PAN.encode()
    found += mask.feed(200, "device", b"y" * 5000 + tail[:9]) + mask.feed(201, "device", tail[9:]) + mask.finish()
    assert tail not in kept(found)
    assert b"411111111" not in kept(found)


@given(places=st.lists(st.integers(0, 20_000), max_size=40))
def test_keys_of_a_card_tell_nothing(places: list[int]) -> None:
    data = events(typed("1234567890128")) + events(typed(PAN)) + events(typed("after"))
    found = kept(passed(KeyMask(), cut(data, places)))
    assert len(found) == len(data)
    size = len(events(typed(PAN)))
    start = len(events(typed("1234567890128")))
    assert found[:start] == data[:start]
    assert found[start + size :] == data[start + size :]
    card = [EVENT.unpack(found[at : at + EVENT.size]) for at in range(start, start + size, EVENT.size)]
    assert {code for _, _, kind, code, _ in card if kind == 1} == {11, 28}
    assert {value for _, _, kind, _, value in card if kind == 4} == {0}


@pytest.mark.parametrize("set_to", ["us", "fr", "de"])
def test_a_track_typed_by_a_wedge(set_to: str) -> None:
    data = events(typed(";4111111111111111=2912", set_to))
    assert kept(passed(KeyMask(), [data])) != data


def test_a_card_typed_by_the_numbers_of_its_digits() -> None:
    data = events([key for digit in PAN for key in alt_code(f"0{ord(digit):03}")] + press(28))
    assert kept(passed(KeyMask(), [data])) != data


@pytest.mark.parametrize("aim", ["", "]Q1"])
@pytest.mark.parametrize("code", ["281234567890123456", "134567890123456789", f"{CPM_BEGIN}YTtPB6AAAAAA"])
def test_a_phones_code_is_starred(aim: str, code: str) -> None:
    line = f"4006381333931\r{aim}{code}\r".encode()
    found = kept(passed(ByteMask(), [line]))
    assert found == f"4006381333931\r{aim}{'*' * len(code)}\r".encode()


def test_an_item_is_none_of_a_phones_codes() -> None:
    text = "]d2010400638133393117261231\r]C100340123450000000000\r4006381333931\r]E04006381333931"
    assert hide(text) == text


@pytest.mark.parametrize("code", ["281234567890123456", f"{CPM_BEGIN}YTtPB6AAAAAA"])
def test_keys_of_a_phones_code_tell_nothing(code: str) -> None:
    data = events(typed(code))
    assert kept(passed(KeyMask(), [data])) != data


def test_a_recording_is_read_back() -> None:
    heading = Heading(device="desk", driver="scanner-serial", started_ms=1, options={"baud": 9600})
    lines = [b'{"recording":1,"device":"desk","driver":"scanner-serial","started_ms":1,"options":{"baud":9600}}\n']
    lines.append(b'{"at_ms":5,"source":"device","data":"0d0a"}\n')
    assert read(lines) == (heading, [Piece(at_ms=5, source="device", data="0d0a")])


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_what_is_no_recording_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"line|empty"):
        read(lines)


@pytest.mark.parametrize(
    "line", [b'{"at_ms":5,"source":"device","data":"0x"}', b'{"at_ms":5,"source":"sea","data":""}', b"[]", b"{"]
)
def test_a_damaged_line_is_named(line: bytes) -> None:
    with pytest.raises(ValueError, match="line 2 is no line of a recording"):
        read([b'{"recording":1,"device":"d","driver":"scanner-serial","started_ms":1}', line])
