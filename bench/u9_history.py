"""U9: how long a question about finished sales takes, with a million of them in the history.

The history is filled by folding records of sales, a thousand days of a shop; each kind of question is asked many times, for
what is common, rare, old, or not there at all, and answered with whole transactions as the control socket does. The figure
is the 95th percentile of a kind. How long a record takes to be folded in is said beside it.
"""

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Any

import msgspec

from bench.registry import Proof, Result, Scale, at_most
from core import entries as e
from core.history import Transaction
from core.ledger import Record
from store.chain import Chain
from store.history import History, Query
from tests.store.journals import KEY, STAMP

GOAL_MS = 100.0
"""What a person takes for at once (Nielsen, Usability Engineering, 1993)."""
FOLD_RECORDS = 5_000
FIRST_DAY = date(2024, 1, 1)
DAYS = 1_000
ITEMS = 20_000
LINES = 2
OPERATORS = 12
CANCELLED = 0.02
VOUCHERS = 0.001
BEST_SELLER = 0.3
"""So much of a chance has the item that sells best to be in a basket."""


class _Staffed(History):
    """As long as no record names who served, each sale is given somebody here."""

    def _add(self, sold: Transaction) -> None:
        super()._add(msgspec.structs.replace(sold, operator=f"operator-{sold.number % OPERATORS}"))


def run(scale: Scale) -> Iterable[Result]:
    """Fills it, then asks."""
    sales = scale.pick(smoke=5_000, commit=200_000, release=1_000_000)
    rounds = scale.pick(smoke=5, commit=40, release=200)
    with tempfile.TemporaryDirectory(prefix="terminald-u9-") as name:
        with _Staffed(Path(name, "history.db"), KEY) as history:
            began_s = time.perf_counter()
            records, fold_s = 0, 0.0
            coming = _records(sales)
            while batch := list(islice(coming, FOLD_RECORDS)):
                records += len(batch)
                folding_s = time.perf_counter()
                history.fold(batch)
                fold_s += time.perf_counter() - folding_s
            print(f"U9: filled in {time.perf_counter() - began_s:.0f} s", file=sys.stderr)
        with _Staffed(Path(name, "history.db"), KEY) as history:  # with nothing in its cache
            random = Random(sales)
            for part, (kind, queries) in zip("abcde", _kinds(random, sales, rounds).items(), strict=True):
                took_ms, found, slowest = _ask(history, queries)
                print(f"U9{part}: slowest {max(took_ms):.1f} ms for {slowest}", file=sys.stderr)
                yield at_most(
                    round(quantiles(took_ms, n=20)[-1], 2),
                    GOAL_MS,
                    part=part,
                    what=f"ms, by {kind}, p95 of {len(queries)} questions with {found} answers among {sales} sales;"
                    f" worst {max(took_ms):.1f}; folded in {1e6 * fold_s / records:.0f} us a record",
                )


BENCHES = [Proof(id="U9", title="history at a million transactions, p95 ms", parts=("a", "b", "c", "d", "e"), run=run)]


def _ask(history: History, queries: list[Query]) -> tuple[list[float], int, Query]:
    took_ms = []
    found = 0
    for query in queries:
        began_s = time.perf_counter()
        found += len(history.find(query))
        took_ms.append(1e3 * (time.perf_counter() - began_s))
    return took_ms, found, queries[took_ms.index(max(took_ms))]


def _kinds(random: Random, sales: int, rounds: int) -> dict[str, list[Query]]:
    """Of each kind so many rounds of questions, all of them different."""

    def day() -> str:
        return _day(random.randrange(DAYS))

    def old(**more: Any) -> Query:
        first = random.randrange(DAYS // 2)
        return Query(from_day=_day(first), to_day=_day(first + 30), **more)

    kinds: dict[str, list[Query]] = {"day": [], "operator": [], "item": [], "tender": [], "number": []}
    for _ in range(rounds):
        one = day()
        kinds["day"] += [
            Query(from_day=one, to_day=one), old(), Query(from_day=day()), Query(to_day=day()),
            Query(from_day="2099-01-01"), Query(to_day="1999-01-01"), old(status="cancelled"),
        ]  # fmt: skip
        operator = f"operator-{random.randrange(OPERATORS)}"
        kinds["operator"] += [
            Query(operator=operator), old(operator=operator), Query(operator="nobody"),
            Query(operator=operator, status="cancelled"),
        ]  # fmt: skip
        item = _gtin(_chosen(random))
        kinds["item"] += [
            Query(gtin=_gtin(0)), Query(gtin=item), Query(gtin=_gtin(random.randrange(ITEMS))), Query(gtin="99999999"),
            old(gtin=_gtin(0)), old(gtin=item), Query(gtin=_gtin(0), status="cancelled"),
            Query(gtin=item, operator=operator),
        ]  # fmt: skip
        kinds["tender"] += [
            Query(tender="CASH"), Query(tender="VOUCHER"), Query(tender="GIFT"), old(tender="CREDIT"),
            old(tender="VOUCHER"), Query(tender="CASH", status="cancelled"),
        ]  # fmt: skip
        number = random.randrange(1, sales + 1)
        kinds["number"] += [Query(number=number), Query(number=sales + number), Query(number=number, tender="CASH")]
    return kinds


def _records(sales: int) -> Iterator[Record]:
    random = Random(1)
    chain = Chain("0" * 32)
    for number in range(1, sales + 1):
        for entry in _sale(random, number, _day(number * DAYS // (sales + 1))):
            draft = e.draft(entry)
            record = chain.seal(draft, STAMP, None)
            chain.take(record, draft.stream)
            yield record


def _sale(random: Random, number: int, day: str) -> Iterator[e.AnyEntry]:
    yield e.TransactionOpened(number=number, business_day=day, currency="EUR")
    for line in range(1, LINES + 1):
        yield e.ItemAdded(
            line=line, gtin=_gtin(_chosen(random)), name="Something that is sold here", unit="each", quantity_milli=1000,
            unit_price_minor=250, amount_minor=250, tax="A", entry_method="scanned",
        )  # fmt: skip
    chance = random.random()
    if chance < CANCELLED:
        yield e.TransactionCancelled(number=number, reason="operator")
        return
    kind = "VOUCHER" if chance > 1 - VOUCHERS else "CREDIT" if chance > 0.5 else "CASH"
    total_minor = 250 * LINES
    tax = e.TaxTotal(code="A", rate_bp=1900, included=True, gross_minor=total_minor, net_minor=420, tax_minor=80)
    yield e.TransactionCompleted(
        number=number, business_day=day, currency="EUR", lines=LINES, total_minor=total_minor, change_minor=0, taxes=(tax,),
        tenders=(e.TenderTotal(kind=kind, amount_minor=total_minor),), ended=f"{day}T12:00:00+01:00",
    )  # fmt: skip


def _chosen(random: Random) -> int:
    """An item of the shop: one is in every third basket, most are rare."""
    return 0 if random.random() < BEST_SELLER / LINES else int(ITEMS * random.random() ** 3)


def _gtin(item: int) -> str:
    return f"{4_000_000_000_000 + item:014}"


def _day(number: int) -> str:
    return (FIRST_DAY + timedelta(days=number)).isoformat()
