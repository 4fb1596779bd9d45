"""Whoever gives an order at headquarters signs in for it: database, key, operator and time of one command."""

import argparse
import contextlib
import getpass
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fleet.audit import note
from fleet.dispatch import SamePerson
from fleet.keys import AckKey, beside, load_or_make
from fleet.operators import Operator, RoleNeeded, sign_in
from fleet.store import Store, open_made


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a command works with. `now_ms` is when it was given."""

    store: Store
    key: AckKey
    operator: Operator
    now_ms: int


@contextlib.contextmanager
def signed_in(given: argparse.Namespace) -> Iterator[Session]:
    """Asks for the password of `--as`. Raises Refused, DatabaseError, KeyFileError."""
    with opened(given) as (store, key):
        now_ms = time.time_ns() // 1_000_000
        operator = sign_in(store, key, given.operator, secret(f"password of {given.operator}: "), now_ms)
        try:
            yield Session(store=store, key=key, operator=operator, now_ms=now_ms)
        except (RoleNeeded, SamePerson) as error:
            with store.transaction() as statements:
                outcome = f"refused: {error.code}"
                note(statements, key, now_ms=now_ms, who=operator.name, action=action_of(given), outcome=outcome)
            raise


@contextlib.contextmanager
def opened(given: argparse.Namespace) -> Iterator[tuple[Store, AckKey]]:
    """The database that a collector has made, and the key. Raises DatabaseError, KeyFileError."""
    key = load_or_make(given.key or beside(given.database))
    with contextlib.closing(open_made(given.database, now_ms=time.time_ns() // 1_000_000)) as store:
        yield store, key


def action_of(given: argparse.Namespace) -> str:
    """The command, as the log names it."""
    words = (given.command, getattr(given, "action", None))
    return "-".join(word for word in words if word)


def secret(prompt: str, *, twice: bool = False) -> str:
    """Asks for a password: on a terminal without showing it, else a line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    while True:
        said = getpass.getpass(prompt)
        if not twice or getpass.getpass("the same again: ") == said:
            return said
        print("these are two different ones", file=sys.stderr)
