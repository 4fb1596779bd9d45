"""PINs of the roles: Argon2id over HMAC(pepper, PIN), and a lock that a restart does not open.

There is no PIN by default. A try is counted, durably, before the PIN is looked at, so that cutting the power during the
check wins nothing. Five tries, then 30 minutes (stricter than PCI DSS 8.3.4: ten tries, 30 minutes), by the clock that
runs from the kernel's start: no setting of the wall clock shortens or lengthens them, and a start anew goes on with what
was left when a PIN was last asked for. The pepper is not in the database: from that alone a PIN cannot be found, however
short it is.
"""

import enum
import hmac
import threading
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
    """The role has no PIN yet."""


Answer = Granted | Denied | Locked | NotSet


class Credentials:
    """The store of PINs. `set_pin` and `check` take some tens of milliseconds: call them off the loop."""

    def __init__(self, path: Path, key: bytes, pepper: bytes) -> None:
        """Opens it, or makes it. `key` and `pepper` are `Keys.credentials` and `Keys.pin_pepper`. Raises JournalError."""
        self._path = path
        self._key = key
        self._pepper = pepper
        # 19 MiB, t=2, p=1: OWASP Password Storage Cheat Sheet.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._one = threading.Lock()
        self._connection: Any = open_database(path, key, "credentials")

    def is_set(self, role: Role) -> bool:
        """Whether a role has a PIN."""
        with self._one:
            return bool(self._run("SELECT 1 FROM pin WHERE role = ?", role))

    def set_pin(self, role: Role, pin: str) -> None:
        """Gives a role a new PIN, durably, and lifts its lock. Raises PinRefused."""
        refuse_weak(pin)
        with self._one:
            self._run(
                "INSERT INTO pin (role, hash) VALUES (?, ?) ON CONFLICT (role)"
                " DO UPDATE SET hash = excluded.hash, failures = 0, locked_ms = 0",
                role,
                self._hasher.hash(self._peppered(role, pin)),
            )

    def check(self, role: Role, pin: str, now: Moment) -> Answer:
        """Looks whether a PIN is a role's. The count is on the medium before the PIN is tried."""
        with self._one:
            rows = self._run("SELECT hash, failures, locked_ms, seen_boot, seen_up_ms FROM pin WHERE role = ?", role)
            if not rows:
                return NotSet()
            hash_, failures, locked_ms, boot, up_ms = rows[0]
            passed_ms = max(0, now.up_ms - up_ms) if boot == now.boot else 0
            if locked_ms > passed_ms:
                if boot != now.boot or passed_ms >= KEPT_EVERY_MS:
                    self._lock(role, locked_ms - passed_ms, now)
                return Locked(locked_ms - passed_ms)
            failures = (0 if locked_ms else failures) + 1
            left_ms = LOCK_MS if failures >= TRIES_MAX else 0
            self._run(
                "UPDATE pin SET failures = ?, locked_ms = ?, seen_boot = ?, seen_up_ms = ? WHERE role = ?",
                *(failures, left_ms, now.boot, now.up_ms, role),
            )
            try:
                self._hasher.verify(hash_, self._peppered(role, pin))
            except VerifyMismatchError:
                return Locked(left_ms) if left_ms else Denied(TRIES_MAX - failures)
            except InvalidHashError as error:
                raise JournalDamaged(f"{self._path.name} holds no hash for the {role}'s PIN") from error
            self._run("UPDATE pin SET failures = 0, locked_ms = 0 WHERE role = ?", role)
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

    def _lock(self, role: Role, left_ms: int, now: Moment) -> None:
        self._run(
            "UPDATE pin SET locked_ms = ?, seen_boot = ?, seen_up_ms = ? WHERE role = ?",
            *(left_ms, now.boot, now.up_ms, role),
        )

    def _peppered(self, role: Role, pin: str) -> bytes:
        return hmac.digest(self._pepper, f"{role}\0{pin}".encode(), "sha256")

    def _run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            rows: list[tuple[Any, ...]] = self._connection.execute(sql, values).fetchall()
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error
        return rows


def refuse_weak(pin: str) -> None:
    """Raises PinRefused for a PIN that is too short or that everybody tries first."""
    if not (pin.isascii() and pin.isdigit()):
        raise PinRefused("a PIN has digits only")
    if not PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX:
        raise PinRefused(f"a PIN has {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits")
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise PinRefused("a PIN of one digit, or of digits in a row, is guessed first")
    if any(len(pin) % size == 0 and pin == pin[:size] * (len(pin) // size) for size in (2, 3)):
        raise PinRefused("a PIN that repeats itself is guessed first")
