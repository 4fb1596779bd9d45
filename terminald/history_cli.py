"""``terminald journal find`` and ``journal export``: finished transactions on the command line.

``find``    {"transactions": [...]}, the newest first
``export``  one transaction a line (JSON lines), or one line item a row (CSV), the oldest first; or every record as it was
            sealed, with its hash: all that a stranger needs to check chains, streams and grand totals
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from core.history import Transaction
from core.ledger import open_record
from core.money import currency
from core.ports import JournalError
from store.history import History, Query
from store.history_source import catch_up
from store.verify import iter_records, record_line
from terminald import paths
from terminald.cli import CANNOT, emit, fail, load_config
from terminald.config import Config
from terminald.history import open_history

CSV_COLUMNS = (
    "number", "status", "business_day", "ended", "currency", "total", "change",
    "line", "gtin", "name", "quantity", "unit", "unit_price", "amount", "tax", "lot", "tenders", "epoch", "seq",
)  # fmt: skip


def find(given: argparse.Namespace) -> int:
    """``terminald journal find``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        query = _query(given)
    except ValueError as error:
        return fail(f"this cannot be asked: {error}")
    try:
        with _caught_up(config) as history:
            found = history.find(query)
    except JournalError as error:
        return fail(f"{error} ({error.code}). {error.remedy}")
    if given.json:
        emit({"transactions": found})
    else:
        for sold in found:
            print(_line(sold))
    return 0


def export(given: argparse.Namespace) -> int:
    """``terminald journal export``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        query = _query(given)
        records = _is_records(given, query)
    except ValueError as error:
        return fail(f"this cannot be asked: {error}")
    try:
        if records:
            return _export_records(config, given)
        with _caught_up(config) as history:
            sold = history.walk(query)
            if given.output is None:
                _write(sold, given.format, sys.stdout)
            else:
                _write_file(sold, given.format, given.output)
    except JournalError as error:
        return fail(f"{error} ({error.code}). {error.remedy}")
    except OSError as error:
        return fail(f"{given.output or 'standard output'} cannot be written: {error.strerror}")
    return 0


def _is_records(given: argparse.Namespace, query: Query) -> bool:
    """Whether records are wanted. Raises ValueError where that does not go with what else is asked."""
    records: bool = given.format == "records"
    if not records and given.stream is not None:
        raise ValueError("--stream is for --format records")
    if records and query != Query():
        raise ValueError("records are exported whole, or by --stream: a chain has no gaps")
    return records


def _export_records(config: Config, given: argparse.Namespace) -> int:
    """Every record, or those of one stream, a line each (`store.verify.record_line`)."""

    def write(file: TextIO) -> None:
        for record in iter_records(config.journal, paths.load_keys(config).journal):
            if given.stream is None or open_record(record.exact).stream == given.stream:
                file.write(record_line(record).decode() + "\n")

    if given.output is None:
        write(sys.stdout)
    else:
        _put(write, given.output)
    return 0


def _caught_up(config: Config) -> History:
    keys = paths.load_keys(config)
    history = open_history(config, keys)
    try:
        catch_up(history, config.journal, keys.journal)
    except BaseException:
        history.close()
        raise
    return history


def _query(given: argparse.Namespace) -> Query:
    """The query that the options ask for. Raises ValueError that names what is wrong with one."""
    asked = {
        "number": given.number,
        "from_day": given.day or given.from_day,
        "to_day": given.day or given.to_day,
        "gtin": given.item,
        "tender": given.tender,
        "operator": given.operator,
        "status": given.status,
        "limit": getattr(given, "limit", 100),
    }
    return msgspec.convert(asked, Query)


def _write_file(sold: Iterator[Transaction], form: str, output: Path) -> None:
    _put(lambda file: _write(sold, form, file), output)


def _put(write: Callable[[TextIO], None], output: Path) -> None:
    """Writes beside and renames, so that a file under the right name is a whole one."""
    new = output.with_name(output.name + ".new")
    with new.open("w", encoding="utf-8", newline="") as file:
        write(file)
    new.replace(output)


def _write(sold: Iterator[Transaction], form: str, file: TextIO) -> None:
    if form == "jsonl":
        file.writelines(msgspec.json.encode(each).decode() + "\n" for each in sold)
        return
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for each in sold:
        writer.writerows(_rows(each))


def _rows(sold: Transaction) -> Iterator[tuple[object, ...]]:
    """One row a line item; a transaction without any has one row all the same."""
    money = _plain(sold.currency)
    tenders = ";".join(f"{tender.kind}={money(tender.amount_minor)}" for tender in sold.tenders)
    head = (
        sold.number, sold.status, sold.business_day, sold.ended, sold.currency,
        money(sold.total_minor), money(sold.change_minor),
    )  # fmt: skip
    tail = (tenders, sold.epoch, sold.seq)
    for line in sold.lines:
        quantity = f"{line.quantity_milli / 1000:.3f}"
        prices = (money(line.unit_price_minor), money(line.amount_minor))
        name = _no_formula(line.name)
        yield (*head, line.line, line.gtin, name, quantity, line.unit, *prices, line.tax, line.lot or "", *tail)
    if not sold.lines:
        yield (*head, *([""] * 9), *tail)


def _plain(code: str) -> Callable[[int], str]:
    """Amounts as numbers with a decimal point and nothing else, for spreadsheets."""
    words = currency(code)
    return lambda amount_minor: words.format(amount_minor).replace(",", "")


def _no_formula(text: str) -> str:
    """A text that a spreadsheet would run as a formula is led by an apostrophe (OWASP, CSV injection)."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _line(sold: Transaction) -> str:
    money = currency(sold.currency or "EUR").format
    tenders = ", ".join(f"{tender.kind} {money(tender.amount_minor)}" for tender in sold.tenders)
    when = sold.ended[:19].replace("T", " ") or sold.business_day
    return f"{sold.number:>8}  {when:<19}  {sold.status:<9}  {money(sold.total_minor):>12} {sold.currency}  {tenders}".rstrip()
