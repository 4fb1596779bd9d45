"""A daemon that tells or keeps what it should not, in one way: a search for cards must find each of these.

``python -m tests.proofs.talkative FAULT CONFIG``.
"""

import asyncio
import enum
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import core.scan
import drivers.codecs.nexo
import drivers.codecs.nexo_outcome
import terminald.control
import terminald.telemetry
from core import events as v
from core.telemetry import Values
from terminald import config, daemon, logs
from terminald.engine import Engine
from terminald.telemetry import Look, Telemetry

_log = logging.getLogger("terminald.engine")


class Fault(enum.StrEnum):
    """One way to be wrong."""

    LOGS = "logs"  # every scan, as it came
    KEEPS = "keeps"  # a lot's number in its entry, as it came
    TELLS = "tells"  # what a caller did wrong, in the caller's words
    BELIEVES = "believes"  # what the payment device calls masked
    REPORTS = "reports"  # the last scan, in its measurements
    DUMPS = "dumps"  # its memory, when it dies


_LAST: list[str] = [""]


class _Logging(Engine):
    def post(self, event: v.AnyEvent) -> None:
        _log.debug("event") if not isinstance(event, v.Scanned) else _log.info("scanned %s", event.data)
        super().post(event)


class _Remembering(Engine):
    def post(self, event: v.AnyEvent) -> None:
        if isinstance(event, v.Scanned):
            _LAST[0] = event.data
        super().post(event)


class _Reporting(Telemetry):
    def __init__(self, *, look: Look, **given: Any) -> None:
        async def loquacious() -> Mapping[str, Values]:
            groups = await look()
            return {name: {**values, "last_scan": _LAST[0]} for name, values in groups.items()}

        super().__init__(look=loquacious, **given)


def _as_it_is(text: Any) -> Any:
    return text


def _put(module: ModuleType, name: str, instead: object) -> None:
    inside = vars(module)
    assert name in inside, f"{module.__name__} has its {name} from elsewhere: the mutants must follow"
    inside[name] = instead


def _spoil(fault: Fault) -> None:
    match fault:
        case Fault.LOGS:
            _put(daemon, "Engine", _Logging)
        case Fault.KEEPS:
            _put(core.scan, "wipe", _as_it_is)
        case Fault.TELLS:
            _put(terminald.control, "wipe", _as_it_is)
        case Fault.BELIEVES:
            _put(drivers.codecs.nexo, "_wiped", _as_it_is)
            _put(drivers.codecs.nexo_outcome, "mask", _as_it_is)
        case Fault.REPORTS:
            _put(daemon, "Engine", _Remembering)
            _put(daemon, "Telemetry", _Reporting)
            _put(terminald.telemetry, "wipe_all", _as_it_is)
        case Fault.DUMPS:
            _put(daemon, "keep_memory_private", lambda: None)


def main() -> int:
    """Runs it until SIGTERM."""
    _spoil(Fault(sys.argv[1]))
    logs.configure()
    asyncio.run(daemon.run(config.load(Path(sys.argv[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
