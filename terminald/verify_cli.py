"""``terminald journal verify``: the whole journal, every page, and what is known of its end from elsewhere.

With ``--json`` one object: {"whole", "records", "finding", "kind", "first", "last"}; `kind` is one of `store.findings.Kind`,
`first` and `last` the records that are bad or missing, null where none are or nobody knows.
"""

import argparse
from pathlib import Path

from core.ports import JournalError
from store.errors import JournalDamaged, NotAJournal, WrongKey
from store.findings import Kind, Verification
from store.pages import is_cut_off
from store.verify import verify_journal
from terminald import paths
from terminald.cli import CANNOT, FINDING, emit, fail, load_config


def verify(given: argparse.Namespace) -> int:
    """Status 0 whole, 1 a finding, 2 where it cannot be opened."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    key = None
    try:
        key = paths.load_keys(config).journal
        found = verify_journal(config.journal, key, terminal=config.terminal)
    except JournalError as error:
        if given.json:
            kind = _kind(error, config.journal, key)
            said = Verification(whole=False, records=0, finding=f"{error.code}: {error}", kind=kind)
            _emit(said, first=1 if isinstance(error, JournalDamaged) else None)
        return fail(f"{error} ({error.code}). {error.remedy}")
    if given.json:
        _emit(found, first=found.first)
    elif not found.whole:
        print(f"NOT WHOLE after {found.records} records: {found.kind}: {found.finding}")
    else:
        beside = "" if found.anchored else "; there is no anchor beside it, so an older copy would look the same"
        print(f"whole: {found.records} records, the chain is unbroken{beside}")
    return 0 if found.whole else FINDING


def _emit(found: Verification, *, first: int | None) -> None:
    emit(
        {
            "whole": found.whole,
            "records": found.records,
            "finding": found.finding,
            "kind": found.kind,
            "first": first,
            "last": found.last,
        }
    )


def _kind(error: JournalError, journal: Path, key: bytes | None) -> Kind | None:
    """What happened to a file that does not even open."""
    if isinstance(error, WrongKey | NotAJournal):
        return "foreign"
    if not isinstance(error, JournalDamaged) or key is None:
        return None
    return "truncation" if is_cut_off(journal, key) else "unreadable"
