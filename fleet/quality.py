"""How good the data at headquarters is, for each terminal and business day: in time, complete, accurate.

*In time*: from a sale to its place in the database. *Complete*: nothing is missing under what is held, and no terminal was
silent while its shop was open. *Accurate*: a sale's parts come to its total, clocks are right, and nothing is far out of the
ordinary. The views `quality_...` hold what needs no opening hours; finance may read them too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from fleet.store import Address, Statements, reading

LOOK_BACK_DAYS = 28
"""What is ordinary for a terminal is seen from so many days before; one that sold in none of them is not waited for."""
OUTLIER_TIMES = 20
"""A sale of more than so many times its terminal's median is out of the ordinary."""
OUTLIER_SALES_MIN = 30
"""A median of fewer sales says nothing."""
SILENT_MINUTES = 120
LATE_MS = 15 * 60_000
"""A day with more than one sale in a hundred later than this is not in time."""
GAPS_MAX = 1_000
_MINUTE_MS = 60_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is looked at: business days from `first` to `last`, all terminals or some.

    Shops are open from `opens` to `closes` in `zone`; without them nobody can be silent. `now_ms` is Unix time.
    """

    first: date
    last: date
    now_ms: int
    terminals: tuple[str, ...] = ()
    opens: time | None = None
    closes: time | None = None
    zone: ZoneInfo | None = None
    silent_minutes: int = SILENT_MINUTES
    late_ms: int = LATE_MS


class DayQuality(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal's business day.

    Delays in milliseconds, None where the sales came before headquarters noted the moment. `ahead` sales are from the future
    by more than a minute, `clock_unsure` from a clock that was neither synchronised nor battery-backed, `disagreeing` do not
    come to their tenders or taxes, `outliers` are far above the terminal's median. `silent_minutes` is the longest pause in
    opening hours so far, None where none were given or they have not begun. `faults` names what is wrong in short.
    """

    terminal: str
    business_day: str
    sales: int
    delay_ms_p50: int | None
    delay_ms_p99: int | None
    delay_ms_max: int | None
    ahead: int
    clock_unsure: int
    disagreeing: int
    outliers: int
    silent_minutes: int | None
    faults: tuple[str, ...]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Records that later ones prove to exist, and when the one after them was written: so old they are at least."""

    terminal: str
    epoch: str
    first: int
    last: int
    records: int
    age_s: int | None


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """All that was asked for. Gaps are those of now, whatever days were asked for."""

    first_day: str
    last_day: str
    days: tuple[DayQuality, ...]
    gaps: tuple[Gap, ...]


def measure(address: Address, asked: Asked) -> Quality:
    """Looks at a database, beside a running collector too. Raises fleet.database.DatabaseError."""
    with reading(address) as statements:
        looking = _Looking(statements, asked)
        days, gaps = tuple(looking.days()), tuple(looking.gaps())
    return Quality(first_day=asked.first.isoformat(), last_day=asked.last.isoformat(), days=days, gaps=gaps)


def only_faults(quality: Quality) -> Quality:
    """The days alone on which something is wrong, and the gaps."""
    return msgspec.structs.replace(quality, days=tuple(day for day in quality.days if day.faults))


def as_text(quality: Quality) -> str:
    """The report for people: a line a terminal and day, and the gaps under them."""
    lines = [f"{'TERMINAL':<16} {'DAY':<10} {'SALES':>6} {'P50':>8} {'P99':>8} {'SILENT':>7}  WHAT IS WRONG"]
    for day in quality.days:
        silent = "-" if day.silent_minutes is None else f"{day.silent_minutes} min"
        lines.append(
            f"{day.terminal:<16} {day.business_day:<10} {day.sales:>6} {_span(day.delay_ms_p50):>8}"
            f" {_span(day.delay_ms_p99):>8} {silent:>7}  {', '.join(day.faults)}".rstrip()
        )
    for gap in quality.gaps:
        age = "unknown age" if gap.age_s is None else f"{_span(gap.age_s * 1000)} old"
        lines.append(f"MISSING {gap.terminal}: records {gap.first} to {gap.last} of {gap.epoch}, {age}")
    return "\n".join(lines)


class _Looking:
    """The questions to one database."""

    def __init__(self, statements: Statements, asked: Asked) -> None:
        self._statements = statements
        self._asked = asked
        self._some = f" AND terminal IN ({', '.join('?' * len(asked.terminals))})" if asked.terminals else ""

    def days(self) -> Iterable[DayQuality]:
        asked = self._asked
        between = (asked.first.isoformat(), asked.last.isoformat())
        sales = self._by_day("SELECT terminal, business_day, count(*) FROM retail_transaction", between)
        delays = self._by_day(
            "SELECT terminal, business_day, delay_ms_p50, delay_ms_p99, delay_ms_max, ahead FROM quality_timeliness",
            between,
            grouped=True,
        )
        sound = self._by_day(
            "SELECT terminal, business_day, disagreeing, clock_unsure FROM quality_accuracy", between, grouped=True
        )
        outliers = self._outliers(between)
        silent = self._silent()
        for place in sorted({*sales, *silent}):
            yield self._day(
                place,
                sales.get(place, (0,))[0],
                delays.get(place, (None, None, None, 0)),
                sound.get(place, (0, 0)),
                outliers.get(place, (0,))[0],
                silent.get(place),
            )

    def gaps(self) -> Iterable[Gap]:
        rows = self._run(
            "SELECT terminal, epoch, first_seq, last_seq, before_ms FROM quality_gap WHERE true" + self._some  # noqa: S608 # our words
            + f" ORDER BY terminal, epoch, first_seq LIMIT {GAPS_MAX}",
            self._asked.terminals,
        )  # fmt: skip
        for terminal, epoch, first, last, before_ms in rows:
            age_s = None if before_ms is None else max((self._asked.now_ms - before_ms) // 1000, 0)
            yield Gap(terminal=terminal, epoch=epoch, first=first, last=last, records=last - first + 1, age_s=age_s)

    def _day(
        self,
        place: tuple[str, str],
        sales: int,
        delays: Sequence[Any],
        sound: Sequence[int],
        outliers: int,
        silent_minutes: int | None,
    ) -> DayQuality:
        p50, p99, longest, ahead = delays
        disagreeing, unsure = sound
        faults = [
            f"{count} {word}"
            for count, word in (
                (disagreeing, "disagreeing"), (ahead, "ahead of time"), (unsure, "by an unsure clock"), (outliers, "outliers"),
            )
            if count
        ]  # fmt: skip
        if p99 is not None and p99 > self._asked.late_ms:
            faults.append("late")
        if silent_minutes is not None and silent_minutes >= self._asked.silent_minutes:
            faults.append(f"silent for {silent_minutes} min")
        return DayQuality(
            terminal=place[0], business_day=place[1], sales=sales, delay_ms_p50=p50, delay_ms_p99=p99,
            delay_ms_max=longest, ahead=ahead, clock_unsure=unsure, disagreeing=disagreeing, outliers=outliers,
            silent_minutes=silent_minutes, faults=tuple(faults),
        )  # fmt: skip

    def _outliers(self, between: tuple[str, str]) -> dict[tuple[str, str], Sequence[int]]:
        """Sales far above the median of their terminal and currency, over the days that are asked for and those before."""
        since = (self._asked.first - timedelta(days=LOOK_BACK_DAYS)).isoformat()
        sql = (
            "WITH ranked AS (SELECT terminal, business_day, currency, abs(total_minor) AS amount,"  # noqa: S608 # our own words
            " row_number() OVER (PARTITION BY terminal, currency ORDER BY abs(total_minor)) AS place,"
            " count(*) OVER (PARTITION BY terminal, currency) AS sales"
            f" FROM retail_transaction WHERE business_day BETWEEN ? AND ?{self._some}),"
            " ordinary AS (SELECT terminal, currency, min(CASE WHEN 2 * place >= sales THEN amount END) AS median"
            " FROM ranked GROUP BY terminal, currency HAVING max(sales) >= ?)"
            " SELECT r.terminal, r.business_day, count(*) FROM ranked r JOIN ordinary o ON o.terminal = r.terminal"
            " AND o.currency = r.currency WHERE r.amount > ? * o.median AND o.median > 0 AND r.business_day >= ?"
            " GROUP BY r.terminal, r.business_day"
        )
        numbers = (OUTLIER_SALES_MIN, OUTLIER_TIMES, between[0])
        return _places(self._run(sql, (since, between[1], *self._asked.terminals, *numbers)))

    def _silent(self) -> dict[tuple[str, str], int]:
        """The longest pause in each day's opening hours, of terminals that sold that day or within the weeks before."""
        asked, found = self._asked, dict[tuple[str, str], int]()
        if asked.opens is None or asked.closes is None:
            return found
        day = asked.first
        while day <= asked.last:
            opens_ms, closes_ms = _moment_ms(day, asked.opens, asked.zone), _moment_ms(day, asked.closes, asked.zone)
            until_ms = min(closes_ms, asked.now_ms)
            if until_ms > opens_ms:
                for terminal, longest_ms in self._pauses(day, opens_ms, until_ms):
                    found[terminal, day.isoformat()] = int(longest_ms) // _MINUTE_MS
            day += timedelta(days=1)
        return found

    def _pauses(self, day: date, opens_ms: int, until_ms: int) -> Iterable[tuple[str, int]]:
        sql = (
            "WITH known AS (SELECT DISTINCT terminal FROM retail_transaction WHERE business_day BETWEEN ? AND ?"  # noqa: S608
            f"{self._some}),"
            " marked AS (SELECT terminal, time_ms FROM retail_transaction WHERE business_day = ? AND time_ms BETWEEN ? AND ?"
            " UNION ALL SELECT terminal, CAST(? AS BIGINT) FROM known UNION ALL SELECT terminal, CAST(? AS BIGINT) FROM known),"
            " paused AS (SELECT terminal, time_ms - lag(time_ms) OVER (PARTITION BY terminal ORDER BY time_ms) AS pause"
            " FROM marked)"
            " SELECT p.terminal, max(p.pause) FROM paused p JOIN known k ON k.terminal = p.terminal GROUP BY p.terminal"
        )
        since = (day - timedelta(days=LOOK_BACK_DAYS)).isoformat()
        return self._run(
            sql,
            (since, day.isoformat(), *self._asked.terminals, day.isoformat(), opens_ms, until_ms, opens_ms, until_ms),
        )

    def _by_day(
        self, select: str, between: tuple[str, str], *, grouped: bool = False
    ) -> dict[tuple[str, str], Sequence[Any]]:
        by = "" if grouped else " GROUP BY terminal, business_day"
        sql = f"{select} WHERE business_day BETWEEN ? AND ?{self._some}{by}"
        return _places(self._run(sql, (*between, *self._asked.terminals)))

    def _run(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        return self._statements.execute(sql, parameters).fetchall()


def _places(rows: Iterable[Sequence[Any]]) -> dict[tuple[str, str], Sequence[Any]]:
    return {(row[0], row[1]): [None if value is None else int(value) for value in row[2:]] for row in rows}


def _moment_ms(day: date, hour: time, zone: ZoneInfo | None) -> int:
    """Unix milliseconds of a shop's wall clock; in the zone of this machine where none is given."""
    moment = datetime.combine(day, hour)
    moment = moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _span(ms: int | None) -> str:
    """A duration for a narrow column."""
    if ms is None:
        return "-"
    if abs(ms) < 10_000:
        return f"{ms} ms"
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if abs(ms) >= 2 * size:
            return f"{ms / size:.0f} {unit}"
    return f"{ms / 1000:.0f} s"
