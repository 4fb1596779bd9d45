"""A real daemon on a simulated board, started again as systemd would, and a look into its memory: for S12 and R14."""

import asyncio
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from core import entries as e
from core.ledger import open_record
from core.view import View
from demo import goods
from demo.processes import Process
from drivers.simulated.board import SimulatedBoard
from store.keys import KeyFile
from store.verify import iter_records
from terminald.cli import main
from terminald.client import CallRefused, Disconnected, connect

PATIENCE_S = 20.0
CASE_PIN = 22
ITEM = "3017620422003"
_CHUNK_BYTES = 1 << 22

_CONFIG = """\
[terminal]
id = "till-3"
[shop]
name = "Corner Shop"
[[shop.tax]]
code = "A"
rate = "19.00"
[[shop.tax]]
code = "B"
rate = "7.00"
"""


class GuardedTill:
    """One terminal in `root`, with these tables of configuration besides its shop's. `command` runs the daemon."""

    def __init__(
        self, root: Path, tables: str, command: Iterable[str] = ("-m", "terminald", "run", "--config")
    ) -> None:
        self.folder = root / "terminal"
        self.folder.mkdir(parents=True)
        self.config = self.folder / "terminal.toml"
        self.config.write_text(_CONFIG + tables)
        self.log = root / "log"
        self.board = SimulatedBoard(root / "gpio")
        assert main(["catalogue", "import", str(goods.CSV), "--config", str(self.config)]) == 0
        environment: Mapping[str, str] = {**self.board.environment(), "LG_WD": str(root)}
        self.daemon = Process("terminald", [sys.executable, *command, str(self.config)], self.log, environment)

    @property
    def pid(self) -> int:
        assert self.daemon.pid is not None, self.log.read_text()[-2000:]
        return self.daemon.pid

    async def start(self) -> View:
        """Starts the daemon, and gives the first view."""
        await self.daemon.start()
        return await self.see(lambda _: True)

    async def ended(self) -> None:
        """Returns when the daemon's process has ended by itself."""
        async with asyncio.timeout(PATIENCE_S):
            while self.daemon.running:
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        await self.daemon.stop()
        self.board.close()

    async def see(self, condition: object, patience_s: float = PATIENCE_S) -> View:
        """Waits until the screen shows it. Raises TimeoutError with the log's end."""
        assert callable(condition)
        end_s = time.monotonic() + patience_s
        while time.monotonic() < end_s:
            try:
                async with connect(self.folder / "control.sock") as client:
                    async for view in client.views():
                        if condition(view):
                            return view
                        if time.monotonic() > end_s:
                            break
            except (Disconnected, OSError):
                await asyncio.sleep(0.01)
        raise TimeoutError(f"waited in vain; {self.log.read_text()[-2000:]}")

    async def ready(self, *devices: str) -> View:
        """Waits until these devices are."""
        return await self.see(
            lambda view: {each.name for each in view.devices if each.phase == "ready"} >= set(devices)
        )

    async def call(self, method: str, **params: object) -> object:
        async with connect(self.folder / "control.sock") as client:
            return await client.call(method, params, timeout_s=PATIENCE_S)

    async def refusal(self, method: str, **params: object) -> str | None:
        """The reason for which the till does not take an order; None where it took it."""
        try:
            await self.call(method, **params)
        except CallRefused as refused:
            return refused.message.id
        return None

    async def sell(self) -> None:
        """One sale, for cash."""
        await self.call("sale.scan", data=ITEM)
        await self.call("sale.cash")

    def records(self) -> list[e.AnyEntry]:
        """What the journal holds, read beside the running daemon."""
        key = KeyFile(self.folder / "journal.key").load().journal
        return [e.decode(open_record(record.exact).body) for record in iter_records(self.folder / "journal.db", key)]


def in_memory(pid: int, needles: Mapping[str, bytes]) -> set[str]:
    """Which of the needles a process holds in writable memory; none where it is gone. For root alone."""
    found: set[str] = set()
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in maps.splitlines():
                span, rights, *_ = line.split()
                if rights[:2] == "rw" and "[v" not in line:
                    low, high = (int(end, 16) for end in span.split("-"))
                    found |= _in_span(memory, low, high, needles)
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _in_span(memory: object, low: int, high: int, needles: Mapping[str, bytes]) -> set[str]:
    found: set[str] = set()
    longest = max(map(len, needles.values()))
    while low < high:
        try:
            memory.seek(low)  # type: ignore[attr-defined]
            piece: bytes = memory.read(min(_CHUNK_BYTES, high - low))  # type: ignore[attr-defined]
        except OSError:
            return found
        if not piece:
            return found
        found |= {name for name, needle in needles.items() if needle in piece}
        low += len(piece) if len(piece) < _CHUNK_BYTES else len(piece) - longest
    return found
