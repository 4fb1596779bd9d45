"""Element strings and Digital Links as another library reads them: biip, whose tables were made by other people.

What both take they must take alike; what biip is sure of, ours must not read as something else.
"""

import pytest
from biip import ParseConfig, ParseError
from biip.checksums import gs1_price_weight_check_digit, gs1_standard_check_digit
from biip.gs1_application_identifiers import _GS1_APPLICATION_IDENTIFIERS
from biip.gs1_digital_link_uris import GS1DigitalLinkURI
from biip.gs1_messages import GS1Message
from hypothesis import given, settings
from hypothesis import strategies as st

from core import gs1_table
from core.gs1 import GS, check_digit
from core.measure import value_check_digit
from core.scan import classify
from tests.core.test_scan import ELEMENTS, MILK

COMMON = sorted(_GS1_APPLICATION_IDENTIFIERS.keys() & gs1_table._sources().keys())


def biips(data: str) -> dict[str, str] | None:
    """What biip makes of an element string."""
    try:
        parsed = GS1Message.parse(data, config=ParseConfig())
    except (ParseError, ValueError):
        return None
    return {element.ai.ai: element.value for element in parsed.element_strings}


def test_both_know_the_same_identifiers() -> None:
    assert len(COMMON) > 500
    assert not _GS1_APPLICATION_IDENTIFIERS.keys() - set(COMMON)


def test_whether_a_separator_is_needed() -> None:
    """Where biip needs none, a value has one length only, so that its end is known."""
    for ai in COMMON:
        form = gs1_table.format_of(ai)
        assert form is not None
        if not _GS1_APPLICATION_IDENTIFIERS[ai].separator_required:
            assert form.length_min == form.length_max


@settings(max_examples=300)
@given(st.sampled_from(COMMON), st.data())
def test_values_of_all_identifiers(ai: str, data: st.DataObject) -> None:
    form = gs1_table.format_of(ai)
    assert form is not None
    value = data.draw(st.from_regex(form.pattern, fullmatch=True))
    said = classify(f"{ai}{value}{GS}", "d2").elements
    theirs = biips(ai + value)
    assert said in ({}, {ai: value})
    if said and theirs is not None:
        assert theirs == said


@given(ELEMENTS)
def test_whole_messages(elements: dict[str, str]) -> None:
    data = f"01{MILK}{GS}" + GS.join(ai + value for ai, value in elements.items())
    theirs = biips(data)
    if theirs is not None:
        assert classify(data, "d2").elements == theirs


@pytest.mark.parametrize(
    "uri",
    [
        f"https://id.gs1.org/01/{MILK}/22/2A/10/ABC/21/12345?17=261231&3103=000195",
        "https://example.com/some/path/01/4006381333931/10/A%2FB",
        "https://example.com/00/340123450000000000",
    ],
)
def test_digital_links(uri: str) -> None:
    theirs = {one.ai.ai: one.value for one in GS1DigitalLinkURI.parse(uri, config=ParseConfig()).element_strings}
    ours = classify(uri).elements
    assert {ai: value.zfill(14) if ai == "01" else value for ai, value in theirs.items()} == ours


@given(st.text("0123456789", min_size=1, max_size=17))
def test_check_digits(payload: str) -> None:
    assert check_digit(payload) == str(gs1_standard_check_digit(payload))


@given(st.text("0123456789", min_size=4, max_size=5))
def test_check_digits_of_values(digits: str) -> None:
    assert value_check_digit(digits) == str(gs1_price_weight_check_digit(digits))
