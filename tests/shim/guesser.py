"""Guesses PINs over the shim, and says ``look`` at the very moment before a PIN is looked at: ``… FOLDER GUESSES [FAULT]``.

`Fault` makes a store that is wrong in one way: what looks for such faults must find these.
"""

import enum
import sys
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from store.credentials import Answer, Credentials, Moment
from store.operators import Operators

KEY = bytes(range(48))
PEPPER = bytes(range(32))
PIN = "4821"
WRONG = "4822"
OPERATOR = "17"
NAME = "credentials.db"


class Fault(enum.StrEnum):
    """One way to be wrong."""

    COUNTS_AFTER = "counts after the check"
    NOT_FLUSHED = "does not flush the count"


class Telling(PasswordHasher):
    """Looks at PINs as the product does, only cheaper, and says so first."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002
        """Says ``look``, then looks."""
        print("look", flush=True)
        return super().verify(hash, password)


class _Late(Credentials):
    """Looks first, and counts what it has seen then."""

    def check(self, subject: str, pin: str, now: Moment) -> Answer:
        print("look", flush=True)
        return super().check(subject, pin, now)


def main() -> int:
    """Guesses, each time wrong."""
    folder, guesses, fault = Path(sys.argv[1]), int(sys.argv[2]), "".join(sys.argv[3:])
    late = fault == Fault.COUNTS_AFTER
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1) if late else Telling()
    with (_Late if late else Credentials)(folder / NAME, KEY, PEPPER, hasher=hasher) as credentials:
        if fault == Fault.NOT_FLUSHED:
            credentials.run("PRAGMA synchronous = OFF")
        for number in range(guesses):
            Operators(credentials).check(OPERATOR, WRONG, Moment(boot="b1", up_ms=1_000 + number))
    return 0


if __name__ == "__main__":
    sys.exit(main())
