"""The gift cards of a simulated payment device: what is on each, what was put there, and what is only reserved.

Its ledger is the oracle of every test: whatever went wrong on the wire, each reference changed one card once, or not at all.
"""

from dataclasses import dataclass, field

from drivers.codecs import nexo


@dataclass(slots=True, kw_only=True)
class Account:
    """A gift card. Without a balance it has not been sold yet."""

    balance_minor: int | None = None
    spent: int = 0
    """How often something was paid with it."""


@dataclass(slots=True, kw_only=True)
class Change:
    """Value put on a card, or taken off it again, for one reference of ours."""

    reference: str
    kind: str
    number: str
    amount_minor: int
    poi_transaction: str
    spent_before: int = 0
    was_new: bool = False
    is_reversed: bool = False


@dataclass(slots=True)
class GiftCardHost:
    """Keeps the balances. `known` numbers can be sold; every other one is refused."""

    known: dict[str, Account] = field(default_factory=dict)
    reserved: dict[str, str] = field(default_factory=dict)
    """Which card is held under which name."""
    changes: list[Change] = field(default_factory=list)
    _named: int = 0

    def issue(self, number: str, balance_minor: int | None = None) -> Account:
        """A card that was printed, and sold elsewhere where it has a balance."""
        return self.known.setdefault(number, Account(balance_minor=balance_minor))

    def owed_minor(self) -> int:
        """What is on all cards."""
        return sum(account.balance_minor or 0 for account in self.known.values())

    def change(self, request: nexo.StoredValueRequest, poi_id: str) -> nexo.StoredValueResponse:
        """Reserve, Activate, Load or Reverse, as asked."""
        data = request.stored_value_data[0]
        reference = request.sale_data.sale_transaction_id.transaction_id
        amount_minor = nexo.to_minor(data.item_amount, data.currency)
        named = data.original_poi_transaction
        original = named.poi_transaction_id.transaction_id if named is not None else ""
        self._named += 1
        name = f"{poi_id}.V{self._named:05}"
        match data.stored_value_transaction_type:
            case "Reserve" if data.stored_value_account_id is not None:
                number = data.stored_value_account_id.stored_value_id
                if number not in self.known:
                    return refused("InvalidCard")
                self.reserved[name] = number
                return self._done(request, name, self.known[number])
            case "Activate" | "Load" as kind:
                return self._put_on(request, Change(
                    reference=reference, kind=kind, number=self.reserved.pop(original, ""),
                    amount_minor=amount_minor, poi_transaction=name,
                ))  # fmt: skip
            case "Unload":
                return self._empty(request, Change(
                    reference=reference, kind="Unload", number=self.reserved.pop(original, ""),
                    amount_minor=amount_minor, poi_transaction=name,
                ))  # fmt: skip
            case "Reverse":
                return self._take_off(request, reference, original, name)
        return refused("UnavailableService")

    def balance(self, request: nexo.BalanceInquiryRequest, currency: str) -> nexo.BalanceInquiryResponse:
        """What is on a card that has been sold."""
        shown = request.payment_account_req.payment_instrument_data.stored_value_account_id
        account = self.known.get(shown.stored_value_id) if shown is not None else None
        if account is None or account.balance_minor is None:
            return nexo.BalanceInquiryResponse(response=failure("InvalidCard"))
        status = nexo.PaymentAccountStatus(
            current_balance=nexo.to_amount(account.balance_minor, currency), currency=currency
        )
        return nexo.BalanceInquiryResponse(response=nexo.Response(result="Success"), payment_account_status=status)

    def spend(self, number: str, amount_minor: int) -> int:
        """Pays with what is on a card, at most what is asked: how much that is."""
        account = self.known.get(number)
        if account is None or not account.balance_minor:
            return 0
        paid = min(amount_minor, account.balance_minor)
        account.balance_minor -= paid
        account.spent += 1
        return paid

    def credit(self, number: str, amount_minor: int) -> None:
        """Money goes back to a card that paid."""
        account = self.known[number]
        account.balance_minor = (account.balance_minor or 0) + amount_minor

    def unspend(self, number: str, amount_minor: int) -> None:
        """A payment was taken back, as if it had never been made."""
        self.credit(number, amount_minor)
        self.known[number].spent -= 1

    def _put_on(self, request: nexo.StoredValueRequest, change: Change) -> nexo.StoredValueResponse:
        account = self.known.get(change.number)
        if account is None:
            return refused("NotFound")
        if (account.balance_minor is None) is not (change.kind == "Activate"):
            return refused("NotAllowed")
        change.was_new, change.spent_before = account.balance_minor is None, account.spent
        account.balance_minor = (account.balance_minor or 0) + change.amount_minor
        self.changes.append(change)
        return self._done(request, change.poi_transaction, account)

    def _empty(self, request: nexo.StoredValueRequest, change: Change) -> nexo.StoredValueResponse:
        account = self.known.get(change.number)
        if account is None:
            return refused("NotFound")
        if account.balance_minor != change.amount_minor:
            return refused("NotAllowed")
        account.balance_minor, account.spent = 0, account.spent + 1
        self.changes.append(change)
        return self._done(request, change.poi_transaction, account)

    def _take_off(
        self, request: nexo.StoredValueRequest, reference: str, original: str, name: str
    ) -> nexo.StoredValueResponse:
        put = next((each for each in self.changes if each.poi_transaction == original), None)
        if put is None or put.is_reversed:
            return refused("NotFound" if put is None else "NotAllowed")
        account = self.known[put.number]
        if account.spent != put.spent_before or (account.balance_minor or 0) < put.amount_minor:
            return refused("NotAllowed")  # something was bought with it
        put.is_reversed = True
        left = (account.balance_minor or 0) - put.amount_minor
        account.balance_minor = None if put.was_new and not left else left
        self.changes.append(
            Change(reference=reference, kind="Reverse", number=put.number, amount_minor=put.amount_minor,
                   poi_transaction=name)
        )  # fmt: skip
        return self._done(request, name, account)

    def _done(self, request: nexo.StoredValueRequest, name: str, account: Account) -> nexo.StoredValueResponse:
        data = request.stored_value_data[0]
        balance = None if account.balance_minor is None else nexo.to_amount(account.balance_minor, data.currency)
        return nexo.StoredValueResponse(
            response=nexo.Response(result="Success"),
            sale_data=request.sale_data,
            poi_data=nexo.PoiData(poi_transaction_id=nexo.PoiTransactionIdentification(transaction_id=name)),
            stored_value_result=(
                nexo.StoredValueResult(
                    stored_value_transaction_type=data.stored_value_transaction_type,
                    item_amount=data.item_amount,
                    currency=data.currency,
                    stored_value_account_status=nexo.StoredValueAccountStatus(current_balance=balance),
                ),
            ),
        )


def refused(condition: str) -> nexo.StoredValueResponse:
    """The answer to what cannot be done (nexo's ErrorCondition)."""
    return nexo.StoredValueResponse(response=failure(condition))


def failure(condition: str) -> nexo.Response:
    return nexo.Response(result="Failure", error_condition=condition)
