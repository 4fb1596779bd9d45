"""One terminal whose medium fills up: runs `inside` a mount namespace, and prints what it saw as a line of JSON.

The daemon is a process that is started again half a second after each of its ends, as its unit has it. The oracle is the
clerk's own tally of what was paid and answered; it is compared with the journal in the end.
"""

import asyncio
import contextlib
import enum
import json
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from core import entries as e
from core.ledger import open_record
from core.scan import check_digit
from core.view import View
from demo import goods, processes
from store.keys import KeyFile
from store.verify import iter_records, verify_journal
from terminald.client import CallFailed, CallRefused, Disconnected, connect
from tests.countertop import Countertop
from tests.proofs.small_disk import Kind, SmallDisk, mounted
from ui.text import parts

RESTART_S = 0.5
"""terminald.service has it so."""
PATIENCE_S = 20.0
RECOVERY_S = 10.0
PAUSE_S = 0.05
REFUSED_S = 1.0
"""The daemon has seen by then that the disk is full, and given its reserve back."""
CHECKPOINT_CHANGES = 450
"""So many changes of a quantity fill the journal's log more than twice."""
CHANGES = 40
"""So many are a long sale."""
ROUNDS = 6
COMMAND_S = 30.0


class Fault(enum.StrEnum):
    """One way for a daemon to be wrong."""

    UNWATCHED = "unwatched"  # looks at no disk and holds no reserve
    NO_RESERVE = "no-reserve"  # looks, and holds none


class Phase(enum.StrEnum):
    """A way for the disk to become full."""

    MID_SALE = "mid-sale"  # once, to the last byte
    RELENTLESS = "relentless"  # and whatever is given back is taken at once
    BEFORE_START = "before-start"  # while the daemon is down, with a sale open
    DEAD = "dead"  # as that, and the reserve is taken too: nothing can run until there is room
    CHECKPOINT = "checkpoint"  # an open sale so long that the journal's log is copied meanwhile
    CHECKPOINT_RELENTLESS = "checkpoint-relentless"
    OTHERS = "others"  # customers, catalogue, history want to write too


class Missed(AssertionError):
    """What should have been and was not."""


class Kept:
    """A process that is started again after each of its ends."""

    def __init__(self, process: processes.Process) -> None:
        self.starts = 0
        self._process = process
        self._wanted = True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._wanted and not self._process.running:
                if self.starts:
                    await asyncio.sleep(RESTART_S)
                await self._process.start()
                self.starts += 1
            await asyncio.sleep(PAUSE_S)

    @contextlib.asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Killed, and not started again before the block ends."""
        self._wanted = False
        await self._process.kill()
        yield
        self._wanted = True


class Clerk:
    """Sells by the control socket, and keeps a tally. An order whose answer was lost is given again under its key."""

    def __init__(self, counter: Countertop) -> None:
        self.counter = counter
        self.tally: dict[int, int] = {}
        self._scanned = 0

    async def ring_up(self, pieces: int) -> int:
        """So many pieces into the open basket, or a new one. Raises CallRefused."""
        number = 0
        for _ in range(pieces):
            good = _GOODS[self._scanned % len(_GOODS)]
            self._scanned += 1
            number = int(str((await self.order("sale.scan", data=good.gtin))["number"]))
        return number

    async def pay(self, number: int) -> None:
        """Cash, exactly; by the command line."""
        due = int(str((await self.order("sale.subtotal", keyed=False))["due_minor"]))
        status, said = await self.command("call", "sale.cash", json.dumps({"key": uuid.uuid4().hex}))
        _must("transaction_completed" in said, f"the open sale was not completed: {status} {said}")
        self.tally[number] = due

    async def sell(self, pieces: int = 2) -> None:
        """A whole sale."""
        await self.pay(await self.ring_up(pieces))

    async def order(self, method: str, *, keyed: bool = True, **params: object) -> Mapping[str, object]:
        """What came of an order. Raises CallRefused, Missed."""
        given = {**params, "key": uuid.uuid4().hex} if keyed else params
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            try:
                async with connect(self.counter.layout.control_socket) as client:
                    answer = await client.call(method, given, timeout_s=PATIENCE_S)
                    assert isinstance(answer, Mapping)
                    return answer
            except CallRefused:
                raise
            except (Disconnected, CallFailed):
                await asyncio.sleep(PAUSE_S)
        raise Missed(f"{method} had no answer within {PATIENCE_S} s")

    async def refusal(self) -> str:
        """Why the till takes no further item; "" when it takes it."""
        try:
            await self.ring_up(1)
        except CallRefused as refused:
            return refused.message.id
        return ""

    async def command(self, *words_: str) -> tuple[int, str]:
        """`terminald` with these words: its status, and all that it said."""
        layout = self.counter.layout
        where = ["--socket", str(layout.control_socket)] if words_[0] == "call" else ["--config", str(layout.config)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "terminald", *words_, *where),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(COMMAND_S):
            said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def view(self) -> View:
        """The screen now. Raises Disconnected."""
        async with connect(self.counter.layout.control_socket) as client:
            async for view in client.views():
                return view
        raise Missed("no view")

    def audit(self) -> list[str]:
        """What is wrong with the journal, by the tally."""
        folder = self.counter.layout.terminal
        key = KeyFile(folder / "journal.key").load().journal
        found = verify_journal(folder / "journal.db", key)
        faults = [] if found.whole else [f"the journal is not whole: {found.finding}"]
        entries = [e.decode(open_record(record.exact).body) for record in iter_records(folder / "journal.db", key)]
        sold = [(entry.number, entry.total_minor) for entry in entries if isinstance(entry, e.TransactionCompleted)]
        counts = Counter(sold)
        faults += [f"sale {number} is there {count} times" for (number, _), count in counts.items() if count > 1]
        faults += [f"sale {number} was acknowledged and is lost" for number in self.tally if number not in dict(sold)]
        faults += [
            f"sale {number} is there with {amount}, paid {self.tally.get(number)}"
            for number, amount in sold
            if self.tally.get(number) != amount
        ]
        return faults


async def mid_sale(clerk: Clerk, disk: SmallDisk, _: Kept) -> None:
    """The open sale goes on and is paid; the next is refused, in words; the journal can be verified all the while."""
    number = await clerk.ring_up(2)
    disk.fill()
    await clerk.ring_up(1)
    await clerk.pay(number)
    await _refused(clerk)


async def relentless(clerk: Clerk, disk: SmallDisk, _: Kept) -> None:
    """The same while something goes on filling the disk."""
    number = await clerk.ring_up(2)
    with disk.kept_full():
        await asyncio.sleep(REFUSED_S)  # the reserve is given back, and taken
        _must(disk.free_bytes == 0, f"{disk.free_bytes} bytes are free: this shows nothing")
        await clerk.ring_up(1)
        await clerk.pay(number)
        await _refused(clerk)


async def before_start(clerk: Clerk, disk: SmallDisk, kept: Kept) -> None:
    """A daemon that was killed in mid-sale comes up on a full disk, and finishes what was open."""
    number = await clerk.ring_up(2)
    async with kept.down():
        disk.fill()
    await clerk.ring_up(1)
    await clerk.pay(number)
    await _refused(clerk)


async def dead(clerk: Clerk, disk: SmallDisk, kept: Kept) -> None:
    """Nothing can run, and nothing is lost: the open sale is there once there is room."""
    number = await clerk.ring_up(2)
    async with kept.down():
        with disk.kept_full():
            (disk.folder / "reserve").unlink(missing_ok=True)
            await asyncio.sleep(2 * PAUSE_S)
        starts = kept.starts
    disk.fill()
    await asyncio.sleep(4 * RESTART_S)
    _must(kept.starts > starts, "it was not even tried")
    disk.free()
    began_s = time.monotonic()
    await clerk.ring_up(1)
    _must(time.monotonic() - began_s < RECOVERY_S, "the open sale was not back in time")
    await clerk.pay(number)


async def checkpoint(clerk: Clerk, disk: SmallDisk, _: Kept) -> None:
    """The open sale writes more than the journal's log holds."""
    number = await clerk.ring_up(1)
    disk.fill()
    await _write_much(clerk, CHECKPOINT_CHANGES)
    await clerk.pay(number)
    await _refused(clerk)


async def checkpoint_relentless(clerk: Clerk, disk: SmallDisk, kept: Kept) -> None:
    """A sale fits into what the log's file has room for already, wherever in the log it begins."""
    starts = kept.starts
    for _ in range(ROUNDS):
        number = await clerk.ring_up(1)
        await _write_much(clerk, CHANGES // 2)
        with disk.kept_full():
            await asyncio.sleep(REFUSED_S)
            await _write_much(clerk, CHANGES)
            await clerk.pay(number)
            await _refused(clerk)
        await _recovered(clerk, disk)
    _must(kept.starts == starts, "the daemon ended")


async def others(clerk: Clerk, disk: SmallDisk, kept: Kept) -> None:
    """Everything else that writes says so or waits, and costs nobody's sale."""
    number = await clerk.ring_up(2)
    starts = kept.starts
    with disk.kept_full():
        await asyncio.sleep(REFUSED_S)
        for uid in range(20):
            clerk.counter.bench.nfc.present(bytes.fromhex(f"04a1b2c3d4{uid:04x}"))
            await asyncio.sleep(0.1)
            clerk.counter.bench.nfc.remove()
        many = clerk.counter.layout.bench / "many.csv"
        many.write_text("gtin,name,unit,price,tax\n" + "".join(_row(each) for each in range(20_000)))
        status, said = await clerk.command("catalogue", "import", str(many))
        _must(status != 0 and "journal-no-space" in said, f"an import on a full disk said {status} {said}")
        status, said = await clerk.command("journal", "find", "--number", "1")
        _must(status == 0 or "journal-no-space" in said, f"a query on a full disk said {status} {said}")
        with contextlib.suppress(CallRefused):
            async with connect(clerk.counter.layout.control_socket) as client:
                await client.call("history.find", {"number": 1}, timeout_s=PATIENCE_S)
        await clerk.pay(number)
        await _refused(clerk)
    _must(kept.starts == starts, "the daemon ended")
    disk.free()
    status, said = await clerk.command("catalogue", "status", "--json")
    _must(json.loads(said)["items"] == len(goods.load()), f"the catalogue is another: {said}")


_PHASES: dict[Phase, Callable[[Clerk, SmallDisk, Kept], Awaitable[None]]] = {
    Phase.MID_SALE: mid_sale,
    Phase.RELENTLESS: relentless,
    Phase.BEFORE_START: before_start,
    Phase.DEAD: dead,
    Phase.CHECKPOINT: checkpoint,
    Phase.CHECKPOINT_RELENTLESS: checkpoint_relentless,
    Phase.OTHERS: others,
}
_GOODS = [good for good in goods.load() if good.unit == "each" and good.symbology == "EAN-13"]


async def fill_up(root: Path, kind: Kind, phases: list[Phase], mib: int, fault: Fault | None) -> dict[str, object]:
    """Runs phases one after the other on one terminal; what was seen."""
    counter = Countertop(root, ("nfc",) if Phase.OTHERS in phases else (), 1.0)
    disk = mounted(kind, counter.layout.terminal, mib << 20)
    await counter.set_up()
    with counter.layout.config.open("a") as config:
        config.write(f"[disk]\nreserve_mib = {mib // 8}\nfull_below_mib = {mib // 16}\nlow_below_mib = {mib // 4}\n")
    if fault is not None:
        command = [sys.executable, "-m", "tests.proofs.heedless", fault, str(counter.layout.config)]
        counter.daemon = processes.Process("heedless", command, counter.layout.logs / "terminald.log")
    kept = Kept(counter.daemon)
    clerk = Clerk(counter)
    faults: list[str] = []
    recovered_s: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(kept.run(), name="supervisor")
        for phase in phases:
            try:
                await clerk.sell()
                await _PHASES[phase](clerk, disk, kept)
                recovered_s.append(await _recovered(clerk, disk))
                await clerk.sell()
            except (Missed, CallFailed, Disconnected, TimeoutError) as error:
                faults.append(f"{phase} on {kind}: {type(error).__name__}: {error}")
                disk.free()
                break
        keeping.cancel()
    await counter.stop()
    faults += [f"{kind}: {fault_}" for fault_ in clerk.audit()]
    return {
        "sales": len(clerk.tally),
        "starts": kept.starts,
        "recovered_s": max(recovered_s, default=0.0),
        "faults": faults,
    }


async def _refused(clerk: Clerk) -> None:
    """The next sale is refused at its first item, in words; the screen says why; the journal is whole meanwhile."""
    status, said = await clerk.command("call", "sale.scan", json.dumps({"data": _GOODS[0].gtin}))
    _must(status == 1 and "disk-full" in said, f"the next sale was not refused: {status} {said}")
    conditions = [condition for condition in (await clerk.view()).conditions if condition.id == "disk-full"]
    _must(bool(conditions), "the screen does not say that the disk is full")
    said_of_it, remedy = parts(conditions[0], goods.CURRENCY)
    _must("full" in said_of_it and bool(remedy), f"it has no words for people: {said_of_it!r}, {remedy!r}")
    status, said = await clerk.command("journal", "verify")
    _must(status == 0, f"the journal cannot be verified on a full disk: {status} {said}")


async def _recovered(clerk: Clerk, disk: SmallDisk) -> float:
    """How long it takes until a sale is accepted again, from the moment that there is room."""
    disk.free()
    began_s = time.monotonic()
    while refusal := await clerk.refusal():
        _must(time.monotonic() - began_s < RECOVERY_S, f"no sale {RECOVERY_S} s after there was room: {refusal}")
        await asyncio.sleep(PAUSE_S)
    took_s = time.monotonic() - began_s
    number = (await clerk.view()).sale.number
    assert number is not None
    await clerk.pay(number)
    return round(took_s, 3)


async def _write_much(clerk: Clerk, changes: int) -> None:
    async with connect(clerk.counter.layout.control_socket) as client:
        for count in range(changes):
            await client.call("sale.quantity", {"quantity_milli": 1000 * (count % 9 + 1)}, timeout_s=PATIENCE_S)


def _row(number: int) -> str:
    payload = f"20{number:010}"
    return f"{payload}{check_digit(payload)},Thing {number},each,1.00,A\n"


def _must(right: bool, what: str) -> None:
    if not right:
        raise Missed(what)


def main() -> int:
    """``python -m tests.proofs.full_disk ROOT KIND MIB PHASE,PHASE [FAULT]``, inside."""
    root, kind, mib, phases, *fault = sys.argv[1:]
    assert kind in ("tmpfs", "ext4")
    seen = asyncio.run(
        fill_up(
            Path(root),
            "tmpfs" if kind == "tmpfs" else "ext4",
            [Phase(phase) for phase in phases.split(",")],
            int(mib),
            Fault(fault[0]) if fault else None,
        )
    )
    print(json.dumps(seen), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
