"""The command `terminald tamper`: whether the case was opened, and headquarters' order that releases the terminal.

``status``   {"latched", "incident", "opened_ms", "switches", "last": {...} or null}; status 0 not latched, 1 latched
``release``  {"released": true, "incident", "counter", "role"}; status 0 released, 2 refused: the latch stays
"""

import argparse
import time
from datetime import UTC, datetime

from core.orders import ORDER_BYTES_MAX
from core.ports import JournalError
from drivers import registry
from store.errors import OrderRefused
from store.tamper import Latch
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.tamper import KIND


def status(given: argparse.Namespace) -> int:
    """``terminald tamper status``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        latch = Latch(config.journal)
        incident, last = latch.incident(), latch.released()
    except OSError as error:
        return fail(f"{error.filename} cannot be read: {error.strerror}")
    switches = [each.name for each in config.devices if registry.kind_of(each.options) == KIND]
    if given.json:
        emit(
            {
                "latched": incident is not None,
                "incident": incident.incident if incident else None,
                "opened_ms": incident.opened_ms if incident else None,
                "switches": switches,
                "last": last,
            }
        )
    else:
        if incident is not None:
            print(f"latched: the case was opened at {_clock_time(incident.opened_ms)}, incident {incident.incident}")
            print("headquarters' signed order releases it: terminald tamper release FILE")
        else:
            print("not latched" if switches else "not latched; no tamper switch is configured")
        if last is not None:
            print(
                f"last incident {last.incident}, released at {_clock_time(last.released_ms)} in the name of {last.role}"
            )
    return FINDING if incident is not None else 0


def release(given: argparse.Namespace) -> int:
    """``terminald tamper release FILE``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    if config.headquarters is None:
        return fail("there is no [headquarters] ack_key to believe an order by")
    try:
        with given.file.open("rb") as file:
            payload = file.read(ORDER_BYTES_MAX + 1)
        released = Latch(config.journal).release(
            payload,
            terminal=config.terminal,
            public_key=config.headquarters.ack_key,
            now_ms=time.time_ns() // 1_000_000,
        )
    except OrderRefused as error:
        return fail(f"{error} ({error.code}). {error.remedy}")
    except (JournalError, OSError) as error:
        return fail(str(error))
    if given.json:
        emit({"released": True, "incident": released.incident, "counter": released.counter, "role": released.role})
    else:
        print(f"released: incident {released.incident}. Close the case: an open one latches again.")
    return 0


def _clock_time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone().isoformat(sep=" ", timespec="seconds")
