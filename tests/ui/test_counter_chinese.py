"""The counter in Chinese: whatever it shows is said in it, within the columns that there are."""

import re
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from core.language import words
from core.view import HeldView, ShopView, TenderView, View
from tests.ui.fake_till import FakeTill
from tests.ui.test_counter import watched
from tests.ui.views import basket, last, notice, sale, view
from ui.merchant.actions import FLOWS, MENU
from ui.say import Speaker, say
from ui.text import WORDS

SHOP = ShopView(
    name="街角小店", terminal="till-3", workstation="3", currency="CNY", exponent=2, language="zh",
)  # fmt: skip
SIZES = [(100, 30), (100, 46), (240, 67)]
_KEPT = re.compile(r"F\d+|Esc|Del|Enter|GTIN|CNY|PIN|till-3|Up Down|card|scan|0-9 Enter|[a-z]*ready|A17", re.ASCII)
"""What is printed on keys, and what names things."""


def _view(**changes: Any) -> View:
    shown: dict[str, Any] = {"shop": SHOP, "devices": ()}
    return view(**(shown | changes))


def _ours(**changes: Any) -> Any:
    """A sale whose goods have Chinese names."""
    names = ("鲜牛奶 1 升", "酸面包", "香蕉")
    lines = tuple(msgspec.structs.replace(line, name=names[place % 3]) for place, line in enumerate(basket(3)))
    return sale(lines, **changes)


VIEWS = {
    "idle": _view(last=last()),
    "given-up": _view(last=last(cancelled=True, change_minor=0)),
    "ringing": _view(sale=_ours()),
    "partly-paid": _view(
        sale=_ours(mode="tendering", tenders=(TenderView(kind="CASH", amount_minor=500),), customer=True)
    ),
    "weighing": _view(sale=_ours(mode="weighing", awaited="香蕉")),
    "asking": _view(sale=_ours(mode="asking", held=HeldView(about="age", name="米酒", min_age=18))),
    "authorizing": _view(sale=_ours(mode="authorizing")),
    "enquiring": _view(sale=_ours(mode="enquiring")),
    "reversing": _view(sale=_ours(mode="reversing")),
    "waiting": _view(receipts_waiting=2),
    "notice": _view(sale=_ours(), notice=notice(2, "error", "device-lost", device="card", fault="device-gone")),
}


@pytest.fixture(autouse=True)
def _english_again() -> Any:
    yield
    say.speak("en")


@pytest.mark.parametrize("size", SIZES)
async def test_no_english_is_left(till: FakeTill, size: tuple[int, int]) -> None:
    async with watched(till, size=size) as at:
        for revision, (name, shown) in enumerate(VIEWS.items(), 2):
            await at.show(msgspec.structs.replace(shown, revision=revision))
            await at.pilot.pause()
            text = at.text()
            assert not re.findall(r"[A-Za-z]{3,}", _KEPT.sub("", text)), f"{name}: {text}"
            assert re.search(r"[\u4e00-\u9fff]", text), name
            assert all(cell_len(row) == size[0] for row in text.split("\n")), f"{name}: {text}"


async def test_panels_and_help(till: FakeTill) -> None:
    async with watched(till) as at:
        for key, expected in (("question_mark", "按键"), ("f1", "现金"), ("f4", "数量"), ("escape", "放弃")):
            await at.show(_view(sale=_ours()))
            await at.press(key)
            shown = at.text()
            assert expected in shown, shown
            assert not re.findall(r"[A-Za-z]{3,}", _KEPT.sub("", shown)), shown
            await at.press("escape")


async def test_the_menu_and_the_first_question_of_each_of_its_places(till: FakeTill) -> None:
    everything = tuple(sorted({flow.event for flow in FLOWS.values()} - {"weight_keyed", "age_keyed"}))
    async with watched(till) as at:
        for revision, keys in enumerate((("f10",), *(("f10", entry.letter) for entry in MENU)), 2):
            await at.show(_view(revision=revision, sale=_ours(allowed=everything)))
            await at.press(*keys)
            shown = at.text()
            assert not re.findall(r"[A-Za-z]{3,}", _KEPT.sub("", shown)), f"{keys}: {shown}"
            await at.press("escape", "escape")


async def test_another_language_while_it_runs(till: FakeTill) -> None:
    """The technician changed the configuration: the next view is in the other language, all of it."""
    async with watched(till) as at:
        await at.show(view(sale=sale(basket())))
        assert "TOTAL" in at.text()
        await at.show(_view(sale=_ours()))
        assert "TOTAL" not in at.text()
        assert "合计 CNY" in at.text()
        await at.show(view(revision=9, sale=sale(basket())))
        assert "TOTAL" in at.text()


def test_each_message_is_shorter_than_the_band() -> None:
    """Two rows of 68 columns, the side of a wide screen: longer ones are few, and none is longer than its English."""
    chinese = words("zh")
    for condition, remedy in WORDS.values():
        for text in (condition, remedy):
            assert cell_len(chinese(text)) <= max(66, len(text)), text


def test_a_terminal_without_the_characters_stays_english() -> None:
    speaker = Speaker()
    speaker.hold("en")
    speaker.speak("zh")
    assert speaker.tag == "en"
    assert speaker("Cash") == "Cash"
