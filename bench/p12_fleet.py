"""P12: how many terminals one process can be, and what each costs it.

`terminald-fleet simulate` holds its sessions at a real mosquitto, with the real batches and a real collector, while all of
them sell and tell their measurements; every sale must have arrived, to the cent. Its peer in the same run is paho by its own
means, a thread for each client, which sells nothing; paho waits by select() and so cannot be more than some hundreds.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench.fleet_at_work import fleet_at_work, need_files, report_of
from bench.registry import Proof, Result, Scale, at_least, at_most

GOAL = 10_000
PEER_GOAL = 0.5
PEER_SESSIONS = 300
"""Above some 400 of its threads paho's select() meets the process's 1,024th file."""
SALES_PER_HOUR = 30
CONNECT_RATE = 1_000


def run(scale: Scale) -> Iterable[Result]:
    """So many sessions at once (a), and the memory of each against paho's (b)."""
    sessions = scale.pick(smoke=400, commit=GOAL, release=GOAL)
    minutes = scale.pick(smoke=0.02, commit=0.7, release=10.0)
    seconds = scale.pick(smoke=1.0, commit=15.0, release=60.0)
    need_files(sessions)
    with tempfile.TemporaryDirectory(prefix="terminald-p12-", dir=Path.cwd()) as name:
        with fleet_at_work(Path(name)) as fleet:
            words = ("--minutes", minutes, "--sales-per-hour", SALES_PER_HOUR, "--connect-rate", CONNECT_RATE)
            report = report_of(fleet.simulate(sessions, *words), 600 + 60 * minutes)
            peer = _peer(fleet.broker.port, seconds)
    held, cost = report["sessions"]["online_max"], report["cost"]
    print(
        f"{held} sessions, {report['stored']['sales']} sales, {report['batches']['telemetry']} measurements:"
        f" {cost['rss_mib']:.0f} MiB, {cost['cpu_pct']:.0f} % of a processor; a session {cost['kib_a_session']:.1f} KiB and"
        f" {cost['cpu_us_a_session_second']:.0f} us a second; paho's, of {peer['open']}: {peer['kib_a_session']:.1f} KiB and"
        f" {peer['cpu_us_a_session_second']:.0f} us",
        file=sys.stderr,
    )
    # At smoke's scale fewer are asked for, and all of those must be held.
    goal = min(GOAL, sessions)
    yield at_least(held, goal, part="a", what=f"sessions in one process, {cost['rss_mib']:.0f} MiB, no sale amiss")
    yield at_most(
        cost["kib_a_session"] / peer["kib_a_session"], PEER_GOAL, part="b",
        what=f"of the memory that paho with a thread takes for one of {peer['open']} sessions",
    )  # fmt: skip


BENCHES = [Proof(id="P12", title="a simulated fleet", parts=("a", "b"), run=run)]


def _peer(port: int, seconds: float) -> dict[str, float]:
    words = (sys.executable, "-m", "bench.paho_sessions", str(port), str(PEER_SESSIONS), str(seconds))
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=120 + seconds, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    if found["open"] < PEER_SESSIONS:
        raise RuntimeError(f"only {found['open']} of paho's {PEER_SESSIONS} sessions were opened")
    return found
