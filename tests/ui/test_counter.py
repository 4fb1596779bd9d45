"""The counter over a real control socket: which key leads to which order, what is shown, and how it comes back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Digits

from core import text
from core.view import DeviceView, DiscountView, HeldView, LinkView, MirrorView, NoticeView, TenderView, View
from tests.ui.fake_till import FakeTill
from tests.ui.views import basket, last, notice, sale, view
from ui.merchant.app import CounterApp
from ui.merchant.counter import TOUCH_PAUSE_S, Counter
from ui.merchant.lines import Lines
from ui.merchant.notice import NoticeBand
from ui.merchant.touchkey import TouchKey

WAIT_S = 5.0


class Screen:
    """A counter under test: presses keys, and reads what can be seen."""

    def __init__(self, pilot: Pilot[None], app: "WatchedApp", till: FakeTill) -> None:
        self.pilot, self.app, self.till = pilot, app, till

    @property
    def counter(self) -> Counter:
        return self.app.counter

    async def press(self, *keys: str) -> None:
        """Keys as the terminal's driver would send them."""
        for key in keys:
            character = {"question_mark": "?"}.get(key, key if len(key) == 1 else None)
            self.app.post_message(events.Key(key, character))
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await self.pilot.pause(0.01)

    async def show(self, new: View) -> None:
        """Publishes a view and waits until it is painted."""
        painted = len(self.app.painted)
        self.till.show(new)
        await self.until(lambda: len(self.app.painted) > painted)

    async def orders(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        await self.until(lambda: len(self.till.orders) >= count)
        await asyncio.sleep(0.02)
        return self.till.orders

    async def touch(self, name: str) -> None:
        self.app.now_s += TOUCH_PAUSE_S
        await self.pilot.click(self.key(name))

    def key(self, name: str) -> TouchKey:
        return next(key for key in self.app.query(TouchKey) if key.name == name and key.region.area)

    def told(self) -> str:
        return self.app.query_one(NoticeBand).text

    def text(self) -> str:
        """All that stands on the screen."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        assert len(strips) == height
        return "\n".join(strip.text[:width] for strip in strips)


class WatchedApp(CounterApp):
    """Counts what the screen paints and how often it rings; its clock stands still unless it is moved."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, monotonic_s=lambda: self.now_s)
        self.now_s = 1000.0
        self.painted: list[int] = []
        self.bells = 0

    def on_counter_painted(self, event: Counter.Painted) -> None:
        self.painted.append(event.revision)

    def bell(self) -> None:
        self.bells += 1


@contextlib.asynccontextmanager
async def watched(till: FakeTill, size: tuple[int, int] = (100, 46)) -> AsyncIterator[Any]:
    app = WatchedApp(till.path)
    async with app.run_test(size=size) as pilot:
        screen = Screen(pilot, app, till)
        await screen.until(lambda: app.painted)
        yield screen


RINGING = view(sale=sale(basket()))


async def test_views_that_come_while_the_screen_is_taken_down_are_no_fault(till: FakeTill) -> None:
    async def flood() -> None:
        revision = 10
        while True:
            revision += 1
            till.show(msgspec.structs.replace(RINGING, revision=revision))
            await asyncio.sleep(0)

    for _ in range(5):
        async with watched(till):
            flooding = asyncio.create_task(flood(), name="flood")
            await asyncio.sleep(0.05)
        flooding.cancel()


KEYS: tuple[tuple[str, tuple[str, dict[str, Any]]], ...] = (
    ("f1 enter", ("sale.cash", {})),
    ("f1 5 0 enter", ("sale.cash", {"amount_minor": 5000})),
    ("f1 3 0 . 5 enter", ("sale.cash", {"amount_minor": 3050})),
    ("f1 9 backspace 3 0 enter", ("sale.cash", {"amount_minor": 3000})),
    ("f2", ("sale.card", {})),
    ("f3 4 0 6 enter", ("sale.scan", {"data": "406"})),
    ("4 0 0 6 enter", ("sale.scan", {"data": "4006"})),
    ("0 1 enter", ("sale.scan", {"data": "01"})),
    ("f4 1 2 enter", ("sale.quantity", {"quantity_milli": 12000})),
    ("delete", ("sale.void", {})),
    ("up up delete", ("sale.void", {"line": 5})),
    ("up up down delete", ("sale.void", {"line": 6})),
    ("up up f4 2 enter", ("sale.quantity", {"quantity_milli": 2000, "line": 5})),
    ("up down delete", ("sale.void", {})),
    ("up escape delete", ("sale.void", {})),
    ("escape enter", ("sale.cancel", {})),
    ("f1 escape escape escape delete", ("sale.void", {})),
)

TOUCHES: tuple[tuple[str, tuple[str, dict[str, Any]]], ...] = (
    ("cash enter", ("sale.cash", {})),
    ("cash quick-0", ("sale.cash", {})),
    ("cash quick-2", ("sale.cash", {"amount_minor": 4000})),
    ("cash 5 0 enter", ("sale.cash", {"amount_minor": 5000})),
    ("card", ("sale.card", {})),
    ("code 4 0 rub 2 enter", ("sale.scan", {"data": "42"})),
    ("quantity quick-1", ("sale.quantity", {"quantity_milli": 3000})),
    ("void", ("sale.void", {})),
    ("cancel yes", ("sale.cancel", {})),
    ("cancel no void", ("sale.void", {})),
    ("cash back void", ("sale.void", {})),
)


async def test_what_waits_for_its_weight(till: FakeTill) -> None:
    """F4 types it where the till takes that; the band says what to do all the while."""
    waiting = sale(basket(2), mode="weighing", awaited="Bananas", allowed=("weight_keyed", "cancel_keyed"))
    till.view = view(sale=waiting)
    async with watched(till) as screen:
        assert "Bananas is sold by weight" in screen.told()
        await screen.press("f4", "6", "4", "2")
        assert "0.642 kg" in screen.text()
        await screen.press("enter")
        assert await screen.orders(1) == [("sale.weight", {"weight_g": 642})]
        await screen.press("f1")
        assert "waits for its weight" in screen.told()


async def test_what_waits_for_an_age(till: FakeTill) -> None:
    held = HeldView(about="age", name="Rum", min_age=18)
    waiting = sale(basket(2), mode="asking", held=held, allowed=("age_keyed", "cancel_keyed"))
    till.view = view(sale=waiting)
    async with watched(till) as screen:
        assert "Rum is for customers of 18 years" in screen.told()
        await screen.press("f1")
        assert "waits for an answer" in screen.told()
        await screen.press("f4")
        assert "Is the customer 18 or older?" in screen.text()
        await screen.press("enter")
        assert await screen.orders(1) == [("sale.age", {"of_age": True})]
        till.orders.clear()
        await screen.press("f4", "escape")
        assert await screen.orders(1) == [("sale.age", {"of_age": False})]
        till.orders.clear()
        await screen.press("escape")
        assert await screen.orders(1) == [("sale.cancel", {})]


async def test_what_waits_for_its_price(till: FakeTill) -> None:
    held = HeldView(about="price", name="Flowers")
    waiting = sale(basket(2), mode="asking", held=held, allowed=("open_price_keyed", "cancel_keyed"))
    till.view = view(sale=waiting)
    async with watched(till) as screen:
        assert "Flowers has no price of its own" in screen.told()
        await screen.press("f4", "enter", "1", "2", ".", "5")
        assert "Price for one" in screen.text()
        await screen.press("enter")
        assert await screen.orders(1) == [("sale.open_price", {"unit_price_minor": 1250})]


async def test_what_waits_to_be_measured(till: FakeTill) -> None:
    held = HeldView(about="quantity", name="Olive oil", unit="l")
    till.view = view(sale=sale(basket(2), mode="asking", held=held, allowed=("quantity_keyed", "cancel_keyed")))
    async with watched(till) as screen:
        assert "How much of Olive oil is it, in l?" in screen.told()
        await screen.press("f4", "enter", ".", "enter", "backspace", "1", ".", "3", "7", "5", "9")
        assert "1.375 l" in screen.text()
        assert "Olive oil" in screen.text()
        await screen.press("enter")
        assert await screen.orders(1) == [("sale.quantity", {"quantity_milli": 1375})]
        till.orders.clear()
        oil = msgspec.structs.replace(
            basket(1)[0], name="Olive oil", unit="l", quantity_milli=1375, unit_price_minor=649
        )
        await screen.show(view(sale=sale((oil,))))
        assert "1.375 l" in screen.text()
        assert "6.49/l" in screen.text()
        await screen.press("f4", "2", "enter")
        assert await screen.orders(1) == [("sale.quantity", {"quantity_milli": 2000})]


async def test_what_is_unusual_is_asked_about_and_sent_again(till: FakeTill) -> None:
    till.view = RINGING
    till.refusal = text.message("quantity-unusual", name="Bananas", quantity=111, usual=2)
    async with watched(till) as screen:
        await screen.press("f4", "1", "1", "1", "enter")
        await screen.orders(1)
        await screen.until(lambda: "Is that right?" in screen.text())
        assert "111 of Bananas is far more than the usual 2" in screen.told()
        till.refusal = None
        await screen.press("enter")
        assert await screen.orders(2) == [
            ("sale.quantity", {"quantity_milli": 111_000}),
            ("sale.quantity", {"quantity_milli": 111_000, "confirmed": True}),
        ]


async def test_discounts_say_their_reasons(till: FakeTill) -> None:
    (first, *rest) = basket(2)
    off = DiscountView(reason="Milk 3 for 2", amount_minor=29)
    cheaper = msgspec.structs.replace(first, discount_minor=79, discounts=(off,), regular_minor=1390)
    whole = DiscountView(reason="goodwill", amount_minor=50)
    shown = sale((*rest, cheaper), discounts=(off, whole), cash_due_minor=1600)
    till.view = view(sale=shown)
    async with watched(till) as screen:
        told = screen.text()
        for words in (
            "Milk 3 for 2 -0.29",
            "off the whole -0.50",
            "regular price 13.90",
            "off -0.79",
            "goodwill",
            "12.11",
        ):
            assert words in told, f"{words}\n{told}"
        await screen.press("f1")
        assert "16.00 EUR due" in screen.text()


async def test_keys_lead_to_orders(till: FakeTill) -> None:
    till.view = RINGING
    async with watched(till) as screen:
        for keys, order in KEYS:
            till.orders.clear()
            await screen.press(*keys.split())
            assert await screen.orders(1) == [order], keys
            screen.app.query_one(Lines).choose(0)


async def test_touches_lead_to_orders(till: FakeTill) -> None:
    till.view = RINGING
    async with watched(till, (80, 24)) as screen:
        for touches, order in TOUCHES:
            till.orders.clear()
            for name in touches.split():
                await screen.touch(name)
            assert await screen.orders(1) == [order], touches


async def test_a_touched_line_is_the_one_that_is_voided(till: FakeTill) -> None:
    till.view = RINGING
    async with watched(till) as screen:
        await screen.pilot.click(Lines, offset=(5, 2))
        assert "Bananas" in screen.text().split("GTIN")[0].rsplit("\n", 3)[-2]
        await screen.press("delete")
        assert await screen.orders(1) == [("sale.void", {"line": 3})]


async def test_keys_that_the_till_does_not_take_say_why_and_order_nothing(till: FakeTill) -> None:
    async with watched(till) as screen:
        assert screen.key("cash").off
        assert not screen.key("drawer").off
        await screen.press("f1", "f2", "f4", "delete", "escape")
        await screen.touch("card")
        assert "No sale is open" in screen.told()
        await screen.press("f9", "f8")
        assert await screen.orders(2) == [("drawer.open", {}), ("receipt.reprint", {})]


async def test_a_key_pressed_twice_orders_once(till: FakeTill) -> None:
    till.view = RINGING
    till.hold = asyncio.Event()
    async with watched(till) as screen:
        await screen.press("f2", "f2", "f2")
        await screen.pilot.pause(0.1)
        till.hold.set()
        await screen.pilot.pause(0.1)
        assert till.orders == [("sale.card", {})]
        await screen.press("f2")
        assert len(await screen.orders(2)) == 2


async def test_a_second_touch_does_not_hit_the_key_that_came_in_its_place(till: FakeTill) -> None:
    till.view = RINGING
    async with watched(till) as screen:
        await screen.touch("cash")
        await screen.touch("enter")
        await screen.pilot.click(screen.key("cancel"))
        assert await screen.orders(1) == [("sale.cash", {})]
        assert not screen.counter.panel_open


async def test_a_refusal_is_put_in_words_and_rings_once(till: FakeTill) -> None:
    till.view = RINGING
    till.refusal = text.message("item-not-found", code="42")
    async with watched(till) as screen:
        await screen.press("4", "2", "enter")
        await screen.until(lambda: "42 is not in the catalogue" in screen.told())
        # The till tells the same in its view: one event, one sound.
        await screen.show(view(sale=RINGING.sale, notice=notice(1, "error", "item-not-found", code="42")))
        assert screen.app.bells == 1
        assert "is not in the catalogue" in screen.text()


async def test_an_old_error_does_not_ring_when_the_screen_starts(till: FakeTill) -> None:
    till.view = view(notice=notice(7, "error", "item-not-found", code="42"))
    async with watched(till) as screen:
        assert "is not in the catalogue" in screen.told()
        assert screen.app.bells == 0
        await screen.show(view(notice=notice(8, "error", "check-digit-wrong", code="43")))
        assert "check digit" in screen.told()
        assert screen.app.bells == 1


@pytest.mark.parametrize(
    ("told", "broken"),
    [
        (notice(1, "error", "device-lost", device="printer", fault="device-gone"), {"phase": "absent"}),
        (notice(1, "error", "device-unfit", device="printer", fault="device-denied"), {"phase": "absent"}),
        (notice(1, "error", "printer-paper-out"), {"detail": {"paper": "out", "state": "paper-out"}}),
        (notice(1, "error", "printer-cover-open"), {"detail": {"paper": "ok", "state": "cover-open"}}),
        (notice(1, "error", "drawer-left-open", seconds=60), {"detail": {"state": "open"}}),
    ],
)
async def test_a_device_that_is_well_again_is_no_longer_complained_of(
    till: FakeTill, told: NoticeView, broken: dict[str, object]
) -> None:
    whole = view()
    name = "drawer" if told.message.id.startswith("drawer") else "printer"
    ill = tuple(
        msgspec.structs.replace(device, **broken) if device.name == name else device for device in whole.devices
    )
    till.view = whole
    async with watched(till) as screen:
        await screen.show(view(devices=ill, notice=told))
        assert name in screen.told()
        await screen.show(view(notice=told))
        assert screen.told() == ""
        screen.app.query_one(NoticeBand).tell("error", "Something else is wrong.", "")
        await screen.show(view(revision=9, notice=told))
        assert screen.told() == "Something else is wrong."


async def test_the_next_item_answers_what_was_told(till: FakeTill) -> None:
    till.view = view(sale=sale(basket(2)))
    async with watched(till) as screen:
        wrong = notice(1, "error", "check-digit-wrong", code="4006381333932")
        await screen.show(view(sale=sale(basket(2)), notice=wrong))
        assert "check digit" in screen.told()
        await screen.show(view(sale=sale(basket(3)), notice=wrong))
        assert screen.told() == ""


async def test_of_more_devices_than_there_is_room_for_those_in_trouble_are_named(till: FakeTill) -> None:
    many = tuple(DeviceView(name=f"scanner-{number}", kind="Scanner", phase="ready") for number in range(10))
    till.view = view(devices=many)
    async with watched(till, (80, 40)) as screen:
        assert "all 10 devices work" in screen.text().splitlines()[-1]
        pulled = msgspec.structs.replace(many[8], phase="absent")
        await screen.show(view(devices=(*many[:8], pulled, many[9])))
        foot = screen.text().splitlines()[-1]
        assert "scanner-8" in foot
        assert "9 work" in foot


@pytest.mark.parametrize(("width", "help_shown"), [(49, False), (79, True)])
async def test_every_device_is_named_on_a_narrow_screen(till: FakeTill, width: int, help_shown: bool) -> None:
    five = view()
    till.view = msgspec.structs.replace(
        five, devices=(*five.devices, DeviceView(name="nfc", kind="RFIDScanner", phase="ready"))
    )
    async with watched(till, (width, 40)) as screen:
        foot = screen.text().splitlines()[-1]
        assert all(name in foot for name in ("scanner", "card", "printer", "drawer", "nfc"))
        assert ("Up Down line" in foot) is help_shown


async def test_the_basket_and_its_sums_are_shown(till: FakeTill) -> None:
    lines = list(basket())
    lines[3] = msgspec.structs.replace(lines[3], voided=True)
    tender = TenderView(kind="CASH", amount_minor=1000)
    till.view = view(sale=sale(tuple(lines), mode="tendering", tenders=(tender,)))
    async with watched(till) as screen:
        shown = screen.text()
        for name in ("Espresso beans 1 kg", "0.642 kg", "1.99/kg", "best before 2026-12-02", "lot A17", "5 lines"):
            assert name in shown
        assert "STILL DUE EUR" in shown
        assert "paid cash 10.00" in shown
        due = till.view.sale.due_minor
        assert f"{due // 100}.{due % 100:02d}" in [digits.value for digits in screen.app.query(Digits)]


async def test_a_basket_of_a_thousand_lines_shows_its_end(till: FakeTill) -> None:
    till.view = view(sale=sale(basket(1000)))
    async with watched(till, (80, 24)) as screen:
        await screen.until(lambda: screen.app.query_one(Lines).scroll_offset.y > 980)
        assert "Sourdough loaf" in screen.text()


async def test_between_sales_the_change_is_large(till: FakeTill) -> None:
    till.view = view(last=last(), receipts_waiting=2)
    async with watched(till) as screen:
        shown = screen.text()
        assert "CHANGE" in shown
        assert "Scan the first item" in shown
        assert "2 receipts waiting for the printer" in shown
        assert "3.59" in [digits.value for digits in screen.app.query(Digits) if digits.region.area]
        await screen.show(view(last=last(cancelled=True)))
        assert "given up" in screen.text()
        assert "CHANGE" not in screen.text()


async def test_how_far_headquarters_is_behind_stands_in_the_header(till: FakeTill) -> None:
    async with watched(till) as screen:
        assert "online" in screen.text()
        assert "headquarters has all" in screen.text()
        journal = msgspec.structs.replace(view().journal, seq=1950)
        await screen.show(view(journal=journal))
        assert "headquarters 48 behind" in screen.text()
        await screen.show(view(journal=journal, link=LinkView(connected=False)))
        assert "48 records kept for headquarters" in screen.text()


async def test_sales_that_are_on_one_medium_only_stand_in_the_header(till: FakeTill) -> None:
    async with watched(till) as screen:
        offline = LinkView(connected=False)
        await screen.show(view(link=offline, mirror=MirrorView(sales_at_risk=3)))
        assert "3 sales on this terminal only" in screen.text()
        await screen.show(view(link=offline, mirror=MirrorView(state="absent", sales_at_risk=1)))
        assert "1 sale on this terminal only" in screen.text()
        # A sale on its way to headquarters is no news, unless headquarters does not answer.
        await screen.show(view(mirror=MirrorView(sales_at_risk=1)))
        assert "on this terminal only" not in screen.text()
        await screen.show(
            view(link=LinkView(connected=True, fault="headquarters-silent"), mirror=MirrorView(sales_at_risk=1))
        )
        assert "1 sale on this terminal only" in screen.text()
        await screen.show(view(link=offline, mirror=MirrorView(state="ready")))
        assert "on this terminal only" not in screen.text()


async def test_what_is_wrong_with_the_stick_is_said(till: FakeTill) -> None:
    async with watched(till) as screen:
        await screen.show(view(conditions=(text.message("mirror-full"),)))
        assert "The stick is full" in screen.text()


async def test_a_phones_payment_is_told_as_one(till: FakeTill) -> None:
    till.view = view(sale=sale(basket(), mode="authorizing", pending="MOBILE", allowed=("cancel_keyed",)))
    async with watched(till) as screen:
        assert "A phone is paying." in screen.text()
        assert "Esc  Stop " in screen.text()
        await screen.press("f1")
        assert "A phone is paying." in screen.told()
        await screen.show(view(sale=sale(basket(), mode="enquiring", pending="MOBILE", allowed=("cancel_keyed",))))
        await screen.press("f1")
        assert "whether the phone has paid" in screen.told()


async def test_a_card_payment_can_be_stopped_without_a_question(till: FakeTill) -> None:
    till.view = view(sale=sale(basket(), mode="authorizing", allowed=("cancel_keyed",)))
    async with watched(till) as screen:
        assert "The customer pays at the payment device" in screen.text()
        assert "Stop card" in screen.text()
        await screen.press("f1", "4")
        assert "A card is being paid" in screen.told()
        await screen.press("escape")
        assert await screen.orders(1) == [("sale.cancel", {})]


async def test_an_open_pad_follows_the_sale_and_closes_when_it_is_over(till: FakeTill) -> None:
    till.view = RINGING
    async with watched(till) as screen:
        await screen.press("f1")
        await screen.show(view(sale=sale(basket(2))))
        assert "16.77 EUR due" in screen.text()
        await screen.show(view(last=last()))
        assert not screen.counter.panel_open


async def test_what_cannot_be_taken_cannot_be_entered(till: FakeTill) -> None:
    till.view = RINGING
    async with watched(till) as screen:
        for keys in (["f1", "0", "enter"], ["f1", ".", "enter"], ["f4", "0", "enter"], ["f3", "enter"]):
            await screen.press(*keys)
            assert screen.counter.panel_open
            await screen.press("escape")
        await screen.press("f1", *"12345678901234", "enter")
        ((method, params),) = await screen.orders(1)
        assert method == "sale.cash"
        assert params["amount_minor"] == 123456789000


async def test_help_is_one_key_away_and_any_key_goes_back(till: FakeTill) -> None:
    till.view = RINGING
    async with watched(till) as screen:
        await screen.press("question_mark")
        await screen.until(lambda: "Nothing you press here can lose a sale" in screen.text())
        await screen.press("f2")
        await screen.until(lambda: "Espresso" in screen.text())
        assert till.orders == []


async def test_the_screen_waits_for_a_till_that_starts_later(till: FakeTill) -> None:
    await till.kill()
    app = WatchedApp(till.path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = Screen(pilot, app, till)
        await screen.until(lambda: "Waiting for the till" in screen.text())
        await pilot.press("f1", "4")
        till.start()
        await screen.until(lambda: "Scan the first item" in screen.text())


async def test_the_plug_is_pulled_and_the_basket_comes_back(till: FakeTill) -> None:
    till.view = RINGING
    async with watched(till) as screen:
        for life in range(3):
            await screen.press("f1")
            await till.kill()
            await screen.until(lambda: "The till is restarting" in screen.text())
            assert "Nothing is lost" in screen.text()
            assert "Espresso" not in screen.text()
            await screen.press("delete")
            till.view = msgspec.structs.replace(RINGING, boot=f"{life:016x}")
            till.start()
            await screen.until(lambda: "Espresso" in screen.text())
            assert not screen.counter.panel_open
        assert till.orders == []


async def test_two_screens_show_the_same(till: FakeTill) -> None:
    till.view = RINGING
    async with watched(till) as first, watched(till, (80, 24)) as second:
        await first.show(view(sale=sale(basket(2)), last=last()))
        await second.until(lambda: "16.77" in [digits.value for digits in second.app.query(Digits)])


async def test_every_view_is_reported_when_it_is_painted(till: FakeTill) -> None:
    async with watched(till) as screen:
        for count in range(1, 6):
            await screen.show(view(sale=sale(basket(count))))
            assert screen.app.painted[-1] == till.view.revision
            assert f"{count} line" in screen.text()


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (100, 46), (180, 50), (40, 12), (300, 90)])
async def test_every_state_fits_every_size(till: FakeTill, size: tuple[int, int]) -> None:
    till.view = RINGING
    async with watched(till, size) as screen:
        for keys in (["f1"], ["escape", "f4"], ["escape", "escape"], ["escape"]):
            await screen.press(*keys)
            screen.text()
        for mode in ("authorizing", "enquiring", "reversing", "tendering"):
            await screen.show(view(sale=sale(basket(40), mode=mode)))
        await screen.show(view())


async def test_names_from_the_catalogue_do_not_steer_the_screen(till: FakeTill) -> None:
    (line,) = basket(1)
    till.view = view(sale=sale((msgspec.structs.replace(line, name="[red]\x1b[2J名前\n" + "x" * 200),)))
    async with watched(till) as screen:
        assert "[red]·[2J名前·xxx" in screen.text()
        assert "\x1b" not in screen.text()
