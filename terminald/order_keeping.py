"""What headquarters' orders do with what the terminal keeps: its journal, backups, keys and logs."""

import asyncio
from collections.abc import Awaitable, Callable

from core.orders import Logs, Order, Params
from store.keys_rotate import begin, is_unfinished
from terminald import logs, paths
from terminald.backup_keeper import BackupKeeper
from terminald.config import Config
from terminald.custody import Custody
from terminald.https import HttpsFailed, put
from terminald.identity_keeper import IdentityKeeper
from terminald.order_action import Action, OrderFailed, Outcome
from terminald.retirement import decide, is_decided

LOGS_BYTES_MAX = 48 << 10
"""Of a log in a result; more goes to a URL."""


class KeepingActions:
    """Orders about the journal, backups, keys and logs. `drained` waits until headquarters has signed for all."""

    def __init__(
        self,
        config: Config,
        *,
        custody: Custody,
        backups: BackupKeeper | None,
        identity: IdentityKeeper | None,
        stop: Callable[[], None],
        drained: Callable[[], Awaitable[None]],
        part: Callable[[], Awaitable[None]],
    ) -> None:
        """`part` destroys the keys and ends the daemon, once headquarters has heard all."""
        self._config = config
        self._ca = config.headquarters.tls.ca if config.headquarters is not None else None
        self._custody = custody
        self._backups = backups
        self._identity = identity
        self._stop = stop
        self._drained = drained
        self._part = part

    def table(self) -> dict[str, Action]:
        """By the orders' names."""
        return {
            "verify": Action(run=self._verify),
            "backup": Action(run=self._back_up),
            "logs": Action(run=self._logs),
            "renew-certificate": Action(run=self._renew),
            "rotate-keys": Action(run=self._rotate, mark=self._generation, resolve=self._is_rotated),
            "retire": Action(run=self._end, resolve=lambda _: is_decided(self._config)),
        }

    async def _verify(self, _order: Order, _params: Params) -> Outcome:
        found = await self._custody.look_through()
        if not found.whole:
            raise OrderFailed("journal-not-whole", f"{found.kind} at record {found.first}")
        return Outcome(output={"records": found.records})

    async def _back_up(self, _order: Order, _params: Params) -> Outcome:
        if self._backups is None:
            raise OrderFailed("no-backups", "the terminal's configuration has no [backup]")
        answer = await self._backups.make_now()
        if answer.fault is not None or answer.newest is None:
            raise OrderFailed(answer.fault or "backup-failed", answer.message)
        newest = answer.newest
        return Outcome(output={"name": newest.name, "seq": newest.seq, "bytes": newest.bytes})

    async def _logs(self, _order: Order, given: Logs) -> Outcome:
        lines = logs.newest(given.lines)
        if given.url:
            text = "".join(f"{line}\n" for line in lines).encode()
            try:
                await asyncio.to_thread(put, given.url, text, ca=self._ca)
            except HttpsFailed as failure:
                raise OrderFailed(failure.code, str(failure)) from failure
            return Outcome(output={"lines_sent": len(lines), "bytes_sent": len(text)})
        told: list[str] = []
        room_bytes = LOGS_BYTES_MAX
        for line in reversed(lines):
            room_bytes -= 2 * len(line.encode())  # its quotes are escaped in the result
            if room_bytes < 0:
                break
            told.append(line)
        return Outcome(output={"log": told[::-1], "left_out": len(lines) - len(told)})

    async def _renew(self, _order: Order, _params: Params) -> Outcome:
        if self._identity is None:
            raise OrderFailed("no-enrolment", "the terminal's configuration has no [headquarters] enrol")
        answer = await self._identity.look(renew=True)
        if answer.state != "renewed":
            raise OrderFailed(answer.fault or "enrol-waiting", answer.message or f"its claim code is {answer.code}")
        return Outcome(output={"ends_ms": answer.ends_ms})

    # --- keys ----------------------------------------------------------------------------------------------------

    async def _rotate(self, _order: Order, _params: Params) -> Outcome:
        """Writes down all that is to come; the start that follows does it, and tells."""
        await asyncio.to_thread(begin, paths.key_store(self._config))
        self._stop()
        await asyncio.Event().wait()
        raise AssertionError

    def _generation(self) -> str:
        return str(paths.key_store(self._config).ring.read()[0].generation)

    def _is_rotated(self, mark: str) -> bool:
        store = paths.key_store(self._config)
        return self._generation() != mark and not is_unfinished(store)

    # --- the end -------------------------------------------------------------------------------------------------

    async def _end(self, _order: Order, _params: Params) -> Outcome:
        await self._drained()
        await asyncio.to_thread(decide, self._config)
        return Outcome(then=self._part)
