"""Alarms of a terminal, declared once: what is judged, how grave it is, and what to do. No clock, no I/O.

An alarm is a condition, not an event: it is raised while its rule holds, retained at the broker, and cleared by an empty
message. Severities are those of ITU-T X.733.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final, Literal

import msgspec

from core.telemetry import Value, Values

Severity = Literal["critical", "major", "minor", "warning"]
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "major", "minor", "warning")
"""The gravest first."""

SILENT_S: Final = 900
"""Records that nobody signed for in this time: headquarters is silent."""
SIGN_ONS_REFUSED: Final = 5
TAKEN_OVER: Final = 2
"""A name that is taken over once may be our own connection that the broker had not yet given up."""
HOT_C: Final = 80.0
"""Where the firmware of a Raspberry Pi begins to slow its processor down."""
CERTIFICATE_DAYS: Final = 14

_DOUBTFUL: Final = (
    "rollback",
    "fork",
    "copied",
    "anchor-lost",
    "anchor-foreign",
    "headquarters-ahead",
    "headquarters-fork",
)
"""Why an epoch was opened, where that says that there was, or is, another journal than this one."""

Found = dict[str, str | int]
"""What an alarm's words need, where its rule holds."""
Rule = Callable[[Values], Found | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmKind:
    """One type of alarm. It is raised when its rule has held for `after_s`; `text` is a sentence with the rule's params."""

    type: str
    severity: Severity
    after_s: float = 0.0
    text: str
    remedy: str
    when: str
    rule: Rule

    @property
    def params(self) -> tuple[str, ...]:
        """The names of what its rule finds, which are the places in its text."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.text) if name)


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """The retained message ``alarm/{type}``: `since` and `ts` in Unix milliseconds, the clock's quality, flat values."""

    ts: int
    clk: str
    since: int
    severity: Severity
    text: str
    v: dict[str, str | int]


def judge(values: Values) -> dict[str, Found]:
    """The alarms whose rules hold now, by type, of all groups' values together."""
    found = {kind.type: kind.rule(values) for kind in KINDS.values()}
    return {type_: params for type_, params in found.items() if params is not None}


def worst(types: Mapping[str, object]) -> Severity | None:
    """The gravest severity among some types of alarms; None where there are none."""
    held = {KINDS[type_].severity for type_ in types if type_ in KINDS}
    return next((severity for severity in SEVERITIES if severity in held), None)


# --- rules -------------------------------------------------------------------------------------------------------


def _is(name: str, *wanted: Value) -> Rule:
    return lambda values: {} if values.get(name) in wanted and values.get(name) is not None else None


def _told(name: str, param: str) -> Rule:
    """A fault is told; its code is a parameter."""

    def rule(values: Values) -> Found | None:
        told = values.get(name)
        return {param: str(told)} if told is not None else None

    return rule


def _named(name: str) -> Rule:
    """A value names devices."""
    return lambda values: {"devices": str(values[name])} if values.get(name) else None


def _at_least(name: str, limit: float, param: str) -> Rule:
    def rule(values: Values) -> Found | None:
        value = values.get(name)
        reached = isinstance(value, int | float) and value >= limit
        return {param: int(value)} if reached and isinstance(value, int | float) else None

    return rule


def _devices(end: str, is_wrong: Callable[[Value], bool]) -> Rule:
    """Some devices' value is wrong; they are named."""

    def rule(values: Values) -> Found | None:
        names = sorted(
            name.removeprefix("device_").removesuffix(end)
            for name, value in values.items()
            if name.startswith("device_") and name.endswith(end) and is_wrong(value)
        )
        return {"devices": " ".join(names)} if names else None

    return rule


def _missing(values: Values) -> Found | None:
    """A device's phase stands under its bare name, which may end like another value's: no value has its words."""
    phases = ("absent", "opening", "stalled")
    names = sorted(
        name.removeprefix("device_")
        for name, value in values.items()
        if name.startswith("device_") and f"{name}_faults" in values and value in phases
    )
    return {"devices": " ".join(names)} if names else None


def _damaged(values: Values) -> Found | None:
    if values.get("verified_whole") is False:
        return {"kind": str(values.get("verified_kind"))}
    return {"kind": "unreadable"} if _fault(values) == "journal-damaged" else None


def _forked(values: Values) -> Found | None:
    if values.get("epoch_opened") in _DOUBTFUL:
        return {"reason": str(values["epoch_opened"])}
    return {"reason": "journal-behind"} if _fault(values) == "journal-behind" else None


def _refused(values: Values) -> Found | None:
    return {"code": _fault(values)} if _fault(values) in ("publish-refused", "broker-congested") else None


def _fault(values: Values) -> str:
    return str(values.get("delivery_fault") or "").partition(":")[0]


def _expiring(values: Values) -> Found | None:
    days = values.get("certificate_days")
    return {"days": days} if isinstance(days, int) and 0 <= days < CERTIFICATE_DAYS else None


def _expired(values: Values) -> Found | None:
    days = values.get("certificate_days")
    return {} if isinstance(days, int) and days < 0 else None


def _faulty(values: Values) -> Found | None:
    fault, state = values.get("second_medium_fault"), values.get("second_medium")
    return {"fault": str(fault or state)} if fault is not None or state == "failed" else None


_RULES: Final = (
    AlarmKind(
        type="case-opened", severity="critical", rule=_told("case_opened", "incident"),
        when="the tamper switch has latched the terminal",
        text="The terminal's case was opened: it holds no keys and sells nothing (incident {incident}).",
        remedy="Look at the device, then release it: `terminald-fleet order release-tamper`.",
    ),
    AlarmKind(
        type="drawer-forced", severity="critical", rule=_named("drawers_forced"), when="`drawers_forced`",
        text="A cash drawer was opened without an order: {devices}.",
        remedy="Call the shop. It is cleared when the drawer is shut; the journal keeps it.",
    ),
    AlarmKind(
        type="drawer-left-open", severity="minor", rule=_named("drawers_left_open"), when="`drawers_left_open`",
        text="A cash drawer stands open: {devices}.", remedy="Have it shut.",
    ),
    AlarmKind(
        type="identity-clash", severity="critical", rule=_at_least("taken_over", TAKEN_OVER, "times"),
        when=f"`taken_over` is {TAKEN_OVER} or more",
        text="Another client connects under this terminal's name ({times} times in the last hour).",
        remedy="Find the second device: a copied card, or one that was replaced and still runs.",
    ),
    AlarmKind(
        type="fork", severity="critical", rule=_forked, when="`epoch_opened` is one of `rollback`, `fork`, `copied`, `anchor-lost`, `anchor-foreign`, `headquarters-ahead`,"
        " `headquarters-fork`; or `delivery_fault` is `journal-behind`",
        text="The journal is not the one that headquarters knows ({reason}).",
        remedy="`terminald-fleet forks` says what both sold. It is cleared at the terminal's next start.",
    ),
    AlarmKind(
        type="journal-damaged", severity="critical", rule=_damaged,
        when="`verified_whole` is false, or `delivery_fault` is `journal-damaged`",
        text="The journal is damaged ({kind}).", remedy="`terminald journal verify` there; then `terminald restore`.",
    ),
    AlarmKind(
        type="disk-full", severity="critical", rule=_is("room", "full"), when="`room` is `full`",
        text="The disk is full: no new sale begins.", remedy="Make room there, or replace the medium.",
    ),
    AlarmKind(
        type="disk-low", severity="minor", rule=_is("room", "low"), when="`room` is `low`",
        text="The disk is nearly full.", remedy="Make room there before sales stop.",
    ),
    AlarmKind(
        type="certificate-expired", severity="critical", rule=_expired, when="`certificate_days` below 0",
        text="The terminal's certificate has expired.", remedy="Enrol the terminal anew, at its own screen.",
    ),
    AlarmKind(
        type="certificate-expiring", severity="major", rule=_expiring, when=f"`certificate_days` below {CERTIFICATE_DAYS}",
        text="The terminal's certificate ends in {days} days.",
        remedy="It renews itself long before: look why it could not.",
    ),
    AlarmKind(
        type="device-missing", severity="major", after_s=20.0, rule=_missing,
        when="a `device_NAME` is not `ready`, for 20 s",
        text="Devices are missing or do not answer: {devices}.", remedy="Check their cables and their power.",
    ),
    AlarmKind(
        type="paper-out", severity="major", after_s=2.0, rule=_devices("_paper", lambda value: value == "out"),
        when="a `device_NAME_paper` is `out`, for 2 s",
        text="Out of paper: {devices}.", remedy="Have a new roll put in; receipts wait.",
    ),
    AlarmKind(
        type="paper-low", severity="warning", after_s=2.0, rule=_devices("_paper", lambda value: value == "near_end"),
        when="a `device_NAME_paper` is `near_end`, for 2 s",
        text="Little paper left: {devices}.", remedy="Have a new roll ready.",
    ),
    AlarmKind(
        type="printer-fault", severity="major", after_s=20.0,
        rule=_devices("_state", lambda value: value in ("cover-open", "printer-offline")),
        when="a `device_NAME_state` is `cover-open` or `printer-offline`, for 20 s",
        text="A printer cannot print: {devices}.", remedy="Have its cover shut, or switch it off and on.",
    ),
    AlarmKind(
        type="scanner-bad", severity="minor", after_s=60.0,
        rule=_devices("_quality", lambda value: value not in ("good", "unused")),
        when="a `device_NAME_quality` is not `good`, for 60 s",
        text="A scanner reads badly: {devices}.", remedy="The technician's guide says what its quality means.",
    ),
    AlarmKind(
        type="quarantined", severity="major", rule=_at_least("quarantined", 1, "records"), when="`quarantined` above 0",
        text="Headquarters put {records} records aside.", remedy="`terminald-fleet quarantine list`.",
    ),
    AlarmKind(
        type="headquarters-silent", severity="major", rule=_at_least("oldest_unacked_s", SILENT_S, "seconds"),
        when=f"`oldest_unacked_s` is {SILENT_S} or more",
        text="Headquarters has not signed for records for {seconds} s.",
        remedy="Look whether a collector runs; sales go on and are kept.",
    ),
    AlarmKind(
        type="broker-refuses", severity="major", rule=_refused,
        when="`delivery_fault` is `publish-refused` or `broker-congested`",
        text="The broker does not take what the terminal sends ({code}).", remedy="Look at the broker's access list and limits.",
    ),
    AlarmKind(
        type="records-due", severity="major", rule=_is("recall_pending", True), after_s=60.0,
        when="`recall_pending`, for 60 s",
        text="After a restore, records have still to come back.", remedy="Look whether a collector runs.",
    ),
    AlarmKind(
        type="second-medium-missing", severity="major", after_s=10.0, rule=_is("second_medium", "absent"),
        when="`second_medium` is `absent`, for 10 s",
        text="The second medium is not plugged in.", remedy="Have it plugged in: sales are on one medium alone.",
    ),
    AlarmKind(
        type="second-medium-failed", severity="major", rule=_faulty,
        when="`second_medium` is `failed`, or `second_medium_fault`",
        text="The second medium does not do its work ({fault}).", remedy="Have it replaced.",
    ),
    AlarmKind(
        type="backup-overdue", severity="minor", rule=_is("backup_overdue", True), when="`backup_overdue`",
        text="There is no new backup.", remedy="Have the medium for backups plugged in, or replaced.",
    ),
    AlarmKind(
        type="clock-off", severity="major", rule=_is("clock_doubtful", True), when="`clock_doubtful`",
        text="The terminal's clock cannot be right.", remedy="Set it, or let it reach a time server.",
    ),
    AlarmKind(
        type="power-low", severity="major", rule=_is("power_weak", True), when="`power_weak`",
        text="The power supply is too weak: no card is charged.", remedy="Replace power supply or cable.",
    ),
    AlarmKind(
        type="overheated", severity="major", after_s=60.0, rule=_at_least("temperature_c", HOT_C, "celsius"),
        when=f"`temperature_c` is {HOT_C:g} or more, for 60 s",
        text="The board is at {celsius} °C.", remedy="Let air to it: it slows down.",
    ),
    AlarmKind(
        type="sign-ons-failed", severity="major", rule=_at_least("sign_ons_refused", SIGN_ONS_REFUSED, "times"),
        when=f"`sign_ons_refused` is {SIGN_ONS_REFUSED} or more",
        text="{times} sign-ons were refused in ten minutes.", remedy="Call the shop: somebody tries PINs or badges.",
    ),
    AlarmKind(
        type="journal-unanchored", severity="minor", rule=_is("anchored", False), when="`anchored` is false",
        text="The journal has no anchor: a copy of an old state would not be noticed.",
        remedy="Look at the place of the anchor in the configuration.",
    ),
    AlarmKind(
        type="closing-forgotten", severity="warning", rule=_told("closing_forgotten", "business_day"),
        when="`closing_forgotten`",
        text="The till of {business_day} was not closed.", remedy="Call the shop.",
    ),
)  # fmt: skip
KINDS: Final = {kind.type: kind for kind in _RULES}
