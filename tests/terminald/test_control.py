"""The control socket over real Unix sockets: calls, views, faults, and who is let in."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core import text, wire
from core.ports import OutcomeUnknown, PaperOut
from store.errors import JournalNoSpace
from terminald import control
from terminald.client import CallFailed, CallRefused, Disconnected, connect
from terminald.control import ControlServer, Method, Params, Refused
from terminald.unixsocket import Access, Peer, SocketTaken, access, peer_of


class Scan(Params, frozen=True, kw_only=True):
    data: str
    quantity: int = 1
    key: str | None = None


class Till:
    """What is behind the socket: a counter, a gate to hold a call back, and ways to fail."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gate = asyncio.Event()
        self.view = b'{"revision":1}'

    async def scan(self, params: Scan) -> dict[str, object]:
        self.seen.append(params.data)
        if params.data == "refuse":
            raise Refused(text.message("item-not-found", gtin="4000000000001"))
        if params.data == "paper":
            raise PaperOut
        if params.data == "room":
            raise JournalNoSpace("there is no room left for history.db")
        if params.data == "unknown":
            raise OutcomeUnknown("a commit failed")
        if params.data == "break":
            raise ValueError("a basket of secrets")
        return {"line": len(self.seen)}

    async def wait(self, _: Params) -> str:
        await self.gate.wait()
        self.seen.append("waited")
        return "done"

    async def nothing(self, _: Params) -> None:
        return None

    def methods(self) -> dict[str, Method[Any]]:
        return {
            "sale.scan": Method(summary="Rings up a code", params=Scan, handler=self.scan),
            "test.nothing": Method(summary="Does nothing", params=Params, handler=self.nothing),
            "test.wait": Method(summary="Waits", params=Params, handler=self.wait),
        }


@pytest.fixture
def till() -> Till:
    return Till()


@contextlib.asynccontextmanager
async def served(path: Path, till: Till, **options: Any) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, till.methods(), lambda: till.view, **options)
    server.open()
    serving = asyncio.create_task(server.serve(), name="server")
    try:
        yield server
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        server.close()


async def exchange(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    """Sends raw bytes, hangs up the sending half, and returns every line that comes back."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 22)
    writer.write(b"".join(lines))
    await writer.drain()
    answers: list[dict[str, Any]] = []
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        async with asyncio.timeout(5):
            while len(answers) < len(lines) and (line := await reader.readline()):
                answers.append(json.loads(line))
    writer.close()
    return answers


def call(method: str, number: int = 1, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


async def test_a_call_is_answered(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "control.sock", till), connect(tmp_path / "control.sock") as client:
        assert await client.call("sale.scan", {"data": "4006381333931", "key": "a"}) == {"line": 1}
    assert till.seen == ["4006381333931"]


async def test_a_result_of_null_is_there(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till):
        assert await exchange(tmp_path / "s", call("test.nothing")) == [{"jsonrpc": "2.0", "id": 1, "result": None}]


async def test_a_refusal_carries_id_and_parameters(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till), connect(tmp_path / "s") as client:
        with pytest.raises(CallRefused) as refused:
            await client.call("sale.scan", {"data": "refuse"})
        assert refused.value.message == text.message("item-not-found", gtin="4000000000001")
        assert await exchange(tmp_path / "s", call("sale.scan", data="refuse")) == [
            {
                "jsonrpc": "2.0",
                "id": 1,
                "error": {
                    "code": 1,
                    "message": "item-not-found",
                    "data": {"id": "item-not-found", "params": {"gtin": "4000000000001"}},
                },
            }
        ]


async def test_a_device_error_is_a_refusal_with_its_remedy(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till), connect(tmp_path / "s") as client:
        with pytest.raises(CallRefused) as refused:
            await client.call("sale.scan", {"data": "paper"})
    assert refused.value.message.id == "paper-out"
    assert "roll" in str(refused.value.message.params["remedy"])


async def test_a_fault_of_the_store_is_a_refusal_with_its_remedy(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till), connect(tmp_path / "s") as client:
        with pytest.raises(CallRefused) as refused:
            await client.call("sale.scan", {"data": "room"})
    assert refused.value.message.id == "journal-no-space"
    assert "room" in str(refused.value.message.params["remedy"])


async def test_an_unknown_outcome_is_told_as_neither_success_nor_failure(tmp_path: Path, till: Till) -> None:
    """The connection ends without an answer: whoever asked asks again, under the same key."""
    async with served(tmp_path / "s", till):
        assert await exchange(tmp_path / "s", call("sale.scan", data="unknown")) == []
        async with connect(tmp_path / "s") as client:
            with pytest.raises(Disconnected):
                await client.call("sale.scan", {"data": "unknown"})


async def test_a_broken_handler_is_named_without_its_text(
    tmp_path: Path, till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path / "s", till), connect(tmp_path / "s") as client:
        with pytest.raises(CallFailed) as failed:
            await client.call("sale.scan", {"data": "break"})
        assert await client.call("sale.scan", {"data": "next"}) == {"line": 2}
    assert failed.value.code == wire.INTERNAL_ERROR
    assert "ValueError in test_control.py:" in caplog.text
    assert "secrets" not in caplog.text + str(failed.value)


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        (b"not json\n", wire.PARSE_ERROR, "malformed"),
        (b"\xff\xfe\n", wire.PARSE_ERROR, ""),
        (b'{"params":{"a":' + b"[" * 100_000 + b"\n", wire.PARSE_ERROR, "recursion"),
        (b"[]\n", wire.INVALID_REQUEST, "object"),
        (b'{"jsonrpc":"2.0","id":1,"method":"sale.scan","params":[1]}\n', wire.INVALID_REQUEST, "params"),
        (b'{"jsonrpc":"1.0","id":1,"method":"sale.scan"}\n', wire.INVALID_REQUEST, "2.0"),
        (call("sale.fly"), wire.METHOD_NOT_FOUND, "sale.fly"),
        (call("sale.scan"), wire.INVALID_PARAMS, "data"),
        (call("sale.scan", data=7), wire.INVALID_PARAMS, "data"),
        (call("sale.scan", data="x", colour="red"), wire.INVALID_PARAMS, "colour"),
    ],
)
async def test_bad_lines_are_named_and_the_next_is_answered(
    tmp_path: Path, till: Till, line: bytes, code: int, word: str
) -> None:
    async with served(tmp_path / "s", till):
        bad, good = await exchange(tmp_path / "s", line, call("sale.scan", number=9, data="x"))
    assert bad["error"]["code"] == code
    assert word in bad["error"]["message"]
    assert good == {"jsonrpc": "2.0", "id": 9, "result": {"line": 1}}


async def test_a_notification_is_carried_out_without_an_answer(tmp_path: Path, till: Till) -> None:
    silent = b'{"jsonrpc":"2.0","method":"sale.scan","params":{"data":"quiet"}}\n\n'
    async with served(tmp_path / "s", till):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(silent + call("sale.scan", number=2, data="loud"))
        assert json.loads(await reader.readline())["id"] == 2
        writer.close()
    assert till.seen == ["quiet", "loud"]


async def test_an_overlong_line_is_told_and_dropped(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till):
        (answer,) = await exchange(tmp_path / "s", b"x" * (wire.LINE_BYTES_MAX + 100_000))
        assert answer["error"]["code"] == wire.INVALID_REQUEST
        assert str(wire.LINE_BYTES_MAX) in answer["error"]["message"]
        assert len(await exchange(tmp_path / "s", call("sale.scan", data="x"))) == 1


async def test_a_torn_line_does_nothing(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till):
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(call("sale.scan", data="torn")[:-2])
        writer.close()
        await exchange(tmp_path / "s", call("sale.scan", data="whole"))
    assert till.seen == ["whole"]


async def test_one_byte_at_a_time(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        for byte in call("sale.scan", data="4006381333931"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert json.loads(await reader.readline())["result"] == {"line": 1}
        writer.close()


async def test_discover_gives_the_schema_of_each_parameter(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till), connect(tmp_path / "s") as client:
        methods = await client.call("rpc.discover")
    assert isinstance(methods, list)
    assert [method["name"] for method in methods] == [
        "rpc.discover",
        "sale.scan",
        "test.nothing",
        "test.wait",
        "view.get",
        "view.subscribe",
    ]
    assert methods[1]["summary"] == "Rings up a code"
    assert methods[1]["params"]["data"] == {"type": "string"}
    assert methods[1]["params"]["quantity"] == {"type": "integer", "default": 1}
    assert methods[2]["params"] == {}


async def test_calls_of_one_client_do_not_wait_for_each_other(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till), connect(tmp_path / "s") as client, asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(client.call("test.wait"))
        assert await client.call("sale.scan", {"data": "x"}) == {"line": 1}
        assert not slow.done()
        till.gate.set()
        assert await slow == "done"


async def test_a_flood_of_calls_is_answered_in_full_and_bounded(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till):
        lines = [call("sale.scan", number=number, data=str(number)) for number in range(500)]
        answers = await exchange(tmp_path / "s", *lines)
    assert sorted(answer["id"] for answer in answers) == list(range(500))
    assert till.seen == [str(number) for number in range(500)]


async def test_a_call_outlives_its_client(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till) as server:
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(call("test.wait"))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.05)
        till.gate.set()
        assert await server.finish(2)
    assert till.seen == ["waited"]


async def test_finish_refuses_new_orders_and_gives_up_in_time(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till) as server, connect(tmp_path / "s") as client, asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(client.call("test.wait"))
        await asyncio.sleep(0.05)
        assert not await server.finish(0.1)
        with pytest.raises(CallRefused, match="till-stopping"):
            await client.call("sale.scan", {"data": "late"})
        till.gate.set()
        assert await waiting == "done"


# --- views -----------------------------------------------------------------------------------------------------------


async def subscribe(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 22)
    writer.write(call("view.subscribe"))
    assert json.loads(await reader.readline())["result"] == {}
    return reader, writer


async def next_view(reader: asyncio.StreamReader) -> dict[str, Any]:
    notification = json.loads(await asyncio.wait_for(reader.readline(), 5))
    assert notification["method"] == "view"
    assert "id" not in notification
    view: dict[str, Any] = notification["params"]
    return view


async def test_a_subscriber_gets_the_view_now_and_on_each_publish(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till) as server:
        reader, writer = await subscribe(tmp_path / "s")
        assert await next_view(reader) == {"revision": 1}
        for revision in (2, 3):
            server.publish(b'{"revision":%d}' % revision)
            assert await next_view(reader) == {"revision": revision}
        writer.close()


async def test_a_second_subscription_changes_nothing(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till) as server:
        reader, writer = await subscribe(tmp_path / "s")
        await next_view(reader)
        writer.write(call("view.subscribe"))
        await reader.readline()
        server.publish(b'{"revision":2}')
        assert await next_view(reader) == {"revision": 2}
        server.publish(b'{"revision":3}')
        assert await next_view(reader) == {"revision": 3}
        writer.close()


async def test_a_slow_client_skips_to_the_newest_view(tmp_path: Path, till: Till) -> None:
    padding = b"x" * 300_000
    async with served(tmp_path / "s", till) as server:
        reader, writer = await subscribe(tmp_path / "s")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for revision in range(100):
            server.publish(b'{"revision":%d,"padding":"%s"}' % (revision, padding))
            await asyncio.sleep(0)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        seen: list[int] = []
        while not seen or seen[-1] != 99:
            seen.append((await next_view(reader))["revision"])
        assert len(seen) < 10
        writer.close()


async def test_a_client_that_takes_nothing_is_dropped_and_others_are_served(tmp_path: Path, till: Till) -> None:
    padding = b"x" * 900_000
    async with served(tmp_path / "s", till, slow_client_s=0.2) as server:
        stuck = socket.socket(socket.AF_UNIX)
        stuck.connect(str(tmp_path / "s"))
        stuck.sendall(call("view.subscribe"))
        await asyncio.sleep(0.05)
        reader, writer = await subscribe(tmp_path / "s")
        await next_view(reader)
        for revision in range(8):
            server.publish(b'{"revision":%d,"padding":"%s"}' % (revision, padding))
            assert (await next_view(reader))["revision"] == revision
            await asyncio.sleep(0.05)
        taken = 0
        stuck.settimeout(2)
        with contextlib.suppress(ConnectionResetError):
            while got := stuck.recv(1 << 20):
                taken += len(got)
        assert taken < 2_000_000
        stuck.close()
        writer.close()


async def test_clients_are_bounded(tmp_path: Path, till: Till) -> None:
    async with served(tmp_path / "s", till), contextlib.AsyncExitStack() as stack:
        for _ in range(control.CLIENTS_MAX):
            client = await stack.enter_async_context(connect(tmp_path / "s"))
            await client.call("sale.scan", {"data": "x"})
        (farewell,) = await exchange(tmp_path / "s", call("sale.scan", data="one too many"))
        assert farewell["error"]["data"]["id"] == "too-many-clients"
    assert "one too many" not in till.seen


# --- the socket's file and who is let in -----------------------------------------------------------------------------


async def test_the_socket_is_for_owner_and_group_and_goes_with_the_daemon(tmp_path: Path, till: Till) -> None:
    path = tmp_path / "control.sock"
    async with served(path, till):
        assert path.stat().st_mode & 0o777 == 0o660
    assert not path.exists()


HOLDER = """
import asyncio, sys
from pathlib import Path
from terminald.control import ControlServer
async def main():
    server = ControlServer(Path(sys.argv[1]), {}, lambda: b"{}")
    server.open()
    print("ready", flush=True)
    await server.serve()
asyncio.run(main())
"""


async def test_a_killed_daemons_socket_is_replaced_and_a_live_ones_is_not(tmp_path: Path, till: Till) -> None:
    path = tmp_path / "control.sock"
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"ready\n"
    with pytest.raises(SocketTaken, match="stop it first"):
        ControlServer(path, {}, lambda: b"{}").open()
    holder.kill()
    await holder.wait()
    assert path.is_socket()
    async with served(path, till), connect(path) as client:
        assert await client.call("sale.scan", {"data": "x"}) == {"line": 1}


def test_a_stranger_that_listens_there_is_left_alone(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(tmp_path / "s"))
        stranger.listen(1)

        async def start() -> None:
            ControlServer(tmp_path / "s", {}, lambda: b"{}").open()

        with pytest.raises(SocketTaken, match="another program"):
            asyncio.run(start())
    assert (tmp_path / "s").exists()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(FileExistsError, match="no socket"):
        ControlServer(tmp_path / "s", {}, lambda: b"{}").open()
    assert (tmp_path / "s").read_text() == "precious"


async def test_a_long_path_works(tmp_path: Path, till: Till) -> None:
    folder = tmp_path / ("a" * 120) / ("b" * 120)
    folder.mkdir(parents=True)
    async with served(folder / "control.sock", till), connect(folder / "control.sock") as client:
        assert await client.call("sale.scan", {"data": "x"}) == {"line": 1}
    with pytest.raises(ValueError, match="too long"):
        ControlServer(folder / ("c" * 110), {}, lambda: b"{}").open()


async def test_open_after_a_failed_open(tmp_path: Path, till: Till) -> None:
    (tmp_path / "s").write_text("in the way")
    server = ControlServer(tmp_path / "s", {}, lambda: b"{}")
    with pytest.raises(FileExistsError):
        server.open()
    (tmp_path / "s").unlink()
    server.open()
    server.close()
    server.close()
    assert not (tmp_path / "s").exists()


def test_who_is_admitted() -> None:
    def peer(uid: int, *gids: int) -> Peer:
        return Peer(pid=1, uid=uid, gids=frozenset(gids))

    door = Access(uids=frozenset({1001}), gid=500)
    assert door.admits(peer(0))
    assert door.admits(peer(os.geteuid()))
    assert door.admits(peer(1001))
    assert door.admits(peer(70000, 100, 500))
    assert not door.admits(peer(70000, 100))
    assert not Access().admits(peer(70000, 100))


def test_a_group_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no group 'nobody-has-this-group'"):
        access("nobody-has-this-group")


def test_the_kernel_tells_groups_of_the_peer() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        peer = peer_of(here)
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert peer.gids == frozenset({os.getegid(), *os.getgroups()})


STRANGER = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"sale.scan","params":{"data":"stolen"}}\\n')
except BrokenPipeError:
    pass  # it was sent away before it could ask; the farewell is there to be read
print(s.makefile().readline())
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are for one user."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program as another user")
@pytest.mark.parametrize(("groups", "admitted"), [([], False), ([54321], True)])
async def test_another_user_is_let_in_by_the_group_alone(
    open_folder: Path, till: Till, groups: list[int], admitted: bool
) -> None:
    path = open_folder / "s"
    async with served(path, till, access=Access(gid=54321)):
        # The kernel lets everybody connect here: the daemon's own look at the peer is what is tested.
        path.chmod(0o666)
        child = await asyncio.create_subprocess_exec(
            "/usr/bin/python3", "-Ic", STRANGER, str(path), user=65534, group=65534, extra_groups=groups,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(child.communicate(), 10)
    answer = msgspec.json.decode(out)
    if admitted:
        assert answer["result"] == {"line": 1}
    else:
        assert answer["error"]["data"] == {"id": "peer-not-allowed", "params": {"uid": 65534}}
        assert till.seen == []


async def test_no_daemon_is_said(tmp_path: Path) -> None:
    with pytest.raises(Disconnected, match="start it"):
        async with connect(tmp_path / "nothing"):
            pass
