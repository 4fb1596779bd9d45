"""New keys for old data: every row is there after, nobody is in the way meanwhile, and a cut is gone on with."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.database import connect, open_database
from store.errors import JournalInUse, WrongKey
from store.keys import DATABASES, KeyFile
from store.keys_root import ROOT_TITLE, RootFile, write_hex
from store.keys_rotate import begin, change_root, finish, is_unfinished, rekey, retire, rotate
from tests.store.terminals import CONTENTS, contents, fill, sole_openers
from tests.store.test_keys_store import credential, store_of

ROWS = 300


@pytest.fixture
def store(tmp_path: Path) -> KeyFile:
    folder = tmp_path / "till"
    folder.mkdir()
    store = KeyFile(folder / "journal.key")
    store.load_or_make([])
    fill(store, ROWS)
    return store


def test_all_keys_that_can_be_are_new_and_all_rows_are_there(store: KeyFile) -> None:
    before, old = store.load(), store.open()
    root, rows = store.root.load(), contents(store, before)
    rotate(store)
    after, new = store.load(), store.open()
    assert contents(store, after) == rows
    assert store.root.load() != root
    assert new.kek != old.kek
    assert new.generation == 2
    for purpose in DATABASES:
        there = store.databases[purpose].exists()
        assert (getattr(after, purpose) != getattr(before, purpose)) is there
        assert new.generations(purpose) == [2 if there else 1]
    # What was hashed or encrypted with these is still there: tags, PINs, the signing key, backups, sticks.
    for name in ("tag_pepper", "pin_pepper", "signing_wrap", "backup", "mirror"):
        assert getattr(after, name) == getattr(before, name)
    assert not is_unfinished(store)


def test_the_old_keys_open_nothing_any_more(store: KeyFile) -> None:
    old = store.open()
    rotate(store)
    assert sole_openers(store, dict(old.secrets)) == {purpose: [] for purpose in CONTENTS}
    with pytest.raises(WrongKey):
        open_database(store.databases["journal"], old.newest("journal"), "journal")


def test_nothing_is_left_over(store: KeyFile) -> None:
    names = {each.name for each in store.folder.iterdir()}
    rotate(store)
    assert {each.name for each in store.folder.iterdir()} == names


def test_the_databases_keep_their_log(store: KeyFile) -> None:
    rotate(store)
    keys = store.load()
    for purpose in CONTENTS:
        connection = connect(store.databases[purpose], getattr(keys, purpose))
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA page_size").fetchone() == ("4096",)
        connection.close()


def test_the_root_alone(store: KeyFile) -> None:
    keys, root = store.load(), store.root.load()
    files = {path: path.read_bytes() for path in store.databases.values() if path.exists()}
    rotate(store, databases=False)
    assert store.load() == keys
    assert store.root.load() != root
    assert {path: path.read_bytes() for path in files} == files


def test_again_and_again(store: KeyFile) -> None:
    rows = contents(store, store.load())
    for _ in range(3):
        rotate(store)
    assert contents(store, store.load()) == rows
    assert store.open().generation == 4
    assert store.open().generations("journal") == [4]


def test_a_terminal_of_the_first_software(tmp_path: Path) -> None:
    write_hex(tmp_path / "journal.key", ROOT_TITLE, b"\7" * 32)
    store = KeyFile(tmp_path / "journal.key")
    fill(store)
    rows = contents(store, store.load())
    rotate(store)
    assert contents(store, store.load()) == rows


def test_rows_that_are_in_the_log_alone(store: KeyFile, tmp_path: Path) -> None:
    """As after a power cut: the log is folded in, and not found beside the new file."""
    key = store.load().journal
    code = (
        "import os, sys; from store.database import open_database; from pathlib import Path;"
        "c = open_database(Path(sys.argv[1]), bytes.fromhex(sys.stdin.read()), 'journal');"
        "c.execute(\"INSERT INTO record (position, exact, hash) VALUES (9000000, x'7b7d', zeroblob(32))\"); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, store.databases["journal"]], input=key.hex(), text=True, check=True)
    assert store.databases["journal"].with_name("journal.db-wal").stat().st_size > 0
    rotate(store)
    assert contents(store, store.load())["journal"][-1][0] == 9_000_000


def test_who_was_given_a_key_for_a_file_that_is_not_there_yet_can_still_make_it(store: KeyFile) -> None:
    """A long import into a catalogue that is still to be made, while keys are rotated."""
    given = store.load().catalogue
    rotate(store)
    open_database(store.databases["catalogue"], given, "catalogue").close()
    assert store.load().catalogue == given
    rotate(store)
    assert store.load().catalogue != given
    open_database(store.databases["catalogue"], store.load().catalogue, "catalogue").close()


# --- cut off -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", range(5))
def test_a_rotation_that_was_cut_off_between_its_steps(store: KeyFile, steps: int) -> None:
    rows = contents(store, store.load())
    ring = begin(store)
    for purpose in DATABASES[:steps]:
        ring = change_root(store)
        rekey(store, ring, purpose)
    assert is_unfinished(store)
    assert contents(store, store.load()) == rows
    assert set(map(len, sole_openers(store, dict(store.open().secrets)).values())) == {1}
    assert store.load_or_make([]).pin_pepper  # a start of an older software would not finish it, and opens all the same
    finish(store)
    assert contents(store, store.load()) == rows
    assert not is_unfinished(store)
    assert set(map(tuple, sole_openers(store, dict(store.open().secrets)).values())) == {(2,)}


def test_a_rotation_after_one_that_was_cut_off(store: KeyFile) -> None:
    rows = contents(store, store.load())
    ring = begin(store)
    rekey(store, ring, "customers")
    rotate(store)
    assert contents(store, store.load()) == rows
    assert store.open().generations("customers") == [3]


def test_what_a_cut_copy_left_is_cleared_up(store: KeyFile) -> None:
    ring = begin(store)
    left = [store.folder / f"journal.db.rekey{ending}" for ending in ("", "-wal", "-shm", "-journal")]
    for path in left:
        path.write_bytes(b"half")
    rekey(store, ring, "journal")
    assert not any(path.exists() for path in left)


def test_a_database_that_a_cut_left_without_its_log_gets_it_back(store: KeyFile) -> None:
    """Between leaving the log and the rename, the old file is as it was but for that."""
    keys = store.load()
    connection = connect(store.databases["journal"], keys.journal)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    connection = open_database(store.databases["journal"], keys.journal, "journal")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_retiring_keeps_what_a_file_still_needs_out_of_reach(store: KeyFile) -> None:
    """`retire` is only ever called by `finish`, after every file: this is what goes wrong otherwise (and S9 catches)."""
    begin(store)
    retire(store)
    assert sole_openers(store, dict(store.open().secrets)) == {purpose: [] for purpose in CONTENTS}


# --- who is in the way -------------------------------------------------------------------------------------------


def test_a_reader_is_in_the_way_and_nothing_is_lost(store: KeyFile) -> None:
    keys = store.load()
    rows = contents(store, keys)
    reader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from store.database import connect; from pathlib import Path;"
            "c = connect(Path(sys.argv[1]), bytes.fromhex(sys.stdin.readline())); print('in', flush=True);"
            "sys.stdin.read()",
            store.databases["customers"],
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    reader.stdin.write(keys.customers.hex() + "\n")
    reader.stdin.flush()
    assert reader.stdout.readline() == "in\n"
    try:
        with pytest.raises(JournalInUse, match="customers"):
            rotate(store)
        assert is_unfinished(store)
        assert contents(store, store.load()) == rows
    finally:
        reader.communicate()
    finish(store)
    assert contents(store, store.load()) == rows
    assert not is_unfinished(store)


def test_who_waits_for_the_old_file_does_not_write_into_it(store: KeyFile) -> None:
    """A command that opened the file before the rename, and got the lock after: its row would be lost without a word."""
    ring = begin(store)
    code = (
        "import sys; from store.database import open_database; from pathlib import Path;"
        "key = bytes.fromhex(sys.stdin.readline()); print('ready', flush=True);"
        "c = open_database(Path(sys.argv[1]), key, 'customers');"
        'c.execute("INSERT INTO customer (tag, reference) VALUES (randomblob(32), hex(randomblob(16)))");'
        "print('acknowledged')"
    )
    waiting: list[subprocess.Popen[str]] = []

    def interfere() -> None:
        if waiting:
            return
        child = subprocess.Popen(
            [sys.executable, "-c", code, store.databases["customers"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting.append(child)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(ring.secrets["customers", 1].hex() + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ready\n"
        time.sleep(1.0)  # it opens the file meanwhile, and waits for its lock

    rekey(store, ring, "customers", interfere)
    said, complained = waiting[0].communicate()
    assert "acknowledged" not in said
    assert "WrongKey" in complained
    finish(store)
    assert len(contents(store, store.load())["customers"]) == ROWS


# --- another source ----------------------------------------------------------------------------------------------


def test_from_the_file_to_a_credential(store: KeyFile, tmp_path: Path) -> None:
    rows = contents(store, store.load())
    moved = store_of(store.folder, credential(tmp_path / "given"), RootFile(store.folder / "journal.key"))
    rotate(moved)
    assert not (store.folder / "journal.key").exists()
    assert [slot.tier for slot in moved.open().slots] == ["credential"]
    assert contents(moved, moved.load()) == rows
    again = moved.open().kek
    rotate(moved)
    assert moved.open().kek != again
    assert contents(moved, moved.load()) == rows


@pytest.mark.parametrize("steps", [1, 2])
def test_a_move_that_was_cut_off(store: KeyFile, tmp_path: Path, steps: int) -> None:
    rows = contents(store, store.load())
    moved = store_of(store.folder, credential(tmp_path / "given"), RootFile(store.folder / "journal.key"))
    begin(moved)
    if steps == 2:
        change_root(moved)
    assert contents(moved, moved.load()) == rows
    finish(moved)
    assert contents(moved, moved.load()) == rows
    assert not (store.folder / "journal.key").exists()


def test_and_back_to_the_file(store: KeyFile, tmp_path: Path) -> None:
    rows = contents(store, store.load())
    given = credential(tmp_path / "given")
    rotate(store_of(store.folder, given, RootFile(store.folder / "journal.key")))
    back = store_of(store.folder, RootFile(store.folder / "journal.key"), given)
    rotate(back)
    assert contents(back, back.load()) == rows
    assert KeyFile(store.folder / "journal.key").load() == back.load()
