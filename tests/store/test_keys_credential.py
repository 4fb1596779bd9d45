"""The root as systemd hands it over: encrypted by systemd-creds itself, and what it says where that went wrong."""

import shutil
import subprocess
from pathlib import Path

import pytest

from store.errors import CredentialMissing, KeyExposed, KeyUnusable
from store.keys_root import RootCredential

ROOT = bytes(range(32))

needs_creds = pytest.mark.skipif(not shutil.which("systemd-creds"), reason="systemd-creds is not installed")


def creds(folder: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """systemd-creds with a host key of its own, so that the machine's is left alone."""
    return subprocess.run(
        ["systemd-creds", *arguments],
        input=given,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_CREDENTIAL_SECRET": str(folder / "host.secret")},
        timeout=30,
    )


def hand_over(folder: Path, encrypted: Path, name: str) -> subprocess.CompletedProcess[bytes]:
    """What systemd does for LoadCredentialEncrypted=name:encrypted, before it starts a unit."""
    given = folder / "given"
    given.mkdir(exist_ok=True)
    done = creds(folder, "decrypt", f"--name={name}", str(encrypted), str(given / name))
    if done.returncode == 0:
        (given / name).chmod(0o400)
    return done


@needs_creds
def test_what_systemd_encrypted_is_the_root(tmp_path: Path) -> None:
    encrypted = tmp_path / "terminal-root.cred"
    done = creds(tmp_path, "encrypt", "--with-key=host", "--name=terminal-root", "-", str(encrypted), given=ROOT)
    assert done.returncode == 0, done.stderr
    assert ROOT not in encrypted.read_bytes()
    assert hand_over(tmp_path, encrypted, "terminal-root").returncode == 0
    source = RootCredential({"CREDENTIALS_DIRECTORY": str(tmp_path / "given")})
    assert source.load() == ROOT
    assert source.exists()


@needs_creds
def test_a_renamed_credential_is_refused(tmp_path: Path) -> None:
    """The name is encrypted too: systemd gives out nothing, and the terminal says what it was given instead."""
    encrypted = tmp_path / "terminal-root.cred"
    creds(tmp_path, "encrypt", "--with-key=host", "--name=root-of-till-3", "-", str(encrypted), given=ROOT)
    assert hand_over(tmp_path, encrypted, "terminal-root").returncode != 0
    assert hand_over(tmp_path, encrypted, "root-of-till-3").returncode == 0
    source = RootCredential({"CREDENTIALS_DIRECTORY": str(tmp_path / "given")})
    assert not source.exists()
    with pytest.raises(CredentialMissing, match=r"no credential terminal-root; given were: root-of-till-3") as caught:
        source.load()
    assert "another name is refused" in caught.value.remedy


@needs_creds
def test_a_credential_of_another_machine_is_refused(tmp_path: Path) -> None:
    encrypted = tmp_path / "terminal-root.cred"
    creds(tmp_path, "encrypt", "--with-key=host", "--name=terminal-root", "-", str(encrypted), given=ROOT)
    (tmp_path / "host.secret").unlink()
    creds(tmp_path, "setup")
    assert hand_over(tmp_path, encrypted, "terminal-root").returncode != 0


def test_without_systemd(tmp_path: Path) -> None:
    source = RootCredential({})
    assert not source.exists()
    assert source.prepared() is None
    with pytest.raises(CredentialMissing, match="no credentials") as caught:
        source.load()
    assert "systemd-run" in caught.value.remedy


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_credential_that_is_no_root(tmp_path: Path, length: int) -> None:
    (tmp_path / "terminal-root").write_bytes(bytes(length))
    (tmp_path / "terminal-root").chmod(0o400)
    with pytest.raises(KeyUnusable, match=f"{length} bytes"):
        RootCredential({"CREDENTIALS_DIRECTORY": str(tmp_path)}).load()


def test_a_credential_that_others_may_read(tmp_path: Path) -> None:
    (tmp_path / "terminal-root").write_bytes(ROOT)
    (tmp_path / "terminal-root").chmod(0o444)
    with pytest.raises(KeyExposed):
        RootCredential({"CREDENTIALS_DIRECTORY": str(tmp_path)}).load()
