"""From a root to the keys in use: first boot, a terminal of the first software, and what does not belong together."""

import dataclasses
import secrets
from pathlib import Path
from typing import Any

import pytest

from core.recovery import public_of
from store.database import KEY_BYTES, open_database
from store.errors import KeyExposed, KeyMissing, KeyringDamaged, KeyringForeign, KeyTierOther, RecoveryKeyUnusable
from store.keyring import Ring
from store.keys import DATABASES, KeyFile, Keys, KeyStore, derive, keyring_of
from store.keys_root import ROOT_TITLE, RootCredential, RootFile, RootSource, read_hex, write_hex
from tests.store.terminals import contents, fill

ROOT = b"\7" * 32


def first_software(folder: Path) -> KeyFile:
    """A terminal as the first software left it: a root, and databases under keys that were derived from it."""
    write_hex(folder / "journal.key", ROOT_TITLE, ROOT)
    store = KeyFile(folder / "journal.key")
    fill(store)
    assert not store.ring.exists()
    return store


def store_of(folder: Path, root: RootSource, *former: RootSource, recovery: bytes | None = None) -> KeyStore:
    databases = {purpose: folder / f"{purpose}.db" for purpose in DATABASES}
    keyring = keyring_of(folder / "journal.key")
    return KeyStore(root, keyring, databases=databases, former=former, recovery_public=recovery)


def credential(folder: Path, root: bytes = ROOT, name: str = "terminal-root") -> RootCredential:
    """As systemd gives one."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(root)
    (folder / name).chmod(0o400)
    return RootCredential({"CREDENTIALS_DIRECTORY": str(folder)})


def secrets_of(keys: Keys) -> dict[str, Any]:
    return {field.name: getattr(keys, field.name) for field in dataclasses.fields(keys)}


# --- first boot --------------------------------------------------------------------------------------------------


def test_keys_are_random_and_not_the_roots(tmp_path: Path) -> None:
    store = KeyFile(tmp_path / "journal.key")
    keys = store.load_or_make([])
    derived = secrets_of(derive(store.root.load()))
    assert {name for name, key in secrets_of(keys).items() if key == derived[name]} == {"recovery_public"}
    assert len(keys.journal) == KEY_BYTES
    assert len(keys.backup) == len(keys.mirror) == 32


@pytest.mark.parametrize("left", [[], ["journal.key"], ["journal.key", "journal.keyring"]])
def test_a_first_boot_that_was_cut_off_is_gone_on_with(tmp_path: Path, left: list[str]) -> None:
    store = KeyFile(tmp_path / "journal.key")
    store.load_or_make([])
    for path in tmp_path.iterdir():
        if path.name not in left:
            path.unlink()
    keys = store.load_or_make([])
    assert keys == store.load()
    assert store.ring.path.read_bytes() == store.ring.copy.read_bytes()


def test_a_lost_keyring_is_not_replaced(tmp_path: Path) -> None:
    store = KeyFile(tmp_path / "journal.key")
    store.load_or_make([])
    fill(store)
    store.ring.path.unlink()
    store.ring.copy.unlink()
    for load in (store.load, lambda: store.load_or_make([])):
        with pytest.raises(KeyMissing, match=r"no journal\.keyring.*journal\.db"):
            load()
    assert not store.ring.exists()


# --- the first software ------------------------------------------------------------------------------------------


def test_a_terminal_of_the_first_software_opens(tmp_path: Path) -> None:
    store = first_software(tmp_path)
    before = store.load()
    rows = contents(store, before)
    assert store.load_or_make([tmp_path / "journal.db"]) == before == store.load() == derive(ROOT)
    assert store.ring.exists()
    assert contents(store, store.load()) == rows


def test_reading_it_writes_nothing(tmp_path: Path) -> None:
    store = first_software(tmp_path)
    names = sorted(each.name for each in tmp_path.iterdir())
    store.load()
    assert sorted(each.name for each in tmp_path.iterdir()) == names


def test_the_migration_may_be_cut_off_anywhere(tmp_path: Path) -> None:
    store = first_software(tmp_path)
    store.load_or_make([])
    for left in (["journal.keyring"], ["journal.keyring.copy"], ["journal.keyring.new"], []):
        for name in {"journal.keyring", "journal.keyring.copy"} - set(left):
            (tmp_path / name).unlink(missing_ok=True)
        assert store.load_or_make([tmp_path / "journal.db"]) == derive(ROOT)


def test_a_folder_that_cannot_be_written_keeps_no_terminal_from_starting(tmp_path: Path) -> None:
    """The migration waits for a start with room; what it would write comes out the same."""
    store = first_software(tmp_path)
    (tmp_path / "journal.keyring.new").mkdir()  # even root cannot write a file there
    with pytest.raises(OSError, match="directory"):
        store.ring.write(store.open())
    assert store.load_or_make([tmp_path / "journal.db"]) == derive(ROOT)
    assert not store.ring.exists()
    (tmp_path / "journal.keyring.new").rmdir()
    assert store.load_or_make([tmp_path / "journal.db"]) == derive(ROOT)
    assert store.ring.exists()


def test_a_purpose_that_came_up_later_gets_a_key_that_stays(tmp_path: Path) -> None:
    store = KeyFile(tmp_path / "journal.key")
    store.load_or_make([])
    ring = store.open()
    kept = {name: key for name, key in ring.secrets.items() if name[0] != "history"}
    store.ring.write(dataclasses.replace(ring, secrets=kept))
    before = store.load().history
    assert store.load_or_make([]).history == before
    assert store.open().generations("history") == [1]
    assert len(before) == KEY_BYTES


# --- what does not belong together -------------------------------------------------------------------------------


def test_the_root_of_another_terminal(tmp_path: Path) -> None:
    store = KeyFile(tmp_path / "journal.key")
    store.load_or_make([])
    (tmp_path / "journal.key").unlink()
    write_hex(tmp_path / "journal.key", ROOT_TITLE, ROOT)
    for load in (store.load, lambda: store.load_or_make([])):
        with pytest.raises(KeyringForeign, match="root key") as caught:
            load()
        assert "Put back the key file" in caught.value.remedy


def test_the_keyring_of_another_terminal(tmp_path: Path) -> None:
    mine, other = KeyFile(tmp_path / "mine" / "journal.key"), KeyFile(tmp_path / "other" / "journal.key")
    for store in (mine, other):
        store.folder.mkdir()
        store.load_or_make([])
    mine.ring.path.unlink()
    mine.ring.copy.unlink()
    mine.ring.path.write_bytes(other.ring.path.read_bytes())
    mine.ring.path.chmod(0o400)
    with pytest.raises(KeyringForeign):
        mine.load_or_make([])
    assert mine.ring.path.read_bytes() == other.ring.path.read_bytes()


def test_keyring_and_copy_cut_off(tmp_path: Path) -> None:
    store = KeyFile(tmp_path / "journal.key")
    store.load_or_make([])
    for path in (store.ring.path, store.ring.copy):
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:100])
        path.chmod(0o400)
    with pytest.raises(KeyringDamaged):
        store.load_or_make([])


def test_a_damaged_keyring_is_mended_at_the_next_start(tmp_path: Path) -> None:
    store = KeyFile(tmp_path / "journal.key")
    keys = store.load_or_make([])
    store.ring.path.unlink()
    assert store.load() == keys
    assert store.load_or_make([]) == keys
    assert store.ring.path.read_bytes() == store.ring.copy.read_bytes()


def test_an_exposed_keyring(tmp_path: Path) -> None:
    store = KeyFile(tmp_path / "journal.key")
    store.load_or_make([])
    store.ring.path.chmod(0o644)
    with pytest.raises(KeyExposed, match="0644"):
        store.load()


# --- the recovery key --------------------------------------------------------------------------------------------


def test_the_recovery_key_of_the_configuration_is_taken_up(tmp_path: Path) -> None:
    private = secrets.token_bytes(32)
    keys = KeyFile(tmp_path / "journal.key").load_or_make([])
    assert keys.recovery_public is None
    store = store_of(tmp_path, RootFile(tmp_path / "journal.key"), recovery=public_of(private))
    assert store.load_or_make([]).recovery_public == public_of(private)
    assert store.ring.recover(private).secrets == store.open().secrets
    again = store.ring.path.read_bytes()
    store.load_or_make([])
    assert store.ring.path.read_bytes() == again
    # It stays sealed where the configuration forgets the key, and is sealed anew where it names another.
    assert KeyFile(tmp_path / "journal.key").load_or_make([]).recovery_public == public_of(private)
    other = secrets.token_bytes(32)
    store_of(tmp_path, RootFile(tmp_path / "journal.key"), recovery=public_of(other)).load_or_make([])
    assert store.ring.recover(other).secrets == store.open().secrets


def test_a_recovery_key_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RecoveryKeyUnusable) as caught:
        store_of(tmp_path, RootFile(tmp_path / "journal.key"), recovery=bytes(32)).load_or_make([])
    assert "make-recovery" in caught.value.remedy


# --- another tier ------------------------------------------------------------------------------------------------


def test_first_boot_under_a_credential(tmp_path: Path) -> None:
    store = store_of(tmp_path, credential(tmp_path / "given"), RootFile(tmp_path / "journal.key"))
    keys = store.load_or_make([])
    assert store.load() == keys
    assert store.tier == "credential"
    assert not (tmp_path / "journal.key").exists()
    assert [slot.tier for slot in store.open().slots] == ["credential"]


def test_keys_that_are_elsewhere_are_not_made_anew(tmp_path: Path) -> None:
    """The configuration says where the root is to be, and it is not there yet: nothing is made, nothing is guessed."""
    first_software(tmp_path)
    store = store_of(tmp_path, credential(tmp_path / "given"), RootFile(tmp_path / "journal.key"))
    for _ in range(2):
        for load in (store.load, lambda: store.load_or_make([])):
            with pytest.raises(KeyTierOther) as caught:
                load()
            assert "keys rotate" in caught.value.remedy
        KeyFile(tmp_path / "journal.key").load_or_make([])


def test_a_terminal_that_went_back_to_the_file(tmp_path: Path) -> None:
    store_of(tmp_path, credential(tmp_path / "given")).load_or_make([])
    with pytest.raises(KeyTierOther, match="credential"):
        KeyFile(tmp_path / "journal.key").load_or_make([])
    assert not (tmp_path / "journal.key").exists()


# --- which generation --------------------------------------------------------------------------------------------


def test_the_file_says_which_generation_opens_it(tmp_path: Path) -> None:
    store = KeyFile(tmp_path / "journal.key")
    keys = store.load_or_make([])
    fill(store)
    ring: Ring = store.open().put("journal", 2, secrets.token_bytes(KEY_BYTES)).put("history", 2, bytes(KEY_BYTES))
    store.ring.write(ring)
    assert store.load().journal == keys.journal
    assert store.load().history == bytes(KEY_BYTES)  # there is no such file: the newest
    store.databases["journal"].unlink()
    open_database(store.databases["journal"], ring.secrets["journal", 2], "journal").close()
    assert store.load().journal == ring.secrets["journal", 2]


def test_roots_are_read_as_they_were_written(tmp_path: Path) -> None:
    source = RootFile(tmp_path / "journal.key")
    root = source.prepare()
    assert not source.exists()
    assert source.prepared() == root
    source.adopt()
    assert source.load() == root == read_hex(tmp_path / "journal.key", ROOT_TITLE, 32)
    assert source.prepared() is None
    source.prepare()
    source.discard()
    assert source.prepared() is None
    source.remove()
    source.remove()
    assert not source.exists()
