"""A payment device that speaks nexo's Sale to POI protocol in JSON over TCP (UnifiedPOS CAT, nexo POI).

One lasting connection carries everything; an answer finds its question by category and ServiceID, so a payment can be
aborted or enquired about while it runs. The ServiceID of a payment follows from our reference alone: after any restart
the device can still be asked what became of it. A request is never sent twice.
"""

import asyncio
import datetime
import re
from typing import Any, Final

from core.card import holds_card
from core.entries import StoredValueOperation
from core.events import (
    BalanceTold,
    BalanceUntold,
    GiftCardReserved,
    GiftCardUnreserved,
    PaymentAnswered,
    PaymentRefused,
    PaymentTakenBack,
    StoredValueAnswered,
    StoredValueRefused,
)
from core.gift_card import GiftCard
from core.ports import (
    Clock,
    DeviceBusy,
    DeviceDenied,
    DeviceError,
    DeviceGone,
    DeviceStalled,
    Emit,
    PaymentTotals,
    ProtocolError,
)
from core.wallet import WalletCode
from drivers.answer import answer_to
from drivers.codecs import nexo
from drivers.codecs.nexo_outcome import LOGGED_OUT, NOT_FOUND, REASONS, payment_outcome, period_totals
from drivers.options import NexoOptions
from drivers.payment_value import NOT_CONNECTED, GiftCards
from drivers.transport import Stream, open_tcp

PENDING_MAX: Final = 16
"""Questions that can wait for their answers at once."""

_Key = tuple[str, str]
"""Category and ServiceID: what names a question and its answer."""


class NexoPaymentDevice:
    """A `core.ports.PaymentDevice`. Emits nothing of its own."""

    def __init__(self, name: str, options: NexoOptions, emit: Emit, clock: Clock) -> None:
        self.identity = f"nexo:{options.poi_id}"
        self._name = name
        self._options = options
        self._clock = clock
        self._stream: Stream | None = None
        self._deframer = nexo.Deframer()
        self._pending: dict[_Key, asyncio.Future[nexo.Message]] = {}
        self._fault: DeviceError | None = None
        self._asked = 0
        self._counts = {"approved": 0, "refused": 0, "unanswered": 0, "strays": 0}
        self._software = ""
        self._gift_cards = GiftCards(self)

    # --- a device's life ---

    async def open(self) -> None:
        self._fault = None
        self._deframer = nexo.Deframer()
        self._stream = await open_tcp(
            self._name, self._options.host, self._options.port, self._on_bytes, self._options.answer_timeout_s
        )
        try:
            await self._log_in()
        except BaseException:
            self.close()
            raise

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        try:
            while True:
                await self._quiet(self._stream)
                if not self._pending:  # while a customer holds the device it need not answer anything else
                    await self._diagnose()
        except DeviceError as error:
            self._fail(error)
            raise (self._fault or error) from None

    def close(self) -> None:
        self._fail(DeviceGone(f"{self._name}: closed"))
        self._stream = None

    def facts(self) -> dict[str, str | int]:
        return {"software": self._software, **self._counts}

    # --- what is asked of it ---

    async def pay(
        self, reference: str, amount_minor: int, currency: str, shown: WalletCode | GiftCard | None = None
    ) -> PaymentAnswered | PaymentRefused:
        if not self.is_up:
            return PaymentRefused(reference=reference, reason=NOT_CONNECTED)  # certain: nothing was sent
        by = None
        if isinstance(shown, GiftCard):
            by = nexo.PaymentData(payment_instrument_data=nexo.gift_card_instrument(shown.number))
        elif shown is not None:
            by = nexo.by_wallet(shown.wallet, shown.code)
        return await self._pay(reference, nexo.PaymentTransaction(amounts_req=_amounts(amount_minor, currency)), by)

    async def refund(
        self, reference: str, amount_minor: int, currency: str, original: str, poi_transaction: str
    ) -> PaymentAnswered | PaymentRefused:
        if not self.is_up:
            return PaymentRefused(reference=reference, reason=NOT_CONNECTED)
        try:
            named = await self._find_original(original, poi_transaction)
        except DeviceError:
            # Certain: only a question was sent.
            return PaymentRefused(reference=reference, reason=NOT_CONNECTED)
        if named is None:
            return PaymentRefused(reference=reference, reason=NOT_FOUND)
        transaction = nexo.PaymentTransaction(
            amounts_req=_amounts(amount_minor, currency),
            original_poi_transaction=self.original(named),
        )
        return await self._pay(reference, transaction, nexo.PaymentData(payment_type="Refund"))

    async def _pay(
        self, reference: str, transaction: nexo.PaymentTransaction, data: nexo.PaymentData | None
    ) -> PaymentAnswered | PaymentRefused:
        request = nexo.PaymentRequest(
            sale_data=self.sale_data(reference), payment_transaction=transaction, payment_data=data
        )
        message = nexo.Message(
            message_header=self._header("Payment", nexo.service_id("Payment", reference)), payment_request=request
        )
        try:
            answer = await self._ask(message, self._options.payment_timeout_s)
            return self._outcome(answer.payment_response, reference)
        except DeviceError:
            self._counts["unanswered"] += 1
            raise

    async def abort(self, reference: str) -> None:
        request = nexo.AbortRequest(message_reference=self._payment_of(reference), abort_reason="MerchantAbort")
        await self._send(nexo.Message(message_header=self._header("Abort", self._fresh_id()), abort_request=request))

    async def enquire(self, reference: str) -> PaymentAnswered | PaymentRefused | None:
        found = await self._find_payment(reference)
        if isinstance(found, nexo.PaymentResponse):
            return self._outcome(found, reference)
        return found

    async def reverse(self, reference: str, amount_minor: int, currency: str, poi_transaction: str) -> PaymentTakenBack:
        taken_back = PaymentTakenBack(reference=reference)
        original = await self._find_original(reference, poi_transaction)
        if original is None:
            return taken_back
        request = nexo.ReversalRequest(
            original_poi_transaction=self.original(original),
            reversal_reason="MerchantCancel",
            sale_data=self.sale_data(reference),
            reversed_amount=nexo.to_amount(amount_minor, currency),
        )
        message = nexo.Message(
            message_header=self._header("Reversal", nexo.service_id("Reversal", reference)), reversal_request=request
        )
        answer = (await self._ask(message, self._options.reversal_timeout_s)).reversal_response
        if _succeeded(answer) or await self._is_reversed(reference):
            return taken_back
        raise self._refusal("the reversal", answer)

    async def balance(self, card: GiftCard, currency: str) -> BalanceTold | BalanceUntold:
        return await self._gift_cards.balance(card, currency)

    async def reserve(
        self, reference: str, card: GiftCard, account: str, amount_minor: int, currency: str
    ) -> GiftCardReserved | GiftCardUnreserved:
        return await self._gift_cards.reserve(reference, card, account, amount_minor, currency)

    async def change_value(
        self, reference: str, operation: StoredValueOperation, amount_minor: int, currency: str, original: str
    ) -> StoredValueAnswered | StoredValueRefused:
        return await self._gift_cards.change(reference, operation, amount_minor, currency, original)

    async def enquire_value(self, reference: str, currency: str) -> StoredValueAnswered | StoredValueRefused | None:
        return await self._gift_cards.enquire(reference, currency)

    async def reconcile(self, currency: str) -> PaymentTotals:
        message = nexo.Message(
            message_header=self._header("Reconciliation", self._fresh_id()),
            reconciliation_request=nexo.ReconciliationRequest(),
        )
        answer = (await self._ask(message, self._options.reversal_timeout_s)).reconciliation_response
        try:
            return period_totals(answer, currency)
        except DeviceError as error:
            raise type(error)(f"{self._name}: {error}") from None

    # --- the questions behind them ---

    @property
    def is_up(self) -> bool:
        """Whether anything can be sent."""
        return self._stream is not None and self._fault is None

    async def _log_in(self) -> None:
        request = nexo.LoginRequest(
            date_time=self._now(),
            sale_software=nexo.SaleSoftware(
                manufacturer_id="terminald", application_name="terminald", software_version=nexo.PROTOCOL_VERSION
            ),
            sale_terminal_data=nexo.SaleTerminalData(),
        )
        message = nexo.Message(message_header=self._header("Login", self._fresh_id()), login_request=request)
        answer = (await self._ask(message, self._options.answer_timeout_s)).login_response
        if answer is None or not _succeeded(answer):
            raise self._refusal("the login", answer)
        system = answer.poi_system_data
        if system is not None and system.poi_terminal_data is not None:
            self.identity = f"nexo:{_plain(system.poi_terminal_data.poi_serial_number) or self._options.poi_id}"
        if system is not None and system.poi_software is not None:
            names = (system.poi_software.application_name, system.poi_software.software_version)
            self._software = " ".join(name for name in map(_plain, names) if name)

    async def _quiet(self, stream: Stream) -> None:
        """Returns after a heartbeat's time; raises DeviceError as soon as the connection ends."""
        try:
            async with asyncio.timeout(self._options.heartbeat_s):
                await stream.lost()
        except TimeoutError as error:
            if isinstance(error, DeviceError):
                raise

    async def _diagnose(self) -> None:
        request = nexo.DiagnosisRequest(host_diagnosis_flag=False)
        message = nexo.Message(message_header=self._header("Diagnosis", self._fresh_id()), diagnosis_request=request)
        await self._ask(message, self._options.answer_timeout_s)  # any answer shows that it is there

    async def _find_payment(self, reference: str) -> nexo.PaymentResponse | PaymentRefused | None:
        """The payment's answer as the device repeats it; None while in progress, refused when it never heard of it."""
        answer = await self.status("Payment", nexo.service_id("Payment", reference))
        if _succeeded(answer):
            repeated = answer.repeated_message_response
            if repeated is None or repeated.message_header.service_id != nexo.service_id("Payment", reference):
                raise ProtocolError(f"{self._name}: asked about one payment, it told of another.")
            response = repeated.repeated_response_message_body.payment_response
            if response is None:
                raise ProtocolError(f"{self._name}: it found the payment and did not say how it ended.")
            return None if response.response.error_condition == "InProgress" else response
        match answer.response.error_condition:
            case "InProgress":
                return None
            case "NotFound":
                return PaymentRefused(reference=reference, reason=NOT_FOUND)
        raise self._refusal("the enquiry", answer)

    async def _find_original(self, reference: str, poi_transaction: str) -> nexo.PoiTransactionIdentification | None:
        """What a reversal has to name; None when there is nothing to reverse.

        The device is asked where we do not know it, or kept it only starred because it looked like a card number.
        """
        if poi_transaction and "*" not in poi_transaction:
            return nexo.PoiTransactionIdentification(transaction_id=poi_transaction, time_stamp=self._now())
        found = await self._find_payment(reference)
        if found is None:
            raise DeviceBusy(f"{self._name}: the payment is still in progress.")
        if isinstance(found, PaymentRefused) or isinstance(payment_outcome(found, reference), PaymentRefused):
            return None
        assert found.poi_data is not None, "an approval has been checked to name its transaction"
        return found.poi_data.poi_transaction_id

    async def _is_reversed(self, reference: str) -> bool:
        """Whether the reversal of `reference` was done before, by an earlier call whose answer was lost."""
        service_id = nexo.service_id("Reversal", reference)
        answer = await self.status("Reversal", service_id)
        repeated = answer.repeated_message_response
        return (
            _succeeded(answer)
            and repeated is not None
            and repeated.message_header.service_id == service_id
            and _succeeded(repeated.repeated_response_message_body.reversal_response)
        )

    async def ask(self, category: str, service_id: str | None, **body: Any) -> nexo.Message:
        """Sends a request of another kind (`drivers.payment_value`) and waits for its answer."""
        header = self._header(category, service_id or self._fresh_id())
        return await self._ask(nexo.Message(message_header=header, **body), self._options.reversal_timeout_s)

    async def status(self, category: str, service_id: str) -> nexo.TransactionStatusResponse:
        """What became of an earlier request."""
        of = self._reference(category, service_id)
        request = nexo.TransactionStatusRequest(message_reference=of)
        message = nexo.Message(
            message_header=self._header("TransactionStatus", self._fresh_id()), transaction_status_request=request
        )
        answer = (await self._ask(message, self._options.answer_timeout_s)).transaction_status_response
        if answer is None:
            raise ProtocolError(f"{self._name}: an answer to an enquiry has no body.")
        return answer

    # --- what an answer means ---

    def _outcome(self, answer: nexo.PaymentResponse | None, reference: str) -> PaymentAnswered | PaymentRefused:
        """Counts it too. Raises DeviceError where the answer settles nothing."""
        try:
            outcome = payment_outcome(answer, reference)
        except DeviceError as error:
            raise type(error)(f"{self._name}: {error}") from None
        if isinstance(outcome, PaymentRefused) and outcome.reason == LOGGED_OUT:
            self._fail(DeviceGone(f"{self._name}: the device has logged us out."))
        self._counts["approved" if isinstance(outcome, PaymentAnswered) else "refused"] += 1
        return outcome

    def _refusal(
        self,
        what: str,
        answer: nexo.LoginResponse | nexo.ReversalResponse | nexo.TransactionStatusResponse | None,
    ) -> DeviceError:
        condition = answer.response.error_condition if answer is not None else None
        kind = _KINDS.get(condition or "", ProtocolError)
        # Only a word of the standard is repeated: the rest of what a device says stays out of messages.
        known = condition if condition in REASONS else "no reason that nexo knows"
        return kind(f"{self._name}: the device refused {what}: {known}.")

    # --- questions and answers on the connection ---

    async def _ask(self, message: nexo.Message, timeout_s: float) -> nexo.Message:
        """Sends a request and waits for its answer. Raises DeviceError; what became of the request is then unknown."""
        header = message.message_header
        key = (header.message_category, header.service_id)
        if key in self._pending or len(self._pending) >= PENDING_MAX:
            raise DeviceBusy(f"{self._name}: {header.message_category} is being asked already.")
        answered: asyncio.Future[nexo.Message] = asyncio.get_running_loop().create_future()
        self._pending[key] = answered
        try:
            stream = await self._send(message)
            return await answer_to(f"{self._name}: {header.message_category}", answered, stream.lost, timeout_s)
        except DeviceError as error:
            # A customer may take long; the device itself may not, and a lost connection is lost for all.
            if header.message_category != "Payment" or not isinstance(error, DeviceStalled):
                self._fail(error)
            raise
        finally:
            self._pending.pop(key, None)

    async def _send(self, message: nexo.Message) -> Stream:
        if self._stream is None or self._fault is not None:
            raise DeviceGone(f"{self._name}: not connected.")
        stream = self._stream
        try:
            await stream.write(nexo.frame(message), self._options.answer_timeout_s)
        except DeviceError as error:
            self._fail(error)
            raise
        except asyncio.CancelledError:
            self._fail(DeviceGone(f"{self._name}: a request was given up half written."))
            raise
        return stream

    def _on_bytes(self, data: bytes) -> None:
        try:
            for payload in self._deframer.feed(data):
                self._on_message(nexo.decode(payload))
        except ProtocolError as error:
            self._fail(error)

    def _on_message(self, message: nexo.Message) -> None:
        header = message.message_header
        answered = self._pending.get((header.message_category, header.service_id))
        if header.message_type != "Response" or answered is None or answered.done():
            self._counts["strays"] += 1  # too late, a notification, or nothing that we asked
            return
        answered.set_result(message)

    def _fail(self, fault: DeviceError) -> None:
        """Ends the connection: every question that waits fails with the same kind, and `serve` raises it."""
        if self._fault is None:
            self._fault = fault
        for answered in self._pending.values():
            if not answered.done():
                answered.set_exception(type(fault)(*fault.args))
        if self._stream is not None:
            self._stream.close()

    # --- what we write ---

    def _header(self, category: str, service_id: str) -> nexo.MessageHeader:
        return nexo.MessageHeader(
            message_class="Service",
            message_category=category,
            message_type="Request",
            service_id=service_id,
            sale_id=self._options.sale_id,
            poi_id=self._options.poi_id,
            protocol_version=nexo.PROTOCOL_VERSION if category in ("Login", "Diagnosis") else None,
        )

    def sale_data(self, reference: str) -> nexo.SaleData:
        """Our side's transaction."""
        return nexo.SaleData(
            sale_transaction_id=nexo.TransactionIdentification(transaction_id=reference, time_stamp=self._now())
        )

    def original(self, transaction: str | nexo.PoiTransactionIdentification) -> nexo.OriginalPoiTransaction:
        """An earlier transaction of the device's."""
        if isinstance(transaction, str):
            transaction = nexo.PoiTransactionIdentification(transaction_id=transaction, time_stamp=self._now())
        return nexo.OriginalPoiTransaction(
            poi_transaction_id=transaction, sale_id=self._options.sale_id, poi_id=self._options.poi_id
        )

    def _payment_of(self, reference: str) -> nexo.MessageReference:
        return self._reference("Payment", nexo.service_id("Payment", reference))

    def _reference(self, category: str, service_id: str) -> nexo.MessageReference:
        return nexo.MessageReference(message_category=category, service_id=service_id, sale_id=self._options.sale_id)

    def _fresh_id(self) -> str:
        """A ServiceID for a question that nobody asks about later: this boot's own, and never the same twice."""
        self._asked += 1
        stamp = self._clock.stamp()
        return nexo.service_id(f"{stamp.boot}:{stamp.mono_ms}", str(self._asked))

    def _now(self) -> str:
        moment = datetime.datetime.fromtimestamp(self._clock.stamp().time_ms / 1000, datetime.UTC)
        return moment.isoformat(timespec="milliseconds")


def _amounts(amount_minor: int, currency: str) -> nexo.AmountsReq:
    return nexo.AmountsReq(currency=currency, requested_amount=nexo.to_amount(amount_minor, currency))


_PLAIN = re.compile(r"[A-Za-z0-9._:/+-]{1,40}")


def _plain(text: str) -> str:
    """A device's name for itself or its software; empty where it says anything else."""
    return text if _PLAIN.fullmatch(text) and not holds_card(text) else ""


_KINDS: dict[str, type[DeviceError]] = {
    "Busy": DeviceBusy,
    "InProgress": DeviceBusy,
    "LoggedOut": DeviceGone,
    "NotAllowed": DeviceDenied,
    "UnreachableHost": DeviceStalled,
}


def _succeeded(
    answer: nexo.LoginResponse | nexo.ReversalResponse | nexo.TransactionStatusResponse | None,
) -> bool:
    return answer is not None and answer.response.result == "Success"
