"""The other end of the control socket: calls with answers, the stream of views, and a link for screens that never ends.

A client holds nothing: what it shows came with the newest view, and what it orders has happened once it is answered.
"""

import asyncio
import contextlib
import random
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from core import nesting, text, wire
from core.view import View
from terminald import unixsocket

CALLS_IN_HAND_MAX = 64
ANSWER_S_MAX = 130.0
"""Longer than the daemon's own limit, so that its word comes first."""
RETRY_S_MAX = 5.0
"""How long an order whose answer was lost with the connection waits to be asked for again, under the same key."""
DELAY_S_MIN = 0.05
DELAY_S_MAX = 1.0
_KEYLESS = frozenset(("operator.sign_on", "operator.claim", "operator.reclaim", "return.receipt"))
"""What is asked of the link and is no order of a sale: it takes no key, and asking again changes nothing."""


class CallFailed(Exception):
    """The daemon did not carry out a call: `code` by core.wire, `reason` for people who know the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class CallRefused(CallFailed):
    """The till cannot take this now; `message` says why."""

    def __init__(self, message: text.Message) -> None:
        super().__init__(wire.REFUSED, message.id)
        self.message = message


class Disconnected(ConnectionError):
    """The daemon went away, or was never there: start it, or name its socket. A link comes back by itself."""


class NotUnderstood(Disconnected):
    """The daemon says something that this program does not know: both must be of the same release."""


class _Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon sends: an answer (`id`) or a view (`method`)."""

    id: int | str | None = None
    method: str | None = None
    params: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: wire.Fault | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Incoming)
_any_decoder = msgspec.json.Decoder()
_view_decoder = msgspec.json.Decoder(View)


class Client:
    """One connection; made by `connect`."""

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection

    async def call(
        self, method: str, params: Mapping[str, object] | None = None, *, timeout_s: float = ANSWER_S_MAX
    ) -> object:
        """The decoded JSON result. Raises CallRefused, CallFailed, Disconnected, or TimeoutError."""
        async with asyncio.timeout(timeout_s):
            return _result(await self._connection.ask(method, params or {}))

    async def views(self) -> AsyncIterator[View]:
        """The view now, then the newest whenever it has changed; those that came in between are left out.

        Raises Disconnected when the daemon goes away, NotUnderstood on a view of another release.
        """
        await self.call("view.subscribe")
        while True:
            raw = await self._connection.next_view()
            try:
                view = nesting.decode(_view_decoder, raw)
            except ValueError as error:
                raise NotUnderstood(f"the daemon's view is of another release: {error}") from error
            yield view


@contextlib.asynccontextmanager
async def connect(path: Path) -> AsyncIterator[Client]:
    """A connection to the daemon at `path` while the block runs. Raises Disconnected when none answers there."""
    loop = asyncio.get_running_loop()
    with _explained(path), unixsocket.address(path) as where:
        _, connection = await loop.create_unix_connection(_Connection, where)
    try:
        yield Client(connection)
    finally:
        connection.close()


class Link:
    """A screen's lasting link to the till: it connects again for ever, with jittered pauses.

    `on_view` gets each newest view, `on_away` the reason each time that the daemon cannot be reached.
    """

    def __init__(
        self,
        path: Path,
        on_view: Callable[[View], None],
        on_away: Callable[[str], None],
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._path = path
        self._on_view = on_view
        self._on_away = on_away
        self._chance = chance
        self._client: Client | None = None
        self._connected = asyncio.Event()

    async def run(self) -> None:
        """Keeps the link until it is cancelled."""
        failures = 0
        while True:
            try:
                async with connect(self._path) as client:
                    async for view in client.views():
                        failures = 0
                        self._client = client
                        self._connected.set()
                        self._on_view(view)
            except (Disconnected, CallFailed, TimeoutError) as error:
                self._client = None
                self._connected.clear()
                self._on_away(str(error))
            await asyncio.sleep(min(DELAY_S_MAX, DELAY_S_MIN * 2 ** min(failures, 10)) * (0.5 + self._chance() / 2))
            failures += 1

    async def order(self, method: str, params: Mapping[str, object] | None = None) -> object:
        """Carries out an operator's order, once: if the connection dies before the answer, it is asked for again
        under the same key as soon as the daemon is back.

        Raises CallRefused, CallFailed, or Disconnected when the daemon stayed away for RETRY_S_MAX.
        """
        keyed = {**(params or {}), **({} if method in _KEYLESS else {"key": uuid.uuid4().hex})}
        try:
            async with asyncio.timeout(RETRY_S_MAX) as patience:
                while True:
                    await self._connected.wait()
                    assert self._client is not None
                    patience.reschedule(None)
                    try:
                        return await self._client.call(method, keyed)
                    except Disconnected:
                        self._connected.clear()
                        patience.reschedule(asyncio.get_running_loop().time() + RETRY_S_MAX)
        except TimeoutError:
            raise Disconnected("the till did not come back in time: look at the screen before you try again") from None


def call_once(
    path: Path, method: str, params: Mapping[str, object] | None = None, *, timeout_s: float = ANSWER_S_MAX
) -> object:
    """One call without an event loop: connects, asks, waits for the answer. Raises as `Client.call`, and Disconnected."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        with _explained(path), unixsocket.address(path) as where:
            connection.connect(where)
        with _explained(path):
            connection.sendall(_request(1, method, params or {}))
            with connection.makefile("rb") as lines:
                while line := lines.readline(wire.LINE_BYTES_MAX + 1):
                    incoming = _decode(line)
                    if incoming.id == 1 or (incoming.id is None and incoming.error is not None):
                        return _result(incoming)
    raise Disconnected(f"the daemon at {path} hung up before it answered")


class _Connection(asyncio.Protocol):
    """Cuts what comes into lines, and hands each to whoever waits for it: no task, and at most one view is kept."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[_Incoming]] = {}
        self._last_id = 0
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._scanned = 0
        self._view: bytes | None = None
        self._view_came = asyncio.Event()
        self._gone: Disconnected | None = None

    async def ask(self, method: str, params: Mapping[str, object]) -> _Incoming:
        """Sends a call and waits for its answer."""
        if self._gone is not None:
            raise self._gone
        if len(self._waiting) >= CALLS_IN_HAND_MAX:
            raise CallFailed(wire.INTERNAL_ERROR, f"more than {CALLS_IN_HAND_MAX} calls wait for their answers")
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[_Incoming] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            assert self._transport is not None
            self._transport.write(_request(number, method, params))
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def next_view(self) -> bytes:
        """The newest view that was not yet taken."""
        await self._view_came.wait()
        self._view_came.clear()
        if self._gone is not None:
            self._view_came.set()
            raise self._gone
        assert self._view is not None
        return self._view

    def close(self) -> None:
        """Hangs up. May be called twice."""
        if self._transport is not None:
            self._transport.abort()
        self._lose(Disconnected("the connection was closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            self._take(line)
        self._scanned = len(self._buffer)
        if self._scanned > wire.LINE_BYTES_MAX:
            self._fail(NotUnderstood(f"the daemon sent a line of more than {wire.LINE_BYTES_MAX} bytes"))

    def connection_lost(self, _: Exception | None) -> None:
        self._lose(Disconnected("the daemon hung up"))

    def _take(self, line: bytes) -> None:
        """One whole line: a view, an answer, or a farewell."""
        try:
            incoming = _decode(line)
        except NotUnderstood as error:
            self._fail(error)
            return
        if incoming.method == "view":
            self._view = bytes(incoming.params)
            self._view_came.set()
        elif isinstance(incoming.id, int):
            answer = self._waiting.get(incoming.id)
            if answer is not None and not answer.done():
                answer.set_result(incoming)
        elif incoming.error is not None:
            self._fail(Disconnected(f"the daemon does not let this program in: {incoming.error.message}"))

    def _fail(self, reason: Disconnected) -> None:
        self._lose(reason)
        if self._transport is not None:
            self._transport.abort()

    def _lose(self, reason: Disconnected) -> None:
        """Everybody who waits is told. The first reason stays."""
        if self._gone is None:
            self._gone = reason
        self._buffer.clear()
        self._scanned = 0
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._gone)
        self._view_came.set()


def _request(number: int, method: str, params: Mapping[str, object]) -> bytes:
    return _encoder.encode(wire.Request(jsonrpc="2.0", method=method, params=dict(params), id=number)) + b"\n"


def _decode(line: bytes) -> _Incoming:
    try:
        return nesting.decode(_decoder, line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"the daemon's answer cannot be read: {error}") from error


def _result(incoming: _Incoming) -> object:
    """The result in an answer. Raises CallRefused, CallFailed or NotUnderstood."""
    fault = incoming.error
    if fault is None:
        try:
            return nesting.decode(_any_decoder, incoming.result)
        except ValueError as error:
            raise NotUnderstood(f"the daemon's result cannot be read: {error}") from error
    if fault.code == wire.REFUSED and fault.data is not None:
        try:
            said = msgspec.convert(fault.data, text.Message)
        except msgspec.ValidationError as error:
            raise NotUnderstood(f"the daemon's refusal cannot be read: {error}") from error
        raise CallRefused(said)
    raise CallFailed(fault.code, fault.message)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns the system's errors into one that tells what to do."""
    try:
        yield
    except PermissionError:
        raise Disconnected(f"{path} may not be used by this user: join the daemon's group") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise Disconnected(f"no daemon listens on {path}: start it, or name its socket") from None
    except TimeoutError:
        raise
    except OSError as error:
        raise Disconnected(f"the connection to {path} failed: {error.strerror or error}") from error
