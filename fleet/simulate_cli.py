"""`terminald-fleet simulate`: a fleet in one process."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.arguments import Commands, add_database, broker, public_key

if TYPE_CHECKING:
    from fleet.simulator.run import Wanted

TERMINALS_MAX = 99_999
LINES_MAX = 100
_LARGEST = 1e6


def add(commands: Commands) -> None:
    """The command."""
    parser = commands.add_parser("simulate", help="be thousands of terminals, to size a broker and a database")
    parser.add_argument("--terminals", metavar="N", type=_terminals, required=True, help=f"at most {TERMINALS_MAX}")
    parser.add_argument("--sales-per-hour", metavar="R", type=_from_zero, default=60.0, help="of each terminal (60)")
    parser.add_argument("--minutes", metavar="M", type=_from_zero, default=1.0, help="for how long they sell (1)")
    parser.add_argument("--broker", metavar="URL", type=broker, required=True, help="mqtt://[user:password@]host:port")
    parser.add_argument("--ca", metavar="FILE", type=Path, help="who may sign the broker's certificate, for mqtts://")
    parser.add_argument("--certificate", metavar="FILE", type=Path, help="one that all terminals show to the broker")
    parser.add_argument("--certificate-key", metavar="FILE", type=Path, help="belongs to the certificate")
    parser.add_argument(
        "--ack-key", metavar="HEX", type=public_key, help="as `key` prints it; not needed beside an embedded database"
    )
    add_database(parser, required=False)
    parser.add_argument("--backlog-days", metavar="D", type=_from_zero, default=0.0, help="sold before they connect")
    parser.add_argument("--lines", metavar="N", type=_lines, default=3, help="in a sale (3)")
    parser.add_argument(
        "--connect-rate", metavar="N", type=_rate, default=500.0, help="first connections a second (500)"
    )
    parser.add_argument(
        "--drain-timeout",
        metavar="S",
        type=_from_zero,
        default=300.0,
        help="what is waited for after the last sale (300)",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="for what they sell, and when (1)")
    parser.add_argument("--no-telemetry", action="store_true", help="records alone")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    import msgspec

    from fleet.simulator.report import as_text
    from fleet.simulator.run import simulate

    report = simulate(_wanted(options), say=lambda text: print(text, file=sys.stderr))
    print(msgspec.json.encode(report).decode() if options.json else as_text(report))
    return 0 if report.whole else 1


def _wanted(options: argparse.Namespace) -> "Wanted":
    from fleet.simulator.run import SimulateError, Wanted
    from fleet.store import Server
    from terminald.addresses import Tls
    from terminald.broker import parse_url

    ack_key = options.ack_key
    if ack_key is None:
        if options.database is None or isinstance(options.database, Server):
            raise SimulateError("say with --ack-key what headquarters' public key is: terminald-fleet key prints it")
        ack_key = _key_beside(options.database)
    tls = Tls(ca=options.ca, certificate=options.certificate, key=options.certificate_key)
    return Wanted(
        terminals=options.terminals, sales_per_hour=options.sales_per_hour, minutes=options.minutes,
        broker=parse_url(options.broker, tls), ack_key=ack_key, database=options.database, seed=options.seed, backlog_days=options.backlog_days, lines=options.lines, connect_rate=options.connect_rate,
        drain_timeout_s=options.drain_timeout, telemetry=not options.no_telemetry,
    )  # fmt: skip


def _key_beside(database: Path) -> bytes:
    """Of a collector that has run: this command makes no key."""
    from fleet.keys import KeyFileError, beside, load_or_make

    if not beside(database).exists():
        raise KeyFileError(f"there is no {beside(database)}; start the collector first")
    return load_or_make(beside(database)).public_key


def _terminals(text: str) -> int:
    return _whole(text, TERMINALS_MAX)


def _lines(text: str) -> int:
    return _whole(text, LINES_MAX)


def _whole(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {most}")
    return int(text)


def _from_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _LARGEST:
        raise argparse.ArgumentTypeError(f"a number from 0 to {_LARGEST:g}")
    return value


def _rate(text: str) -> float:
    value = _from_zero(text)
    if not value:
        raise argparse.ArgumentTypeError("at least a little above 0")
    return value
