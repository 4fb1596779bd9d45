"""Builds the whole view from engine, devices, journal and link, and pushes it when something changed."""

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence

import msgspec

from core.ports import Clock, Journal
from core.receipt import code_of
from core.text import Message
from core.view import (
    DayView,
    DeviceView,
    JournalView,
    LastView,
    LinkView,
    MirrorView,
    ShopView,
    View,
    last_view,
    operator_view,
    sale_view,
    tax_classes,
    till_view,
)
from terminald.engine import SPOILT, Engine
from terminald.supervisor import Supervisor

REFRESH_S = 10.0
"""What changes without a word (whether the clock is believed) is shown at most so late. Screens run their clocks themselves."""


class Views:
    """The newest view, encoded once for all screens; `publish` takes it whenever it is another."""

    def __init__(
        self,
        *,
        engine: Engine,
        devices: Sequence[Supervisor],
        journal: Journal,
        clock: Clock,
        acknowledged_seq: Callable[[], int],
        link: Callable[[], LinkView],
        receipts_waiting: Callable[[], int],
        publish: Callable[[bytes], None],
        conditions: Callable[[], tuple[Message, ...]] = tuple,
        mirror: Callable[[], MirrorView] = MirrorView,
        claim: Callable[[], str | None] = lambda: None,
        signed: Callable[[str], str] = str,
    ) -> None:
        self._engine = engine
        self._devices = devices
        self._journal = journal
        self._clock = clock
        self._acknowledged_seq = acknowledged_seq
        self._link = link
        self._receipts_waiting = receipts_waiting
        self._publish = publish
        self._conditions = conditions
        self._mirror = mirror
        self._claim = claim
        self._signed = functools.lru_cache(maxsize=1)(signed)
        self._changed = asyncio.Event()
        self._revision = 0
        self._encoder = msgspec.json.Encoder()
        self._encoded = b""

    def changed(self) -> None:
        """Something that a screen shows is another now."""
        self._changed.set()

    def encoded(self) -> bytes:
        """The view as it is this moment."""
        self._revision += 1
        self._encoded = self._encoder.encode(self.view())
        return self._encoded

    async def run(self) -> None:
        """Pushes views until cancelled; several changes of one turn of the loop are one view."""
        while True:
            try:
                async with asyncio.timeout(REFRESH_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            self._publish(self.encoded())

    def view(self) -> View:
        """Everything a screen shows."""
        engine, shop = self._engine, self._engine.shop
        stamp = self._clock.stamp()
        head = self._journal.head
        day = engine.till.day
        return View(
            boot=stamp.boot,
            revision=self._revision,
            time_ms=stamp.time_ms,
            clock=stamp.clock.value,
            shop=ShopView(
                name=shop.name,
                terminal=shop.terminal,
                workstation=shop.terminal,
                currency=shop.currency.code,
                exponent=shop.currency.exponent,
                language=shop.language,
                taxes=tax_classes(shop),
                gift_card_amounts_minor=shop.gift_card_amounts_minor,
            ),
            sale=sale_view(shop, engine.till),
            last=self._last(),
            notice=engine.notice,
            receipts_waiting=self._receipts_waiting(),
            devices=tuple(device_view(device, engine.spoilt) for device in self._devices),
            day=DayView(business_day=day.business_day, transactions=day.transactions, amount_minor=day.amount_minor),
            journal=JournalView(
                epoch=head.epoch,
                seq=head.seq,
                synced_seq=self._journal.synced.seq,
                acknowledged_seq=self._acknowledged_seq(),
            ),
            link=self._link(),
            mirror=self._mirror(),
            conditions=self._conditions(),
            operator=operator_view(shop, engine.till, self._claim()),
            till=till_view(shop, engine.till),
        )

    def _last(self) -> LastView | None:
        last, shown = self._engine.till.last, last_view(self._engine.till)
        if shown is None or last is None or last.completed is None or last.cancelled or not last.completed.sale.epoch:
            return shown
        code = code_of(self._engine.shop, last.completed.sale)
        return msgspec.structs.replace(shown, code=self._signed(code.text()))


def device_view(device: Supervisor, spoilt: Mapping[tuple[str, str], int]) -> DeviceView:
    """One device as its supervisor sees it; which of a scanner's codes came wrong is known to the engine alone."""
    names = SPOILT.values() if device.kind == "Scanner" else ()
    seen = {name: spoilt.get((device.name, name), 0) for name in names}
    return DeviceView(
        name=device.name,
        kind=device.kind,
        phase=device.phase.value,
        fault=device.fault,
        identity=device.identity,
        detail=device.device.facts() | seen | {"faults": device.faults},
        remedy=device.remedy if device.fault else "",
        driver=device.driver,
        place=device.place,
        between_faults_s=device.between_faults_s,
    )
