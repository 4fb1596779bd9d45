"""A card with an older journal in a real till: what the command says of it, what the screen says, and that it sells."""

import json
import shutil
from pathlib import Path

import pytest

from terminald.cli import main
from tests.countertop import COLA, countertop


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
