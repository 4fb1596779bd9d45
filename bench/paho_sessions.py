"""A peer of the simulator: sessions as paho makes them by its own means, a client object and a thread each.

    python -m bench.paho_sessions PORT SESSIONS SECONDS

Each connects, subscribes to its acknowledgements and tells its measurements as a terminal does. Prints a JSON object: how many
were open at the end, KiB of memory and microseconds of processor time a second that one took.
"""

import json
import resource
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

CONNECT_TIMEOUT_S = 30
TOLD_EVERY_S = 10.0
_VALUES = json.dumps({"ts": 1, "clk": "ntp", "seq": 1, "v": {f"value_{number}": 1234 for number in range(16)}})


def main(port: int, sessions: int, seconds: float) -> None:
    """Opens the sessions, holds them so long, and tells what that took."""
    before_kib = _resident_kib()
    opened = threading.Semaphore(0)
    clients = [_session(port, number, opened) for number in range(sessions)]
    until_s = time.monotonic() + CONNECT_TIMEOUT_S
    count = sum(opened.acquire(timeout=max(until_s - time.monotonic(), 0)) for _ in clients)
    began_s, cpu_s = time.monotonic(), time.process_time()
    turn_s = TOLD_EVERY_S / sessions
    for turn in range(int(seconds / turn_s)):
        clients[turn % sessions].publish(f"pos/v1/peer-{turn % sessions}/tele/till", _VALUES)
        time.sleep(max(began_s + turn * turn_s - time.monotonic(), 0))
    took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    report = {
        "open": count,
        "kib_a_session": (_resident_kib() - before_kib) / sessions,
        "cpu_us_a_session_second": 1e6 * cpu_s / took_s / sessions,
    }
    print(json.dumps(report), flush=True)
    for client in clients:
        client.disconnect()


def _session(port: int, number: int, opened: threading.Semaphore) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"peer-{number}", protocol=MQTTProtocolVersion.MQTTv5)

    def subscribe(*_: object) -> None:
        client.subscribe(f"pos/v1/peer-{number}/money/ack", 1)

    client.on_connect = subscribe
    client.on_subscribe = lambda *_: opened.release()
    client.will_set(f"pos/v1/peer-{number}/status", "offline", 1, True)
    client.connect("127.0.0.1", port, keepalive=15)
    client.loop_start()
    return client


def _resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
