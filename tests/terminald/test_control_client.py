"""The client's end: what it says when the daemon is away, speaks another language, or dies in the middle of an order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core import wire
from core.view import View
from terminald.client import CallFailed, Client, Disconnected, Link, NotUnderstood, call_once, connect
from terminald.control import ControlServer, Method, Params
from tests.ui.views import view

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@contextlib.asynccontextmanager
async def talking(path: Path, talk: Talk) -> AsyncIterator[None]:
    """A server that says what `talk` says, however wrong."""
    ended = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            await talk(reader, writer)
            await ended.wait()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_unix_server(converse, str(path))
    try:
        yield
    finally:
        ended.set()
        server.close()
        await asyncio.sleep(0.01)


class Cash(Params, frozen=True, kw_only=True):
    amount_minor: int | None = None
    key: str


class Till:
    """A daemon that can be killed and started again; its journal of keys outlives it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: list[str] = []
        self.die_on_next_order = False
        self.view = view(revision=1)
        self._server: ControlServer | None = None
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        methods = {"sale.cash": Method(summary="Cash", params=Cash, handler=self.cash)}
        self._server = ControlServer(self.path, methods, lambda: msgspec.json.encode(self.view))
        self._server.open()
        self._serving = asyncio.create_task(self._server.serve(), name="till")

    async def kill(self) -> None:
        assert self._serving is not None
        assert self._server is not None
        self._serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving
        self._server.close()

    async def cash(self, params: Cash) -> str:
        if params.key not in self.keys:
            self.keys.append(params.key)
        if self.die_on_next_order:
            self.die_on_next_order = False
            await asyncio.sleep(3600)
        return "taken"


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    till = Till(tmp_path / "control.sock")
    till.start()
    yield till
    await till.kill()


@pytest.fixture
async def seen(till: Till) -> AsyncIterator["Seen"]:
    seen = Seen()
    link = Link(till.path, seen.views.put_nowait, seen.away.append, chance=lambda: 0.0)
    seen.link = link
    task = asyncio.create_task(link.run(), name="link")
    yield seen
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


class Seen:
    """What a screen is told."""

    link: Link

    def __init__(self) -> None:
        self.views: asyncio.Queue[View] = asyncio.Queue()
        self.away: list[str] = []


async def test_views_come_decoded(till: Till) -> None:
    async with connect(till.path) as client:
        async for got in client.views():
            assert got == till.view
            break


async def test_views_end_when_the_daemon_dies(till: Till) -> None:
    async with connect(till.path) as client:
        views = client.views()
        await anext(views)
        await till.kill()
        with pytest.raises(Disconnected, match="hung up"):
            await anext(views)
        with pytest.raises(Disconnected):
            await client.call("view.get")


async def test_a_link_comes_back_after_each_death(till: Till, seen: Seen) -> None:
    for life in range(1, 4):
        assert (await asyncio.wait_for(seen.views.get(), 5)).revision == life
        await till.kill()
        till.view = view(revision=life + 1)
        till.start()
    assert len(seen.away) >= 2


async def test_an_order_lost_with_the_daemon_is_carried_out_once(till: Till, seen: Seen) -> None:
    await asyncio.wait_for(seen.views.get(), 5)
    till.die_on_next_order = True
    async with asyncio.TaskGroup() as tasks:
        order = tasks.create_task(seen.link.order("sale.cash", {"amount_minor": 500}))
        while not till.keys:
            await asyncio.sleep(0.01)
        await till.kill()
        till.start()
        assert await asyncio.wait_for(order, 5) == "taken"
    assert len(till.keys) == 1


async def test_each_order_has_a_key_of_its_own(till: Till, seen: Seen) -> None:
    await asyncio.wait_for(seen.views.get(), 5)
    await seen.link.order("sale.cash")
    await seen.link.order("sale.cash")
    assert len(set(till.keys)) == 2


async def test_a_view_of_another_release_is_named(tmp_path: Path) -> None:
    async def other_release(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"jsonrpc":"2.0","id":1,"result":{}}\n{"jsonrpc":"2.0","method":"view","params":{"new":1}}\n')

    async with talking(tmp_path / "s", other_release), connect(tmp_path / "s") as client:
        with pytest.raises(NotUnderstood, match="another release"):
            await anext(client.views())


@pytest.mark.parametrize("answer", [b"garbage\n", b"\x00\xff\n", b"x" * (wire.LINE_BYTES_MAX + 2)])
async def test_nonsense_from_the_daemon_is_named(tmp_path: Path, answer: bytes) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)

    async with talking(tmp_path / "s", nonsense), connect(tmp_path / "s") as client:
        with pytest.raises(NotUnderstood):
            await client.call("view.get", timeout_s=5)


async def test_an_answer_in_pieces_is_put_together(tmp_path: Path) -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for byte in b'{"jsonrpc":"2.0","id":1,"result":[1,2]}\n':
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with talking(tmp_path / "s", dribble), connect(tmp_path / "s") as client:
        assert await client.call("x") == [1, 2]


async def test_a_silent_daemon_times_out_and_the_next_call_works(tmp_path: Path) -> None:
    async def second_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await reader.readline()
        writer.write(b'{"jsonrpc":"2.0","id":1,"result":"late"}\n{"jsonrpc":"2.0","id":2,"result":"right"}\n')

    async with talking(tmp_path / "s", second_only), connect(tmp_path / "s") as client:
        with pytest.raises(TimeoutError):
            await client.call("slow", timeout_s=0.05)
        assert await client.call("quick", timeout_s=5) == "right"


async def test_calls_in_hand_are_bounded(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def ask(client: Client) -> None:
        with contextlib.suppress(TimeoutError):
            await client.call("x", timeout_s=0.3)

    async with talking(tmp_path / "s", silent), connect(tmp_path / "s") as client, asyncio.TaskGroup() as tasks:
        for _ in range(64):
            tasks.create_task(ask(client))
        await asyncio.sleep(0.05)
        with pytest.raises(CallFailed, match="64 calls"):
            await client.call("x")


async def test_call_once_blocks_for_its_answer(till: Till) -> None:
    assert await asyncio.to_thread(call_once, till.path, "sale.cash", {"key": "k"}) == "taken"
    with pytest.raises(CallFailed, match=r"sale\.fly") as failed:
        await asyncio.to_thread(call_once, till.path, "sale.fly")
    assert failed.value.code == wire.METHOD_NOT_FOUND


def test_call_once_says_that_no_daemon_is_there(tmp_path: Path) -> None:
    with pytest.raises(Disconnected, match="start it"):
        call_once(tmp_path / "nothing", "view.get")


async def test_call_once_says_that_the_daemon_hung_up(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with talking(tmp_path / "s", hang_up):
        with pytest.raises(Disconnected, match="before it answered"):
            await asyncio.to_thread(call_once, tmp_path / "s", "view.get")
