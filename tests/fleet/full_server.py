"""A PostgreSQL server whose disk is full, under a fleet that sells on: what `test_postgres_full` runs in a namespace of its own.

    python -m tests.fleet.full_server tables|whole FOLDER

`tables`: the database lies in a tablespace on a small disk; `whole`: all of the server does, its log too, so that it may die,
and is started again as by systemd. Prints a JSON object: what the collector said, what was acknowledged while there was
no room, and the simulated fleet's own report after there was room again. Nothing but the server is restarted.
"""

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fleet.database import DatabaseError
from fleet.store import Server, open_store, reading
from tests.brokers import mosquitto_in
from tests.postgres import Cluster
from tests.proofs.small_disk import SmallDisk, mounted

TERMINALS = 20
SALES_PER_HOUR = 7_200
DISK_BYTES = {"tables": 48 << 20, "whole": 160 << 20}
PATIENCE_S = 90
FULL_S = 4.0
"""How long it is looked whether anything is acknowledged without room."""
SETTINGS = "-c max_connections=20 -c min_wal_size=32MB -c max_wal_size=48MB -c shared_buffers=16MB"
_FLEET = (sys.executable, "-m", "fleet")


def main(kind: str, folder: Path) -> None:
    """All of it."""
    disk = folder / "disk"
    disk.mkdir()
    small = mounted("tmpfs", disk, DISK_BYTES[kind])
    with _server(kind, folder, disk) as (cluster, address), mosquitto_in(folder) as broker:
        (folder / "key").write_text((bytes([9]) * 32).hex())
        (folder / "key").chmod(0o400)
        log, told = folder / "collector.log", folder / "ack-key"
        words = ("collect", "--broker", broker.url, "--database", address.url, "--key", str(folder / "key"))
        with log.open("ab") as out, contextlib.ExitStack() as ends:
            collector = subprocess.Popen([*_FLEET, *words, "--ack-public-key-file", str(told)], stdout=out, stderr=out)
            ends.callback(_end, collector)
            _eventually(lambda: told.exists() and told.read_text().strip() != "")
            fleet = subprocess.Popen(
                [*_FLEET, *map(str, ("simulate", "--terminals", TERMINALS, "--sales-per-hour", SALES_PER_HOUR,
                                     "--minutes", 60, "--broker", broker.url, "--ack-key", told.read_text().strip(),
                                     "--database", address.url, "--drain-timeout", PATIENCE_S, "--json"))],
                stdout=subprocess.PIPE,
            )  # fmt: skip
            ends.callback(_end, fleet)
            report = _fill_up(small, cluster, address, log, fleet)
            report["collector_went_on"] = collector.poll() is None
    print(json.dumps(report))


def _fill_up(
    small: SmallDisk, cluster: Cluster, address: Server, log: Path, fleet: "subprocess.Popen[bytes]"
) -> dict[str, object]:
    _eventually(lambda: _held(address) > 0)
    small.fill()
    _eventually(lambda: "nothing is acknowledged until it is back" in log.read_text())
    with small.kept_full():
        first = _held(address)
        time.sleep(FULL_S)
        _eventually(lambda: "nothing is acknowledged until it is back" in log.read_text())
        second = _held(address)
    small.free()
    _eventually(lambda: _held(address) > max(first, second))
    fleet.send_signal(signal.SIGINT)
    told, _ = fleet.communicate(timeout=2 * PATIENCE_S)
    return {
        "said": sorted({code for code in ("database-full", "database-away") if f"{code}: " in log.read_text()}),
        "held_when_full": [first, second],
        "report": json.loads(told),
    }


@contextlib.contextmanager
def _server(kind: str, folder: Path, disk: Path) -> Iterator[tuple[Cluster, Server]]:
    home = disk if kind == "whole" else folder / "pg"
    home.mkdir(exist_ok=True)
    cluster = Cluster(home, SETTINGS)
    cluster.start()
    if kind == "tables":
        space = disk / "space"
        space.mkdir(mode=0o700)
        os.chown(space, pwd.getpwnam("postgres").pw_uid, -1)
        cluster.sql("postgres", f"CREATE TABLESPACE small LOCATION '{space}'")
        cluster.sql("postgres", "CREATE DATABASE hq TABLESPACE small")
    else:
        cluster.sql("postgres", "CREATE DATABASE hq")
    address = cluster.server("hq")
    open_store(address, now_ms=1).close()
    stop = threading.Event()
    again = threading.Thread(target=_keep_up, args=(cluster, stop), name="systemd")
    again.start()
    try:
        yield cluster, address
    finally:
        stop.set()
        again.join()
        cluster.stop("immediate")


def _keep_up(cluster: Cluster, stop: threading.Event) -> None:
    """Starts the server again whenever it has died."""
    while not stop.wait(1.0):
        with contextlib.suppress(subprocess.SubprocessError):
            cluster.start()


def _held(address: Server) -> int:
    """Sales in the database; below zero while nobody can say."""
    try:
        with reading(address) as statements:
            return int(statements.execute("SELECT count(*) FROM retail_transaction").fetchone()[0])
    except DatabaseError:
        return -1


def _eventually(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until_s:
            raise TimeoutError
        time.sleep(0.1)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
