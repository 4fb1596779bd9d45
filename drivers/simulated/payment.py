"""A simulated payment device: the far end of nexo's Sale to POI protocol, with a ledger of its own.

The ledger is the oracle of every test: it says, whatever went wrong on the wire, what each reference was charged.
"""

import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from core.ports import ProtocolError
from drivers.codecs import nexo
from drivers.simulated import gift_cards
from drivers.simulated.cable import Cable, Receive, TcpCable

BRAND = "Simcard"
MASKED_PAN = "541333******9999"


class Behaviour(enum.Enum):
    """What the device does with the next payments."""

    APPROVE = "approve"
    DECLINE = "decline"
    HOLD = "hold"
    """The customer stands there: nothing happens until `answer_held`, or an abort."""
    DROP_AFTER_CHARGE = "drop_after_charge"
    """Charges, and the connection is lost instead of an answer."""
    DROP_BEFORE_CHARGE = "drop_before_charge"
    """The connection is lost, and the device has never heard of the payment."""
    MUTE_AFTER_CHARGE = "mute_after_charge"
    """Charges, and never answers."""
    BUSY = "busy"


@dataclass(slots=True, kw_only=True)
class Charge:
    """One movement of money for one reference. Amounts are in minor units."""

    reference: str
    amount_minor: int
    currency: str
    poi_transaction: str
    is_reversed: bool = False
    refund_of: str = ""
    """The transaction that this money went back to."""
    wallet: str = ""
    """Whose wallet it was charged to; empty for a card."""
    gift_card: str = ""
    """Which gift card; empty for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPayment:
    """A payment that waits for its customer."""

    reference: str
    amount_minor: int
    currency: str
    request: nexo.Message


class SimulatedPaymentDevice:
    """Listens on `host`:`port` (0 picks a free port, which then stays). Works on the running loop.

    Its ledger outlives connections, power cuts and the daemon. `on_change` is called after whatever it shows changed. `make` gives it another cable than a TCP port.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        poi_id: str = "POI-1",
        on_change: Callable[[], None] | None = None,
        make: Callable[[Receive], Cable] | None = None,
    ) -> None:
        self.poi_id = poi_id
        self.behaviour = Behaviour.APPROVE
        self.delay_s = 0.0
        """From request to answer; the charge happens at the end of it."""
        self.wants_signature = False
        """Whether its next cards ask for the customer's signature."""
        self.wallets = {"wechat", "alipay", "unionpay", "emvco"}
        """Those it has a contract with."""
        self.display = "Welcome"
        """What the customer reads."""
        self.charges: list[Charge] = []
        """Every movement of money, in order. The same reference twice would be a double charge."""
        self.held: HeldPayment | None = None
        self.requests: list[nexo.Message] = []
        self.gift_cards = gift_cards.GiftCardHost()
        self.periods = 0
        """How often its day was ended."""
        self.miscount_minor = 0
        """What its next end of day tells too much."""
        self._spent: set[str] = set()
        """Wallets' codes that were charged: each is good once."""
        self._told = (0, 0, 0, 0, 0, 0)
        self._answered: dict[tuple[str, str], nexo.Message] = {}
        self._delayed: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._deframer = nexo.Deframer()
        self._on_change = on_change or _nothing
        self._cable = make(self._on_bytes) if make is not None else TcpCable(self._on_bytes, host, port)
        if isinstance(self._cable, TcpCable):
            self._cable.on_connect = self._hear_anew

    # --- the bench's side ---

    async def start(self) -> None:
        """Switches it on."""
        self.plug()

    def close(self) -> None:
        """Switches it off for good. May be called twice."""
        self.unplug()

    @property
    def host(self) -> str:
        """Where it listens."""
        assert isinstance(self._cable, TcpCable)
        return self._cable.host

    @property
    def port(self) -> int:
        """Where it listens; known from the first `start` on."""
        assert isinstance(self._cable, TcpCable)
        return self._cable.port

    @property
    def plugged(self) -> bool:
        """Whether a driver can reach it."""
        return self._cable.plugged

    def plug(self) -> None:
        """Power on; it remembers all that it charged."""
        self._cable.plug()
        self._show("Welcome")

    def unplug(self) -> None:
        """Power off: connections are lost, and a payment that still waits for its customer is forgotten."""
        self.held = None
        for timer in self._delayed.values():
            timer.cancel()
        self._delayed.clear()
        self._cable.unplug()
        self._show("")

    def drop_connection(self) -> None:
        """The network fails for a moment; whatever the device was doing, it goes on doing."""
        self._cable.unplug()
        self._cable.plug()

    def answer_held(self, *, approve: bool, refusal: str = "Cancel", lost: bool = False) -> None:
        """The customer, at last: presents a card, or presses the red key; `refusal` is nexo's ErrorCondition.

        With `lost` the connection breaks in place of the answer: what was decided stands, and the till must ask.
        """
        held, self.held = self.held, None
        if held is None:
            return
        response = self._charged(held.request) if approve else _failure(refusal)
        if lost:
            self._record(held.request, response)
            self.drop_connection()
        else:
            self._answer(held.request, response)

    def charged_minor(self) -> int:
        """All that was charged and not given back, in minor units."""
        return sum(
            -charge.amount_minor if charge.refund_of else charge.amount_minor
            for charge in self.charges
            if not charge.is_reversed
        )

    def charges_of(self, reference: str) -> list[Charge]:
        """What was charged for one reference: one entry, or none, where all is well."""
        return [charge for charge in self.charges if charge.reference == reference]

    @property
    def currency(self) -> str:
        """What it was last charged in."""
        return self.charges[-1].currency if self.charges else "EUR"

    # --- the cable's side ---

    def _hear_anew(self) -> None:
        self._deframer = nexo.Deframer()

    def _on_bytes(self, data: bytes) -> None:
        try:
            for payload in self._deframer.feed(data):
                self._on_message(nexo.decode(payload))
        except ProtocolError:
            self.drop_connection()

    def _on_message(self, message: nexo.Message) -> None:
        self.requests.append(message)
        match message.message_header.message_category:
            case "Login":
                self._send(message, login_response=self._login())
            case "Diagnosis":
                self._send(message, diagnosis_response=nexo.DiagnosisResponse(response=_SUCCESS))
            case "Payment":
                self._on_payment(message)
            case "Abort":
                self._on_abort(message)
            case "Reversal":
                self._on_reversal(message)
            case "StoredValue":
                self._on_stored_value(message)
            case "BalanceInquiry":
                self._on_balance(message)
            case "Reconciliation":
                self._on_reconciliation(message)
            case "TransactionStatus":
                self._send(message, transaction_status_response=self._status(message))

    def _login(self) -> nexo.LoginResponse:
        return nexo.LoginResponse(
            response=_SUCCESS,
            poi_system_data=nexo.PoiSystemData(
                poi_software=nexo.PoiSoftware(application_name="simulated", software_version="1"),
                poi_terminal_data=nexo.PoiTerminalData(poi_serial_number=f"SIM-{self.poi_id}"),
            ),
        )

    def _on_payment(self, message: nexo.Message) -> None:
        if _key(message) in self._answered:
            self._send(message, payment_response=_failure("NotAllowed"))  # a ServiceID is good for one payment
        elif self.held is not None or self._delayed or self.behaviour is Behaviour.BUSY:
            self._send(message, payment_response=_failure("Busy"))
        elif self.behaviour is Behaviour.DROP_BEFORE_CHARGE:
            self.drop_connection()
        elif self.behaviour is Behaviour.HOLD:
            self._hold(message)
        elif self.delay_s > 0:
            timer = asyncio.get_running_loop().call_later(self.delay_s, self._settle, message)
            self._delayed[_key(message)] = timer
        else:
            self._settle(message)

    def _refund_of(self, message: nexo.Message) -> str:
        """The transaction that a request gives money back of; empty for a payment."""
        request = message.payment_request
        original = request.payment_transaction.original_poi_transaction if request is not None else None
        return original.poi_transaction_id.transaction_id if original is not None else ""

    def _may_refund(self, message: nexo.Message) -> bool:
        """Never more goes back than was charged."""
        name = self._refund_of(message)
        charged = sum(one.amount_minor for one in self.charges if one.poi_transaction == name and not one.is_reversed)
        given = sum(one.amount_minor for one in self.charges if one.refund_of == name)
        return given + _asked(message)[1] <= charged

    def _hold(self, message: nexo.Message) -> None:
        reference, amount_minor, currency = _asked(message)
        self.held = HeldPayment(reference=reference, amount_minor=amount_minor, currency=currency, request=message)
        self._show("Confirm on your phone" if _wallet(message) is not None else "Present card")

    def _settle(self, message: nexo.Message) -> None:
        self._delayed.pop(_key(message), None)
        if self.behaviour is Behaviour.DECLINE or (self._refund_of(message) and not self._may_refund(message)):
            self._answer(message, _failure("Refusal"))
            return
        if (refused := self._wallet_refused(message) or self._gift_card_refused(message)) is not None:
            self._answer(message, _failure(refused))
            return
        self._record(message, response := self._charged(message))
        match self.behaviour:
            case Behaviour.DROP_AFTER_CHARGE:
                self.drop_connection()
            case Behaviour.MUTE_AFTER_CHARGE:
                pass
            case _:
                self._send(message, payment_response=response)

    def _wallet_refused(self, message: nexo.Message) -> str | None:
        """Why a wallet is not charged (nexo's ErrorCondition)."""
        shown = _wallet(message)
        if shown is None or _gift_card(message):
            return None
        if shown.stored_value_provider not in self.wallets:
            return "UnavailableService"
        return "Refusal" if shown.stored_value_id in self._spent else None

    def _gift_card_refused(self, message: nexo.Message) -> str | None:
        """Why a gift card pays nothing (nexo's ErrorCondition)."""
        if not (number := _gift_card(message)):
            return None
        account = self.gift_cards.known.get(number)
        if account is None or account.balance_minor is None:
            return "InvalidCard"
        return None if account.balance_minor else "Refusal"

    def _charged(self, message: nexo.Message) -> nexo.PaymentResponse:
        """Moves the money."""
        reference, amount_minor, currency = _asked(message)
        charge = Charge(
            reference=reference,
            amount_minor=amount_minor,
            currency=currency,
            poi_transaction=f"{self.poi_id}.{len(self.charges) + 1:06}",
            refund_of=self._refund_of(message),
        )
        back_to = next((one.gift_card for one in self.charges if one.poi_transaction == charge.refund_of), "")
        if number := _gift_card(message):
            charge.gift_card = number
            charge.amount_minor = self.gift_cards.spend(number, amount_minor)
        elif back_to:
            charge.gift_card = back_to
            self.gift_cards.credit(back_to, amount_minor)
        elif (shown := _wallet(message)) is not None:
            charge.wallet = shown.stored_value_provider or ""
            self._spent.add(shown.stored_value_id)
        self.charges.append(charge)
        self._show("Approved")
        approval = _approval(charge, signature=self.wants_signature)
        if charge.amount_minor < amount_minor:
            return msgspec.structs.replace(approval, response=nexo.Response(result="Partial"))
        return approval

    def _on_abort(self, message: nexo.Message) -> None:
        request = message.abort_request
        held = self.held
        if request is None or held is None:
            return
        if request.message_reference.service_id == held.request.message_header.service_id:
            self.held = None
            self._answer(held.request, _failure("Aborted"))

    def _on_reversal(self, message: nexo.Message) -> None:
        request = message.reversal_request
        if request is None:
            return
        name = request.original_poi_transaction.poi_transaction_id.transaction_id
        charge = next((charge for charge in self.charges if charge.poi_transaction == name), None)
        if charge is None or charge.is_reversed:
            condition = "NotFound" if charge is None else "NotAllowed"
            refused = nexo.Response(result="Failure", error_condition=condition)
            self._send(message, reversal_response=nexo.ReversalResponse(response=refused))
            return
        charge.is_reversed = True
        if charge.gift_card:
            self.gift_cards.unspend(charge.gift_card, charge.amount_minor)
        response = nexo.ReversalResponse(
            response=_SUCCESS,
            original_poi_transaction=request.original_poi_transaction,
            reversed_amount=nexo.to_amount(charge.amount_minor, charge.currency),
        )
        self._answered[_key(message)] = nexo.Message(message_header=_replying(message), reversal_response=response)
        self._show("Given back")
        if self.behaviour is Behaviour.DROP_AFTER_CHARGE:
            self.drop_connection()
        elif self.behaviour is not Behaviour.MUTE_AFTER_CHARGE:
            self._send(message, reversal_response=response)

    def _on_stored_value(self, message: nexo.Message) -> None:
        request = message.stored_value_request
        if request is None:
            return
        reserves = request.stored_value_data[0].stored_value_transaction_type == "Reserve"
        if _key(message) in self._answered:
            self._send(message, stored_value_response=gift_cards.refused("NotAllowed"))
        elif self.behaviour is Behaviour.BUSY or self.held is not None:
            self._send(message, stored_value_response=gift_cards.refused("Busy"))
        elif self.behaviour is Behaviour.DROP_BEFORE_CHARGE:
            self.drop_connection()
        elif self.behaviour is Behaviour.DECLINE and not reserves:
            self._settle_value(message, gift_cards.refused("Refusal"))
        else:
            self._settle_value(message, self.gift_cards.change(request, self.poi_id))

    def _settle_value(self, message: nexo.Message, response: nexo.StoredValueResponse) -> None:
        self._answered[_key(message)] = nexo.Message(message_header=_replying(message), stored_value_response=response)
        self._show("Gift card" if response.response.result == "Success" else "Declined")
        if self.behaviour is Behaviour.DROP_AFTER_CHARGE:
            self.drop_connection()
        elif self.behaviour is not Behaviour.MUTE_AFTER_CHARGE:
            self._send(message, stored_value_response=response)

    def _on_balance(self, message: nexo.Message) -> None:
        request = message.balance_inquiry_request
        if request is not None:
            response = self.gift_cards.balance(request, self.currency)
            self._send(message, balance_inquiry_response=response)

    def _on_reconciliation(self, message: nexo.Message) -> None:
        """Its day ends: what was charged and taken back since the last time is told, and counted anew."""
        if self.behaviour is Behaviour.BUSY or self.held is not None:
            refused = nexo.Response(result="Failure", error_condition="Busy")
            self._send(message, reconciliation_response=nexo.ReconciliationResponse(response=refused))
            return
        back = [charge for charge in self.charges if charge.is_reversed]
        paid = [charge for charge in self.charges if not charge.refund_of]
        given = [charge for charge in self.charges if charge.refund_of]
        now = (
            len(paid), sum(charge.amount_minor for charge in paid),
            len(given), sum(charge.amount_minor for charge in given),
            len(back), sum(charge.amount_minor for charge in back),
        )  # fmt: skip
        charged, charged_minor, credited, credited_minor, reversed_, reversed_minor = (
            new - old for new, old in zip(now, self._told, strict=True)
        )
        currency = self.currency
        totals = [
            nexo.PaymentTotals(
                transaction_type=kind,
                transaction_count=count,
                transaction_amount=nexo.to_amount(amount_minor, currency),
            )
            for kind, count, amount_minor in (
                ("Debit", charged, charged_minor + self.miscount_minor),
                ("Credit", credited, credited_minor),
                ("ReverseDebit", reversed_, reversed_minor),
            )
            if count or amount_minor
        ]
        self._told, self.miscount_minor, self.periods = now, 0, self.periods + 1
        response = nexo.ReconciliationResponse(
            response=_SUCCESS,
            reconciliation_type="SaleReconciliation",
            poi_reconciliation_id=str(self.periods),
            transaction_totals=(
                nexo.TransactionTotals(
                    payment_instrument_type="Card", payment_currency=currency, payment_totals=tuple(totals)
                ),
            ),
        )
        self._show("Day ended")
        if self.behaviour is Behaviour.DROP_AFTER_CHARGE:
            self.drop_connection()
        elif self.behaviour is not Behaviour.MUTE_AFTER_CHARGE:
            self._send(message, reconciliation_response=response)

    def _status(self, message: nexo.Message) -> nexo.TransactionStatusResponse:
        request = message.transaction_status_request
        of = request.message_reference if request is not None else nexo.MessageReference()
        key = (of.message_category or "Payment", of.service_id or "")
        if key in self._delayed or (self.held is not None and _key(self.held.request) == key):
            return nexo.TransactionStatusResponse(
                response=nexo.Response(result="Failure", error_condition="InProgress")
            )
        found = self._answered.get(key)
        if found is None:
            return nexo.TransactionStatusResponse(response=nexo.Response(result="Failure", error_condition="NotFound"))
        return nexo.TransactionStatusResponse(
            response=_SUCCESS,
            message_reference=of,
            repeated_message_response=nexo.RepeatedMessageResponse(
                message_header=found.message_header,
                repeated_response_message_body=nexo.RepeatedResponseMessageBody(
                    payment_response=found.payment_response,
                    reversal_response=found.reversal_response,
                    stored_value_response=found.stored_value_response,
                ),
            ),
        )

    def _answer(self, message: nexo.Message, response: nexo.PaymentResponse) -> None:
        self._record(message, response)
        if response.response.result == "Failure":
            self._show("Declined")
        self._send(message, payment_response=response)

    def _record(self, message: nexo.Message, response: nexo.PaymentResponse) -> None:
        self._answered[_key(message)] = nexo.Message(message_header=_replying(message), payment_response=response)

    def _send(self, message: nexo.Message, **body: Any) -> None:
        self._cable.send(nexo.frame(nexo.Message(message_header=_replying(message), **body)))

    def _show(self, text: str) -> None:
        self.display = text
        self._on_change()


_SUCCESS = nexo.Response(result="Success")


def _failure(condition: str) -> nexo.PaymentResponse:
    return nexo.PaymentResponse(response=nexo.Response(result="Failure", error_condition=condition))


def _approval(charge: Charge, *, signature: bool) -> nexo.PaymentResponse:
    return nexo.PaymentResponse(
        response=_SUCCESS,
        sale_data=nexo.SaleData(sale_transaction_id=nexo.TransactionIdentification(transaction_id=charge.reference)),
        poi_data=nexo.PoiData(
            poi_transaction_id=nexo.PoiTransactionIdentification(transaction_id=charge.poi_transaction)
        ),
        payment_result=nexo.PaymentResult(
            payment_instrument_data=_paid_by(charge),
            amounts_resp=nexo.AmountsResp(
                currency=charge.currency, authorized_amount=nexo.to_amount(charge.amount_minor, charge.currency)
            ),
            payment_acquirer_data=nexo.PaymentAcquirerData(approval_code="123456"),
        ),
        payment_receipt=(
            (nexo.PaymentReceipt(document_qualifier="CashierReceipt", required_signature_flag=True),)
            if signature
            else ()
        ),
    )


def _paid_by(charge: Charge) -> nexo.PaymentInstrumentData:
    if charge.gift_card:
        return nexo.PaymentInstrumentData(payment_instrument_type="StoredValue")
    if charge.wallet:
        account = nexo.StoredValueAccountId(stored_value_account_type="Other", stored_value_provider=charge.wallet)
        return nexo.PaymentInstrumentData(payment_instrument_type="Mobile", stored_value_account_id=account)
    card = nexo.CardData(payment_brand=BRAND, masked_pan=MASKED_PAN)
    return nexo.PaymentInstrumentData(payment_instrument_type="Card", card_data=card)


def _wallet(message: nexo.Message) -> nexo.StoredValueAccountId | None:
    """What a phone has shown, where a request is to be paid by that."""
    data = message.payment_request.payment_data if message.payment_request is not None else None
    instrument = data.payment_instrument_data if data is not None else None
    return instrument.stored_value_account_id if instrument is not None else None


def _gift_card(message: nexo.Message) -> str:
    """The number of the gift card that a request is to be paid with; empty for others."""
    data = message.payment_request.payment_data if message.payment_request is not None else None
    instrument = data.payment_instrument_data if data is not None else None
    if instrument is None or instrument.payment_instrument_type != "StoredValue":
        return ""
    return instrument.stored_value_account_id.stored_value_id if instrument.stored_value_account_id is not None else ""


def _asked(message: nexo.Message) -> tuple[str, int, str]:
    """Reference, amount in minor units and currency of a payment request."""
    request = message.payment_request
    assert request is not None, "only a payment gets here"
    amounts = request.payment_transaction.amounts_req
    reference = request.sale_data.sale_transaction_id.transaction_id
    return reference, nexo.to_minor(amounts.requested_amount, amounts.currency), amounts.currency


def _key(message: nexo.Message) -> tuple[str, str]:
    return message.message_header.message_category, message.message_header.service_id


def _replying(message: nexo.Message) -> nexo.MessageHeader:
    header = message.message_header
    return nexo.MessageHeader(
        message_class=header.message_class,
        message_category=header.message_category,
        message_type="Response",
        service_id=header.service_id,
        sale_id=header.sale_id,
        poi_id=header.poi_id,
        protocol_version=header.protocol_version,
    )


def _nothing() -> None:
    """Nobody looks at it."""
