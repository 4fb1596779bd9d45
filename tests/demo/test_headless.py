"""The demonstration without a screen, as a newcomer starts it: the whole chain of real processes, with chaos."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from demo.crowd import shopping
from demo.goods import GOODS

pytestmark = pytest.mark.timeout(180)


def _play(*words: str, **environment: str) -> "tuple[int, dict[str, Any], str]":
    command = [sys.executable, "-m", "demo", "--headless", "--json", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=170, check=False, env={**os.environ, **environment}
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    return done.returncode, json.loads(lines[-1]), done.stderr


def _terminald(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "terminald", *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_chaos_loses_and_doubles_nothing_and_the_folder_tells_nothing(tmp_path: Path) -> None:
    root = tmp_path / "run"
    status, outcome, said = _play("--sales", "40", "--seed", "7", "--chaos", "3", "--directory", str(root))

    assert status == 0, said
    assert outcome["sales"] == outcome["receipts"] == 40
    for place in ("journal", "headquarters"):
        assert outcome[place]["transactions"] == 40
        assert outcome[place]["amount_minor"] == outcome["amount_minor"]
    assert outcome["journal"]["verified"] is True
    assert outcome["lost"] == outcome["duplicated"] == 0
    assert outcome["chaos"] == {"plug_pulls": 3, "broker_stops": 3}

    papers = [path.read_text() for path in (root / "paper").glob("*-receipt.txt")]
    assert len(papers) >= 40
    names = [good.name for good in GOODS]
    totals = [line.split()[-1] for paper in papers for line in paper.splitlines() if line.startswith("TOTAL")]
    _nothing_readable(root / "terminal", [*names, *(total for total in totals if len(total) >= 5)])
    _nothing_readable(root / "logs", names)

    moved = tmp_path / "elsewhere"
    shutil.move(root / "terminal", moved)
    verified = _terminald("journal", "verify", "--json", "--config", str(moved / "terminal.toml"))
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["whole"] is True
    sold = _terminald("journal", "export", "--status", "completed", "--config", str(moved / "terminal.toml"))
    amounts = [json.loads(line)["total_minor"] for line in sold.stdout.splitlines()]
    assert (len(amounts), sum(amounts)) == (40, outcome["amount_minor"])


def _nothing_readable(folder: Path, secrets: list[str]) -> None:
    """None of the secrets stands in any file below the folder, but for the configuration's own words."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "terminal.toml"]
    assert files
    for path in files:
        held = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in held], path


def test_without_a_mosquitto() -> None:
    """Delivery does not rest on the broker: the embedded one serves as well."""
    status, outcome, said = _play("--sales", "10", "--seed", "2", "--chaos", "1", TERMINALD_DEMO_BROKER="amqtt")
    assert status == 0, said
    assert "amqtt" in said
    assert outcome["headquarters"]["transactions"] == 10


def test_the_same_seed_buys_the_same_things() -> None:
    day = date(2026, 11, 24)
    assert [shopping(7, shopper, day) for shopper in range(50)] == [shopping(7, shopper, day) for shopper in range(50)]
    assert shopping(7, 0, day) != shopping(8, 0, day)


def test_an_earlier_run_is_not_mixed_with(tmp_path: Path) -> None:
    (tmp_path / "terminal").mkdir()
    command = [sys.executable, "-m", "demo", "--headless", "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "earlier run" in done.stderr
