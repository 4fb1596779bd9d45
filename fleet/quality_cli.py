"""`terminald-fleet quality`."""

import argparse
import sys
import time as clock
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from fleet.arguments import Commands, add_database, checked, terminal

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

DAYS = 7
DAYS_MAX = 400


def add(commands: Commands) -> None:
    """The command."""
    parser = commands.add_parser(
        "quality", help="whether sales come in time, complete and accurate, by terminal and day"
    )
    parser.add_argument(
        "--terminal", metavar="TERMINAL", type=terminal, action="append", default=[], help="of some alone"
    )
    parser.add_argument(
        "--from", dest="first", metavar="DAY", type=_day, help=f"business day, else {DAYS - 1} before --to"
    )
    parser.add_argument("--to", dest="last", metavar="DAY", type=_day, help="business day, else today")
    parser.add_argument(
        "--opening", metavar="HH:MM-HH:MM", type=_hours, help="when shops are open; silence counts then"
    )
    parser.add_argument(
        "--zone", metavar="NAME", type=_zone, help="of the opening hours, as Europe/Berlin; else this machine's"
    )
    parser.add_argument("--silent-minutes", metavar="N", type=_minutes, default=120, help="a pause that counts (120)")
    parser.add_argument("--late-minutes", metavar="N", type=_minutes, default=15, help="a p99 that counts (15)")
    parser.add_argument("--faults", action="store_true", help="only days on which something is wrong")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_database(parser)
    parser.set_defaults(run=_quality)


def _quality(options: argparse.Namespace) -> int:
    import msgspec

    from fleet.quality import Asked, as_text, measure, only_faults

    last = options.last or datetime.now().astimezone().date()
    first = options.first or last - timedelta(days=DAYS - 1)
    if not first <= last <= first + timedelta(days=DAYS_MAX - 1):
        print(f"terminald-fleet: from the first day to the last there are 1 to {DAYS_MAX}", file=sys.stderr)
        return 2
    opens, closes = options.opening or (None, None)
    asked = Asked(
        first=first, last=last, now_ms=clock.time_ns() // 1_000_000, terminals=tuple(options.terminal), opens=opens,
        closes=closes, zone=options.zone, silent_minutes=options.silent_minutes, late_ms=options.late_minutes * 60_000,
    )  # fmt: skip
    quality = measure(options.database, asked)
    if options.faults:
        quality = only_faults(quality)
    print(msgspec.json.encode(quality).decode() if options.json else as_text(quality))
    return 0


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a day is YYYY-MM-DD") from None


def _hours(text: str) -> tuple[time, time]:
    opens, _, closes = text.partition("-")
    try:
        hours = time.fromisoformat(opens), time.fromisoformat(closes)
    except ValueError:
        hours = (time.max, time.min)
    if hours[0] >= hours[1] or hours[0].tzinfo or hours[1].tzinfo:
        raise argparse.ArgumentTypeError("opening hours are HH:MM-HH:MM, the second later than the first")
    return hours


def _zone(text: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    def known() -> ZoneInfo:
        try:
            return ZoneInfo(text)
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError(f"{text!r} is no time zone that is known here") from error

    return checked(known)


def _minutes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError("minutes are a whole number from 1")
    return int(text)
