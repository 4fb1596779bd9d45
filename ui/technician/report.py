"""Answers as plain rows for a VT100: 80 columns, one fact a row.

Facts stand by their own names, which are those of the guides and of ``--json``; sentences are in the console's language.
"""

import textwrap
import time
from collections.abc import Mapping, Sequence

from ui.say import say
from ui.technician.child import Answer
from ui.technician.line import WIDTH, wrap

_NAME_WIDTH = 20
_FACTS_INDENT = " " * 30
_HIDDEN = {"running"}
_NAMES = {
    "up_s": "up",
    "time_ms": "time",
    "clock_error_ms": "clock error",
    "lookup_ms": "lookup took",
    "broker_tcp_ms": "broker TCP",
    "broker_mqtt_ms": "broker MQTT",
    "broker_tls_ms": "broker TLS",
}


def status(answer: Answer) -> str:
    """What the daemon, or the journal at rest, says."""
    head = (
        say("The daemon runs.")
        if answer.get("running")
        else say("THE DAEMON IS NOT RUNNING. What the journal says at rest:")
    )
    return f"{head}\n{_table(answer)}"


def network(answer: Answer) -> str:
    """Addresses, time, lookup and the round trip, and what to do where one failed."""
    reached = "broker_error" not in answer
    tail = say("The broker answers.") if reached else say("THE BROKER DOES NOT ANSWER. Sales go on and are kept.")
    return f"{_table(answer)}\n{tail}"


_QUALITY = {
    "going-bad": "It reads badly. Clean its window, look at its cable, or try another one in its place.",
    "check-baud": "What comes is noise. Set its baud rate in the configuration to what the scanner is set to.",
    "check-parity": "Its characters carry a parity bit. Set data_bits and parity, or software_parity.",
    "set-layout": "A code reads in two ways. Set its layout in the configuration, or the scanner to US.",
}
"""What to do about a scanner, by what its meter says."""


def devices(answer: Answer) -> str:
    """A row a device; under one with a fault what to do, where the daemon knows."""
    rows = [] if answer.get("running") else [say("THE DAEMON IS NOT RUNNING. Configured are:")]
    listed = answer.get("devices")
    for device in listed if isinstance(listed, list) else []:
        fault = device.get("fault") or ""
        row = f"{device.get('name', '?'):<14} {device.get('kind', ''):<18} {device.get('phase', ''):<14} {fault}"
        rows.append(row.rstrip()[:WIDTH])
        if device.get("remedy"):
            rows += _wrapped("", say(str(device["remedy"])))
        detail = {key: value for key, value in (device.get("detail") or {}).items() if value not in ("", 0)}
        if advice := _QUALITY.get(str(detail.get("quality"))):
            rows += _wrapped("", say(advice))
        facts = " ".join(f"{key}={value}" for key, value in detail.items())
        rows += [
            row[:WIDTH] for row in textwrap.wrap(facts, WIDTH - 16, initial_indent=" " * 15, subsequent_indent=" " * 15)
        ]
    return "\n".join(rows) if listed else say("No device is configured.")


def tried(answer: Answer) -> str:
    """Whether a device works, and what to do if not."""
    if answer.get("works"):
        return say("{name} works.", name=answer.get("name"))
    return "\n".join(
        [
            say("{name} DOES NOT WORK: {fault}", name=answer.get("name"), fault=answer.get("fault")),
            *_wrapped("", say(str(answer.get("remedy")))),
        ]
    )


def suggested(answer: Answer) -> str:
    """The tables, to be copied."""
    found = answer.get("devices")
    tables = [str(device.get("table", "")) for device in found] if isinstance(found, list) else []
    return "\n\n".join(tables) or say("Nothing is plugged in that the configuration does not have.")


def journal(answer: Answer) -> str:
    """Whether the chain is whole."""
    if answer.get("whole"):
        return say("WHOLE: {records} records, the chain is unbroken.", records=answer.get("records"))
    return "\n".join(
        [
            say("NOT WHOLE after {records} records:", records=answer.get("records")),
            *_wrapped("", str(answer.get("finding"))),
            say("Do not sell on this terminal. Keep it as it is, and call headquarters."),
        ]
    )


def log(answer: Answer) -> str:
    """A row a record, oldest first."""
    records = answer.get("records")
    rows = [_record(record) for record in records] if isinstance(records, list) else []
    return "\n".join(rows) if rows else say("The log is empty.")


def _record(record: Mapping[str, object]) -> str:
    time_ms = record.get("time_ms")
    moment = clock_time(time_ms) if isinstance(time_ms, int) else "?"
    known = {"seq", "time_ms", "clock", "type"}
    facts = " ".join(f"{key}={value}" for key, value in record.items() if key not in known)
    mark = " " if record.get("clock") in ("ntp", "rtc") else "?"
    row = f"{record.get('seq'):>8} {moment}{mark} {record.get('type')} {facts}".rstrip()
    return "\n".join(textwrap.wrap(row, WIDTH, subsequent_indent=_FACTS_INDENT, break_on_hyphens=False))


def clock_time(time_ms: int) -> str:
    """Unix milliseconds as the terminal's local time, ``2026-11-24 14:03:00``."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ms / 1000))


def _table(answer: Answer) -> str:
    rows: list[str] = []
    for name, value in answer.items():
        if name not in _HIDDEN:
            rows += _wrapped(_NAMES.get(name, name.replace("_", " ")), _value(name, value))
    return "\n".join(rows)


def _value(name: str, value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if name == "time_ms" and isinstance(value, int):
        return clock_time(value)
    if name == "up_s" and isinstance(value, int):
        days, rest = divmod(value, 86_400)
        return f"{days} d {rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    if name.endswith("_ms"):
        return f"{value} ms"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={inner}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(item) for item in value)
    return str(value)


def _wrapped(name: str, value: str) -> list[str]:
    """A name and its value, which goes on in the next rows under itself."""
    indent = " " * _NAME_WIDTH
    rows = wrap(value, WIDTH - _NAME_WIDTH) or [""]
    return [f"{name:<{_NAME_WIDTH - 1}} {rows[0]}".rstrip(), *(indent + row for row in rows[1:])]
