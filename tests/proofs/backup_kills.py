"""A backup and a restore, killed at any call by which they change the medium that they write; and what they leave, judged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from core.entries import RESTORED, EpochOpened, decode
from core.ledger import open_record
from core.ports import JournalError
from store.backup import verify_backup
from store.backup_format import FOLDER, MANIFEST
from store.backup_medium import list_backups
from store.credentials import Credentials, Granted, Moment, Role
from store.customers import Customers
from store.keys import KeyFile
from store.verify import iter_records, verify_journal
from tests.proofs.killing import Program
from tests.shim.boundary import ROOT
from tests.store.backups import NAME, Terminal, hashes

COMMAND = [sys.executable, "-m", "terminald"]


def backing_up(till: Terminal, prepared: Path) -> Program:
    """A backup to a medium that has an earlier one, which is not to be kept. `prepared` is such a medium."""

    def command(folder: Path) -> list[str]:
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        return [*COMMAND, "backup", "now", "--target", str(folder), "--config", str(till.folder / "terminal.toml")]

    def judge(folder: Path, said: str) -> list[str]:
        faults = _no_whole_one(folder, till.keys.backup, "as it was left")
        if (again := _run(command_again(folder))).returncode != 0:
            faults.append(f"the next one cannot be made: {again.stderr.strip()}")
        half = [path.name for path in (folder / FOLDER / NAME).iterdir() if not (path / MANIFEST).exists()]
        if half:
            faults.append(f"half a backup stays: {', '.join(half)}")
        return faults + _no_whole_one(folder, till.keys.backup, "after the next one")

    def command_again(folder: Path) -> list[str]:
        return [*COMMAND, "backup", "now", "--target", str(folder), "--config", str(till.folder / "terminal.toml")]

    return Program(name="backup", command=command, judge=judge)


def restoring(till: Terminal, prepared: Path) -> Program:
    """A restore to a new medium, of the newest backup on `prepared`."""
    had = till.hashes()

    def command(folder: Path) -> list[str]:
        for name in ("terminal.toml", "journal.key"):
            if not (folder / name).exists():
                shutil.copy(till.folder / name, folder)
        config = str(folder / "terminal.toml")
        return [*COMMAND, "journal", "restore", "--json", "--from", str(prepared), "--config", config]

    def judge(folder: Path, said: str) -> list[str]:
        was_there = (folder / "journal.db").exists()
        again = _run(command(folder))
        answer = json.loads(again.stdout or "{}")
        if again.returncode and not (was_there and answer.get("fault") == "restore-refused"):
            return [f"it cannot be done again: {again.stderr.strip()}"]
        return _not_restored(folder, had)

    return Program(name="restore", command=command, judge=judge)


def _no_whole_one(folder: Path, key: bytes, when: str) -> list[str]:
    """What says of itself that it is a backup has to be one, and there has to be one."""
    found = [each for each in list_backups(folder, NAME, key) if each.manifest is not None]
    for each in found:
        assert each.manifest is not None
        try:
            verify_backup(each.path, each.manifest, key)
        except (JournalError, OSError) as error:
            return [f"{when}, {each.path.name} says that it is whole: {error}"]
    return [] if found else [f"{when} there is no whole backup any more"]


def _not_restored(folder: Path, had: dict[tuple[str, int], bytes]) -> list[str]:
    try:
        keys = KeyFile(folder / "journal.key").load()
        found = verify_journal(folder / "journal.db", keys.journal, terminal=NAME)
        entries = [decode(open_record(each.exact).body) for each in iter_records(folder / "journal.db", keys.journal)]
        with Customers(folder / "customers.db", keys.customers, keys.tag_pepper) as customers:
            known = customers.identify("04A1B2C3") == customers.identify("04a1b2c3")
        credentials = Credentials(folder / "credentials.db", keys.credentials, keys.pin_pepper)
        granted = credentials.check(Role.OWNER, "314159", Moment(boot="b", up_ms=0))
        credentials.close()
    except (JournalError, OSError) as error:
        return [f"{type(error).__name__}: {error}"]
    faults = [] if found.whole else [f"the journal is not whole: {found.finding}"]
    if not had.items() <= hashes(folder / "journal.db", keys.journal).items():
        faults.append("records of the backup are missing")
    reasons = [entry.reason for entry in entries if isinstance(entry, EpochOpened)]
    if reasons.count(RESTORED) != 1:
        faults.append(f"its epochs were opened for {', '.join(reasons)}")
    if not known or not isinstance(granted, Granted):
        faults.append("customers or PINs are not those of the backup")
    if over := [path.name for path in folder.iterdir() if ".restoring" in path.name]:
        faults.append(f"left over: {', '.join(over)}")
    return faults


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
