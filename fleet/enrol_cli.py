"""`terminald-fleet enrol`: who may be a terminal."""

import argparse
import asyncio
import csv
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.arguments import Commands, add_database, add_key, add_sign_in, checked, terminal
from fleet.ca_cli import add_ca, now_ms, opened

if TYPE_CHECKING:
    from fleet.enrol import Desk

PORT = 8885


def add(commands: Commands) -> None:
    """Adds the command."""
    enrol = commands.add_parser("enrol", help="make new terminals trusted")
    actions = enrol.add_subparsers(dest="action", required=True, metavar="ACTION")
    serve = actions.add_parser("serve", help="the door at which terminals ask, and renew their certificates")
    serve.add_argument("--config", metavar="FILE", type=Path, help="TOML with these settings; options go before it")
    serve.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="its name for terminals; as often as it has any"
    )
    serve.add_argument("--listen", default="", metavar="ADDRESS", help="where it listens; else everywhere")
    serve.add_argument("--port", type=int, default=PORT, metavar="N")
    add_database(serve, required=False)
    add_key(serve)
    serve.set_defaults(run=_serve)
    show = actions.add_parser("list", help="who waits to be enrolled, and who claims to be somebody else")
    show.add_argument("--all", action="store_true", help="those that were decided too")
    show.add_argument("--json", action="store_true", help="one JSON object")
    show.set_defaults(run=_list)
    approve = actions.add_parser("approve", help="let a terminal in by the code on its screen")
    approve.add_argument("code", metavar="CODE", nargs="?", type=_code, help="or --bulk")
    approve.add_argument("--terminal", metavar="TERMINAL", type=terminal, help="its name; else as it says")
    approve.add_argument("--workstation", metavar="TEXT", default="", help="where it stands")
    approve.add_argument("--replace", action="store_true", help="it takes the place of the one that has the name")
    approve.add_argument(
        "--bulk", type=Path, metavar="FILE", help="CSV: code, terminal, workstation; also codes that are yet to come"
    )
    add_sign_in(approve)
    approve.set_defaults(run=_approve)
    refuse = actions.add_parser("refuse", help="send a terminal away")
    refuse.add_argument("code", metavar="CODE", type=_code)
    add_sign_in(refuse)
    refuse.set_defaults(run=_refuse)
    settle = actions.add_parser("settle", help="it is understood why two claimed to be this terminal")
    settle.add_argument("terminal", metavar="TERMINAL", type=terminal)
    add_sign_in(settle)
    settle.set_defaults(run=_settle)
    for action in (serve, show, approve, refuse, settle):
        add_ca(action)


def _serve(options: argparse.Namespace) -> int:
    import contextlib

    from fleet.config import CollectorConfig, ConfigError, load
    from fleet.database import DatabaseError
    from fleet.enrol import Approval, Desk, alarming, entering
    from fleet.enrol_server import EnrolServer, serve
    from fleet.keys import beside, load_or_make
    from fleet.refusal import Refused
    from fleet.store import open_made
    from terminald.clock import SystemClock
    from terminald.logs import configure

    try:
        config = load(options.config) if options.config else CollectorConfig()
        database, hosts = options.database or config.database, options.host or config.enrol_hosts
        if database is None or not hosts:
            raise ConfigError(f"give --{'host' if database else 'database'}, or --config with it")
    except ConfigError as error:
        print(f"terminald-fleet: {error}", file=sys.stderr)
        return 2
    configure()
    signer = load_or_make(options.key or config.key or beside(database))

    def enter(approval: Approval, at_ms: int) -> None:
        with contextlib.closing(open_made(database, now_ms=at_ms)) as store:
            entering(store, signer)(approval, at_ms)

    def alarm(name: str, since_ms: int | None, address: str) -> None:
        try:
            with contextlib.closing(open_made(database, now_ms=now_ms())) as store:
                alarming(store, notify=config.webhook is not None)(name, since_ms, address)
        except DatabaseError as error:  # it stands in the book and in the log
            print(f"terminald-fleet: {error.code}: {error}", file=sys.stderr)

    ca = opened(options)
    server = EnrolServer(ca=ca, desk=Desk(ca, enter, alarm), hosts=hosts, clock=SystemClock())
    try:
        asyncio.run(serve(server, options.listen or None, options.port))
    except OSError as error:
        raise Refused(f"{options.listen or 'any address'}:{options.port}: {error.strerror}") from error
    return 0


def _list(options: argparse.Namespace) -> int:
    import msgspec

    from fleet.enrol import Desk

    waiting, clashes = Desk(opened(options)).listed(everything=options.all)
    if options.json:
        print(msgspec.json.encode({"requests": waiting, "clashes": clashes}).decode())
        return 0
    print(f"{'CODE':<14} {'STATE':<8} {'WANTS TO BE':<16} {'ASKED':<16} {'FROM':<15} BOARD")
    doubts = {"returns": "  KNOWN: its journal is that of the terminal of this name", "clash": "  THE NAME IS TAKEN"}
    for each in waiting:
        print(
            f"{each.code:<14} {each.state:<8} {each.terminal or each.wanted:<16} {_at(each.last_ms):<16} {each.address:<15}"
            f" {each.about}{doubts.get(each.doubt, '') if each.state == 'waiting' else ''}".rstrip()
        )
    for clash in clashes:
        print(
            f"TWO CLAIM TO BE {clash.terminal}: {clash.what} ({clash.times} times, {_at(clash.last_ms)}, from {clash.address})"
        )
    return 0


def _approve(options: argparse.Namespace) -> int:
    from fleet.enrol import Desk, RequestUnknown, entering
    from fleet.operators import Role
    from fleet.refusal import Refused
    from fleet.session import signed_in

    if (options.code is None) == (options.bulk is None):
        print("terminald-fleet: give CODE, or --bulk FILE", file=sys.stderr)
        return 2
    rows = [(options.code, options.terminal or "", options.workstation)] if options.code else _bulk(options.bulk)
    if rows is None:
        return 2
    with signed_in(options) as my:
        my.operator.needs(Role.SECURITY)
        desk = Desk(opened(options), entering(my.store, my.key))
        failed = 0
        for code, name, workstation in rows:
            try:
                done = desk.approve(
                    code,
                    now_ms(),
                    who=my.operator.name,
                    terminal=name,
                    workstation=workstation,
                    replace=options.replace,
                )
                print(f"{code} is {done}")
            except RequestUnknown:
                if options.bulk is None:
                    raise
                desk.expect(code, name, workstation, my.operator.name, now_ms())
                print(f"{code} will be {name}")
            except (Refused, ValueError) as error:
                if options.bulk is None:
                    raise
                print(f"terminald-fleet: {code}: {error}", file=sys.stderr)
                failed += 1
    return 1 if failed else 0


def _refuse(options: argparse.Namespace) -> int:
    return _decide(options, "enrol-refuse", lambda desk: desk.refuse(options.code, now_ms()), {"code": options.code})


def _settle(options: argparse.Namespace) -> int:
    return _decide(options, "enrol-settle", lambda desk: desk.settle(options.terminal, now_ms()), {})


def _decide(options: argparse.Namespace, action: str, decide: "Callable[[Desk], None]", about: dict[str, str]) -> int:
    from fleet.audit import note
    from fleet.enrol import Desk, alarming, entering
    from fleet.operators import Role
    from fleet.session import signed_in

    with signed_in(options) as my:
        my.operator.needs(Role.SECURITY)
        decide(Desk(opened(options), entering(my.store, my.key), alarming(my.store, notify=False)))
        named = getattr(options, "terminal", "")
        with my.store.transaction() as statements:
            note(
                statements, my.key, now_ms=my.now_ms, who=my.operator.name, action=action, outcome="done",
                terminals=(named,) if named else (), about=about,
            )  # fmt: skip
    return 0


def _bulk(path: Path) -> list[tuple[str, str, str]] | None:
    """The rows of a file, all of them good, or None after its faults were said."""
    from core.enrolment import EnrolmentError, read_code
    from core.topics import check_terminal

    rows, faults = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.reader(file), 1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or (number == 1 and cells[0].lower() == "code"):
                    continue
                try:
                    code, name, workstation = [*cells, "", "", ""][:3]
                    rows.append((read_code(code), check_terminal(name), workstation))
                except (EnrolmentError, ValueError) as error:
                    faults.append(f"{path}:{number}: {error}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        faults.append(f"{path} cannot be read: {error}")
    names = [name for _, name, _ in rows]
    faults += [
        f"{path}: {name} stands there twice" for name in sorted({each for each in names if names.count(each) > 1})
    ]
    for fault in faults:
        print(f"terminald-fleet: {fault}", file=sys.stderr)
    return None if faults else rows


def _code(text: str) -> str:
    from core.enrolment import read_code

    return checked(lambda: read_code(text))


def _at(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
