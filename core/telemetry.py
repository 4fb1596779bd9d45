"""What a terminal tells of itself over MQTT, declared once: the terminal publishes by it, headquarters reads by it, and the
guide's table is made of it. Flat JSON always, as Node-RED, Telegraf and Home Assistant read it.

A value's name never changes its meaning; a new meaning gets a new name. Readers pass over names that they do not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Value = str | int | float | bool | None
Values = Mapping[str, Value]

Kind = Literal["text", "whole number", "number", "true or false"]
DEVICE: Final = "device_NAME"
"""How names begin that are told of each device; NAME is its name in the terminal's configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One value. `none`: JSON's null is possible. `step`: a number that moved by less is told with the next heartbeat and
    not before; 0 tells each change, None waits for the heartbeat always."""

    name: str
    kind: Kind
    unit: str = ""
    none: bool = False
    step: float | None = 0.0
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The values of one topic ``tele/{name}``. A change is told `floor_s` after the last message at the earliest; without
    a change a message comes every `heartbeat_s`."""

    name: str
    floor_s: float
    heartbeat_s: float
    fields: tuple[Field, ...]


def _text(name: str, meaning: str, *, none: bool = False, step: float | None = 0.0) -> Field:
    return Field(name=name, kind="text", none=none, step=step, meaning=meaning)


def _whole(name: str, meaning: str, *, unit: str = "", none: bool = False, step: float | None = 0.0) -> Field:
    return Field(name=name, kind="whole number", unit=unit, none=none, step=step, meaning=meaning)


def _number(name: str, meaning: str, *, unit: str, none: bool = False, step: float | None) -> Field:
    return Field(name=name, kind="number", unit=unit, none=none, step=step, meaning=meaning)


def _truth(name: str, meaning: str, *, none: bool = False) -> Field:
    return Field(name=name, kind="true or false", none=none, meaning=meaning)


JOURNAL: Final = Group(
    name="journal",
    floor_s=2.0,
    heartbeat_s=60.0,
    fields=(
        _text("epoch", "the journal's name; another one means another journal"),
        _whole("journal_depth", "records in the journal"),
        _whole("synced_seq", "up to here they are on the medium"),
        _whole("hwm", "up to here headquarters has signed for them"),
        _whole("unacked", "`journal_depth` less `hwm`: what waits to be delivered"),
        _whole("oldest_unacked_s", "how long the oldest of those has waited; 0 where none does", unit="s", step=60),
        _whole("generation", "the newest one that headquarters signed with; it grows when headquarters was restored"),
        _whole("quarantined", "records that headquarters put aside"),
        _text("epoch_opened", "why the journal had to go on under another epoch since the terminal's start", none=True),
        _whole(
            "verified_ms", "when all records were last looked through (Unix time)", unit="ms", none=True
        ),
        _whole("verified_records", "how many that were", none=True),
        _truth("verified_whole", "whether they were whole", none=True),
        _text(
            "verified_kind",
            "else what had happened: `truncation`, `rollback`, `edit`, `reorder`, `gap`, `fork`, `foreign`, `unreadable`",
            none=True,
        ),
        _truth("anchored", "false where the journal's anchor cannot be kept: a copy of an old state would not be noticed"),
        _truth("recall_pending", "after a restore, whether records are still to come back"),
        _whole("recall_records", "records that came back since the start"),
        _text("recall_fault", "why they do not", none=True),
    ),
)  # fmt: skip
SYSTEM: Final = Group(
    name="system",
    floor_s=5.0,
    heartbeat_s=60.0,
    fields=(
        _number("disk_free_pct", "free space where the journal lies", unit="%", step=1.0),
        _whole("disk_free_mb", "the same, absolute", unit="MiB", step=None),
        _text("room", "`enough`, `low`, or `full`: then no new sale begins"),
        _number("temperature_c", "of the processor; none where the board does not say", unit="°C", none=True, step=5.0),
        _text(
            "throttled",
            "what the firmware says now, joined by spaces: `under-voltage`, `frequency-capped`, `throttled`,"
            " `temperature-limit`; else `ok`; none where the configuration has no device for the power",
            none=True,
        ),
        _truth("power_weak", "whether the power is too weak to take money"),
        _text("clock", "how far the wall clock is believed: `ntp`, `rtc`, or `unsynced`"),
        _truth("clock_doubtful", "whether it stands where it cannot: sales go on, booked on the last believed day"),
        _whole("memory_rss_mb", "memory that the daemon holds", unit="MiB", step=16),
        _whole("memory_available_mb", "memory that the system can still give", unit="MiB", step=None),
        _number("load_1m", "the system's load over one minute", unit="processes", step=None),
        _whole("up_s", "since the daemon's start", unit="s", step=None),
        _whole("system_up_s", "since the system's start", unit="s", none=True, step=None),
    ),
)  # fmt: skip
COPIES: Final = Group(
    name="copies",
    floor_s=5.0,
    heartbeat_s=300.0,
    fields=(
        _text(
            "second_medium",
            "`none`, `absent`, `filling`, `ready`, `slow`, or `failed`: sales go on without it",
        ),
        _text("second_medium_fault", "what is wrong with it, by the id of the screen's message", none=True),
        _whole("sales_at_risk", "finished sales that are on the terminal's own medium alone"),
        _whole(
            "backup_age_s",
            "how old the newest known backup is; none where no backups are configured, or none was made",
            unit="s", none=True, step=None,
        ),
        _whole("backup_seq", "the last record in it"),
        _text("backup_fault", "why there is no newer one", none=True),
        _truth("backup_overdue", "whether it is older than twice the time that it may be"),
        _truth("backup_same_medium", "whether it is on the journal's own medium, and goes with it"),
    ),
)  # fmt: skip
COUNTER: Final = Group(
    name="counter",
    floor_s=1.0,
    heartbeat_s=300.0,
    fields=(
        _text("mode", "what the till is at: `idle`, `ringing`, `tendering` and so on, as on the control socket"),
        _text("business_day", "the day that sales are booked on; empty before the first"),
        _whole("transactions", "sales completed on it"),
        _truth("till_open", "whether a session of the till is open"),
        _text("closing_forgotten", "the business day of a session that should have been closed by now", none=True),
        _truth("training", "whether the till is in training mode"),
        _whole("receipts_waiting", "receipts that the printer has not taken"),
        _text("drawers_forced", "drawers that were opened without an order and are still open, joined by spaces"),
        _text("drawers_left_open", "drawers that have been open for longer than they may be, joined by spaces"),
        _whole("sign_ons_refused", "sign-ons that were refused in the last ten minutes"),
        _whole("double_reads", "scans dropped because the same scanner read the same code twice at once", step=None),
        _whole("scans_misreads", "codes with a wrong check digit", step=None),
        _whole("scans_glued", "two codes that came as one", step=None),
        _whole("scans_lost_separators", "element strings whose separators the scanner dropped", step=None),
        _whole("scans_damaged", "codes that broke another rule of their kind", step=None),
    ),
)
DEVICES: Final = Group(
    name="devices",
    floor_s=1.0,
    heartbeat_s=300.0,
    fields=(
        _text(DEVICE, "`absent`, `opening`, `ready` or `stalled`"),
        _text(f"{DEVICE}_fault", "the code of what is wrong with it, as in the technician's guide", none=True),
        _whole(f"{DEVICE}_faults", "how often it failed since the start"),
        _whole(
            f"{DEVICE}_between_faults_s",
            "how long it worked from one fault to the next, on average since it was first plugged in",
            unit="s", none=True, step=None,
        ),
        _text(f"{DEVICE}_state", "printers: `ok`, `unknown`, or what is wrong; drawers: `open`, `closed`, `unknown`"),
        _text(f"{DEVICE}_paper", "printers: `ok`, `near_end`, `out` or `unknown`"),
        _whole(f"{DEVICE}_reads", "scanners: codes read since the start", step=None),
        _whole(f"{DEVICE}_bad_pct", "scanners: of the last 50 reads, how many in 100 were bad", unit="%", step=10),
        _text(f"{DEVICE}_quality", "scanners: `good`, or what is wrong, as in the technician's guide"),
    ),
)  # fmt: skip
LINK: Final = Group(
    name="link",
    floor_s=5.0,
    heartbeat_s=300.0,
    fields=(
        _text("broker", "the broker that this connection is to, without credentials"),
        _text("mqtt", "the protocol's version that is spoken: `5` or `3.1.1`"),
        _whole("connections", "how often a connection was tried since the start; the number in `status`"),
        _whole("connected_s", "how long this connection has lasted", unit="s", step=None),
        _text("last_fault", "why the connection before this one ended: a code, a colon, details", none=True),
        _whole("refusals", "publishes that the broker refused since the start"),
        _text("refusal", "the reason code of the last one, as the broker gave it", none=True),
        _whole("taken_over", "how often somebody else told a `status` under this terminal's name in the last hour"),
        _whole(
            "certificate_days", "days until the terminal's certificate ends, below 0 once it has; none without one",
            unit="days", none=True,
        ),
        _text("delivery_fault", "why records are not acknowledged: a code, a colon, details", none=True),
    ),
)  # fmt: skip
ALARMS: Final = Group(
    name="alarms",
    floor_s=1.0,
    heartbeat_s=60.0,
    fields=(
        _text("alarms", "the types of all alarms that are raised, sorted, joined by spaces; empty where none is"),
        _whole("alarm_count", "how many those are"),
        _text("worst", "the gravest severity among them: `critical`, `major`, `minor` or `warning`", none=True),
    ),
)

GROUPS: Final = (JOURNAL, SYSTEM, COPIES, COUNTER, DEVICES, LINK, ALARMS)

STATUS: Final = (
    _text("state", "`online`; `offline` as the terminal says goodbye, and as the broker says it in its place"),
    _text("boot_id", "names this start of the daemon"),
    _whole(
        "connection", "the number of this connection since that start: of two messages of one boot, the higher is newer"
    ),
    _whole("ts", "when this was told, for the will when the connection began (Unix time)", unit="ms"),
)
"""The retained message ``status``, and the will."""

ENVELOPE: Final = (
    _whole("ts", "when this was measured (Unix time)", unit="ms"),
    _text("clk", "how far the clock was believed: `ntp`, `rtc`, or `unsynced`"),
    _whole("seq", "counts this start's messages of all groups"),
)
"""What each message of a group has beside its values, which are under ``v``."""

ALARM: Final = (
    _whole("ts", "when this was told (Unix time)", unit="ms"),
    _text("clk", "how far the clock was believed: `ntp`, `rtc`, or `unsynced`"),
    _whole("since", "when it was raised (Unix time); kept over restarts", unit="ms"),
    _text("severity", "`critical`, `major`, `minor` or `warning` (ITU-T X.733)"),
    _text("text", "what is the matter, in English"),
)
"""What each message of an alarm has beside its values, which are under ``v``. Their names and types are in `core.alarms`."""

INFO: Final = (
    _whole("ts", "when this was told (Unix time)", unit="ms"),
    _text("software", "terminald's version"),
    _text("python", "Python's version"),
    _text("system", "the operating system, as /etc/os-release calls it"),
    _text("kernel", "its kernel's release"),
    _text("machine", "the processor's architecture"),
    _text("board", "the board, as its device tree calls it", none=True),
    _whole("memory_mb", "the board's memory", unit="MiB"),
    _whole("cpus", "its processors"),
    _text("shop", "the shop's name, as on its receipts"),
    _text("currency", "ISO 4217"),
    _text("language", "of the screen and the receipts"),
    _text("time_zone", "the offset of the shop's time from UTC"),
    _text("boot_id", "the daemon's start, as in `status`"),
    _whole("started_ms", "when that was (Unix time)", unit="ms"),
    _text("signing_key", "the public key that the terminal signs records with (hex)"),
    _whole(
        "certificate_expires_ms",
        "when the certificate ends that the terminal shows to the broker (Unix time); none without one",
        unit="ms", none=True,
    ),
    _text(DEVICE, "the device's class (UnifiedPOS), its driver, and what names it, joined by spaces"),
)  # fmt: skip
"""The retained message ``info``."""


def declared(fields: tuple[Field, ...], name: str) -> Field | None:
    """The declaration of a value by the name that it is published under; None for one that is not declared.

    >>> declared(DEVICES.fields, "device_bar-scanner_bad_pct").meaning[:8]
    'scanners'
    """
    found: Field | None = None
    for field in fields:
        if field.name == name:
            return field
        _, is_device, end = field.name.partition(DEVICE)
        if is_device and name.startswith("device_") and name.endswith(end) and (found is None or end):
            found = field if found is None or len(field.name) > len(found.name) else found
    return found


def moved(fields: tuple[Field, ...], before: Values, now: Values) -> bool:
    """Whether a reader should be told before the next heartbeat."""
    if before.keys() != now.keys():
        return True
    for name, value in now.items():
        was = before[name]
        if was == value and type(was) is type(value):
            continue
        field = declared(fields, name)
        if field is None or field.step is None:
            continue
        if not isinstance(value, int | float) or not isinstance(was, int | float):
            return True
        # A count that leaves nought, or comes back to it, is news whatever its step.
        if abs(value - was) >= field.step or bool(value) != bool(was):
            return True
    return False
