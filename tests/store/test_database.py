"""Opening a file that is not the right one says what it is, and leaves it as it was."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from store.database import connect, migrate, open_database
from store.errors import (
    JournalDamaged,
    JournalError,
    JournalMissing,
    JournalNewer,
    JournalReadOnly,
    NotAJournal,
    WrongKey,
)
from store.verify import verify_journal
from tests.store.journals import KEY, OTHER_KEY, STAMP, money, open_journal


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A closed journal of a few pages."""
    made = tmp_path / "journal.db"
    async with await open_journal(made) as journal:
        for index in range(40):
            await journal.append([money("x" * 400)], STAMP, key=str(index))
    return made


def refused(path: Path, kind: type[JournalError], key: bytes = KEY) -> None:
    """Neither daemon nor verification opens it, both say why, and the file stays as it is."""
    before = path.read_bytes()
    with pytest.raises(kind) as caught:
        asyncio.run(open_journal(path, key))
    assert type(caught.value) is kind
    assert caught.value.remedy != JournalError.remedy
    assert path.name in str(caught.value)
    with pytest.raises(kind):
        verify_journal(path, key)
    assert path.read_bytes() == before


def test_a_wrong_key(path: Path) -> None:
    refused(path, WrongKey, OTHER_KEY)
    assert verify_journal(path, KEY).whole


def test_an_unencrypted_database(tmp_path: Path) -> None:
    plain = tmp_path / "journal.db"
    connection = sqlite3.connect(plain)
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    refused(plain, NotAJournal)


@pytest.mark.parametrize("content", [b"hello", b"a text\n" * 5_000, bytes(8_192)])
def test_another_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.db").write_bytes(content)
    refused(tmp_path / "journal.db", NotAJournal)


@pytest.mark.parametrize("size", [0, 16, 100, 4_095])
def test_a_file_cut_off_in_its_first_page(path: Path, size: int) -> None:
    os.truncate(path, size)
    refused(path, JournalDamaged)


def test_a_file_cut_off_later_is_found(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 4096 // 2 * 4096)
    with pytest.raises(JournalDamaged):
        asyncio.run(open_journal(path))
    try:
        assert not verify_journal(path, KEY).whole
    except JournalDamaged:
        pass


def test_an_altered_first_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[1_000] ^= 1
    path.write_bytes(content)
    refused(path, JournalDamaged)


async def test_a_newer_schema(path: Path) -> None:
    connection = connect(path, KEY)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalNewer):
        await open_journal(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(JournalMissing):
        verify_journal(tmp_path / "journal.db", KEY)


async def test_a_place_that_cannot_be_written() -> None:
    with pytest.raises(JournalReadOnly) as caught:
        await open_journal(Path("/sys/journal.db"))
    assert "folder" in caught.value.remedy


def test_what_a_killed_first_boot_left_is_no_hindrance(tmp_path: Path) -> None:
    for suffix in (".new", ".new-wal", ".new-shm", ".new-journal"):
        (tmp_path / f"journal.db{suffix}").write_bytes(b"half of something")

    async def boot() -> None:
        async with await open_journal(tmp_path / "journal.db") as journal:
            assert journal.head.seq == 1

    asyncio.run(boot())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["journal.anchor", "journal.db", "journal.db.lock"]


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "catalogue.db", KEY, "catalogue")
    connection.execute("DELETE FROM item")
    assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}
    connection.close()


def test_a_failing_migration_changes_nothing(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "customers.db", KEY, "customers")
    connection.execute("PRAGMA user_version = 0")
    with pytest.raises(Exception, match="already exists"):
        migrate(connection, "customers")
    assert not connection.in_transaction
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    connection.close()
