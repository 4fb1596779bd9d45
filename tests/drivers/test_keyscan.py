"""A keyboard scanner's keys as codes: framing, and the layout that it turns out to be set to."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import ScanFault, ScanGarbled, Scanned
from core.scan import check_digit
from drivers.codecs.keyscan import KeyScanDecoder
from drivers.codecs.layouts import LAYOUTS
from drivers.codecs.scan import Framing
from tests.drivers.typing_scanner import CAPS_LOCK, ENTER, FNC1_AS_CONTROL, TAB, Keys, alt_code, press, typed

EAN = "4006381333931"
ALL = tuple(LAYOUTS)


def scanned(data: str, aim: str | None = None) -> Scanned:
    return Scanned(device="scanner", data=data, aim=aim)


def garbled(fault: ScanFault, length: int) -> ScanGarbled:
    return ScanGarbled(device="scanner", fault=fault, length=length)


def decoder(layouts: tuple[str, ...] = ALL, framing: Framing | None = None) -> KeyScanDecoder:
    return KeyScanDecoder("scanner", framing or Framing(gap_s=0.1), layouts, "f8")


def feed(scanner: KeyScanDecoder, keys: Keys, now_s: float = 0.0) -> list[Scanned | ScanGarbled]:
    return [event for key in keys for event in scanner.key(*key, now_s)]


# --- framing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [press(ENTER), press(TAB), press(96), press(TAB) + press(ENTER)])
def test_a_code_ends_with_enter_or_tab(end: Keys) -> None:
    assert feed(decoder(), typed(EAN, end=end)) == [scanned(EAN)]


def test_only_the_configured_key_ends_a_code() -> None:
    scanner = decoder(framing=Framing(terminator="tab"))
    assert feed(scanner, typed("90311017", end=press(ENTER)) + press(TAB)) == [garbled(ScanFault.BINARY, 9)]


def test_without_a_terminator_a_pause_ends_a_code() -> None:
    scanner = decoder(framing=Framing(terminator="none", gap_s=0.1))
    assert feed(scanner, typed(EAN, end=[])) == []
    assert scanner.deadline_s == 0.1
    assert scanner.expire(0.05) == []
    assert scanner.expire(0.11) == [scanned(EAN)]
    assert feed(scanner, typed("90311017", end=[]), 1.0) == []
    assert feed(scanner, typed(EAN, end=[]), 2.0) == [scanned("90311017")], "the next code's first key says it too"


def test_a_pause_that_nobody_could_see_tears_nothing() -> None:
    scanner = decoder()
    assert feed(scanner, typed("400638133", end=[])) == []
    scanner.hold(2.0)
    assert feed(scanner, typed("3931"), 2.0) == [scanned(EAN)]


def test_a_pause_that_ends_codes_ends_one_that_nobody_could_see_too() -> None:
    scanner = decoder(framing=Framing(terminator="none", gap_s=0.1))
    assert feed(scanner, typed("90311017", end=[])) == []
    scanner.hold(2.0)
    assert feed(scanner, typed(EAN, end=[]), 2.0) == [scanned("90311017")]


def test_a_fragment_never_prefixes_the_next_scan() -> None:
    scanner = decoder()
    assert feed(scanner, typed("400638", end=[])) == []
    assert feed(scanner, typed(EAN), 0.5) == [garbled(ScanFault.TORN, 6), scanned(EAN)]


def test_a_fragment_without_a_terminator_is_torn_by_the_cable() -> None:
    scanner = decoder(framing=Framing(terminator="none"))
    feed(scanner, typed("400638", end=[]))
    assert scanner.tear() == [garbled(ScanFault.TORN, 6)]


def test_after_a_loss_the_rest_of_the_code_is_no_code() -> None:
    scanner = decoder()
    feed(scanner, [*typed("400638", end=[]), (42, 1)])
    assert scanner.lose(0.01, []) == [garbled(ScanFault.TORN, 6)]
    assert scanner.lose(0.02, []) == []
    assert feed(scanner, typed("3931") + typed("abc123"), 0.03) == [scanned("abc123")]


def test_an_overlong_code_is_told_once_and_the_next_one_is_read() -> None:
    scanner = decoder(framing=Framing(length_max=16))
    assert feed(scanner, typed("7" * 500) + typed(EAN)) == [garbled(ScanFault.OVERLONG, 17), scanned(EAN)]


def test_prefix_suffix_and_aim_are_taken_off() -> None:
    scanner = decoder(("us",), Framing(prefix=b"*", suffix=b"#"))
    assert feed(scanner, typed(f"*]E0{EAN}#")) == [scanned(EAN, aim="E0")]
    assert feed(scanner, typed("81333931#")) == [garbled(ScanFault.TORN, 9)]


def test_two_scanners_never_mix() -> None:
    one, other = decoder(("us",)), decoder(("us",))
    first, second = typed("ABC-1"), typed("xyz.2")
    events = []
    for left, right in zip(first, second, strict=False):
        events += feed(one, [left]) + feed(other, [right])
    events += feed(one, first[len(second) :]) + feed(other, second[len(first) :])
    assert [event for event in events if isinstance(event, Scanned)] == [scanned("xyz.2"), scanned("ABC-1")]


# --- FNC1 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("fnc1", [FNC1_AS_CONTROL, alt_code("029"), alt_code("0029"), press(66)])
def test_fnc1_in_every_form_under_every_layout(name: str, fnc1: Keys) -> None:
    scanner = decoder((name,))
    keys = typed(f"01{'0' + EAN}10A12", name, end=[]) + fnc1 + typed("17261231", name)
    assert feed(scanner, keys) == [scanned(f"010{EAN}10A12\x1d17261231")]


# --- layouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYOUTS)
def test_goods_are_read_at_once_whatever_the_layout(name: str) -> None:
    scanner = decoder()
    for code in (EAN, "036000291452", "90311017", f"]E0{EAN}", "https://id.gs1.org/01/04006381333931/10/A-1?17=261231"):
        (event,) = feed(scanner, typed(code, name))
        assert isinstance(event, Scanned)
        assert event.data == code.removeprefix("]E0")
    assert name in scanner.choice.possible


@pytest.mark.parametrize(
    ("name", "code"), [("us", "AY-12/3"), ("fr", "AQ-12"), ("de", "AY-12 ZZ"), ("cz", "AY-12"), ("be", "AZ-12")]
)
def test_a_layout_is_found_out_and_kept(name: str, code: str) -> None:
    scanner = decoder()
    feed(scanner, typed(f"]d2010{EAN}10A-1/2\x1d17261231", name))
    feed(scanner, typed(EAN, name))
    alike = {"us": ("uk", "jp"), "fr": ("be",), "de": ("se", "dk", "no", "pt"), "be": ("fr",)}.get(name, ())
    assert scanner.choice.possible <= {name, *alike}
    if name != "de":
        assert feed(scanner, typed(code, name)) == [scanned(code)]


def test_a_code_that_two_layouts_read_as_two_is_refused() -> None:
    scanner = decoder(("us", "de"))
    assert feed(scanner, typed("YVONNE7")) == [garbled(ScanFault.AMBIGUOUS, 7)]
    lot = f"010{EAN}10ZY1"
    assert feed(scanner, typed(lot)) == [garbled(ScanFault.AMBIGUOUS, len(lot))], "both have the right check digit"
    assert scanner.meter.faults[ScanFault.AMBIGUOUS] == 2
    feed(scanner, typed("https://example.org/a"))
    assert scanner.facts()["layout"] == "us"
    assert feed(scanner, typed("YVONNE7")) == [scanned("YVONNE7")]


def test_noise_three_times_rules_a_layout_out() -> None:
    scanner = decoder(("us", "fr"))
    for code in ("A-1001", "B-1002"):
        assert feed(scanner, typed(code, "fr")) == [scanned(code)]
        assert scanner.choice.settled is None
    feed(scanner, typed("C-1003", "fr"))
    assert scanner.choice.settled == "fr"
    assert feed(scanner, typed("AZUR", "fr")) == [scanned("AZUR")]


def test_lots_with_a_hyphen_are_refused_only_until_noise_has_ruled_the_others_out() -> None:
    """A Swede's + for a hyphen would be a lot as well: it is not guessed, and three such codes tell."""
    scanner = decoder(("us", "se"))
    lot = f"010{EAN}10AB-12"
    for _ in range(2):
        assert feed(scanner, typed(lot)) == [garbled(ScanFault.AMBIGUOUS, len(lot))]
    feed(scanner, typed(lot))
    assert scanner.choice.settled == "us"
    assert feed(scanner, typed(lot)) == [scanned(lot)]


def test_a_scanner_that_is_set_anew_is_learnt_anew() -> None:
    scanner = decoder(("us", "fr"))
    feed(scanner, typed(EAN))
    assert scanner.choice.settled == "us"
    assert feed(scanner, typed(EAN, "fr")) == [scanned(EAN)]
    assert (scanner.choice.settled, scanner.choice.relearned) == ("fr", 1)


def test_a_wrong_check_digit_teaches_nothing_about_another_layout() -> None:
    scanner = decoder()
    assert feed(scanner, typed("4006381333932")) == [scanned("4006381333932")]
    assert scanner.meter.misreads == 1


def test_a_configured_layout_is_never_doubted() -> None:
    scanner = decoder(("us",))
    (event,) = feed(scanner, typed(EAN, "fr"))
    assert event != scanned(EAN)
    assert scanner.choice.settled == "us"


def test_a_scanner_that_presses_caps_lock() -> None:
    scanner = decoder(("us",))
    assert feed(scanner, press(CAPS_LOCK) + typed("abc1", end=press(CAPS_LOCK)) + press(ENTER)) == [scanned("ABC1")]


def test_what_is_known_is_told() -> None:
    scanner = decoder()
    facts = scanner.facts()
    assert (facts["layout"], facts["quality"]) == ("undecided", "unused")
    feed(scanner, typed(EAN, "fr"))
    assert scanner.facts()["layouts_possible"] == "be cz fr"
    scanner.choice.forget()
    assert scanner.choice.possible == set(ALL)


# --- anything ----------------------------------------------------------------------------------------------------------

CODES = st.text(st.sampled_from("0123456789ABCDEFGXYZ-"), min_size=1, max_size=30)


@given(st.sampled_from(ALL), st.lists(CODES, max_size=4))
def test_a_known_layout_gives_every_code_back(name: str, codes: list[str]) -> None:
    scanner = decoder((name,))
    keys = [key for code in codes for key in typed(code, name)]
    assert feed(scanner, keys) == [scanned(code) for code in codes]


@given(st.sampled_from(ALL), st.lists(CODES, min_size=1, max_size=6))
def test_what_carries_a_check_digit_is_never_read_as_something_else(name: str, codes: list[str]) -> None:
    """Whatever came before: the right reading, or a refusal that says so."""
    scanner = decoder()
    for code in codes:
        item = str(sum(map(ord, code)) * 7919 % 10**12).zfill(12)
        gtin = item + check_digit(item)
        feed(scanner, typed(code, name))
        assert feed(scanner, typed(gtin, name)) in ([scanned(gtin)], [garbled(ScanFault.AMBIGUOUS, 13)])


@given(st.lists(st.tuples(st.integers(0, 260), st.integers(0, 2), st.sampled_from([0.0, 0.01, 0.2])), max_size=60))
def test_any_keys_give_clean_codes_or_a_fault(keys: list[tuple[int, int, float]]) -> None:
    scanner, now_s, events = decoder(framing=Framing(length_max=32, gap_s=0.1)), 0.0, []
    for code, value, pause_s in keys:
        now_s += pause_s
        events += scanner.key(code, value, now_s)
    events += scanner.tear()
    for event in events:
        if isinstance(event, Scanned):
            assert 0 < len(event.data) <= 64
            assert not re.search(r"[\x00-\x1c\x1e\x1f\x7f]", event.data)
    assert scanner.meter.reads + scanner.meter.bad_reads == len(events)
