"""Magnetic stripes: bits, characters, readers' formats; a payment card's number is told by nothing and left nowhere."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import CardEncrypted, CardFault, CardGarbled, CardRefused, CardSwiped
from core.ports import ProtocolError
from core.stripe import CardRange
from drivers.codecs import msr_idtech, msr_magtek, msr_raw, msr_text
from drivers.codecs.hid_report import input_report
from drivers.codecs.msr import CardEvent, Decode, PausedFrames, ReportFrames, outcome
from drivers.codecs.track import characters, number_of
from drivers.simulated.msr import (
    KSN,
    idtech_message,
    idtech_report,
    magnesafe_report,
    magtek_report,
    raw_answer,
    track_bits,
    with_lrc,
)

RANGES = (CardRange(kind="loyalty", prefix="600649"), CardRange(kind="staff", prefix="98"))
LOYALTY = b";6006490000000004=4912?"
LOYALTY_1 = b"%B6006490000000004^MEMBER/A^4912?"
PAYMENT = b";4111111111111111=29121010000000000?"
PAYMENT_1 = b"%B4111111111111111^TEST/CARD^29121010000000000?"

digits = st.text("0123456789", min_size=4, max_size=19).map(str.encode)
track_2 = st.builds(
    lambda number, rest: b";" + number + b"=" + rest + b"?", digits, st.text("0123456789", max_size=15).map(str.encode)
)
track_1 = st.builds(
    lambda number, name: b"%B" + number + b"^" + name + b"^?",
    digits,
    st.text("ABCDEFGHIJ /", max_size=26).map(str.encode),
)


def judged(decode: Decode, message: bytes) -> CardEvent:
    return outcome("msr", decode(memoryview(bytearray(message))), RANGES)


# --- tracks -----------------------------------------------------------------------------------------------------------


@given(track_2, st.booleans())
def test_five_bit_characters_either_way(text: bytes, backwards: bool) -> None:
    assert str(characters(memoryview(track_bits(text, 2, backwards=backwards)), 2)) == str(bytearray(text))


@given(track_1, st.booleans())
def test_seven_bit_characters_either_way(text: bytes, backwards: bool) -> None:
    assert str(characters(memoryview(track_bits(text, 1, backwards=backwards)), 1)) == str(bytearray(text))


@given(track_2, st.data())
def test_one_wrong_bit_is_never_a_number(text: bytes, data: st.DataObject) -> None:
    bits = track_bits(text, 2)
    place = data.draw(st.integers(13, 13 + 5 * (len(text) + 1) - 1))  # within a character, the LRC's too
    bits[place >> 3] ^= 0x80 >> (place & 7)
    assert isinstance(characters(memoryview(bits), 2), CardFault)


def test_faults_of_bits_have_unifiedposs_names() -> None:
    bits = track_bits(LOYALTY, 2)
    assert characters(memoryview(bytearray(40)), 2) is CardFault.START
    assert characters(memoryview(bits)[:8], 2) is CardFault.END
    one_wrong = bytearray(bits)
    one_wrong[13 + 5 >> 3] ^= 0x80 >> (13 + 5 & 7)
    assert characters(memoryview(one_wrong), 2) is CardFault.PARITY
    two_wrong = bytearray(bits)  # within one character: its parity is right again, the track's is not
    for place in (13 + 5, 13 + 6):
        two_wrong[place >> 3] ^= 0x80 >> (place & 7)
    assert characters(memoryview(two_wrong), 2) is CardFault.LRC


@given(st.binary(max_size=80), st.sampled_from((1, 2, 3)))
def test_any_bits_are_characters_or_a_fault(bits: bytes, track: int) -> None:
    found = characters(memoryview(bits), track)
    assert isinstance(found, CardFault) or found.endswith(b"?")


@pytest.mark.parametrize(
    ("text", "track", "number"),
    [
        (LOYALTY, 2, b"6006490000000004"),
        (LOYALTY_1, 1, b"6006490000000004"),
        (b";98000123?", 2, b"98000123"),
        (b"%98000123^?", 1, b"98000123"),
        (b"%B3782 822463 10005^A/B^2912?", 1, b"378282246310005"),
        (b";=98?", 2, b""),
        (b"%CACITY^NAME^?", 1, b""),
        (with_lrc(LOYALTY, 2), 2, b"6006490000000004"),
        (with_lrc(LOYALTY_1, 1), 1, b"6006490000000004"),
    ],
)
def test_where_the_number_is(text: bytes, track: int, number: bytes) -> None:
    found = number_of(memoryview(bytearray(text)), track)
    assert not isinstance(found, CardFault)
    assert bytes(found) == number


@pytest.mark.parametrize(
    ("text", "track", "fault"),
    [
        (b"", 2, CardFault.START),
        (b"6006=?", 2, CardFault.START),
        (b"%6006^?", 2, CardFault.START),
        (b";6006490000000004=4912", 2, CardFault.END),
        (b";" + b"1" * 40 + b"?", 2, CardFault.END),
        (b";6006=?12", 2, CardFault.END),
        (b";6006A=?", 2, CardFault.PARITY),
        (b"%b6006^?", 1, CardFault.PARITY),
        (with_lrc(LOYALTY, 2)[:-1] + b"0", 2, CardFault.LRC),
    ],
)
def test_faults_of_characters(text: bytes, track: int, fault: CardFault) -> None:
    assert number_of(memoryview(bytearray(text)), track) is fault


@given(st.binary(max_size=120), st.sampled_from((1, 2, 3)))
def test_any_text_has_a_number_or_a_fault(text: bytes, track: int) -> None:
    found = number_of(memoryview(bytearray(text)), track)
    assert isinstance(found, CardFault) or bytes(found).isdigit() or not found


# --- formats ----------------------------------------------------------------------------------------------------------

IN_CLEAR: list[tuple[Decode, Callable[[dict[int, bytes]], bytes]]] = [
    (msr_magtek.decode, magtek_report),
    (msr_idtech.decode_report, magtek_report),
    (msr_idtech.decode_report, idtech_report),
    (msr_idtech.decode_report, lambda tracks: idtech_message(tracks, {}, kind=3).ljust(600, b"\0")),
    (msr_idtech.decode_message, lambda tracks: idtech_message(tracks, {}, kind=3)),
    (msr_idtech.decode_message, lambda tracks: idtech_message(tracks, {}, kind=3, enhanced=False)),
    (msr_raw.decode, raw_answer),
    (msr_raw.decode, lambda tracks: raw_answer(tracks, backwards=True, lowest_first=True)),
    (msr_text.decode, lambda tracks: b"".join(tracks[track] + b"\r" for track in sorted(tracks))),
    (msr_text.decode, lambda tracks: b"".join(tracks[track] for track in sorted(tracks)) + b"\r\n"),
    (msr_text.decode, lambda tracks: b"".join(with_lrc(tracks[track], track) for track in sorted(tracks)) + b"\r"),
]
ENCODERS: list[Callable[[dict[int, bytes]], bytes]] = [encode for _, encode in IN_CLEAR]
NAMES = [
    "magtek",
    "idtech-other",
    "idtech",
    "idtech-framed",
    "enhanced",
    "original",
    "raw",
    "raw-backwards",
    "lines",
    "together",
    "lrc",
]


@pytest.mark.parametrize(("decode", "encode"), IN_CLEAR, ids=NAMES)
def test_a_card_of_the_shop(decode: Decode, encode: Callable[[dict[int, bytes]], bytes]) -> None:
    taken = judged(decode, encode({1: LOYALTY_1, 2: LOYALTY}))
    assert isinstance(taken, CardSwiped)
    assert (taken.kind, taken.number) == ("loyalty", "6006490000000004")
    assert judged(decode, encode({2: b";98000123?"})) == CardSwiped(device="msr", kind="staff", number="98000123")


@pytest.mark.parametrize(("decode", "encode"), IN_CLEAR, ids=NAMES)
def test_a_payment_card_is_refused_untold(decode: Decode, encode: Callable[[dict[int, bytes]], bytes]) -> None:
    for tracks in ({1: PAYMENT_1, 2: PAYMENT}, {1: PAYMENT_1}, {2: PAYMENT}, {1: LOYALTY_1, 2: PAYMENT}):
        assert judged(decode, encode(tracks)) == CardRefused(device="msr", is_payment=True)


@pytest.mark.parametrize(("decode", "encode"), IN_CLEAR, ids=NAMES)
def test_a_card_of_nobodys_tells_its_last_digits(decode: Decode, encode: Callable[[dict[int, bytes]], bytes]) -> None:
    assert judged(decode, encode({2: b";7006490000001234=?"})) == CardRefused(
        device="msr", is_payment=False, last="1234"
    )
    assert judged(decode, encode({2: b";7001?"})) == CardRefused(device="msr", is_payment=False)


@pytest.mark.parametrize(
    ("decode", "message", "fault", "track"),
    [
        (msr_magtek.decode, magtek_report({}, failed=(1, 2)), CardFault.UNREADABLE, 1),
        (msr_magtek.decode, magtek_report({}), CardFault.UNREADABLE, 0),
        (msr_magtek.decode, magtek_report({2: LOYALTY})[:336], CardFault.TORN, 0),
        (msr_magtek.decode, magtek_report({2: b"6006=?"}), CardFault.START, 2),
        (msr_idtech.decode_report, idtech_report({}, failed=(2,)), CardFault.UNREADABLE, 2),
        (msr_idtech.decode_message, idtech_message({2: LOYALTY}, {}, kind=3)[:-1] + b"\x04", CardFault.TORN, 0),
        (msr_raw.decode, raw_answer({}), CardFault.UNREADABLE, 0),
        (msr_raw.decode, raw_answer({2: LOYALTY}).replace(b"\x1b\x02", b"\x1b\x07"), CardFault.TORN, 0),
        (msr_text.decode, b"%E?;E?\r", CardFault.UNREADABLE, 1),
        (msr_text.decode, b";6006490000000004=4912\r", CardFault.END, 2),
        (msr_text.decode, b"hello\r", CardFault.START, 0),
    ],
)
def test_a_swipe_without_a_number(decode: Decode, message: bytes, fault: CardFault, track: int) -> None:
    assert judged(decode, message) == CardGarbled(device="msr", fault=fault, track=track)


def test_two_tracks_that_disagree_are_no_card() -> None:
    torn = CardGarbled(device="msr", fault=CardFault.TORN)
    assert judged(msr_text.decode, LOYALTY_1 + LOYALTY.replace(b"000", b"00", 1) + b"\r") == torn
    assert judged(msr_text.decode, LOYALTY_1 + b";7006490000001234=?\r") == torn


def test_one_readable_track_is_enough() -> None:
    assert isinstance(judged(msr_magtek.decode, magtek_report({2: LOYALTY}, failed=(1, 3))), CardSwiped)


CIPHERS = {1: bytes(range(64)), 2: bytes(range(100, 140))}
MASKED = {1: b"%*4111********1111^TEST/CARD^2912*?*", 2: b";4111********1111=2912*?*"}


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (msr_magtek.decode, magnesafe_report(CIPHERS, MASKED)),
        (msr_idtech.decode_message, idtech_message(MASKED, CIPHERS)),
        (msr_idtech.decode_message, idtech_message(MASKED, CIPHERS, enhanced=False)),
        (msr_idtech.decode_report, idtech_message(MASKED, CIPHERS).ljust(600, b"\0")),
        (msr_idtech.decode_message, idtech_message({}, CIPHERS, kind=4)),
    ],
)
def test_an_encrypting_reader_is_carried_unseen(decode: Decode, message: bytes) -> None:
    carried = judged(decode, message)
    assert isinstance(carried, CardEncrypted)
    assert bytes(carried.ksn.view()) == KSN
    assert CIPHERS[2] in bytes(carried.data.view())
    assert "4111" not in repr(carried)
    assert KSN.hex() not in repr(carried)


@given(st.sampled_from(IN_CLEAR), st.binary(max_size=900))
def test_any_message_is_judged(how: tuple[Decode, object], message: bytes) -> None:
    judged(how[0], message)


@given(st.sampled_from([encode({1: PAYMENT_1, 2: PAYMENT}) for encode in ENCODERS]), st.data())
def test_a_payment_card_read_badly_is_never_the_shops(message: bytes, data: st.DataObject) -> None:
    """Whatever byte is wrong, nothing of the number is told: its last four digits at most."""
    broken = bytearray(message)
    broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    for decode, _ in IN_CLEAR:
        told = judged(decode, bytes(broken))
        assert not isinstance(told, CardSwiped)
        assert "11111" not in repr(told)


# --- frames -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=5, max_size=5), max_size=5), st.integers(1, 7))
def test_reports_are_cut_by_their_length(reports: list[bytes], step: int) -> None:
    frames = ReportFrames(4, is_numbered=True)
    found = [bytes(one) for piece in _pieces(b"".join(reports), step) for one in frames.feed(memoryview(piece))]
    assert found == [report[1:] for report in reports]
    assert not frames.is_pending


@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(1, 50))
def test_messages_are_cut_by_their_frame(ciphers: list[bytes], step: int) -> None:
    messages = [idtech_message({}, {1: cipher}) for cipher in ciphers]
    frames = msr_idtech.MessageFrames()
    found = [bytes(one) for piece in _pieces(b"".join(messages), step) for one in frames.feed(memoryview(piece))]
    assert found == messages
    assert not frames.is_pending


@given(st.lists(track_2, max_size=3), st.integers(1, 50))
def test_raw_answers_are_cut_by_their_blocks(cards: list[bytes], step: int) -> None:
    answers = [raw_answer({2: card}) for card in cards]
    said = b"\x1b0\x08\x08\x08" + b"\x1b0".join(answers)
    frames = msr_raw.RawFrames()
    found = [bytes(one) for piece in _pieces(said, step) for one in frames.feed(memoryview(piece))]
    assert found == answers
    assert not frames.is_pending


@given(st.lists(st.binary(max_size=1000), max_size=6))
def test_any_bytes_are_held_within_bounds(pieces: list[bytes]) -> None:
    for frames in (msr_idtech.MessageFrames(), msr_raw.RawFrames(), PausedFrames(), ReportFrames(337)):
        for piece in pieces:
            frames.feed(memoryview(piece))
        frames.pause()
        assert not frames.is_pending


def test_text_is_whole_when_a_pause_follows_its_end() -> None:
    frames = PausedFrames()
    frames.feed(memoryview(LOYALTY + b"\r"))
    assert bytes(frames.pause() or b"") == LOYALTY + b"\r"
    frames.feed(memoryview(LOYALTY))
    assert frames.pause() is None
    frames.feed(memoryview(b"\r" * 3000))
    assert frames.pause() is None


# --- the descriptor ---------------------------------------------------------------------------------------------------

DESCRIPTOR = bytes.fromhex(
    "0600ff0901a101150026ff0075080920950381020928950381020938950181020930956e81020931956e81020932956e8102c0"
)
"""A MagTek reader's: 3 statuses, 3 lengths, a card type, 3 fields of 110 bytes [99875191, report descriptor]."""


def test_the_length_of_reports() -> None:
    assert input_report(DESCRIPTOR) == (337, False)
    assert input_report(bytes.fromhex("8501750895048102" + "8502750895088102")) == (8, True)
    with pytest.raises(ProtocolError):
        input_report(b"\xc0")
    with pytest.raises(ProtocolError):
        input_report(DESCRIPTOR + b"\x27")


@given(st.binary(max_size=300))
def test_any_descriptor_has_a_length_or_is_refused(descriptor: bytes) -> None:
    try:
        length, _ = input_report(descriptor)
    except ProtocolError:
        length = 1
    assert length > 0


def _pieces(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]
