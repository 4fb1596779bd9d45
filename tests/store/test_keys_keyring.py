"""The keyring: whole or refused, opened by its roots and by the recovery key, and by nothing else."""

import secrets
from pathlib import Path

import pytest

from core.recovery import public_of
from store.errors import KeyDenied, KeyExposed, KeyMissing, KeyringDamaged, KeyringForeign, RecoveryUnset, SealUnopened
from store.keyring import Keyring, Ring, Sealed, root_id

ROOT, OTHER_ROOT = bytes(32), b"\1" * 32
PRIVATE = b"\2" * 32


@pytest.fixture
def ring() -> Ring:
    return Ring.new({"journal": bytes(48), "backup": b"\3" * 32}).admit("file", ROOT)


@pytest.fixture
def keyring(tmp_path: Path, ring: Ring) -> Keyring:
    keyring = Keyring(tmp_path / "journal.keyring")
    keyring.write(ring)
    return keyring


def test_what_is_written_is_read(keyring: Keyring, ring: Ring) -> None:
    assert keyring.open(ROOT) == ring
    assert keyring.path.read_bytes() == keyring.copy.read_bytes()
    assert {each.stat().st_mode & 0o7777 for each in (keyring.path, keyring.copy)} == {0o400}


def test_no_secret_is_in_the_file_or_shown(keyring: Keyring, ring: Ring) -> None:
    content = keyring.path.read_bytes()
    for secret in (ROOT, ring.kek, *ring.secrets.values()):
        assert secret not in content
        assert secret.hex().encode() not in content
        assert secret.hex() not in repr(ring)
        assert repr(secret) not in repr(ring)


def test_the_same_keyring_is_never_written_the_same(ring: Ring) -> None:
    assert ring.encode() != ring.encode()


def test_another_root_is_named_and_refused(keyring: Keyring) -> None:
    with pytest.raises(KeyringForeign, match=f"{root_id(ROOT)}.*{root_id(OTHER_ROOT)}") as caught:
        keyring.open(OTHER_ROOT)
    assert "keys recover" in caught.value.remedy


def test_two_roots_open_it_until_one_is_taken_out(ring: Ring) -> None:
    both = ring.admit("tpm", OTHER_ROOT)
    assert Sealed(both.encode(), "ring").open(ROOT).kek == Sealed(both.encode(), "ring").open(OTHER_ROOT).kek
    one = Sealed(both.only(OTHER_ROOT).encode(), "ring")
    assert [slot.tier for slot in one.slots] == ["tpm"]
    with pytest.raises(KeyringForeign):
        one.open(ROOT)


def test_a_new_kek_shuts_out_the_old_one(ring: Ring) -> None:
    new = ring.renew().admit("file", OTHER_ROOT)
    assert new.generation == ring.generation + 1
    assert new.kek != ring.kek
    assert new.secrets == ring.secrets
    with pytest.raises(KeyringForeign):
        Sealed(new.encode(), "ring").open(ROOT)


def test_the_recovery_key_opens_it_without_a_root(ring: Ring) -> None:
    sealed = Sealed(ring.entrust(public_of(PRIVATE)).encode(), "ring")
    assert sealed.recover(PRIVATE).secrets == ring.secrets
    renewed = Sealed(ring.entrust(public_of(PRIVATE)).renew().encode(), "ring")
    assert renewed.recover(PRIVATE).secrets == ring.secrets


def test_another_recovery_key_is_refused_and_both_are_named(ring: Ring) -> None:
    sealed = Sealed(ring.entrust(public_of(PRIVATE)).encode(), "ring")
    with pytest.raises(SealUnopened, match=f"{public_of(PRIVATE).hex()[:16]}.*{public_of(OTHER_ROOT).hex()[:16]}"):
        sealed.recover(OTHER_ROOT)
    with pytest.raises(RecoveryUnset):
        Sealed(ring.encode(), "ring").recover(PRIVATE)


def test_generations(ring: Ring) -> None:
    new = ring.put("journal", 2, b"\4" * 48)
    assert new.generations("journal") == [1, 2]
    assert new.newest("journal") == b"\4" * 48
    assert new.newest_only("journal").generations("journal") == [2]
    assert new.newest_only("journal").generations("backup") == [1]
    with pytest.raises(KeyMissing):
        ring.newest("history")


@pytest.mark.parametrize("length", [0, 1, 20, 200, -1, -2, -66])
def test_a_keyring_that_is_cut_off_is_replaced_by_its_copy(keyring: Keyring, ring: Ring, length: int) -> None:
    whole = keyring.path.read_bytes()
    replace(keyring.path, whole[:length])
    assert keyring.open(ROOT) == ring
    keyring.mend(ring)
    assert Sealed(keyring.path.read_bytes(), "ring").open(ROOT) == ring
    assert keyring.path.read_bytes() == keyring.copy.read_bytes()


@pytest.mark.parametrize("length", [0, 1, 20, 200, -1, -2, -66])
def test_both_cut_off(keyring: Keyring, length: int) -> None:
    whole = keyring.path.read_bytes()
    for path in (keyring.path, keyring.copy):
        replace(path, whole[:length])
    with pytest.raises(KeyringDamaged) as caught:
        keyring.open(ROOT)
    assert "Put back" in caught.value.remedy


def test_every_byte_counts(ring: Ring) -> None:
    content = ring.entrust(public_of(PRIVATE)).encode()
    for place in range(len(content)):
        altered = bytearray(content)
        altered[place] ^= 1
        with pytest.raises((KeyringDamaged, KeyringForeign)):
            Sealed(bytes(altered), "ring").open(ROOT)


def test_a_key_is_bound_to_its_purpose(ring: Ring) -> None:
    """Who swaps two keys within the file gets neither, even with the tag that would fit."""
    ring = ring.put("mirror", 1, b"\5" * 32)
    text = ring.encode().decode()
    swapped = text.replace('"backup"', '"BACKUP"').replace('"mirror"', '"backup"').replace('"BACKUP"', '"mirror"')
    with pytest.raises(KeyringDamaged):
        Sealed(swapped.encode(), "ring").open(ROOT)


def test_a_lost_keyring_is_found_in_its_copy(keyring: Keyring, ring: Ring) -> None:
    keyring.path.unlink()
    assert keyring.exists()
    assert keyring.open(ROOT) == ring
    keyring.copy.unlink()
    assert not keyring.exists()
    with pytest.raises(KeyMissing):
        keyring.open(ROOT)


def test_one_that_others_may_read_is_refused_and_the_copy_does_not_hide_it(keyring: Keyring) -> None:
    keyring.path.chmod(0o440)
    with pytest.raises(KeyExposed):
        keyring.open(ROOT)


def test_it_is_not_of_this_software(tmp_path: Path) -> None:
    path = tmp_path / "journal.keyring"
    path.write_bytes(secrets.token_bytes(2_000))
    path.chmod(0o400)
    with pytest.raises(KeyringDamaged):
        Keyring(path).open(ROOT)


def test_errors_are_distinct() -> None:
    kinds = (KeyringDamaged, KeyringForeign, KeyExposed, KeyDenied, KeyMissing, RecoveryUnset, SealUnopened)
    assert len({kind.code for kind in kinds}) == len({kind.remedy for kind in kinds}) == len(kinds)


def replace(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(0o400)
