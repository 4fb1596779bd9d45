"""Orders and what became of them, as people and programs read them."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from fleet.dispatch import DispatchUnknown
from fleet.report import moment
from fleet.rollout import Tally, tally_of
from fleet.store import Address, Statements, reading

LOOK_EVERY_S = 0.5
_COLUMNS = "number, kind, params, role, issuer, seconded, why, state, made_ms, released_ms, ended_ms"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One terminal's part. `state` is ``held``, ``signed``, ``published``, ``cancelled``, or what the terminal says."""

    id: str
    terminal: str
    wave: int
    state: str
    code: str
    text: str
    output: dict[str, Any]
    not_after_ms: int | None
    changed_ms: int


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """How a roll-out stands. `wave` counts from 0, and is -1 before the first; `waves_bp` and `stop_bp` in ten thousandths."""

    state: str
    why: str
    wave: int
    waves_bp: tuple[int, ...]
    stop_bp: int
    tally: Tally


class Dispatch(msgspec.Struct, frozen=True, kw_only=True):
    """An order. `counts` of its terminals by state; `terminals` where they were asked for."""

    number: int
    order: str
    params: dict[str, Any]
    role: str
    issuer: str
    seconded: str
    why: str
    state: str
    made_ms: int
    released_ms: int | None
    ended_ms: int | None
    counts: dict[str, int]
    rollout: Rollout | None = None
    terminals: tuple[Told, ...] = ()


def listed(address: Address, newest: int, now_ms: int) -> list[Dispatch]:
    """The newest orders, the newest last. Raises DatabaseError."""
    with reading(address) as statements:
        rows = statements.execute(f"SELECT {_COLUMNS} FROM dispatch ORDER BY number DESC LIMIT ?", (newest,)).fetchall()  # noqa: S608 # our own names
        return [_dispatch(statements, row, now_ms) for row in reversed(rows)]


def shown(address: Address, number: int, now_ms: int) -> Dispatch:
    """An order with its terminals. Raises DispatchUnknown, DatabaseError."""
    with reading(address) as statements:
        row = statements.execute(f"SELECT {_COLUMNS} FROM dispatch WHERE number = ?", (number,)).fetchone()  # noqa: S608 # our own names
        if row is None:
            raise DispatchUnknown(f"there is no order {number}")
        found = _dispatch(statements, row, now_ms)
        told = statements.execute(
            "SELECT id, terminal, wave, state, code, said, output, not_after_ms, changed_ms FROM told WHERE dispatch = ?"
            " ORDER BY terminal",
            (number,),
        ).fetchall()
    return msgspec.structs.replace(found, terminals=tuple(_told(each) for each in told))


def follow(address: Address, number: int, wait_s: float, say: Callable[[Dispatch], None]) -> Dispatch:
    """Tells each change of an order until it is over, nobody is at it any more, or `wait_s` are over; how it stands then."""
    end_s = time.monotonic() + wait_s
    before: Dispatch | None = None
    while True:
        found = shown(address, number, time.time_ns() // 1_000_000)
        if found != before:
            say(found)
            before = found
        stands = found.rollout is not None and found.rollout.state in ("paused", "stopped")
        if found.state != "open" or stands or time.monotonic() >= end_s:
            return found
        time.sleep(min(LOOK_EVERY_S, max(0.0, end_s - time.monotonic())))


def counts_as_text(counts: dict[str, int]) -> str:
    """How many terminals are where."""
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no terminals"


def table(found: Iterable[Dispatch]) -> Iterator[str]:
    """A line an order."""
    yield f"{'NUMBER':>6} {'ORDER':<18} {'STATE':<10} {'GIVEN (UTC)':<20} {'BY':<24} TERMINALS"
    for each in found:
        by = f"{each.issuer}, {each.seconded}" if each.seconded else each.issuer
        state = each.rollout.state if each.rollout is not None and each.state == "open" else each.state
        yield (
            f"{each.number:>6} {each.order:<18} {state:<10} {moment(each.made_ms):<20} {by:<24}"
            f" {counts_as_text(each.counts)}"
        )


def as_text(found: Dispatch) -> Iterator[str]:
    """An order with a line a terminal."""
    yield from table([found])
    if found.params:
        yield "       " + " ".join(f"{name}={value}" for name, value in found.params.items())
    if found.why:
        yield f"       {found.why}"
    if found.rollout is not None:
        yield "       " + rollout_as_text(found.rollout)
    for each in found.terminals:
        yield "    " + told_as_text(each)


def told_as_text(each: Told) -> str:
    """Where one terminal is."""
    words = ": ".join(word for word in (each.code, each.text) if word)
    output = f" {msgspec.json.encode(each.output).decode()}" if each.output else ""
    return f"{each.terminal:<20} {each.state:<11} {moment(each.changed_ms)} {words}{output}".rstrip()


def rollout_as_text(found: Rollout) -> str:
    """How a roll-out stands, in a line."""
    wave = f"wave {found.wave + 1} of {len(found.waves_bp)}"
    tally = found.tally
    why = f" ({found.why})" if found.why else ""
    return (
        f"{wave}: {found.state}{why}; told {tally.told}, {tally.successful} successful, {tally.failed} failed,"
        f" {tally.silent} silent, {tally.under_way} under way; stops above {found.stop_bp / 100:g}%"
    )


def _dispatch(statements: Statements, row: tuple[Any, ...], now_ms: int) -> Dispatch:
    number, kind, params, *rest = row
    counts = statements.execute(
        "SELECT state, count(*) FROM told WHERE dispatch = ? GROUP BY state ORDER BY state", (number,)
    ).fetchall()
    names = ("role", "issuer", "seconded", "why", "state", "made_ms", "released_ms", "ended_ms")
    return Dispatch(
        number=number, order=kind, params=msgspec.json.decode(params), counts=dict(counts),
        rollout=_rollout(statements, number, now_ms), **dict(zip(names, rest, strict=True)),
    )  # fmt: skip


def _rollout(statements: Statements, number: int, now_ms: int) -> Rollout | None:
    row = statements.execute(
        "SELECT state, why, wave, waves, stop_bp, silent_ms FROM rollout WHERE dispatch = ?", (number,)
    ).fetchone()
    if row is None:
        return None
    state, why, wave, waves, stop_bp, silent_ms = row
    return Rollout(
        state=state, why=why, wave=wave, waves_bp=tuple(msgspec.json.decode(waves)), stop_bp=stop_bp,
        tally=tally_of(statements, number, wave, silent_ms, now_ms),
    )  # fmt: skip


def _told(row: tuple[Any, ...]) -> Told:
    id_, terminal, wave, state, code, said, output, not_after_ms, changed_ms = row
    return Told(
        id=id_, terminal=terminal, wave=wave, state=state, code=code, text=said,
        output=msgspec.json.decode(output) if output else {}, not_after_ms=not_after_ms, changed_ms=changed_ms,
    )  # fmt: skip
