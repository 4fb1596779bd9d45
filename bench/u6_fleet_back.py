"""U6: the broker was gone for three days; how long until the fleet is back, and until its backlog is delivered.

Each terminal has three shop days that nobody has taken, and tries again and again as the real one does, until its pauses are
at their longest. Then the broker starts. From its first session the time runs until 99 in 100 are online, and until the last
terminal's backlog is acknowledged; every sale must be in the database, once, to the cent. Simulator, broker, collector and
database share one machine, so the backlog is scaled to it: the days are three, the sales a day fewer than the 500 of a busy
till, except at the release's scale. The times are of the machine they are taken on.
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench.fleet_at_work import fleet_at_work, need_files, report_of
from bench.registry import Proof, Result, Scale, at_most
from core.window import RECONNECT_AFTER_MAX_S
from fleet.simulator.journal import DAY_HOURS

DAYS = 3
ONLINE_GOAL_S = 2 * RECONNECT_AFTER_MAX_S
"""The longest pause between two tries is half as long again as this constant; the rest is for getting in."""
DRAIN_RECORDS_A_SECOND_GOAL = 5_000
"""So that a backlog of the whole fleet is gone overnight: 5,000 tills, three days of 500 sales of six records."""
BUSY_SALES_A_DAY = 500


def run(scale: Scale) -> Iterable[Result]:
    """Back online (a), backlog delivered (b)."""
    terminals = scale.pick(smoke=40, commit=5_000, release=5_000)
    sales_per_hour = scale.pick(smoke=1.0, commit=1.0, release=BUSY_SALES_A_DAY / DAY_HOURS)
    away_s = scale.pick(smoke=0.5, commit=60.0, release=90.0)
    patience_s = scale.pick(smoke=100, commit=1_800, release=6 * 3_600)
    need_files(terminals)
    with (
        tempfile.TemporaryDirectory(prefix="terminald-u6-", dir=Path.cwd()) as name,
        fleet_at_work(Path(name)) as fleet,
    ):
        fleet.broker.stop()
        going = fleet.simulate(
            terminals, "--minutes", 0, "--sales-per-hour", sales_per_hour, "--backlog-days", DAYS,
            "--drain-timeout", patience_s, "--connect-rate", terminals,
        )  # fmt: skip
        try:
            time.sleep(away_s)
            fleet.broker.start()
        except BaseException:
            going.kill()
            raise
        report = report_of(going, patience_s + 120)
    sessions = report["sessions"]
    online_s = sessions["online99_s"] - sessions["first_s"]
    drained_s = report["backlog_drained_s"] - sessions["first_s"]
    sales = report["stored"]["sales"]
    records = report["records_a_second"] * report["cost"]["wall_s"]
    print(
        f"{sessions['connects']} sessions opened, {sessions['lost']} lost; {report['batches']['sent']} batches,"
        f" {report['batches']['again']} of them again; {records / drained_s:,.0f} records a second; the simulator took"
        f" {report['cost']['cpu_pct']:.0f} % of a processor",
        file=sys.stderr,
    )
    said = f"{terminals} terminals, {DAYS} days of {sales_per_hour * DAY_HOURS:g} sales"
    yield at_most(round(online_s, 1), ONLINE_GOAL_S, part="a", what=f"s until 99 % of {terminals} are online")
    yield at_most(
        round(drained_s, 1), round(max(records / DRAIN_RECORDS_A_SECOND_GOAL, ONLINE_GOAL_S), 1), part="b",
        what=f"s until {sales} sales are stored ({said}, one machine for all)",
    )  # fmt: skip


BENCHES = [Proof(id="U6", title="the fleet after a broker's outage", parts=("a", "b"), run=run)]
