"""The organisation's recovery key: made, kept, and used on a machine that never saw the terminal."""

import shutil
from pathlib import Path

import pytest

from core.recovery import public_of
from store.errors import (
    KeyExposed,
    KeyMissing,
    KeyringDamaged,
    KeyringForeign,
    KeyTaken,
    PassphraseWrong,
    RecoveryKeyUnusable,
    RecoveryUnset,
    SealUnopened,
)
from store.keys import KeyFile, KeyStore
from store.keys_recovery import load_recovery, make_recovery, recover
from store.keys_root import RootFile
from store.keys_rotate import begin, finish, rotate
from tests.store.terminals import contents, fill
from tests.store.test_keys_store import credential, store_of

PASSPHRASE = "für alle Fälle".encode()


def no_passphrase() -> bytes:
    raise AssertionError("a passphrase was asked for")


@pytest.fixture
def recovery(tmp_path: Path) -> Path:
    make_recovery(tmp_path / "recovery.key")
    return tmp_path / "recovery.key"


@pytest.fixture
def till(tmp_path: Path, recovery: Path) -> KeyStore:
    folder = tmp_path / "till"
    folder.mkdir()
    public = public_of(load_recovery(recovery, no_passphrase))
    store = store_of(folder, RootFile(folder / "journal.key"), recovery=public)
    store.load_or_make([])
    fill(store)
    return store


def carried(till: KeyStore, folder: Path) -> Path:
    """What is left of a terminal on another machine: all but its root."""
    shutil.copytree(till.folder, folder)
    (folder / "journal.key").unlink()
    return folder


# --- the pair ----------------------------------------------------------------------------------------------------


def test_the_pair(tmp_path: Path) -> None:
    path = tmp_path / "recovery.key"
    public = make_recovery(path)
    assert path.stat().st_mode & 0o7777 == 0o400
    assert public_of(load_recovery(path, no_passphrase)) == public
    with pytest.raises(KeyTaken):
        make_recovery(path)
    assert public_of(load_recovery(path, no_passphrase)) == public


def test_a_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "recovery.key"
    public = make_recovery(path, PASSPHRASE)
    private = load_recovery(path, lambda: PASSPHRASE)
    assert public_of(private) == public
    assert private.hex().encode() not in path.read_bytes()
    with pytest.raises(PassphraseWrong):
        load_recovery(path, lambda: b"fuer alle Faelle")


@pytest.mark.parametrize("length", [0, 10, 60, -3])
def test_a_file_that_is_cut_off(recovery: Path, length: int) -> None:
    content = recovery.read_bytes()
    recovery.chmod(0o600)
    recovery.write_bytes(content[:length])
    recovery.chmod(0o400)
    with pytest.raises(RecoveryKeyUnusable):
        load_recovery(recovery, no_passphrase)


def test_a_file_whose_halves_do_not_belong_together(tmp_path: Path, recovery: Path) -> None:
    other = tmp_path / "other.key"
    make_recovery(other)
    mixed = recovery.read_text().replace(recovery.read_text().split('"')[3], other.read_text().split('"')[3])
    recovery.chmod(0o600)
    recovery.write_text(mixed)
    recovery.chmod(0o400)
    with pytest.raises(RecoveryKeyUnusable):
        load_recovery(recovery, no_passphrase)


def test_a_file_that_others_may_read(recovery: Path) -> None:
    recovery.chmod(0o440)
    with pytest.raises(KeyExposed):
        load_recovery(recovery, no_passphrase)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing):
        load_recovery(tmp_path / "none", no_passphrase)


def test_a_file_that_asks_for_too_much_memory(tmp_path: Path) -> None:
    path = tmp_path / "recovery.key"
    make_recovery(path, PASSPHRASE)
    content = path.read_text().replace('"memory_kib":65536', '"memory_kib":4294967295')
    path.chmod(0o600)
    path.write_text(content)
    path.chmod(0o400)
    with pytest.raises(RecoveryKeyUnusable):
        load_recovery(path, lambda: PASSPHRASE)


# --- the drill ---------------------------------------------------------------------------------------------------


def test_on_another_machine_under_its_own_root_file(till: KeyStore, recovery: Path, tmp_path: Path) -> None:
    before = till.load()
    rows = contents(till, before)
    board = KeyFile(carried(till, tmp_path / "board") / "journal.key")
    with pytest.raises(KeyMissing):
        board.load()
    assert recover(board, load_recovery(recovery, no_passphrase)).needed
    assert board.load() == before
    assert contents(board, board.load_or_make([])) == rows
    assert board.root.load() != till.root.load()


def test_on_another_machine_under_another_tier(till: KeyStore, recovery: Path, tmp_path: Path) -> None:
    before = till.load()
    rows = contents(till, before)
    board = store_of(carried(till, tmp_path / "board"), credential(tmp_path / "given"))
    assert recover(board, load_recovery(recovery, no_passphrase)).needed
    assert board.load() == before
    assert contents(board, board.load()) == rows
    assert [slot.tier for slot in board.open().slots] == ["credential"]


def test_a_board_that_made_a_root_of_its_own_before(till: KeyStore, recovery: Path, tmp_path: Path) -> None:
    folder = carried(till, tmp_path / "board")
    (tmp_path / "elsewhere").mkdir()
    fresh = KeyFile(tmp_path / "elsewhere" / "journal.key")
    fresh.load_or_make([])
    shutil.copy(tmp_path / "elsewhere" / "journal.key", folder)
    board = KeyFile(folder / "journal.key")
    with pytest.raises(KeyringForeign):
        board.load()
    assert recover(board, load_recovery(recovery, no_passphrase)).needed
    assert board.root.load() == fresh.root.load()
    assert board.load() == till.load()


def test_a_root_that_is_damaged(till: KeyStore, recovery: Path) -> None:
    keys = till.load()
    (till.folder / "journal.key").chmod(0o600)
    (till.folder / "journal.key").write_text("scribble")
    (till.folder / "journal.key").chmod(0o400)
    assert recover(till, load_recovery(recovery, no_passphrase)).needed
    assert till.load() == keys


def test_cut_off_it_is_done_again(till: KeyStore, recovery: Path, tmp_path: Path) -> None:
    private = load_recovery(recovery, no_passphrase)
    board = KeyFile(carried(till, tmp_path / "board") / "journal.key")
    board.root.prepare()
    board.root.adopt()  # and then the power went
    assert recover(board, private).needed
    assert board.load() == till.load()
    assert not recover(board, private).needed


def test_in_the_middle_of_a_rotation(till: KeyStore, recovery: Path, tmp_path: Path) -> None:
    rows = contents(till, till.load())
    begin(till)
    board = KeyFile(carried(till, tmp_path / "board") / "journal.key")
    (board.folder / "journal.key.next").unlink()
    recover(board, load_recovery(recovery, no_passphrase))
    finish(board)
    assert contents(board, board.load()) == rows
    rotate(board)
    assert contents(board, board.load()) == rows


def test_the_keyring_of_a_stolen_card_does_not_open_what_came_after(till: KeyStore, recovery: Path) -> None:
    """After a recovery and a rotation, root and keyring of before open no file of after."""
    old = till.open()
    rotate(till)
    assert till.load().journal not in old.secrets.values()


# --- what cannot be ----------------------------------------------------------------------------------------------


def test_nothing_to_recover(till: KeyStore, recovery: Path) -> None:
    content = till.ring.path.read_bytes()
    assert not recover(till, load_recovery(recovery, no_passphrase)).needed
    assert till.ring.path.read_bytes() == content


def test_the_recovery_key_of_another_organisation(till: KeyStore, tmp_path: Path) -> None:
    make_recovery(tmp_path / "other.key")
    board = KeyFile(carried(till, tmp_path / "board") / "journal.key")
    with pytest.raises(SealUnopened, match="sealed to the recovery key"):
        recover(board, load_recovery(tmp_path / "other.key", no_passphrase))
    assert not (board.folder / "journal.key").exists()


def test_a_terminal_that_never_had_one(tmp_path: Path, recovery: Path) -> None:
    (tmp_path / "till").mkdir()
    store = KeyFile(tmp_path / "till" / "journal.key")
    store.load_or_make([])
    fill(store)
    board = KeyFile(carried(store, tmp_path / "board") / "journal.key")
    with pytest.raises(RecoveryUnset):
        recover(board, load_recovery(recovery, no_passphrase))


def test_without_a_keyring(tmp_path: Path, recovery: Path) -> None:
    (tmp_path / "board").mkdir()
    with pytest.raises(KeyMissing, match="keyring"):
        recover(KeyFile(tmp_path / "board" / "journal.key"), load_recovery(recovery, no_passphrase))


def test_with_a_damaged_keyring(till: KeyStore, tmp_path: Path, recovery: Path) -> None:
    board = KeyFile(carried(till, tmp_path / "board") / "journal.key")
    for path in (board.ring.path, board.ring.copy):
        content = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(content[:-1] + b"0")
        path.chmod(0o400)
    with pytest.raises(KeyringDamaged):
        recover(board, load_recovery(recovery, no_passphrase))
