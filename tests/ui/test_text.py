"""Words for messages: every one complete, amounts by the currency, and nothing that steers a terminal."""

import string

import pytest

from core.money import currency
from core.text import message
from ui.text import WORDS, parts, plain, words

EUR = currency("EUR")


def test_amounts_are_in_the_shops_currency() -> None:
    paid = message("sale-completed", change_minor=123456)
    assert words(paid, EUR) == "Paid. Change 1,234.56."
    assert words(paid, currency("JPY")) == "Paid. Change 123,456."
    assert words(paid, currency("KWD")) == "Paid. Change 123.456."


def test_condition_and_remedy_are_apart() -> None:
    assert parts(message("printer-paper-out"), EUR) == (
        "The printer is out of paper.",
        "Put in a new roll; the receipt is printed then.",
    )


def test_codes_become_words() -> None:
    assert "it was declined" in words(message("payment-declined", reason="declined"), EUR)
    assert "it is not plugged in" in words(message("device-lost", device="scanner", fault="device-absent"), EUR)


@pytest.mark.parametrize("known", sorted(WORDS))
def test_each_message_reads_as_sentences_even_without_its_parameters(known: str) -> None:
    condition, remedy = parts(message(known), EUR)
    assert condition.endswith((".", "?"))
    assert remedy == "" or remedy.endswith(".")
    assert "{" not in condition + remedy
    assert len(condition) <= 76
    assert len(remedy) <= 76


@pytest.mark.parametrize("known", sorted(WORDS))
def test_each_parameter_is_a_plain_name(known: str) -> None:
    for part in WORDS[known]:
        for _, name, spec, conversion in string.Formatter().parse(part):
            assert name is None or name.isidentifier()
            assert not spec
            assert not conversion


def test_an_id_without_words_is_readable() -> None:
    assert words(message("lid-ajar", door=3, fee_minor=250), EUR) == "Lid ajar (door 3, fee 2.50)."
    assert words(message("lid-ajar"), EUR) == "Lid ajar."
    assert words(message(""), EUR) == "Notice."


def test_nothing_from_outside_steers_the_terminal() -> None:
    told = words(message("item-voided", name="\x1b[2Jmilk\r\n{shop}"), EUR)
    assert told == "·[2Jmilk··{shop} was taken back."
    assert plain("Käse 100 %") == "Käse 100 %"
    assert plain("\x9b31m\u202edlog") == "·31m·dlog"
