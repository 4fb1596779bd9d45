"""The commands for backups and restores, in one process; what they refuse, and what a damaged backup does to them."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from core.entries import RESTORED, EpochOpened, TransactionOpened, decode
from core.fold import apply
from core.ledger import open_record
from core.state import Till
from core.till import Books
from store.backup_format import MANIFEST
from store.keys import KeyFile
from store.keys_recovery import make_recovery
from store.verify import iter_records, verify_journal
from terminald.cli import main
from tests.store.backups import NAME, hashes, terminal_in
from tests.store.journals import open_journal

Said = dict[str, object]
Run = Callable[..., tuple[int, Said]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command with ``--json``: its status, and the object that it printed."""

    def command(folder: Path, *words: str) -> tuple[int, Said]:
        capsys.readouterr()
        status = main([*words, "--json", "--config", str(folder / "terminal.toml")])
        out = capsys.readouterr().out.strip()
        return status, json.loads(out) if out else {}

    return command


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "medium"
    folder.mkdir()
    return folder


@pytest.fixture
def recovery_key(tmp_path: Path) -> Path:
    path = tmp_path / "recovery.key"
    make_recovery(path)
    return path


def new_medium(tmp_path: Path, like: Path, name: str = "new") -> Path:
    """A folder with the terminal's configuration and nothing else."""
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(like / "terminal.toml", folder)
    return folder


def with_keys(folder: Path, like: Path) -> Path:
    """The terminal's own key file, from wherever it was kept."""
    shutil.copy(like / "journal.key", folder)
    return folder


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def opened_last(folder: Path) -> EpochOpened:
    keys = KeyFile(folder / "journal.key").load()
    entries = [decode(open_record(record.exact).body) for record in iter_records(folder / "journal.db", keys.journal)]
    found = [entry for entry in entries if isinstance(entry, EpochOpened)][-1]
    assert isinstance(found, EpochOpened)
    return found


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def names(said: Said) -> list[str]:
    skipped = said["skipped"]
    assert isinstance(skipped, Sequence)
    return [each["name"] for each in skipped]


# --- backups -----------------------------------------------------------------------------------------------------


def test_now_list_verify(tmp_path: Path, target: Path, run: Run) -> None:
    with terminal_in(tmp_path / "till") as till:
        status, made = run(till.folder, "backup", "now", "--target", str(target))
        assert (status, made["made"], made["same_medium"]) == (0, True, True)
        status, again = run(till.folder, "backup", "now", "--target", str(target), "--unless-within", "5")
        assert (status, again["made"], again["newest"]) == (0, False, made["newest"])
        status, listed = run(till.folder, "backup", "list", "--target", str(target))
        assert (status, listed["backups"]) == (0, [made["newest"]])
        status, verified = run(till.folder, "backup", "verify", "--target", str(target))
        assert (status, verified["backups"]) == (0, [made["newest"]])
        newest = made["newest"]
        assert isinstance(newest, dict)
        assert newest["seq"] == till.head.seq
        spoil(Path(newest["path"], "customers.db"))
        status, verified = run(till.folder, "backup", "verify", "--target", str(target), "--all")
        assert status == 1
        assert "customers.db is altered" in str(verified)


def test_where_backups_go_stands_in_the_configuration(tmp_path: Path, target: Path, run: Run) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        assert run(till.folder, "backup", "now")[0] == 2
        config = till.folder / "terminal.toml"
        text = config.read_text()
        config.write_text(f'{text}[backup]\npath = "{target}"\nkeep = 1\n')
        assert run(till.folder, "backup", "now")[0] == 0
        config.write_text(f'{text}[backup]\npath = "{target}"\npolicy = "separate"\n')
        status, said = run(till.folder, "backup", "now")
        assert (status, said["fault"]) == (1, "backup-target-missing"), "an empty mount point is no medium"
        config.write_text(f'{text}[backup]\npath = "{target}"\nevery_h = 0\npolicy = "any"\n')
        assert main(["check", "--config", str(config)]) == 1


def test_what_cannot_be_backed_up_says_why(tmp_path: Path, target: Path, run: Run) -> None:
    folder = tmp_path / "till"
    with terminal_in(folder, sales=1):
        status, said = run(folder, "backup", "now", "--target", str(tmp_path / "nowhere"))
        assert (status, said["fault"]) == (1, "backup-target-missing")
    (folder / "journal.db").unlink()
    status, said = run(folder, "backup", "now", "--target", str(target))
    assert (status, said["fault"]) == (1, "journal-missing")
    status, said = run(folder, "backup", "list", "--target", str(target))
    assert status == 1


# --- restores ----------------------------------------------------------------------------------------------------


def test_a_new_medium_goes_on_in_a_new_epoch(tmp_path: Path, target: Path, run: Run) -> None:
    with terminal_in(tmp_path / "till") as till:
        assert run(till.folder, "backup", "now", "--target", str(target))[0] == 0
        had, head = till.hashes(), till.head
        till.sell(5)
    new = with_keys(new_medium(tmp_path, tmp_path / "till"), tmp_path / "till")
    status, said = run(new, "journal", "restore", "--from", str(target))
    assert (status, said["seq"], said["asked"], said["skipped"], said["aside"]) == (0, head.seq, False, [], [])
    assert files(new) == {
        "terminal.toml", "journal.db", "catalogue.db", "customers.db", "credentials.db",
        "journal.key", "journal.keyring", "signing.key",
    }  # fmt: skip
    keys = KeyFile(new / "journal.key").load()
    now = hashes(new / "journal.db", keys.journal)
    assert had.items() <= now.items()
    assert len(now) == len(had) + 1
    opened = opened_last(new)
    assert (opened.reason, opened.previous_epoch, opened.previous_seq) == (RESTORED, head.epoch, head.seq)
    assert opened.previous_head == head.hash.hex()
    assert opened.number > 20
    assert verify_journal(new / "journal.db", keys.journal, terminal=NAME).whole


async def test_the_first_start_stays_in_that_epoch(tmp_path: Path, target: Path, run: Run) -> None:
    """Neither the anchor that is not there nor another card may open one more."""
    with terminal_in(tmp_path / "till") as till:
        assert run(till.folder, "backup", "now", "--target", str(target))[0] == 0
    new = with_keys(new_medium(tmp_path, tmp_path / "till"), tmp_path / "till")
    assert run(new, "journal", "restore", "--from", str(target))[0] == 0
    keys = KeyFile(new / "journal.key").load()
    async with await open_journal(new / "journal.db", keys.journal) as journal:
        assert journal.opened is None
        till_state = Till()
        async for record in journal.replay():
            till_state = apply(till_state, decode(open_record(record.exact).body))
        assert till_state.next_number == opened_last(new).number + 1
    async with await open_journal(new / "journal.db", keys.journal) as journal:
        assert journal.opened is None


def test_the_recovery_key_opens_what_the_lost_board_would_have(
    tmp_path: Path, target: Path, run: Run, recovery_key: Path
) -> None:
    folder = tmp_path / "till"
    with terminal_in(folder, recovery=False) as till:
        public = json.loads(recovery_key.read_text().partition("\n")[2])["public"]
        config = folder / "terminal.toml"
        config.write_text(f'{config.read_text()}[keys]\nrecovery_key = "{public}"\n')
        store = KeyFile(folder / "journal.key")
        store.recovery_public = bytes.fromhex(public)
        store.load_or_make([])
        assert run(folder, "backup", "now", "--target", str(target))[0] == 0
        had = till.hashes()
    new = new_medium(tmp_path, folder)
    status, said = run(new, "journal", "restore", "--from", str(target))
    assert (status, said["fault"]) == (1, "key-missing")
    assert files(new) == {"terminal.toml"}
    other = tmp_path / "other.key"
    make_recovery(other)
    status, said = run(new, "journal", "restore", "--from", str(target), "--recovery-key", str(other))
    assert (status, said["fault"]) == (1, "seal-unopened")
    assert files(new) == {"terminal.toml"}
    status, said = run(new, "journal", "restore", "--from", str(target), "--recovery-key", str(recovery_key))
    assert status == 0, said
    keys = KeyFile(new / "journal.key").load()
    assert had.items() <= hashes(new / "journal.db", keys.journal).items()


def test_a_journal_that_opens_is_never_written_over(tmp_path: Path, target: Path, run: Run) -> None:
    with terminal_in(tmp_path / "till") as till:
        assert run(till.folder, "backup", "now", "--target", str(target))[0] == 0
        status, said = run(till.folder, "journal", "restore", "--from", str(target))
        assert (status, said["fault"]) == (1, "journal-in-use")
        had = till.hashes()
    before = {path.name: path.read_bytes() for path in (tmp_path / "till").glob("*.db")}
    status, said = run(tmp_path / "till", "journal", "restore", "--from", str(target))
    assert (status, said["fault"]) == (1, "restore-refused")
    assert {path.name: path.read_bytes() for path in (tmp_path / "till").glob("*.db")} == before
    assert had


def test_a_damaged_journal_is_set_aside_and_newer_databases_stay(tmp_path: Path, target: Path, run: Run) -> None:
    folder = tmp_path / "till"
    with terminal_in(folder) as till:
        assert run(folder, "backup", "now", "--target", str(target))[0] == 0
        customers = (folder / "customers.db").read_bytes()
    spoilt = bytearray((folder / "journal.db").read_bytes())
    spoilt[:4096] = bytes(4096)
    (folder / "journal.db").write_bytes(spoilt)
    (folder / "catalogue.db").write_bytes(b"")
    status, said = run(folder, "journal", "restore", "--from", str(target))
    assert (status, said["aside"]) == (0, ["catalogue.db.aside-1", "journal.db.aside-1"]), said
    assert (folder / "journal.db.aside-1").read_bytes() == bytes(spoilt)
    assert (folder / "journal.db.aside-1.anchor").exists()
    assert (folder / "customers.db").read_bytes() == customers
    assert verify_journal(folder / "journal.db", till.keys.journal, terminal=NAME).whole


def test_the_newest_whole_one_is_taken_and_the_others_are_named(tmp_path: Path, target: Path, run: Run) -> None:
    with terminal_in(tmp_path / "till") as till:
        seqs = []
        for day in range(4):
            till.sell(1)
            seqs.append(till.head.seq)
            till.back_up(target, keep=9, days=day)
        found = sorted((target / "terminald-backups" / NAME).iterdir(), reverse=True)
        os.truncate(found[0] / "journal.db", 4096)
        (found[1] / MANIFEST).unlink()
        (found[2] / "journal.db").unlink()
    new = with_keys(new_medium(tmp_path, tmp_path / "till"), tmp_path / "till")
    status, said = run(new, "journal", "restore", "--from", str(target))
    assert (status, said["seq"]) == (0, seqs[0])
    assert names(said) == [path.name for path in found[:3]]
    assert "cut off" in str(said["skipped"])
    assert "never finished" in str(said["skipped"])
    assert "missing" in str(said["skipped"])


def test_none_that_is_whole_changes_nothing(tmp_path: Path, target: Path, run: Run) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        made = till.back_up(target)
        spoil(made.path / "journal.db")
    new = with_keys(new_medium(tmp_path, tmp_path / "till"), tmp_path / "till")
    status, said = run(new, "journal", "restore", "--from", str(target))
    assert (status, said["fault"]) == (1, "backup-damaged")
    assert "journal.db" not in files(new)
    status, said = run(new, "journal", "restore", "--from", str(tmp_path))
    assert (status, said["fault"]) == (1, "backup-missing")


def test_another_terminals_backup_and_other_keys_are_refused(tmp_path: Path, target: Path, run: Run) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        made = till.back_up(target)
    with terminal_in(tmp_path / "other", sales=1):
        pass
    other = tmp_path / "other"
    for path in other.glob("journal.db*"):
        path.unlink()
    status, said = run(other, "journal", "restore", "--from", str(target))
    assert (status, said["fault"]) == (1, "backup-key-other")
    foreign = with_keys(new_medium(tmp_path, tmp_path / "till"), tmp_path / "till")
    config = foreign / "terminal.toml"
    config.write_text(config.read_text().replace(NAME, "till-9"))
    status, said = run(foreign, "journal", "restore", "--from", str(made.path))
    assert (status, said["fault"]) == (1, "backup-foreign")


def test_what_was_open_at_the_backup_is_not_open_after_it() -> None:
    """The sale was finished elsewhere, or is for people to look into: it is never finished twice."""
    state = apply(Till(), TransactionOpened(number=7, business_day="2026-11-22", currency="EUR"))
    state = apply(state, EpochOpened(terminal=NAME, reason=RESTORED, signing_key="", number=10_007))
    assert msgspec.structs.replace(state, books=Books()) == Till(next_number=10_008)
