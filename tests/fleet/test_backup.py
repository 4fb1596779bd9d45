"""Headquarters' own backups raise what terminals may forget, and no further than a copy reaches; on both databases."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.delivery import compose, encode
from fleet.backup import BackupError, begin, copy, finish
from fleet.cli import main
from fleet.database import Database
from fleet.intake import Arrival, announce, commit
from fleet.report import summarize
from fleet.store import Address, Server, Store, open_store
from tests.records import KEY, TERMINAL, chain, head_of, sales, start_of

RECORDS = chain(sales(30))


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=1)
    yield opened
    opened.close()


def take(store: Store, first: int, last: int) -> None:
    prev = start_of(RECORDS) if first == 1 else head_of(RECORDS[first - 2])
    payload = encode(compose(TERMINAL, prev, RECORDS[first - 1 : last], KEY.sign))
    assert not commit(store, [Arrival(TERMINAL, payload)], [], [], 1).refusals


def archived(store: Store) -> int:
    return summarize(store.address).terminals[0].epochs[0].archived_hwm


def test_terminals_are_told_of_what_was_held_when_the_backup_began(store: Store) -> None:
    take(store, 1, 20)
    number = begin(store, 2)
    take(store, 21, 40)
    assert (archived(store), announce(store, 3)) == (0, ())
    assert finish(store, number, 3) == 1
    assert archived(store) == 20
    ((terminal, ack),) = announce(store, 4)
    assert (terminal, ack.archived_hwm, ack.hwm) == (TERMINAL, 20, 40)
    assert announce(store, 5) == (), "said once"


def test_what_is_done_twice_or_in_another_order_lowers_nothing(store: Store) -> None:
    take(store, 1, 20)
    first = begin(store, 2)
    take(store, 21, 40)
    second = begin(store, 2)
    assert [finish(store, each, 3) for each in (second, first, second)] == [1, 0, 0]
    assert archived(store) == 40


def test_the_next_batch_is_answered_with_it_too(store: Store) -> None:
    take(store, 1, 20)
    finish(store, begin(store, 2), 2)
    payload = encode(compose(TERMINAL, head_of(RECORDS[19]), RECORDS[20:25], KEY.sign))
    ((_, ack),) = commit(store, [Arrival(TERMINAL, payload)], [], [], 3).acks
    assert (ack.archived_hwm, ack.hwm) == (20, 25)


def test_a_backup_that_was_never_begun_is_named(store: Store) -> None:
    with pytest.raises(BackupError, match="no backup 7"):
        finish(store, 7, 1)


def test_a_copy_is_a_database_that_can_take_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, to = tmp_path / "hq.db", tmp_path / "copy.db"
    with contextlib.closing(Database.open(path, now_ms=1)) as store:
        take(store, 1, 20)
        assert main(["backup", "make", "--database", str(path), str(to)]) == 0
        assert "1 epochs" in capsys.readouterr().out
        take(store, 21, 40)
        assert archived(store) == 20
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith("copy")) == ["copy.db"]
    shutil.copy(to, path)
    for rest in tmp_path.glob("hq.db-*"):
        rest.unlink()
    with contextlib.closing(Database.open(path, now_ms=1)) as store:
        take(store, 21, 61)
        assert summarize(path).transactions == 30


def test_a_place_that_cannot_be_written_raises_no_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hq.db"
    with contextlib.closing(Database.open(path, now_ms=1)) as store:
        take(store, 1, 20)
        assert main(["backup", "make", "--database", str(path), str(tmp_path / "no" / "copy.db")]) == 1
        assert "backup:" in capsys.readouterr().err
        assert archived(store) == 0


def test_a_damaged_database_raises_no_mark(tmp_path: Path) -> None:
    path = tmp_path / "hq.db"
    with contextlib.closing(Database.open(path, now_ms=1)) as store:
        take(store, 1, 61)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_record_1'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (page - 1) + 3000)
        file.write(bytes(500))
    with pytest.raises(BackupError):
        copy(path, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy.db*"))


def test_the_commands_of_a_servers_backup(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    take(store, 1, 20)
    url = store.address.url if isinstance(store.address, Server) else str(store.address)
    assert main(["backup", "begin", "--database", url]) == 0
    number = capsys.readouterr().out.strip()
    assert main(["backup", "done", "--database", url, number]) == 0
    assert archived(store) == 20
    if isinstance(store.address, Server):
        assert main(["backup", "make", "--database", url, "copy.db"]) == 1
        assert "its own tools" in capsys.readouterr().err
    assert main(["backup", "begin", "--database", "/no/such.db"]) == 1
    assert "database-absent" in capsys.readouterr().err
