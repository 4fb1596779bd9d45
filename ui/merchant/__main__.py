"""``terminald-counter``: the merchant's screen."""

import argparse
import os
from pathlib import Path

from ui.merchant.app import CounterApp
from ui.say import say

DEFAULT_SOCKET = "/run/terminald/control.sock"


def main() -> None:
    """Runs the merchant's screen until Ctrl-Q."""
    parser = argparse.ArgumentParser(prog="terminald-counter", description="The merchant's screen of a till.")
    parser.add_argument(
        "--socket",
        type=Path,
        default=Path(os.environ.get("TERMINALD_SOCKET", DEFAULT_SOCKET)),
        help="the daemon's control socket (default: TERMINALD_SOCKET, else %(default)s)",
    )
    if os.environ.get("TERM") == "linux":
        say.hold("en")  # Linux's own console has no ideographs: English is read, and boxes are not
    CounterApp(parser.parse_args().socket.absolute()).run()


if __name__ == "__main__":
    main()
