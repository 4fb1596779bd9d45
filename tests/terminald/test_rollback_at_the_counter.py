"""A card with an older journal in a real till: what the command says of it, what the screen says, and that it sells."""

import json
import shutil
from pathlib import Path

import pytest

from terminald.cli import main
from tests.countertop import COLA, countertop
from tests.store.mirrors import RECOVERY_PUBLIC


async def test_an_older_journal_is_told_and_sold_upon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with countertop(tmp_path, ("scanner", "printer", "drawer")) as counter:
        journal = counter.layout.terminal / "journal.db"
        old = tmp_path / "old.db"
        for number in (1, 2):
            await counter.ring_up(COLA.gtin.encode())
            await counter.call("sale.cash")
            await counter.completed(number)
            await counter.daemon.stop()
            if number == 1:
                shutil.copy(journal, old)
                await counter.start()
        shutil.copy(old, journal)
        capsys.readouterr()
        assert main(["journal", "verify", "--json", "--config", str(counter.layout.config)]) == 1
        found = json.loads(capsys.readouterr().out)
        assert (found["whole"], found["kind"]) == (False, "rollback")
        assert found["first"] == found["records"] + 1
        assert found["last"] > found["first"]
        await counter.start()
        view = await counter.see(lambda view: bool(view.conditions), "a word about the journal")
        assert "journal-rollback" in [told.id for told in view.conditions]
        await counter.ring_up(COLA.gtin.encode())
        assert counter.view.sale.number is not None
        assert counter.view.sale.number > 1_000
        await counter.call("sale.cash")
        await counter.see(lambda view: view.sale.mode == "idle" and view.day.transactions == 2, "the sale after it")
        await counter.daemon.stop()
        capsys.readouterr()
        assert main(["journal", "verify", "--json", "--config", str(counter.layout.config)]) == 0
        assert json.loads(capsys.readouterr().out)["whole"]


async def test_an_older_journal_with_its_own_anchor_is_told_by_the_stick(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with countertop(tmp_path, ("scanner", "printer", "drawer"), start=False) as counter:
        (tmp_path / "stick").mkdir()
        with counter.layout.config.open("a") as config:
            config.write('[mirror]\npath = "../stick"\npolicy = "folder"\n')
            config.write(f'[keys]\nrecovery_key = "{RECOVERY_PUBLIC.hex()}"\n')
        verify = ["journal", "verify", "--config", str(counter.layout.config)]
        old = {name: tmp_path / name for name in ("journal.db", "journal.anchor")}
        for number in (1, 2):
            await counter.start()
            await counter.see(lambda view: view.mirror.state == "ready", "the stick")
            await counter.ring_up(COLA.gtin.encode())
            await counter.call("sale.cash")
            await counter.see(lambda view: view.day.transactions == number, "the sale")  # noqa: B023
            await counter.daemon.stop()
            if number == 1:
                for name, kept in old.items():
                    shutil.copy(counter.layout.terminal / name, kept)
        capsys.readouterr()
        assert main(verify) == 0
        assert "the second medium agrees" in capsys.readouterr().out
        for name, kept in old.items():
            shutil.copy(kept, counter.layout.terminal / name)
        assert main(verify) == 1
        said = capsys.readouterr().out
        assert "rollback" in said
        assert "the second medium knows" in said
        next((tmp_path / "stick").rglob("*.mirror")).write_bytes(b"noise")
        assert main(verify) == 0
        assert "the second medium tells nothing: " in capsys.readouterr().err
        shutil.rmtree(tmp_path / "stick")
        assert main(verify) == 0
        assert "second medium" not in "".join(capsys.readouterr())
