"""The control socket: how screens, consoles and scripts reach the till. JSON-RPC 2.0, one object a line.

Every client may call the methods that it was given; `view.subscribe` sends the whole view now and after every publish.
Who may come in is decided by the kernel's word on the peer (unix(7): SO_PEERCRED, SO_PEERGROUPS), not by a secret.
A client that does not keep up misses views, never the newest one, and is dropped when it takes nothing at all.
"""

import asyncio
import functools
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from core import text, wire
from core.card import wipe
from core.ports import DeviceError, JournalError, OutcomeUnknown
from terminald.unixsocket import Access, Listener, peer_of

CLIENTS_MAX = 32
REQUESTS_IN_HAND_MAX = 16
"""Calls of one client that run at the same time; its next line waits in the socket."""
SLOW_CLIENT_S = 5.0
"""A client that takes nothing for so long is dropped; it may come again."""
ANSWER_S_MAX = 120.0
ACCEPT_PAUSE_S = 0.2


_log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()
_request_decoder = msgspec.json.Decoder(wire.Request)


class Refused(Exception):
    """The till cannot take this order now; `message` says why, as an id with parameters."""

    def __init__(self, message: text.Message) -> None:
        super().__init__(message.id)
        self.message = message


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What parameters of a method share: an unknown one is an error. Without fields: a method that takes none."""


P = TypeVar("P", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Generic[P]):
    """A method that clients may call: what it does in one line, its parameters, and who carries it out.

    The handler's result is anything that msgspec encodes. It raises Refused when the till cannot take the order now;
    a DeviceError or JournalError becomes a refusal with the error's code and remedy.
    """

    summary: str
    params: type[P]
    handler: Callable[[P], Awaitable[object]]


class ControlServer:
    """The listening end. `view` gives the newest encoded `core.view.View`; `publish` takes each newer one.

    `methods` are added to `rpc.discover`, `view.get` and `view.subscribe`, which the server carries out itself. Where the
    till is `closed` for a reason, every other order is refused with it.
    """

    def __init__(
        self,
        path: Path,
        methods: Mapping[str, Method[Any]],
        view: Callable[[], bytes],
        access: Access | None = None,
        *,
        slow_client_s: float = SLOW_CLIENT_S,
        closed: text.Message | None = None,
    ) -> None:
        self.path = path
        self._view = view
        self._access = access or Access()
        self._slow_client_s = slow_client_s
        self._closed = closed
        self._methods: dict[str, Method[Any]] = {
            "rpc.discover": Method(summary="Lists the methods", params=Params, handler=self._discover),
            "view.get": Method(summary="The whole view, once", params=Params, handler=self._get_view),
            # Carried out by the conversation itself: it alone knows which client is to get the views.
            "view.subscribe": Method(summary="The whole view now and on each change", params=Params, handler=_accept),
            **methods,
        }
        self._clients: set[_Client] = set()
        self._listener: Listener | None = None
        self._in_hand = 0
        self._stopping = False
        self._quiet = asyncio.Event()
        self._quiet.set()

    def open(self) -> None:
        """Takes the socket; a file that a killed daemon left is replaced.

        Raises SocketTaken when another daemon has it, FileExistsError when something else lies there, OSError.
        """
        self._listener = Listener(self.path, self._access.gid)

    async def serve(self) -> None:
        """Answers clients until it is cancelled."""
        if self._listener is None:
            self.open()
        assert self._listener is not None
        listener = self._listener.socket
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    peer, _ = await asyncio.get_running_loop().sock_accept(listener)
                except OSError as error:
                    # Out of descriptors, or the client has gone again: the till goes on, the next one is tried later.
                    _log.warning("control: cannot accept a client: %s", os.strerror(error.errno or 0))
                    await asyncio.sleep(ACCEPT_PAUSE_S)
                    continue
                tasks.create_task(self._welcome(peer, tasks), name="control-client")

    def publish(self, view: bytes) -> None:
        """Hands an encoded view to all subscribers; whoever is still busy with an older one skips to this."""
        subscribers = [client for client in self._clients if client.subscribed]
        if subscribers:
            line = _notification(view)
            for client in subscribers:
                client.show(line)

    async def finish(self, timeout_s: float) -> bool:
        """Takes no order any more and waits for the ones in hand to be answered; whether all were."""
        self._stopping = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Lets go of the socket and removes its file. Never raises, may be called twice."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    async def _welcome(self, peer: socket.socket, tasks: asyncio.TaskGroup) -> None:
        """One client from its first to its last byte."""
        try:
            who = peer_of(peer)
            reader, writer = await asyncio.open_unix_connection(sock=peer, limit=wire.LINE_BYTES_MAX)
        except OSError:
            peer.close()
            return
        # No buffer beyond the line being sent, so that a drain ends only when the client's socket has taken all of it.
        writer.transport.set_write_buffer_limits(high=0)
        client = _Client(writer, self._slow_client_s)
        try:
            if not self._access.admits(who):
                _log.warning("control: user %d (process %d) is not let in", who.uid, who.pid)
                await client.send(_farewell("peer-not-allowed", uid=who.uid))
            elif len(self._clients) >= CLIENTS_MAX:
                _log.warning("control: too many clients, process %d is sent away", who.pid)
                await client.send(_farewell("too-many-clients", clients_max=CLIENTS_MAX))
            else:
                self._clients.add(client)
                await self._converse(client, reader, tasks)
        except (OSError, TimeoutError):
            pass  # It has gone, or takes nothing: it may come again.
        finally:
            self._clients.discard(client)
            client.close()

    async def _converse(self, client: "_Client", reader: asyncio.StreamReader, tasks: asyncio.TaskGroup) -> None:
        """Reads lines until the client goes. Calls start in the order of their lines, and outlive a lost client."""
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                await client.send(
                    _fault(None, wire.INVALID_REQUEST, f"a line is longer than {wire.LINE_BYTES_MAX} bytes")
                )
                return
            if not line.strip():
                continue
            try:
                request = _request_decoder.decode(line)
            except msgspec.ValidationError as error:
                await client.send(_fault(None, wire.INVALID_REQUEST, str(error)))
                continue
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                await client.send(_fault(None, wire.PARSE_ERROR, str(error)))
                continue
            await client.slots.acquire()
            self._in_hand += 1
            self._quiet.clear()
            tasks.create_task(self._carry_out(client, request, tasks), name=f"control-call-{request.method[:40]}")

    async def _carry_out(self, client: "_Client", request: wire.Request, tasks: asyncio.TaskGroup) -> None:
        """One call from its line to its answer; a notification gets none."""
        try:
            answer = await self._answer(request)
            if request.id is not None:
                await client.send(answer)
            if request.method == "view.subscribe" and not client.subscribed:
                client.subscribed = True
                client.show(_notification(self._view()))
                tasks.create_task(client.show_for_ever(), name="control-views")
        except (OSError, TimeoutError):
            client.close()
        except OutcomeUnknown:
            # Neither a success nor a failure: the client asks again under its key, once the daemon has looked it up.
            client.close()
        finally:
            client.slots.release()
            self._in_hand -= 1
            if not self._in_hand:
                self._quiet.set()

    async def _answer(self, request: wire.Request) -> bytes:
        """The line that answers a call. Raises OutcomeUnknown, for which there is no answer."""
        number = request.id
        if request.jsonrpc != "2.0":
            return _fault(number, wire.INVALID_REQUEST, 'the request has no "jsonrpc": "2.0"')
        method = self._methods.get(request.method)
        if method is None and self._closed is not None:
            return _refusal(number, self._closed)
        if method is None:
            return _fault(number, wire.METHOD_NOT_FOUND, f"no method {request.method[:80]!r}: rpc.discover lists them")
        try:
            params = msgspec.convert(request.params, method.params)
        except msgspec.ValidationError as error:
            return _fault(number, wire.INVALID_PARAMS, str(error))
        if self._stopping:
            return _refusal(number, text.message("till-stopping"))
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                result = _encoder.encode(await method.handler(params))
        except Refused as refused:
            return _refusal(number, refused.message)
        except OutcomeUnknown:
            raise
        except (DeviceError, JournalError) as error:
            return _refusal(number, text.message(error.code, remedy=error.remedy))
        except Exception as error:
            # The caller is told, the till goes on. The text of an error may quote a basket, so its place alone is logged.
            _log.error("control: %s failed: %s", request.method, _place(error))
            return _fault(number, wire.INTERNAL_ERROR, f"{type(error).__name__} in the daemon: see its log")
        return _line(wire.Response(jsonrpc="2.0", id=number, result=msgspec.Raw(result)))

    async def _discover(self, _: Params) -> msgspec.Raw:
        return self._described

    @functools.cached_property
    def _described(self) -> msgspec.Raw:
        """All methods: some milliseconds' work, and the same whoever asks, however often."""
        return msgspec.Raw(_encoder.encode([_describe(name, each) for name, each in sorted(self._methods.items())]))

    async def _get_view(self, _: Params) -> msgspec.Raw:
        return msgspec.Raw(self._view())


class _Client:
    """One connection: its answers, and at most one view that waits to be sent."""

    def __init__(self, writer: asyncio.StreamWriter, slow_client_s: float) -> None:
        self.slots = asyncio.Semaphore(REQUESTS_IN_HAND_MAX)
        self.subscribed = False
        self._writer = writer
        self._slow_client_s = slow_client_s
        self._turn = asyncio.Lock()
        self._latest = b""
        self._changed = asyncio.Event()

    def show(self, line: bytes) -> None:
        """This view is to be sent next; an older one that still waits is forgotten."""
        self._latest = line
        self._changed.set()

    async def show_for_ever(self) -> None:
        """Sends the newest view whenever there is one, until the connection ends."""
        try:
            while not self._writer.is_closing():
                await self._changed.wait()
                self._changed.clear()
                await self.send(lambda: self._latest)
        except (OSError, TimeoutError):
            self.close()

    async def send(self, line: bytes | Callable[[], bytes]) -> None:
        """Writes one line and waits until the socket has taken it. Raises OSError, or TimeoutError on a slow client."""
        async with self._turn:
            if self._writer.is_closing():
                raise ConnectionResetError
            self._writer.write(line if isinstance(line, bytes) else line())
            async with asyncio.timeout(self._slow_client_s):
                await self._writer.drain()

    def close(self) -> None:
        """Ends the connection without waiting for a client that takes nothing. May be called twice."""
        self._changed.set()
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()
        else:
            self._writer.close()


async def _accept(_: Params) -> dict[str, object]:
    return {}


# --- lines -----------------------------------------------------------------------------------------------------------


def _line(response: wire.Response) -> bytes:
    return _encoder.encode(response) + b"\n"


def _fault(number: int | str | None, code: int, message: str) -> bytes:
    """`message` may quote what was sent, and what was sent may be a card's number in the wrong place."""
    return _line(wire.Response(jsonrpc="2.0", id=number, error=wire.Fault(code=code, message=wipe(message))))


def _refusal(number: int | str | None, message: text.Message) -> bytes:
    data: dict[str, object] = {"id": message.id, "params": message.params}
    return _line(
        wire.Response(jsonrpc="2.0", id=number, error=wire.Fault(code=wire.REFUSED, message=message.id, data=data))
    )


def _farewell(reason: str, **params: str | int) -> bytes:
    return _refusal(None, text.message(reason, **params))


def _notification(view: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","method":"view","params":' + view + b"}\n"


def _place(error: Exception) -> str:
    """Kind and place of an error, without its text: ``ValueError in engine.py:120``."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} in {where}"


def _describe(name: str, method: Method[Any]) -> wire.MethodDescription:
    (_, definitions) = msgspec.json.schema_components([method.params])
    properties = definitions[method.params.__name__].get("properties", {})
    return wire.MethodDescription(name=name, summary=method.summary, params=properties)
