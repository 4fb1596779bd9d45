"""Alarms are handed on: in order, signed, again until they are taken, over restarts, by several; nothing forever."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest

from core import topics
from fleet.config import ConfigError, load
from fleet.database import Database
from fleet.store import Address, Store, open_store, reading
from fleet.told import Change, Heard, Told, keep
from fleet.webhook import REFUSALS_MAX, Webhook
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.mqtt import connect
from tests.brokers import Mosquitto, free_port
from tests.fleet.test_collect import Collect
from tests.tills import eventually


class Receiver:
    """A server that answers as it is told to, and keeps what it took."""

    def __init__(self, port: int = 0) -> None:
        self.answers: list[int] = []
        """The next ones; then 204."""
        self.taken: list[dict[str, Any]] = []
        self.seen: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answers.pop(0) if receiver.answers else 204
                receiver.seen.append((dict(self.headers), body))
                if status < 300:
                    receiver.taken.append(json.loads(body))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def database(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=1)
    yield opened
    opened.close()


def note(database: Store, *types: str) -> None:
    told = Told(ts=5, since=5, severity="major", text="Out of paper: printer.", v={"devices": "printer"})
    keep(database, Heard(changes=[Change("till-3", type_, told) for type_ in types]), 1000, notify=True)


def waiting(database: Store) -> int:
    with reading(database.address) as statements:
        (count,) = statements.execute("SELECT count(*) FROM notice").fetchone()
        return int(count)


@contextlib.asynccontextmanager
async def telling(database: Store, url: str, secret: str | None = None) -> AsyncIterator[Webhook]:
    own = open_store(database.address, now_ms=1)
    webhook = Webhook(url=url, secret=secret, database=own, clock=SystemClock(), random=Random(1), pause_s=0.02)
    task = asyncio.create_task(webhook.run())
    try:
        yield webhook
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        webhook.close()


async def test_alarms_are_handed_on_in_order_and_signed(database: Store, receiver: Receiver) -> None:
    with database.transaction() as statements:
        statements.execute(
            "INSERT INTO registry (terminal, site, workstation, tags, noted_ms) VALUES ('till-3', 'Harbour', '2', ' ', 1)"
        )
    note(database, "paper-out", "disk-low")
    async with telling(database, receiver.url, "a secret") as webhook:
        await eventually(lambda: len(receiver.taken) == 2)
        note(database, "disk-full")
        webhook.noted()
        await eventually(lambda: len(receiver.taken) == 3)
        await eventually(lambda: waiting(database) == 0)
    assert [each["type"] for each in receiver.taken] == ["paper-out", "disk-low", "disk-full"]
    first = receiver.taken[0]
    assert first.items() >= {
        "state": "raised", "terminal": "till-3", "site": "Harbour", "workstation": "2", "severity": "major",
        "text": "Out of paper: printer.", "since": 5, "at": 1000, "v": {"devices": "printer"},
    }.items()  # fmt: skip
    assert first["remedy"]
    headers, body = receiver.seen[0]
    assert headers["Terminald-Signature"] == f"sha256={hmac.new(b'a secret', body, hashlib.sha256).hexdigest()}"
    assert headers["Terminald-Notice"] == str(first["id"])
    assert len({each["id"] for each in receiver.taken}) == 3


@pytest.mark.parametrize("fault", [500, 503, 302, 404, 429])
async def test_what_was_not_taken_is_told_again(database: Store, receiver: Receiver, fault: int) -> None:
    receiver.answers = [fault] * (REFUSALS_MAX + 2)
    note(database, "paper-out", "disk-low")
    async with telling(database, receiver.url):
        await eventually(lambda: len(receiver.taken) == 2)
    assert [each["type"] for each in receiver.taken] == ["paper-out", "disk-low"]
    assert all(b'"paper-out"' in body for _, body in receiver.seen[:-1])  # the first keeps its place
    assert "Terminald-Signature" not in receiver.seen[0][0]


async def test_what_is_refused_as_such_is_given_up_and_holds_nothing_up(database: Store, receiver: Receiver) -> None:
    receiver.answers = [422] * REFUSALS_MAX
    note(database, "paper-out", "disk-low")
    async with telling(database, receiver.url):
        await eventually(lambda: waiting(database) == 0)
    assert [each["type"] for each in receiver.taken] == ["disk-low"]


async def test_nothing_is_lost_while_nobody_answers_or_over_a_restart(database: Store) -> None:
    port = free_port()
    note(database, "paper-out")
    async with telling(database, f"http://127.0.0.1:{port}/"):
        await asyncio.sleep(0.3)
        assert waiting(database) == 1
    late = Receiver(port)
    try:
        async with telling(database, late.url):
            await eventually(lambda: len(late.taken) == 1)
    finally:
        late.close()


async def test_several_share_them_out(database: Store, receiver: Receiver) -> None:
    types = [f"t{number}" for number in range(40)]
    note(database, *types)
    async with telling(database, receiver.url), telling(database, receiver.url):
        await eventually(lambda: waiting(database) == 0)
    assert sorted(each["type"] for each in receiver.taken) == sorted(types)


async def test_a_notice_whose_teller_died_is_told_by_another(database: Store, receiver: Receiver) -> None:
    note(database, "paper-out")
    with database.transaction() as statements:
        statements.execute("UPDATE notice SET due_ms = ?", (SystemClock().stamp().time_ms + 500,))
    async with telling(database, receiver.url) as webhook:
        await asyncio.sleep(0.2)
        assert receiver.taken == []
        await asyncio.sleep(0.4)
        webhook.noted()
        await eventually(lambda: len(receiver.taken) == 1)


def test_an_address_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    for url in ("ftp://x/", "hooks.example.com", "https://", "http://ex ample/\\n"):
        path.write_text(f'webhook = "{url}"\n')
        with pytest.raises(ConfigError, match="webhook must be"):
            load(path)
    path.write_text('webhook = "https://hooks.example.com/pos"\nwebhook_secret = "s3cret"\n')
    config = load(path)
    assert config.webhook == "https://hooks.example.com/pos"
    assert "s3cret" not in repr(config)


@pytest.fixture
def collect(tmp_path: Path) -> Iterator[Collect]:
    collector = Collect(tmp_path)
    yield collector
    if collector.is_running:
        collector.stop(signal.SIGKILL)


async def test_the_collector_hands_alarms_on(
    tmp_path: Path, mosquitto: Mosquitto, collect: Collect, receiver: Receiver
) -> None:
    config = tmp_path / "fleet.toml"
    config.write_text(f'webhook = "{receiver.url}"\n')
    raised = json.dumps(
        {"ts": 1, "since": 1, "severity": "minor", "text": "The disk is nearly full.", "v": {}}
    ).encode()
    collect.start(mosquitto.url, "--config", str(config))
    async with connect(parse_url(mosquitto.url), "till-3") as till:
        await till.publish(topics.alarm("till-3", "disk-low"), raised, retain=True)
        await eventually(lambda: len(receiver.taken) == 1)
        assert collect.stop() == 0
        collect.start(mosquitto.url, "--config", str(config))  # the broker tells of the retained alarm once more
        await till.publish(topics.alarm("till-3", "disk-low"), b"", retain=True)
        standing = json.dumps({"ts": 2, "clk": "ntp", "seq": 1, "v": {"alarms": "", "alarm_count": 0, "worst": None}})
        async with asyncio.timeout(20):
            while len(receiver.taken) < 2:  # as every minute, should the collector have missed the end
                await till.publish(topics.tele("till-3", "alarms"), standing.encode())
                await asyncio.sleep(0.2)
    assert [each["state"] for each in receiver.taken] == ["raised", "cleared"]
    assert collect.stop() == 0
    with Database.open(collect.database, now_ms=1).transaction() as statements:
        assert statements.execute("SELECT count(*) FROM notice").fetchone() == (0,)
