"""`terminald-fleet simulate` against a real broker and a real collector: it sizes, and it would see a loss of a cent."""

import asyncio
import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.brokers import Mosquitto, mosquitto_in
from tests.certificates import Authority, listening, secure_url
from tests.hostile import malice, meddling
from tests.tills import make_key

FLEET = (sys.executable, "-m", "fleet")
TERMINALS = 12


class Headquarters:
    """A collector process and its database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.database = folder / "headquarters.db"
        self._folder = folder
        self._url = url
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Returns once its tables are there."""
        words = ("collect", "--broker", self._url, "--database", str(self.database), *more)
        with (self._folder / "collector.log").open("ab") as log:
            self._process = subprocess.Popen([*FLEET, *words], stdout=log, stderr=log)
        self.holds(0)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    @property
    def key(self) -> str:
        """Its public key."""
        words = (*FLEET, "key", "--database", str(self.database))
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def holds(self, sales: int) -> None:
        """Returns once it holds so many."""
        until_s = time.monotonic() + 60
        uri = f"file:{self.database}?mode=ro"
        while True:
            with contextlib.suppress(sqlite3.OperationalError):
                with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
                    if connection.execute("SELECT count(*) FROM retail_transaction").fetchone()[0] >= sales:
                        return
            assert time.monotonic() < until_s
            time.sleep(0.05)

    def write(self, statement: str) -> int:
        """Changes its database behind its back; how many rows."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            return connection.execute(statement).rowcount


@pytest.fixture
def headquarters(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Headquarters]:
    made = Headquarters(tmp_path, mosquitto.url)
    made.start()
    yield made
    made.stop(signal.SIGKILL)


def command(url: str, *words: object, terminals: int = TERMINALS) -> list[str]:
    told = ("simulate", "--terminals", terminals, "--broker", url, "--drain-timeout", 60, "--json", *words)
    return [*FLEET, *map(str, told)]


def run(url: str, *words: object) -> tuple[int, dict[str, object]]:
    """A run to its end: its status and its report."""
    done = subprocess.run(command(url, *words), capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_every_sale_arrives_and_is_compared_with_the_database(mosquitto: Mosquitto, headquarters: Headquarters) -> None:
    status, report = run(
        mosquitto.url, "--sales-per-hour", 1200, "--minutes", 0.05, "--database", headquarters.database,
        "--backlog-days", 0.05,
    )  # fmt: skip
    assert (status, report["whole"]) == (0, True)
    assert report["sold"] == report["acknowledged"] == report["stored"]
    assert report["sold"]["sales"] >= TERMINALS * 600  # type: ignore[index]
    assert report["sessions"]["online_max"] == TERMINALS  # type: ignore[index]
    assert report["backlog_drained_s"] > 0  # type: ignore[operator]


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM retail_transaction WHERE (terminal, epoch, seq) = (NEW.terminal, NEW.epoch, NEW.seq)",
        "UPDATE retail_transaction SET total_minor = total_minor + 1 WHERE (terminal, epoch, seq)"
        " = (NEW.terminal, NEW.epoch, NEW.seq)",
        "INSERT INTO retail_transaction SELECT terminal, 'again', seq, number, business_day, currency, total_minor,"
        " change_minor, time_ms, stored_ms FROM retail_transaction WHERE (terminal, epoch, seq) = (NEW.terminal, NEW.epoch, NEW.seq)",
    ],
    ids=["lost", "a cent more", "twice"],
)
def test_one_sale_that_is_not_there_to_the_cent_is_seen(
    mosquitto: Mosquitto, headquarters: Headquarters, harm: str
) -> None:
    headquarters.write(
        "CREATE TRIGGER harm AFTER INSERT ON retail_transaction"
        f" WHEN NEW.terminal LIKE 'sim-%-00003' AND NEW.number = 2 AND NEW.epoch != 'again' BEGIN {harm}; END"
    )
    words = ("--sales-per-hour", 60, "--minutes", 0, "--backlog-days", 0.05)
    status, report = run(mosquitto.url, *words, "--database", headquarters.database)
    assert (status, report["whole"], report["differing"]) == (1, False, 1)
    differences: list[dict[str, str]] = report["differences"]  # type: ignore[assignment]
    assert differences[0]["terminal"].endswith("-00003")
    assert report["sold"] == report["acknowledged"] != report["stored"]
    status, report = run(
        mosquitto.url, "--sales-per-hour", 60, "--minutes", 0, *words[4:], "--ack-key", headquarters.key
    )
    assert (status, report["stored"]) == (0, None), "nothing that terminals are told gives it away"


def test_over_mutual_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    options = listening(authority, authority.certify("broker", host="127.0.0.1"))
    own = authority.certify("trial")
    files = ("--ca", str(own.ca), "--certificate", str(own.certificate), "--certificate-key", str(own.key))
    with mosquitto_in(tmp_path, options) as broker:
        headquarters = Headquarters(tmp_path, secure_url(broker))
        headquarters.start(*files)
        try:
            words = ("--minutes", 0, "--backlog-days", 0.05, "--database", headquarters.database)
            status, report = run(secure_url(broker), *words, *files)
            assert (status, report["whole"]) == (0, True), report
            done = subprocess.run(
                command(secure_url(broker), *words[:2], "--drain-timeout", 1, "--ack-key", headquarters.key, *files[:2]),
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 1
            assert json.loads(done.stdout)["sessions"]["online_max"] == 0, "nobody comes in without a certificate"
        finally:
            headquarters.stop()


async def test_batches_lost_doubled_and_delayed(mosquitto: Mosquitto, headquarters: Headquarters) -> None:
    harm = malice(Random(3), drop=0.1, double=0.2, delay=0.3, delay_max_s=0.1)
    async with meddling(mosquitto.port, harm) as url:
        words = ("--sales-per-hour", 1200, "--minutes", 0.05, "--backlog-days", 0.05)
        status, report = await asyncio.to_thread(run, url, *words, "--database", headquarters.database)
    assert (status, report["whole"]) == (0, True), report
    assert report["batches"]["again"] > 0  # type: ignore[index]


def test_a_broker_that_restarts_and_a_database_from_before(
    mosquitto: Mosquitto, headquarters: Headquarters, tmp_path: Path
) -> None:
    """The fleet finds its way back, and sells on; headquarters forgets what it signed for, and gets it again."""
    words = ("--sales-per-hour", 3600, "--minutes", 60, "--database", headquarters.database)
    going = subprocess.Popen(command(mosquitto.url, *words), stdout=subprocess.PIPE, text=True)
    try:
        headquarters.holds(TERMINALS)
        copy = tmp_path / "copy.db"
        subprocess.run([*FLEET, "backup", "make", "--database", str(headquarters.database), str(copy)], check=True)
        headquarters.holds(4 * TERMINALS)
        headquarters.stop()
        mosquitto.stop(signal.SIGKILL)
        for path in tmp_path.glob("headquarters.db-*"):
            path.unlink()
        copy.replace(headquarters.database)
        mosquitto.start()
        headquarters.start()
        headquarters.holds(5 * TERMINALS)
        going.send_signal(signal.SIGINT)
        told, _ = going.communicate(timeout=120)
    finally:
        going.kill()
        going.wait()
    report = json.loads(told)
    assert (going.returncode, report["whole"]) == (0, True), report
    (outage,) = report["outages"]
    assert outage["lost_s"] <= outage["back_s"] <= outage["online99_s"]
    assert report["sessions"]["lost"] == TERMINALS
    assert report["sessions"]["connects"] == 2 * TERMINALS


def test_acknowledgements_of_another_headquarters_are_not_believed(
    mosquitto: Mosquitto, headquarters: Headquarters
) -> None:
    other = make_key(8).public_key.hex()
    status, report = run(mosquitto.url, "--minutes", 0, "--drain-timeout", 2, "--ack-key", other)
    assert (status, report["acknowledged"], report["drained_after_s"]) == (1, {"sales": 0, "amount_minor": 0}, None)
    assert report["faults"]["ack-forged"] >= TERMINALS  # type: ignore[index]


def test_a_signal_ends_the_selling_and_what_was_sold_is_delivered(
    mosquitto: Mosquitto, headquarters: Headquarters
) -> None:
    words = ("--sales-per-hour", 3600, "--minutes", 60, "--database", headquarters.database)
    going = subprocess.Popen(command(mosquitto.url, *words), stdout=subprocess.PIPE, text=True)
    headquarters.holds(1)
    going.send_signal(signal.SIGINT)
    told, _ = going.communicate(timeout=60)
    report = json.loads(told)
    assert (going.returncode, report["whole"]) == (0, True)
    assert report["sold"]["sales"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--terminals", "0"), "a whole number from 1"),
        (("--minutes", "nan"), "a number from 0"),
        (("--connect-rate", "0"), "above 0"),
        (("--broker", "http://x"), "no broker's address"),
    ],
)
def test_wrong_arguments(words: tuple[str, str], said: str) -> None:
    done = subprocess.run([*command("mqtt://127.0.0.1"), *words], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_what_a_run_lacks_is_said_before_it_begins(tmp_path: Path) -> None:
    def told(*words: str) -> str:
        done = subprocess.run([*command("mqtt://127.0.0.1:1"), *words], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    assert "simulate: say with --ack-key" in told()
    assert "ack-key" in told("--database", str(tmp_path / "none.db"))
    key = ("--ack-key", "00" * 32)
    assert "database-absent" in told(*key, "--database", str(tmp_path / "none.db"))
    assert "absent.pem" in told(*key, "--broker", "mqtts://127.0.0.1:1", "--ca", str(tmp_path / "absent.pem"))
    limited = ["prlimit", "--nofile=64:64", *command("mqtt://127.0.0.1:1"), *key]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=30)
    assert "open files" in done.stderr
    assert done.returncode == 1
