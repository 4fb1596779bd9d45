"""A terminal is destroyed and comes back from its backup: real daemons, a real broker, a real collector."""

from pathlib import Path

import pytest

from bench.two_tills import Shop, Till, run, shop
from core.ledger import Record
from store.keys import KeyFile
from store.verify import iter_records
from terminald.client import connect
from tests.tills import eventually

BEFORE = 200
AFTER = 100
SINCE = 5


async def empty(world: Shop, name: str = "till-3") -> Till:
    """A new medium: a folder with a configuration and nothing else."""
    till = await world.till(name, mirror=False)
    for path in till.folder.iterdir():
        if path != till.config:
            path.unlink()
    return till


async def command(till: Till, *words: str) -> tuple[int, dict[str, object], str]:
    return await run([*words, "--json", "--config", str(till.config)])


def records_of(till: Till) -> list[Record]:
    keys = KeyFile(till.folder / "journal.key").load()
    return list(iter_records(till.folder / "journal.db", keys.journal))


async def destroyed(world: Shop, target: Path, before: int = BEFORE, after: int = AFTER) -> tuple[Till, list[Record]]:
    """A till that sold, was backed up while it ran, sold on, delivered everything, and is gone; with what it had."""
    till = await world.till("till-3", mirror=False)
    await till.start()
    await till.sell(before)
    status, made, heard = await command(till, "backup", "now", "--target", str(target))
    assert (status, made["made"]) == (0, True), heard
    await till.sell(after)
    await till.view(lambda view: view.journal.acknowledged_seq == view.journal.seq)
    await till.process.kill()
    records = records_of(till)
    till.lose()
    return till, records


async def finished(world: Shop, till: Till, tally: dict[int, int]) -> None:
    await till.view(
        lambda view: (
            all(each.id != "records-due" for each in view.conditions)
            and view.journal.acknowledged_seq == view.journal.seq
        )
    )
    await eventually(lambda: world.agrees("till-3", tally), 40)


async def whole(till: Till, had: list[Record], tally: dict[int, int]) -> None:
    """The journal is sound, and every record that the lost medium had is in it, byte for byte."""
    status, verified, _ = await command(till, "journal", "verify")
    assert (status, verified["whole"]) == (0, True), verified
    now = {(record.epoch, record.seq): record.hash for record in records_of(till)}
    assert {(record.epoch, record.seq): record.hash for record in had}.items() <= now.items()
    status, found, _ = await command(till, "journal", "find", "--limit", "1000")
    assert status == 0
    sold = found["transactions"]
    assert isinstance(sold, list)
    assert sorted((each["number"], each["total_minor"]) for each in sold if each["status"] == "completed") == sorted(
        tally.items()
    )


@pytest.mark.timeout(300)
async def test_all_that_was_sold_is_there_again(tmp_path: Path) -> None:
    target = tmp_path / "backups"
    target.mkdir()
    async with shop(tmp_path) as world:
        dead, had = await destroyed(world, target)
        till = await empty(world)
        status, said, _ = await command(till, "journal", "restore", "--from", str(target))
        assert (status, said["fault"]) == (1, "key-missing")
        assert [path.name for path in till.folder.iterdir() if not path.name.endswith(".lock")] == ["terminal.toml"]

        way = ("journal", "restore", "--from", str(target), "--recovery-key", str(world.recovery_key))
        status, said, heard = await command(till, *way)
        assert status == 0, heard
        assert (said["asked"], said["missing"]) == (True, len(had) - int(str(said["seq"])))
        status, refused, _ = await command(till, *way)
        assert (status, refused["fault"]) == (1, "restore-refused")

        till.tally.update(dead.tally)
        await till.start()
        await till.sell(SINCE)
        await finished(world, till, till.tally)
        view = await till.view()
        assert view.day.transactions == BEFORE + AFTER + SINCE
        assert view.day.amount_minor == sum(till.tally.values())
        assert min(set(till.tally) - set(dead.tally)) > max(dead.tally)
        await whole(till, had, till.tally)
        await till.process.stop()
        await till.start()  # the fold of what is there now is the same till
        assert (await till.view()).day == view.day


@pytest.mark.timeout(300)
async def test_it_sells_at_once_where_headquarters_cannot_be_asked(tmp_path: Path) -> None:
    target = tmp_path / "backups"
    target.mkdir()
    async with shop(tmp_path) as world:
        dead, had = await destroyed(world, target, before=10, after=10)
        await world.stop_headquarters()
        till = await empty(world)
        status, said, heard = await command(
            till, "journal", "restore", "--from", str(target), "--recovery-key", str(world.recovery_key)
        )
        assert status == 0, heard
        assert said["asked"] is False
        till.tally.update(dead.tally)
        await till.start()
        await till.view(lambda view: any(each.id == "records-due" for each in view.conditions))
        await till.sell(3)
        await till.process.kill()  # and the power goes before headquarters is back
        await till.start()
        async with connect(till.socket) as client:
            await till.ring_up(client, 2)
            await world.start_headquarters()
            await till.pay(client)
        await till.sell(2)
        await finished(world, till, till.tally)
        await whole(till, had, till.tally)
