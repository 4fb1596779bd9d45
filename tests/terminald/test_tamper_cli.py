"""`terminald tamper`, and headquarters' command that signs what it takes."""

import json
from pathlib import Path

import pytest

from fleet.cli import main as fleet
from store.tamper import Latch
from terminald.cli import CANNOT, FINDING, main
from tests.fleet_people import signing_as


@pytest.fixture
def config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A terminal that believes the headquarters in this folder."""
    assert fleet(["key", "--database", str(tmp_path / "hq.db")]) == 0
    key = capsys.readouterr().out.strip()
    path = tmp_path / "terminal.toml"
    path.write_text(
        f'[terminal]\nid = "till-3"\n[shop]\nname = "Shop"\n[headquarters]\nbroker = "mqtt://localhost"\nack_key = "{key}"\n'
        '[device.case]\ndriver = "tamper-gpio"\npin = 22\n'
    )
    return path


def latched(config: Path) -> str:
    latch = Latch(config.parent / "journal.db")
    latch.arm()
    latch.armed.rename(latch.latch)
    incident = latch.incident()
    assert incident is not None
    return incident.incident


def test_from_the_opening_to_the_release(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = latched(config)
    assert main(["tamper", "status", "--json", "--config", str(config)]) == FINDING
    said = json.loads(capsys.readouterr().out)
    assert (said["latched"], said["incident"], said["switches"], said["last"]) == (True, incident, ["case"], None)
    order_of = ["order", "release-tamper", "till-3", incident]
    assert fleet([*order_of, *signing_as("kim", "support", config.parent / "hq.db", monkeypatch)]) == 1
    assert "role-needed: this takes the role security" in capsys.readouterr().err
    assert fleet([*order_of, *signing_as("sam", "security", config.parent / "hq.db", monkeypatch)]) == 0
    order = config.parent / "order"
    order.write_text(capsys.readouterr().out)
    assert main(["tamper", "release", str(order), "--json", "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["role"] == "security"
    assert main(["tamper", "status", "--json", "--config", str(config)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["latched"], said["last"]["incident"], said["last"]["role"]) == (False, incident, "security")


def test_words_for_people(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tamper", "status", "--config", str(config)]) == 0
    assert capsys.readouterr().out == "not latched\n"
    incident = latched(config)
    assert main(["tamper", "status", "--config", str(config)]) == FINDING
    assert f"incident {incident}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("terminal", "hours", "code"), [("till-4", "1", "order-misaddressed"), ("till-3", "-1", "order-expired")]
)
def test_an_order_that_is_not_for_here_and_now(
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: str,
    hours: str,
    code: str,
) -> None:
    incident = latched(config)
    who = signing_as("sam", "security", config.parent / "hq.db", monkeypatch)
    assert fleet(["order", "release-tamper", terminal, incident, f"--hours={hours}", *who]) == 0
    order = config.parent / "order"
    order.write_text(capsys.readouterr().out)
    assert main(["tamper", "release", str(order), "--config", str(config)]) == CANNOT
    said = capsys.readouterr().err
    assert code in said
    assert "terminald-fleet order" in said
    assert main(["tamper", "status", "--config", str(config)]) == FINDING


def test_no_such_file(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    latched(config)
    assert main(["tamper", "release", str(config.parent / "none"), "--config", str(config)]) == CANNOT
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["journal", "verify"], ["journal", "show"], ["keys", "rotate"], ["pin", "status", "--role", "owner"]]
)
def test_commands_that_need_a_key_say_why_they_do_nothing(
    config: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    incident = latched(config)
    assert main([*command, "--config", str(config)]) == CANNOT
    said = capsys.readouterr().err
    assert incident in said
    assert "tamper-latched" in said
