"""``terminald journal verify``: the whole journal, every page, and what is known of its end from elsewhere.

With ``--json`` one object: {"whole", "records", "finding", "kind", "first", "last"}; `kind` is one of `store.findings.Kind`,
`first` and `last` the records that are bad or missing, null where none are or nobody knows.
"""

import argparse
import sys
from pathlib import Path

from core.ports import JournalError
from store.errors import JournalDamaged, MirrorMissing, NotAJournal, WrongKey
from store.findings import Kind, Verification
from store.keys import Keys
from store.mirror import left_by, read_left
from store.mirror_format import unwrap
from store.pages import is_cut_off
from store.verify import verify_journal
from store.witness import Witness
from terminald import paths
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.config import Config


def verify(given: argparse.Namespace) -> int:
    """Status 0 whole, 1 a finding, 2 where it cannot be opened."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    key = None
    try:
        keys = paths.load_keys(config)
        key = keys.journal
        stick, silent = _on_stick(config, keys)  # before the journal, which grows meanwhile
        found = verify_journal(config.journal, key, terminal=config.terminal, witnesses=stick)
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
        agrees = "; the second medium agrees" if stick else ""
        print(f"whole: {found.records} records, the chain is unbroken{agrees}{beside}")
    if silent:
        print(f"the second medium tells nothing: {silent}", file=sys.stderr)
    return 0 if found.whole else FINDING


def _on_stick(config: Config, keys: Keys) -> tuple[list[Witness], str]:
    """The heads that the second medium proves this journal to have had; and why it proves none, where it should."""
    if config.mirror is None:
        return [], ""
    witnesses: list[Witness] = []
    try:
        for left in left_by(config.mirror.path, config.terminal):
            secret = unwrap(left.header, keys.mirror)
            if secret is None:
                return witnesses, "it was written under another key of this terminal"
            head = read_left(left, secret, lambda _: None, salvage=True).head
            witnesses.append(Witness(source="the second medium", head=head))
    except MirrorMissing:
        pass  # it is not plugged in, or empty
    except JournalError as error:
        return witnesses, f"{error} ({error.code})"
    except OSError as error:
        return witnesses, error.strerror or type(error).__name__
    return witnesses, ""


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
