"""What the command `terminald` answers technicians: PINs, status, network, log. Works beside a running daemon
and without one; every answer is also one flat JSON object (``--json``), which the console reads.

``pin status``  {"role", "set"}
``pin set``     {"role", "set"} or {"role", "set", "error", "message"}; the new PIN is the first line of standard input,
                the present PIN of the role or of the owner the second one where the role has a PIN already
``pin check``   {"role", "granted", "tries_left", "locked_ms", "error"}; the PIN is the first line
``status``      {"running": true, ...daemon.status} or {"running": false, "error", "terminal", "records", "whole"}
``network``     see `terminald.network`
``log``         {"records": [{"seq", "time_ms", "clock", "type", ...the record's body}]}
"""

import argparse
import sys
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import assert_never

import msgspec

from core.ledger import Stream, open_record
from core.ports import JournalError
from store.credentials import Credentials, Denied, Granted, Locked, NotSet, PinRefused, Role
from store.verify import iter_records, verify_journal
from terminald import paths
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.client import CallFailed, Disconnected, call_once
from terminald.config import Config
from terminald.operators import kernel_moment

LOG_LINES_MAX = 1_000


def pin_status(given: argparse.Namespace) -> int:
    """Whether a role has a PIN."""
    with_credentials = _credentials(given)
    if with_credentials is None:
        return CANNOT
    with with_credentials as credentials:
        is_set = credentials.is_set(Role(given.role))
    _tell(given, {"role": given.role, "set": is_set}, f"{given.role}: {'has a PIN' if is_set else 'has no PIN yet'}")
    return 0


def pin_set(given: argparse.Namespace) -> int:
    """Gives a role a PIN; one that is there already is replaced only by who knows it, or by the owner."""
    with_credentials = _credentials(given)
    if with_credentials is None:
        return CANNOT
    new, present = _line(), _line()
    role = Role(given.role)
    with with_credentials as credentials:
        error = _may_set(credentials, role, present)
        text = error
        if error is None:
            try:
                credentials.set_pin(role, new)
            except PinRefused as refused:
                error, text = "pin-refused", str(refused)
        is_set = credentials.is_set(role)
    if error is not None:
        _tell(given, {"role": role.value, "set": is_set, "error": error, "message": text}, f"refused: {text}")
        return FINDING
    _tell(given, {"role": role.value, "set": True}, f"{role.value}: the PIN is set")
    return 0


def pin_check(given: argparse.Namespace) -> int:
    """Checks a PIN; the try counts before it is looked at."""
    with_credentials = _credentials(given)
    if with_credentials is None:
        return CANNOT
    with with_credentials as credentials:
        answer = credentials.check(Role(given.role), _line(), kernel_moment())
    said: dict[str, object] = {"role": given.role, "granted": False, "tries_left": 0, "locked_ms": 0}
    match answer:
        case Granted():
            said["granted"] = True
            words = "granted"
        case Denied(tries_left=left):
            said |= {"tries_left": left, "error": "pin-wrong"}
            words = f"wrong PIN, {left} tries left"
        case Locked(left_ms=left_ms):
            said |= {"locked_ms": left_ms, "error": "pin-locked"}
            words = f"locked for {-(-left_ms // 60_000)} minutes more"
        case NotSet():
            said["error"] = "pin-not-set"
            words = "no PIN is set"
        case _:
            assert_never(answer)
    _tell(given, said, words)
    return 0 if isinstance(answer, Granted) else FINDING


def status(given: argparse.Namespace) -> int:
    """What the daemon says of itself; without one, what its journal says."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        answered = call_once(config.socket, "daemon.status", timeout_s=5.0)
    except (Disconnected, CallFailed, TimeoutError) as error:
        said = {"running": False, "error": str(error), "terminal": config.terminal, **_journal_at_rest(config)}
        _tell(given, said, _table(said))
        return FINDING
    assert isinstance(answered, dict)
    running = {"running": True, **answered}
    _tell(given, running, _table(running))
    return 0


def network(given: argparse.Namespace) -> int:
    """Address, time, name lookup, and a round trip to the broker."""
    from terminald.network import look

    config = load_config(given.config)
    if config is None:
        return CANNOT
    said = look(config)
    _tell(given, said, _table(said))
    return 0


def log(given: argparse.Namespace) -> int:
    """The newest records of the technical stream, oldest first."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    newest: deque[dict[str, object]] = deque(maxlen=max(1, min(given.lines, LOG_LINES_MAX)))
    try:
        for record in iter_records(config.journal, paths.load_keys(config).journal):
            envelope = open_record(record.exact)
            if envelope.stream is Stream.TECHNICAL:
                body: dict[str, object] = msgspec.json.decode(envelope.body)
                newest.append({"seq": record.seq, "time_ms": envelope.time_ms, "clock": envelope.clock.value, **body})
    except JournalError as error:
        return fail(f"{error} ({error.code}). {error.remedy}")
    _tell(given, {"records": list(newest)}, "\n".join(_log_line(entry) for entry in newest))
    return 0


def _credentials(given: argparse.Namespace) -> Credentials | None:
    config = load_config(given.config)
    if config is None:
        return None
    try:
        keys = paths.load_or_make_keys(config)
        return Credentials(config.credentials, keys.credentials, keys.pin_pepper)
    except JournalError as error:
        fail(f"{error} ({error.code}). {error.remedy}")
        return None


def _may_set(credentials: Credentials, role: Role, present: str) -> str | None:
    """Why a PIN may not be set now, or None."""
    if not credentials.is_set(role):
        return None
    if not present:
        return "pin-is-set"
    for knower in dict.fromkeys((role, Role.OWNER)):
        if isinstance(credentials.check(knower, present, kernel_moment()), Granted):
            return None
    return "pin-wrong"


def _journal_at_rest(config: Config) -> dict[str, object]:
    try:
        found = verify_journal(config.journal, paths.load_keys(config).journal)
    except JournalError as error:
        return {"records": 0, "whole": False, "journal_error": f"{error.code}: {error}"}
    return {"records": found.records, "whole": found.whole}


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _clock_time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone().isoformat(sep=" ", timespec="seconds")


def _log_line(entry: Mapping[str, object]) -> str:
    time_ms = entry["time_ms"]
    assert isinstance(time_ms, int)
    rest = " ".join(
        f"{name}={value}" for name, value in entry.items() if name not in ("seq", "time_ms", "clock", "type")
    )
    return f"{entry['seq']:>7} {_clock_time(time_ms)[:19]} {entry['type']} {rest}".rstrip()


def _table(said: Mapping[str, object]) -> str:
    return "\n".join(f"{name:<18} {value}" for name, value in said.items())


def _tell(given: argparse.Namespace, said: Mapping[str, object], words: str) -> None:
    if given.json:
        emit(said)
    else:
        print(words)
