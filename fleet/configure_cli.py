"""`terminald-fleet configure`: the configuration that terminals are to have, and which they say they have."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.arguments import Commands, add_database, add_sign_in, terminal
from fleet.orders_cli import add_wait
from fleet.registry_cli import add_filters, filter_of

if TYPE_CHECKING:
    from fleet.configure import Standing

LOOK_EVERY_S = 0.5
BYTES_MAX = 1 << 20


def add(commands: Commands) -> None:
    """Adds the commands."""
    parser = commands.add_parser("configure", help="the configuration that terminals are to have")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    send = actions.add_parser("send", help="check a document, tell how it differs, and give it to terminals")
    send.add_argument("--why", metavar="TEXT", default="", help="the reason; it stands in the log")
    add_wait(send)
    add_sign_in(send)
    send.set_defaults(run=_send)
    diff = actions.add_parser("diff", help="check a document, and tell how it differs from what terminals are to have")
    add_database(diff)
    diff.set_defaults(run=_diff)
    for action in (send, diff):
        action.add_argument("file", metavar="FILE", type=Path, help="TOML: its tables replace the terminal's own")
        action.add_argument(
            "--base", metavar="FILE", type=Path, help="what terminals have besides, to check both together"
        )
    status = actions.add_parser("status", help="who has which; 1 where somebody has not what it is to have")
    status.add_argument("--json", action="store_true", help="a JSON list")
    add_database(status)
    status.set_defaults(run=_status)
    for action in (send, diff, status):
        add_filters(action)
    show = actions.add_parser("show", help="the document that a terminal is to have")
    show.add_argument("terminal", metavar="TERMINAL", type=terminal)
    add_database(show)
    show.set_defaults(run=_show)


def _send(given: argparse.Namespace) -> int:
    from fleet.configure import give
    from fleet.session import signed_in

    doc = _checked(given)
    if not given.json:
        _print_differences(given, doc)
    with signed_in(given) as my:
        told, same = give(my.store, my.key, my.operator, doc, filter_of(given), given.why, my.now_ms)
    if not given.json:
        print(f"{len(told)} terminals are told" + (f"; {len(same)} are to have it already" if same else ""))
    return _follow(given, told)


def _follow(given: argparse.Namespace, told: list[str]) -> int:
    from fleet.configure import standing
    from fleet.registry import Filter

    end_s = time.monotonic() + given.wait / 1000
    while told:
        found = standing(given.database, Filter(terminals=tuple(told)))
        if all(each.state in ("applied", "rejected", "rolled-back") for each in found) or time.monotonic() >= end_s:
            return _print(found, as_json=given.json)
        time.sleep(LOOK_EVERY_S)
    return 0


def _diff(given: argparse.Namespace) -> int:
    _print_differences(given, _checked(given))
    return 0


def _status(given: argparse.Namespace) -> int:
    from fleet.configure import standing
    from fleet.registry import Filter

    wanted = filter_of(given)
    return _print(standing(given.database, None if wanted == Filter() else wanted), as_json=given.json)


def _show(given: argparse.Namespace) -> int:
    from fleet.configure import document

    doc = document(given.database, given.terminal)
    if not doc:
        print(f"terminald-fleet: {given.terminal} has its own file alone", file=sys.stderr)
    print(doc, end="")
    return 0


def _print(found: "list[Standing]", *, as_json: bool) -> int:
    import msgspec

    from fleet.report import moment

    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        print(f"{'TERMINAL':<20} {'STATE':<12} {'TO HAVE':<12} {'HAS':<12} {'GIVEN (UTC)':<20} WHY NOT")
        for each in found:
            why = ": ".join(word for word in (each.code, each.text) if word)
            print(
                f"{each.terminal:<20} {each.state:<12} {each.hash[:12] or '-':<12} {each.active[:12] or '-':<12}"
                f" {moment(each.made_ms):<20} {why}".rstrip()
            )
    return 1 if any(each.hash and each.state != "applied" for each in found) else 0


def _print_differences(given: argparse.Namespace, doc: str) -> None:
    from fleet.configure import differences

    for lines, terminals in differences(given.database, doc, filter_of(given)):
        some = ", ".join(terminals[:5]) + (f" and {len(terminals) - 5} more" if len(terminals) > 5 else "")
        print(f"{some}:")
        print("\n".join(f"    {line}" for line in lines) or "    no difference")


def _checked(given: argparse.Namespace) -> str:
    from fleet.configure import check

    doc = _read(given.file)
    check(doc, str(given.file), _read(given.base) if given.base else None)
    return doc


def _read(path: Path) -> str:
    from fleet.configure import ConfigurationUnfit

    try:
        with path.open("rb") as file:
            text = file.read(BYTES_MAX + 1)
        if len(text) > BYTES_MAX:
            raise ConfigurationUnfit(f"{path} is larger than a configuration can be")
        return text.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationUnfit(f"{path} is not UTF-8") from error
    except OSError as error:
        raise ConfigurationUnfit(f"{path} cannot be read: {error.strerror}") from error
