"""Which cards a shop takes by itself, and that what may be card data has no text."""

import copy
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import CardSwiped
from core.stripe import CardKind, CardRange, Opaque, is_payment, sort

RANGES = (
    CardRange(kind="loyalty", prefix="600649"),
    CardRange(kind="gift", prefix="60064912", digits=12),
    CardRange(kind="staff", prefix="98"),
)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (b"6006490000000004", "loyalty"),
        (b"600649120000", "gift"),
        (b"6006491200001", "loyalty"),  # not as long as a gift card's
        (b"9800001", "staff"),
        (b"980", "unknown"),  # too short for any card
        (b"98000000000000000001", "unknown"),  # too long
        (b"7006490000000004", "unknown"),
    ],
)
def test_the_longest_prefix_decides(number: bytes, kind: str) -> None:
    assert sort(memoryview(number), RANGES) == kind


@pytest.mark.parametrize(
    "number",
    [
        # the test numbers that payment providers publish
        b"4111111111111111", b"4242424242424242", b"5555555555554444", b"5105105105105100", b"2223003122003222",
        b"378282246310005", b"371449635398431", b"30569309025904", b"38520000023237", b"36148900647913",
        b"3530111333300000", b"6011111111111117", b"6011000990139424", b"6240008631401148", b"6759649826438453",
        b"6304000000000000", b"2200000000000053", b"8171999927660000", b"9792030000000000", b"5019717010103742",
    ],
)  # fmt: skip
def test_a_payment_card_stays_one_whatever_is_configured(number: bytes) -> None:
    kinds: tuple[CardKind, ...] = ("loyalty", "gift", "staff")
    greedy = tuple(CardRange(kind=kind, prefix=str(first)) for kind in kinds for first in range(10))
    assert sort(memoryview(number), greedy) == "payment"
    assert sort(memoryview(number), ()) == "payment"
    assert is_payment(number[:6].decode())


@given(st.text("0123456789", min_size=4, max_size=19), st.integers(1, 10))
def test_a_prefix_that_is_no_payments_takes_no_payment_card(number: str, length: int) -> None:
    prefix = number[:length]
    if not is_payment(prefix):
        assert sort(memoryview(number.encode()), (CardRange(kind="loyalty", prefix=prefix),)) == "loyalty"


def test_nothing_is_taken_where_nothing_is_configured() -> None:
    assert sort(memoryview(b"6006490000000004"), ()) == "unknown"


def test_what_is_opaque_is_written_nowhere() -> None:
    held = Opaque(bytearray(b"\x99secret"))
    assert repr(held) == str(held) == f"{held}" == "Opaque(7 bytes)"
    assert len(held) == 7
    assert bytes(held.view()) == b"\x99secret"
    for write in (pickle.dumps, copy.copy, copy.deepcopy, msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError):
            write(held)
    with pytest.raises(TypeError):
        held.view()[0] = 0
    held.wipe()
    assert bytes(held.view()) == bytes(7)


def test_a_swiped_cards_number_is_in_no_text() -> None:
    assert "6006" not in repr(CardSwiped(device="msr", kind="loyalty", number="6006490000000004"))
