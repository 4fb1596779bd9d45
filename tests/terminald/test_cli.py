"""The command `terminald`: its words, its exit status, and what it says when something is in its way."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from terminald.cli import main
from tests.countertop import Countertop

SHOP = '[terminal]\nid = "till-3"\n[shop]\nname = "Corner Shop"\n'
FINDING, CANNOT = 1, 2


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "terminal.toml"
    path.write_text(SHOP)
    return path


@pytest.fixture
def journal(config: Path) -> Path:
    """The configuration of a terminal that has run once."""
    process = _daemon(config)
    assert process.stderr is not None
    assert "ready" in process.stderr.readline()
    process.terminate()
    process.communicate()
    assert process.returncode == 0
    return config


def _daemon(config: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "terminald", "run", "--config", str(config)], stderr=subprocess.PIPE, text=True
    )


def _fails_to_run(config: Path) -> str:
    """What the daemon says that cannot start: a sentence, and no trace of Python."""
    process = _daemon(config)
    _, said = process.communicate(timeout=20)
    assert process.returncode == CANNOT, said
    assert said.startswith("terminald: ")
    assert "Traceback" not in said
    return said


# --- check -------------------------------------------------------------------------------------------------------


def test_check_of_a_sound_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(config)]) == 0
    assert "sound, 0 devices" in capsys.readouterr().out


def test_check_names_every_fault_with_its_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(SHOP + 'colour = "red"\n[jurnal]\npath = "x"\n')
    assert main(["check", "--config", str(config)]) == FINDING
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ", 1)[0] for line in said] == [f"{config}:5", f"{config}:6"]
    assert "unknown key 'colour'" in said[0]
    assert "Did you mean 'journal'?" in said[1]


def test_check_of_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(tmp_path / "none.toml")]) == FINDING
    assert "cannot be read" in capsys.readouterr().err


def test_a_daemon_does_not_run_on_a_faulty_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(SHOP + 'colour = "red"\n')
    assert main(["run", "--config", str(config)]) == CANNOT
    assert ":5: [shop] unknown key 'colour'" in capsys.readouterr().err


# --- what keeps a daemon from running ----------------------------------------------------------------------------


def test_a_journal_with_the_wrong_key(journal: Path) -> None:
    """Each of its two ends: a key that is another's, and a key file that is gone. Nothing is written over."""
    key = journal.with_name("journal.key")
    kept = journal.with_name("journal.db").read_bytes()
    own = key.read_text()
    key.chmod(0o600)
    key.write_text(own[:-66] + "0123456789abcdef" * 4 + "\n")
    key.chmod(0o400)
    said = _fails_to_run(journal)
    assert "Put back the key file" in said
    key.unlink()
    said = _fails_to_run(journal)
    assert "key-missing" in said
    assert "Put back the key file" in said
    assert journal.with_name("journal.db").read_bytes() == kept
    key.write_text(own)
    key.chmod(0o400)
    assert main(["journal", "verify", "--config", str(journal)]) == 0


def test_a_key_that_others_may_read(journal: Path) -> None:
    journal.with_name("journal.key").chmod(0o444)
    assert "chmod 0400" in _fails_to_run(journal)


def test_a_folder_that_is_not_there(config: Path) -> None:
    config.write_text(SHOP + '[control]\nsocket = "none/control.sock"\n')
    assert "none" in _fails_to_run(config)


def test_a_control_socket_where_something_else_lies(config: Path) -> None:
    config.with_name("control.sock").write_text("a shopping list")
    assert "remove it, or name another place" in _fails_to_run(config)
    assert config.with_name("control.sock").read_text() == "a shopping list"


def test_a_group_that_the_system_does_not_have(config: Path) -> None:
    config.write_text(SHOP + '[control]\ngroup = "no-such-group"\n')
    assert "create it, or name another" in _fails_to_run(config)


# --- journal -----------------------------------------------------------------------------------------------------


def test_verify_of_a_whole_journal(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "verify", "--config", str(journal), "--json"]) == 0
    whole = {"whole": True, "records": 3, "finding": None, "kind": None, "first": None, "last": None}
    assert json.loads(capsys.readouterr().out) == whole


def test_verify_of_a_journal_that_cannot_be_opened(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal.with_name("journal.db").write_bytes(b"no journal" * 1000)
    assert main(["journal", "verify", "--config", str(journal), "--json"]) == CANNOT
    told = capsys.readouterr()
    assert json.loads(told.out)["whole"] is False
    assert "terminald: " in told.err


def test_show_prints_a_record_a_line(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "show", "--config", str(journal)]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["body"]["type"] for record in records] == ["epoch_opened", "daemon_started", "daemon_stopped"]
    assert [record["seq"] for record in records] == [1, 2, 3]


def test_show_to_a_reader_that_goes_away(journal: Path) -> None:
    """Without a word, as the tools of a shell do."""
    shown = subprocess.Popen(
        [sys.executable, "-m", "terminald", "journal", "show", "--config", str(journal)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert shown.stdout is not None
    assert shown.stderr is not None
    shown.stdout.close()
    assert shown.stderr.read() == b""
    shown.stderr.close()
    assert shown.wait() in (0, FINDING)


def test_commands_without_a_terminal(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("verify", "show"):
        assert main(["journal", command, "--config", str(config)]) == CANNOT
        assert "key-missing" in capsys.readouterr().err


# --- call --------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
async def test_call(counter: Countertop, capsys: pytest.CaptureFixture[str]) -> None:
    socket = ["--socket", str(counter.layout.control_socket)]

    async def call(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(main, ["call", *arguments, *socket])
        told = capsys.readouterr()
        return status, told.out, told.err

    status, out, _ = await call("rpc.discover")
    assert status == 0
    methods = {method["name"] for method in json.loads(out)}
    assert methods >= {"sale.scan", "sale.cash", "sale.card", "sale.cancel", "receipt.reprint", "drawer.open"}
    assert methods >= {"device.list", "device.test", "journal.status", "daemon.status", "view.get", "view.subscribe"}

    assert await call("sale.cash") == (FINDING, "", "terminald: no-open-sale (1)\n")
    assert await call("no.such") == (
        FINDING,
        "",
        "terminald: no method 'no.such': rpc.discover lists them (-32601)\n",
    )
    status, _, err = await call("sale.void", '{"lime": 1}')
    assert (status, "lime" in err, "(-32602)" in err) == (FINDING, True, True)
    assert (await call("sale.scan", "{"))[0] == CANNOT
    assert (await call("sale.scan", "[1]"))[0] == CANNOT

    status, out, _ = await call("sale.scan", '{"data": "3017620422003"}')
    assert (status, json.loads(out)["entries"]) == (0, ["transaction_opened", "item_added"])
    status, out, _ = await call("sale.subtotal")
    assert json.loads(out)["total_minor"] == 379
    status, out, _ = await call("device.test", '{"name": "printer"}')
    assert json.loads(out) == {"name": "printer", "works": True, "fault": None, "remedy": ""}
    assert "device-not-known" in (await call("device.test", '{"name": "toaster"}'))[2]
    for told in ('{"name": "4111111111111111"}', '{"name": "pin 1B3C1604415870FA"}'):
        status, out, err = await call("device.test", told)
        assert (status, out) == (1, "")
        assert "device-not-known" in err
        assert not any(part in err for part in ("4111", "1B3C"))
    status, out, err = await call("sale.void", '{"line": 4111111111111111}')
    assert (status, "<= 1000" in err) == (1, True)
    assert "4111" not in out + err
    status, out, _ = await call("journal.status")
    assert json.loads(out)["seq"] == counter.view.journal.seq


@pytest.mark.asyncio(loop_scope="module")
async def test_journal_commands_beside_a_running_daemon(
    counter: Countertop, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(counter.layout.config)]
    assert await asyncio.to_thread(main, ["journal", "verify", "--json", *config]) == 0
    assert json.loads(capsys.readouterr().out)["whole"] is True
    assert await asyncio.to_thread(main, ["journal", "show", *config]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= counter.view.journal.seq


def test_call_without_a_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "view.get", "--socket", str(tmp_path / "control.sock")]) == FINDING
    assert "start it, or name its socket" in capsys.readouterr().err


def test_imports_of_a_command_are_its_own() -> None:
    """`terminald --help` answers without loading a driver, a database, or the daemon."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, terminald.cli; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout.split()
    assert not {"asyncio", "msgspec", "sqlcipher3", "terminald.daemon", "drivers.registry"} & set(loaded)
