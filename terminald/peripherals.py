"""Has effects done by the devices: receipts one after the other, payments each in a task of its own, the rest at once.

What comes of an effect goes back to the engine as an event. Whether anything is retried is decided in the core; here
only a receipt waits, for as long as its printer cannot print.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import assert_never, cast

import msgspec

from core import effects as x
from core import events as v
from core.ports import CashDrawer, Clock, DeviceError, PaymentDevice, Printer, PrinterFault, Scale, Signer
from core.state import UNPRINTED_MAX
from terminald.gift_cards import GiftCardEffect, not_asked, work_gift_card
from terminald.receipt_seal import sealed
from terminald.signs import Signs
from terminald.supervisor import Supervisor

PAYMENT_TASKS_MAX = 64
PRINTER_RETRY_S = 1.0
"""A printer that cannot print is tried again so often, or at once when it says that something changed."""

KICK_WAIT_S = 1.0
"""The longest that a receipt waits for the drawer."""
PAYMENT_DEVICE_WAIT_S = 1.0
"""How long an enquiry or a reversal waits for a payment device that is not connected."""
NO_DEVICE = "no-device"
GIVEN_BACK_S = 1.0
"""An enquiry or a reversal for which there is no room is answered so late, lest it be asked for again at once."""

_log = logging.getLogger(__name__)
_Paper = x.PrintReceipt | x.PrintReport | x.PrintInvoice
_Payment = (
    x.RequestPayment
    | x.RequestRefund
    | x.AbortPayment
    | x.EnquirePayment
    | x.ReversePayment
    | x.ReconcilePayments
    | GiftCardEffect
)


class Peripherals:
    """Runs effects on the first supervised device of each class; on the first printer that is ready, where one is.

    `devices` is live: they come and go. Payments stay with the first device: another one could only say that it never
    heard of them. `post` hands events to the engine. `signer` signs the codes on receipts.
    """

    def __init__(
        self, devices: Sequence[Supervisor], post: Callable[[v.AnyEvent], None], clock: Clock, signer: Signer
    ) -> None:
        self._devices = devices
        self._signer = signer
        self._signs = Signs(devices, clock)
        self._scale = _first(devices, "Scale")
        self._post = post
        self._clock = clock
        self._receipts: deque[_Paper] = deque()
        self._receipts_arrived = asyncio.Event()
        self._printer_changed = asyncio.Event()
        self._no_kick_waits = asyncio.Event()
        self._no_kick_waits.set()
        self._requests: asyncio.Queue[_Payment | x.OpenDrawer] = asyncio.Queue(PAYMENT_TASKS_MAX)

    @property
    def _printer(self) -> Supervisor | None:
        printers = [device for device in self._devices if device.kind == "POSPrinter"]
        return next((device for device in printers if device.ready.is_set()), printers[0] if printers else None)

    @property
    def _drawer(self) -> Supervisor | None:
        return _first(self._devices, "CashDrawer")

    @property
    def _payment(self) -> Supervisor | None:
        return _first(self._devices, "CAT")

    @property
    def receipts_waiting(self) -> int:
        """Receipts that are not on paper yet."""
        return len(self._receipts)

    def perform(self, effect: x.AnyEffect) -> None:
        """Takes an effect; returns at once."""
        match effect:
            case x.PrintReceipt() | x.PrintInvoice():
                document = sealed(effect.document, self._signer)
                self._queue_paper(msgspec.structs.replace(effect, document=document))
            case x.PrintReport():
                self._queue_paper(effect)
            case x.OpenDrawer():
                self._no_kick_waits.clear()
                self._request(effect)
            case (
                x.RequestPayment() | x.RequestRefund() | x.AbortPayment() | x.EnquirePayment() | x.ReversePayment()
                | x.ReconcilePayments() | x.ReserveGiftCard() | x.ChangeStoredValue() | x.EnquireStoredValue()
                | x.EnquireBalance()
            ):  # fmt: skip
                self._request(effect)
            case x.ShowOnDisplay() | x.SetLights() | x.SoundTone():
                self._signs.perform(effect)
            case x.AskWeight():
                if self._scale is not None:
                    cast(Scale, self._scale.device).weigh(effect.reference)
            case x.ReleaseScale():
                if self._scale is not None:
                    cast(Scale, self._scale.device).rest(sold=effect.sold)
            case _:
                assert_never(effect)

    def _queue_paper(self, paper: _Paper) -> None:
        while len(self._receipts) >= UNPRINTED_MAX:
            dropped = self._receipts.popleft()
            _log.warning("too many receipts wait: the oldest is left out", extra=_named(dropped))
        self._receipts.append(paper)
        self._receipts_arrived.set()

    def _request(self, effect: _Payment | x.OpenDrawer) -> None:
        try:
            self._requests.put_nowait(effect)
        except asyncio.QueueFull:
            self._give_back(effect)

    def device_changed(self) -> None:
        """A device came or went, or the printer said something: a waiting receipt is tried now, a display shown anew."""
        self._printer_changed.set()
        self._signs.device_changed()

    async def run(self) -> None:
        """Runs effects until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._print_receipts(), name="receipts")
            tasks.create_task(self._signs.run(), name="signs")
            slots = asyncio.Semaphore(PAYMENT_TASKS_MAX)
            while True:
                request = await self._requests.get()
                await slots.acquire()
                task = tasks.create_task(self._carry_out(request), name=f"effect-{type(request).__name__}")
                task.add_done_callback(lambda _: slots.release())

    async def drain(self, timeout_s: float) -> None:
        """Waits until no receipt is left to print, at most so long."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._receipts:
                    await self._clock.sleep(0.02)
        except TimeoutError:
            _log.warning("receipts are left to print", extra={"count": len(self._receipts)})

    async def _carry_out(self, request: _Payment | x.OpenDrawer) -> None:
        match request:
            case x.OpenDrawer():
                await self._kick()
            case x.RequestPayment() | x.RequestRefund():
                await self._pay(request)
            case x.AbortPayment():
                await self._abort(request)
            case x.EnquirePayment():
                await self._enquire(request)
            case x.ReversePayment():
                await self._reverse(request)
            case x.ReconcilePayments():
                await self._reconcile(request)
            case x.ReserveGiftCard() | x.ChangeStoredValue() | x.EnquireStoredValue() | x.EnquireBalance():
                self._post(await work_gift_card(request, self._payment_device_soon, self._clock))
            case _:
                assert_never(request)

    # --- receipts ------------------------------------------------------------------------------------------------

    async def _print_receipts(self) -> None:
        while True:
            self._receipts_arrived.clear()
            while self._receipts:
                await self._let_the_drawer_open()
                await self._print(self._receipts[0])
            await self._receipts_arrived.wait()

    async def _print(self, receipt: _Paper) -> None:
        """Prints one receipt, however long the printer keeps it waiting; done with it when this returns."""
        while self._receipts and self._receipts[0] is receipt:
            self._printer_changed.clear()
            if self._printer is None or not self._printer.ready.is_set():
                await self._printer_may_print()
                continue
            try:
                await cast(Printer, self._printer.device).print(receipt.document)
            except PrinterFault:
                await self._printer_may_print()
                continue
            except DeviceError as error:
                _log.warning("a receipt may be torn", extra=_named(receipt) | {"fault": error.code})
                self._done_with(receipt)
                await self._printer_may_print()
                if isinstance(receipt, x.PrintReceipt):
                    self._post(v.ReceiptUncertain(number=receipt.number, copy=receipt.copy))
                elif isinstance(receipt, x.PrintInvoice):
                    self._post(v.InvoiceTorn(number=receipt.number))
                else:
                    self._post(v.ReportTorn())
                return
            self._done_with(receipt)
            if isinstance(receipt, x.PrintReceipt):
                self._post(v.ReceiptTaken(number=receipt.number, copy=receipt.copy, doubtful=receipt.doubtful))

    async def _let_the_drawer_open(self) -> None:
        """A drawer on the printer's connector opens before the receipt, and not after the last line of it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KICK_WAIT_S):
                await self._no_kick_waits.wait()

    def _done_with(self, receipt: _Paper) -> None:
        if self._receipts and self._receipts[0] is receipt:
            self._receipts.popleft()

    async def _printer_may_print(self) -> None:
        try:
            async with asyncio.timeout(PRINTER_RETRY_S):
                await self._printer_changed.wait()
        except TimeoutError:
            pass

    # --- drawer --------------------------------------------------------------------------------------------------

    async def _kick(self) -> None:
        try:
            if self._drawer is None:
                return
            if not self._drawer.ready.is_set():
                self._post(v.DrawerStuck(fault=self._drawer.fault or DeviceError.code))
                return
            await cast(CashDrawer, self._drawer.device).kick()
        except DeviceError as error:
            self._post(v.DrawerStuck(fault=error.code))
        finally:
            self._no_kick_waits.set()

    # --- payments ------------------------------------------------------------------------------------------------

    async def _pay(self, request: x.RequestPayment | x.RequestRefund) -> None:
        device = self._payment_device()
        if device is None:
            # Nothing was sent, so it is certain that no money moved.
            self._post(v.PaymentRefused(reference=request.reference, reason=NO_DEVICE))
            return
        try:
            if isinstance(request, x.RequestPayment):
                answer = await device.pay(
                    request.reference, request.amount_minor, request.currency, request.wallet or request.gift_card
                )
            else:
                answer = await device.refund(
                    request.reference,
                    request.amount_minor,
                    request.currency,
                    request.original,
                    request.poi_transaction,
                )
            self._post(answer)
        except DeviceError:
            self._post(v.PaymentUnanswered(reference=request.reference))

    async def _abort(self, request: x.AbortPayment) -> None:
        device = self._payment_device()
        if device is None:
            return
        try:
            await device.abort(request.reference)
        except DeviceError as error:
            _log.warning("a payment could not be stopped", extra={"fault": error.code})

    async def _enquire(self, request: x.EnquirePayment) -> None:
        await self._clock.sleep(request.after_s)
        answer: v.PaymentAnswered | v.PaymentRefused | None = None
        device = await self._payment_device_soon()
        if device is not None:
            try:
                answer = await device.enquire(request.reference)
            except DeviceError as error:
                _log.warning("a payment's outcome is still unknown", extra={"fault": error.code})
        self._post(answer or v.PaymentUnanswered(reference=request.reference))

    async def _reverse(self, request: x.ReversePayment) -> None:
        await self._clock.sleep(request.after_s)
        device = await self._payment_device_soon()
        if device is not None:
            try:
                self._post(
                    await device.reverse(
                        request.reference, request.amount_minor, request.currency, request.poi_transaction
                    )
                )
                return
            except DeviceError as error:
                _log.warning("a reversal has no answer yet", extra={"fault": error.code})
        self._post(v.ReversalUnanswered(reference=request.reference))

    async def _reconcile(self, request: x.ReconcilePayments) -> None:
        """Whatever comes of it is told: a closing waits for nobody."""
        device = await self._payment_device_soon()
        if device is None:
            self._post(v.PaymentsTotalled(session=request.session, ours=request.ours, fault=NO_DEVICE))
            return
        try:
            told = await device.reconcile(request.currency)
        except DeviceError as error:
            self._post(v.PaymentsTotalled(session=request.session, ours=request.ours, fault=error.code))
            return
        self._post(
            v.PaymentsTotalled(
                session=request.session,
                ours=request.ours,
                theirs=told.totals,
                reconciliation=told.reconciliation,
            )
        )

    def _payment_device(self) -> PaymentDevice | None:
        if self._payment is None or not self._payment.ready.is_set():
            return None
        return cast(PaymentDevice, self._payment.device)

    async def _payment_device_soon(self) -> PaymentDevice | None:
        """The device, with patience for one that is coming up: a start does not begin with a false alarm."""
        if self._payment is not None:
            try:
                async with asyncio.timeout(PAYMENT_DEVICE_WAIT_S):
                    await self._payment.ready.wait()
            except TimeoutError:
                pass
        return self._payment_device()

    def _give_back(self, request: _Payment | x.OpenDrawer) -> None:
        """Too much is asked of the devices at once: said as the outcome that it certainly is."""
        match request:
            case x.RequestPayment() | x.RequestRefund():
                self._post(v.PaymentRefused(reference=request.reference, reason="busy"))
            case x.EnquirePayment():
                self._post_later(v.PaymentUnanswered(reference=request.reference))
            case x.ReversePayment():
                self._post_later(v.ReversalUnanswered(reference=request.reference))
            case x.OpenDrawer():
                self._no_kick_waits.set()
                self._post(v.DrawerStuck(fault="busy"))
            case x.ReconcilePayments():
                self._post(v.PaymentsTotalled(session=request.session, ours=request.ours, fault="busy"))
            case x.ReserveGiftCard() | x.ChangeStoredValue() | x.EnquireBalance():
                self._post(not_asked(request, "busy"))
            case x.EnquireStoredValue():
                self._post_later(v.StoredValueUnanswered(reference=request.reference))
            case x.AbortPayment():
                _log.error("a payment could not be stopped: too many requests wait")

    def _post_later(self, event: v.AnyEvent) -> None:
        asyncio.get_running_loop().call_later(GIVEN_BACK_S, self._post, event)


def _named(paper: _Paper) -> dict[str, object]:
    """What a paper is, for the log."""
    return {"transaction": paper.number} if isinstance(paper, x.PrintReceipt) else {"paper": "report"}


def _first(devices: Sequence[Supervisor], kind: str) -> Supervisor | None:
    return next((device for device in devices if device.kind == kind), None)
