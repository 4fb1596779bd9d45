"""What codes mean: every kind of code a counter sees, what is only nearly one, and that no input whatever is too much."""

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core import events as v
from core.money import currency
from core.sale import read, step
from core.scan import (
    GS1_AIMS,
    CodeRules,
    Reading,
    Scan,
    VariableMeasure,
    check_digit,
    classify,
    reading,
    refusal,
    shown,
)
from core.state import Till
from core.step import Facts
from tests.core.transcript import SHOP, TODAY

PRICE = VariableMeasure(prefix="21", item_digits=5, value_digits=5, value="price")
WEIGHT = VariableMeasure(prefix="29", item_digits=5, value_digits=5, value="weight")
CHECKED = VariableMeasure(prefix="02", item_digits=5, value_digits=4, value="price", value_check=True)
LONGER = VariableMeasure(prefix="219", item_digits=4, value_digits=5, value="weight")
RULES = CodeRules(
    layouts=(PRICE, WEIGHT, CHECKED, LONGER),
    vouchers=("V-", "2299"),
    staff=("STAFF:",),
    loyalty=("L-", "60064"),
    currency=currency("EUR"),
)
GS = "\x1d"
MILK = "04006381333931"
AIMS = st.none() | st.sampled_from(["E0", "E3", "E4", "C0", "d1", "Q1", "X0", "A0", "", *GS1_AIMS])
KINDS = {
    "gtin", "gs1", "digital_link", "variable_measure", "wallet", "voucher", "receipt", "staff", "loyalty", "unknown",
    "rejected",
}  # fmt: skip
EPOCH = "0123456789abcdef" * 2
CPM = (
    "hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRIT0xERVIvRU1WXy0IcnVl"
    "c2RlZW6fECABAgMEBQYHCAECAwQFBgcIAQIDBAUGBwgBAgMEBQYHCA=="
)
"""The example of EMVCo's consumer-presented mode: two applications, and data common to them."""
MPM = (
    "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN5914BEST TRANSPORT"
    "6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***0708A60086670902ME"
    "91320016A0112233449988770708123456786304A13A"
)
"""The example of EMVCo's merchant-presented mode, with names in Chinese."""


def digits(low: int, high: int | None = None) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=low, max_size=high or low)


GTINS = st.sampled_from([7, 11, 12, 13]).flatmap(digits).map(lambda payload: payload + check_digit(payload))


def meant(data: str, aim: str | None = None, *, tendering: bool = False) -> Scan:
    return classify(data, aim, RULES, tendering=tendering)


# --- numbers -----------------------------------------------------------------------------------------------------


@given(GTINS)
def test_a_gtin_is_kept_in_fourteen_digits(code: str) -> None:
    ean = code.zfill(14)[1:] if len(code) in (12, 13) or (len(code) == 14 and code[0] == "0") else ""
    assume(not ean.startswith(("02", "04", "2", "98", "99")) and not code.startswith(RULES.loyalty + RULES.vouchers))
    said = meant(code)
    assert (said.kind, said.gtin, said.reason) == ("gtin", code.zfill(14), None)
    assert classify(code) == meant(code)
    assert said.also is None or (len(code) == 8 and code[0] in "01")


@given(GTINS, st.data())
def test_any_single_misread_digit_is_found(code: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(code) - 1))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != code[at]]))
    misread = meant(code[:at] + wrong + code[at + 1 :])
    assert (misread.kind, misread.gtin) == ("rejected", None)
    assert misread.reason in ("check-digit", "card-number")


@pytest.mark.parametrize(
    ("data", "aim", "gtin"),
    [
        ("4006381333931", "E0", MILK),
        ("96385074", "E4", "00000096385074"),
        ("036000291452", None, "00036000291452"),
        ("10614141000415", "I1", "10614141000415"),
        ("]E04006381333931", None, MILK),
        ("\x024006381333931\x03", None, MILK),
        (" 4006381333931 \r", None, MILK),
        ("4006381333931\x1d", None, MILK),
        ("977123456789805", "E3", "09771234567898"),  # a magazine with the number of its issue
        ("01234565", "E0", "00012345000065"),  # UPC-E as some scanners send it
        ("9780306406157", None, "09780306406157"),
    ],
)
def test_numbers_that_are_gtins(data: str, aim: str | None, gtin: str) -> None:
    assert meant(data, aim) == Scan(kind="gtin", gtin=gtin)


@pytest.mark.parametrize(
    ("code", "aim", "gtin", "also"),
    [
        ("12345708", None, "00123000004578", None),  # its check digit is a UPC-E's, and no GTIN-8's
        ("01234505", None, "00012000003455", None),
        ("12345670", None, "00000012345670", "00123456000070"),  # it is both
        ("12345670", "E0", "00123456000070", None),
        ("12345670", "E4", "00000012345670", None),
        ("96385074", None, "00000096385074", None),  # no UPC-E begins with 9
    ],
)
def test_eight_digits_may_be_upc_e(code: str, aim: str | None, gtin: str, also: str | None) -> None:
    """GS1 General Specifications 5.2.2.4.2; expanded by hand."""
    assert meant(code, aim) == Scan(kind="gtin", gtin=gtin, also=also)


def test_eight_digits_of_another_symbology_are_no_upc_e() -> None:
    for aim in ("E4", "C0"):
        assert meant("12345708", aim).reason == "check-digit"


@given(digits(5), st.integers(0, 99_999))
def test_a_price_in_the_code(item: str, price_minor: int) -> None:
    assume(item[0] != "9")
    payload = f"21{item}{price_minor:05}"
    base = f"21{item}00000"
    key = f"0{base}{check_digit(base)}"
    assert meant(payload + check_digit(payload), "E0") == Scan(
        kind="variable_measure", gtin=key, price_minor=price_minor
    )


@given(digits(5), st.integers(0, 99_999))
def test_a_weight_in_the_code(item: str, weight_g: int) -> None:
    payload = f"29{item}{weight_g:05}"
    said = meant(payload + check_digit(payload))
    assert (said.kind, said.weight_g, said.price_minor) == ("variable_measure", weight_g, None)


def test_the_longest_prefix_decides_on_the_layout() -> None:
    payload = "219123401234"
    assert meant(payload + check_digit(payload)).weight_g == 1234


@pytest.mark.parametrize(
    ("data", "kind", "price_minor", "key"),
    [
        ("212345928757", "variable_measure", 2875, "00212345000000"),  # UPC-A: price check digit 9 before 2875
        ("0212345928757", "variable_measure", 2875, "00212345000000"),
        ("212345828758", "rejected", None, None),  # a wrong price check digit under a right check digit
    ],
)
def test_a_price_with_a_check_digit_of_its_own(data: str, kind: str, price_minor: int | None, key: str | None) -> None:
    code = data[:-1] + check_digit(data[:-1])
    said = meant(code)
    wanted = key[:-1] + check_digit(key[:-1]) if key else None
    assert (said.kind, said.price_minor, said.gtin) == (kind, price_minor, wanted)


@pytest.mark.parametrize("payload", ["020000000001", "040123456789", "200000000001", "270123456789", "299999999999"])
def test_a_restricted_number_without_a_layout_is_itself_the_key(payload: str) -> None:
    code = payload + check_digit(payload)
    assert classify(code) == Scan(kind="variable_measure", gtin=f"0{code}", reason="no-layout")


@pytest.mark.parametrize("payload", ["050000000001", "060000000001", "030000000001", "019999999999"])
def test_neighbours_of_restricted_numbers_are_gtins(payload: str) -> None:
    assert classify(payload + check_digit(payload)).kind == "gtin"


@pytest.mark.parametrize("payload", ["980123456789", "981234567890", "984000000001", "990000000001", "999999999999"])
def test_coupons_and_refunds_are_vouchers(payload: str) -> None:
    code = payload + check_digit(payload)
    assert classify(code) == Scan(kind="voucher", gtin=f"0{code}", identity=code)


# --- element strings ---------------------------------------------------------------------------------------------

LONG = {"01": MILK, "10": "A17", "21": "999", "17": "261205", "15": "261130"}


@pytest.mark.parametrize("aim", sorted(GS1_AIMS))
def test_an_element_string_by_its_symbol(aim: str) -> None:
    said = meant(f"01{MILK}17261205152611301 0A17{GS}21999".replace(" ", ""), aim)
    assert (said.kind, said.gtin, said.elements) == ("gs1", MILK, LONG)


@pytest.mark.parametrize(
    ("data", "elements"),
    [
        (f"]C101{MILK}", {"01": MILK}),
        (f"01{MILK}", {"01": MILK}),
        (f"{GS}01{MILK}", {"01": MILK}),
        (f"{GS}01{MILK}{GS}", {"01": MILK}),
        (f"01{MILK}10LOT42", {"01": MILK, "10": "LOT42"}),
        (f"]d201{MILK}10ABC123", {"01": MILK, "10": "ABC123"}),
        (f"]d201{MILK}21SER123456", {"01": MILK, "21": "SER123456"}),
        (f"]d201{MILK}10L2101", {"01": MILK, "10": "L2101"}),
        (f"]d201{MILK}10L2024", {"01": MILK, "10": "L2024"}),
        (f"01{MILK}17261231", {"01": MILK, "17": "261231"}),
        (f"01{MILK}3103001234", {"01": MILK, "3103": "001234"}),
        (f"01{MILK}{GS}17261231{GS}10A", {"01": MILK, "17": "261231", "10": "A"}),  # separators that need not be
        (f"]d210A{GS}01{MILK}", {"10": "A", "01": MILK}),
        (f"]d201{MILK}7003261231140010A", {"01": MILK, "7003": "2612311400", "10": "A"}),  # one length: it ends there
        (f"]d201{MILK}10A{GS}10A", {"01": MILK, "10": "A"}),
        (f"(01){MILK}(10)A17(17)261231", {"01": MILK, "10": "A17", "17": "261231"}),
        (f"]C1(01){MILK}(10)A17", {"01": MILK, "10": "A17"}),
        (f"(01){MILK}(10)A\\(17)", {"01": MILK, "10": "A(17)"}),
        (f"01{MILK}10!\"%&'()*+,-./_az:;<=>?{GS}17261200", None),  # 21 characters
        (f"01{MILK}10!\"%&'()*+,-./_:;<=>?{GS}17261200", {"01": MILK, "10": "!\"%&'()*+,-./_:;<=>?", "17": "261200"}),
        ("]C100340123450000000000", {"00": "340123450000000000"}),
        ("]C100340123450000000001", None),
        ("]C110ABC", {"10": "ABC"}),
        (f"01{MILK}390212345", {"01": MILK, "3902": "12345"}),
        (f"]e001{MILK}3922001021", {"01": MILK, "3922": "001021"}),
        (f"]e001{MILK}3922122100", None),  # 1221.00, or 12 cents of serial 00
        (f"(01) {MILK} (10) A17", {"01": MILK, "10": "A17"}),
        (f"00{'34012345000000000'}0", {"00": "340123450000000000"}),
        (f"02{MILK}3712", {"02": MILK, "37": "12"}),
        ("]d24114006381333931", {"411": "4006381333931"}),
        (f"]e001{MILK}393297800199", {"01": MILK, "3932": "97800199"}),
        (f"0101{MILK}", None),
    ],
)
def test_element_strings(data: str, elements: dict[str, str] | None) -> None:
    said = meant(data)
    if elements is None:
        assert said.kind in ("rejected", "unknown")
    else:
        assert (said.kind, said.elements) == ("gs1", elements)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("0104006381333932", "check-digit"),
        ("]C10104006381333932", "check-digit"),
        (f"]d201{MILK}179913AA", "value-characters"),
        (f"]d201{MILK}17261301", "date"),
        (f"]d201{MILK}17260230", "date"),
        (f"]d201{MILK}7003261231240 0".replace(" ", ""), "date"),
        (f"]d201{MILK}70032612001200", "date"),  # an expiry time needs its day
        (f"]d201{MILK}1726123", "value-length"),
        (f"]d201{MILK}10", "value-length"),
        (f"]d201{MILK}10{GS}17261231", "value-length"),
        (f"]d201{MILK}23X", "unknown-ai"),
        (f"]d201{MILK}18261231", "unknown-ai"),
        (f"]d201{MILK}3106001234", "unknown-ai"),
        (f"]d201{MILK}10A B", "value-characters"),
        (f"]d201{MILK}10A{GS}10B", "duplicate-ai"),
        (f"]d201{MILK}01{MILK}", "doubled"),
        (f"01{MILK}01{MILK}", "doubled"),
        (f"01{MILK}0105449000000996", "glued"),
        (f"]C101{MILK}]C10105449000000996", "glued"),
        (f"]d201{MILK}02{MILK}3712", "excluded-ai"),
        (f"]d201{MILK}3712", "excluded-ai"),
        (f"]d201{MILK}2554012345000009", "excluded-ai"),
        (f"]d201{MILK}31030012343102000123", "excluded-ai"),
        (f"]d201{MILK}21A{GS}235B", "excluded-ai"),
        (f"]d201{MILK}39339990199", "currency"),
        (f"]d201{MILK}39328400199", "currency"),  # dollars, and the shop's are euros
        (f"]d201{MILK}39231234", "price"),  # a tenth of a cent
        (f"]d201{MILK}10{'A' * 21}", "separator-lost"),
        (f"]d201{MILK}10{'A' * 21}{GS}21B", "value-length"),
        (f"(01){MILK}(10)", "value-length"),
        (f"(01){MILK[:-1]}(10)A", "value-length"),
        (f"(99){'A' * 91}", "value-length"),
        (f"x(01){MILK}", "not-known"),
    ],
)
def test_element_strings_that_break_a_rule(data: str, reason: str) -> None:
    said = meant(data)
    assert (said.reason, said.gtin, said.elements) == (reason, None, {})


@pytest.mark.parametrize(
    "lost",
    [
        "10ABC12317261231",
        "10ABC12321XYZ",
        "21SERIAL10LOT",
        "10A117261231",
        "10ABC3103001234",
        "21A15261231",
        "10ABC70032612311200",
        "3922129917261231",
        "3922129910ABC",
        "10ABC240PART",
        "10ABC21DEF17261231",
        "308172612310",
    ],
)
@pytest.mark.parametrize("aim", [None, "d2", "C1"])
def test_a_lost_separator_is_not_guessed(aim: str | None, lost: str) -> None:
    said = meant(f"01{MILK}{lost}", aim)
    assert (said.kind, said.elements) == ("rejected", {})


VALUES = {
    "10": st.text("ABCXYZ0123456789", min_size=1, max_size=8),
    "21": st.text("ABCXYZ0123456789", min_size=1, max_size=8),
    "17": st.dates().map(lambda day: f"{day:%y%m%d}"),
    "15": st.dates().map(lambda day: f"{day:%y%m}00"),
    "3103": digits(6),
    "3922": digits(1, 6).filter(lambda price: price.strip("0")),
    "240": st.text("ABCXYZ0123456789", min_size=1, max_size=8),
    "7003": st.datetimes().map(lambda time: f"{time:%y%m%d%H%M}"),
}
ELEMENTS = st.permutations(sorted(VALUES)).flatmap(
    lambda order: st.integers(0, 4).flatmap(
        lambda count: st.fixed_dictionaries({ai: VALUES[ai] for ai in order[:count]})
    )
)


@given(ELEMENTS, st.sampled_from(["d2", "C1", None]))
def test_what_was_encoded_is_read(elements: dict[str, str], aim: str | None) -> None:
    data = GS + f"01{MILK}" + GS + GS.join(ai + value for ai, value in elements.items())
    said = classify(data, aim)
    assert (said.kind, said.elements) == ("gs1", {"01": MILK, **elements})


@given(ELEMENTS, st.sampled_from(["d2", None]))
def test_without_any_separator_it_is_read_right_or_not_at_all(elements: dict[str, str], aim: str | None) -> None:
    """Values of a character or two at a lost separator are left to `test_a_lost_separator_is_not_guessed`."""
    assume(all(len(value) > 2 for ai, value in elements.items() if ai in ("10", "21", "240", "3922")))
    said = classify(f"01{MILK}" + "".join(ai + value for ai, value in elements.items()), aim)
    assert said.elements in ({}, {"01": MILK, **elements})


@pytest.mark.parametrize(
    ("elements", "weight_g", "price_minor"),
    [
        ("3103001234", 1234, None),
        ("3100000012", 12_000, None),
        ("3102000123", 1230, None),
        ("3105012345", 123, None),
        ("3105012350", 124, None),
        ("3203001234", None, None),  # pounds
        ("3922129", None, 129),
        ("392312990", None, 1299),
        ("3920129", None, 12_900),
        ("3932978129", None, 129),
        (f"31030012343922{'129'}", 1234, 129),
    ],
)
def test_weight_and_price_in_elements(elements: str, weight_g: int | None, price_minor: int | None) -> None:
    said = meant(f"]d201{MILK}{elements}")
    assert (said.weight_g, said.price_minor) == (weight_g, price_minor)


def test_a_price_in_a_currency_without_decimals() -> None:
    yen = CodeRules(currency=currency("JPY"))
    assert classify(f"]d201{MILK}3920129", None, yen).price_minor == 129
    assert classify(f"]d201{MILK}3930392129", None, yen).price_minor == 129
    assert classify(f"]d201{MILK}3932392129", None, yen).reason == "price"
    assert classify(f"]d201{MILK}3930392129").price_minor == 129


@pytest.mark.parametrize(
    ("elements", "kind"),
    [
        ("2554012345000009", "voucher"),
        ("8110106141416543213150110120", "voucher"),
        ("8017401234567890000003", "staff"),
        ("8018401234567890000003", "loyalty"),
        ("8018401234567890000003" + "80191", "loyalty"),
    ],
)
def test_elements_that_name_a_person_or_a_coupon(elements: str, kind: str) -> None:
    assert meant(elements, "C1").kind == kind


# --- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "elements"),
    [
        (f"https://id.gs1.org/01/{MILK}", {"01": MILK}),
        (f"http://example.com/01/{MILK}/", {"01": MILK}),
        (f"HTTPS://ID.EXAMPLE/01/{MILK}", {"01": MILK}),
        ("https://id.example/01/4006381333931", {"01": MILK}),
        ("https://id.example/01/036000291452", {"01": "00036000291452"}),
        ("https://id.example/01/96385074", {"01": "00000096385074"}),
        (f"https://id.example:8443/some/path/01/{MILK}", {"01": MILK}),
        (f"https://x.example/01/{MILK}/22/2A/10/ABC/21/12345", {"01": MILK, "22": "2A", "10": "ABC", "21": "12345"}),
        (f"https://x.example/01/{MILK}/22/2A/21/12345", {"01": MILK, "22": "2A", "21": "12345"}),
        (f"https://x.example/01/{MILK}/235/TPX", {"01": MILK, "235": "TPX"}),
        (f"https://x.example/gtin/{MILK}/lot/ABC/ser/9", {"01": MILK, "10": "ABC", "21": "9"}),
        (f"https://x.example/01/{MILK}?17=261231&3103=000195", {"01": MILK, "17": "261231", "3103": "000195"}),
        (f"https://x.example/01/{MILK}?17=261231;15=261201", {"01": MILK, "17": "261231", "15": "261201"}),
        (f"https://x.example/01/{MILK}?linkType=all&utm=1&17=261231#top", {"01": MILK, "17": "261231"}),
        (f"https://x.example/01/{MILK}/10/A%2FB%2b%25", {"01": MILK, "10": "A/B+%"}),
        (f"https://x.example/gtin/{MILK}/lot/ABC?exp=261231", {"01": MILK, "10": "ABC", "17": "261231"}),
        (f"https://x.example/01/{MILK}?exp=1795365952", {"01": MILK}),  # the web's own
        (f"https://x.example/01/{MILK}?10=ABC", {"01": MILK, "10": "ABC"}),
        (f"https://x.example/01/{MILK}/10/01", {"01": MILK, "10": "01"}),
        ("https://x.example/00/340123450000000000", {"00": "340123450000000000"}),
        (f"https://x.example/01/01/{MILK}", {"01": MILK}),
    ],
)
def test_digital_links(uri: str, elements: dict[str, str]) -> None:
    elements = {ai: value[:-1] + check_digit(value[:-1]) if ai == "00" else value for ai, value in elements.items()}
    if "00" in elements:
        uri = f"https://x.example/00/{elements['00']}"
    for aim in (None, "Q1", "Q3", "d1"):
        said = meant(uri, aim)
        assert (said.kind, said.elements, said.gtin) == ("digital_link", elements, elements.get("01"))


@pytest.mark.parametrize(
    ("uri", "kind", "reason"),
    [
        ("https://x.example/01/04006381333932", "rejected", "check-digit"),
        ("https://x.example/01/4006381333932", "rejected", "check-digit"),
        ("https://x.example/01/400638133393", "rejected", "check-digit"),
        ("https://x.example/01/400638133393100", "rejected", "value-length"),
        (f"https://x.example/01/{MILK}/21/1/10/A", "rejected", "qualifier-order"),
        (f"https://x.example/01/{MILK}/10/A/22/1", "rejected", "qualifier-order"),
        (f"https://x.example/01/{MILK}/10/A/235/1", "rejected", "qualifier-order"),
        (f"https://x.example/01/{MILK}/17/261231", "rejected", "qualifier-order"),
        (f"https://x.example/01/{MILK}/10/A/10/B", "rejected", "qualifier-order"),
        (f"https://x.example/01/{MILK}/10/A?10=B", "rejected", "duplicate-ai"),
        (f"https://x.example/01/{MILK}/10/%ZZ", "rejected", "uri"),
        (f"https://x.example/01/{MILK}/10/A%2", "rejected", "uri"),
        (f"https://x.example/01/{MILK}/10/A%00", "rejected", "value-characters"),
        (f"https://x.example/01/{MILK}/10/A%20B", "rejected", "value-characters"),
        (f"https://x.example/01/{MILK}?10=A+B", "rejected", "value-characters"),
        (f"https://x.example/01/{MILK}/10/A B", "rejected", "uri"),
        (f"https://x.example/01/{MILK}/10/", "rejected", "uri-path"),
        (f"https://x.example/01/{MILK}/details", "rejected", "uri-path"),
        (f"https://x.example/01/{MILK}?17=261301", "rejected", "date"),
        (f"https://x.example/01/{MILK}?17=", "rejected", "value-length"),
        (f"https://x.example/01/{MILK}?18=1", "rejected", "unknown-ai"),
        (f"https://x.example/01/{MILK}?37=1", "rejected", "excluded-ai"),
        (f"https://x.example/01/{MILK}https://x.example/01/{MILK}", "rejected", "glued"),
        ("https://example.com/menu", "unknown", "address"),
        ("https://example.com", "unknown", "address"),
        ("https://example.com/01", "unknown", "address"),
        ("https://", "rejected", "uri"),
        ("https:///01/04006381333931", "rejected", "uri"),
        (f"ftp://x.example/01/{MILK}", "unknown", "not-known"),
        (f"x.example/01/{MILK}", "unknown", "not-known"),
    ],
)
def test_addresses_that_are_no_digital_link(uri: str, kind: str, reason: str) -> None:
    said = meant(uri)
    assert (said.kind, said.reason, said.elements) == (kind, reason, {})


def test_an_address_may_name_a_person_too() -> None:
    assert meant("https://x.example/8018/401234567890000003").kind == "loyalty"
    assert meant("https://x.example/255/4012345000009").kind == "voucher"


# --- what pays, and what is the shop's own -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "payer"),
    [
        ("101234567890123456", "wechat"),
        ("151234567890123456", "wechat"),
        ("281234567890123456", "alipay"),
        ("2512345678901234", "alipay"),
        ("301234567890123456789012", "alipay"),
        ("6212345678901234567", "unionpay"),
        (CPM, "emvco"),
    ],
)
def test_a_wallet_pays_while_something_is_to_be_paid(data: str, payer: str) -> None:
    for aim in (None, "Q1", "C0", "Q0"):
        assert meant(data, aim, tendering=True) == Scan(kind="wallet", wallet=payer)  # type: ignore[arg-type]
    before = meant(data)
    assert (before.kind, before.wallet) in (("unknown", None), ("rejected", None))
    assert before.reason in ("wallet-too-early", "card-number")


@pytest.mark.parametrize(
    "data",
    ["161234567890123456", "091234567890123456", "10123456789012345", "251234567890123", "2512345678901234567890123",
     "311234567890123456", "621234567890123456", "4006381333931"],
)  # fmt: skip
def test_what_no_wallet_shows(data: str) -> None:
    assert meant(data, tendering=True).kind != "wallet"


@pytest.mark.parametrize(
    "data", [CPM[:-8], CPM[:11], "hQVDUFYwMWE=", "hQVDUFYwMW!!", CPM + "AAAA" * 400, "hQVDUFYwMQ=="]
)
def test_a_damaged_wallet_code_is_rejected(data: str) -> None:
    assert meant(data, tendering=True).kind in ("rejected", "unknown")
    assert meant(data, tendering=True).wallet is None


@pytest.mark.parametrize("text", [MPM, MPM.encode().decode("latin-1")])
def test_a_merchants_code_is_known_for_what_it_is(text: str) -> None:
    assert meant(text) == Scan(kind="unknown", reason="merchant-code")
    assert meant(text[:-1] + "B") == Scan(kind="rejected", reason="merchant-code-damaged")
    assert meant(text.replace("23.72", "99.72")) == Scan(kind="rejected", reason="merchant-code-damaged")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("V-100", "voucher"),
        ("2299000000017", "voucher"),
        ("STAFF:7", "staff"),
        ("L-4711", "loyalty"),
        ("60064912", "loyalty"),
        ("6006491234", "loyalty"),
        ("600649123456", "loyalty"),
        (f"TD1:till-3/{EPOCH}/17", "receipt"),
        (f"TD1:till-3/{EPOCH}/17/1234EUR/2026-11-24T14:03", "receipt"),
        (f"TD1:till-3/{EPOCH}/17/-1234EUR/2026-11-24T14:03/{'c2ln-_A' * 12}AA", "receipt"),
    ],
)
def test_the_shops_own_codes(data: str, kind: str) -> None:
    if data.startswith("2299"):
        data = data[:-1] + check_digit(data[:-1])
    if len(data) == 12:
        data = data[:-1] + check_digit(data[:-1])
    said = meant(data)
    assert (said.kind, said.identity) == (kind, data)


@pytest.mark.parametrize("data", ["TD1:", f"TD1:till-3/{EPOCH}/0", f"TD1:till 3/{EPOCH}/17", "TD1:till-3/xyz/17"])
def test_a_damaged_receipt_is_rejected(data: str) -> None:
    assert meant(data) == Scan(kind="rejected", reason="receipt-damaged")


def test_a_payment_card_is_not_the_shops_own_whatever_the_shop_says() -> None:
    careless = CodeRules(loyalty=("4", "60064"))
    assert classify("4111111111111111", None, careless).reason == "card-number"
    assert classify("6006490000000007", None, careless).kind == "loyalty"


# --- what is none ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "aim", "kind", "reason"),
    [
        ("", None, "rejected", "empty"),
        ("]E0", None, "rejected", "empty"),
        (GS, "d2", "rejected", "empty"),
        (" \t", None, "rejected", "empty"),
        ("4" * 3000, None, "rejected", "length"),
        ("5449000000997", "E0", "rejected", "check-digit"),
        ("544900000099", None, "rejected", "check-digit"),
        ("40063813339", "E0", "rejected", "length"),
        ("4006381333931A", "E0", "rejected", "value-characters"),
        ("40063\x00381333931", None, "rejected", "control-characters"),
        ("[)>\x1e06\x1dX", None, "rejected", "control-characters"),
        ("40063813339315449000000996", None, "rejected", "glued"),
        ("9638507496385074", None, "rejected", "doubled"),
        ("40063813339314006381333931", None, "rejected", "doubled"),
        ("400638133393154490000009964006381333931", None, "rejected", "glued"),
        ("963850744006381333931", None, "rejected", "glued"),
        ("4006381333931]E05449000000996", None, "rejected", "glued"),
        ("4006381333931 5449000000996", None, "rejected", "glued"),
        (f"4006381333931https://x.example/01/{MILK}", None, "rejected", "glued"),
        ("٤٠٠٦٣٨١٣٣٣٩٣١", None, "unknown", "not-known"),
        ("HELLO", None, "unknown", "not-known"),
        ("10A17", None, "unknown", "not-known"),
        ("123", None, "unknown", "not-known"),
        (f"01{MILK}", "d1", "unknown", "not-known"),
        ("%B4111111111111111^DOE/JANE^30121010000000000?", None, "rejected", "card-number"),
        (";4111111111111111=30121010000000000?", None, "rejected", "card-number"),
        ("4111 1111 1111 1111", None, "rejected", "card-number"),
        ("4111111111111111", None, "rejected", "card-number"),
        ("378282246310005", None, "rejected", "card-number"),
        ("30569309025904", None, "rejected", "card-number"),
        ("6011000990139424", None, "rejected", "card-number"),
        ("4111111111111112", None, "unknown", "not-known"),
    ],
)
def test_what_means_nothing(data: str, aim: str | None, kind: str, reason: str) -> None:
    said = classify(data, aim, RULES)
    assert (said.kind, said.reason, said.gtin) == (kind, reason, None)
    assert classify(data, aim) == said
    told = refusal(said, data)
    assert not any(len(str(value)) > 14 for value in told.params.values())


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")), AIMS, st.booleans())
def test_any_text_has_a_meaning_or_a_reason(data: str, aim: str | None, tendering: bool) -> None:
    said = classify(data, aim, RULES, tendering=tendering)
    assert said.kind in KINDS
    if said.gtin is not None:
        assert (len(said.gtin), check_digit(said.gtin[:-1])) == (14, said.gtin[-1])
    if said.kind in ("unknown", "rejected"):
        assert said.reason
        assert refusal(said, data).id
    reading(said, "scanned", TODAY)


@given(
    st.lists(st.sampled_from(["01", MILK, "10", "21", "17", "261231", "3103", GS, "(", ")", "A", "9", "]d2", "https://a/", "/"]),
             max_size=20).map("".join),
    AIMS,
)  # fmt: skip
def test_damaged_element_strings_have_a_reason(data: str, aim: str | None) -> None:
    assert classify(data, aim).kind in KINDS


# --- what becomes of it ------------------------------------------------------------------------------------------


def test_an_item_with_all_that_its_code_says() -> None:
    said = reading(meant(f"]d201{MILK}17261205152611001626113070032612051430{GS}10A17{GS}21999"), "scanned", TODAY)
    assert said == Reading(
        gtin=MILK,
        method="scanned",
        lot="A17",
        serial="999",
        use_by="2026-12-05",
        best_before="2026-11-30",
        sell_by="2026-11-30",
        expires="2026-12-05T14:30",
    )


@pytest.mark.parametrize("payload", ["211234500000", "291234500000"])
def test_the_catalogues_key_of_an_in_store_number_says_no_value(payload: str) -> None:
    code = payload + check_digit(payload)
    assert reading(meant(code), "keyed", TODAY) == Reading(gtin=f"0{code}", method="keyed")


@pytest.mark.parametrize(
    ("yymmdd", "today", "date"),
    [
        ("260200", "2026-11-24", "2026-02-28"),
        ("280200", "2026-11-24", "2028-02-29"),
        ("991231", "2026-11-24", "1999-12-31"),
        ("760101", "2026-11-24", "2076-01-01"),
        ("770101", "2026-11-24", "1977-01-01"),
        ("010101", "2098-11-24", "2101-01-01"),
    ],
)
def test_a_date_is_in_the_nearest_century(yymmdd: str, today: str, date: str) -> None:
    said = reading(meant(f"]d201{MILK}17{yymmdd}"), "scanned", today)
    assert said is not None
    assert said.use_by == date


@pytest.mark.parametrize("data", ["]C110ABC", "V-100", "4111111111111111", "]C102" + MILK + "3712"])
def test_what_is_no_item(data: str) -> None:
    assert reading(meant(data), "scanned", TODAY) is None


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
        facts = Facts(business_day=TODAY, local_time="", question=read(SHOP, Till(), event, TODAY))
        taken = step(SHOP, Till(), event, facts)
        assert taken.refused
        assert typed.encode() not in msgspec.json.encode(taken)
