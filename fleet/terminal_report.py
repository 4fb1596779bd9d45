"""One terminal, whole: what headquarters holds of it, what it last said of itself, and the alarms that it had."""

from collections.abc import Iterator
from typing import Any

import msgspec

from core.telemetry import GROUPS, INFO, Field, declared
from fleet.registry import TerminalUnknown
from fleet.report import Report as Listed
from fleet.report import Selection, TerminalReport, moment, summarize
from fleet.report import as_text as line_of
from fleet.store import Address, reading
from fleet.told import AlarmRow, history, reports

SHOWN_MAX = 20
"""Alarms of the past that people are shown."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """The last message of a topic, `told_ms` by headquarters' clock."""

    told_ms: int
    body: dict[str, Any]


class WholeReport(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal. `topics` are ``info`` and ``tele/…``; `alarms` those that it had, the newest first."""

    held: TerminalReport
    topics: dict[str, Topic]
    alarms: tuple[AlarmRow, ...]


def terminal_report(address: Address, terminal: str) -> WholeReport:
    """Raises TerminalUnknown, DatabaseError."""
    found = summarize(address, Selection(terminal=terminal, retired=True)).terminals
    if not found:
        raise TerminalUnknown(f"no terminal {terminal!r} is known")
    with reading(address) as statements:
        told = reports(statements, terminal).get(terminal, {})
        past = tuple(history(statements, terminal))
    topics = {topic: Topic(told_ms=told_ms, body=body) for topic, (told_ms, body) in told.items()}
    return WholeReport(held=found[0], topics=topics, alarms=past)


def as_text(found: WholeReport, now_ms: int) -> Iterator[str]:
    """For people: the line of the list, then topic by topic, then the alarms of the past."""
    yield line_of(Listed(generation=0, transactions=0, totals={}, terminals=(found.held,)))
    if found.held.tags or found.held.workstation:
        yield f"    workstation {found.held.workstation or '-'}, tags {' '.join(found.held.tags) or '-'}"
    for epoch in found.held.epochs:
        yield f"    epoch {epoch.epoch}: held to {epoch.hwm}, in a backup to {epoch.archived_hwm}, {epoch.gaps} missing"
    if "info" in found.topics:
        yield from _topic("info", found.topics["info"], found.topics["info"].body, INFO, now_ms)
    for group in GROUPS:
        if (topic := found.topics.get(f"tele/{group.name}")) is not None:
            values = topic.body.get("v")
            yield from _topic(group.name, topic, values if isinstance(values, dict) else {}, group.fields, now_ms)
    past = [alarm for alarm in found.alarms if alarm.cleared_ms is not None]
    if past:
        yield f"\nalarms that are over (the newest {min(len(past), SHOWN_MAX)} of {len(past)})"
    for alarm in past[:SHOWN_MAX]:
        yield f"    {moment(alarm.raised_ms)} to {moment(alarm.cleared_ms)}  {alarm.severity:<8}  {alarm.text}"


def _topic(name: str, topic: Topic, values: dict[str, Any], fields: tuple[Field, ...], now_ms: int) -> Iterator[str]:
    yield f"\n{name} ({_age(now_ms - topic.told_ms)} ago)"
    width = max((len(key) for key in values), default=0)
    for key, value in values.items():
        field = declared(fields, key)
        yield f"    {key:<{width}}  {said(value, field)}"


def said(value: object, field: Field | None) -> str:
    """A value for people, with its unit."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    unit = field.unit if field is not None else ""
    if unit == "ms" and isinstance(value, int):
        return moment(value)
    return f"{value} {unit}".rstrip() if value != "" else "-"


def _age(age_ms: int) -> str:
    """How long ago, in the largest unit that it fills.

    >>> _age(5_000), _age(125_000), _age(7_300_000), _age(200_000_000)
    ('5 s', '2 min', '2 h', '2 days')
    """
    age_s = max(age_ms, 0) // 1000
    for unit_s, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if age_s >= 2 * unit_s or (unit_s < 86_400 and age_s >= unit_s):
            return f"{age_s // unit_s} {unit}"
    return f"{age_s} s"
