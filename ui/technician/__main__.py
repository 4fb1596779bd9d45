"""``terminald-console``: the technician's console on a serial line or any terminal."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from core.language import TAGS
from ui.say import say
from ui.technician.child import Terminald
from ui.technician.console import IDLE_S, Console
from ui.technician.line import Line


def main() -> None:
    """Runs one session; whatever starts it (systemd, getty) starts the next."""
    parser = argparse.ArgumentParser(prog="terminald-console", description="The technician's console of a till.")
    parser.add_argument("--config", type=Path, default=Path("/etc/terminald/terminal.toml"), metavar="FILE")
    parser.add_argument("--idle", type=float, default=IDLE_S, metavar="SECONDS", help="log out after (default: 600)")
    parser.add_argument(
        "--language", choices=TAGS, default="en", help="zh needs a terminal that takes UTF-8 (default: en, in ASCII)"
    )
    given = parser.parse_args()
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, _end)
    # Whoever starts it in the background may have told it to ignore Ctrl-C, which here stops what runs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    say.speak(given.language)
    line = Line(ascii_alone=given.language == "en")
    # The same interpreter and the same installation, found without PATH.
    terminald = Terminald(
        (sys.executable, "-m", "terminald"), given.config.absolute(), lambda: line.say(say("Working. Ctrl-C stops."))
    )
    Console(line, terminald, idle_s=given.idle).run()


def _end(number: int, _: FrameType | None) -> None:
    """The line hung up, or the system goes down: the session ends as if by logout, and its child with it."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
