"""A scanner's bytes as codes: whole ones as they are, anything else named, and nothing ever joined."""

import re

from hypothesis import given
from hypothesis import strategies as st

from core.events import ScanFault, ScanGarbled, Scanned
from drivers.codecs.scan import Framing, ScanDecoder, Terminator

CODES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40).filter(
    lambda code: not re.match(r"\][A-Za-z][0-9A-Za-z]", code)
)
TERMINATORS: dict[Terminator, bytes] = {"auto": b"\r\n", "cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "tab": b"\t"}


def scanned(data: str, aim: str | None = None) -> Scanned:
    return Scanned(device="scanner", data=data, aim=aim)


def garbled(fault: ScanFault, length: int) -> ScanGarbled:
    return ScanGarbled(device="scanner", fault=fault, length=length)


def read(data: bytes, framing: Framing | None = None) -> list[Scanned | ScanGarbled]:
    """All at once, and then the pause after it."""
    decoder = ScanDecoder("scanner", framing or Framing())
    return decoder.feed(data, 0.0) + decoder.expire(60.0)


def test_a_code_comes_without_its_terminator() -> None:
    assert read(b"4006381333931\r") == [scanned("4006381333931")]


def test_each_terminator_ends_a_code() -> None:
    for name, terminator in TERMINATORS.items():
        assert read(b"A1" + terminator + b"B2" + terminator, Framing(terminator=name)) == [scanned("A1"), scanned("B2")]


def test_an_aim_identifier_is_split_off() -> None:
    assert read(b"]E04006381333931\r") == [scanned("4006381333931", aim="E0")]
    assert read(b"]d20104006381333931\x1d10A\r") == [scanned("0104006381333931\x1d10A", aim="d2")]


def test_what_only_looks_like_an_aim_identifier_stays() -> None:
    assert read(b"]?0X\r") == [scanned("]?0X")]


def test_prefix_and_suffix_are_taken_off() -> None:
    framing = Framing(prefix=b"\x02", suffix=b"\x03")
    assert read(b"\x02]E04006381333931\x03\r", framing) == [scanned("4006381333931", aim="E0")]


def test_a_code_without_its_prefix_is_torn() -> None:
    assert read(b"81333931\x03\r", Framing(prefix=b"\x02", suffix=b"\x03"))[0] == garbled(ScanFault.BINARY, 9)
    assert read(b"81333931#\r", Framing(prefix=b"*", suffix=b"#")) == [garbled(ScanFault.TORN, 9)]


def test_a_control_prefix_finds_the_next_code_after_a_lost_terminator() -> None:
    framing = Framing(prefix=b"\x02")
    assert read(b"\x02400638\x0290311017\r", framing) == [garbled(ScanFault.TORN, 7), scanned("90311017")]


def test_two_equal_codes_are_two_scans() -> None:
    assert read(b"90311017\r90311017\r") == [scanned("90311017"), scanned("90311017")]


def test_a_code_without_an_end_is_torn_by_the_pause() -> None:
    assert read(b"400638") == [garbled(ScanFault.TORN, 6)]


def test_a_fragment_never_prefixes_the_next_scan() -> None:
    decoder = ScanDecoder("scanner", Framing(gap_s=0.1))
    assert decoder.feed(b"400638", 0.0) == []
    assert decoder.deadline_s == 0.1
    assert decoder.feed(b"90311017\r", 0.2) == [garbled(ScanFault.TORN, 6), scanned("90311017")]
    assert decoder.deadline_s is None


def test_a_code_in_pieces_within_the_pause_is_whole() -> None:
    decoder = ScanDecoder("scanner", Framing(gap_s=0.1))
    assert decoder.feed(b"4006", 0.0) + decoder.feed(b"381333", 0.09) == []
    assert decoder.feed(b"931\r", 0.18) == [scanned("4006381333931")]


def test_without_a_terminator_a_pause_ends_a_code() -> None:
    decoder = ScanDecoder("scanner", Framing(terminator="none", gap_s=0.1))
    assert decoder.whole(b"90311017") is None
    assert decoder.feed(b"9031", 0.0) + decoder.feed(b"1017", 0.05) + decoder.expire(0.1) == []
    assert decoder.expire(0.2) == [scanned("90311017")]
    assert decoder.feed(b"A1", 1.0) == []
    assert decoder.feed(b"B2", 2.0) == [scanned("A1")]
    assert decoder.tear() == [garbled(ScanFault.TORN, 2)]


def test_a_crlf_in_two_pieces_is_one_end() -> None:
    decoder = ScanDecoder("scanner", Framing(terminator="crlf"))
    assert decoder.feed(b"90311017\r", 0.0) == []
    assert decoder.feed(b"\n", 0.01) == [scanned("90311017")]


def test_binary_is_refused() -> None:
    assert read(b"4006\x00381\r") == [garbled(ScanFault.BINARY, 8)]
    assert read(b"\xff\x81\x9e\xb3\r") == [garbled(ScanFault.BINARY, 4)]


def test_letters_beyond_ascii_survive_as_bytes() -> None:
    assert read("Käse".encode("latin-1") + b"\r") == [scanned("Käse")]
    assert read("Käse €".encode() + b"\r") == [scanned("Käse €".encode().decode("latin-1"))]


def test_an_overlong_code_is_told_once_and_the_next_one_is_read() -> None:
    framing = Framing(length_max=16)
    assert read(b"7" * 500 + b"\r90311017\r", framing) == [garbled(ScanFault.OVERLONG, 17), scanned("90311017")]


def test_an_overlong_code_without_an_end_stops_at_the_pause() -> None:
    decoder = ScanDecoder("scanner", Framing(length_max=16, gap_s=0.1))
    assert decoder.feed(b"7" * 500, 0.0) == [garbled(ScanFault.OVERLONG, 17)]
    assert decoder.feed(b"7" * 500, 0.05) == []
    assert decoder.feed(b"90311017\r", 0.3) == [scanned("90311017")]


def test_after_a_loss_the_rest_of_the_code_is_no_code() -> None:
    decoder = ScanDecoder("scanner", Framing())
    assert decoder.feed(b"400638", 0.0) == []
    assert decoder.lose(0.01) == [garbled(ScanFault.TORN, 6)]
    assert decoder.feed(b"3931\r90311017\r", 0.02) == [scanned("90311017")]


def test_reads_and_bad_reads_are_counted() -> None:
    decoder = ScanDecoder("scanner", Framing())
    decoder.feed(b"1\r2\r\x00\r4", 0.0)
    decoder.tear()
    assert (decoder.meter.reads, decoder.meter.bad_reads) == (2, 2)


@given(st.lists(CODES, max_size=6), st.sampled_from(list(TERMINATORS)), st.booleans())
def test_whole_codes_come_out_as_they_went_in(codes: list[str], name: Terminator, framed: bool) -> None:
    prefix, suffix = (b"\x02", b"\x03") if framed else (b"", b"")
    framing = Framing(terminator=name, prefix=prefix, suffix=suffix)
    wire = b"".join(prefix + code.encode() + suffix + TERMINATORS[name] for code in codes)
    assert read(wire, framing) == [scanned(code) for code in codes]


@given(st.binary(max_size=200), st.lists(st.integers(1, 9), max_size=60), st.sampled_from(list(TERMINATORS)))
def test_it_does_not_matter_how_bytes_are_cut_up(wire: bytes, sizes: list[int], name: Terminator) -> None:
    framing = Framing(terminator=name, length_max=20, prefix=b"\x02")
    decoder = ScanDecoder("scanner", framing)
    events = []
    rest = wire
    for size in sizes:
        events += decoder.feed(rest[:size], 0.0)
        rest = rest[size:]
    events += decoder.feed(rest, 0.0) + decoder.expire(60.0)
    assert events == read(wire, framing)


@given(
    st.text("]Ed0AX7 \x1d\x02\x03*#\r\né", max_size=14),
    st.sampled_from(list(TERMINATORS)),
    st.sampled_from([b"", b"\x02", b"*"]),
    st.sampled_from([b"", b"\x03", b"#"]),
)
def test_the_short_way_says_what_the_long_way_says(code: str, name: Terminator, prefix: bytes, suffix: bytes) -> None:
    framing = Framing(terminator=name, prefix=prefix, suffix=suffix, length_max=12)
    wire = prefix + code.encode("latin-1") + suffix + TERMINATORS[name]
    short = ScanDecoder("scanner", framing).whole(wire)
    assert short is None or [short] == read(wire, framing)


def test_the_short_way_takes_the_usual_codes_and_only_between_codes() -> None:
    decoder = ScanDecoder("scanner", Framing())
    assert decoder.whole(b"]E04006381333931\r") == scanned("4006381333931", aim="E0")
    assert decoder.whole(b"90311017\r\n") == scanned("90311017")
    assert decoder.whole(b"]E0\r") is None
    assert decoder.feed(b"4006", 0.0) == []
    assert decoder.whole(b"90311017\r") is None
    assert decoder.meter.reads == 0, "the short way leaves the counting to its caller"


@given(st.lists(st.tuples(st.binary(max_size=60), st.sampled_from([0.0, 0.05, 0.2])), max_size=12))
def test_any_bytes_give_clean_codes_or_a_fault(pieces: list[tuple[bytes, float]]) -> None:
    decoder = ScanDecoder("scanner", Framing(length_max=32))
    now_s, events = 0.0, []
    for data, pause_s in pieces:
        now_s += pause_s
        events += decoder.feed(data, now_s)
    for event in events + decoder.tear():
        if isinstance(event, Scanned):
            assert 0 < len(event.data) <= 32
            assert not re.search(r"[\x00-\x1c\x1e\x1f\x7f]", event.data)
    assert decoder.meter.reads + decoder.meter.bad_reads >= len(events)


@given(CODES, CODES, st.integers(1, 40))
def test_a_torn_code_leaves_no_trace_in_the_next(first: str, second: str, cut: int) -> None:
    decoder = ScanDecoder("scanner", Framing(gap_s=0.1))
    decoder.feed(first.encode()[:cut], 0.0)
    assert decoder.feed(second.encode() + b"\r", 0.5)[-1] == scanned(second)
