"""What headquarters holds, as people and programs read it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from core.alarms import SEVERITIES, Severity
from core.money import currency
from fleet.registry import Place, every
from fleet.store import Address, Statements, reading
from fleet.told import AlarmRow, raised, reports, values_of
from fleet.twins import Twins, twins_of

if TYPE_CHECKING:
    from fleet.quarantine import Held

Topics = Mapping[str, tuple[int, dict[str, Any]]]
"""A terminal's topics to when they were told, and what."""
_GRAVEST: dict[str, int] = {severity: place for place, severity in enumerate(SEVERITIES)}


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
    """A terminal. `trust` is ``first-use``, ``pinned`` or ``unknown``; `totals` maps a currency to minor units; `waiting`
    are records that it said it has and headquarters has not, `alarms` those that are raised."""

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
    site: str = ""
    workstation: str = ""
    tags: tuple[str, ...] = ()
    retired_ms: int | None = None
    software: str = ""
    waiting: int | None = None
    alarms: tuple[AlarmRow, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The gravest severity of its alarms."""
        held = {alarm.severity for alarm in self.alarms}
        return next((severity for severity in SEVERITIES if severity in held), None)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which terminals are shown: those that are all of this. `silent_ms`: their last sign of life is older."""

    terminal: str | None = None
    sites: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    software: str | None = None
    offline: bool = False
    alarms: bool = False
    waiting: bool = False
    silent_ms: int | None = None
    retired: bool = False

    def takes(self, found: TerminalReport, now_ms: int) -> bool:
        """Whether a terminal is one of them."""
        silent = self.silent_ms is not None and found.seen_ms is not None and now_ms - found.seen_ms < self.silent_ms
        return (
            (not self.sites or found.site in self.sites)
            and set(self.tags) <= set(found.tags)
            and (self.software is None or found.software == self.software)
            and not (self.offline and found.state == "online")
            and not (self.alarms and not found.alarms)
            and not (self.waiting and not found.waiting)
            and not silent
            and (self.retired or found.retired_ms is None)
        )


EVERYTHING = Selection(retired=True)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of headquarters. `transactions` are completed sales, `totals` their sums in minor units by currency."""

    generation: int
    transactions: int
    totals: dict[str, int]
    terminals: tuple[TerminalReport, ...]


def summarize(address: Address, selection: Selection = EVERYTHING, now_ms: int = 0) -> Report:
    """The report of a database, beside a running collector too. Raises fleet.database.DatabaseError."""
    with reading(address) as statements:
        names = [
            name
            for (name,) in statements.execute(
                "SELECT id FROM terminal UNION SELECT terminal FROM presence UNION SELECT terminal FROM quarantine"
                " UNION SELECT terminal FROM registry ORDER BY 1"
            )
            if selection.terminal in (None, name)
        ]
        lasting = {each.terminal: each for each in every(statements)}
        told = reports(statements, selection.terminal)
        alarms: dict[str, list[AlarmRow]] = {}
        for alarm in raised(statements, selection.terminal):
            alarms.setdefault(alarm.terminal, []).append(alarm)
        found = (
            _terminal(statements, name, lasting.get(name), told.get(name, {}), tuple(alarms.get(name, ())))
            for name in names
        )
        terminals = tuple(each for each in found if selection.takes(each, now_ms))
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


def _terminal(
    statements: Statements, name: str, place: Place | None, told: Topics, alarms: tuple[AlarmRow, ...]
) -> TerminalReport:
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
        site=place.site if place else "",
        workstation=place.workstation if place else "",
        tags=place.tags if place else (),
        retired_ms=place.retired_ms if place else None,
        software=str(told["info"][1].get("software", "")) if "info" in told else "",
        waiting=_waiting(statements, name, told),
        alarms=alarms,
    )


def _waiting(statements: Statements, name: str, told: Topics) -> int | None:
    """Of what the terminal said last that it has, what is not held; None where it said nothing."""
    values = values_of(told)
    epoch, depth = values.get("epoch"), values.get("journal_depth")
    if not isinstance(epoch, str) or not isinstance(depth, int):
        return None
    row = statements.execute("SELECT hwm FROM epoch WHERE terminal = ? AND epoch = ?", (name, epoch)).fetchone()
    return max(depth - (row[0] if row else 0), 0)


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


def shortened(text: str, width: int) -> str:
    """A text that fits a column."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def moment(time_ms: int | None) -> str:
    """A time for people, UTC, in 20 characters; a dash for none."""
    return "-" if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_text(report: Report) -> str:
    """The report for people: a line a terminal, and what is the matter with it under it."""
    lines = [
        f"{'TERMINAL':<16}  {'SITE':<14}  {'STATE':<8}  {'ALARMS':<11}  {'TRUST':<9}  {'SALES':>8}  {'TOTAL':>14}"
        f"  {'HELD TO':>9}  {'MISSING':>8}  {'WAITING':>7}  {'SOFTWARE':<10}  SEEN"
    ]
    for terminal in report.terminals:
        totals = ", ".join(
            f"{currency(code).format(amount_minor)} {code}" for code, amount_minor in sorted(terminal.totals.items())
        )
        held = max((epoch.hwm for epoch in terminal.epochs), default=0)
        gaps = sum(epoch.gaps for epoch in terminal.epochs)
        worst = f"{len(terminal.alarms)} {terminal.worst}" if terminal.alarms else "-"
        waiting = "-" if terminal.waiting is None else str(terminal.waiting)
        state = "retired" if terminal.retired_ms is not None else terminal.state
        lines.append(
            f"{terminal.terminal:<16}  {shortened(terminal.site, 14) or '-':<14}  {state:<8}  {worst:<11}"
            f"  {terminal.trust:<9}  {terminal.transactions:>8}  {totals or '-':>14}  {held:>9}  {gaps:>8}  {waiting:>7}"
            f"  {terminal.software or '-':<10}  {moment(terminal.seen_ms)}"
        )
        lines += [
            f"    {alarm.severity} since {moment(alarm.since_ms)}: {alarm.text} ({alarm.type})"
            for alarm in sorted(terminal.alarms, key=lambda each: _GRAVEST.get(each.severity, 9))
        ]
        lines += [
            f"    quarantine: {item.reason}, records {item.first} to {item.last}, {item.times} times: {item.detail}"
            for item in terminal.quarantined
        ]
        lines += [f"    TWO TERMINALS: {twins}" for twins in terminal.twins]
    return "\n".join(lines)
