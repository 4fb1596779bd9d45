"""What a hand at the bench can do: scan, tap, pay, shut, unplug, cut and pull; by key and by click."""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from core.view import View
from demo import goods
from demo.crowd import Crowd, WentWrong
from demo.goods import BANANAS, CURRENCY, GOODS, YOGHURT, Good
from demo.panels import BROKEN
from demo.panels_keys import TILES, BenchKey, Choice
from demo.processes import DidNotStart
from drivers.simulated.payment import Behaviour
from ui.merchant import palette

if TYPE_CHECKING:
    from demo.app import VirtualCounter

DARK_S = 1.2
"""How long a pulled plug stays pulled."""
SHOPPERS = 40
SHOPPER_PAUSE_S = 0.12
TAG_UID = bytes.fromhex("04a23cb1905e80")
TAG_HELD_S = 0.6
_FRONT = 6
"""Goods on the first page, before the three codes that the till must refuse."""
_BANANAS_MINOR = (128, 243, 87, 199)
_LOOSE_G = (642, 1305, 388)
_ON_SCALE_S = 1.0
_OFF_SCALE_S = 3.0


class Actions:
    """The bench's keys and what they do. `tried` holds the keys that were used so far."""

    def __init__(self, app: "VirtualCounter") -> None:
        self.tried: set[str] = set()
        self.network_cut = False
        self.paper_out = False
        self.crowd_shops = False
        self.choosing = False
        self.chain = ""
        self._app = app
        self._page = 0
        self._pages: tuple[tuple[Choice, ...], ...] = ()
        self._bananas = itertools.cycle(_BANANAS_MINOR)
        self._loose = itertools.cycle(_LOOSE_G)
        self._pulled_at_s: float | None = None
        self._dark = False
        self._leave = False
        self._crowds = 0
        self._do: dict[str, Callable[[], None]] = {
            "t": self._tap, "c": self._card_pays, "d": self._card_declined, "x": self._card_answer_lost,
            "o": self._shut_drawer, "u": self._choose_device, "p": self._paper, "n": self._network, "k": self._plug,
            "a": self._crowd, "v": self._verify_aloud, "left": lambda: self._turn(-1), "right": lambda: self._turn(1),
            "<": lambda: self._turn(-1), ">": lambda: self._turn(1),
        }  # fmt: skip
        labels = {
            "t": "loyalty tag", "c": "card pays", "d": "card declined", "x": "answer lost", "o": "shut drawer",
            "p": "paper out", "u": "unplug…", "a": "a crowd", "n": "cut the network", "k": "pull the plug",
            "v": "verify journal", ">": "more goods",
        }  # fmt: skip
        self.keys = [BenchKey(key, label, danger=key in "nk") for key, label in labels.items()]

    def start(self) -> None:
        """Lays the goods out; a card payment waits for its customer from now on."""
        self._pages = _pages(self._scan, self._next_bananas, self._weigh)
        self._app.world.bench.payment.behaviour = Behaviour.HOLD
        self.lay_out_goods()
        self._verify()

    def press(self, key: str) -> None:
        """A key of the bench, as Textual names it or as it is typed."""
        if key.isdigit() and key != "0":
            self._app.shelf.press(int(key))
            if not self.choosing and self._page == 0:
                self.tried.add(key)
        elif key.lower() in self._do:
            self.tried.add(key.lower())
            for shown in self.keys:
                if shown.key == key.lower():
                    shown.flash()
            self._do[key.lower()]()
        self._app.show_all()

    def relabel(self) -> None:
        """The labels say what a key would do now."""
        labels = {
            "p": ("new paper" if self.paper_out else "paper out", self.paper_out),
            "n": ("mend network" if self.network_cut else "cut the network", self.network_cut),
            "a": ("end the crowd" if self.crowd_shops else "a crowd", self.crowd_shops),
            "k": ("pull the plug", self._pulled_at_s is not None),
            "u": ("unplug…", self.choosing),
        }
        for key in self.keys:
            if key.key in labels:
                label, on = labels[key.key]
                key.relabel(label, on=on)

    def lay_out_goods(self) -> None:
        """The page of goods that is in front."""
        self.choosing = False
        shelf = f"shelf {self._page + 1} of {len(self._pages)} \N{LEFTWARDS ARROW} \N{RIGHTWARDS ARROW}"
        self._app.lay_out(f"the bench: scan by 1 to 9, {shelf}", self._pages[self._page])

    def toggle_cable(self, name: str) -> None:
        """Pulls a device's cable, or puts it in again."""
        device = self._device(name)
        if device.plugged:
            device.unplug()
            self._tell(f"The {name}'s cable was pulled", palette.AMBER)
        else:
            device.plug()
            self._tell(f"The {name} was plugged in again")

    def came_back(self, view: View) -> None:
        """The daemon answers again."""
        if self._pulled_at_s is None:
            return
        away_s, self._pulled_at_s = time.monotonic() - self._pulled_at_s, None
        lines = sum(not line.voided for line in view.sale.lines)
        basket = f"the basket of {lines} line{'s' * (lines != 1)} is back" if lines else "no basket was open"
        self._tell(f"The till is up again after {away_s:.1f} s: {basket}", palette.GREEN)
        self._verify()

    # --- goods and customers -----------------------------------------------------------------------------------------

    def _scan(self, code: bytes) -> None:
        if self.crowd_shops:
            self._tell("The crowd is at the scanner: end it with a first", palette.AMBER)
        elif not self._app.world.bench.scanner.plugged:
            self._tell("The scanner is unplugged: nobody reads the code", palette.AMBER)
        else:
            self._app.world.bench.scanner.scan(code)

    def _next_bananas(self) -> bytes:
        return goods.weighed(BANANAS, next(self._bananas))

    def _turn(self, step: int) -> None:
        self._page = (self._page + step) % len(self._pages)
        self.lay_out_goods()

    def _tap(self) -> None:
        self._app.world.bench.nfc.tap(TAG_UID, held_s=TAG_HELD_S)

    def _card_pays(self) -> None:
        self._answer("The card paid", approve=True)

    def _card_declined(self) -> None:
        self._answer("The card was declined", approve=False, refusal="Refusal")

    def _card_answer_lost(self) -> None:
        self._answer("The card was charged, and the connection broke before the answer", approve=True, lost=True)

    def _answer(self, what: str, *, approve: bool, refusal: str = "Cancel", lost: bool = False) -> None:
        payment = self._app.world.bench.payment
        if payment.held is None:
            self._tell("No payment waits for a card: take one with F2", palette.MUTED)
            return
        amount = CURRENCY.format(payment.held.amount_minor)
        payment.answer_held(approve=approve, refusal=refusal, lost=lost)
        self._tell(f"{what}: {amount} {CURRENCY.code}", palette.AMBER if lost else palette.TEXT)

    def _shut_drawer(self) -> None:
        self._app.world.bench.drawer.shut()

    # --- what befalls a shop -----------------------------------------------------------------------------------------

    def _choose_device(self) -> None:
        if self.choosing:
            self.lay_out_goods()
            return
        self.choosing = True
        names = ("scanner", "nfc", "card", "printer", "drawer", "scale")
        choices = tuple(
            Choice(
                label=f"{name}",
                detail="plugged in: pull its cable" if self._device(name).plugged else "unplugged: put it in again",
                do=partial(self._chosen, name),
            )
            for name in names
        )
        self._app.lay_out("which cable? Esc: back to the goods", choices)

    def _chosen(self, name: str) -> None:
        self.lay_out_goods()
        self.toggle_cable(name)

    def _weigh(self) -> None:
        """Loose bananas: their code without a weight, then onto the scale, and off it when they are sold."""
        scale = self._app.world.bench.scale
        self._scan(BANANAS.key.encode())
        self._app.set_timer(_ON_SCALE_S, partial(scale.put, next(self._loose)))
        self._app.set_timer(_OFF_SCALE_S, partial(scale.put, 0))

    def _paper(self) -> None:
        self.paper_out = not self.paper_out
        self._app.world.bench.printer.set_paper_out(self.paper_out)
        self._tell("The printer is out of paper" if self.paper_out else "The printer has a new roll")

    def _network(self) -> None:
        if self.network_cut:
            self._run(self._mend(), "mend the network")
        else:
            self.network_cut = True
            self._run(self._cut(), "cut the network")

    async def _cut(self) -> None:
        await self._app.world.cut_the_network()
        self._tell("The network is cut: the broker was killed", palette.AMBER)

    async def _mend(self) -> None:
        try:
            await self._app.world.mend_the_network()
        except DidNotStart as error:
            self._tell(str(error), palette.RED)
            return
        self.network_cut = False
        self._tell("The network is mended: the broker starts, and knows nothing", palette.GREEN)

    def _plug(self) -> None:
        """Also while the till still starts from the last time; not while it is dark."""
        if not self._dark:
            self._dark = True
            self._pulled_at_s = self._pulled_at_s or time.monotonic()
            self._run(self._pull(), "pull the plug")

    async def _pull(self) -> None:
        pid = self._app.world.daemon.pid
        self._tell(f"The plug is pulled: kill -9 {pid}", palette.RED)
        await self._app.world.pull_the_plug(dark_s=DARK_S)
        self._dark = False

    def _crowd(self) -> None:
        if self.crowd_shops:
            self._leave = True
        elif self._app.view is None or self._app.view.sale.mode != "idle":
            self._tell("Finish or give up the open basket; then the crowd may come", palette.AMBER)
        else:
            self.crowd_shops, self._leave = True, False
            self._run(self._shop(), "crowd")

    async def _shop(self) -> None:
        """Shoppers one after the other at the same devices, until they are all served or are sent away."""
        bench = self._app.world.bench
        self._crowds += 1
        crowd = Crowd(self._app.world, self._crowds, lambda _: None)
        bench.payment.behaviour = Behaviour.APPROVE
        self._tell(f"A crowd of {SHOPPERS} shoppers comes in")
        follower = asyncio.create_task(crowd.follow(), name="the crowd's eyes")
        try:
            await crowd.open()
            for shopper in range(SHOPPERS):
                if self._leave:
                    break
                await crowd.serve(shopper)
                bench.drawer.shut()
                await asyncio.sleep(SHOPPER_PAUSE_S)
        except WentWrong as error:
            self._tell(f"A shopper is not served: {error}", palette.RED)
        finally:
            follower.cancel()
            bench.payment.behaviour = Behaviour.HOLD
            self.crowd_shops = False
            paid = CURRENCY.format(sum(sold.amount_minor for sold in crowd.tally))
            self._tell(f"The crowd leaves: {len(crowd.tally)} sales, {paid} {CURRENCY.code} by their own tally")

    def _verify(self) -> None:
        self._run(self._check(), "verify the journal", group="verify")

    def _verify_aloud(self) -> None:
        self._run(self._check(aloud=True), "verify the journal", group="verify")

    async def _check(self, *, aloud: bool = False) -> None:
        self.chain = "checking\N{HORIZONTAL ELLIPSIS}"
        records = await self._app.world.verified_records()
        self.chain = BROKEN if records is None else "whole"
        if records is None:
            self._tell("The journal is damaged: terminald journal verify tells where", palette.RED)
        elif aloud:
            self._tell(f"The journal is whole: {records:,} records were read, and each follows the one before")

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, None], name: str, group: str = "bench") -> None:
        self._app.run_worker(work, name=name, group=group)

    def _tell(self, what: str, colour: str = palette.TEXT) -> None:
        self._app.story.tell(what, colour)

    def _device(self, name: str) -> Any:
        bench = self._app.world.bench
        return {
            "scanner": bench.scanner, "nfc": bench.nfc, "card": bench.payment, "printer": bench.printer,
            "drawer": bench.drawer, "scale": bench.scale,
        }[name]  # fmt: skip


def _pages(
    scan: Callable[[bytes], None], bananas: Callable[[], bytes], weigh: Callable[[], None]
) -> tuple[tuple[Choice, ...], ...]:
    """The goods by nines; the first page ends with the codes that the till must refuse."""
    today = datetime.now().astimezone().date()

    def choice(good: Good) -> Choice:
        if good is BANANAS:
            return Choice(
                label=f"{good.name} (label)",
                detail=f"{CURRENCY.format(good.price_minor)}/kg  price in the code",
                do=lambda: scan(bananas()),
            )
        if good is YOGHURT:
            detail = f"{CURRENCY.format(good.price_minor)}  DataMatrix: lot, date"
            return Choice(label=good.name, detail=detail, do=lambda: scan(goods.yoghurt(today)))
        detail = f"{CURRENCY.format(good.price_minor)}  {good.symbology}"
        return Choice(label=good.name, detail=detail, do=lambda: scan(goods.scan_bytes(good)))

    refused = (
        Choice(
            label="Expired yoghurt", detail="DataMatrix of last week", do=lambda: scan(goods.expired_yoghurt(today))
        ),
        Choice(label="Unknown code", detail="a fineliner's EAN-13", do=lambda: scan(goods.UNKNOWN)),
        Choice(label="Misread", detail="wrong check digit", do=lambda: scan(goods.MISREAD)),
    )
    front = (*map(choice, GOODS[:_FRONT]), *refused)
    loose = Choice(label="Loose bananas", detail="put on the scale, and off", do=weigh)
    rest = [loose, *(choice(good) for good in GOODS[_FRONT:])]
    return (front, *(tuple(rest[place : place + TILES]) for place in range(0, len(rest), TILES)))
