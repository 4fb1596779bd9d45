"""What is left of a journal's files after a power cut: all that was synced, and any part of what was written since.

Whole files as they were at the last sync, or as they are; of the log any mixture of both by sectors, because a cache
writes back in its own order. A database that a checkpoint has touched since is taken as it is: `store.wal` says in which
order a checkpoint syncs, and R1 cuts inside of one.
"""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from store.journal import SqlJournal

SECTOR_BYTES = 512
_MADE_ANEW = "-shm"


class Disk:
    """The folder of a journal that is in use, and what it would be after a power cut."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self.folder = folder
        self._chance = chance
        self._synced: dict[str, bytes] = {}

    def synced(self) -> None:
        """All that was written up to now is on the medium."""
        self._synced = self._content()

    def after_kill(self, to: Path) -> None:
        """The process is gone, the machine is not: what was written is there."""
        _write(to, self._content())

    def after_power_cut(self, to: Path) -> None:
        """The machine is gone too."""
        now, then = self._content(), self._synced
        database = next(name for name in now if name.endswith(".db"))
        if now[database] != then.get(database):
            _write(to, now)
            return
        log = f"{database}-wal"
        left = dict(now)
        for name, content in then.items():
            left[name] = self._mixed(content, now[name]) if name == log else self._chance.choice((content, now[name]))
        _write(to, left)

    def _mixed(self, then: bytes, now: bytes) -> bytes:
        fresh = self._chance.choice((0.0, 0.5, 0.9, 1.0))
        then = then.ljust(len(now), b"\0")
        parts = []
        for at in range(0, len(now), SECTOR_BYTES):
            old, new = then[at : at + SECTOR_BYTES], now[at : at + SECTOR_BYTES]
            parts.append(new if old == new or self._chance.random() < fresh else old)
        return b"".join(parts)

    def _content(self) -> dict[str, bytes]:
        return {
            path.name: path.read_bytes() for path in sorted(self.folder.iterdir()) if not path.name.endswith(_MADE_ANEW)
        }

    def remove(self) -> None:
        """Forgets the folder."""
        shutil.rmtree(self.folder)


class FailingJournal(SqlJournal):
    """The journal, with a commit now and then that fails: before anything of it is on the medium, or after all is."""

    failing: str = ""
    """What befalls the next commit: "before", "after", or nothing."""

    def _commit_all(self, tasks: Sequence[Any]) -> list[Any]:
        if not tasks or not self.failing or self._failure is not None:
            return super()._commit_all(tasks)
        failing, self.failing = self.failing, ""
        if failing == "after":
            super()._commit_all(tasks)
        self._fail(OSError(5, "Input/output error"))
        return [self._unknown() for _ in tasks]


async def let_go(journal: SqlJournal) -> None:
    """Closes what a dead process had open. Its goodbye to the medium changes only a folder that nobody reads again."""
    try:
        async with asyncio.timeout(5.0):
            await journal.close()
    except TimeoutError:
        pass


def _write(folder: Path, content: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
