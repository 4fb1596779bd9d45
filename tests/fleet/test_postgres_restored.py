"""A PostgreSQL database that is put back as it was, under a fleet that sells on: each sale is there once, to the cent."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fleet.store import Server, open_store, reading
from tests.brokers import Mosquitto
from tests.postgres import Cluster

FLEET = (sys.executable, "-m", "fleet")
TERMINALS = 20
PATIENCE_S = 90


def held(server: Server) -> int:
    with reading(server) as statements:
        return int(statements.execute("SELECT count(*) FROM retail_transaction").fetchone()[0])


def generation(server: Server) -> int:
    with reading(server) as statements:
        return int(statements.execute("SELECT generation FROM headquarters").fetchone()[0])


def eventually(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.1)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def collecting(server: Server, broker: str, folder: Path) -> "subprocess.Popen[bytes]":
    key = folder / "key"
    if not key.exists():
        key.write_text((bytes([9]) * 32).hex())
        key.chmod(0o400)
    words = ("collect", "--broker", broker, "--database", server.url, "--key", str(key))
    more = ("--ack-public-key-file", str(folder / "ack-key"))
    with (folder / "collectors.log").open("ab") as log:
        return subprocess.Popen([*FLEET, *words, *more], stdout=log, stderr=log)


def test_a_database_from_before_with_two_collectors_of_which_one_was_killed(
    postgres: Cluster, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """pg_dump in the middle of the selling; then both collectors end, one of them by SIGKILL, and the dump takes over."""
    server = postgres.database("restored")
    open_store(server, now_ms=1).close()
    dump = tmp_path / "headquarters.dump"
    with contextlib.ExitStack() as ends:
        crew = [collecting(server, mosquitto.url, tmp_path) for _ in range(2)]
        for each in crew:
            ends.callback(end, each)
        eventually(lambda: (tmp_path / "ack-key").exists() and (tmp_path / "ack-key").read_text().strip() != "")
        words = (
            "simulate", "--terminals", TERMINALS, "--sales-per-hour", 3600, "--minutes", 60, "--broker", mosquitto.url,
            "--ack-key", (tmp_path / "ack-key").read_text().strip(), "--database", server.url, "--drain-timeout",
            PATIENCE_S, "--json",
        )  # fmt: skip
        selling = subprocess.Popen([*FLEET, *map(str, words)], stdout=subprocess.PIPE)
        ends.callback(end, selling)
        eventually(lambda: held(server) >= TERMINALS)
        postgres.dump(server, dump)
        kept, before = held(server), generation(server)
        eventually(lambda: held(server) >= kept + 3 * TERMINALS)
        crew[0].kill()
        crew[1].terminate()
        for each in crew:
            each.wait(30)
        postgres.restore(server, dump)
        assert held(server) <= kept
        crew = [collecting(server, mosquitto.url, tmp_path) for _ in range(2)]
        for each in crew:
            ends.callback(end, each)
        eventually(lambda: held(server) >= kept + 6 * TERMINALS)
        selling.send_signal(signal.SIGINT)
        told, _ = selling.communicate(timeout=2 * PATIENCE_S)
        report = json.loads(told)
        assert report["whole"], report
        assert generation(server) > before
        for each in crew:
            each.terminate()
            assert each.wait(30) == 0
