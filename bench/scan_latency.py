"""Measures how long a scan takes from the far end of a pty to whoever waits for it; a program of its own.

``python -m bench.scan_latency FOLDER ROUNDS SCANS MODE MODE`` runs the modes in turn on one pty and prints a JSON object:
for each mode a list of rounds, each a list of nanoseconds. The modes:

bare      a blocking read, with nothing around it: the floor
event     the scanner's driver on an asyncio loop, its event through a queue to a task, as the engine takes it
journal   the same, while a sale after the other is journaled, each flushed
"""

import asyncio
import json
import mmap
import os
import pty
import struct
import subprocess
import sys
import time
import tty
from pathlib import Path

import msgspec

from core.events import DeviceEvent, Scanned
from core.ledger import Draft, Stream
from drivers.options import SerialScannerOptions
from drivers.scanner import SerialScanner
from store.journal import SqlJournal
from terminald.clock import SystemClock

CODE = b"]E04006381333931\r"
PAUSE_S = 0.001
SALE_BYTES = 600
SLOT = struct.Struct("q")


class FarEnd:
    """A pty and the process that scans on it. When each scan was sent stands in memory that both share."""

    def __init__(self, folder: Path, scans_max: int) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = Path(os.ttyname(self._slave))
        sent = folder / "sent"
        sent.write_bytes(bytes(SLOT.size * scans_max))
        with sent.open("r+b") as file:
            self._sent = mmap.mmap(file.fileno(), 0)
        arguments = [sys.executable, "-m", "bench.scan_latency", "far-end", str(self._master), str(sent)]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, pass_fds=[self._master])

    def scan(self, count: int) -> None:
        """Begins to send so many."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n".encode())
        self._process.stdin.flush()

    def since_ns(self, number: int) -> int:
        """How long ago the scan `number` of this round was sent."""
        return time.perf_counter_ns() - int(SLOT.unpack_from(self._sent, number * SLOT.size)[0])

    def close(self) -> None:
        self._process.communicate()


def far_end(master: int, sent: Path) -> None:
    """The far end's process: a line on standard input is a number of scans to send."""
    with sent.open("r+b") as file:
        slots = mmap.mmap(file.fileno(), 0)
    for line in sys.stdin:
        time.sleep(0.02)  # the reader gets to its waiting
        for number in range(int(line)):
            SLOT.pack_into(slots, number * SLOT.size, time.perf_counter_ns())
            os.write(master, CODE)
            time.sleep(PAUSE_S)


async def bare(far: FarEnd, scans: int, folder: Path) -> list[int]:
    fd = os.open(far.path, os.O_RDWR | os.O_NOCTTY)
    far.scan(scans)
    taken: list[int] = []
    while len(taken) < scans:
        # Where the reader was late there may be several.
        for _ in range(os.read(fd, 4096).count(b"\r")):
            taken.append(far.since_ns(len(taken)))
    os.close(fd)
    return taken


async def event(far: FarEnd, scans: int, folder: Path) -> list[int]:
    events: asyncio.Queue[DeviceEvent] = asyncio.Queue(maxsize=256)
    scanner = SerialScanner("scanner", SerialScannerOptions(path=far.path), events.put_nowait, SystemClock())
    await scanner.open()
    far.scan(scans)
    taken = []
    for number in range(scans):
        scanned = await events.get()
        taken.append(far.since_ns(number))
        assert isinstance(scanned, Scanned)
    scanner.close()
    return taken


async def journal(far: FarEnd, scans: int, folder: Path) -> list[int]:
    clock = SystemClock()
    kept = await SqlJournal.open(
        folder / "journal.db", bytes(48), terminal="bench", signing_key=bytes(32), stamp=clock.stamp()
    )
    body = msgspec.json.encode({"kind": "bench", "text": "x" * SALE_BYTES})

    async def sell() -> None:
        while True:
            await kept.append([Draft(stream=Stream.SALES, body=body, moves_money=True)], clock.stamp())

    selling = asyncio.create_task(sell(), name="selling")
    taken = await event(far, scans, folder)
    selling.cancel()
    await asyncio.wait([selling])
    await kept.close()
    return taken


async def measure(folder: Path, rounds: int, scans: int, modes: list[str]) -> dict[str, list[list[int]]]:
    far = FarEnd(folder, scans)
    run = {"bare": bare, "event": event, "journal": journal}
    found: dict[str, list[list[int]]] = {mode: [] for mode in modes}
    for turn in range(rounds + 1):
        for mode in modes:
            taken = await run[mode](far, scans, folder)
            if turn:  # the first turn warms up
                found[mode].append(taken)
    far.close()
    return found


def main(arguments: list[str]) -> None:
    if arguments[0] == "far-end":
        far_end(int(arguments[1]), Path(arguments[2]))
        return
    folder, rounds, scans, *modes = arguments
    print(json.dumps(asyncio.run(measure(Path(folder), int(rounds), int(scans), modes))))


if __name__ == "__main__":
    main(sys.argv[1:])
