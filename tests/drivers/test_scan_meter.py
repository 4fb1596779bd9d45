"""How well a scanner reads, and what is said of one that does not."""

import pytest

from core.events import ScanFault
from drivers.codecs.scan import Framing, ScanDecoder, SoftwareParity, without_parity
from drivers.codecs.scan_meter import RECENT, RECENT_MIN, Quality, ScanMeter

EAN = b"4006381333931\r"


def with_parity(data: bytes, parity: int) -> bytes:
    """As a scanner set to 7 bits and a parity sends it. `parity` 0 is even, 1 odd."""
    return bytes(byte | 0x80 if byte.bit_count() & 1 != parity else byte for byte in data)


def test_counts_and_times() -> None:
    decoder = ScanDecoder("scanner", Framing(gap_s=0.1))
    for at_s, data in ((1.0, b"4006"), (1.002, b"3813"), (1.012, b"33931\r"), (2.0, EAN), (2.1, EAN), (3.0, b"400")):
        decoder.feed(data, at_s)
    decoder.expire(4.0)
    facts = decoder.meter.facts()
    assert (facts["reads"], facts["bad_reads"], facts["torn"], facts["doubled"]) == (3, 1, 1, 1)
    assert (facts["gap_p50_us"], facts["gap_max_us"]) == (6000, 10_000)
    assert (facts["code_p50_us"], facts["code_max_us"]) == (0, 12_000)
    assert (facts["bad_pct"], facts["quality"]) == (25, "good")


def test_wrong_check_digits_are_misreads() -> None:
    meter = ScanMeter()
    for data in ("4006381333932", "4006381333931", "ABC", "12345"):
        meter.read_at_once(data, 0.0)
    assert (meter.reads, meter.misreads, meter.bad_reads) == (4, 1, 0)


def test_a_scanner_that_goes_bad_is_flagged_and_recovers() -> None:
    meter = ScanMeter()
    for _ in range(RECENT):
        meter.read_at_once("4006381333931", 0.0)
    assert meter.facts()["quality"] == Quality.GOOD
    while meter.bad_pct < 15:
        meter.bad(ScanFault.TORN, b"40063")
    assert meter.facts()["quality"] == Quality.GOING_BAD
    for _ in range(RECENT):
        meter.read_at_once("4006381333931", 0.0)
    assert meter.facts()["quality"] == Quality.GOOD


def test_nothing_is_concluded_from_a_few() -> None:
    meter = ScanMeter()
    for _ in range(RECENT_MIN - 1):
        meter.bad(ScanFault.TORN, b"40063")
    assert meter.facts()["quality"] == Quality.GOOD
    meter.bad(ScanFault.TORN, b"40063")
    assert meter.facts()["quality"] == Quality.GOING_BAD


def test_a_wrong_baud_rate_is_told() -> None:
    decoder = ScanDecoder("scanner", Framing(gap_s=0.1))
    for at_s in range(3):
        decoder.feed(b"\xf8\x9c\x06\x98\xe6\x80\xf8\x18\x9e", at_s)
    decoder.expire(9.0)
    assert decoder.meter.quality is Quality.CHECK_BAUD


@pytest.mark.parametrize("parity", [0, 1])
def test_a_parity_in_bit_7_is_told(parity: int) -> None:
    decoder = ScanDecoder("scanner", Framing(gap_s=0.1))
    for at_s in range(4):
        decoder.feed(with_parity(EAN, parity), at_s)
    decoder.expire(9.0)
    assert decoder.meter.quality is Quality.CHECK_PARITY


@pytest.mark.parametrize(("name", "parity"), [("even", 0), ("odd", 1), ("any", 0), ("any", 1)])
def test_parity_is_taken_off_in_software(name: SoftwareParity, parity: int) -> None:
    assert with_parity(EAN, parity).translate(without_parity(name)) == EAN


def test_a_flipped_bit_under_parity_is_no_digit() -> None:
    damaged = bytes((with_parity(EAN, 0)[0] ^ 1,)) + with_parity(EAN, 0)[1:]
    assert damaged.translate(without_parity("even"))[:1] == b"\0"


def test_letters_beyond_ascii_are_no_noise() -> None:
    decoder = ScanDecoder("scanner", Framing())
    for at_s in range(4):
        decoder.feed("Käse vom Berg\r".encode("latin-1"), at_s)
    assert decoder.meter.quality is Quality.GOOD


def test_a_layout_that_is_not_known_is_told() -> None:
    meter = ScanMeter()
    meter.bad(ScanFault.AMBIGUOUS, b"")
    assert meter.facts()["quality"] == Quality.SET_LAYOUT
