"""A man in the middle of an MQTT connection: sees each packet, and decides what becomes of it."""

import asyncio
import contextlib
import enum
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from random import Random

PUBLISH, PUBACK = 3, 4
CHUNK_BYTES = 4_096


class Way(enum.Enum):
    """The direction that a packet travels in."""

    UP = "to the broker"
    DOWN = "from the broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One MQTT control packet, of 3.1.1 or 5. `topic` and `number` of a PUBLISH; `number` 0 at QoS 0."""

    way: Way
    kind: int
    raw: bytes
    topic: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a packet: how many of it pass, after what delay, and whether its sender is told that it did."""

    copies: int = 1
    delay_s: float = 0.0
    acknowledged: bool = False


Judge = Callable[[Packet], Fate]
PASS = Fate()
LOSE = Fate(copies=0, acknowledged=True)
"""Acknowledged and lost: what a broker's full queue or its restart does."""


def malice(rng: Random, *, drop: float, double: float, delay: float, delay_max_s: float) -> Judge:
    """Loses, doubles and delays publishes by chance; all else passes, so that connections last."""

    def judge(packet: Packet) -> Fate:
        if packet.kind != PUBLISH:
            return PASS
        chance = rng.random()
        if chance < drop:
            return LOSE
        if chance < drop + double:
            return Fate(copies=2, delay_s=rng.random() * delay_max_s)
        if chance < drop + double + delay:
            return Fate(delay_s=rng.random() * delay_max_s)
        return PASS

    return judge


@contextlib.asynccontextmanager
async def meddling(upstream_port: int, judge: Judge) -> AsyncIterator[str]:
    """A broker's address behind which `judge` decides on each packet."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await _relay(reader, writer, upstream_port, judge)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # an end broke off, or the test is over
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def narrow(upstream_port: int, bytes_a_second: int) -> AsyncIterator[str]:
    """A broker's address behind a line that carries so much to it, and holds little itself."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        answers, upstream = await asyncio.open_connection("127.0.0.1", upstream_port)
        back = asyncio.create_task(_carry(answers, writer, None), name="back")
        try:
            await _carry(reader, upstream, bytes_a_second)
        except (OSError, asyncio.CancelledError):
            pass  # an end broke off, or the test is over
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            upstream.close()
            writer.close()
            tasks.discard(task)

    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK_BYTES)
    listening.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(handle, sock=listening, limit=CHUNK_BYTES)
    try:
        yield f"mqtt://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, bytes_a_second: int | None) -> None:
    while chunk := await source.read(CHUNK_BYTES):
        if bytes_a_second is not None:
            await asyncio.sleep(len(chunk) / bytes_a_second)
        target.write(chunk)
        await target.drain()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream_port: int, judge: Judge) -> None:
    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", upstream_port)
    tasks = [
        asyncio.create_task(_pump(Way.UP, reader, up_writer, writer, judge), name="up"),
        asyncio.create_task(_pump(Way.DOWN, up_reader, writer, up_writer, judge), name="down"),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        up_writer.close()


async def _pump(
    way: Way, source: asyncio.StreamReader, target: asyncio.StreamWriter, back: asyncio.StreamWriter, judge: Judge
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        packet = await _read(way, source)
        fate = judge(packet)
        if fate.acknowledged and packet.kind == PUBLISH and packet.number:
            back.write(bytes((PUBACK << 4, 2)) + packet.number.to_bytes(2, "big"))
        for _ in range(fate.copies):
            if fate.delay_s:
                loop.call_later(fate.delay_s, _write, target, packet.raw)
            else:
                _write(target, packet.raw)
        await target.drain()


def _write(target: asyncio.StreamWriter, raw: bytes) -> None:
    if not target.is_closing():
        target.write(raw)


async def _read(way: Way, source: asyncio.StreamReader) -> Packet:
    first = await source.readexactly(1)
    length, shift, size = 0, 0, b""
    while True:
        digit = await source.readexactly(1)
        size += digit
        length |= (digit[0] & 0x7F) << shift
        shift += 7
        if digit[0] < 0x80:
            break
    body = await source.readexactly(length)
    kind, qos = first[0] >> 4, first[0] >> 1 & 3
    if kind != PUBLISH:
        return Packet(way=way, kind=kind, raw=first + size + body)
    end = 2 + int.from_bytes(body[:2], "big")
    number = int.from_bytes(body[end : end + 2], "big") if qos else 0
    return Packet(way=way, kind=kind, raw=first + size + body, topic=body[2:end].decode(), number=number)


def seen(packets: Sequence[Packet], topic_end: str) -> list[Packet]:
    """The publishes among packets whose topic ends so."""
    return [packet for packet in packets if packet.topic.endswith(topic_end)]
