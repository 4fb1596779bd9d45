"""The command `terminald`: the daemon itself, and what a technician or a script asks of a terminal.

Each subcommand imports what it needs when it runs. Status 0 is success, 1 a finding or a refusal, 2 what cannot be
done at all (a configuration, a key, a file).
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from terminald import receipt_verify

if TYPE_CHECKING:
    from terminald.config import Config

_STATES = (
    "idle", "ringing", "weighing", "asking", "loading", "unloading", "tendering", "authorizing", "enquiring", "reversing",
)  # fmt: skip
"""Of a till, as its screens name them (`core.view.Mode`)."""

STREAMS = ("sales", "till", "totals", "copies", "technical", "training")
"""The separate chains of a journal (`core.ledger.Stream`)."""

FINDING = 1
CANNOT = 2
SOFTWARE = 70
"""sysexits.h EX_SOFTWARE: the daemon ended by a fault and is to be started again."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand and returns the exit status."""
    given = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        status = command(given)
        sys.stdout.flush()  # here, where a reader that has gone is no surprise, and not at the interpreter's end
        return status
    except BrokenPipeError:
        # Whoever read us has gone. What is still buffered goes nowhere, or the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINDING
    except KeyboardInterrupt:
        return 130


def fail(text: str, status: int = CANNOT) -> int:
    """Says what is wrong on standard error."""
    print(f"terminald: {text}", file=sys.stderr)
    return status


def load_config(path: Path) -> "Config | None":
    """The configuration, or None after its faults were said."""
    from terminald.config import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        for fault in error.faults:
            print(f"{path}:{fault.line}: {fault.message}", file=sys.stderr)
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}")
    return None


def emit(value: Any, *, now: bool = False) -> None:
    """Prints a value as one line of JSON; with `now` a reader at the other end of a pipe has it at once."""
    import msgspec

    print(msgspec.json.encode(value).decode(), flush=now)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="terminald", description="A till that loses no sale.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, words: str, command: Callable[[argparse.Namespace], int], parent: Any = commands) -> Any:
        sub = parent.add_parser(name, help=words, description=words)
        sub.set_defaults(command=command)
        return sub

    def with_config(sub: Any, *, json: bool = True) -> Any:
        sub.add_argument("--config", type=Path, default=Path("/etc/terminald/terminal.toml"), metavar="FILE")
        if json:
            sub.add_argument("--json", action="store_true", help="one JSON object instead of words")
        return sub

    with_config(add("run", "run the terminal", _run), json=False)
    with_config(add("check", "say every fault of a configuration, with its line", _check), json=False)
    call = add("call", "call a method of the running daemon and print its result as JSON", _call)
    call.add_argument("method")
    call.add_argument("params", nargs="?", default="{}", metavar="JSON", help="- for standard input")
    call.add_argument("--socket", type=Path, default=Path("/run/terminald/control.sock"), metavar="PATH")

    scans = add("classify", "what scans mean: one a line on standard input", _late("classify_cli", "classify_lines"))
    scans.add_argument("--state", choices=_STATES, default="ringing", help="of the till")
    scans.add_argument("--config", type=Path, metavar="FILE", help="the shop's own codes; without it none are known")

    journal = commands.add_parser("journal", help="look into the journal").add_subparsers(required=True)
    with_config(add("verify", "check every record; status 0 whole, 1 a finding, 2 cannot be opened", _verify, journal))
    with_config(add("show", "print every record, one JSON object a line", _show, journal), json=False)

    found = with_config(
        add("find", "find finished transactions, the newest first", _late("history_cli", "find"), journal)
    )
    _narrowed(found).add_argument("--limit", type=int, default=100, metavar="N")
    export = with_config(
        add("export", "write finished transactions out, the oldest first", _late("history_cli", "export"), journal),
        json=False,
    )
    _narrowed(export).add_argument(
        "--format",
        choices=("jsonl", "csv", "records"),
        default="jsonl",
        help="records: every record, exact, with its hash",
    )
    export.add_argument("--stream", choices=STREAMS, help="of records only this chain's")
    export.add_argument("--output", type=Path, metavar="FILE", help="else standard output")

    back = with_config(add("restore", "from a backup to a new medium", _late("restore", "restore"), journal))
    back.add_argument("--from", dest="source", type=Path, required=True, metavar="FOLDER")
    back.add_argument("--recovery-key", type=Path, metavar="FILE", help="where the key files are lost too")

    receipt = commands.add_parser("receipt", help="whether a receipt is genuine").add_subparsers(required=True)
    receipt_verify.arguments(
        add(
            "verify",
            "status 0 genuine, 1 forged, 2 no usable key, 3 another terminal's, 4 damaged, 5 unsigned",
            receipt_verify.verify,
            receipt,
        )
    )
    with_config(add("key", "the public key that receipts are verified by", _late("receipt_key", "show"), receipt))

    catalogue = commands.add_parser("catalogue", help="look after the catalogue").add_subparsers(required=True)
    goods = _late("catalogue_cli", "import_")
    load = with_config(add("import", "take in a CSV of items: all of it or nothing", goods, catalogue))
    load.add_argument("file", type=Path)
    load.add_argument("--number", type=int, metavar="N", help="the version that the file is; else the next")
    update = _late("catalogue_cli", "apply")
    with_config(
        add("apply", "apply an update on top of its version, or nothing of it", update, catalogue)
    ).add_argument("file", type=Path)
    with_config(
        add("status", "the version that there is, and how much of it", _late("catalogue_cli", "status"), catalogue)
    )
    words = with_config(add("search", "items by the words of their names", _late("catalogue_cli", "search"), catalogue))
    words.add_argument("text")
    words.add_argument("--limit", type=int, default=20, metavar="N")
    shown = with_config(add("show", "all that is known of a code", _late("catalogue_cli", "show"), catalogue))
    shown.add_argument("gtin")
    shown.add_argument("--at", metavar="TIME", help="its price at a local time, such as 2026-11-24T18:00; else now")

    recall = commands.add_parser("recall", help="goods that may not be sold").add_subparsers(required=True)
    taken = with_config(add("add", "take a lot, or all of an item, off sale", _late("recalls_cli", "add"), recall))
    taken.add_argument("gtin")
    taken.add_argument("--lot", default="", help="else all of it")
    taken.add_argument("--reason", required=True, help="what the screen says")
    taken.add_argument("--id", required=True, metavar="ID", help="whose recall it is: it is lifted by this")
    taken.add_argument("--since", default="", metavar="YYYY-MM-DD", help="for the record; else today")
    with_config(add("list", "the recalls that there are", _late("recalls_cli", "list_"), recall))
    lifted = with_config(add("lift", "sell again what a recall took off sale", _late("recalls_cli", "lift"), recall))
    lifted.add_argument("id")

    keys = commands.add_parser("keys", help="what guards the data").add_subparsers(required=True)
    with_config(
        add(
            "status",
            "what guards the keys, and against what; status 1 for a finding",
            _late("keys_cli", "status"),
            keys,
        )
    )
    turn = with_config(
        add("rotate", "new keys for everything; stop the daemon first", _late("keys_cli", "rotate_keys"), keys)
    )
    turn.add_argument(
        "--root-only", action="store_true", help="new root and KEK, the databases keep their keys: seconds"
    )
    found = with_config(
        add("recover", "open the keys with the recovery key, on a new board", _late("keys_cli", "recover_keys"), keys)
    )
    found.add_argument("--recovery-key", type=Path, required=True, metavar="FILE")
    made = add(
        "make-recovery",
        "make the organisation's recovery key, offline; prints its public half",
        _late("keys_cli", "make"),
        keys,
    )
    made.add_argument("file", type=Path)
    made.add_argument("--passphrase", action="store_true", help="ask for one, or read it from standard input")
    made.add_argument("--json", action="store_true", help="one JSON object instead of words")

    backup = commands.add_parser("backup", help="copies of all that must not be lost").add_subparsers(required=True)
    for name, words in (
        ("now", "make a backup, verify it, and remove those that are not to be kept"),
        ("list", "the backups that there are"),
        ("verify", "read a backup back, to its last record; status 1 for a finding"),
    ):
        sub = with_config(add(name, words, _late("backup", f"{name}_backup"), backup))
        sub.add_argument("--target", type=Path, metavar="FOLDER", help="else [backup] path")
        if name == "now":
            sub.add_argument("--unless-within", type=float, default=0.0, metavar="HOURS", help="if none is so young")
        if name == "verify":
            sub.add_argument("name", nargs="?", help="else the newest")
            sub.add_argument("--all", action="store_true", help="every one of them")

    code = add(
        "recovery-code",
        "answer a terminal that adopts a second medium, or wants a new owner; offline, where the recovery key is",
        _late("adopt", "recovery_code"),
        keys,
    )
    code.add_argument("--recovery-key", type=Path, required=True, metavar="FILE")
    code.add_argument("request")
    code.add_argument("--reclaim", action="store_true", help="for `operators reclaim`: such a code opens no data")
    code.add_argument("--json", action="store_true", help="one JSON object instead of words")

    heir = with_config(add("adopt", "take over from a dead terminal, by its second medium", _late("adopt", "adopt")))
    heir.add_argument("--stick", type=Path, required=True, metavar="DIR", help="where the second medium is mounted")
    opener = heir.add_mutually_exclusive_group()
    opener.add_argument("--recovery-key", type=Path, metavar="FILE")
    opener.add_argument("--recovery-code", metavar="CODE", help="without this and the key, prints what to ask for")
    heir.add_argument("--terminal", metavar="ID", help="whose, where the medium has several")
    heir.add_argument(
        "--last-receipt", type=int, metavar="N", help="the number on the last paper: none is left out then"
    )
    heir.add_argument("--salvage", action="store_true", help="take what comes before damage, and lose what follows")
    heir.add_argument("--force", action="store_true", help="although it was adopted before, or headquarters has more")

    enrol = _late("enrol_cli", "enrol")
    known = with_config(add("enrol", "be one of headquarters' terminals: a certificate, by a claim code", enrol))
    known.add_argument("--once", action="store_true", help="do not wait for headquarters' approval")
    known.add_argument("--renew", action="store_true", help="renew the certificate although it is not due")
    known.add_argument("--code", action="store_true", help="say the claim code, and ask nobody")

    pin = commands.add_parser("pin", help="the PINs of people").add_subparsers(required=True)
    for name, words, command in (
        ("status", "whether a role has a PIN", _late("technician", "pin_status")),
        ("set", "give a role a PIN, read from standard input", _late("technician", "pin_set")),
        ("check", "check a role's PIN, read from standard input", _late("technician", "pin_check")),
    ):
        with_config(add(name, words, command, pin)).add_argument(
            "--role", required=True, choices=("owner", "technician")
        )

    people = commands.add_parser("operators", help="who may work at the till").add_subparsers(required=True)
    for name, words in (
        ("claim", "make the first supervisor; without an id, say the claim"),
        ("reclaim", "where no supervisor knows his PIN: a request to whoever holds the recovery key, and its answer"),
        ("list", "who may work here"),
        ("add", "make an operator"),
        ("remove", "take an operator out"),
        ("role", "give an operator another role"),
        ("pin", "give an operator another PIN, and lift his lock"),
        ("badge", "give an operator the badge that a reader is shown next"),
        ("unlock", "lift an operator's lock"),
    ):
        sub = with_config(add(name, words, _late("operators_cli", "list_" if name == "list" else name), people))
        if name == "reclaim":
            sub.add_argument("--code", default="", help="the answer: then a claim stands on the till's screen")
        if name not in ("list", "reclaim"):
            sub.add_argument("operator", metavar="ID", nargs="?" if name == "claim" else None)
        if name in ("claim", "add"):
            sub.add_argument("--name", default="", help="for the list; it is in no record")
        if name in ("add", "role"):
            sub.add_argument("--role", required=True, choices=("cashier", "supervisor", "technician", "auditor"))
        if name == "role":
            sub.add_argument("--new-pin", action="store_true", help="with a new PIN, where the role needs a longer one")
        if name == "badge":
            sub.add_argument("--code", default="", help="instead: what a staff code says")
        if name not in ("claim", "reclaim", "list"):
            sub.add_argument("--approver", default="", metavar="ID", help="the supervisor who allows it, by his PIN")

    tamper = commands.add_parser("tamper", help="whether the case was opened").add_subparsers(required=True)
    with_config(add("status", "whether the case was opened; status 1 if so", _late("tamper_cli", "status"), tamper))
    order = add("release", "let it sell again, by headquarters' signed order", _late("tamper_cli", "release"), tamper)
    with_config(order).add_argument("file", type=Path)

    with_config(add("status", "what the daemon says of itself", _late("technician", "status")))
    devices = commands.add_parser("devices", help="what is plugged in").add_subparsers(required=True)
    with_config(
        add("list", "the devices, their state and their quality", _late("devices_cli", "list_devices"), devices)
    )
    with_config(add("watch", "each change of a device, until interrupted", _late("devices_cli", "watch"), devices))
    tried = with_config(add("test", "whether a device works; status 1 if not", _late("devices_cli", "test"), devices))
    tried.add_argument("name")
    kept = _late("recording_cli", "record")
    kept = with_config(add("record", "a device's raw traffic to a new file, cards masked, until Ctrl-C", kept, devices))
    kept.add_argument("name")
    kept.add_argument("file", type=Path)
    kept.add_argument("--seconds", type=float, metavar="S", help="for so long")
    played = add(
        "replay",
        "play a recording to its driver, and print what that makes of it",
        _late("recording_cli", "replay"),
        devices,
    )
    played.add_argument("file", type=Path)
    played.add_argument("--speed", type=float, default=1.0, metavar="N", help="so many times as fast")
    played.add_argument("--link", type=Path, metavar="PATH", help="be the device there instead, for a daemon to open")
    found = _late("devices_cli", "suggest")
    suggested = with_config(add("suggest", "tables for what is plugged in and has none", found, devices))
    suggested.add_argument("--all", action="store_true", help="for what has one too")
    with_config(
        add("network", "address, time, name lookup and a round trip to the broker", _late("technician", "network"))
    )
    log = with_config(add("log", "the newest records of the technical log", _late("technician", "log")))
    log.add_argument("--lines", type=int, default=20, metavar="N")
    return parser


def _run(given: argparse.Namespace) -> int:
    import asyncio

    from core.ports import JournalError, OutcomeUnknown
    from terminald import daemon, logs
    from terminald.overlay import overlay_of
    from terminald.unixsocket import SocketTaken

    overlay = overlay_of(given.config)
    try:
        if overlay is not None and overlay.started():
            print("terminald: headquarters' configuration is taken back: the till did not stay up", file=sys.stderr)
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}")
    config = load_config(given.config)
    if config is None:
        return CANNOT
    logs.configure()
    try:
        asyncio.run(daemon.run(config))
    except OutcomeUnknown as error:
        fail(f"{error} ({error.code}). {error.remedy}")
        _leave(SOFTWARE)
    except JournalError as error:
        return fail(f"{error} ({error.code}). {error.remedy}")
    except (SocketTaken, OSError, ValueError) as error:
        return fail(str(error))
    except ExceptionGroup as group:
        for leaf in _leaves(group):
            # The text of what we did not foresee may quote a basket: its kind alone is said, and its place is logged.
            if isinstance(leaf, JournalError):
                fail(f"{leaf} ({leaf.code}). {leaf.remedy}")
            else:
                fail(f"{type(leaf).__name__} in the daemon: its log says where. It is to be started again.")
        logs.report(group)
        _leave(SOFTWARE)
    return 0


def _leave(status: int) -> NoReturn:
    """Ends the process at once. Tidying up takes longer than a fault leaves, and would touch a medium that has failed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _check(given: argparse.Namespace) -> int:
    config = load_config(given.config)
    if config is None:
        return FINDING
    print(f"{given.config}: sound, {len(config.devices)} devices")
    return 0


def _call(given: argparse.Namespace) -> int:
    import json

    from terminald.client import CallFailed, CallRefused, Disconnected, call_once

    try:
        params = json.loads(sys.stdin.read() if given.params == "-" else given.params)
    except ValueError as error:
        return fail(f"the parameters are not JSON: {error}")
    if not isinstance(params, dict):
        return fail("the parameters must be a JSON object")
    try:
        emit(call_once(given.socket, given.method, params))
    except CallRefused as error:
        details = "".join(f" {name}={value}" for name, value in error.message.params.items())
        return fail(f"{error.message.id}{details} ({error.code})", FINDING)
    except CallFailed as error:
        return fail(f"{error.reason} ({error.code})", FINDING)
    except Disconnected as error:
        return fail(str(error), FINDING)
    except TimeoutError:
        return fail("the daemon did not answer in time", FINDING)
    return 0


def _verify(given: argparse.Namespace) -> int:
    from terminald.verify_cli import verify

    return verify(given)


def _show(given: argparse.Namespace) -> int:
    from core.ports import JournalError
    from store.verify import iter_records, record_line
    from terminald import paths

    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        for record in iter_records(config.journal, paths.load_keys(config).journal):
            print(record_line(record).decode())
    except JournalError as error:
        return fail(f"{error} ({error.code}). {error.remedy}")
    return 0


def _narrowed(sub: Any) -> Any:
    """The options that narrow a look into the history."""
    sub.add_argument("--number", type=int, metavar="N", help="the receipt's number")
    sub.add_argument("--day", metavar="YYYY-MM-DD", help="one business day")
    sub.add_argument("--from-day", metavar="YYYY-MM-DD")
    sub.add_argument("--to-day", metavar="YYYY-MM-DD")
    sub.add_argument("--item", metavar="GTIN")
    sub.add_argument("--tender", metavar="KIND", help="CASH, CREDIT")
    sub.add_argument("--operator", metavar="NAME")
    sub.add_argument("--status", choices=("completed", "cancelled"))
    return sub


def _late(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """A subcommand of ``terminald.MODULE``, imported when it runs."""

    def command(given: argparse.Namespace) -> int:
        run: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"terminald.{module}"), name)
        return run(given)

    return command


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
