"""`terminald-fleet` as people run it: processes, files, signals, status codes."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from core import topics
from terminald.broker import parse_url
from terminald.forwarder import Forwarder
from terminald.mqtt import connect
from tests.brokers import Mosquitto, free_port
from tests.hostile import PASS, PUBLISH, Fate, Packet, Way, malice, meddling
from tests.tills import Till, eventually, open_till

FLEET = (sys.executable, "-m", "fleet")
FILE_BYTES_MAX = 300_000


def fleet(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run([*FLEET, *map(str, words)], capture_output=True, text=True, timeout=30)


class Collect:
    """A collector process."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "headquarters.db"
        self.log = folder / "collector.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, url: str, *words: str, file_bytes_max: int | None = None) -> None:
        self._start("--broker", url, "--database", str(self.database), *words)
        assert self._process is not None
        if file_bytes_max is not None:
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))

    def start_configured(self, path: Path) -> None:
        """By a file, whose database has to be this one."""
        self._start("--config", str(path))

    def _start(self, *words: str) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*FLEET, "collect", *words], stderr=log, stdout=log)

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(15)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it; its status."""
        self.send(number)
        return self.wait()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ack_key(self) -> bytes:
        return bytes.fromhex(fleet("key", "--database", self.database).stdout)

    def report(self) -> dict[str, object]:
        done = fleet("list", "--database", self.database, "--json")
        assert done.returncode == 0, done.stderr
        report: dict[str, object] = json.loads(done.stdout)
        return report


@pytest.fixture
def collect(tmp_path: Path) -> Iterator[Collect]:
    collector = Collect(tmp_path)
    yield collector
    if collector.is_running:
        collector.stop(signal.SIGKILL)


@contextlib.asynccontextmanager
async def forwarding(till: Till, url: str, ack_key: bytes) -> AsyncIterator[Forwarder]:
    forwarder = till.forwarder(ack_key)
    task = asyncio.create_task(till.uplink(forwarder, url).run(), name="forwarder")
    try:
        yield forwarder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def drained(till: Till, forwarder: Forwarder, timeout_s: float = 30.0) -> None:
    forwarder.notify()
    await eventually(lambda: forwarder.acknowledged_seq == till.journal.synced.seq, timeout_s)


def agree(collect: Collect, till: Till) -> None:
    report = collect.report()
    assert (report["transactions"], report["totals"]) == (len(till.tally), {"EUR": sum(till.tally.values())})


async def test_from_the_first_start_to_a_clean_stop(tmp_path: Path, mosquitto: Mosquitto, collect: Collect) -> None:
    ack_key = collect.ack_key
    public = tmp_path / "ack-public-key"
    collect.start(mosquitto.url, "--ack-public-key-file", str(public))
    async with open_till(tmp_path) as till, forwarding(till, mosquitto.url, ack_key) as forwarder:
        await till.sell_many(50, Random(1))
        await drained(till, forwarder)
        agree(collect, till)
    assert bytes.fromhex(public.read_text()) == ack_key
    key_file = collect.database.with_name("headquarters.db.ack-key")
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o400
    began_s = time.monotonic()
    assert collect.stop() == 0
    assert time.monotonic() - began_s < 3
    report = fleet("list", "--database", collect.database)
    assert "till-3" in report.stdout
    assert "first-use" in report.stdout
    for line in collect.log.read_text().splitlines():
        assert {"ts", "level", "message"} <= json.loads(line).keys()


async def test_what_a_terminal_last_said_is_written_down_before_the_end(
    tmp_path: Path, mosquitto: Mosquitto, collect: Collect
) -> None:
    def state() -> object:
        (terminal,) = json.loads(json.dumps(collect.report()["terminals"]))
        return terminal["state"]

    def status(state: str) -> bytes:
        return json.dumps({"state": state, "boot_id": "b1", "connection": 1}).encode()

    ack_key = collect.ack_key
    collect.start(mosquitto.url)
    async with open_till(tmp_path) as till, forwarding(till, mosquitto.url, ack_key) as forwarder:
        await till.sell(199)
        await drained(till, forwarder)
    async with connect(parse_url(mosquitto.url), "till-3") as connection:
        await connection.publish(topics.status("till-3"), status("online"))
        await eventually(lambda: state() == "online")
        await connection.publish(topics.status("till-3"), status("offline"))
        await asyncio.sleep(0.3)  # less than what the collector waits for more to write
        assert collect.stop() == 0
    assert state() == "offline"


async def test_card_numbers_in_what_a_terminal_says_are_not_kept(
    tmp_path: Path, mosquitto: Mosquitto, collect: Collect
) -> None:
    def kept() -> list[tuple[str, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{collect.database}?mode=ro", uri=True)) as database:
            if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'report'").fetchall():
                return []  # the file is there before its tables are
            return database.execute(
                "SELECT p.terminal, p.state, p.boot, r.body, a.text FROM presence p"
                " JOIN report r ON r.terminal = p.terminal JOIN alarm a ON a.terminal = p.terminal"
                " WHERE p.state IS NOT NULL"
            ).fetchall()

    card = "4111111111111111"
    status = json.dumps({"state": card, "boot_id": f";{card}=29121010000000123?", "connection": 1})
    told = json.dumps({"ts": 1, "clk": "ntp", "seq": 1, "v": {card: card, "n": int(card), "epoch": card}})
    honest = json.dumps({"ts": 1, "clk": "ntp", "seq": 1, "v": {card: card, "n": int(card), "depth": 7}})
    alarm = json.dumps({"ts": 1, "since": 1, "severity": "minor", "text": f"Card {card}", "v": {card: card}})
    collect.start(mosquitto.url)
    async with connect(parse_url(mosquitto.url), "till-3") as connection:
        while not collect.database.exists() or not kept():
            for topic, payload in (
                (topics.tele("till-3", "journal"), told), (topics.tele("till-3", "journal"), honest),
                (topics.alarm("till-3", "disk-low"), alarm), (topics.alarm("till-3", card), alarm),
                (topics.status("till-3"), status), (f"{topics.PREFIX}/{card}/status", status),
                (f"{topics.PREFIX}/{card}/money/batch", card),
            ):  # fmt: skip
                await connection.publish(topic, payload.encode())
            await asyncio.sleep(0.1)
    assert collect.stop() == 0
    ((terminal, state, _, measurements, text),) = kept()
    assert (terminal, state, json.loads(measurements)["v"]["depth"]) == ("till-3", "*" * 12 + "1111", 7)
    assert text == "Card ************1111"
    assert card not in f"{kept()}{collect.log.read_text()}"


async def test_a_collector_killed_between_commit_and_acknowledgement(
    tmp_path: Path, mosquitto: Mosquitto, collect: Collect
) -> None:
    kills = 0

    def judge(packet: Packet) -> Fate:
        nonlocal kills
        if kills < 3 and packet.way is Way.UP and packet.kind == PUBLISH and packet.topic.endswith("money/ack"):
            collect.stop(signal.SIGKILL)  # it has committed, and said nothing to anybody
            kills += 1
            return Fate(copies=0)
        return PASS

    async with meddling(mosquitto.port, judge) as url, open_till(tmp_path) as till:
        await till.sell_many(400, Random(1))
        async with forwarding(till, mosquitto.url, collect.ack_key) as forwarder:
            for _ in range(3):
                collect.start(url)
                await eventually(lambda: not collect.is_running)
                assert forwarder.acknowledged_seq < till.journal.synced.seq
                await till.sell(100)
                forwarder.notify()
            collect.start(url)
            await drained(till, forwarder)
        assert kills == 3
        agree(collect, till)


async def test_a_collector_killed_at_any_moment(tmp_path: Path, mosquitto: Mosquitto, collect: Collect) -> None:
    rng = Random(5)
    async with open_till(tmp_path) as till:
        async with forwarding(till, mosquitto.url, collect.ack_key) as forwarder:
            for _ in range(4):
                collect.start(mosquitto.url)
                await till.sell_many(400, rng)
                forwarder.notify()
                await asyncio.sleep(0.4 + 0.5 * rng.random())
                collect.stop(signal.SIGKILL)
            collect.start(mosquitto.url)
            await drained(till, forwarder)
        agree(collect, till)


async def test_batches_lost_doubled_and_delayed_on_both_sides(
    tmp_path: Path, mosquitto: Mosquitto, collect: Collect
) -> None:
    judge = malice(Random(3), drop=0.1, double=0.2, delay=0.3, delay_max_s=0.1)
    async with meddling(mosquitto.port, judge) as near, meddling(mosquitto.port, judge) as far:
        collect.start(far)
        async with open_till(tmp_path) as till, forwarding(till, near, collect.ack_key) as forwarder:
            for _ in range(15):
                await till.sell_many(40, Random(2))
                forwarder.notify()
                await asyncio.sleep(0.05)
            await drained(till, forwarder)
            agree(collect, till)


async def test_a_full_disk_ends_the_collector_with_a_word_and_loses_nothing(
    tmp_path: Path, mosquitto: Mosquitto, collect: Collect
) -> None:
    async with open_till(tmp_path) as till:
        await till.sell_many(1000, Random(1))
        async with forwarding(till, mosquitto.url, collect.ack_key) as forwarder:
            collect.start(mosquitto.url, file_bytes_max=FILE_BYTES_MAX)
            await eventually(lambda: not collect.is_running)
            assert collect.wait() == 1
            assert "database-not-writable" in collect.log.read_text()
            assert forwarder.acknowledged_seq < till.journal.synced.seq
            collect.start(mosquitto.url)
            await drained(till, forwarder)
        agree(collect, till)


async def test_a_broker_that_comes_later_is_waited_for(tmp_path: Path, mosquitto: Mosquitto, collect: Collect) -> None:
    mosquitto.stop()
    collect.start(mosquitto.url)
    await eventually(lambda: "broker-unreachable" in collect.log.read_text())
    mosquitto.start()
    async with open_till(tmp_path) as till, forwarding(till, mosquitto.url, collect.ack_key) as forwarder:
        await till.sell(100)
        await drained(till, forwarder)


async def test_a_terminal_with_a_new_key_is_taken_once_it_is_trusted(
    tmp_path: Path, mosquitto: Mosquitto, collect: Collect
) -> None:
    collect.start(mosquitto.url)
    async with open_till(tmp_path) as till, forwarding(till, mosquitto.url, collect.ack_key) as forwarder:
        await till.sell(100)
        await drained(till, forwarder)
    again = tmp_path / "again"
    again.mkdir()
    async with open_till(again, seed=4) as till, forwarding(till, mosquitto.url, collect.ack_key) as forwarder:
        await till.sell(200)
        forwarder.notify()
        await eventually(lambda: (forwarder.fault or "").startswith("headquarters: key-untrusted"))
        done = fleet("trust", "till-3", till.key.public_key.hex(), "--database", collect.database)
        assert done.returncode == 0, done.stderr
        await drained(till, forwarder)
    report = collect.report()
    assert (report["transactions"], report["totals"]) == (2, {"EUR": 300})


def test_settings_come_from_a_file_and_options_go_before_it(tmp_path: Path) -> None:
    config = tmp_path / "fleet.toml"
    config.write_text(
        f'broker = "mqtt://127.0.0.1:{free_port()}"\ndatabase = "hq.db"\nack_public_key_file = "public"\n'
    )
    process = subprocess.Popen([*FLEET, "collect", "--config", str(config)], stderr=subprocess.DEVNULL)
    try:
        until_s = time.monotonic() + 10
        while time.monotonic() < until_s and not (tmp_path / "hq.db-wal").exists():
            time.sleep(0.05)
        assert (tmp_path / "hq.db").exists()
        assert (tmp_path / "public").exists()
    finally:
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('broker = "mqtt://h"\n', "--database"),
        ('brooker = "mqtt://h"\n', "no setting 'brooker'"),
        ("broker = 5\n", "must be text"),
        ('broker = "http://h"\ndatabase = "x"\n', "mqtt://host:port"),
        ("broker = \n", "line 1"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, complaint: str) -> None:
    config = tmp_path / "fleet.toml"
    config.write_text(text)
    done = fleet("collect", "--config", config)
    assert (done.returncode, complaint in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["collect", "--broker", "mqtt://h"], 2, "--database"),
        (["collect", "--broker", "h:1883", "--database", "x.db"], 2, "mqtt://host:port"),
        (["collect", "--broker", "mqtt://h", "--database", "mysql://h/x"], 2, "postgresql://host"),
        (["collect", "--broker", "mqtt://h", "--database", "postgresql://h"], 2, "names no database"),
        (["collect", "--broker", "mqtt://h", "--database", "postgresql:///x?host=/no/such"], 1, "--key"),
        (["list", "--database", "postgresql:///x?host=/no/such"], 1, "database-away"),
        (["collect", "--broker", "mqtt://h", "--database", "/no/such/folder/x.db"], 1, "No such file"),
        (["list", "--database", "/no/such/x.db"], 1, "database-absent"),
        (["trust", "till-3", "abc", "--database", "x.db"], 2, "64 hex digits"),
        (["trust", "a/b", "00" * 32, "--database", "x.db"], 2, "no terminal id"),
        ([], 2, "COMMAND"),
    ],
)
def test_wrong_words_are_told(words: Sequence[str], status: int, complaint: str) -> None:
    done = fleet(*words)
    assert (done.returncode, complaint in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    assert fleet("key", "--database", tmp_path / "hq.db").returncode == 0
    key = tmp_path / "hq.db.ack-key"
    os.chmod(key, 0o444)
    done = fleet("key", "--database", tmp_path / "hq.db")
    assert (done.returncode, "chmod 0400" in done.stderr) == (1, True)
    os.chmod(key, 0o600)
    key.write_text("not a key")
    assert "64 hex digits" in fleet("key", "--database", tmp_path / "hq.db").stderr
