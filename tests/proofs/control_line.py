"""The control socket for the fuzzer: the real server at one end of a socket pair, anything at the other."""

import asyncio
import dataclasses
import logging
import socket
from pathlib import Path
from typing import Any, cast

import msgspec

from core import wire
from terminald.client import _decode, _result
from terminald.control import ControlServer, Params
from terminald.methods import methods
from tests.proofs.fuzzing import Parse

CALLS = (
    b'{"jsonrpc":"2.0","id":1,"method":"sale.scan","params":{"data":"4006381333931","key":"a1"}}\n',
    b'{"jsonrpc":"2.0","id":"x","method":"sale.quantity","params":{"quantity_milli":3000,"line":1}}\n',
    b'{"jsonrpc":"2.0","id":2,"method":"sale.cash","params":{"amount_minor":1000}}\n{"jsonrpc":"2.0","method":"rpc.discover"}\n',
    b'{"jsonrpc":"2.0","id":3,"method":"view.subscribe"}\n{"jsonrpc":"2.0","id":4,"method":"history.find","params":{"item":"1"}}\n',
)
ANSWERS = (
    b'{"jsonrpc":"2.0","id":1,"result":{"notice":null,"entries":["item_rung"],"number":1}}',
    b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"check-digit-wrong","data":{"id":"check-digit-wrong","params":{"code":"1"}}}}',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no JSON"}}',
)


def control_line() -> Parse:
    """What a client writes: every line but a notification is answered, and the server outlives it."""
    logging.getLogger("terminald.control").disabled = True
    nobody = cast(Any, None)
    table = {
        name: dataclasses.replace(method, handler=_echo)
        for name, method in methods(
            nobody, nobody, nobody, nobody, nobody, nobody, nobody, nobody, nobody, nobody
        ).items()
    }
    server = ControlServer(Path("none"), table, lambda: b"{}")
    loop = asyncio.new_event_loop()

    def parse(data: bytes) -> None:
        for line in loop.run_until_complete(_converse(server, data)).splitlines():
            answer = msgspec.json.decode(line)
            assert answer.get("error", {}).get("code") != wire.INTERNAL_ERROR, "a handler was given what it cannot take"

    return parse


def control_line_of_one() -> Parse:
    """The same for one line, however long."""
    parse = control_line()
    return lambda data: parse(data.replace(b"\n", b" ") + b"\n")


async def _echo(params: Params) -> object:
    return params


async def _converse(server: ControlServer, data: bytes) -> bytes:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        welcome = tasks.create_task(server._welcome(theirs, tasks), name="welcome")
        writing = tasks.create_task(_write(ours, data), name="write")
        said = b""
        with ours:
            while chunk := await loop.sock_recv(ours, 1 << 16):
                said += chunk
            writing.cancel()
        await welcome
    return said


async def _write(ours: socket.socket, data: bytes) -> None:
    try:
        await asyncio.get_running_loop().sock_sendall(ours, data)
        ours.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the server has hung up


def daemons_answer() -> Parse:
    """What the daemon writes, as screens and consoles take it."""

    def parse(data: bytes) -> None:
        _result(_decode(data))

    return parse
