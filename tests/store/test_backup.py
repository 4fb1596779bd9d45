"""Backups: consistent, verified, rotated, and never the last good one gone."""

import errno
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import msgspec
import pytest

from store import backup_format as form
from store.backup import (
    Pace,
    check_copy,
    copy_pages,
    make_backup,
    needed_bytes,
    verify_backup,
)
from store.backup_medium import list_backups
from store.errors import (
    BackupDamaged,
    BackupForeign,
    BackupInUse,
    BackupKeyOther,
    BackupMissing,
    BackupNoRoom,
    BackupReadOnly,
    BackupTargetMissing,
    BackupTooSlow,
    BackupUnfit,
    JournalDamaged,
    JournalError,
)
from tests.media import medium
from tests.store.backups import FAST, NAME, STAMP, hashes, terminal_in


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "medium"
    folder.mkdir()
    return folder


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


def test_a_backup_holds_what_the_terminal_holds(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till") as till:
        made = till.back_up(target)
        assert made.manifest is not None
        assert made.manifest.end == till.head
        assert {each.name for each in made.manifest.files} == {
            "journal.db", "catalogue.db", "customers.db", "credentials.db", "journal.keyring", "signing.key",
        }  # fmt: skip
        verify_backup(made.path, made.manifest, till.keys.backup)
        copy = made.path / "journal.db"
        assert hashes(copy, form.key_of(copy, till.keys.backup, "journal")) == till.hashes()


def test_nothing_of_a_backup_is_in_the_clear(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till") as till:
        made = till.back_up(target)
        for path in made.path.iterdir():
            content = path.read_bytes()
            for word in (b"SQLite format", b"Pen", b"transaction", b"4006381333931", b"314159"):
                assert word not in content, (path.name, word)
        with pytest.raises(sqlite3.DatabaseError):
            sqlite3.connect(made.path / "journal.db").execute("SELECT * FROM record")


def test_a_backup_needs_nothing_beside_it(tmp_path: Path, target: Path) -> None:
    """No log, no index of one: it can be read from a medium that cannot be written."""
    with terminal_in(tmp_path / "till") as till:
        made = till.back_up(target)
        for path in made.path.iterdir():
            path.chmod(0o400)
        made.path.chmod(0o500)
        assert made.manifest is not None
        verify_backup(made.path, made.manifest, till.keys.backup)
        assert not [path.name for path in made.path.iterdir() if path.name.endswith(("-wal", "-shm", "-journal"))]


def test_it_is_one_moment_of_each_database_while_the_till_sells(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=400) as till:
        began, stop = threading.Event(), threading.Event()

        def sell() -> None:
            while not stop.is_set():
                till.sell(1)
                began.set()

        selling = threading.Thread(target=sell)
        selling.start()
        began.wait(10)
        try:
            made = make_backup(target, till.subject(), STAMP, keep=3, pace=Pace(step_pages=2))
        finally:
            stop.set()
            selling.join()
        assert made.manifest is not None
        copy = made.path / "journal.db"
        held = hashes(copy, form.key_of(copy, till.keys.backup, "journal"))
        assert len(held) == made.manifest.seq < till.head.seq
        assert held.items() <= till.hashes().items()


def test_what_is_in_it_was_put_on_the_terminals_medium_first(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that a power cut can take back would make the backup a fork of the journal."""
    flushed: list[str] = []
    original = os.fdatasync

    with terminal_in(tmp_path / "till") as till:
        log = os.stat(till.folder / "journal.db-wal")

        def copy(source: object, path: Path, key: bytes, beat: object) -> None:
            flushed.append("copied")
            copy_pages(source, path, key, lambda: None)

        def fdatasync(descriptor: int) -> None:
            if os.path.samestat(os.fstat(descriptor), log):
                flushed.append("flushed")
            original(descriptor)

        monkeypatch.setattr(os, "fdatasync", fdatasync)
        make_backup(target, till.subject(), STAMP, keep=3, pace=FAST, copy=copy)
    assert flushed[:2] == ["flushed", "copied"]


# --- rotation ----------------------------------------------------------------------------------------------------


def test_the_newest_are_kept_and_the_last_of_each_day(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        made = []
        for day in (0, 0, 1, 1, 2, 2, 3, 3, 4, 4):
            till.sell(1)
            made.append(till.back_up(target, keep=3, days=day))
        kept = list_backups(target, NAME, till.keys.backup)
        days = [each.manifest.day for each in kept if each.manifest is not None]
        assert len(kept) == len(days) == 4
        assert kept[0].path == made[-1].path
        assert days == sorted(days, reverse=True)
        assert len(set(days)) == 3


def test_the_order_is_the_journals_and_not_the_clocks(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        till.back_up(target, keep=1, days=900)
        till.sell(1)
        newer = till.back_up(target, keep=1, days=-900)
        kept = list_backups(target, NAME, till.keys.backup)
        assert kept[0].path == newer.path


def test_two_at_one_moment_have_two_names(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        assert till.back_up(target).path != till.back_up(target).path
        assert len(list_backups(target, NAME, till.keys.backup)) == 2


def test_old_ones_stay_when_the_new_one_is_not_whole(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till") as till:
        good = till.back_up(target, keep=1)

        def spoilt(source: object, path: Path, key: bytes, beat: object) -> None:
            copy_pages(source, path, key, lambda: None)
            flip(path, 4096 + 100)

        till.sell(1)
        with pytest.raises(BackupUnfit, match=r"not whole|read"):
            make_backup(target, till.subject(), STAMP, keep=1, pace=FAST, copy=spoilt)
        found = list_backups(target, NAME, till.keys.backup)
        assert [each.path for each in found] == [good.path]


def test_a_backup_that_was_never_finished_does_not_count_and_goes(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till") as till:
        half = till.back_up(target)
        (half.path / form.MANIFEST).unlink()
        found = list_backups(target, NAME, till.keys.backup)
        assert isinstance(found[0].fault, BackupDamaged)
        till.sell(1)
        made = till.back_up(target)
        assert [each.path for each in list_backups(target, NAME)] == [made.path]


# --- media -------------------------------------------------------------------------------------------------------


def test_no_folder_is_no_medium(tmp_path: Path) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till, pytest.raises(BackupTargetMissing):
        till.back_up(tmp_path / "nowhere")


def test_one_at_a_time(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:

        def second(source: object, path: Path, key: bytes, beat: object) -> None:
            with pytest.raises(BackupInUse):
                till.back_up(target)
            copy_pages(source, path, key, lambda: None)

        make_backup(target, till.subject(), STAMP, keep=3, pace=FAST, copy=second)
        assert len(list_backups(target, NAME)) == 1


def test_a_medium_that_takes_too_long_is_given_up(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=100) as till:
        with pytest.raises(BackupTooSlow):
            make_backup(target, till.subject(), STAMP, keep=3, pace=Pace(step_pages=1, limit_s=0.01))
        with pytest.raises(BackupMissing):
            list_backups(target, NAME)


def test_a_full_medium_is_refused_and_the_good_one_stays(tmp_path: Path) -> None:
    with medium(tmp_path / "stick", size="7m") as stick, terminal_in(tmp_path / "till") as till:
        good = till.back_up(stick.folder)
        ballast = stick.folder / "ballast"
        ballast.write_bytes(bytes(2 << 20))
        till.sell(1)
        with pytest.raises(BackupNoRoom):
            till.back_up(stick.folder)
        found = list_backups(stick.folder, NAME, till.keys.backup)
        assert [each.path for each in found] == [good.path]
        ballast.unlink()
        till.back_up(stick.folder)


def test_a_medium_that_fills_up_on_the_way_is_left_as_it_was(tmp_path: Path) -> None:
    with medium(tmp_path / "stick", size="8m") as stick, terminal_in(tmp_path / "till", sales=2_000) as till:

        def crowded(source: object, path: Path, key: bytes, beat: object) -> None:
            free_bytes = shutil.disk_usage(stick.folder).free
            (stick.folder / "ballast").write_bytes(bytes(free_bytes))
            copy_pages(source, path, key, lambda: None)

        with pytest.raises(BackupNoRoom):
            make_backup(stick.folder, till.subject(), STAMP, keep=3, pace=FAST, copy=crowded)
        assert not list((stick.folder / form.FOLDER / NAME).iterdir())


def test_old_ones_make_room_and_the_newest_whole_one_never_does(tmp_path: Path) -> None:
    with terminal_in(tmp_path / "till", sales=400) as till:
        size_kib = (needed_bytes(till.subject()) >> 10) + 2_048
        with medium(tmp_path / "stick", size=f"{size_kib}k") as stick:
            first = till.back_up(stick.folder, keep=5)
            till.sell(1)
            second = till.back_up(stick.folder, keep=5)
            flip(second.path / "customers.db", 5_000)  # the newest is not whole any more
            (stick.folder / "ballast").write_bytes(bytes(1 << 20))
            till.sell(1)
            third = till.back_up(stick.folder, keep=5)
            assert [each.path for each in list_backups(stick.folder, NAME)] == [third.path, first.path]


def test_a_read_only_medium_says_so(tmp_path: Path) -> None:
    with medium(tmp_path / "stick", size="8m") as stick, terminal_in(tmp_path / "till") as till:
        stick.make_read_only()
        with pytest.raises(BackupReadOnly):
            till.back_up(stick.folder)


def test_a_medium_that_is_pulled_out_on_the_way(tmp_path: Path) -> None:
    with medium(tmp_path / "stick", size="8m") as stick, terminal_in(tmp_path / "till") as till:

        def pull(source: object, path: Path, key: bytes, beat: object) -> None:
            stick.pull()
            copy_pages(source, path, key, lambda: None)

        with pytest.raises(JournalError) as caught:
            make_backup(stick.folder, till.subject(), STAMP, keep=3, pace=FAST, copy=pull)
        assert caught.value.code in ("backup-target-lost", "backup-target-missing")
        till.sell(1)


# --- what is not whole -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["journal.db", "catalogue.db", "signing.key", "manifest.json"])
@pytest.mark.parametrize("fault", ["cut", "flipped", "missing", "empty"])
def test_each_damage_is_named(tmp_path: Path, target: Path, name: str, fault: str) -> None:
    with terminal_in(tmp_path / "till") as till:
        made = till.back_up(target)
        path = made.path / name
        match fault:
            case "cut":
                os.truncate(path, path.stat().st_size - 40)
            case "flipped":
                flip(path, path.stat().st_size // 2)
            case "missing":
                path.unlink()
            case "empty":
                os.truncate(path, 0)
        (found,) = list_backups(target, NAME, till.keys.backup)
        if found.manifest is None:
            assert name == form.MANIFEST
            assert isinstance(found.fault, BackupDamaged)
            return
        with pytest.raises(BackupDamaged, match=name):
            verify_backup(found.path, found.manifest, till.keys.backup)


def test_each_page_is_looked_at(tmp_path: Path, target: Path) -> None:
    """Also where size and hash are made to fit, as a medium does that spoils a page before it is read back."""
    with terminal_in(tmp_path / "till", sales=60) as till:
        made = till.back_up(target)
        assert made.manifest is not None
        path = made.path / "journal.db"
        key, content = form.key_of(path, till.keys.backup, "journal"), path.read_bytes()
        for page in range(0, len(content), 4096):
            flip(path, page + 2_000)
            with pytest.raises(BackupUnfit):
                check_copy(path, key, "journal", made.manifest.end)
            path.write_bytes(content)
        check_copy(path, key, "journal", made.manifest.end)


def test_an_older_journal_in_its_place_is_told(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till") as till:
        older = till.back_up(target)
        till.sell(1)
        newer = till.back_up(target)
        assert newer.manifest is not None
        shutil.copy(older.path / "journal.db", newer.path / "journal.db")
        with pytest.raises(BackupDamaged, match=r"journal.db"):
            verify_backup(newer.path, newer.manifest, till.keys.backup)
        path = newer.path / "journal.db"
        with pytest.raises(BackupUnfit, match="ends at record"):
            check_copy(path, form.key_of(path, till.keys.backup, "journal"), "journal", newer.manifest.end)


def test_another_key_is_not_mistaken_for_damage(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        till.back_up(target)
        (found,) = list_backups(target, NAME, bytes(32))
        assert isinstance(found.fault, BackupKeyOther)


def test_another_terminals_backup_is_named(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        made = till.back_up(target)
        (found,) = list_backups(made.path, "till-9", till.keys.backup)
        assert isinstance(found.fault, BackupForeign)
        with pytest.raises(BackupMissing):
            list_backups(target, "till-9")


def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        made = till.back_up(target)
        assert made.manifest is not None
        files = (form.Copied(name="../../secret", purpose="", bytes=0, sha256=""),)
        forged = msgspec.structs.replace(made.manifest, files=files)
        (made.path / form.MANIFEST).write_bytes(form.encode_manifest(forged, till.keys.backup))
        (found,) = list_backups(target, NAME, till.keys.backup)
        assert isinstance(found.fault, BackupDamaged)


def test_a_damaged_journal_is_the_journals_fault(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=100) as till:
        subject = till.subject()
        till.journal.close()
        flip(till.folder / "journal.db", 10 * 4096 + 7)
        with pytest.raises((JournalDamaged, BackupUnfit)):
            make_backup(target, subject, STAMP, keep=1, pace=FAST)


def test_the_systems_errors_are_told_apart(tmp_path: Path, target: Path) -> None:
    with terminal_in(tmp_path / "till", sales=1) as till:
        for number, expected in (
            (errno.ENOSPC, "backup-no-room"),
            (errno.EROFS, "backup-read-only"),
            (errno.EIO, "backup-target-lost"),
            (errno.ENODEV, "backup-target-lost"),
        ):

            def fails(*_: object, number: int = number) -> None:
                raise OSError(number, os.strerror(number))

            with pytest.raises(JournalError) as caught:
                make_backup(target, till.subject(), STAMP, keep=1, pace=FAST, copy=fails)
            assert caught.value.code == expected
