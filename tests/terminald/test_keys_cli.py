"""`terminald keys` as a technician uses it, beside a real daemon and without one."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from store.keys import KeyFile
from store.keys_root import ROOT_TITLE, read_hex, write_hex
from store.keys_rotate import begin
from terminald.cli import main
from tests.proofs.registry import CannotRun
from tests.proofs.small_disk import inside
from tests.shim.boundary import run as run_over_shim

SHOP = '[terminal]\nid = "till-3"\n[shop]\nname = "Corner Shop"\n'
FINDING, CANNOT = 1, 2
GENERATIONS = {"journal": 2, "catalogue": 2, "customers": 2, "credentials": 1, "history": 2}
"""After a rotation: there is no PIN yet, and so no file for it."""
TERMINALD = [sys.executable, "-m", "terminald"]


class Till:
    """A terminal's folder, and what is asked of it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], more: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.config = folder / "terminal.toml"
        self.config.write_text(SHOP + more)
        self._capsys = capsys

    def start(self) -> subprocess.Popen[str]:
        """The daemon, once it is ready."""
        daemon = subprocess.Popen([*TERMINALD, "run", "--config", str(self.config)], stderr=subprocess.PIPE, text=True)
        assert daemon.stderr is not None
        said = daemon.stderr.readline()
        while said and '"ready"' not in said:
            said = daemon.stderr.readline()
        assert said, "the daemon does not start"
        return daemon

    def run_once(self) -> str:
        """A start and an orderly end; what was logged after it was ready."""
        daemon = self.start()
        daemon.terminate()
        _, said = daemon.communicate(timeout=20)
        assert daemon.returncode == 0, said
        return said

    def ask(self, *words: str, config: bool = True) -> tuple[int, str, str]:
        """A command: its status, and both of its streams."""
        self._capsys.readouterr()
        status = main([*words, *(["--config", str(self.config)] if config else [])])
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def status(self) -> dict[str, object]:
        """What ``keys status`` says."""
        _, out, _ = self.ask("keys", "status", "--json")
        found: dict[str, object] = json.loads(out)
        return found

    def records(self) -> int:
        """How many records the whole journal has."""
        status, out, _ = self.ask("journal", "verify", "--json")
        assert status == 0, out
        return int(json.loads(out)["records"])


@pytest.fixture
def till(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Till:
    """A terminal that has run once."""
    till = Till(tmp_path / "till", capsys)
    till.run_once()
    return till


# --- status ------------------------------------------------------------------------------------------------------


def test_status_before_the_first_boot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, said = Till(tmp_path, capsys).ask("keys", "status")
    assert status == CANNOT
    assert "no keys yet" in said


def test_status_says_what_the_tier_is_worth(till: Till) -> None:
    status, said, _ = till.ask("keys", "status")
    assert status == 0
    assert re.search(r"root key +file", said)
    assert "gives no protection against who holds the card" in said
    assert "warning: no recovery key" in said
    found = till.status()
    assert found["tier"] == found["configured"] == "file"
    assert found["opens"] is True
    assert found["recovery"] is None
    assert found["findings"] == []
    assert found["modes"] == dict.fromkeys(
        ("journal.key", "signing.key", "journal.keyring", "journal.keyring.copy"), "0400"
    )


@pytest.mark.parametrize("name", ["journal.key", "journal.keyring", "journal.keyring.copy", "signing.key"])
def test_status_names_a_file_that_others_may_read(till: Till, name: str) -> None:
    (till.folder / name).chmod(0o444)
    status, said, _ = till.ask("keys", "status")
    assert status == FINDING
    assert f"finding: {name} has mode 0444" in said


def test_status_with_another_terminals_root(till: Till) -> None:
    (till.folder / "journal.key").unlink()
    write_hex(till.folder / "journal.key", ROOT_TITLE, bytes(32))
    status, said, _ = till.ask("keys", "status")
    assert status == FINDING
    assert "keyring-foreign" in said
    assert till.status()["opens"] is False


def test_status_without_the_root(till: Till) -> None:
    (till.folder / "journal.key").unlink()
    status, said, _ = till.ask("keys", "status")
    assert status == FINDING
    assert "key-missing" in said
    assert "keys recover" in said


def test_status_with_a_source_that_is_not_there(till: Till) -> None:
    """Neither credential nor TPM: each says what it is, and the data is not touched."""
    for source, code in (("credential", "key-tier-other"), ("tpm", "key-tier-other")):
        till.config.write_text(SHOP + f'[keys]\nsource = "{source}"\n')
        status, said, _ = till.ask("keys", "status")
        assert status == FINDING
        assert code in said
        status, _, said = till.ask("keys", "rotate")
        assert status == CANNOT
        assert "credential-missing" in said or "tpm-gone" in said
    till.config.write_text(SHOP)
    assert till.records() > 0


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('source = "yubikey"', "must be one of file, credential, tpm"),
        ('recovery_key = "00"', "64 hexadecimal digits"),
        ('pcrs = "7"', "such as sha256:7"),
        ('root = "x"', "unknown key 'root'"),
    ],
)
def test_a_faulty_table_in_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, fault: str
) -> None:
    till = Till(tmp_path, capsys, f"[keys]\n{line}\n")
    status, _, said = till.ask("check")
    assert status == FINDING
    assert fault in said
    assert ":6: [keys]" in said


# --- rotate ------------------------------------------------------------------------------------------------------


def test_rotate_and_go_on(till: Till) -> None:
    before = till.records()
    status, said, _ = till.ask("keys", "rotate", "--json")
    assert status == 0
    assert json.loads(said)["generations"] == GENERATIONS
    assert till.records() == before
    till.run_once()
    assert till.records() > before
    assert till.status()["kek_generation"] == 2
    _, shown, _ = till.ask("journal", "show")
    assert len({json.loads(line)["epoch"] for line in shown.splitlines()}) == 1


def test_rotate_beside_a_daemon_is_refused(till: Till) -> None:
    daemon = till.start()
    try:
        keyring = (till.folder / "journal.keyring").read_bytes()
        status, _, said = till.ask("keys", "rotate")
        assert status == CANNOT
        assert "stop it first" in said
        assert (till.folder / "journal.keyring").read_bytes() == keyring
        assert till.status()["opens"] is True
    finally:
        daemon.terminate()
        daemon.communicate()


@pytest.mark.parametrize("call", [12, 40, 150])
def test_the_next_start_finishes_a_rotation_that_was_killed(till: Till, call: int) -> None:
    before = till.records()
    command = [*TERMINALD, "keys", "rotate", "--config", str(till.config)]
    try:
        ended = run_over_shim(command, till.folder, at=call, action="before")
    except CannotRun as reason:
        pytest.skip(str(reason))
    assert ended.returncode == -9
    assert till.status()["unfinished"] is True
    assert till.ask("keys", "status")[0] == FINDING
    assert till.records() == before
    till.run_once()
    assert till.records() > before
    found = till.status()
    assert found["unfinished"] is False
    assert found["kek_generation"] == 2
    assert found["generations"] == {purpose: [generation] for purpose, generation in GENERATIONS.items()}


def test_a_start_that_finishes_a_rotation_asks_systemd_for_time(till: Till) -> None:
    begin(KeyFile(till.folder / "journal.key"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(till.folder / "notify"))
        systemd.settimeout(20)
        daemon = subprocess.Popen(
            [*TERMINALD, "run", "--config", str(till.config)],
            stderr=subprocess.DEVNULL,
            env={**os.environ, "NOTIFY_SOCKET": str(till.folder / "notify")},
        )
        try:
            said = [systemd.recv(4_096)]
            while said[-1] != b"READY=1":
                said.append(systemd.recv(4_096))
        finally:
            daemon.terminate()
            daemon.wait(20)
    assert b"EXTEND_TIMEOUT_USEC=30000000" in said
    assert till.status()["unfinished"] is False


def test_rotate_without_room_changes_no_file_and_the_till_still_opens(till: Till, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    reserve = till.folder / "reserve"
    reserve.unlink(missing_ok=True)
    terminald = " ".join(TERMINALD)
    script = (
        f"mount -t tmpfs -o size=2m none {small} && cp -r {till.folder}/* {small} && cd {Path.cwd()}"
        f" && ({terminald} keys rotate --config {small}/terminal.toml; echo status $?"
        f"; {terminald} journal verify --config {small}/terminal.toml; echo verified $?"
        f"; {terminald} keys status --json --config {small}/terminal.toml)"
    )
    try:
        done = subprocess.run(inside(["sh", "-c", script]), capture_output=True, text=True)
    except CannotRun as reason:
        pytest.skip(str(reason))
    assert "journal-no-space" in done.stderr, done.stderr
    assert "status 2" in done.stdout
    assert "verified 0" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["unfinished"] is True


# --- recover -----------------------------------------------------------------------------------------------------


def test_the_drill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The organisation makes its key, a till sells under it and dies, and another board takes its files over."""
    office = Till(tmp_path / "office", capsys)
    key = tmp_path / "office" / "recovery.key"
    status, table, said = office.ask("keys", "make-recovery", str(key), config=False)
    assert status == 0
    assert "keep it offline" in said

    till = Till(tmp_path / "till", capsys, table)
    till.run_once()
    till.run_once()
    before = till.records()
    found = till.status()
    assert found["recovery"] == found["recovery_configured"] == table.split('"')[1][:16]
    assert found["warnings"] == []

    board = Till(tmp_path / "board", capsys, table)
    for path in till.folder.iterdir():
        if path.is_file() and path.name not in ("journal.key", "terminal.toml"):
            shutil.copy(path, board.folder)
    assert board.ask("journal", "verify")[0] == CANNOT
    status, said, _ = board.ask("keys", "recover", "--recovery-key", str(key), "--json")
    assert status == 0
    assert json.loads(said)["kek_generation"] == 2
    assert board.records() == before
    board.run_once()
    assert board.records() > before
    status, _, said = board.ask("keys", "recover", "--recovery-key", str(key))
    assert status == FINDING
    assert "nothing to recover" in said


def test_the_wrong_recovery_key(till: Till, tmp_path: Path) -> None:
    status, table, _ = till.ask("keys", "make-recovery", str(tmp_path / "right.key"), config=False)
    till.ask("keys", "make-recovery", str(tmp_path / "wrong.key"), config=False)
    till.config.write_text(SHOP + table)
    assert till.ask("keys", "status")[0] == FINDING  # configured, and not sealed to yet
    till.run_once()
    assert till.ask("keys", "status")[0] == 0
    (till.folder / "journal.key").rename(tmp_path / "journal.key")
    status, _, said = till.ask("keys", "recover", "--recovery-key", str(tmp_path / "wrong.key"))
    assert status == CANNOT
    assert re.search(r"sealed to the recovery key [0-9a-f]{16}; this one is [0-9a-f]{16} \(seal-unopened\)", said)
    assert not (till.folder / "journal.key").exists()
    assert till.ask("keys", "recover", "--recovery-key", str(tmp_path / "right.key"))[0] == 0


def test_a_passphrase_from_standard_input(till: Till, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = str(tmp_path / "recovery.key")

    def type_in(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    type_in("\n")
    assert till.ask("keys", "make-recovery", key, "--passphrase", config=False)[0] == CANNOT
    type_in("open sesame\n")
    status, table, _ = till.ask("keys", "make-recovery", key, "--passphrase", config=False)
    assert status == 0
    till.config.write_text(SHOP + table)
    till.run_once()
    (till.folder / "journal.key").unlink()
    type_in("open barley\n")
    status, _, said = till.ask("keys", "recover", "--recovery-key", key)
    assert (status, "passphrase-wrong" in said) == (CANNOT, True)
    type_in("open sesame\n")
    assert till.ask("keys", "recover", "--recovery-key", key)[0] == 0


def test_a_recovery_key_is_never_written_over(till: Till, tmp_path: Path) -> None:
    key = tmp_path / "recovery.key"
    till.ask("keys", "make-recovery", str(key), config=False)
    content = key.read_bytes()
    status, _, said = till.ask("keys", "make-recovery", str(key), config=False)
    assert (status, "key-taken" in said) == (CANNOT, True)
    assert key.read_bytes() == content


# --- where keys are not ------------------------------------------------------------------------------------------


def test_no_key_is_in_a_log_an_environment_an_argument_or_another_file(till: Till) -> None:
    daemon = till.start()
    seen = [Path(f"/proc/{daemon.pid}/{name}").read_bytes() for name in ("environ", "cmdline")]
    store = KeyFile(till.folder / "journal.key")
    before = _secrets(store)
    daemon.terminate()
    _, said = daemon.communicate()
    for words in (("keys", "status"), ("keys", "rotate"), ("journal", "show"), ("journal", "verify")):
        _, out, err = till.ask(*words)
        said += out + err
    said += till.run_once()
    seen += [path.read_bytes() for path in till.folder.iterdir() if path.is_file() and path.name != "journal.key"]
    seen.append(said.encode())
    for secret in (*before, *_secrets(store)):
        for form in (secret, secret.hex().encode(), secret.hex().upper().encode()):
            assert not any(form in content for content in seen)


def _secrets(store: KeyFile) -> Sequence[bytes]:
    """All secrets of a terminal; of a database's key the half that is none, its salt, left out."""
    ring = store.open()
    root = read_hex(store.folder / "journal.key", ROOT_TITLE, 32)
    return [root, ring.kek, *(secret[:32] for secret in ring.secrets.values())]
