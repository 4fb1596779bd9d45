"""What a look at a journal can come to: whole, or the first range of records that is not, and what happened to it."""

from typing import Literal

import msgspec

from core.ledger import Head

Kind = Literal["truncation", "rollback", "edit", "reorder", "gap", "fork", "foreign", "unreadable"]


class Finding(msgspec.Struct, frozen=True):
    """What is wrong. `first` and `last` are the records that are bad or missing, where any are; `last` is None where nobody
    knows how far it goes."""

    text: str
    kind: Kind
    first: int | None = None
    last: int | None = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a journal is whole; else `finding` says what is wrong, and `kind`, `first`, `last` are as in `Finding`.

    `head` is where it ends. `anchored` says whether an anchor was there to compare with: without one, a file that was put
    back to an earlier state cannot be told from an honest one.
    """

    whole: bool
    records: int
    finding: str | None = None
    kind: Kind | None = None
    first: int | None = None
    last: int | None = None
    head: Head | None = None
    anchored: bool = False


def missing(first: int, last: int, where: str = "") -> str:
    """``record 5 is missing``, ``records 5 to 8 are missing at the end``."""
    text = f"record {first} is missing" if first == last else f"records {first} to {last} are missing"
    return f"{text}{where}"
