"""The demonstration's world: a terminal at its bench, a broker, and headquarters; and what can befall them."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec

from demo import goods, processes
from demo.bench import Bench
from demo.layout import Layout, free_port
from demo.processes import Process


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Completed sales and their sum in minor units."""

    transactions: int = 0
    amount_minor: int = 0


class World:
    """Starts and stops everything; `say` is told what is being set up."""

    broker: Process
    collector: Process
    daemon: Process

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self.layout = Layout(root)
        self.plug_pulls = 0
        self.broker_stops = 0
        self._say = say
        self._broker_port = 0
        self._plug = asyncio.Lock()

    async def start(self, *, double_read_ms: int = 150) -> None:
        """Sets up a fresh terminal and headquarters. Raises DidNotStart, FileExistsError."""
        layout = self.layout
        layout.make()
        self.bench = self.new_bench()
        await self.bench.start()
        self._broker_port = free_port()
        self.broker = processes.broker(layout, self._broker_port)
        self.collector = processes.collector(layout, self._broker_port)
        self.daemon = self.new_daemon()
        self._say(f"starting the {self.broker.name}")
        await self.broker.start()
        await self.broker.wait_for_port(self._broker_port)
        ack_key = await processes.output_of(["fleet", "key", "--database", str(layout.database)])
        layout.write_config(
            broker_port=self._broker_port,
            payment_port=self.bench.payment.port,
            ack_key=ack_key.strip(),
            double_read_ms=double_read_ms,
        )
        self._say("filling the catalogue")
        await processes.output_of(["terminald", "catalogue", "import", str(goods.CSV), "--config", str(layout.config)])
        self._say("starting headquarters and the terminal")
        await self.collector.start()
        await self.daemon.start()
        await self.daemon.wait_for_path(layout.control_socket)

    def new_bench(self) -> Bench:
        """The far end of the cables."""
        return Bench(self.layout)

    def new_daemon(self) -> Process:
        """The terminal's process, not started."""
        return processes.daemon(self.layout, self.bench.drawer.environment())

    async def pull_the_plug(self, dark_s: float = 0.0) -> None:
        """The daemon is killed without warning, and started again `dark_s` later."""
        async with self._plug:
            self.plug_pulls += 1
            await self.daemon.kill()
            await asyncio.sleep(dark_s)
            await self.daemon.start()

    async def cut_the_network(self) -> None:
        """The broker stops, and with it every message that it held."""
        self.broker_stops += 1
        await self.broker.kill()

    async def mend_the_network(self) -> None:
        """The broker starts again, knowing nothing."""
        await self.broker.start()
        await self.broker.wait_for_port(self._broker_port)

    async def stop(self) -> None:
        """Stops everything, the terminal first."""
        started = [name for name in ("daemon", "collector", "broker") if hasattr(self, name)]
        await processes.stop_all([getattr(self, name) for name in started])
        if hasattr(self, "bench"):
            self.bench.close()

    def headquarters(self) -> Totals:
        """What headquarters' database holds of completed sales, asked of the database itself."""
        if not self.layout.database.exists():
            return Totals()
        try:
            connection = sqlite3.connect(f"file:{self.layout.database}?mode=ro", uri=True, timeout=1.0)
            try:
                row = connection.execute("SELECT count(*), coalesce(sum(total_minor), 0) FROM retail_transaction")
                transactions, amount_minor = row.fetchone()
            finally:
                connection.close()
        except sqlite3.OperationalError:
            return Totals()  # it is being made
        return Totals(transactions=transactions, amount_minor=amount_minor)

    async def journal(self) -> Totals:
        """What the journal holds of completed sales, read out by ``terminald journal show``."""
        lines = await processes.output_of(["terminald", "journal", "show", "--config", str(self.layout.config)])
        totals = [
            record["body"]["total_minor"]
            for record in (msgspec.json.decode(line) for line in lines.splitlines())
            if record["body"]["type"] == "transaction_completed"
        ]
        return Totals(transactions=len(totals), amount_minor=sum(totals))

    async def verified_records(self) -> int | None:
        """How many records ``terminald journal verify`` finds whole; None where it finds a fault."""
        try:
            said = await processes.output_of(
                ["terminald", "journal", "verify", "--json", "--config", str(self.layout.config)]
            )
        except processes.DidNotStart:
            return None
        found = msgspec.json.decode(said)
        return int(found["records"]) if found["whole"] else None


async def until(condition: Callable[[], bool], timeout_s: float, every_s: float = 0.02) -> bool:
    """Waits for a condition; whether it came true in time."""
    end_s = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        if asyncio.get_running_loop().time() > end_s:
            return False
        await asyncio.sleep(every_s)
    return True
