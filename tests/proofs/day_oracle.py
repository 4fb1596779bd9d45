"""Reads a journal's export alone, and says what is wrong with its chains and its Z reports. Shares nothing with the product.

Plain JSON, whole numbers and SHA-256: this is what an auditor would write from docs/technician.md. From the records of what
was rung up, paid and moved it adds up each session anew, line by line and tender by tender, and holds the kept Z report and
its grand totals against that.

    python -m tests.proofs.day_oracle FILE    prints the faults; status 1 if there are any
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from typing import Any

_HASH_TAIL = len(',"hash":""}') + 64
_INTO = ("loan", "paid-in")


def check(lines: Iterable[str], *, one_stream: bool = False) -> list[str]:
    """All faults of an export; of one stream alone only its own chain can be checked."""
    faults: list[str] = []
    chains, books = Chains(faults), Books(faults)
    for line in lines:
        record, exact = read(line)
        if one_stream:
            chains.stream(record, exact)
        else:
            chains.take(record, exact)
            books.take(record["body"])
    return faults


def read(line: str) -> tuple[dict[str, Any], bytes]:
    """A line's record, and its exact bytes: the line without the hash that was put at its end."""
    line = line.rstrip("\n")
    return json.loads(line), (line[:-_HASH_TAIL] + "}").encode()


class Chains:
    """The chain of all records, and each stream's own."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        self.records = 0
        self._epoch = ""
        self._seq = 0
        self._hash = bytes(32)
        self._streams: dict[str, tuple[int, bytes]] = {}

    def take(self, record: dict[str, Any], exact: bytes) -> None:
        self.records += 1
        if record["epoch"] != self._epoch:
            body = record["body"]
            if self._epoch and (body.get("previous_epoch"), body.get("previous_head")) != (
                self._epoch,
                self._hash.hex(),
            ):
                self.faults.append(f"epoch {record['epoch']} does not name the end of the one before")
            self._epoch, self._seq, self._hash, self._streams = record["epoch"], 0, bytes(32), {}
        if record["seq"] != self._seq + 1:
            self.faults.append(f"record {record['seq']} follows {self._seq}")
        self._seq, self._hash = record["seq"], hashlib.sha256(self._hash + exact).digest()
        if self._hash.hex() != record["hash"]:
            self.faults.append(f"the hash of record {record['seq']} is not that of its bytes")
        self.stream(record, exact)

    def stream(self, record: dict[str, Any], exact: bytes) -> None:
        number, head = self._streams.get(record["stream"], (0, bytes(32)))
        if (record["stream_seq"], record["stream_prev"]) != (number + 1, head.hex()):
            self.faults.append(f"stream {record['stream']} breaks at record {record['seq']}")
        self._streams[record["stream"]] = record["stream_seq"], hashlib.sha256(head + exact).digest()


class Basket:
    """What an open transaction holds."""

    def __init__(self) -> None:
        self.lines: dict[int, list[Any]] = {}
        """Amount, tax code, whether it was taken back, whether it came back from the customer."""
        self.gifts: dict[int, list[Any]] = {}
        """Gift cards: amount, below zero what was taken back, and whether the line was taken back."""
        self.off: list[dict[str, Any]] = []
        self.tenders: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.paper = ""


class Session:
    """What one session comes to, by this program's own sums."""

    def __init__(self) -> None:
        self.float_minor = 0
        self.tally: dict[str, list[int]] = {
            name: [0, 0]
            for name in (
                "sales",
                "refunds",
                "cancelled",
                "voided",
                "discounts",
                "written",
                "undone",
                "gift_cards",
                "gift_cards_back",
            )
        }
        self.plain = {"no_sales": 0, "copies": 0, "rounding_minor": 0, "absolute_minor": 0}
        self.rows: dict[str, dict[str, list[int]]] = {
            name: {} for name in ("tenders", "refund_tenders", "moves", "operators")
        }
        self.taxes: dict[str, list[int]] = {}
        self.numbers: list[int] = []
        self.counted = 0
        self.day = ""
        self.number = 0
        self.reconciled: list[dict[str, Any]] = []

    def add(self, name: str, amount: int, count: int = 1) -> None:
        self.tally[name][0] += count
        self.tally[name][1] += amount

    def row(self, name: str, kind: str, amount: int) -> None:
        row = self.rows[name].setdefault(kind, [0, 0])
        row[0] += 1
        row[1] += amount

    def expected(self) -> int:
        moved = sum(row[1] if kind in _INTO else -row[1] for kind, row in self.rows["moves"].items())
        cash = self.rows["tenders"].get("CASH", [0, 0])[1] - self.rows["refund_tenders"].get("CASH", [0, 0])[1]
        return self.float_minor + cash + moved


class Books:
    """All sessions of a journal, one after the other."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        self.zs = self.completed = 0
        self.session = Session()
        self.closing: Session | None = None
        self._basket: Basket | None = None
        self._number = 0
        self._parked: dict[int, Basket] = {}
        self._payments: dict[str, list[Any]] = {}
        """By reference: amount, whether it is a refund, the kind of tender."""
        self._values: dict[str, list[Any]] = {}
        """By reference: what a gift card was to be changed by, of which transaction and line, what it undoes, whether it is done."""
        self._cards = {"debit": [0, 0], "credit": [0, 0], "reverse-debit": [0, 0]}
        self._grand: dict[str, list[Any]] = {name: ["", 0, 0, 0] for name in ("day", "month", "year", "perpetual")}
        self._closed_day = ""

    def take(self, body: dict[str, Any]) -> None:
        """One record's body."""
        kind = body["type"]
        method = getattr(self, f"_{kind}", None)
        if method is not None:
            method(body)

    def fault(self, text: str) -> None:
        self.faults.append(f"transaction {self._number}: {text}")

    # --- a basket ---

    def _transaction_opened(self, body: dict[str, Any]) -> None:
        self._basket, self._number = Basket(), body["number"]
        self._basket.paper = body.get("paper", "")
        self.session.numbers.append(body["number"])
        if self.session.day and body["business_day"] != self.session.day:
            self.fault(f"it is of {body['business_day']}, and its session of {self.session.day}")

    def _transaction_suspended(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        self._parked[body["number"]] = self._basket
        self._basket = None

    def _transaction_resumed(self, body: dict[str, Any]) -> None:
        self._basket, self._number = self._parked.pop(body["number"]), body["number"]

    def _item_added(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        self._basket.lines[body["line"]] = [
            body["amount_minor"],
            body["tax"],
            False,
            body.get("returned") is not None,
        ]
        if self._basket.paper and body["entry_method"] != "manual":
            self.fault("a line of a sale written by hand does not say so")

    def _amended(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        self._basket.lines[body["line"]][0] = body["amount_minor"]

    _quantity_changed = _price_overridden = _line_repriced = _amended

    def _line_voided(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        if body["line"] in self._basket.gifts:
            gift = self._basket.gifts[body["line"]]
            gift[1] = True
            self.session.add("voided", gift[0])
            return
        line = self._basket.lines[body["line"]]
        line[2] = True
        self.session.add("voided", line[0])

    def _discounts_applied(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        self._basket.off = body.get("discounts", [])

    def _tender(self, kind: str, amount: int) -> None:
        assert self._basket is not None
        self._basket.tenders[kind] = self._basket.tenders.get(kind, 0) + amount

    def _cash_tendered(self, body: dict[str, Any]) -> None:
        self._tender("CASH", body["amount_minor"])

    def _cash_refunded(self, body: dict[str, Any]) -> None:
        self._tender("CASH", -body["amount_minor"])

    def _voucher_tendered(self, body: dict[str, Any]) -> None:
        self._tender("VOUCHER", body["amount_minor"])

    def _account_charged(self, body: dict[str, Any]) -> None:
        self._tender("CUST_ACCT", body["amount_minor"])

    def _account_credited(self, body: dict[str, Any]) -> None:
        self._tender("CUST_ACCT", -body["amount_minor"])

    # --- cards ---

    def _payment_requested(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        self._payments[body["reference"]] = [body["amount_minor"], False, body.get("kind", "CREDIT")]
        self._basket.asked[body["reference"]] = 1

    def _refund_requested(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        self._payments[body["reference"]] = [body["amount_minor"], True, body.get("kind", "CREDIT")]
        self._basket.asked[body["reference"]] = -1

    def _payment_approved(self, body: dict[str, Any]) -> None:
        payment = self._payments[body["reference"]]
        payment[0] = body["amount_minor"]
        total = self._cards["credit" if payment[1] else "debit"]
        total[0] += 1
        total[1] += payment[0]
        sign = self._basket.asked.get(body["reference"], 0) if self._basket is not None else 0
        if sign:
            assert self._basket is not None
            self._basket.tenders[payment[2]] = self._basket.tenders.get(payment[2], 0) + sign * payment[0]

    def _payment_set_aside(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        self._basket.asked.pop(body["reference"], None)

    def _payment_reversed(self, body: dict[str, Any]) -> None:
        total = self._cards["reverse-debit"]
        total[0] += 1
        total[1] += self._payments[body["reference"]][0]

    def _payments_reconciled(self, body: dict[str, Any]) -> None:
        ours = {each["kind"]: [each["count"], each["amount_minor"]] for each in body.get("ours", [])}
        theirs = {each["kind"]: [each["count"], each["amount_minor"]] for each in body.get("theirs", [])}
        if body.get("fault") is None:
            if ours != theirs:
                self.faults.append(f"session {body['session']}: the payment device has {theirs}, the till {ours}")
            for kind, (count, amount) in ours.items():
                self._cards[kind][0] -= count
                self._cards[kind][1] -= amount
            if any(total[0] < 0 for total in self._cards.values()):
                self.faults.append(f"session {body['session']}: more card payments were told than there are records")
        self.session.reconciled.append(body)

    # --- gift cards ---

    def _gift_card_added(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        self._basket.gifts[body["line"]] = [body["amount_minor"], False]

    def _gift_card_returned(self, body: dict[str, Any]) -> None:
        assert self._basket is not None
        self._basket.gifts[body["line"]] = [body["amount_minor"], False]
        gone = [each for each in self._values.values() if each[3] == body["original"] and each[4]]
        if [each[0] for each in gone] != [-body["amount_minor"]]:
            self.fault("money is given for a gift card whose value is not gone")

    def _stored_value_requested(self, body: dict[str, Any]) -> None:
        undoes = body["original"] if body["operation"] in ("unload", "cash-out") else None
        self._values[body["reference"]] = [body["amount_minor"], body["number"], body["line"], undoes, False]

    def _stored_value_approved(self, body: dict[str, Any]) -> None:
        value = self._values[body["reference"]]
        if value[4]:
            self.faults.append(f"gift card {body['reference']}: its value was changed twice")
        value[4] = True

    def _gift_cards(self, basket: Basket, body: dict[str, Any]) -> int:
        """What gift cards come to in a finished transaction, and whether each one's value was asked for."""
        standing = {line: amount for line, (amount, voided) in basket.gifts.items() if not voided}
        said = {each["line"]: each["amount_minor"] for each in body.get("stored_value", [])}
        if said != standing:
            self.fault(f"its gift cards are {said}, and {standing} by their records")
        asked = {line: amount for amount, number, line, undoes, _ in self._values.values()
                 if number == self._number and undoes is None}  # fmt: skip
        if asked != {line: amount for line, amount in standing.items() if amount > 0}:
            self.fault(f"its gift cards are {standing}, and {asked} was asked for")
        for amount in standing.values():
            self.session.add("gift_cards" if amount > 0 else "gift_cards_back", abs(amount))
        return sum(standing.values())

    # --- the end of a transaction ---

    def _transaction_completed(self, body: dict[str, Any]) -> None:
        basket, self._basket = self._basket, None
        assert basket is not None
        self.completed += 1
        self._sum_up(basket, body)
        total, session = body["total_minor"], self.session
        back = -sum(amount for amount, _, voided, returned in basket.lines.values() if returned and not voided)
        came_back = any(returned and not voided for _, _, voided, returned in basket.lines.values())
        stored = self._gift_cards(basket, body)
        no_goods = bool(body.get("stored_value")) and all(voided for _, _, voided, _ in basket.lines.values())
        absolute = abs(total)
        if body.get("voids") is not None:
            session.add("undone", -total)
        else:
            if back:
                session.add("refunds", back)
            if total + back or not (came_back or no_goods):
                session.add("sales", total + back)
            absolute = abs(total + back) + back
        session.plain["absolute_minor"] += absolute
        if body.get("discount_minor", 0):
            session.add("discounts", body["discount_minor"])
        if basket.paper:
            session.add("written", total)
        session.plain["rounding_minor"] += body.get("rounding_minor", 0)
        session.row("operators", body.get("operator", ""), total)
        tenders = dict(basket.tenders)
        if body["change_minor"]:
            tenders["CASH"] = tenders.get("CASH", 0) - body["change_minor"]
        said = {each["kind"]: each["amount_minor"] for each in body["tenders"]}
        if said != tenders:
            self.fault(f"its tenders are {said}, and {tenders} by their records")
        tenders = {kind: amount for kind, amount in tenders.items() if amount or kind in said}
        if sum(tenders.values()) != total + stored + body.get("rounding_minor", 0):
            self.fault("its tenders are not its total")
        for kind, amount in tenders.items():
            session.row("tenders" if amount >= 0 else "refund_tenders", kind, abs(amount))

    def _sum_up(self, basket: Basket, body: dict[str, Any]) -> None:
        """The total and each row of taxes, from the lines."""
        by_code: dict[str, int] = {}
        for amount, code, voided, _ in basket.lines.values():
            if not voided:
                by_code[code] = by_code.get(code, 0) + amount
        for discount in basket.off:
            for share in discount["shares"]:
                line = share if isinstance(share, list) else [share["line"], share["amount_minor"]]
                by_code[basket.lines[line[0]][1]] -= line[1]
        total = 0
        for row in body["taxes"]:
            goods = row["gross_minor"] + row.get("exempt_tax_minor", 0) if row["included"] else row["net_minor"]
            if goods != by_code.pop(row["code"], 0):
                self.fault(f"tax {row['code']} is on {goods}, which its lines are not")
            if row["net_minor"] + row["tax_minor"] != row["gross_minor"]:
                self.fault(f"tax {row['code']} does not add up")
            rate = row["rate_bp"]
            if row["included"] and not row.get("exempt") and not row.get("parts"):
                twice = 2 * abs(row["gross_minor"]) * rate
                tax = (twice + 10_000 + rate) // (2 * (10_000 + rate)) * (1 if row["gross_minor"] >= 0 else -1)
                if tax != row["tax_minor"]:
                    self.fault(f"tax {row['code']} is {row['tax_minor']}, and should be {tax}")
            total += row["gross_minor"]
            key = f"{row['code']}/{rate}/{bool(row.get('exempt'))}"
            sums = self.session.taxes.setdefault(key, [0, 0, 0])
            for index, name in enumerate(("gross_minor", "net_minor", "tax_minor")):
                sums[index] += row[name]
        if any(by_code.values()) or total != body["total_minor"]:
            self.fault(f"its total is {body['total_minor']}, and its lines come to {total} and {by_code}")
        if sum(each["amount_minor"] for each in basket.off) != body.get("discount_minor", 0):
            self.fault("its discounts are not what was taken off")

    def _transaction_cancelled(self, _: dict[str, Any]) -> None:
        self._basket = None
        self.session.add("cancelled", 0)

    # --- the till ---

    def _drawer_commanded(self, _: dict[str, Any]) -> None:
        self.session.plain["no_sales"] += 1

    def _copied(self, _: dict[str, Any]) -> None:
        self.session.plain["copies"] += 1

    _copy_ordered = _report_copied = _copied

    def _cash_moved(self, body: dict[str, Any]) -> None:
        self.session.row("moves", body["move"], body["amount_minor"])

    def _till_opened(self, body: dict[str, Any]) -> None:
        self.session.float_minor, self.session.day = body["float_minor"], body["business_day"]
        self.session.number = body["session"]
        if body["business_day"] <= self._closed_day:
            self.faults.append(f"session {body['session']} is of a day that was closed")

    def _till_counted(self, body: dict[str, Any]) -> None:
        self.session.counted = body["amount_minor"]
        counts = body.get("counts", [])
        if counts and sum(unit * count for unit, count in counts) != body["amount_minor"]:
            self.faults.append(f"session {self.session.number}: coins and notes are not what was counted")

    def _till_settled(self, body: dict[str, Any]) -> None:
        expected = self.session.expected()
        self._same("settlement", "expected", body["expected_minor"], expected)
        self._same("settlement", "counted", body["counted_minor"], self.session.counted)
        self._same("settlement", "over or short", body["over_short_minor"], self.session.counted - expected)
        self.closing, self.session = self.session, Session()

    def _z_reported(self, body: dict[str, Any]) -> None:
        self.zs += 1
        report, session = body["report"], self.closing
        if session is None:
            self.faults.append(f"Z report {body['number']} is of no settlement")
            return
        what = f"Z report {body['number']}"
        self._same(what, "number", body["number"], self.zs)
        for name, value in (
            ("session", session.number),
            ("business_day", session.day),
            ("float_minor", session.float_minor),
            ("expected_minor", session.expected()),
            ("counted_minor", session.counted),
            ("reconciled", session.reconciled),
        ):
            told = report.get(name, [] if name == "reconciled" else 0)
            if name == "reconciled":
                told = [{**each, "type": "payments_reconciled"} for each in told]
            self._same(what, name, told, value)
        self._same(what, "over or short", report.get("over_short_minor", 0), session.counted - session.expected())
        self._same(what, "first", report.get("first", 0), session.numbers[0] if session.numbers else 0)
        self._same(what, "last", report.get("last", 0), session.numbers[-1] if session.numbers else 0)
        aside = [[each["number"], each["amount_minor"]] for each in report.get("parked", [])]
        self._same(what, "parked", aside, [[number, _sum_of(basket)] for number, basket in self._parked.items()])
        self._takings(what, report.get("takings", {}), session)
        self._grand_totals(what, report, session)
        if body.get("day_closed"):
            self._closed_day = session.day
        self.closing = None

    def _takings(self, what: str, told: dict[str, Any], session: Session) -> None:
        for name, (count, amount) in session.tally.items():
            tally = told.get(name, {})
            self._same(what, name, [tally.get("count", 0), tally.get("amount_minor", 0)], [count, amount])
        for name, number in session.plain.items():
            self._same(what, name, told.get(name, 0), number)
        for name, rows in session.rows.items():
            said = {row["kind"]: [row.get("count", 0), row.get("amount_minor", 0)] for row in told.get(name, [])}
            self._same(what, name, said, rows)
        taxes = {
            f"{row['code']}/{row['rate_bp']}/{bool(row.get('exempt'))}": [
                row.get(name, 0) for name in ("gross_minor", "net_minor", "tax_minor")
            ]
            for row in told.get("taxes", [])
        }
        self._same(what, "taxes", taxes, session.taxes)

    def _grand_totals(self, what: str, report: dict[str, Any], session: Session) -> None:
        tally = session.tally
        count = tally["sales"][0] + tally["refunds"][0] + tally["undone"][0]
        amount = tally["sales"][1] - tally["refunds"][1] - tally["undone"][1]
        absolute = session.plain["absolute_minor"]
        periods = {"day": session.day, "month": session.day[:7], "year": session.day[:4], "perpetual": ""}
        shift = [str(session.number), count, amount, absolute]
        self._same(what, "the shift's total", _total(report["shift"]), shift)
        for name, period in periods.items():
            total = self._grand[name]
            if total[0] != period:
                total[:] = [period, 0, 0, 0]
            total[1:] = [total[1] + count, total[2] + amount, total[3] + absolute]
            self._same(what, f"the {name}'s total", _total(report[name]), total)

    def _same(self, what: str, name: str, told: Any, own: Any) -> None:
        if told != own:
            self.faults.append(f"{what}: {name} is {told}, and the records come to {own}")


def _sum_of(basket: Basket) -> int:
    """What stands in a basket, before discounts."""
    return sum(line[0] for line in basket.lines.values() if not line[2])


def _total(told: dict[str, Any]) -> list[Any]:
    return [told["period"], told.get("count", 0), told.get("amount_minor", 0), told.get("absolute_minor", 0)]


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        found = check(file, one_stream="--one-stream" in sys.argv)
    print("\n".join(found))
    sys.exit(1 if found else 0)
