"""P9: a weight from the scale is there about as soon as pyserial's `read_until` has it, and long before Odoo's loop.

One far end, a Toledo 8217 on a pty that answers 2 ms after it is asked, is weighed on in turn by

driver      the scale's driver on an asyncio loop: from `weigh` to the event in its hands
read_until  pyserial, blocking: a question written, `read_until(CR)`, the number read
odoo        what Odoo's IoT box does for each weight (iot_drivers, serial_scale_driver.py): single bytes are read until a
            read of 1 s finds none, the answer is searched with its regular expression, and 0.2 s are slept

The far end has a process of its own. Odoo's turns take over a second each, so it has fewer of them.
"""

import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import serial

from bench.registry import Proof, Result, Scale, at_least, at_most
from core.events import DeviceEvent, WeightSensed
from drivers.options import SerialScaleOptions
from drivers.scale import SerialScale
from drivers.simulated.scale import SimulatedScale
from terminald.clock import SystemClock

LATENCY_S = 0.002
WEIGHT_G = 642
START_S_MAX = 15.0
ODOO_TIMEOUT_S = 1.0
ODOO_PAUSE_S = 0.2
ODOO_MEASURE = re.compile(rb"\x02\s*([0-9.]+)N?\r")


def run(scale: Scale) -> Iterator[Result]:
    rounds = scale.pick(smoke=4, commit=20, release=100)
    weights = scale.pick(smoke=40, commit=100, release=200)
    odoo_weights = scale.pick(smoke=1, commit=5, release=20)
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "scale"
        far = subprocess.Popen([sys.executable, "-m", "bench.p9_weight", str(link)], stdin=subprocess.PIPE)
        try:
            _wait_for(link)
            ratios, ours = [], []
            for turn in range(rounds + 1):
                driver = statistics.median(asyncio.run(_by_driver(link, weights)))
                peer = statistics.median(_by_read_until(link, weights))
                if turn:  # the first turn warms up
                    ratios.append(driver / peer)
                    ours.append(driver)
            odoo = statistics.median(_by_odoos_loop(link, odoo_weights))
        finally:
            far.communicate()
    mine = statistics.median(ours)
    print(f"P9: driver {mine * 1000:.2f} ms, Odoo's loop {odoo * 1000:.0f} ms", file=sys.stderr)
    yield at_most(statistics.median(ratios), 1.2, part="a", what="a weight p50 / pyserial's read_until")
    yield at_least(odoo / mine, 100.0, part="b", what="Odoo's loop / a weight p50")


async def _by_driver(link: Path, count: int) -> list[float]:
    events: asyncio.Queue[DeviceEvent] = asyncio.Queue(maxsize=256)
    options = SerialScaleOptions(path=link, protocol="toledo-8217", health_interval_s=60.0)
    scale = SerialScale("scale", options, events.put_nowait, SystemClock())
    await scale.open()
    serving = asyncio.create_task(scale.serve(), name="scale")
    taken = []
    for number in range(count):
        await asyncio.sleep(LATENCY_S)  # the answer to the last question of the weighing before is in
        began_s = time.perf_counter()
        scale.weigh(f"1.{number}")
        event = await events.get()
        taken.append(time.perf_counter() - began_s)
        assert isinstance(event, WeightSensed)
        assert event.weight_g == WEIGHT_G
        scale.rest(sold=False)
        await asyncio.sleep(2 * LATENCY_S)
        while not events.empty():
            events.get_nowait()
    serving.cancel()
    await asyncio.wait([serving])
    scale.close()
    return taken


def _by_read_until(link: Path, count: int) -> list[float]:
    taken = []
    with serial.Serial(str(link), timeout=1.0) as port:
        for _ in range(count):
            time.sleep(3 * LATENCY_S)
            began_s = time.perf_counter()
            port.write(b"W")
            answer = port.read_until(b"\r")
            weight_g = round(float(answer[1:-1]) * 1000)
            taken.append(time.perf_counter() - began_s)
            assert weight_g == WEIGHT_G
    return taken


def _by_odoos_loop(link: Path, count: int) -> list[float]:
    taken = []
    with serial.Serial(str(link), timeout=ODOO_TIMEOUT_S) as port:
        for _ in range(count):
            began_s = time.perf_counter()
            port.write(b"W")
            answer = b""
            while byte := port.read(1):
                answer += byte
            found = ODOO_MEASURE.search(answer)
            assert found is not None
            assert float(found[1]) * 1000 == WEIGHT_G
            time.sleep(ODOO_PAUSE_S)
            taken.append(time.perf_counter() - began_s)
    return taken


def _wait_for(link: Path) -> None:
    end_s = time.monotonic() + START_S_MAX
    while not link.exists():
        if time.monotonic() > end_s:
            raise TimeoutError("the far end of the scale's cable did not start")
        time.sleep(0.02)


async def far_end(link: Path) -> None:
    """The far end's process, until its standard input ends. Goods lie on it for good."""
    scale = SimulatedScale(link)
    scale.latency_s = LATENCY_S
    scale.put(WEIGHT_G)
    await asyncio.to_thread(sys.stdin.read)
    scale.close()


BENCHES = [Proof(id="P9", title="a weight", parts=("a", "b"), run=run)]

if __name__ == "__main__":
    asyncio.run(far_end(Path(sys.argv[1])))
