"""What codes mean: check digits, element strings, labels of weighed goods; and that no input whatever is too much."""

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core import events as v
from core.sale import read, step
from core.scan import Reading, VariableMeasure, check_digit, classify, shown
from core.state import Till
from core.step import Facts
from core.text import Message
from tests.core.transcript import SHOP

PRICE = VariableMeasure(prefix="21", item_digits=5, value_digits=5, value="price")
WEIGHT = VariableMeasure(prefix="29", item_digits=5, value_digits=5, value="weight")
LAYOUTS = (PRICE, WEIGHT)
AIMS = st.none() | st.sampled_from(["E0", "E4", "C1", "e0", "d2", "d1", "Q3", "Q1", "J1", "X0", "A0", ""])
CONDITIONS = {"check-digit-wrong", "code-not-valid", "code-unknown"}

GTIN_PAYLOADS = st.sampled_from([7, 11, 12, 13]).flatmap(
    lambda length: st.text("0123456789", min_size=length, max_size=length)
)


def _read(data: str, aim: str | None = None) -> Reading:
    reading = classify(data, aim, "scanned", LAYOUTS)
    assert isinstance(reading, Reading), reading
    return reading


def _refused(data: str, aim: str | None = None) -> Message:
    refusal = classify(data, aim, "scanned", LAYOUTS)
    assert isinstance(refusal, Message), refusal
    return refusal


@given(GTIN_PAYLOADS)
def test_a_gtin_is_kept_in_fourteen_digits(payload: str) -> None:
    assume(len(payload) != 12 or not payload.startswith(("21", "29")))
    code = payload + check_digit(payload)
    assert _read(code) == Reading(gtin=code.zfill(14), method="scanned")


@given(GTIN_PAYLOADS, st.data())
def test_any_single_misread_digit_is_found(payload: str, data: st.DataObject) -> None:
    code = payload + check_digit(payload)
    at = data.draw(st.integers(0, len(code) - 1))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != code[at]]))
    misread = code[:at] + wrong + code[at + 1 :]
    assert _refused(misread).id == "check-digit-wrong"


@given(st.text("0123456789", min_size=5, max_size=5), st.integers(0, 99_999))
def test_a_price_in_the_code(item: str, price_minor: int) -> None:
    payload = f"21{item}{price_minor:05}"
    reading = _read(payload + check_digit(payload), "E0")
    base = f"21{item}00000"
    assert (reading.gtin, reading.price_minor) == (f"0{base}{check_digit(base)}", price_minor)
    assert reading.weight_g is None


@given(st.text("0123456789", min_size=5, max_size=5), st.integers(0, 99_999))
def test_a_weight_in_the_code(item: str, weight_g: int) -> None:
    payload = f"29{item}{weight_g:05}"
    reading = _read(payload + check_digit(payload))
    assert (reading.weight_g, reading.price_minor) == (weight_g, None)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")), AIMS)
def test_any_text_has_a_meaning_or_a_reason(data: str, aim: str | None) -> None:
    for method in ("scanned", "keyed"):
        match classify(data, aim, method, LAYOUTS):
            case Reading(gtin=gtin):
                assert len(gtin) == 14
                assert gtin.isdigit()
            case Message(id=condition):
                assert condition in CONDITIONS


@given(st.text("0123456789()\x1d", max_size=80).map("01".__add__), st.sampled_from(["d2", "C1", None]))
def test_damaged_element_strings_have_a_reason(data: str, aim: str | None) -> None:
    reading = classify(data, aim, "scanned", LAYOUTS)
    assert isinstance(reading, Reading) or reading.id in CONDITIONS


def test_element_string_with_lot_and_dates() -> None:
    reading = _read("0103033490004743172612051526113010A17\x1d21999", "d2")
    assert reading.gtin == "03033490004743"
    assert (reading.lot, reading.use_by, reading.best_before) == ("A17", "2026-12-05", "2026-11-30")


def test_day_zero_is_the_end_of_the_month() -> None:
    assert _read("010303349000474317260200", "d2").use_by == "2026-02-28"


@pytest.mark.parametrize(
    ("data", "aim", "condition"),
    [
        ("", None, "code-not-valid"),
        ("4" * 129, None, "code-not-valid"),
        ("5449000000997", "E0", "check-digit-wrong"),
        ("0103033490004744", "d2", "check-digit-wrong"),
        ("10A17", "d2", "code-unknown"),
        ("0103033490004743179913AA", "d2", "code-not-valid"),
        ("010303349000474317269905", "d2", "code-not-valid"),
        ("544900000099", None, "check-digit-wrong"),
        ("٥٤٤٩٠٠٠٠٠٠٩٩٦", None, "code-unknown"),
        ("https://id.example/01/5449000000996", None, "code-unknown"),
        ("%B4111111111111111^DOE/JANE^30121010000000000?", None, "code-unknown"),
        (";4111111111111111=30121010000000000?", None, "code-unknown"),
        ("4111111111111111", None, "code-unknown"),
    ],
)
def test_what_means_nothing(data: str, aim: str | None, condition: str) -> None:
    refusal = _refused(data, aim)
    assert refusal.id == condition
    if condition == "code-unknown":
        assert set(refusal.params) == {"length"}, "what is no GTIN may be a card or a ticket: it is not repeated"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("30569309025904", "**********5904"),  # Diners Club's test number: 14 digits
        ("4222222222222", "*********2222"),  # Visa's test number of 13 digits
        ("4111111111111111", "************1111"),
        ("04222222222222", "**********2222"),  # with a zero before it
        ("8100000000000007", "************0007"),  # RuPay
        ("4006381333931", "4006381333931"),  # an EAN-13 that fits no card
        ("96385074", "96385074"),
    ],
)
def test_what_may_be_a_card_is_told_by_its_last_four_digits(code: str, told: str) -> None:
    assert shown(code) == told


@pytest.mark.parametrize("code", ["30569309025904", "4222222222222", "4111111111111111"])
@pytest.mark.parametrize("kind", [v.Scanned(device="scanner", data=""), v.CodeKeyed(data="")])
def test_a_card_number_in_the_wrong_field_is_neither_kept_nor_told(code: str, kind: v.Scanned | v.CodeKeyed) -> None:
    for digit in "0123456789":  # with whatever last digit: one of them is a valid GTIN's
        typed = code[:-1] + digit
        if shown(typed) == typed:
            continue
        event = msgspec.structs.replace(kind, data=typed)
        facts = Facts(business_day="2026-11-24", local_time="", question=read(SHOP, event))
        taken = step(SHOP, Till(), event, facts)
        assert taken.refused
        assert typed.encode() not in msgspec.json.encode(taken)
