"""PINs: Argon2id over HMAC(pepper, PIN), and a lock that a restart does not open.

A PIN is a subject's: a role's of the technician's console (`Role`), or an operator's (`store.operators`).

There is no PIN by default. A try is counted, durably, before the PIN is looked at, so that cutting the power during the
check wins nothing. Five tries, then 30 minutes (stricter than PCI DSS 8.3.4: ten tries, 30 minutes), by the clock that
runs from the kernel's start: no setting of the wall clock shortens or lengthens them, and a start anew goes on with what
was left when a PIN was last asked for. The pepper is not in the database: from that alone a PIN cannot be found, however
short it is.
"""

import contextlib
import enum
import hmac
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlcipher3 import dbapi2 as sqlcipher

from store.database import explain, open_database
from store.errors import JournalDamaged

TRIES_MAX = 5
LOCK_MS = 30 * 60 * 1000
KEPT_EVERY_MS = 60_000
"""What is left of a lock is written down at most so often, when somebody asks."""
PIN_DIGITS_MIN = 6
PIN_DIGITS_MAX = 12


class Role(enum.StrEnum):
    """Who a PIN makes somebody."""

    OWNER = "owner"
    TECHNICIAN = "technician"


class PinRefused(ValueError):
    """A PIN that is not good enough to be set; the message says why."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is asked: the kernel's boot, and the milliseconds since, sleep included (CLOCK_BOOTTIME)."""

    boot: str
    up_ms: int


@dataclass(frozen=True, slots=True)
class Granted:
    """It was the right PIN."""


@dataclass(frozen=True, slots=True)
class Denied:
    """It was a wrong one."""

    tries_left: int


@dataclass(frozen=True, slots=True)
class Locked:
    """Too many wrong ones: none is looked at for `left_ms` more."""

    left_ms: int


@dataclass(frozen=True, slots=True)
class NotSet:
    """There is no PIN yet."""


Answer = Granted | Denied | Locked | NotSet


class Credentials:
    """The store of PINs. `set_pin` and `check` take some tens of milliseconds: call them off the loop."""

    def __init__(self, path: Path, key: bytes, pepper: bytes, *, hasher: PasswordHasher | None = None) -> None:
        """Opens it, or makes it. `key` and `pepper` are `Keys.credentials` and `Keys.pin_pepper`. Raises JournalError.

        `hasher` is another than the product's where what is shown is not the cost.
        """
        self._path = path
        self._key = key
        self._pepper = pepper
        # 19 MiB, t=2, p=1: OWASP Password Storage Cheat Sheet.
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._one = threading.Lock()
        self._connection: Any = open_database(path, key, "credentials")

    def is_set(self, subject: str) -> bool:
        """Whether there is a PIN."""
        return bool(self.run("SELECT 1 FROM pin WHERE subject = ?", subject))

    def set_pin(self, subject: str, pin: str, digits_min: int = PIN_DIGITS_MIN) -> None:
        """Gives a new PIN, durably, and lifts the lock. Raises PinRefused."""
        refuse_weak(pin, digits_min)
        with self.changing():
            self.put_pin(subject, pin)

    def put_pin(self, subject: str, pin: str) -> None:
        """The same within `changing`, for a PIN that was looked at."""
        self._run(
            "INSERT INTO pin (subject, hash) VALUES (?, ?) ON CONFLICT (subject)"
            " DO UPDATE SET hash = excluded.hash, failures = 0, locked_ms = 0",
            subject,
            self._hasher.hash(self.keyed(subject, pin)),
        )

    def lift(self, subject: str) -> None:
        """Forgets failures, and opens the lock."""
        self.run("UPDATE pin SET failures = 0, locked_ms = 0 WHERE subject = ?", subject)

    def locked_ms(self, subject: str, now: Moment) -> int:
        """For how long more no PIN is looked at; 0 where it is not locked. Counts no try."""
        with self._one:
            rows = self._run("SELECT locked_ms, seen_boot, seen_up_ms FROM pin WHERE subject = ?", subject)
            if not rows:
                return 0
            locked_ms, boot, up_ms = rows[0]
            return self._left_ms(subject, locked_ms, boot, up_ms, now)

    def check(self, subject: str, pin: str, now: Moment) -> Answer:
        """Looks whether a PIN is the right one. The count is on the medium before the PIN is tried."""
        with self._one:
            rows = self._run(
                "SELECT hash, failures, locked_ms, seen_boot, seen_up_ms FROM pin WHERE subject = ?", subject
            )
            if not rows:
                return NotSet()
            hash_, failures, locked_ms, boot, up_ms = rows[0]
            if waits_ms := self._left_ms(subject, locked_ms, boot, up_ms, now):
                return Locked(waits_ms)
            failures = (0 if locked_ms else failures) + 1
            left_ms = LOCK_MS if failures >= TRIES_MAX else 0
            self._run(
                "UPDATE pin SET failures = ?, locked_ms = ?, seen_boot = ?, seen_up_ms = ? WHERE subject = ?",
                *(failures, left_ms, now.boot, now.up_ms, subject),
            )
            try:
                self._hasher.verify(hash_, self.keyed(subject, pin))
            except VerifyMismatchError:
                return Locked(left_ms) if left_ms else Denied(TRIES_MAX - failures)
            except InvalidHashError as error:
                raise JournalDamaged(f"{self._path.name} holds no hash for a PIN ({subject})") from error
            self._run("UPDATE pin SET failures = 0, locked_ms = 0 WHERE subject = ?", subject)
            return Granted()

    def close(self) -> None:
        """May be called twice; waits for what another thread does: to close a connection in use ends the process."""
        with self._one:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def keyed(self, purpose: str, secret: str) -> bytes:
        """A hash of something short that cannot be guessed without the pepper."""
        return hmac.digest(self._pepper, f"{purpose}\0{secret}".encode(), "sha256")

    @contextlib.contextmanager
    def changing(self) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
        """Several statements that are done together or not at all; gives what runs one. Raises JournalError."""
        with self._one:
            self._run("BEGIN IMMEDIATE")
            try:
                yield self._run
            except BaseException:
                self._connection.rollback()
                raise
            self._run("COMMIT")

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement, durable when this returns. Raises JournalError."""
        with self._one:
            return self._run(sql, *values)

    def _left_ms(self, subject: str, locked_ms: int, boot: str, up_ms: int, now: Moment) -> int:
        passed_ms = max(0, now.up_ms - up_ms) if boot == now.boot else 0
        if locked_ms <= passed_ms:
            return 0
        if boot != now.boot or passed_ms >= KEPT_EVERY_MS:
            self._run(
                "UPDATE pin SET locked_ms = ?, seen_boot = ?, seen_up_ms = ? WHERE subject = ?",
                *(locked_ms - passed_ms, now.boot, now.up_ms, subject),
            )
        return int(locked_ms - passed_ms)

    def _run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            rows: list[tuple[Any, ...]] = self._connection.execute(sql, values).fetchall()
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error
        return rows


def refuse_weak(pin: str, digits_min: int = PIN_DIGITS_MIN) -> None:
    """Raises PinRefused for a PIN that is too short or that everybody tries first."""
    if not (pin.isascii() and pin.isdigit()):
        raise PinRefused("a PIN has digits only")
    if not digits_min <= len(pin) <= PIN_DIGITS_MAX:
        raise PinRefused(f"a PIN has {digits_min} to {PIN_DIGITS_MAX} digits")
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise PinRefused("a PIN of one digit, or of digits in a row, is guessed first")
    if any(len(pin) % size == 0 and pin == pin[:size] * (len(pin) // size) for size in (2, 3)):
        raise PinRefused("a PIN that repeats itself is guessed first")
