"""`terminald-fleet`: headquarters' commands."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet import (
    ca_cli,
    configure_cli,
    content_cli,
    enrol_cli,
    live_cli,
    operators_cli,
    orders_cli,
    quality_cli,
    recalls_cli,
    registry_cli,
    simulate_cli,
)
from fleet.arguments import Commands, add_brokers, add_database, add_key, brokers_of, public_key, terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 it could not be done, 2 wrong arguments."""
    options = _parser().parse_args(arguments)
    from fleet.database import DatabaseError
    from fleet.keys import KeyFileError
    from fleet.refusal import Refused

    try:
        run: Callable[[argparse.Namespace], int] = getattr(options, "run", None) or _COMMANDS[options.command]
        status = run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (DatabaseError, KeyFileError, Refused) as error:
        print(f"terminald-fleet: {error.code}: {error}\n{error.remedy}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="terminald-fleet", description="Headquarters of the terminals.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    collect = commands.add_parser("collect", help="take the terminals' records from the broker into the database")
    collect.add_argument("--config", metavar="FILE", type=Path, help="TOML with these settings; options go before it")
    add_brokers(collect)
    add_database(collect, required=False)
    add_key(collect)
    collect.add_argument(
        "--ack-public-key-file", metavar="FILE", type=Path, help="write the key's public half (hex) there"
    )
    key = commands.add_parser("key", help="print the public key for the terminals' headquarters.ack_key")
    add_database(key)
    add_key(key)
    trust = commands.add_parser("trust", help="pin the key that a terminal signs with")
    trust.add_argument("terminal", metavar="TERMINAL", type=terminal)
    trust.add_argument("public_key", metavar="HEX", type=public_key, help="its Ed25519 public key")
    add_database(trust)
    _add_quarantine(commands)
    _add_backup(commands)
    whole = commands.add_parser("verify", help="look through all records: hashes, chains, signatures, finance's rows")
    add_database(whole)
    forked = commands.add_parser("forks", help="what says that there are two of one terminal")
    forked.add_argument("--json", action="store_true", help="a JSON list")
    add_database(forked)
    for area in _AREAS:
        area(commands)
    return parser


def _add_quarantine(commands: Commands) -> None:
    quarantine = commands.add_parser("quarantine", help="batches that were not taken")
    actions = quarantine.add_subparsers(dest="action", required=True, metavar="ACTION")
    some = actions.add_parser("list", help="those that nobody has decided about")
    some.add_argument("--terminal", metavar="TERMINAL", type=terminal, help="of one terminal")
    some.add_argument("--all", action="store_true", help="those that are settled too")
    some.add_argument("--json", action="store_true", help="a JSON list")
    one = actions.add_parser("show", help="a batch with its records, and which of them headquarters holds otherwise")
    one.add_argument("--json", action="store_true", help="a JSON object")
    again = actions.add_parser("release", help="try to take a batch once more, after `trust` or an update")
    away = actions.add_parser("drop", help="settle a batch without taking it; it is kept as evidence")
    away.add_argument("--why", metavar="TEXT", required=True, help="the reason; it is kept with the batch")
    for action in (one, again, away):
        action.add_argument("number", metavar="NUMBER", type=int, help="as `quarantine list` names it")
    for action in (some, one, again, away):
        add_database(action)


def _add_backup(commands: Commands) -> None:
    backup = commands.add_parser("backup", help="back up headquarters, so that terminals may forget what is old")
    actions = backup.add_subparsers(dest="action", required=True, metavar="ACTION")
    whole = actions.add_parser("make", help="copy an embedded database, verify the copy, and tell the terminals")
    whole.add_argument("to", metavar="FILE", type=Path, help="where the copy goes, on another medium")
    actions_begin = actions.add_parser("begin", help="before a backup by other tools (pg_dump); prints its NUMBER")
    done = actions.add_parser("done", help="after it, once it is known to be whole: tell the terminals")
    done.add_argument("number", metavar="NUMBER", type=int, help="as `backup begin` printed it")
    for action in (whole, actions_begin, done):
        add_database(action)


def _collect(options: argparse.Namespace) -> int:
    from fleet.config import CollectorConfig, ConfigError, load
    from fleet.run import collect

    try:
        config = load(options.config) if options.config else CollectorConfig()
        brokers, database = brokers_of(options, config), options.database or config.database
        if not brokers or database is None:
            raise ConfigError(f"give --{'database' if brokers else 'broker'}, or --config with it")
    except ConfigError as error:
        print(f"terminald-fleet: {error}", file=sys.stderr)
        return 2
    return collect(
        brokers=brokers,
        database=database,
        key=options.key or config.key,
        ack_public_key_file=options.ack_public_key_file or config.ack_public_key_file,
        webhook=config.webhook,
        webhook_secret=config.webhook_secret,
        silent_after_min=config.silent_after_min,
    )


def _key(options: argparse.Namespace) -> int:
    from fleet.keys import beside, load_or_make

    print(load_or_make(options.key or beside(options.database)).public_key.hex())
    return 0


def _trust(options: argparse.Namespace) -> int:
    from fleet.intake import trust
    from fleet.store import open_store

    now_ms = time.time_ns() // 1_000_000
    database = open_store(options.database, now_ms=now_ms)
    try:
        trust(database, options.terminal, options.public_key, now_ms)
    finally:
        database.close()
    return 0


def _quarantine(options: argparse.Namespace) -> int:
    import msgspec

    from fleet.quarantine import drop, listed, release, shown
    from fleet.report import quarantine_as_text
    from fleet.store import open_made

    now_ms = time.time_ns() // 1_000_000
    if options.action == "list":
        found = listed(options.database, options.terminal, settled=options.all)
        print(msgspec.json.encode(found).decode() if options.json else quarantine_as_text(found))
        return 0
    if options.action == "show":
        held, lines = shown(options.database, options.number)
        if options.json:
            print(msgspec.json.encode({"batch": held, "records": lines}).decode())
        else:
            print(quarantine_as_text([held]))
            for line in lines:
                print(f"    {line.seq} {line.type} (held: {line.held}) {bytes(line.body).decode()}")
        return 0
    with contextlib.closing(open_made(options.database, now_ms=now_ms)) as store:
        if options.action == "drop":
            drop(store, options.number, options.why, now_ms)
            return 0
        refusals = release(store, options.number, now_ms)
    for refusal in refusals:
        print(f"terminald-fleet: {refusal.code}: {refusal.detail}", file=sys.stderr)
    return 1 if refusals else 0


def _forks(options: argparse.Namespace) -> int:
    import msgspec

    from fleet.quarantine import forks
    from fleet.report import quarantine_as_text

    found = forks(options.database)
    if options.json:
        print(msgspec.json.encode(found).decode())
        return 0
    for fork in found:
        print(f"{fork.terminal}:")
        for twins in fork.twins:
            print(f"    TWO TERMINALS: {twins}")
        if fork.batches:
            print(quarantine_as_text(fork.batches))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from fleet.verify import verify_all

    records, found = verify_all(options.database)
    for finding in found:
        print(f"{finding.kind}: {finding.terminal} {finding.epoch} at record {finding.seq}")
    print(f"{records} records looked at, {len(found)} findings")
    return 1 if found else 0


def _backup(options: argparse.Namespace) -> int:
    from fleet.backup import BackupError, begin, copy, finish
    from fleet.store import Server, open_made

    now_ms = time.time_ns() // 1_000_000
    if options.action == "make" and isinstance(options.database, Server):
        raise BackupError("a server is backed up by its own tools, between `backup begin` and `backup done`")
    with contextlib.closing(open_made(options.database, now_ms=now_ms)) as store:
        if options.action == "begin":
            print(begin(store, now_ms))
            return 0
        if options.action == "make":
            number = begin(store, now_ms)
            copy(options.database, options.to)
        else:
            number = options.number
        print(f"{finish(store, number, now_ms)} epochs are archived further")
    return 0


_AREAS: tuple[Callable[[Commands], None], ...] = (
    ca_cli.add,
    configure_cli.add,
    content_cli.add,
    enrol_cli.add,
    live_cli.add,
    operators_cli.add,
    orders_cli.add,
    quality_cli.add,
    recalls_cli.add,
    registry_cli.add,
    simulate_cli.add,
)
"""What adds the commands of an area, each with its handler as `run`."""
_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "collect": _collect, "key": _key, "trust": _trust, "quarantine": _quarantine,
    "forks": _forks, "backup": _backup, "verify": _verify,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
