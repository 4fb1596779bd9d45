"""Words to the service manager (sd_notify(3)): ready, stopping, and the watchdog's feed.

The watchdog is fed by the event loop itself, so that a loop that hangs is a daemon that hangs.
"""

import logging
import os
import socket

from core.ports import Clock

_log = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Sends a state (``READY=1``) to systemd, where it started us; says nothing elsewhere."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.sendall(state.encode())
        except OSError as error:
            # A till sells on without a service manager that listens; one that listens will miss its feed by itself.
            _log.warning("the service manager takes no %s: %s", state, error.strerror)


async def feed_watchdog(clock: Clock) -> None:
    """Feeds systemd's watchdog at half its time, for ever; returns at once where it has none for us."""
    usec = int(os.environ.get("WATCHDOG_USEC", "0"))
    if not usec or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    while True:
        notify("WATCHDOG=1")
        await clock.sleep(usec / 2_000_000)
