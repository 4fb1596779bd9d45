"""A PostgreSQL server without room: the collector names it, acknowledges nothing, and goes on by itself when there is room."""

import json
import os
import subprocess
import sys
import tempfile

import pytest

from tests.brokers import find_mosquitto
from tests.postgres import need_postgres
from tests.proofs.registry import CannotRun
from tests.proofs.small_disk import inside


@pytest.mark.parametrize(("kind", "code"), [("tables", "database-full"), ("whole", "database-")])
def test_a_full_server_stops_acknowledging_and_nothing_is_lost(kind: str, code: str) -> None:
    need_postgres()
    if os.geteuid() != 0 or find_mosquitto() is None:
        pytest.skip("mounting a small disk for a server takes root, and its fleet takes mosquitto")
    with tempfile.TemporaryDirectory(prefix="full-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)  # the server runs as another user
        try:
            command = inside([sys.executable, "-m", "tests.fleet.full_server", kind, folder])
        except CannotRun as error:
            pytest.skip(str(error))
        done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert any(said.startswith(code) for said in found["said"]), found
    first, second = found["held_when_full"]
    assert kind == "whole" or first > 0
    assert second <= first or first < 0, "without room nothing more is held"
    assert found["collector_went_on"]
    assert found["report"]["whole"], found["report"]
    assert found["report"]["sold"]["sales"] > max(first, second)
