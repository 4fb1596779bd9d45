"""A seeded crowd of shoppers at the simulated counter, and their own tally of what they took and paid.

The shoppers and the cashier know what anybody at a counter knows: what was put on the belt, what the screen shows, what
was paid, which paper came out. Nothing here asks the daemon how much was sold: the tally is the oracle.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Literal

import msgspec

from core.view import View
from demo import goods
from demo.goods import BANANAS, GOODS, YOGHURT, Good
from demo.world import World, until
from drivers.simulated.payment import Behaviour
from terminald.client import CallRefused, Disconnected, Link

PATIENCE_S = 20.0
DOUBLE_READ_S = 0.16
"""The till takes the same code within 150 ms for one reading."""
ANSWER_S = 2.0
"""A card that is answered is answered within this time; else the till may have lost the order with its power."""
RESCAN_S = 1.5
"""When the screen has not shown a scan for so long, the cashier scans again."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of goods that a shopper takes: how it is scanned, how many, and what one costs (their own sums)."""

    good: Good
    code: bytes
    quantity: int
    amount_minor: int


class Shopping(msgspec.Struct, frozen=True, kw_only=True):
    """What one shopper does; the same for the same seed."""

    wishes: tuple[Wish, ...]
    stray: bytes | None
    void: bool
    loyal: bool
    declined_first: bool
    pays: Literal["cash", "note", "card", "split"]

    @property
    def total_minor(self) -> int:
        return sum(wish.amount_minor for wish in self.wishes)


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the shoppers' tally: the number that the till gave the sale, and what was paid for it."""

    number: int
    amount_minor: int


class WentWrong(Exception):
    """The counter did something that a shopper would not accept."""


def shopping(seed: int, shopper: int, today: date) -> Shopping:
    """The shopper's list."""
    chance = random.Random(f"{seed}/{shopper}")  # shopping, not a secret
    wishes = [_wish(chance, good, today) for good in chance.sample(GOODS, chance.randint(1, 5))]
    strays = (goods.UNKNOWN, goods.MISREAD, goods.expired_yoghurt(today))
    return Shopping(
        wishes=tuple(wishes),
        stray=chance.choice(strays) if chance.random() < 0.15 else None,
        void=chance.random() < 0.1,
        loyal=chance.random() < 0.05,
        declined_first=chance.random() < 0.05,
        pays=chance.choices(("cash", "note", "card", "split"), (25, 35, 35, 5))[0],
    )


def _wish(chance: random.Random, good: Good, today: date) -> Wish:
    if good is BANANAS:
        price_minor = chance.randint(40, 400)
        return Wish(good=good, code=goods.weighed(good, price_minor), quantity=1, amount_minor=price_minor)
    quantity = chance.choice((1, 1, 1, 2, 3, 6))
    code = goods.yoghurt(today) if good is YOGHURT else goods.scan_bytes(good)
    return Wish(good=good, code=code, quantity=quantity, amount_minor=quantity * good.price_minor)


class Crowd:
    """Shoppers one after the other at one counter. `tally` holds the sales that they completed."""

    def __init__(self, world: World, seed: int, say: Callable[[str], None]) -> None:
        self.tally: list[Sold] = []
        self.declines = 0
        self._world = world
        self._seed = seed
        self._say = say
        self._today = datetime.now().astimezone().date()
        self._view: View | None = None
        self._came = asyncio.Event()
        self._link = Link(world.layout.control_socket, self._on_view, self._on_away)
        self._last_number = 0
        self._scanned = b""
        self._scanned_s = 0.0

    async def open(self) -> None:
        """Waits until the counter is ready: the daemon answers and its devices are there. Raises WentWrong."""
        ready = await until(lambda: self._view is not None and _all_ready(self._view), PATIENCE_S)
        if not ready:
            missing = (
                [device.name for device in self._view.devices if device.phase != "ready"] if self._view else ["daemon"]
            )
            raise WentWrong(f"not ready: {', '.join(missing)}; see {self._world.layout.logs}")

    async def follow(self) -> None:
        """Keeps looking at the screen; runs until cancelled."""
        await self._link.run()

    async def serve(self, shopper: int) -> None:
        """One shopper from the first scan to the end of the sale. Raises WentWrong."""
        wanted = shopping(self._seed, shopper, self._today)
        if wanted.loyal:
            self._world.bench.nfc.present(bytes([4, *shopper.to_bytes(6, "big")]))
        shown: list[tuple[str, int]] = []
        for wish in wanted.wishes:
            await self._ring_up(wish, shown)
        if wanted.stray is not None:
            await self._stray(wanted.stray, shown)
        if wanted.void and len(wanted.wishes) > 1:
            # One more is scanned by mistake, and taken back.
            extra = wanted.wishes[0]
            await self._ring_up(msgspec.structs.replace(extra, quantity=1, amount_minor=_one(extra)), shown)
            await self._void(shown)
        number = await self._number()
        if wanted.loyal:
            await self._see(lambda view: view.sale.customer, "the loyalty tag")
            self._world.bench.nfc.remove()
        await self._pay(wanted, number, shopper)
        self.tally.append(Sold(number=number, amount_minor=wanted.total_minor))
        self._last_number = number

    # --- goods ---------------------------------------------------------------------------------------------------

    async def _ring_up(self, wish: Wish, shown: list[tuple[str, int]]) -> None:
        """Scans until the screen shows the line, then keys the quantity until the screen shows that."""
        unit_minor = _one(wish)
        before, after = list(shown), [*shown, (wish.good.key, unit_minor)]
        await self._until_shown(wish.code, before, after)
        shown[:] = after
        if wish.quantity > 1:
            quantity = [*shown[:-1], (wish.good.key, wish.amount_minor)]
            params = {"quantity_milli": 1000 * wish.quantity, "line": len(shown)}
            await self._order("sale.quantity", params)
            await self._see(lambda view: _lines(view) == quantity, "the quantity")
            shown[:] = quantity

    async def _stray(self, code: bytes, shown: list[tuple[str, int]]) -> None:
        """A code that the till must refuse aloud, and that changes nothing."""
        notice = self._shown().notice
        serial = notice.serial if notice is not None else 0
        boot = self._shown().boot
        await self._scan(code)

        def refused(view: View) -> bool:
            return view.boot != boot or (view.notice is not None and view.notice.serial > serial)

        await self._see(refused, "the refusal of a stray code")
        await self._see(lambda view: _lines(view) == shown, "the basket after a stray code")

    async def _void(self, shown: list[tuple[str, int]]) -> None:
        line = len(shown)
        await self._order("sale.void", {"line": line})
        await self._see(lambda view: view.sale.lines[line - 1].voided, "the voided line")
        shown.pop()

    async def _until_shown(self, code: bytes, before: list[tuple[str, int]], after: list[tuple[str, int]]) -> None:
        """Scans again as long as the screen still shows what it showed before. Raises WentWrong."""
        end_s = asyncio.get_running_loop().time() + PATIENCE_S
        while asyncio.get_running_loop().time() < end_s:
            await self._see(_scanner_ready, "the scanner")
            if _lines(self._shown()) == before:
                await self._scan(code)
            if await self._look(lambda view: _lines(view) == after, RESCAN_S):
                return
            if _lines(self._shown()) not in (before, after):
                raise WentWrong(f"the screen shows {_lines(self._shown())}, not {after}")
        raise WentWrong("a scan is not shown")

    async def _scan(self, code: bytes) -> None:
        """Holds a code to the scanner. The same one twice takes longer than a double read."""
        loop = asyncio.get_running_loop()
        if code == self._scanned:
            await asyncio.sleep(max(0.0, self._scanned_s + DOUBLE_READ_S - loop.time()))
        self._scanned, self._scanned_s = code, loop.time()
        self._world.bench.scanner.scan(code)

    async def _number(self) -> int:
        number = self._shown().sale.number
        if number is None or number <= self._last_number:
            raise WentWrong(f"the sale has the number {number} after {self._last_number}")
        return number

    # --- money ---------------------------------------------------------------------------------------------------

    async def _pay(self, wanted: Shopping, number: int, shopper: int) -> None:
        due_minor = wanted.total_minor
        if self._shown().sale.due_minor != due_minor:
            raise WentWrong(f"the till wants {self._shown().sale.due_minor}, the shopper's sum is {due_minor}")
        if wanted.pays == "split" and due_minor > 1:
            await self._cash(number, due_minor // 2, due_minor)
            due_minor -= due_minor // 2
        match wanted.pays:
            case "card" | "split":
                await self._card(number, due_minor, declined_first=wanted.declined_first)
            case "note":
                await self._cash(number, -(-due_minor // 500) * 500, due_minor)
            case "cash":
                await self._cash(number, due_minor, due_minor)

    async def _cash(self, number: int, given_minor: int, due_minor: int) -> None:
        """Money on the counter, and the change counted."""
        await self._order("sale.cash", {"amount_minor": given_minor})
        if given_minor < due_minor:
            await self._see(lambda view: view.sale.due_minor == due_minor - given_minor, "what is still due")
            return
        await self._finished(number)
        last = self._shown().last
        if last is not None and last.change_minor != given_minor - due_minor:
            raise WentWrong(f"the change is {last.change_minor}, not {given_minor - due_minor}")

    async def _card(self, number: int, due_minor: int, *, declined_first: bool) -> None:
        """A card at the payment device; a payment that a power cut left without effect is begun again."""
        payment = self._world.bench.payment
        if declined_first:
            payment.behaviour = Behaviour.DECLINE
        end_s = asyncio.get_running_loop().time() + 2 * PATIENCE_S
        while asyncio.get_running_loop().time() < end_s:
            before = _told(self._shown())
            try:
                await self._order("sale.card", {"amount_minor": due_minor})
            except CallRefused as error:
                if error.message.id not in ("payment-pending", "payment-unknown", "no-open-sale"):
                    raise
            # The screen may still show what was before the order: only the end of the sale, or a refusal, is an answer.
            answered = await self._look(partial(_is_answered, number, before), ANSWER_S)
            if not answered:
                await self._see(
                    lambda view: _is_over(view, number) or view.sale.mode in ("ringing", "tendering"),
                    "the card's answer",
                )
            payment.behaviour = Behaviour.APPROVE
            if _is_over(self._shown(), number):
                return
            self.declines += 1
        raise WentWrong("the card is declined for ever")

    async def _finished(self, number: int) -> None:
        await self._see(lambda view: _is_over(view, number), f"the end of sale {number}")

    # --- the screen ----------------------------------------------------------------------------------------------

    async def _order(self, method: str, params: Mapping[str, object]) -> None:
        """A key is pressed; when the till restarts under the finger, it is pressed again, and counts once."""
        for _ in range(3):
            try:
                await self._link.order(method, params)
            except Disconnected:
                continue
            return
        raise WentWrong(f"{method} finds no till")

    async def _see(self, condition: Callable[[View], bool], what: str) -> None:
        if not await self._look(condition, PATIENCE_S):
            raise WentWrong(f"{what} is not shown: {_summary(self._shown())}")

    async def _look(self, condition: Callable[[View], bool], timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while self._view is None or not condition(self._view):
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return False
        return True

    def _shown(self) -> View:
        assert self._view is not None, "the screen was never on"
        return self._view

    def _on_view(self, view: View) -> None:
        self._view = view
        self._came.set()

    def _on_away(self, reason: str) -> None:
        """The screen says that the till is restarting; what it showed before is not believed any more."""
        if self._view is not None:
            away = tuple(msgspec.structs.replace(device, phase="absent") for device in self._view.devices)
            self._view = msgspec.structs.replace(self._view, devices=away)


def _one(wish: Wish) -> int:
    return wish.amount_minor // wish.quantity


def _lines(view: View) -> list[tuple[str, int]]:
    return [(line.gtin, line.amount_minor) for line in view.sale.lines if not line.voided]


def _scanner_ready(view: View) -> bool:
    return any(device.kind == "Scanner" and device.phase == "ready" for device in view.devices)


def _all_ready(view: View) -> bool:
    return all(device.phase == "ready" for device in view.devices)


def _told(view: View) -> tuple[str, int]:
    """Which notice is the newest, in which life of the daemon."""
    return view.boot, view.notice.serial if view.notice is not None else 0


def _is_answered(number: int, before: tuple[str, int], view: View) -> bool:
    """Whether a card's payment has ended: in the end of the sale, or in a refusal that came after `before`."""
    return _is_over(view, number) or (
        view.notice is not None
        and view.notice.message.id == "payment-declined"
        and view.sale.mode in ("ringing", "tendering")
        and _told(view) != before
    )


def _is_over(view: View, number: int) -> bool:
    return view.last is not None and view.last.number == number and not view.last.cancelled


def _summary(view: View) -> str:
    notice = view.notice.message.id if view.notice else "no notice"
    return f"mode {view.sale.mode}, sale {view.sale.number}, {len(view.sale.lines)} lines, {notice}"
