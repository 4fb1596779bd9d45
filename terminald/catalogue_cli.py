"""What the command `terminald catalogue` does. All of it works beside a running daemon, which sells on meanwhile.

``import FILE``   {"number", "hash", "items", "codes", "prices", "counted"}, or {"error", "count", "faults"}
``apply FILE``    {"number", "hash", "changes", "already"}, or {"error", "count", "faults"}
``status``        {"number", "hash", "kind", "applied_ms", "items", "codes", "prices", "counted", "taxes", "unknown_taxes"}
``search TEXT``   {"found": [{"gtin", "name"}]}
``show GTIN``     {"item", "standing_minor", "codes", "prices", "on_hand_milli", "stock_as_of_ms"}
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from core.card import wipe
from core.money import Currency
from core.ports import JournalError
from store.catalogue import Card, Catalogue, Summary
from store.catalogue_import import import_csv
from store.catalogue_rows import read_gtin
from store.catalogue_update import apply_update
from store.errors import CatalogueRefused, JournalMissing
from terminald import paths
from terminald.cli import FINDING, emit, fail, load_config
from terminald.config import Config


def import_(given: argparse.Namespace) -> int:
    """Takes a CSV of goods in: all of it or nothing."""

    def run(config: Config) -> int:
        if given.number is not None and given.number < 1:
            return fail("a version's number is 1 or more")
        keys = paths.load_or_make_keys(config)
        done = import_csv(
            config.catalogue, keys.catalogue, given.file, config.shop.currency, _taxes(config), number=given.number
        )
        if given.json:
            emit(done)
        else:
            print(f"version {done.number}: {done.items} items, {done.codes} more codes, {done.prices} more prices")
        return 0

    return _run(given, run)


def apply(given: argparse.Namespace) -> int:
    """Applies an update on top of the version that it was made for."""

    def run(config: Config) -> int:
        keys = paths.load_or_make_keys(config)
        try:
            done = apply_update(config.catalogue, keys.catalogue, given.file, config.shop.currency, _taxes(config))
        except FileNotFoundError:
            return fail(f"there is no {given.file}")
        except IsADirectoryError:
            return fail(f"{given.file} is a folder")
        if given.json:
            emit(done)
        elif done.already:
            print(f"version {done.number} is there already: nothing was done")
        else:
            print(f"version {done.number}: {done.changes} changes")
        return 0

    return _run(given, run)


def status(given: argparse.Namespace) -> int:
    """Which version there is, and how much of it. Status 1 where items have a tax code that the shop does not."""

    def run(config: Config) -> int:
        with _open(config) as catalogue:
            summary = catalogue.summary()
        unknown = sorted(set(summary.taxes) - _taxes(config))
        if given.json:
            emit(msgspec.to_builtins(summary) | {"unknown_taxes": unknown})
        else:
            print("\n".join(_summary(summary)))
            for code in unknown:
                print(f"{summary.taxes[code]} items have tax {code!r}, which terminal.toml does not name")
        return FINDING if unknown else 0

    return _run(given, run)


def search(given: argparse.Namespace) -> int:
    """Items by the words of their names."""

    def run(config: Config) -> int:
        with _open(config) as catalogue:
            found = catalogue.search(given.text, given.limit)
        if given.json:
            emit({"found": [{"gtin": gtin, "name": name} for gtin, name in found]})
        else:
            print("\n".join(f"{gtin}  {name}" for gtin, name in found) or "nothing is named so")
        return 0 if found else FINDING

    return _run(given, run)


def show(given: argparse.Namespace) -> int:
    """All that is known of a code, at its price now or at another local time."""

    def run(config: Config) -> int:
        at = given.at or datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        try:
            datetime.fromisoformat(at)
            gtin = f"{read_gtin(given.gtin):014d}"
        except ValueError as fault:
            return fail(str(fault))
        with _open(config) as catalogue:
            card = catalogue.card(gtin, at)
        if card is None:
            return fail(f"{wipe(given.gtin)} is not in the catalogue", FINDING)
        if given.json:
            emit(card)
        else:
            print("\n".join(_card(card, config.shop.currency)))
        return 0

    return _run(given, run)


def _run(given: argparse.Namespace, command: Callable[[Config], int]) -> int:
    """Runs a subcommand; says what is wrong in words, and with ``--json`` in that form too."""
    config = load_config(given.config)
    if config is None:
        return 2
    try:
        return command(config)
    except CatalogueRefused as error:
        if given.json:
            emit({"error": error.code, "count": error.count, "faults": error.faults})
        return fail(f"{error}\n{error.remedy}", FINDING)
    except JournalError as error:
        if given.json:
            emit({"error": error.code, "message": str(error)})
        return fail(f"{error} ({error.code}). {error.remedy}")
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}")


def _open(config: Config) -> Catalogue:
    """The catalogue that there is: looking at one makes none."""
    if not config.catalogue.exists():
        raise JournalMissing(f"there is no {config.catalogue.name}: nothing was imported yet")
    return Catalogue(config.catalogue, paths.load_keys(config).catalogue, price_list=config.price_list)


def _taxes(config: Config) -> set[str]:
    return {rate.code for rate in config.shop.taxes}


def _summary(summary: Summary) -> list[str]:
    return [
        f"version {summary.number} ({summary.kind}, {summary.hash[:12]}) of {_time(summary.applied_ms)}"
        if summary.number
        else "no version: it was filled by an older software, or never",
        f"{summary.items} items, {summary.codes} more codes, {summary.prices} more prices, {summary.counted} counted",
        *(f"tax {code}: {count} items" for code, count in sorted(summary.taxes.items())),
    ]


def _card(card: Card, currency: Currency) -> list[str]:
    item = card.item
    lines = [
        f"{item.gtin}  {item.name}",
        f"{currency.format(item.unit_price_minor)} a {_unit(item.unit)}, tax {item.tax}",
    ]
    if item.item:
        lines.append(f"stands for {item.count * item.contains} of {item.item}")
    lines += [f"also {code}" for code in card.codes if code != item.gtin]
    lines += [
        f"{currency.format(price.price_minor)} from {price.valid_from or 'ever'} to {price.valid_to or 'ever'}"
        + (f" in list {price.list}" if price.list else "")
        for price in card.prices
    ]
    if card.on_hand_milli is not None and card.stock_as_of_ms is not None:
        quantity = f"{card.on_hand_milli / 1000:.3f}".rstrip("0").rstrip(".")
        lines.append(f"{quantity} on the shelf, counted {_time(card.stock_as_of_ms)}")
    return lines


def _unit(unit: str) -> str:
    return "piece" if unit == "each" else unit


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone().isoformat(" ", "minutes")
