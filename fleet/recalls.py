"""Recalled lots: given to every terminal, those that become known later too, and who has not got them.

A recall stands from its order until `lift-recall` of the same id. While it stands, each terminal that headquarters comes to
know is told of it by itself, in the name of who gave it.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from core.ports import Signer
from fleet.audit import note
from fleet.dispatch import Draft, add_terminals, give, sign_held
from fleet.operators import Operator
from fleet.refusal import Refused
from fleet.registry import Filter, every
from fleet.store import Address, Statements, Store, reading

RECALL = "recall"
LIFT = "lift-recall"
VALID_MS = 90 * 86_400_000


class RecallUnknown(Refused):
    """There is no such recall, or it was lifted, or one of this id stands already."""

    code: ClassVar[str] = "recall-unknown"
    remedy: ClassVar[str] = "`terminald-fleet recall status` names those that stand."


class Lacking(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal that has not got a recall: where its order is, and when the terminal was last heard of."""

    terminal: str
    state: str
    code: str
    text: str
    online: bool
    seen_ms: int | None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A recall, and who has it. `within_ms`: how long the slowest of those took; `within_minute` how many had it in one."""

    id: str
    number: int
    gtin: str
    lot: str
    reason: str
    issuer: str
    given_ms: int
    have: int
    within_minute: int
    within_ms: int | None
    lacking: tuple[Lacking, ...]


def start(store: Store, signer: Signer, by: Operator, params: dict[str, Any], why: str, now_ms: int) -> int:
    """Takes a lot off sale everywhere; the order's number. Raises Refused, DatabaseError."""
    draft = Draft(kind=RECALL, params=params, wanted=Filter(all=True), valid_ms=VALID_MS, why=why)
    with store.transaction() as statements:
        if any(id_ == params.get("id") for id_, _ in _standing(statements)):
            raise RecallUnknown(f"a recall {params.get('id')!r} stands already: `recall again` tells those who lack it")
        return give(statements, signer, by, draft, now_ms)


def again(store: Store, signer: Signer, by: Operator, id_: str, now_ms: int) -> int:
    """Tells everybody who has not got a recall once more; the new order's number. Raises Refused, DatabaseError."""
    with store.transaction() as statements:
        number = _number(statements, id_)
        names = tuple(each.terminal for each in _lacking(statements, id_, number))
        if not names:
            raise RecallUnknown(f"every terminal has recall {id_!r}")
        params = msgspec.json.decode(
            statements.execute("SELECT params FROM dispatch WHERE number = ?", (number,)).fetchone()[0]
        )
        draft = Draft(kind=RECALL, params=params, wanted=Filter(terminals=names), valid_ms=VALID_MS)
        return give(statements, signer, by, draft, now_ms)


def lift(store: Store, signer: Signer, by: Operator, id_: str, why: str, now_ms: int) -> int:
    """Ends a recall everywhere; the order's number. Raises Refused, DatabaseError."""
    draft = Draft(kind=LIFT, params={"id": id_}, wanted=Filter(all=True), valid_ms=VALID_MS, why=why)
    with store.transaction() as statements:
        _number(statements, id_)
        return give(statements, signer, by, draft, now_ms)


def standing(address: Address, id_: str | None = None) -> list[Standing]:
    """The recalls that stand, or one of them, with who lacks it. Raises RecallUnknown, DatabaseError."""
    with reading(address) as statements:
        if id_ is not None:
            return [_report(statements, id_, _number(statements, id_))]
        return [_report(statements, each, number) for each, number in _standing(statements)]


def reach_the_new(statements: Statements, signer: Signer, now_ms: int) -> None:
    """Tells terminals that became known since of each recall that stands."""
    found = _standing(statements)
    if not found:
        return
    for id_, number in found:
        numbers = _numbers(statements, id_, number)
        new = [
            terminal
            for (terminal,) in statements.execute(
                "SELECT id FROM (SELECT id FROM terminal UNION SELECT terminal FROM presence UNION SELECT terminal FROM registry)"  # noqa: S608 # our own words
                " n WHERE NOT EXISTS (SELECT 1 FROM registry r WHERE r.terminal = n.id AND r.retired_ms IS NOT NULL)"
                " AND NOT EXISTS (SELECT 1 FROM told t WHERE t.terminal = n.id AND t.dispatch IN"
                f" ({', '.join('?' * len(numbers))})) ORDER BY 1",
                numbers,
            ).fetchall()
        ]
        if new:
            add_terminals(statements, number, RECALL, new, now_ms)
            statements.execute("UPDATE dispatch SET state = 'open', ended_ms = NULL WHERE number = ?", (number,))
            sign_held(statements, signer, number, now_ms)
            note(
                statements, signer, now_ms=now_ms, who="", action="recall-reach", outcome="given", terminals=new,
                about={"number": number, "recall": id_},
            )  # fmt: skip


def as_text(found: Standing) -> Iterator[str]:
    """A recall for people, with a line for each terminal that lacks it."""
    from fleet.report import moment

    total = found.have + len(found.lacking)
    within = f", the slowest after {found.within_ms / 1000:.1f} s" if found.within_ms is not None else ""
    lot = f"lot {found.lot}" if found.lot else "every lot"
    yield f"recall {found.id}: {found.gtin}, {lot}: {found.reason} (order {found.number}, {found.issuer})"
    yield (
        f"    {found.have} of {total} terminals have it, {found.within_minute} within a minute{within};"
        f" {len(found.lacking)} have not"
    )
    for each in found.lacking:
        words = ": ".join(word for word in (each.code, each.text) if word)
        where = "online" if each.online else f"offline, seen {moment(each.seen_ms)}"
        yield f"    {each.terminal:<20} {each.state:<11} {where} {words}".rstrip()


def _standing(statements: Statements) -> list[tuple[str, int]]:
    """The ids of recalls that stand, each with the number of the order that gave it first since it was last lifted."""
    found: dict[str, int] = {}
    rows = statements.execute(
        "SELECT number, kind, params FROM dispatch WHERE kind IN ('recall', 'lift-recall')"
        " AND state NOT IN ('cancelled', 'lapsed') ORDER BY number"
    )
    for number, kind, params in rows:
        id_ = msgspec.json.decode(params).get("id", "")
        if kind == LIFT:
            found.pop(id_, None)
        else:
            found.setdefault(id_, number)
    return sorted(found.items(), key=lambda each: each[1])


def _number(statements: Statements, id_: str) -> int:
    number = dict(_standing(statements)).get(id_)
    if number is None:
        raise RecallUnknown(f"no recall {id_!r} stands")
    return number


def _numbers(statements: Statements, id_: str, number: int) -> list[int]:
    """The orders that gave a recall: the first, and those that told it again."""
    rows = statements.execute(
        "SELECT number, params FROM dispatch WHERE kind = ? AND number >= ? ORDER BY number", (RECALL, number)
    )
    return [each for each, params in rows if msgspec.json.decode(params).get("id") == id_]


def _told(statements: Statements, id_: str, number: int) -> dict[str, tuple[str, str, str, int, int]]:
    """What each terminal was told of a recall: its state, code, words, and from when to when; successful before others."""
    rows = statements.execute(
        "SELECT t.terminal, t.state, t.code, t.said, t.signed_ms, t.changed_ms, d.params FROM told t"
        " JOIN dispatch d ON d.number = t.dispatch WHERE d.kind = ? AND d.number >= ? ORDER BY d.number",
        (RECALL, number),
    )
    found: dict[str, tuple[str, str, str, int, int]] = {}
    for terminal, state, code, said, signed_ms, changed_ms, params in rows:
        if msgspec.json.decode(params).get("id") == id_ and found.get(terminal, ("",))[0] != "successful":
            found[terminal] = (state, code, said, signed_ms or changed_ms, changed_ms)
    return found


def _lacking(statements: Statements, id_: str, number: int) -> list[Lacking]:
    told = _told(statements, id_, number)
    seen = dict(statements.execute("SELECT terminal, seen_ms FROM presence").fetchall())
    return [
        Lacking(
            terminal=place.terminal, state=state, code=code, text=said, online=place.state == "online",
            seen_ms=seen.get(place.terminal),
        )
        for place in every(statements)
        if place.retired_ms is None
        for state, code, said, _, _ in [told.get(place.terminal, ("not told", "", "", 0, 0))]
        if state != "successful"
    ]  # fmt: skip


def _report(statements: Statements, id_: str, number: int) -> Standing:
    params, issuer, made_ms = statements.execute(
        "SELECT params, issuer, made_ms FROM dispatch WHERE number = ?", (number,)
    ).fetchone()
    said = msgspec.json.decode(params)
    took = [
        to_ms - from_ms
        for state, _, _, from_ms, to_ms in _told(statements, id_, number).values()
        if state == "successful"
    ]
    return Standing(
        id=id_, number=number, gtin=said["gtin"], lot=said.get("lot", ""), reason=said["reason"], issuer=issuer,
        given_ms=made_ms, have=len(took), within_minute=sum(ms <= 60_000 for ms in took), within_ms=max(took, default=None),
        lacking=tuple(_lacking(statements, id_, number)),
    )  # fmt: skip
