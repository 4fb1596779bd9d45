"""Who has backups made while the terminal sells.

A backup is made by a process of its own (``terminald backup now``), at low priority: checking a hundred thousand records
takes seconds of Python, in which a thread of the daemon would hold up its sales, and a medium that hangs shall hang nobody
else.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable

import msgspec

from core.ports import Clock
from core.text import Message, message
from terminald.child import Child
from terminald.config import Config

FIRST_AFTER_S = 20.0
"""A start is left alone for so long before a backup that is due is begun."""
RETRY_S = 900.0
PLUG_PAUSE_S = 2.0
"""What is plugged in is given so long to settle; and media that come and go cost no more than that allows."""
LIMIT_S = 5 * 3600.0
"""A backup that is not done by then never will be."""
ANSWER_BYTES_MAX = 1 << 20
FAULTS = (
    "backup-no-room", "backup-read-only", "backup-target-lost", "backup-too-slow", "backup-unfit", "backup-failed",
)  # fmt: skip
"""What may be wrong with backups, by the ids of what the screen says."""

_log = logging.getLogger(__name__)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A backup as the commands tell of it; `fault` says why it cannot be used, all else is then as far as it is known."""

    name: str
    path: str
    epoch: str = ""
    seq: int = 0
    time_ms: int = 0
    clock: str = ""
    software: str = ""
    bytes: int = 0
    recoverable: bool = False
    fault: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``backup now`` says: whether one was made, the newest one, or what went wrong."""

    made: bool
    newest: Shown | None = None
    same_medium: bool = False
    fault: str | None = None
    message: str = ""


class BackupKeeper:
    """Has a backup made whenever one is due. `command` is the child process, which answers with an `Answer`."""

    def __init__(
        self,
        *,
        command: tuple[str, ...],
        every_h: float,
        clock: Clock,
        changed: Callable[[], None],
        first_after_s: float = FIRST_AFTER_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.fault: str | None = None
        """Why there is no newer backup: a stable code."""
        self.same_medium = False
        self._child = Child()
        self._command = command
        self._every_s = every_h * 3600
        self._clock = clock
        self._changed = changed
        self._first_after_s = first_after_s
        self._retry_s = retry_s
        self._one = asyncio.Lock()
        self._newest: tuple[Shown, float, float] | None = None
        """The newest backup, its age when it was looked at, and when that was."""

    @property
    def pid(self) -> int | None:
        """The child at work: it holds keys."""
        return self._child.pid

    @property
    def newest(self) -> Shown | None:
        """The newest backup that is known."""
        return self._newest[0] if self._newest else None

    def age_s(self) -> int | None:
        """How old it is; None where none is known."""
        if self._newest is None:
            return None
        _, age_s, looked_s = self._newest
        return int(age_s + self._clock.monotonic_s() - looked_s)

    def conditions(self) -> tuple[Message, ...]:
        """What is wrong, for the screen. A medium that is not there is no fault until a backup is overdue."""
        if self.fault is not None and self.fault not in ("backup-target-missing", "backup-in-use"):
            return (message(self.fault if self.fault in FAULTS else "backup-failed"),)
        age_s = self.age_s()
        if self.fault == "backup-target-missing" and (age_s is None or age_s > 2 * self._every_s):
            return (message("backup-overdue", hours=(age_s or 0) // 3600),)
        return ()

    async def make_now(self) -> Answer:
        """A backup, however new the last one is."""
        async with self._one:
            answer = await self._answer(self._command[: self._command.index("--unless-within")])
            self._take(answer)
            return answer

    async def run(self, plugged: Callable[[], Awaitable[None]]) -> None:
        """Runs until cancelled. `plugged` waits until something was plugged in or taken out."""
        await self._clock.sleep(self._first_after_s)
        while True:
            async with self._one:
                self._take(await self._answer(self._command))
            pause_s = self._retry_s
            if self.fault is None:
                pause_s = max(self._every_s - (self.age_s() or 0), self._every_s / 100)
            try:
                async with asyncio.timeout(pause_s):
                    await plugged()
            except TimeoutError:
                continue
            await self._clock.sleep(PLUG_PAUSE_S)

    def _take(self, answer: Answer) -> None:
        if answer.newest is not None:
            age_s = max(0.0, (self._clock.stamp().time_ms - answer.newest.time_ms) / 1000)
            self._newest = answer.newest, age_s, self._clock.monotonic_s()
            self.same_medium = answer.same_medium
        if answer.fault != self.fault and answer.fault is not None:
            _log.warning("no backup: %s", answer.message, extra={"fault": answer.fault})
        if answer.made and answer.newest is not None:
            _log.info("backup made", extra={"seq": answer.newest.seq, "bytes": answer.newest.bytes})
        self.fault = answer.fault
        self._changed()

    async def _answer(self, command: tuple[str, ...]) -> Answer:
        """Runs the command and reads its answer."""
        try:
            status, said = await self._child.run(command, limit_s=LIMIT_S, bytes_max=ANSWER_BYTES_MAX)
        except TimeoutError:
            return Answer(made=False, fault="backup-too-slow", message="the medium for backups does not answer")
        try:
            return msgspec.json.decode(said, type=Answer)
        except (ValueError, RecursionError):
            return Answer(made=False, fault="backup-failed", message=f"the backup process ended with {status}")


def backup_facts(keeper: BackupKeeper | None) -> dict[str, str | int | float | bool | None]:
    """For telemetry."""
    newest = keeper.newest if keeper is not None else None
    return {
        "backup_age_s": keeper.age_s() if keeper is not None else None,
        "backup_seq": newest.seq if newest is not None else 0,
        "backup_fault": keeper.fault if keeper is not None else None,
        "backup_same_medium": keeper is not None and keeper.same_medium,
    }


def command_of(config: Config) -> tuple[str, ...]:
    """The child process that makes a backup of a terminal where one is due."""
    assert config.file is not None
    assert config.backup is not None
    flags = ("--json", "--unless-within", str(config.backup.every_h * 0.98))
    return (sys.executable, "-P", "-m", "terminald", "backup", "now", "--config", str(config.file), *flags)
