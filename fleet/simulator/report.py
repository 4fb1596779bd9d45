"""What a run found, for eyes and as JSON."""

import msgspec

from fleet.simulator.tally import Outage


class Sales(msgspec.Struct, frozen=True):
    """So many sales, which come to so many minor units."""

    sales: int
    amount_minor: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal of which headquarters does not hold what was sold. `stored` is None where no database was looked into."""

    terminal: str
    sold: Sales
    acknowledged: int
    stored: Sales | None


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """How the sessions went. Seconds since the run's beginning: the first one was open, 99 in 100 of them were."""

    online_max: int
    connects: int
    lost: int
    connect_ms_p50: float | None
    connect_ms_p99: float | None
    first_s: float | None
    online99_s: float | None


class Batches(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent; `again` counts those that were sent before."""

    sent: int
    again: int
    bytes: int
    records: int
    telemetry: int


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulator itself took. `cpu_pct` is of one processor while it ran, each second of it."""

    wall_s: float
    cpu_s: float
    cpu_pct: float
    rss_mib: float
    kib_a_session: float
    cpu_us_a_session_second: float


class SimulationReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that a run found. `whole`: every sale is acknowledged, and stored once to the cent where that was looked at."""

    run: str
    terminals: int
    sales_per_hour: float
    minutes: float
    backlog_days: float
    seed: int
    whole: bool
    sold: Sales
    acknowledged: Sales
    stored: Sales | None
    differing: int
    differences: tuple[Difference, ...]
    delivered_ms_p50: float | None
    delivered_ms_p99: float | None
    delivered_ms_max: float | None
    backlog_drained_s: float | None
    drained_after_s: float | None
    records_a_second: float | None
    sessions: Sessions
    outages: tuple[Outage, ...]
    batches: Batches
    faults: dict[str, int]
    cost: Cost


def as_text(report: SimulationReport) -> str:
    """The report for people."""
    cost, sessions, batches = report.cost, report.sessions, report.batches
    lines = [
        f"run {report.run}: {report.terminals} terminals, {report.sales_per_hour:g} sales an hour each,"
        f" {report.minutes:g} minutes, {report.backlog_days:g} days of backlog, seed {report.seed}",
        f"sold          {_sales(report.sold)}",
        f"acknowledged  {_sales(report.acknowledged)}",
        f"stored        {_sales(report.stored) if report.stored is not None else 'not looked at: give --database'}",
        f"sale to acknowledgement: p50 {_ms(report.delivered_ms_p50)}, p99 {_ms(report.delivered_ms_p99)},"
        f" longest {_ms(report.delivered_ms_max)}",
        f"backlog delivered after {_s(report.backlog_drained_s)}; all delivered {_s(report.drained_after_s)} after the"
        f" last sale; {report.records_a_second or 0:,.0f} records a second",
        f"sessions: {sessions.online_max} at most, {sessions.connects} opened, {sessions.lost} lost; 99 % online after"
        f" {_s(sessions.online99_s)}; opening p50 {_ms(sessions.connect_ms_p50)}, p99 {_ms(sessions.connect_ms_p99)}",
        f"batches: {batches.sent} sent, {batches.again} of them again, {batches.bytes / 1e6:,.1f} MB;"
        f" {batches.telemetry} messages of telemetry",
        f"this process: {cost.cpu_pct:.0f} % of a processor over {cost.wall_s:.0f} s, {cost.rss_mib:.0f} MiB;"
        f" a session {cost.kib_a_session:.1f} KiB and {cost.cpu_us_a_session_second:.0f} us a second",
    ]
    lines += [
        f"outage at {outage.lost_s:.1f} s: first session again at {_s(outage.back_s)}, 99 % online at"
        f" {_s(outage.online99_s)}"
        for outage in report.outages
    ]
    lines += [f"fault {code}: {count} times" for code, count in sorted(report.faults.items())]
    lines += [
        f"DIFFERS {each.terminal}: sold {_sales(each.sold)}; acknowledged {each.acknowledged} sales; stored"
        f" {_sales(each.stored) if each.stored else '-'}"
        for each in report.differences
    ]
    if report.differing > len(report.differences):
        lines.append(f"DIFFERS: {report.differing - len(report.differences)} more terminals")
    lines.append("every sale arrived, once, to the cent" if report.whole else "NOT WHOLE")
    return "\n".join(lines)


def _sales(sales: Sales) -> str:
    return f"{sales.sales:,} sales, {sales.amount_minor:,} minor units"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.{0 if value >= 10 else 1}f} ms"


def _s(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} s"
