"""What people did at headquarters: who, when, what, to which terminals, approved by whom, and what came of it.

Entries form a chain (``hash = SHA-256(hash before + exact bytes)``) and each hash is signed with headquarters' key, so
whoever can write the database and has not the key can neither change nor insert one. What he can do is to cut the newest
off: the head (number and hash) that was noted down elsewhere shows that.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from core.card import wipe_all
from core.ledger import GENESIS, link, verify
from core.ports import Signer
from fleet.store import Address, Statements, reading

TEXT_MAX = 500
"""Characters of a reason that people give."""
_TAG = b"terminald/audit/1\0"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was done. `who` is empty where headquarters did it by itself; `about` says more, by the action."""

    seq: int
    time_ms: int
    who: str
    action: str
    outcome: str
    terminals: tuple[str, ...] = ()
    approved_by: str = ""
    about: dict[str, Any] = {}


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """What a look through the log found. `broken` is the first entry that is not as it was written, and `why`."""

    entries: int
    head: str
    broken: int | None = None
    why: str = ""


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Entry)


def note(
    statements: Statements,
    signer: Signer,
    *,
    now_ms: int,
    who: str,
    action: str,
    outcome: str,
    terminals: Iterable[str] = (),
    approved_by: str = "",
    about: dict[str, Any] | None = None,
) -> None:
    """Writes an entry, in the transaction that does what it tells. Last in it: others wait for the log's end."""
    seq, prev = statements.execute("UPDATE audit_head SET seq = seq + 1 RETURNING seq, hash").fetchone()
    entry = Entry(
        seq=seq, time_ms=now_ms, who=who, action=action, outcome=outcome, terminals=tuple(terminals),
        approved_by=approved_by, about=wipe_all(about or {}),
    )  # fmt: skip
    exact = _encoder.encode(entry)
    hash_ = link(prev, exact)
    statements.execute(
        "INSERT INTO audit (seq, exact, hash, signature) VALUES (?, ?, ?, ?)",
        (seq, exact, hash_, signer.sign(_TAG + hash_)),
    )
    statements.execute("UPDATE audit_head SET hash = ?", (hash_,))


def listed(address: Address, *, newest: int | None = None) -> list[Entry]:
    """The log, the oldest first; `newest`: only so many of the last ones. Raises DatabaseError."""
    with reading(address) as statements:
        sql = "SELECT exact FROM audit ORDER BY seq DESC"
        rows = statements.execute(*((f"{sql} LIMIT ?", (newest,)) if newest is not None else (sql,))).fetchall()
    return [_decoder.decode(exact) for (exact,) in reversed(rows)]


def look_through(address: Address, public_key: bytes, noted: str | None = None) -> Audited:
    """Whether the log is as it was written. `noted`: a head (``NUMBER:HASH``) that it once had. Raises DatabaseError."""
    with reading(address) as statements:
        end, head = statements.execute("SELECT seq, hash FROM audit_head").fetchone()
        rows = statements.execute("SELECT seq, exact, hash, signature FROM audit ORDER BY seq")
        count, last, broken, why = _followed(rows, public_key, noted)
    if broken is None and (count, last) != (end, head):
        broken, why = count + 1, "the newest entries are missing"
    if broken is None and noted is not None and int(noted.partition(":")[0]) > count:
        broken, why = count + 1, f"the log was longer when {noted} was noted"
    return Audited(entries=count, head=f"{count}:{last.hex()}", broken=broken, why=why)


def check_head(text: str) -> str:
    """A head as `audit --verify` prints it. Raises ValueError."""
    number, _, digits = text.partition(":")
    if not number.isdecimal() or len(digits) != 64:
        raise ValueError("a head is NUMBER:HASH, as `terminald-fleet audit --verify` prints it")
    bytes.fromhex(digits)
    return text


def _followed(
    rows: Iterable[Sequence[Any]], public_key: bytes, noted: str | None
) -> tuple[int, bytes, int | None, str]:
    count, prev = 0, GENESIS
    for seq, exact, hash_, signature in rows:
        fault = _fault(count + 1, prev, seq, exact, hash_, signature, public_key)
        if not fault and noted is not None and noted.partition(":")[0] == str(seq) and noted != f"{seq}:{hash_.hex()}":
            fault = f"it was {noted} when that was noted"
        if fault:
            return count, prev, count + 1, fault
        count, prev = seq, hash_
    return count, prev, None, ""


def _fault(wanted: int, prev: bytes, seq: int, exact: bytes, hash_: bytes, signature: bytes, public_key: bytes) -> str:
    if seq != wanted:
        return f"entry {wanted} is missing"
    if link(prev, exact) != hash_:
        return "it was changed after it was written"
    if not verify(public_key, _TAG + hash_, signature):
        return "headquarters' key did not sign it"
    try:
        if _decoder.decode(exact).seq == seq:
            return ""
    except ValueError:
        pass
    return "it is no entry of this place"


def lines(entries: Iterable[Entry]) -> Iterator[str]:
    """The log for people: a line an entry."""
    from fleet.report import moment

    for each in entries:
        where = f" {each.terminals[0]}" if len(each.terminals) == 1 else ""
        where = where or (f" {len(each.terminals)} terminals" if each.terminals else "")
        approved = f" (approved by {each.approved_by})" if each.approved_by else ""
        about = " ".join(f"{name}={value}" for name, value in each.about.items() if value not in ("", {}, []))
        yield (
            f"{each.seq:>6} {moment(each.time_ms)} {each.who or '-':<12} {each.action:<18} {each.outcome}{approved}{where}"
            f" {about}".rstrip()
        )
