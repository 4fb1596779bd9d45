"""The root sealed by a TPM: a real tpm2-tools over a TPM in software (swtpm), with what can be wrong with one."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.recovery import public_of
from store.errors import KeyExposed, KeyMissing, KeyUnusable, TpmGone, TpmRefused
from store.keys import DATABASES, KeyFile, KeyStore
from store.keys_recovery import recover
from store.keys_root import RootFile
from store.keys_rotate import rotate
from store.keys_tpm import RootTpm
from tests.store.terminals import contents, fill

pytestmark = pytest.mark.skipif(
    not (shutil.which("swtpm") and shutil.which("tpm2_unseal")), reason="swtpm and tpm2-tools are not installed"
)

START_S_MAX = 10.0


class Tpm:
    """A TPM in software: a process, and a folder that is its memory."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.tcti = f"swtpm:path={folder}/tpm"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Switches it on: its registers begin at zero."""
        place = self.folder / "tpm"
        self._process = subprocess.Popen(
            [
                *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}"),
                *("--server", f"type=unixio,path={place}", "--ctrl", f"type=unixio,path={place}.ctrl"),
                *("--flags", "startup-clear,not-need-init"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until_s = time.monotonic() + START_S_MAX
        while not place.with_name("tpm.ctrl").exists():
            assert time.monotonic() < until_s, "swtpm does not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """Switches it off."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_S_MAX)
            self._process = None

    def run(self, *command: str) -> str:
        """A tool of tpm2-tools."""
        done = subprocess.run(
            command, env={"PATH": "/usr/bin:/bin", "TPM2TOOLS_TCTI": self.tcti}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[Tpm]:
    tpm = Tpm(tmp_path / "chip")
    try:
        yield tpm
    finally:
        tpm.stop()


@pytest.mark.parametrize("pcrs", ["", "sha256:0,7"])
def test_the_tpm_gives_out_what_it_sealed_after_a_reboot_too(tmp_path: Path, tpm: Tpm, pcrs: str) -> None:
    source = RootTpm(tmp_path / "journal.tpm", tcti=tpm.tcti, pcrs=pcrs)
    root = source.prepare()
    assert not source.exists()
    assert source.prepared() == root
    source.adopt()
    assert source.load() == root
    tpm.stop()
    tpm.start()
    assert source.load() == root
    content = (tmp_path / "journal.tpm").read_bytes()
    assert root not in content
    assert root.hex().encode() not in content
    assert (tmp_path / "journal.tpm").stat().st_mode & 0o7777 == 0o400
    assert tpm.run("tpm2_getcap", "handles-transient") == ""
    assert tpm.run("tpm2_getcap", "handles-loaded-session") == ""
    assert tpm.run("tpm2_getcap", "handles-saved-session") == ""


def test_without_the_right_measurements_it_gives_out_nothing(tmp_path: Path, tpm: Tpm) -> None:
    source = RootTpm(tmp_path / "journal.tpm", tcti=tpm.tcti, pcrs="sha256:7")
    root = source.prepare()
    source.adopt()
    tpm.run("tpm2_pcrextend", "7:sha256=" + "11" * 32)
    with pytest.raises(TpmRefused, match="policy") as caught:
        source.load()
    assert "started by other software" in caught.value.remedy
    tpm.stop()
    tpm.start()
    assert source.load() == root


def test_a_tpm_that_was_cleared(tmp_path: Path, tpm: Tpm) -> None:
    source = RootTpm(tmp_path / "journal.tpm", tcti=tpm.tcti)
    source.prepare()
    source.adopt()
    tpm.run("tpm2_clear")
    with pytest.raises(TpmRefused):
        source.load()


def test_a_stolen_card_in_another_board(tmp_path: Path, tpm: Tpm) -> None:
    """S8 for what this tier promises: all files, another TPM, not a row."""
    store = terminal(tmp_path / "till", tpm)
    store.load_or_make([])
    fill(store)
    stolen = tmp_path / "stolen"
    shutil.copytree(store.folder, stolen)
    other = Tpm(tmp_path / "other-chip")
    try:
        with pytest.raises(TpmRefused):
            terminal(stolen, other).load()
    finally:
        other.stop()
    assert not (stolen / "journal.key").exists()


def test_a_tpm_that_is_gone(tmp_path: Path, tpm: Tpm) -> None:
    source = RootTpm(tmp_path / "journal.tpm", tcti=tpm.tcti)
    source.prepare()
    source.adopt()
    tpm.stop()
    with pytest.raises(TpmGone, match="does not answer") as caught:
        source.load()
    assert "keys recover" in caught.value.remedy
    assert source.exists()


def test_without_the_tools(tmp_path: Path, tpm: Tpm, monkeypatch: pytest.MonkeyPatch) -> None:
    source = RootTpm(tmp_path / "journal.tpm", tcti=tpm.tcti)
    source.prepare()
    source.adopt()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TpmGone, match="not installed"):
        source.load()


def test_a_sealed_file_that_is_none(tmp_path: Path, tpm: Tpm) -> None:
    path = tmp_path / "journal.tpm"
    source = RootTpm(path, tcti=tpm.tcti)
    with pytest.raises(KeyMissing):
        source.load()
    for content in (
        b"",
        b"terminald root sealed by a TPM 1\n",
        b"x" * 100,
        b"terminald root sealed by a TPM 1\n\nzz\n00\n",
    ):
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o400)
        with pytest.raises(KeyUnusable):
            source.load()
    path.chmod(0o444)
    with pytest.raises(KeyExposed):
        source.load()


def test_from_the_file_to_the_tpm_and_on_to_a_new_board(tmp_path: Path, tpm: Tpm) -> None:
    """A terminal's whole life: made under a file, moved to the TPM, and found again when board and TPM are dead."""
    folder = tmp_path / "till"
    folder.mkdir()
    before = KeyFile(folder / "journal.key")
    before.load_or_make([])
    fill(before)
    rows = contents(before, before.load())
    private = bytes(range(32))
    store = terminal(folder, tpm, recovery=public_of(private))
    rotate(store)
    assert not (folder / "journal.key").exists()
    assert [slot.tier for slot in store.open().slots] == ["tpm"]
    assert contents(store, store.load()) == rows

    rotate(store)
    assert contents(store, store.load()) == rows

    other = Tpm(tmp_path / "other-chip")
    try:
        board = terminal(shutil.copytree(folder, tmp_path / "new"), other, recovery=public_of(private))
        assert recover(board, private).needed
        assert contents(board, board.load()) == rows
        with pytest.raises(TpmRefused):
            terminal(board.folder, tpm).load()
    finally:
        other.stop()


def terminal(folder: Path, tpm: Tpm, recovery: bytes | None = None) -> KeyStore:
    folder.mkdir(exist_ok=True)
    return KeyStore(
        RootTpm(folder / "journal.tpm", tcti=tpm.tcti),
        folder / "journal.keyring",
        databases={purpose: folder / f"{purpose}.db" for purpose in DATABASES},
        former=(RootFile(folder / "journal.key"),),
        recovery_public=recovery,
    )
