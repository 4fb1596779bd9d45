"""With the printer dead the receipt's code stands on the screen: a phone reads it, and it goes by itself or by any key."""

from typing import Any

import pytest
import zxingcpp
from PIL import Image
from textual.widgets import Static

from core.view import DeviceView, View
from tests.core.test_receipt_code import SIGNED
from tests.ui.fake_till import FakeTill
from tests.ui.test_counter import watched
from tests.ui.views import basket, last, sale, view
from ui.merchant.receipt_qr import ReceiptQr, half_blocks, is_wanted

CODE = SIGNED.text()
DOTS = 4


def _read(rows: list[str]) -> str:
    """What a camera makes of a black screen with these rows on it."""
    halves = {
        "\N{FULL BLOCK}": (255, 255),
        "\N{UPPER HALF BLOCK}": (255, 0),
        "\N{LOWER HALF BLOCK}": (0, 255),
        " ": (0, 0),
    }
    wide, high = len(rows[0]) + 8, 2 * len(rows) + 8
    picture = Image.new("L", (wide, high), 0)
    for y, row in enumerate(rows):
        for x, sign in enumerate(row):
            for half in (0, 1):
                picture.putpixel((x + 4, 2 * y + half + 4), halves[sign][half])
    (found,) = zxingcpp.read_barcodes(picture.resize((wide * DOTS, high * DOTS), Image.Resampling.NEAREST))
    return found.text


def _printer(phase: str, paper: str = "ok") -> tuple[DeviceView, ...]:
    return (DeviceView(name="printer", kind="POSPrinter", phase=phase, detail={"paper": paper}),)


def _waiting(**changes: Any) -> View:
    waits: dict[str, Any] = {"last": last(printed=0, code=CODE), "receipts_waiting": 1, "devices": _printer("stalled")}
    return view(**(waits | changes))


def test_a_phone_reads_it() -> None:
    rows = half_blocks(CODE)
    assert _read(rows) == CODE
    assert len(rows) <= 28  # a screen of 30 rows has it with two rows of words
    assert len(rows[0]) <= 80


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (_waiting(), True),
        (_waiting(devices=()), True),
        (_waiting(devices=_printer("ready", "out")), True),
        (_waiting(devices=_printer("ready")), False),
        (_waiting(devices=_printer("stalled") + _printer("ready")), False),
        (_waiting(last=last(printed=1, code=CODE)), False),
        (_waiting(last=last(printed=0)), False),
        (_waiting(last=None), False),
        (_waiting(receipts_waiting=0), False),
        (_waiting(sale=sale(basket())), False),
    ],
)
def test_when_it_is_wanted(shown: View, wanted: bool) -> None:
    assert is_wanted(shown) is wanted


@pytest.mark.parametrize("size", [(100, 30), (240, 67)])
async def test_on_the_screen(till: FakeTill, size: tuple[int, int]) -> None:
    async with watched(till, size=size) as at:
        await at.show(_waiting())
        qr = at.counter.query_one(ReceiptQr)
        assert qr.shown
        rows = str(qr.query_one(".code", Static).render()).split("\n")
        assert _read(rows) == CODE
        assert qr.query_one(".code", Static).region.height == len(rows)
        assert "3.59" in str(qr.query_one(".words", Static).render())
        await at.press("f1")
        assert not qr.shown
        assert not at.till.orders  # the key did nothing else
        await at.show(_waiting(revision=2))
        assert not qr.shown
        await at.show(
            view(
                last=last(number=418, printed=0, code=CODE.replace("/17/", "/18/")),
                receipts_waiting=2,
                devices=_printer("absent"),
            )
        )
        assert qr.shown
        await at.show(_waiting(sale=sale(basket())))
        assert not qr.shown


async def test_a_small_screen_says_so(till: FakeTill) -> None:
    async with watched(till, size=(80, 24)) as at:
        await at.show(_waiting())
        assert "too small" in str(at.counter.query_one(ReceiptQr).query_one(".code", Static).render())
