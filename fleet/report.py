"""What headquarters holds, as people and programs read it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from core.money import currency
from fleet.store import Address, Statements, reading
from fleet.twins import Twins, twins_of

if TYPE_CHECKING:
    from fleet.quarantine import Held


class EpochReport(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of a terminal: everything up to `hwm` is held or in quarantine; `gaps` counts what lacks above it."""

    epoch: str
    hwm: int
    archived_hwm: int
    records: int
    gaps: int


class QuarantineReport(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that was not taken. `passed`: the stream moved on without it; `times`: how often it came."""

    reason: str
    detail: str
    epoch: str | None
    first: int | None
    last: int | None
    passed: bool
    times: int


class TerminalReport(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal. `trust` is ``first-use``, ``pinned`` or ``unknown``; `totals` maps a currency to minor units."""

    terminal: str
    trust: str
    signing_key: str
    state: str
    seen_ms: int | None
    transactions: int
    totals: dict[str, int]
    epochs: tuple[EpochReport, ...]
    quarantined: tuple[QuarantineReport, ...]
    twins: tuple[Twins, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of headquarters. `transactions` are completed sales, `totals` their sums in minor units by currency."""

    generation: int
    transactions: int
    totals: dict[str, int]
    terminals: tuple[TerminalReport, ...]


def summarize(address: Address) -> Report:
    """The report of a database, beside a running collector too. Raises fleet.database.DatabaseError."""
    with reading(address) as statements:
        names = statements.execute(
            "SELECT id FROM terminal UNION SELECT terminal FROM presence UNION SELECT terminal FROM quarantine ORDER BY 1"
        ).fetchall()
        terminals = tuple(_terminal(statements, name) for (name,) in names)
        (generation,) = statements.execute("SELECT generation FROM headquarters").fetchone()
    totals: dict[str, int] = {}
    for terminal in terminals:
        for code, amount_minor in terminal.totals.items():
            totals[code] = totals.get(code, 0) + amount_minor
    return Report(
        generation=generation,
        transactions=sum(terminal.transactions for terminal in terminals),
        totals=totals,
        terminals=terminals,
    )


def _terminal(statements: Statements, name: str) -> TerminalReport:
    run = statements.execute
    known = run("SELECT signing_key, trust FROM terminal WHERE id = ?", (name,)).fetchone()
    seen = run("SELECT seen_ms, state FROM presence WHERE terminal = ?", (name,)).fetchone()
    sums = run(
        "SELECT currency, count(*), CAST(sum(total_minor) AS BIGINT) FROM retail_transaction WHERE terminal = ? GROUP BY currency",
        (name,),
    ).fetchall()
    epochs = run(
        "SELECT epoch, hwm, archived_hwm, top_seq FROM epoch WHERE terminal = ? ORDER BY epoch", (name,)
    ).fetchall()
    quarantined = run(
        "SELECT reason, detail, epoch, first_seq, last_seq, passed, times FROM quarantine WHERE terminal = ?"
        " AND settled_ms IS NULL ORDER BY id",
        (name,),
    ).fetchall()
    return TerminalReport(
        terminal=name,
        trust=known[1] if known else "unknown",
        signing_key=known[0].hex() if known else "",
        state=(seen[1] if seen else None) or "unknown",
        seen_ms=seen[0] if seen else None,
        transactions=sum(count for _, count, _ in sums),
        totals={currency: amount_minor for currency, _, amount_minor in sums},
        epochs=tuple(_epoch(statements, name, *row) for row in epochs),
        quarantined=tuple(
            QuarantineReport(
                reason=reason, detail=detail, epoch=epoch, first=first, last=last, passed=bool(passed), times=times
            )
            for reason, detail, epoch, first, last, passed, times in quarantined
        ),
        twins=tuple(twins_of(statements, name)),
    )


def _epoch(statements: Statements, terminal: str, epoch: str, hwm: int, archived_hwm: int, top_seq: int) -> EpochReport:
    (records,) = statements.execute(
        "SELECT count(*) FROM record WHERE terminal = ? AND epoch = ?", (terminal, epoch)
    ).fetchone()
    (above,) = statements.execute(
        "SELECT count(*) FROM record WHERE terminal = ? AND epoch = ? AND seq > ?", (terminal, epoch, hwm)
    ).fetchone()
    return EpochReport(
        epoch=epoch, hwm=hwm, archived_hwm=archived_hwm, records=records, gaps=max(top_seq - hwm, 0) - above
    )


def quarantine_as_text(batches: Iterable["Held"]) -> str:
    """A line a batch."""
    lines = [f"{'NUMBER':>6} {'TERMINAL':<16} {'RECEIVED (UTC)':<20} {'RECORDS':<15} {'TIMES':>5} REASON"]
    for each in batches:
        received = moment(each.received_ms)
        records = "-" if each.first is None else f"{each.first}-{each.last}"
        end = each.decision or ("passed over" if each.passed else "")
        lines.append(
            f"{each.id:>6} {each.terminal:<16} {received:<20} {records:<15} {each.times:>5} {each.reason}"
            f"{f' ({end})' if end else ''}: {each.detail}"
        )
    return "\n".join(lines)


def moment(time_ms: int | None) -> str:
    """A time for people, UTC, in 20 characters; a dash for none."""
    return "-" if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_text(report: Report) -> str:
    """The report for people: a line a terminal, and what lies in quarantine under it."""
    lines = [
        f"{'TERMINAL':<16} {'STATE':<8} {'TRUST':<10} {'SALES':>8} {'TOTAL':>16} {'HELD TO':>9} {'MISSING':>8}  SEEN"
    ]
    for terminal in report.terminals:
        totals = ", ".join(
            f"{currency(code).format(amount_minor)} {code}" for code, amount_minor in sorted(terminal.totals.items())
        )
        held = max((epoch.hwm for epoch in terminal.epochs), default=0)
        gaps = sum(epoch.gaps for epoch in terminal.epochs)
        seen = terminal.seen_ms and datetime.fromtimestamp(terminal.seen_ms / 1000, UTC).isoformat(timespec="seconds")
        lines.append(
            f"{terminal.terminal:<16} {terminal.state:<8} {terminal.trust:<10} {terminal.transactions:>8}"
            f" {totals or '-':>16} {held:>9} {gaps:>8}  {seen or '-'}"
        )
        lines += [
            f"    quarantine: {item.reason}, records {item.first} to {item.last}, {item.times} times: {item.detail}"
            for item in terminal.quarantined
        ]
        lines += [f"    TWO TERMINALS: {twins}" for twins in terminal.twins]
    return "\n".join(lines)
