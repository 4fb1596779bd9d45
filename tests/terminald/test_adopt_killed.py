"""An adoption that is killed at any call: the spare is as it was, or is the dead one, or says that it is neither yet."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from store.adoption import read_note
from store.keys import KeyFile, TerminalSigner
from store.verify import verify_journal
from tests.proofs.killing import Cut, Program, all_cuts, kill_at, list_calls, spread
from tests.shim.boundary import run as run_over_shim
from tests.sticks import SEED, Dead, leave_stick
from tests.terminald.test_adopt_refusals import Spare, recovery_of, sell_one
from tests.tills import make_key

CUTS = 8

pytestmark = [pytest.mark.serial, pytest.mark.timeout(240)]


def command(folder: Path) -> list[str]:
    given = ["--stick", str(folder / "stick"), "--config", str(folder / "terminal.toml")]
    return [sys.executable, "-m", "terminald", "adopt", *given, "--recovery-key", str(folder / "recovery.key")]


def program(template: Path, dead: Dead) -> Program:
    def prepared(folder: Path) -> list[str]:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        return command(folder)

    return Program(name="adopt", command=prepared, judge=lambda folder, _: judge(folder, dead))


def judge(folder: Path, dead: Dead) -> list[str]:
    """What is wrong with a spare whose adoption was killed, as it lies there and after it was run again."""
    faults = []
    if read_note(folder / "journal.db") is None:
        is_heir = 'id = "till-3"' in (folder / "terminal.toml").read_text()
        faults += heir_faults(folder, dead) if is_heir else spare_faults(folder)
    again = subprocess.run(command(folder), capture_output=True, text=True)
    if again.returncode != 0 and "has taken over from till-3 already" not in again.stderr:
        faults.append(f"it is not finished by running it again: {again.stderr}")
    return faults + heir_faults(folder, dead)


def spare_faults(folder: Path) -> list[str]:
    return journal_faults(folder, 5, "the spare's own")


def heir_faults(folder: Path, dead: Dead) -> list[str]:
    faults = journal_faults(folder, len(dead.records) - dead.acknowledged + 1, "the heir's")
    keys = KeyFile(folder / "journal.key").load()
    if TerminalSigner.open(folder / "signing.key", keys, ()).public_key != make_key(SEED).public_key:
        faults.append("it does not sign as the dead one")
    if read_note(folder / "journal.db") is not None:
        faults.append("it still says that it is not finished")
    return faults


def journal_faults(folder: Path, records: int, whose: str) -> list[str]:
    found = verify_journal(folder / "journal.db", KeyFile(folder / "journal.key").load().journal)
    if not found.whole or found.records != records:
        return [f"{whose} journal has {found.records} records: {found.finding}"]
    return []


@pytest.fixture
def shelf(tmp_path: Path) -> tuple[Path, Dead]:
    """A spare that had sold before, with a dead terminal's stick and the recovery key beside it, and the dead one."""
    dead = asyncio.run(leave_stick(tmp_path, recovery_public=recovery_of(tmp_path)))
    spare = Spare(tmp_path)
    asyncio.run(sell_one(spare, acknowledged=True))
    shutil.copytree(dead.stick, spare.folder / "stick")
    shutil.copy2(tmp_path / "recovery.key", spare.folder / "recovery.key")
    return spare.folder, dead


def test_an_adoption_that_is_killed(shelf: tuple[Path, Dead]) -> None:
    killed = program(*shelf)
    calls = list_calls(killed)
    # The first half founds a journal that nobody has seen; what follows is what matters.
    last = [cut for cut in all_cuts(calls) if cut.at > len(calls) - CUTS]
    cuts = [*spread(all_cuts(calls)[: -len(last)], CUTS // 4), *spread(last, CUTS)]
    reached, faults = kill_at(killed, cuts)
    assert faults == []
    assert reached == len(cuts)


def test_the_judgement_finds_an_adoption_that_kept_no_note(shelf: tuple[Path, Dead], tmp_path: Path) -> None:
    """As a mutant would leave it that is killed between the signing key and the journal's name."""
    template, dead = shelf
    killed = program(template, dead)
    calls = list_calls(killed)
    name = next(call.number for call in reversed(calls) if call.kind == "rename" and "journal.db" in call.name)
    folder = tmp_path / "mutant"
    folder.mkdir()
    ended = run_over_shim(killed.command(folder), folder, at=name, action="before")
    assert ended.returncode == -9
    (folder / "adoption.json").unlink()
    assert Cut(name, "before") in all_cuts(calls)
    with pytest.raises(FileNotFoundError):
        judge(folder, dead)
