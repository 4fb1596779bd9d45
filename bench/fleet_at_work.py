"""A broker, a collector and a simulated fleet, each a process of its own, for benches of whole fleets."""

import contextlib
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.registry import CannotRun
from tests.brokers import Mosquitto, find_mosquitto

SHIPPED = Path(__file__).resolve().parent.parent / "systemd" / "mosquitto" / "terminald.conf"
"""The broker's limits are those that are shipped; its doors are not: here nobody has a certificate."""
START_TIMEOUT_S = 30
_FLEET = (sys.executable, "-m", "fleet")
_FILES_OF_A_BROKER = 64


class FleetAtWork:
    """A broker and a collector on an embedded database; `simulate` runs a fleet against them."""

    def __init__(self, folder: Path) -> None:
        self.broker = Mosquitto(folder, "allow_anonymous true\n" + "\n".join(_limits()))
        self._folder = folder
        self._database = folder / "headquarters.db"
        self._collector: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once the broker listens and the collector's key is there."""
        self.broker.start()
        words = ("collect", "--broker", self.broker.url, "--database", str(self._database))
        with (self._folder / "collector.log").open("ab") as log:
            self._collector = subprocess.Popen([*_FLEET, *words], stdout=log, stderr=log)
        until_s = time.monotonic() + START_TIMEOUT_S
        while b"connected to" not in (self._folder / "collector.log").read_bytes():
            if time.monotonic() > until_s:
                raise TimeoutError("the collector does not start")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends both."""
        if self._collector is not None:
            self._collector.terminate()
            self._collector.wait(START_TIMEOUT_S)
        self.broker.stop()

    def simulate(self, terminals: int, *words: object) -> subprocess.Popen[str]:
        """Begins a run; `report_of` waits for its end."""
        told = (
            "simulate",
            "--terminals",
            terminals,
            "--broker",
            self.broker.url,
            "--database",
            self._database,
            "--json",
        )
        return subprocess.Popen([*_FLEET, *map(str, (*told, *words))], stdout=subprocess.PIPE, text=True)


@contextlib.contextmanager
def fleet_at_work(folder: Path) -> Iterator[FleetAtWork]:
    """Started; stopped at the end. Raises CannotRun where there is no mosquitto."""
    if find_mosquitto() is None:
        raise CannotRun("mosquitto is not installed")
    fleet = FleetAtWork(folder)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()


def report_of(run: "subprocess.Popen[str]", timeout_s: float) -> Any:
    """What a run printed. Raises RuntimeError where not every sale arrived once, to the cent."""
    try:
        told, _ = run.communicate(timeout=timeout_s)
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()
    report = json.loads(told)
    if not report["whole"]:
        raise RuntimeError(f"{report['differing']} terminals differ: {report['differences'][:1]}, {report['faults']}")
    return report


def need_files(sessions: int) -> None:
    """Raises CannotRun where broker or simulator could not have so many sockets each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = sessions + _FILES_OF_A_BROKER
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise CannotRun(f"{sessions} sessions need {needed} open files in a process, and {hard} are allowed")
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _limits() -> list[str]:
    text = SHIPPED.read_text()
    return re.findall(
        r"^(?:set_tcp_nodelay|max_inflight_messages|max_queued_\w+|max_packet_size) .+$", text, re.MULTILINE
    )
