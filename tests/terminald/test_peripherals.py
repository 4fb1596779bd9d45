"""Effects and what comes of them: each has exactly one outcome, whatever its device does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from core import effects as x
from core import events as v
from core.document import Cut, Document, Text
from core.ports import DeviceError, DeviceGone, DeviceStalled, PaperOut, PrintInterrupted
from core.state import UNPRINTED_MAX
from store.keys import TerminalSigner
from terminald.clock import SystemClock
from terminald.peripherals import PAYMENT_TASKS_MAX, Peripherals
from terminald.supervisor import Supervisor
from tests.countertop import until
from tests.proofs.shop_days import CoreTill
from tests.terminald.devices import FakeDevice, FakeDrawer, FakePaymentDevice, FakePrinter

APPROVED = v.PaymentAnswered(reference="1.1", amount_minor=100, poi_transaction="P")
PAY = x.RequestPayment(reference="1.1", amount_minor=100, currency="EUR")
REVERSE = x.ReversePayment(reference="1.1", amount_minor=100, currency="EUR", poi_transaction="P")


class Bench:
    """Peripherals with devices; `came` is what they told the engine."""

    def __init__(self, **devices: FakeDevice) -> None:
        self.came: list[v.AnyEvent] = []
        self.keepers = [
            Supervisor(
                name=kind, kind=kind, device=device, emit=lambda _: None, clock=SystemClock(), jitter=lambda: 0.0
            )
            for kind, device in devices.items()
        ]
        self.peripherals = Peripherals(self.keepers, self.came.append, SystemClock(), TerminalSigner(bytes(32)))

    async def outcomes(self, count: int = 1) -> list[v.AnyEvent]:
        """Waits for so many events, and a moment for more than that."""
        await until(lambda: len(self.came) >= count, f"{count} outcomes", lambda: str(self.came))
        await asyncio.sleep(0.05)
        assert len(self.came) == count, self.came
        return self.came


@contextlib.asynccontextmanager
async def bench(*, ready: bool = True, **devices: FakeDevice) -> AsyncIterator[Bench]:
    made = Bench(**devices)

    async def never() -> None:
        await asyncio.Event().wait()

    running = [asyncio.create_task(made.peripherals.run(), name="peripherals")]
    if ready:
        running += [asyncio.create_task(keeper.run(never), name=keeper.name) for keeper in made.keepers]
        for keeper in made.keepers:
            await keeper.ready.wait()
    try:
        yield made
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


def _receipt(number: int, copy: int = 0) -> x.PrintReceipt:
    document = Document(elements=(Text(left=str(number)), Cut()))
    return x.PrintReceipt(number=number, copy=copy, doubtful=False, document=document)


async def test_receipts_come_in_order() -> None:
    printer = FakePrinter()
    async with bench(POSPrinter=printer) as at:
        for number in (1, 2, 3):
            at.peripherals.perform(_receipt(number))
        assert at.peripherals.receipts_waiting == 3
        assert await at.outcomes(3) == [v.ReceiptTaken(number=number, copy=0) for number in (1, 2, 3)]
        assert [document.elements[0] for document in printer.papers] == [Text(left=str(number)) for number in (1, 2, 3)]
        assert at.peripherals.receipts_waiting == 0


async def test_a_receipt_waits_for_paper() -> None:
    printer = FakePrinter(PaperOut("printer: none"), PaperOut("printer: none"))
    async with bench(POSPrinter=printer) as at:
        at.peripherals.perform(_receipt(1))
        await until(lambda: at.peripherals.receipts_waiting == 1, "the receipt")
        for _ in range(3):
            await asyncio.sleep(0.02)
            at.peripherals.device_changed()
        assert await at.outcomes() == [v.ReceiptTaken(number=1, copy=0)]
        assert len(printer.papers) == 1


@pytest.mark.parametrize("fault", [PrintInterrupted("printer: torn"), DeviceGone("gone"), DeviceStalled("stuck")])
async def test_a_paper_cut_short_is_uncertain(fault: DeviceError) -> None:
    async with bench(POSPrinter=FakePrinter(fault)) as at:
        at.peripherals.perform(_receipt(1))
        await until(lambda: at.peripherals.receipts_waiting == 0, "its end")
        at.peripherals.device_changed()
        assert await at.outcomes() == [v.ReceiptUncertain(number=1, copy=0)]


async def test_without_a_printer_receipts_wait_within_a_bound() -> None:
    async with bench() as at:
        for number in range(UNPRINTED_MAX + 5):
            at.peripherals.perform(_receipt(number))
        await asyncio.sleep(0)
        assert at.peripherals.receipts_waiting == UNPRINTED_MAX
        assert at.came == []


async def test_a_power_cut_forgets_no_receipt_that_waited() -> None:
    """As many as may wait here are asked for again at the next start."""
    till = CoreTill()
    async with bench() as at:
        for _ in range(UNPRINTED_MAX + 5):
            till.take(v.Scanned(device="scanner", data="96385074"))
            for effect in till.take(v.CashKeyed()).effects:
                if isinstance(effect, x.PrintReceipt):
                    at.peripherals.perform(effect)
        again = [effect for effect in till.take(v.Booted()).effects if isinstance(effect, x.PrintReceipt)]
        assert len(again) == at.peripherals.receipts_waiting
        assert all(effect.doubtful for effect in again)


async def test_drain_waits_for_the_paper_and_not_longer() -> None:
    async with bench(POSPrinter=FakePrinter()) as at:
        at.peripherals.perform(_receipt(1))
        await at.peripherals.drain(5.0)
        assert at.came == [v.ReceiptTaken(number=1, copy=0)]
    async with bench() as at:
        at.peripherals.perform(_receipt(1))
        async with asyncio.timeout(1.0):
            await at.peripherals.drain(0.05)
        assert at.peripherals.receipts_waiting == 1


async def test_the_drawer_opens_once() -> None:
    drawer = FakeDrawer()
    async with bench(CashDrawer=drawer) as at:
        at.peripherals.perform(x.OpenDrawer())
        await until(lambda: drawer.kicks == 1, "the kick")
        await at.outcomes(0)
        assert drawer.kicks == 1


async def test_a_drawer_that_does_not_open_is_told() -> None:
    async with bench(CashDrawer=FakeDrawer(DeviceStalled("drawer: jammed"))) as at:
        at.peripherals.perform(x.OpenDrawer())
        assert await at.outcomes() == [v.DrawerStuck(fault="device-stalled")]


async def test_a_drawer_that_is_not_there_is_not_opened_later() -> None:
    drawer = FakeDrawer()
    async with bench(ready=False, CashDrawer=drawer) as at:
        at.keepers[0].fault = "device-absent"
        at.peripherals.perform(x.OpenDrawer())
        assert await at.outcomes() == [v.DrawerStuck(fault="device-absent")]
        assert drawer.kicks == 0


@pytest.mark.parametrize(
    ("effect", "answer", "event"),
    [
        (PAY, APPROVED, APPROVED),
        (PAY, v.PaymentRefused(reference="1.1", reason="declined"), None),
        (PAY, DeviceGone("lost"), v.PaymentUnanswered(reference="1.1")),
        (PAY, DeviceStalled("mute"), v.PaymentUnanswered(reference="1.1")),
        (x.EnquirePayment(reference="1.1"), APPROVED, APPROVED),
        (x.EnquirePayment(reference="1.1"), None, v.PaymentUnanswered(reference="1.1")),
        (x.EnquirePayment(reference="1.1"), DeviceGone("lost"), v.PaymentUnanswered(reference="1.1")),
        (REVERSE, v.PaymentTakenBack(reference="1.1"), v.PaymentTakenBack(reference="1.1")),
        (REVERSE, DeviceGone("lost"), v.ReversalUnanswered(reference="1.1")),
    ],
)
async def test_each_question_to_the_payment_device_has_one_outcome(
    effect: x.AnyEffect,
    answer: v.PaymentAnswered | v.PaymentRefused | v.PaymentTakenBack | DeviceError | None,
    event: v.AnyEvent | None,
) -> None:
    device = FakePaymentDevice(answer)
    async with bench(CAT=device) as at:
        at.peripherals.perform(effect)
        assert await at.outcomes() == [event or answer]
        assert len(device.asked) == 1


async def test_without_a_device_nothing_is_charged_and_this_is_certain() -> None:
    async with bench() as at:
        at.peripherals.perform(PAY)
        assert await at.outcomes() == [v.PaymentRefused(reference="1.1", reason="no-device")]


async def test_an_enquiry_waits_for_a_device_that_is_coming_up() -> None:
    device = FakePaymentDevice(APPROVED)
    async with bench(ready=False, CAT=device) as at:
        at.peripherals.perform(x.EnquirePayment(reference="1.1"))
        await asyncio.sleep(0.05)
        assert device.asked == []
        at.keepers[0].ready.set()
        assert await at.outcomes() == [APPROVED]


async def test_an_abort_that_fails_tells_nothing() -> None:
    device = FakePaymentDevice(DeviceGone("lost"))
    async with bench(CAT=device) as at:
        at.peripherals.perform(x.AbortPayment(reference="1.1"))
        await at.outcomes(0)
        assert device.asked == [("abort", "1.1")]


async def test_too_many_questions_are_answered_all_the_same() -> None:
    """Beyond the bound: a request was certainly not sent, an enquiry has no answer yet, and that is said in peace."""
    made = Bench()  # nobody runs it: nothing is taken from its queue
    for number in range(PAYMENT_TASKS_MAX):
        made.peripherals.perform(x.EnquirePayment(reference=f"1.{number}"))
    assert made.came == []
    made.peripherals.perform(PAY)
    made.peripherals.perform(x.OpenDrawer())
    assert made.came == [v.PaymentRefused(reference="1.1", reason="busy"), v.DrawerStuck(fault="busy")]
    made.came.clear()
    made.peripherals.perform(x.EnquirePayment(reference="2.1"))
    made.peripherals.perform(REVERSE)
    assert made.came == [], "at once it would be asked again at once"
    await until(lambda: len(made.came) == 2, "both outcomes")
    assert made.came == [v.PaymentUnanswered(reference="2.1"), v.ReversalUnanswered(reference="1.1")]
