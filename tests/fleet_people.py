"""Operators of headquarters, for tests of what is done in their name."""

import contextlib
import io
from pathlib import Path

import pytest

from fleet.keys import beside, load_or_make
from fleet.operators import Role, add, listed, make_first, sign_in
from fleet.store import open_store

PASSWORD = "correct horse battery"


def signing_as(name: str, role: str, database: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of a command that `name` gives next; the database and the operator are made where there are none."""
    key = load_or_make(beside(database))
    with contextlib.closing(open_store(database, now_ms=1)) as store:
        if not listed(database):
            make_first(store, key, "ada", PASSWORD, 1)
        if name not in {each.name for each in listed(database)}:
            add(store, key, sign_in(store, key, "ada", PASSWORD, 1), name, [Role(role)], PASSWORD, 1)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    return ["--as", name, "--database", str(database)]
