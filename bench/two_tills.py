"""A till, a spare one, a stick and a headquarters: real processes without devices, for what is told of an adoption.

Sales are made over the control socket, and the tally is kept here: nobody asks the tills how much they sold.
"""

import asyncio
import contextlib
import json
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.view import View
from demo import goods
from demo.layout import free_port
from demo.processes import Process, output_of
from store.keys_recovery import make_recovery
from terminald.client import Client, Disconnected, connect
from tests.brokers import find_mosquitto

COLA = goods.by_gtin("5449000000996")
PATIENCE_S = 30.0

_CONFIG = """\
[terminal]
id = "{name}"
[shop]
name = "Corner Shop"
address = ["12 Harbour Street"]
currency = "EUR"
[[shop.tax]]
code = "A"
rate = "19.00"
[[shop.tax]]
code = "B"
rate = "7.00"
[keys]
recovery_key = "{recovery}"
[headquarters]
broker = "mqtt://127.0.0.1:{port}"
ack_key = "{ack_key}"
{mirror}"""


@dataclass(slots=True)
class Till:
    """A terminal's folder and its daemon."""

    folder: Path
    process: Process
    tally: dict[int, int] = field(default_factory=dict)
    """What was sold here: the sum in minor units by the sale's number."""

    @property
    def config(self) -> Path:
        return self.folder / "terminal.toml"

    @property
    def socket(self) -> Path:
        return self.folder / "control.sock"

    async def start(self) -> View:
        """Starts it; gives the first view."""
        await self.process.start()
        return await self.view()

    async def view(self, condition: Callable[[View], bool] = lambda _: True) -> View:
        """The next view of which the condition holds. Raises TimeoutError, AssertionError when the daemon ended."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    async with connect(self.socket) as client:
                        async for view in client.views():
                            if condition(view):
                                return view
                except Disconnected:
                    assert self.process.running, f"the daemon of {self.folder.name} ended"
                    await asyncio.sleep(0.005)

    async def sell(self, count: int) -> None:
        """Cash sales, one after the other, of one thing and then two."""
        async with connect(self.socket) as client:
            for place in range(count):
                await self.ring_up(client, 1 + place % 2)
                await self.pay(client)

    async def ring_up(self, client: Client, pieces: int) -> None:
        """Things into the basket."""
        for _ in range(pieces):
            await client.call("sale.scan", {"data": COLA.gtin})

    async def pay(self, client: Client) -> None:
        """Cash for what is in the basket."""
        basket = await client.call("sale.subtotal")
        assert isinstance(basket, dict)
        await client.call("sale.cash")
        assert basket["number"] not in self.tally, "a number was used twice"
        self.tally[basket["number"]] = basket["total_minor"]

    def lose(self) -> None:
        """The whole terminal is gone, with all that was on its card."""
        shutil.rmtree(self.folder)


@dataclass(slots=True)
class Shop:
    """All of it. Made by `shop`."""

    root: Path
    port: int
    broker: Process
    collector: Process
    recovery_key: Path
    recovery: str
    ack_key: str = ""
    tills: list[Till] = field(default_factory=list)

    @property
    def stick(self) -> Path:
        """Where the stick is mounted, or at least lies."""
        return self.root / "stick"

    @property
    def database(self) -> Path:
        return self.root / "headquarters.db"

    async def till(self, name: str, *, mirror: bool = True) -> Till:
        """A new terminal with goods in its catalogue; its daemon is not started."""
        folder = self.root / f"terminal-{len(self.tills)}"
        folder.mkdir()
        command = [sys.executable, "-m", "terminald", "run", "--config", str(folder / "terminal.toml")]
        till = Till(folder, Process(folder.name, command, self.root / f"{folder.name}.log"))
        till.config.write_text(
            _CONFIG.format(
                name=name,
                recovery=self.recovery,
                port=self.port,
                ack_key=self.ack_key,
                mirror='[mirror]\npath = "../stick"\npolicy = "folder"\n' if mirror else "",
            )
        )
        await output_of(["terminald", "catalogue", "import", str(goods.CSV), "--config", str(till.config)])
        self.tills.append(till)
        return till

    def held(self, terminal: str) -> dict[tuple[int, str], int]:
        """Headquarters' sales of a terminal: the sum by number and epoch."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT number, epoch, total_minor FROM retail_transaction WHERE terminal = ?", (terminal,)
            ).fetchall()
        return {(number, epoch): total_minor for number, epoch, total_minor in rows}

    def agrees(self, terminal: str, tally: dict[int, int]) -> bool:
        """Whether headquarters holds exactly these sales, each once."""
        held = self.held(terminal)
        return len(held) == len(tally) and {number: total for (number, _), total in held.items()} == tally

    async def stop_headquarters(self) -> None:
        """No broker: the tills are offline."""
        await self.broker.kill()

    async def start_headquarters(self) -> None:
        """The broker is back, knowing nothing."""
        await self.broker.start()
        await self.broker.wait_for_port(self.port)


@contextlib.asynccontextmanager
async def shop(root: Path) -> AsyncIterator[Shop]:
    """A broker, a collector, a recovery key and a stick, while the block runs."""
    database, recovery_key = root / "headquarters.db", root / "recovery.key"
    recovery = make_recovery(recovery_key)
    port = free_port()
    mosquitto = find_mosquitto()
    assert mosquitto is not None, "mosquitto is not installed"
    settings = root / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type none\nset_tcp_nodelay true\n")
    collect = ["-m", "fleet", "collect", "--broker", f"mqtt://127.0.0.1:{port}", "--database"]
    found = Shop(
        root=root,
        port=port,
        broker=Process("broker", [mosquitto, "-c", str(settings)], root / "broker.log"),
        collector=Process("collector", [sys.executable, *collect, str(database)], root / "collector.log"),
        recovery_key=recovery_key,
        recovery=recovery.hex(),
    )
    found.ack_key = (await output_of(["fleet", "key", "--database", str(found.database)])).strip()
    found.stick.mkdir()
    try:
        await found.start_headquarters()
        await found.collector.start()
        yield found
    finally:
        for process in (*(till.process for till in found.tills), found.collector, found.broker):
            await process.stop()


async def run(command: Sequence[str]) -> tuple[int, dict[str, object], str]:
    """The status of a command of ours, the object that it printed (``--json``), and what it said beside it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "terminald", *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out) if out.strip() else {}, err.decode()
