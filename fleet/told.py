"""What terminals tell of themselves, as headquarters keeps it: the last word of each topic, and their alarms with a history.

Nothing here is money, and nothing is believed further than it is shown. All of it may be written twice: what is raised is
known by its beginning, so that a broker's retained copy, or another collector, adds nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from core import nesting, topics
from core.alarms import Severity
from core.card import holds_card, wipe_all
from core.telemetry import GROUPS
from fleet.own_alarms import OWN, SILENT, Silence, holding, may_be_raised
from fleet.store import NUMBER_MAX, Statements, Store, Table

BYTES_MAX = 32_768
"""Of one message; more is no terminal's."""
OPEN_MAX = 64
"""Alarms of one terminal that may be raised at once."""
HISTORY_MAX = 200
"""Alarms of one terminal that are kept, the newest first."""
ENROLMENT_CLASH = "enrolment-clash"
"""Headquarters' own alarm about a terminal: two claim its name. No terminal raises it, and none clears it."""
NOTICES_MAX = 10_000
"""Notices that wait for the webhook; of more, the oldest go."""

REPORT = Table(
    name="report",
    columns=("terminal", "topic", "told_ms", "body"),
    types=("text", "text", "bigint", "text"),
    keys=("terminal", "topic"),
)
_TOPICS = frozenset(["info", *(f"tele/{group.name}" for group in GROUPS)])
_Time = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]


@dataclass(frozen=True, slots=True)
class Report:
    """The last message of a topic, as JSON without anything that looks like a card; the topic is ``info`` or ``tele/…``."""

    terminal: str
    topic: str
    body: str


class Told(msgspec.Struct, frozen=True):
    """An alarm as a terminal told it."""

    ts: _Time
    since: _Time
    severity: Severity
    text: Annotated[str, msgspec.Meta(max_length=512)]
    v: dict[str, str | int] = {}


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm was raised, or cleared where `told` is None."""

    terminal: str
    type: str
    told: Told | None


@dataclass(frozen=True, slots=True)
class Standing:
    """The types of all alarms of a terminal that were raised at `ts`, by its own clock."""

    terminal: str
    ts: int
    types: frozenset[str]


@dataclass(slots=True)
class Heard:
    """What came since the last commit."""

    reports: dict[tuple[str, str], Report] = field(default_factory=dict)
    changes: list[Change | Standing] = field(default_factory=list)


class _Values(msgspec.Struct, frozen=True):
    epoch: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{32})?$")] = ""
    hwm: int = 0
    generation: int = 0
    alarms: Annotated[str, msgspec.Meta(max_length=4096)] | None = None


class Measurements(msgspec.Struct, frozen=True):
    """Of a group's message, what headquarters itself reads."""

    v: _Values
    ts: _Time = 0


_any_decoder = msgspec.json.Decoder()
_alarm_decoder = msgspec.json.Decoder(Told)
_measurements_decoder = msgspec.json.Decoder(Measurements)


def report_of(terminal: str, topic: str, payload: bytes) -> Report | None:
    """What is kept of a message; None for one that no terminal of this version tells. Raises ValueError."""
    place = topic.removeprefix(f"{topics.PREFIX}/{terminal}/")
    if place not in _TOPICS or len(payload) > BYTES_MAX:
        return None
    return Report(terminal, place, _wiped(payload))


def measurements_of(payload: bytes) -> Measurements:
    """Raises ValueError."""
    return nesting.decode(_measurements_decoder, payload)


def change_of(terminal: str, topic: str, payload: bytes) -> Change | None:
    """The change that a message of an alarm tells. Raises ValueError."""
    type_ = topic.rpartition("/")[2]
    foreign = topic != topics.alarm(terminal, type_) or holds_card(type_) or type_ in OWN
    if foreign or len(payload) > BYTES_MAX:
        return None
    if type_ == ENROLMENT_CLASH:
        return None
    if not payload:
        return Change(terminal, type_, None)
    return Change(terminal, type_, nesting.decode(_alarm_decoder, _wiped(payload).encode()))


def clash(terminal: str, since_ms: int | None, address: str = "") -> Heard:
    """Two claim a name since then, the newer one from this address; None: it is settled."""
    told = None
    if since_ms is not None:
        told = Told(
            ts=NUMBER_MAX,  # what stands at the terminal is never newer
            since=since_ms,
            severity="critical",
            text=f"Another one claims this terminal's name, from {address}.",
            v={"address": address},
        )
    return Heard(changes=[Change(terminal, ENROLMENT_CLASH, told)])


def _wiped(payload: bytes) -> str:
    try:
        value: Any = wipe_all(nesting.decode(_any_decoder, payload))
    except RecursionError as error:  # what is nested less deeply may still be too much to wipe
        raise ValueError("it is nested too deeply") from error
    return msgspec.json.encode(value).decode()


# --- the transaction ---------------------------------------------------------------------------------------------


def keep(database: Store, heard: Heard, now_ms: int, *, notify: bool, silence: Silence | None = None) -> int:
    """Writes what was heard, in one transaction; returns how many notices it made. Raises DatabaseError.

    `notify`: somebody is to be told of alarms. `silence`: how long a terminal may say nothing; None: that is not looked at.
    """
    with database.transaction() as statements:
        terminals = {change.terminal for change in heard.changes}
        statements.lock(terminals)
        reports = sorted(heard.reports.values(), key=lambda each: (each.terminal, each.topic))
        statements.put(REPORT, [(each.terminal, each.topic, now_ms, each.body) for each in reports])
        book = _Book(statements, now_ms, notify=notify)
        for change in heard.changes:
            if isinstance(change, Standing):
                book.stand(change)
            elif change.told is not None:
                book.raise_(change.terminal, change.type, change.told)
            else:
                book.clear(change.terminal, change.type)
        book.look(silence)
        return book.finish()


class _Book:
    """The alarms of one transaction."""

    def __init__(self, statements: Statements, now_ms: int, *, notify: bool) -> None:
        self._statements = statements
        self._run = statements.execute
        self._now_ms = now_ms
        self._notify = notify
        self._noted = 0

    def raise_(self, terminal: str, type_: str, told: Told) -> None:
        """One that is known by its beginning is brought up to date; one that was cleared by mistake stands again."""
        text = msgspec.json.encode(told.v).decode()
        known = self._run(
            "UPDATE alarm SET told_ms = ?, severity = ?, text = ?, params = ?, cleared_ms = NULL"
            " WHERE terminal = ? AND type = ? AND since_ms = ?",
            (told.ts, told.severity, told.text, text, terminal, type_, told.since),
        ).rowcount
        if known:
            return
        self.clear(terminal, type_)
        (open_,) = self._run(
            "SELECT count(*) FROM alarm WHERE terminal = ? AND cleared_ms IS NULL", (terminal,)
        ).fetchone()
        if open_ >= OPEN_MAX:
            return
        fresh = self._run(
            "INSERT INTO alarm (terminal, type, since_ms, told_ms, severity, text, params, raised_ms, cleared_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING",
            (terminal, type_, told.since, told.ts, told.severity, told.text, text, self._now_ms),
        ).rowcount
        if not fresh:  # another collector looked at the same moment
            return
        self._run(
            "DELETE FROM alarm WHERE terminal = ? AND cleared_ms IS NOT NULL AND raised_ms <= (SELECT raised_ms"
            " FROM alarm WHERE terminal = ? ORDER BY raised_ms DESC, since_ms DESC LIMIT 1 OFFSET ?)",
            (terminal, terminal, HISTORY_MAX),
        )
        self._note("raised", terminal, type_, told.severity, told.text, told.v, told.since)

    def clear(self, terminal: str, type_: str) -> None:
        """Its cause has gone."""
        cleared = self._run(
            "UPDATE alarm SET cleared_ms = ? WHERE terminal = ? AND type = ? AND cleared_ms IS NULL"
            " RETURNING severity, text, params, since_ms",
            (self._now_ms, terminal, type_),
        ).fetchall()
        for severity, text, params, since_ms in cleared:
            self._note("cleared", terminal, type_, severity, text, msgspec.json.decode(params), since_ms)

    def stand(self, standing: Standing) -> None:
        """Clears what the terminal does not name any more: the message that said so was missed."""
        rows = self._run(
            "SELECT type FROM alarm WHERE terminal = ? AND cleared_ms IS NULL AND told_ms < ?",
            (standing.terminal, standing.ts),
        ).fetchall()
        for (type_,) in rows:
            if type_ not in standing.types and type_ not in OWN:
                self.clear(standing.terminal, type_)

    def look(self, silence: Silence | None) -> None:
        """Raises headquarters' own alarms, and clears those whose cause has gone."""
        causes = holding(self._statements, self._now_ms, silence)
        marks = ", ".join("?" * len(OWN))
        standing = self._run(
            f"SELECT terminal, type FROM alarm WHERE cleared_ms IS NULL AND type IN ({marks})",  # noqa: S608 # our own words
            tuple(OWN),
        ).fetchall()
        for place in sorted(causes.keys() - {tuple(row) for row in standing}):
            if may_be_raised(place, self._now_ms, silence):
                severity, text, _ = OWN[place[1]]
                since_ms = self._now_ms if self._was_raised(*place, causes[place]) else causes[place]
                self.raise_(*place, Told(ts=since_ms, since=since_ms, severity=severity, text=text))
        for terminal, type_ in standing:
            is_known = type_ != SILENT or silence is not None
            if is_known and (terminal, type_) not in causes:
                self.clear(terminal, type_)

    def _was_raised(self, terminal: str, type_: str, since_ms: int) -> bool:
        return bool(
            self._run(
                "SELECT 1 FROM alarm WHERE terminal = ? AND type = ? AND since_ms = ?", (terminal, type_, since_ms)
            ).fetchone()
        )

    def finish(self) -> int:
        """Forgets the oldest notices where they are too many."""
        if self._noted:
            self._run(
                "DELETE FROM notice WHERE number <= (SELECT number FROM notice ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (NOTICES_MAX,),
            )
        return self._noted

    def _note(
        self, state: str, terminal: str, type_: str, severity: str, text: str, params: Mapping[str, Any], since_ms: int
    ) -> None:
        if not self._notify:
            return
        body = {
            "state": state, "terminal": terminal, "type": type_, "severity": severity, "text": text,
            "since": since_ms, "at": self._now_ms, "v": params,
        }  # fmt: skip
        self._run(
            "INSERT INTO notice (made_ms, body, tries, due_ms) VALUES (?, ?, 0, 0)",
            (self._now_ms, msgspec.json.encode(body).decode()),
        )
        self._noted += 1


# --- reading -----------------------------------------------------------------------------------------------------


class AlarmRow(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm as headquarters has it: `since` is the terminal's word, `raised_ms` and `cleared_ms` are when it was heard."""

    terminal: str
    type: str
    severity: str
    text: str
    since_ms: int
    raised_ms: int
    cleared_ms: int | None
    v: dict[str, str | int] = {}


_ALARM = "SELECT terminal, type, severity, text, since_ms, raised_ms, cleared_ms, params FROM alarm"


def raised(statements: Statements, terminal: str | None = None) -> list[AlarmRow]:
    """The alarms that are raised now, of one terminal or of all."""
    where, given = ("", ()) if terminal is None else (" AND terminal = ?", (terminal,))
    return _rows(statements, f"{_ALARM} WHERE cleared_ms IS NULL{where} ORDER BY terminal, since_ms, type", given)


def history(statements: Statements, terminal: str, count_max: int = HISTORY_MAX) -> list[AlarmRow]:
    """The alarms that one terminal had, the newest first."""
    return _rows(
        statements, f"{_ALARM} WHERE terminal = ? ORDER BY raised_ms DESC, since_ms DESC LIMIT ?", (terminal, count_max)
    )


def reports(statements: Statements, terminal: str | None = None) -> dict[str, dict[str, tuple[int, dict[str, Any]]]]:
    """Terminal to topic to when it was told (by headquarters' clock) and what."""
    where, given = ("", ()) if terminal is None else (" WHERE terminal = ?", (terminal,))
    found: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {}
    for name, topic, told_ms, body in statements.execute(
        f"SELECT terminal, topic, told_ms, body FROM report{where} ORDER BY terminal, topic",  # noqa: S608 # our own words
        given,
    ):
        found.setdefault(name, {})[topic] = told_ms, msgspec.json.decode(body)
    return found


def _rows(statements: Statements, sql: str, given: Sequence[object]) -> list[AlarmRow]:
    return [
        AlarmRow(
            terminal=terminal, type=type_, severity=severity, text=text, since_ms=since_ms, raised_ms=raised_ms,
            cleared_ms=cleared_ms, v=msgspec.json.decode(params),
        )
        for terminal, type_, severity, text, since_ms, raised_ms, cleared_ms, params in statements.execute(sql, given)
    ]  # fmt: skip


def values_of(told: Mapping[str, tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """All values of all groups of one terminal, flat."""
    merged: dict[str, Any] = {}
    for topic, (_, body) in told.items():
        values = body.get("v")
        if topic.startswith("tele/") and isinstance(values, dict):
            merged |= values
    return merged
