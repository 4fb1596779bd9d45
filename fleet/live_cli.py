"""`terminald-fleet list`, `show` and `watch`: how the terminals are."""

import argparse
import logging
import sys
import time

from fleet.arguments import Commands, add_brokers, add_database, brokers_of, terminal


def add(commands: Commands) -> None:
    """Adds the commands."""
    some = commands.add_parser(
        "list", help="what headquarters holds of each terminal; all, or those that are all of this"
    )
    some.add_argument("--offline", action="store_true", help="those that are not online")
    some.add_argument("--alarms", action="store_true", help="those with an alarm")
    some.add_argument("--waiting", action="store_true", help="those whose records are not all here")
    some.add_argument("--older-than", metavar="MINUTES", type=float, help="whose last sign of life is older")
    some.add_argument("--site", metavar="TEXT", action="append", help="at this site; several: at one of them")
    some.add_argument("--tag", metavar="TAG", action="append", help="with this tag; several: with each of them")
    some.add_argument("--software", metavar="VERSION", help="that run this version")
    some.add_argument("--retired", action="store_true", help="those that are retired too")
    some.add_argument("--json", action="store_true", help="one JSON object")
    add_database(some)
    some.set_defaults(run=_list)
    one = commands.add_parser("show", help="all that headquarters knows of a terminal: what it last said, its alarms")
    one.add_argument("terminal", metavar="TERMINAL", type=terminal)
    one.add_argument("--json", action="store_true", help="one JSON object")
    add_database(one)
    one.set_defaults(run=_show)
    live = commands.add_parser("watch", help="the fleet live from the broker, whatever is in trouble on top")
    add_brokers(live)
    add_database(live, required=False)
    live.set_defaults(run=_watch)


def _list(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.report import Selection, as_text, summarize

    selection = Selection(
        sites=tuple(given.site or ()), tags=tuple(given.tag or ()), software=given.software, offline=given.offline,
        alarms=given.alarms, waiting=given.waiting, retired=given.retired,
        silent_ms=None if given.older_than is None else round(given.older_than * 60_000),
    )  # fmt: skip
    report = summarize(given.database, selection, _now_ms())
    print(msgspec.json.encode(report).decode() if given.json else as_text(report))
    return 0


def _show(given: argparse.Namespace) -> int:
    import msgspec

    from fleet.terminal_report import as_text, terminal_report

    found = terminal_report(given.database, given.terminal)
    print(msgspec.json.encode(found).decode() if given.json else "\n".join(as_text(found, _now_ms())))
    return 0


def _watch(given: argparse.Namespace) -> int:
    from fleet.config import CollectorConfig

    brokers = brokers_of(given, CollectorConfig())
    if not brokers:
        print("terminald-fleet: give --broker", file=sys.stderr)
        return 2
    from fleet.watch.app import WatchApp
    from fleet.watch.feed import recall
    from fleet.watch.fleet import Fleet
    from terminald.clock import SystemClock

    logging.getLogger().addHandler(logging.NullHandler())  # the screen says it; standard error is under the screen
    fleet = Fleet()
    if given.database is not None:
        recall(fleet, given.database)
    app = WatchApp(fleet, SystemClock(), brokers)
    app.run()
    return app.return_code or 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
