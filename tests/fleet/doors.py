"""An enrolment service at work in this process, with its desk, for terminals' real code."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.enrolment import Answer, read_answer
from fleet.ca import CA
from fleet.enrol import Desk, entering
from fleet.enrol_server import EnrolServer
from fleet.store import open_store
from terminald.clock import SystemClock
from terminald.identity import Identity, Place, Standing
from tests.brokers import free_port
from tests.secured import context, now_ms
from tests.tills import eventually, make_key

KEY = make_key(9)
DAY_MS = 86_400_000


class Door:
    """A service at work on a free port, with its desk."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.ca = CA.make(folder / "ca", "Test", KEY, now_ms())
        self.store = open_store(folder / "headquarters.db", now_ms=now_ms())
        self.desk = Desk(self.ca, entering(self.store, KEY))
        self.server = EnrolServer(ca=self.ca, desk=self.desk, hosts=["127.0.0.1"], clock=SystemClock())
        self.folder = folder

    def identity(
        self, name: str = "till-1", *, journal: int = 1, ack_key: bytes | None = None, days: int = 0
    ) -> Identity:
        """A terminal's, with files of its own by its name, so many days from now."""
        return Identity(
            place=self.place(name, ack_key),
            terminal=name,
            signer=lambda: make_key(journal),
            now_ms=now_ms() + days * DAY_MS,
        )

    def place(self, name: str = "till-1", ack_key: bytes | None = None) -> Place:
        """Its files."""
        folder = self.folder / name
        return Place(
            url=f"https://127.0.0.1:{self.port}",
            ack_key=ack_key or KEY.public_key,
            ca=folder / "ca.pem",
            certificate=folder / "terminal.pem",
        )

    async def keep(self, identity: Identity, *, renew: bool = False) -> Standing:
        return await asyncio.to_thread(identity.keep, renew=renew)

    async def approve(self, code: str, *, terminal: str = "") -> None:
        """The desk's one thread is the service's: here nothing else is under way."""
        await asyncio.to_thread(self.desk.approve, code, now_ms(), who="sam", terminal=terminal)

    async def enrolled(self, name: str = "till-1") -> None:
        waiting = await self.keep(self.identity(name))
        await self.approve(waiting.code)
        assert (await self.keep(self.identity(name))).state == "enrolled"

    async def say(self, raw: bytes, *, piecemeal: bool = False, certificate: Path | None = None) -> tuple[int, Answer]:
        """Status and answer to some bytes."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context(self.ca.folder / "headquarters.crt", certificate)
        )
        for piece in [raw[at : at + 1] for at in range(len(raw))] if piecemeal else [raw]:
            writer.write(piece)
            await writer.drain()
        said = await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        head, _, body = said.partition(b"\r\n\r\n")
        return int(head.split()[1]), read_answer(body)


@asynccontextmanager
async def door_of(folder: Path) -> AsyncIterator[Door]:
    door = Door(folder)
    task = asyncio.create_task(door.server.run("127.0.0.1", door.port))

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", door.port), 1):
            return True
        assert not task.done(), task.exception()
        return False

    try:
        await eventually(listens)
        yield door
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        door.server.close()
        door.store.close()
