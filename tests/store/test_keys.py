"""The root key and the signing key: made once, kept to oneself, and never replaced while data depends on them."""

import dataclasses
import multiprocessing
from pathlib import Path

import pytest

from core.ledger import verify
from core.ports import JournalError, Signer
from store.database import KEY_BYTES
from store.errors import KeyExposed, KeyMissing, KeyUnusable
from store.keys import KeyFile, Keys, KeySource, TerminalSigner, derive

FILES = {"journal.key", "journal.keyring", "journal.keyring.copy"}


@pytest.fixture
def source(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "journal.key")


def test_first_boot_makes_a_key_and_keeps_it(tmp_path: Path, source: KeyFile) -> None:
    as_source: KeySource = source
    made = as_source.load_or_make([tmp_path / "journal.db"])
    assert (tmp_path / "journal.key").stat().st_mode & 0o7777 == 0o400
    assert {each.name for each in tmp_path.iterdir()} == FILES
    (tmp_path / "journal.db").touch()
    assert source.load_or_make([tmp_path / "journal.db"]) == source.load() == made
    (tmp_path / "other").mkdir()
    assert KeyFile(tmp_path / "other" / "journal.key").load_or_make([]) != made


def test_all_derived_keys_differ() -> None:
    keys = derive(bytes(32))
    values = [getattr(keys, field.name) for field in dataclasses.fields(Keys) if field.name != "recovery_public"]
    assert len({value[:32] for value in values}) == len(values)
    assert {len(keys.journal), len(keys.catalogue), len(keys.customers), len(keys.credentials)} == {KEY_BYTES}
    assert {len(value) for value in values} == {KEY_BYTES, 32}


def test_derived_keys_stay_the_same_for_ever() -> None:
    # A change here would shut out every terminal from its own data.
    assert derive(bytes(32)).journal.hex().startswith("0591733a7e33afabaf8b1418066b0f28")


def test_keys_are_not_shown(source: KeyFile) -> None:
    keys = source.load_or_make([])
    assert repr(keys) == "Keys(recovery_public=None)"


def test_a_lost_key_is_not_replaced(tmp_path: Path, source: KeyFile) -> None:
    (tmp_path / "journal.db").touch()
    with pytest.raises(KeyMissing, match=r"journal\.key.*journal\.db"):
        source.load_or_make([tmp_path / "customers.db", tmp_path / "journal.db"])
    assert not (tmp_path / "journal.key").exists()
    with pytest.raises(KeyMissing):
        source.load()


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o600 | 0o040, 0o777])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, source: KeyFile, mode: int) -> None:
    source.load_or_make([])
    (tmp_path / "journal.key").chmod(mode)
    with pytest.raises(KeyExposed, match=f"{mode:04o}") as caught:
        source.load()
    assert "chmod 0400" in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"terminald root key 1\n", b"0" * 64, b"terminald root key 1\nzz\n"])
def test_a_key_file_with_something_else_in_it(tmp_path: Path, source: KeyFile, content: bytes) -> None:
    (tmp_path / "journal.key").write_bytes(content)
    (tmp_path / "journal.key").chmod(0o400)
    with pytest.raises(KeyUnusable):
        source.load()


def test_what_a_crash_left_is_no_hindrance(tmp_path: Path, source: KeyFile) -> None:
    for name in ("journal.key.next.new", "journal.key.next", "journal.keyring.new", "journal.keyring.copy.new"):
        (tmp_path / name).write_bytes(b"terminald root")
    source.load_or_make([tmp_path / "journal.db"])
    assert {each.name for each in tmp_path.iterdir()} == FILES


def test_two_that_start_together_make_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        made = pool.map(_load, [tmp_path] * 8)
    assert len(set(made)) == 1


def _load(folder: Path) -> bytes:
    return KeyFile(folder / "journal.key").load_or_make([]).journal


def test_the_signer_signs(tmp_path: Path, source: KeyFile) -> None:
    keys = source.load_or_make([])
    signer: Signer = TerminalSigner.open(tmp_path / "signing.key", keys, [])
    assert verify(signer.public_key, b"head", signer.sign(b"head"))
    assert not verify(signer.public_key, b"other", signer.sign(b"head"))
    again = TerminalSigner.open(tmp_path / "signing.key", keys, [tmp_path / "journal.key"])
    assert again.public_key == signer.public_key
    assert (tmp_path / "signing.key").stat().st_mode & 0o7777 == 0o400


def test_the_signing_key_is_bound_to_its_root(tmp_path: Path, source: KeyFile) -> None:
    TerminalSigner.open(tmp_path / "signing.key", source.load_or_make([]), [])
    other = derive(b"\1" * 32)
    with pytest.raises(KeyUnusable, match="another root"):
        TerminalSigner.open(tmp_path / "signing.key", other, [])


def test_a_lost_signing_key_is_not_replaced(tmp_path: Path, source: KeyFile) -> None:
    keys = source.load_or_make([])
    (tmp_path / "journal.db").touch()
    with pytest.raises(KeyMissing):
        TerminalSigner.open(tmp_path / "signing.key", keys, [tmp_path / "journal.db"])


@pytest.mark.parametrize("kind", [KeyMissing, KeyExposed, KeyUnusable])
def test_each_has_its_own_code_and_remedy(kind: type[JournalError]) -> None:
    assert kind.code.startswith("key-")
    assert kind.remedy != JournalError.remedy
