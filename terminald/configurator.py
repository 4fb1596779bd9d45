"""The configuration that headquarters wants: taken from the broker, looked at, tried, put in force or taken back, reported.

A document is put on trial where it has no fault, no sale is open and the shop's hours allow it; the daemon then starts anew
with it. It is put in force once the till stays up and every device that worked before works again; else it is taken back,
and remembered by its hash: neither the same message, which is retained, nor the same document under another version is
applied again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from core import entries as e
from core import topics
from core.card import wipe
from core.desired import Desired, Reported, ReportedState, encode_reported, open_desired
from core.ledger import Record
from core.orders import OrderError
from core.ports import Clock
from terminald.broker import Message, SubscriptionRefused
from terminald.commands import LOOK_AGAIN_S, Resting
from terminald.config import Config, ConfigError, preview
from terminald.mqtt import Connection
from terminald.overlay import Overlay, OverlayState

UP_S = 10.0
"""A till that stays up for so long has come up."""
HEALTHY_S = 60.0
"""By then its devices work again, or the document is taken back."""
LOOK_S = 1.0
"""How often they are looked at, on trial alone."""
TEXT_LENGTH_MAX = 4_000
FIXED = {
    "terminal": "the terminal's id", "journal": "[journal] path", "journal_key": "[journal] key", "keys": "[keys]",
    "catalogue": "[catalogue] path", "customers": "[customers] path", "credentials": "[credentials] path",
    "history": "[history] path", "socket": "[control] socket", "socket_group": "[control] group",
    "headquarters": "[headquarters]",
}  # fmt: skip
"""What headquarters does not change from afar, by the fields of `Config`: who the terminal is, and where it keeps what."""

_log = logging.getLogger(__name__)


class Configurator:
    """One run's care for the configuration; a `terminald.uplink.User`, and a task that runs without a connection too."""

    def __init__(
        self,
        config: Config,
        *,
        ack_key: bytes,
        clock: Clock,
        keep: Callable[[e.AnyEntry, str | None], Awaitable[None]],
        find: Callable[[str], Awaitable[Record | None]],
        rest: Callable[[], Awaitable[None]],
        resting: Callable[[], Resting],
        ready: Callable[[], frozenset[str]],
        stop: Callable[[], None],
    ) -> None:
        """`rest` waits until no event is being taken; `ready` are the devices that work now."""
        self.at_work = False
        """Whether the daemon is about to start anew: no new sale begins."""
        self._config = config
        self._ack_key = ack_key
        self._clock = clock
        self._keep = keep
        self._find = find
        self._rest = rest
        self._resting = resting
        self._ready = ready
        self._stop = stop
        self._overlay = Overlay(config.journal.parent)
        self._payload: bytes | None = None
        self._pending: Desired | None = None
        self._waits_for = ""
        self._wake = asyncio.Event()
        self._news = asyncio.Event()

    def notify(self) -> None:
        """The till has changed: a document that waits for it may go on."""
        if self._pending is not None:
            self._wake.set()

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled. Raises MqttError."""
        try:
            await connection.subscribe(
                topics.desired(self._config.terminal), lambda message: self._on_desired(connection, message)
            )
        except SubscriptionRefused as error:  # nothing else that uses the connection is to suffer from it
            _log.warning("configurations cannot come: %s", error, extra={"fault": error.code})
            return
        while True:
            self._news.clear()
            payload = encode_reported(self._report())
            connection.publish(topics.reported(self._config.terminal), payload, retain=True)
            await self._news.wait()

    def _on_desired(self, connection: Connection, message: Message) -> None:
        connection.acknowledge(message)
        self._payload = message.payload  # of several the newest counts
        self._wake.set()

    async def run(self) -> None:
        """Takes what comes, and watches a trial; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_for_ever(), name="configuration")
            state = await asyncio.to_thread(self._overlay.state)
            if state.state == "trial":
                await self._try(state)
            elif state.state == "rolled-back":  # by this start, perhaps
                await self._journal(state)

    # --- what comes ----------------------------------------------------------------------------------------------

    async def _take_for_ever(self) -> None:
        while True:
            self._wake.clear()
            if self._payload:
                payload, self._payload = self._payload, None
                await self._open(payload)
            if self._pending is not None:
                await self._apply(self._pending)
            try:
                async with asyncio.timeout(LOOK_AGAIN_S if self._pending is not None else None):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _open(self, payload: bytes) -> None:
        """Looks at a document; what may be applied waits in `_pending`."""
        try:
            desired = open_desired(payload, terminal=self._config.terminal, public_key=self._ack_key)
        except OrderError as error:
            _log.warning("a configuration is refused", extra={"reason": error.code})
            return
        known = self._overlay.state()
        if (desired.epoch, desired.version) <= (known.epoch, known.version) or known.state == "trial":
            return  # it was taken before, or a newer one was, or one is on trial: it is retained, and comes again
        fault = self._fault(desired, known)
        if fault is not None:
            self._pending = None
            await self._end(desired, "rejected", *fault)
        elif desired.hash == known.active:
            self._pending = None
            await self._end(desired, "applied")
        else:
            self._pending = desired

    def _fault(self, desired: Desired, known: OverlayState) -> tuple[str, str] | None:
        if desired.hash in known.refused:
            return "configuration-failed-before", "the same document failed here: change it"
        assert self._config.file is not None
        try:
            wanted = preview(self._config.file, desired.doc)
        except ConfigError as error:
            lines = (f"line {fault.line}: {fault.message}" for fault in error.faults)
            return "configuration-not-valid", "; ".join(lines)[:TEXT_LENGTH_MAX]
        except OSError as error:
            return "configuration-not-valid", f"the terminal's own file cannot be read: {error.strerror}"
        moved = [words for name, words in FIXED.items() if getattr(wanted, name) != getattr(self._config, name)]
        if moved:
            return "configuration-not-allowed", f"this is not changed from afar: {', '.join(moved)}"
        return None

    async def _apply(self, desired: Desired) -> None:
        rest = self._resting()
        if not rest:
            self.at_work = True
            await self._rest()
            rest = self._resting()
        if rest:
            self.at_work = False
            if self._waits_for != rest:
                self._waits_for = rest
                self._news.set()
            return
        state = msgspec.structs.replace(_state_of(self._overlay.state(), desired), ready=tuple(sorted(self._ready())))
        trial = msgspec.structs.replace(state, state="trial")
        await self._journal(trial, desired)
        await asyncio.to_thread(self._overlay.begin, desired.doc, trial)
        self._pending = None
        self._news.set()
        _log.warning("a configuration is tried: the daemon starts anew", extra={"version": desired.version})
        self._stop()

    # --- the trial -----------------------------------------------------------------------------------------------

    async def _try(self, state: OverlayState) -> None:
        """Looks whether the till comes up with the document that it was started with."""
        began_s = self._clock.monotonic_s()
        here = {device.name for device in self._config.devices}
        wanted = set(state.ready) & here
        while (missing := wanted - self._ready()) or self._clock.monotonic_s() - began_s < UP_S:
            if self._clock.monotonic_s() - began_s > HEALTHY_S:
                text = f"these devices worked before: {', '.join(sorted(missing))}"
                await self._take_back(state, "configuration-unhealthy", text)
                return
            await self._clock.sleep(LOOK_S)
        confirmed = await asyncio.to_thread(self._overlay.confirm)
        await self._journal(confirmed)
        _log.info("the configuration is in force", extra={"version": confirmed.version})
        self._news.set()

    async def _take_back(self, state: OverlayState, code: str, text: str) -> None:
        _log.error("the configuration is taken back: the daemon starts anew", extra={"version": state.version})
        while True:
            while self._resting() == "sale-open":
                await self._clock.sleep(LOOK_S)
            self.at_work = True
            await self._rest()
            if self._resting() != "sale-open":
                break
            self.at_work = False
        await self._journal(await asyncio.to_thread(self._overlay.roll_back, code, text))
        self._stop()

    # --- what became of it ---------------------------------------------------------------------------------------

    def _report(self) -> Reported:
        state, ts = self._overlay.state(), self._clock.stamp().time_ms
        waiting = self._pending
        if waiting is not None:
            return Reported(
                epoch=waiting.epoch, version=waiting.version, hash=waiting.hash, state="waiting", code=self._waits_for,
                active=state.active, ts=ts,
            )  # fmt: skip
        return Reported(
            epoch=state.epoch, version=state.version, hash=state.hash, state=state.state, code=state.code,
            text=state.text[:TEXT_LENGTH_MAX], active=state.active, ts=ts,
        )  # fmt: skip

    async def _end(self, desired: Desired, state: ReportedState, code: str = "", text: str = "") -> None:
        ended = msgspec.structs.replace(_state_of(self._overlay.state(), desired), state=state, code=code, text=text)
        await self._journal(ended, desired)
        await asyncio.to_thread(self._overlay.note, ended)
        self._news.set()

    async def _journal(self, state: OverlayState, desired: Desired | None = None) -> None:
        """Keeps what became of a document, once: this may be called again after a power cut."""
        key = f"configuration/{state.epoch}/{state.version}/{state.state}"
        if await self._find(key) is None:
            entry = e.ConfigurationOrdered(
                epoch=state.epoch, version=state.version, hash=state.hash, state=state.state, code=state.code,
                issuer=wipe(desired.issuer) if desired is not None else "", role=desired.role if desired else "",
            )  # fmt: skip
            await self._keep(entry, key)
        _log.info(
            "a configuration was ordered",
            extra={"version": state.version, "state": state.state, "fault": state.code},
        )


def _state_of(known: OverlayState, desired: Desired) -> OverlayState:
    """The state of a document that takes the place of the one before; nothing is said of it yet."""
    return OverlayState(
        epoch=desired.epoch, version=desired.version, hash=desired.hash, active=known.active, refused=known.refused
    )
