"""What the command `terminald recall` does. It works beside a running daemon, whose next scan knows of it.

``add GTIN``   {"id", "gtin", "lot", "reason", "since"}
``list``       {"recalls": [...]}
``lift ID``    {"id", "lifted"}
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from core.card import wipe
from core.ports import JournalError
from store.product_recalls import ProductRecalls, recall_of
from terminald import paths
from terminald.cli import CANNOT, FINDING, emit, fail, load_config


def add(given: argparse.Namespace) -> int:
    """Takes a lot, or all of an item, off sale."""

    def run(recalls: ProductRecalls) -> int:
        since = given.since or datetime.now(UTC).astimezone().date().isoformat()
        try:
            recall = recall_of(given.gtin, given.lot, given.id, given.reason, since)
            recalls.add(recall)
        except ValueError as fault:
            return fail(str(fault))
        if given.json:
            emit(recall)
        else:
            print(f"{recall.gtin} {f'lot {recall.lot}' if recall.lot else 'of every lot'} is not sold any more")
        return 0

    return _run(given, run)


def list_(given: argparse.Namespace) -> int:
    """The recalls that there are."""

    def run(recalls: ProductRecalls) -> int:
        found = recalls.list()
        if given.json:
            emit({"recalls": msgspec.to_builtins(found)})
        else:
            lines = (f"{one.id}  {one.gtin}  {one.lot or 'all'}  {one.since}  {one.reason}" for one in found)
            print("\n".join(lines) or "nothing is recalled")
        return 0

    return _run(given, run)


def lift(given: argparse.Namespace) -> int:
    """Sells again what a recall took off sale. Status 1 where there is no such recall."""

    def run(recalls: ProductRecalls) -> int:
        count = recalls.lift(given.id)
        if given.json:
            emit({"id": wipe(given.id), "lifted": count})
        else:
            print(f"{count} lifted" if count else f"there is no recall {wipe(given.id)!r}")
        return 0 if count else FINDING

    return _run(given, run)


def _run(given: argparse.Namespace, command: Callable[[ProductRecalls], int]) -> int:
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        return command(ProductRecalls(config.catalogue, paths.load_or_make_keys(config).catalogue))
    except JournalError as error:
        if given.json:
            emit({"error": error.code, "message": str(error)})
        return fail(f"{error} ({error.code}). {error.remedy}")
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}")
