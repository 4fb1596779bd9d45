"""The command `terminald keys`: what guards the keys, new keys, and the way back with the organisation's recovery key.

``status``         status 0 sound, 1 a finding, 2 where there is nothing to look at
``rotate``         a new root, a new KEK, and new keys for the databases; the daemon is stopped meanwhile
``recover``        opens the keyring with the recovery key, on a new board
``make-recovery``  makes the organisation's pair of keys, offline
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass

import msgspec

from core.ports import JournalError
from core.recovery import recovery_id
from store.database import claim
from store.errors import KeyExposed, KeyMissing, KeyringDamaged
from store.keyring import Ring, Sealed
from store.keys import DATABASES, KeyStore, keyring_of
from store.keys_recovery import load_recovery, make_recovery, recover
from store.keys_rotate import finish, is_unfinished, rotate
from store.keys_tier import EXPOSES, PROTECTS, Tier
from store.tamper import Latch
from terminald import paths
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.config import Config
from terminald.paths import SIGNING_KEY
from terminald.secrecy import keep_memory_private

_PASSPHRASE_BYTES_MAX = 1_024
_UNSEALED = (
    "no recovery key: if this board dies, unsent sales die with it. Make one offline (`terminald keys make-recovery`) and"
    " set [keys] recovery_key"
)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What ``status`` says. `tier` is the one in force; `generations` are those of each database's key in the keyring,
    none where it cannot be read; `recovery` is the id of the recovery key that the keyring is sealed to; `findings` are to
    be put right, and `warnings` are what somebody should have decided so."""

    tier: Tier
    configured: Tier
    protects: tuple[str, ...]
    exposes: tuple[str, ...]
    opens: bool
    kek_generation: int | None
    generations: dict[str, list[int]]
    unfinished: bool
    recovery: str | None
    recovery_configured: str | None
    modes: dict[str, str]
    findings: tuple[str, ...]
    warnings: tuple[str, ...]


def status(given: argparse.Namespace) -> int:
    """``terminald keys status``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        found = _status(config)
    except (JournalError, OSError) as error:
        return _refused(error)
    if given.json:
        emit(found)
    else:
        print("\n".join(_words(found)))
    return FINDING if found.findings else 0


def rotate_keys(given: argparse.Namespace) -> int:
    """``terminald keys rotate``."""
    keep_memory_private()
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        Latch(config.journal).refuse_latched()
        with _alone(config):
            ring = rotate(paths.key_store(config), databases=not given.root_only)
    except (JournalError, OSError) as error:
        return _refused(error)
    _said(given.json, ring, "the keys are new: root, KEK" + ("" if given.root_only else " and databases"))
    return 0


def recover_keys(given: argparse.Namespace) -> int:
    """``terminald keys recover``."""
    keep_memory_private()
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        private = load_recovery(given.recovery_key, lambda: _passphrase("Passphrase of the recovery key: "))
        with _alone(config):
            store = paths.key_store(config)
            recovered = recover(store, private)
            if recovered.needed:
                finish(store)
    except (JournalError, OSError) as error:
        return _refused(error)
    if not recovered.needed:
        return fail("this terminal's own root key opens its keyring: there is nothing to recover", FINDING)
    _said(given.json, recovered.ring, f"the keyring is now under this terminal's own root ({config.keys.source})")
    return 0


def make(given: argparse.Namespace) -> int:
    """``terminald keys make-recovery``."""
    keep_memory_private()
    try:
        public = make_recovery(given.file, _new_passphrase() if given.passphrase else b"")
    except (JournalError, OSError, ValueError) as error:
        return _refused(error)
    if given.json:
        emit({"recovery_key": public.hex(), "id": recovery_id(public)})
    else:
        print(f'[keys]\nrecovery_key = "{public.hex()}"')
        print(f"{given.file} is the other half: keep it offline, in two places.", file=sys.stderr)
    return 0


def _status(config: Config) -> Status:
    store = paths.key_store(config)
    first = not store.ring.exists()
    if first and not any(source.exists() for source in (store.root, *store.former)):
        raise KeyMissing("there are no keys yet")
    sealed = _sealed(store)
    fault, unfinished = _fault(store), sealed is not None and is_unfinished(store)
    tier = sealed.slots[-1].tier if sealed and sealed.slots else "file" if first else config.keys.source
    modes = _modes(config)
    findings = [f"{name} has mode {mode}: others may use it" for name, mode in modes.items() if int(mode, 8) & 0o077]
    if fault is not None:
        findings.append(f"the root key does not open the keyring: {fault} ({fault.code}). {fault.remedy}")
    if tier != "file" and config.journal_key.name in modes and not unfinished:
        findings.append(
            f"{config.journal_key.name} is left over from the file tier and opens nothing any more: delete it"
        )
    if unfinished:
        findings.append("a rotation was cut off: the next start finishes it, or `terminald keys rotate`")
    kept = bytes.fromhex(sealed.recovery.public) if sealed and sealed.recovery else None
    wanted = config.keys.recovery_key
    if wanted is not None and wanted != kept:
        findings.append("the keyring is not yet sealed to the recovery key that is configured: start the terminal once")
    return Status(
        tier=tier,
        configured=config.keys.source,
        protects=PROTECTS[tier],
        exposes=EXPOSES[tier],
        opens=fault is None,
        kek_generation=sealed.generation if sealed else None,
        generations={purpose: sealed.generations(purpose) if sealed else [] for purpose in DATABASES},
        unfinished=unfinished,
        recovery=recovery_id(kept) if kept else None,
        recovery_configured=recovery_id(wanted) if wanted else None,
        modes=modes,
        findings=tuple(findings),
        warnings=() if kept else (_UNSEALED,),
    )


def _sealed(store: KeyStore) -> Sealed | None:
    """The keyring as it lies there; None where there is none, or none that may be used: `_fault` says why."""
    try:
        return store.ring.read()[0]
    except (KeyMissing, KeyExposed, KeyringDamaged):
        return None


def _fault(store: KeyStore) -> JournalError | None:
    """Why the keyring cannot be opened, if so."""
    try:
        store.open()
    except JournalError as error:
        return error
    return None


def _modes(config: Config) -> dict[str, str]:
    """The modes of all files that hold keys, in octal."""
    key = config.journal_key
    ring = keyring_of(key)
    files = (key, key.with_name(SIGNING_KEY), key.with_suffix(".tpm"), ring, ring.with_name(ring.name + ".copy"))
    return {each.name: f"{each.stat().st_mode & 0o7777:04o}" for each in files if each.exists()}


def _words(found: Status) -> Iterator[str]:
    yield f"root key       {found.tier}" + ("" if found.opens else ", and it does not open the keyring")
    for name, lines in (("protects from", found.protects), ("and not from", found.exposes)):
        for line in lines:
            yield f"{name:<14} {line}"
            name = ""
    yield f"KEK            generation {found.kek_generation or 'unknown'}"
    for purpose, generations in found.generations.items():
        yield f"{purpose:<14} generation {' and '.join(map(str, generations)) or 'unknown'}"
    yield f"recovery key   {found.recovery or 'none'}"
    yield "files          " + ", ".join(f"{name} {mode}" for name, mode in found.modes.items())
    yield from (f"warning: {line}" for line in found.warnings)
    yield from (f"finding: {line}" for line in found.findings)


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """No daemon runs meanwhile. Raises JournalInUse."""
    lock = claim(config.journal)
    try:
        yield
    finally:
        os.close(lock)


def _said(as_json: bool, ring: Ring, words: str) -> None:
    generations = {purpose: ring.generations(purpose)[-1] for purpose in DATABASES}
    if as_json:
        emit({"kek_generation": ring.generation, "generations": generations, "recovery": _recovery(ring)})
    else:
        print(f"{words}; KEK generation {ring.generation}")
        if ring.recovery is None:
            print(f"warning: {_UNSEALED}")


def _recovery(ring: Ring) -> str | None:
    return recovery_id(bytes.fromhex(ring.recovery.public)) if ring.recovery else None


def _passphrase(prompt: str) -> bytes:
    """Asked on the terminal, or a line of standard input where that is none. Never an argument: others see those."""
    if sys.stdin.isatty():
        return getpass(prompt).encode()
    return sys.stdin.buffer.readline(_PASSPHRASE_BYTES_MAX).rstrip(b"\r\n")


def _new_passphrase() -> bytes:
    """Raises ValueError for an empty one, or two that differ."""
    first = _passphrase("Passphrase for the recovery key: ")
    if not first:
        raise ValueError("an empty passphrase protects nothing: leave --passphrase out, or type one")
    if sys.stdin.isatty() and _passphrase("Once more: ") != first:
        raise ValueError("the two passphrases differ: nothing was made")
    return first


def _refused(error: JournalError | OSError | ValueError) -> int:
    if isinstance(error, JournalError):
        return fail(f"{error} ({error.code}). {error.remedy}")
    return fail(str(error))
