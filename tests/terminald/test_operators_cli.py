"""`terminald operators` beside a real daemon: the first owner, others by an approver's PIN, and every refusal in words."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core import entries as e
from tests.countertop import Countertop, countertop

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWNER, ANNA = "384751", "4821"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    async with countertop(tmp_path_factory.mktemp("cli") / "shop", ("scanner", "drawer"), start=False) as made:
        made.layout.config.write_text(made.layout.config.read_text() + "[operators]\n")
        await made.start()
        yield made


async def terminald(counter: Countertop, *arguments: str, said: str = "") -> tuple[int, str, str]:
    """Status, standard output and standard error of ``terminald operators``; `said` are the lines of its input."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "terminald", "operators", *arguments, "--config", str(counter.layout.config)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONSAFEPATH": ""},
    )
    out, err = await program.communicate(said.encode())
    assert program.returncode is not None
    return program.returncode, out.decode().strip(), err.decode().strip()


async def test_the_day_of_a_shop(counter: Countertop) -> None:
    """In one test: each step goes on from the one before."""
    status, claim, _ = await terminald(counter, "claim")
    assert (status, claim) == (0, counter.view.operator.claim)

    status, _, err = await terminald(counter, "claim", "1", said="123456\n")
    assert (status, "pin-not-good" in err) == (1, True)
    status, out, _ = await terminald(counter, "claim", "1", "--name", "Olga", said=f"{OWNER}\n")
    assert (status, out) == (0, "operator 1 is the owner")
    status, _, err = await terminald(counter, "claim")
    assert status == 1
    assert "owner already" in err

    await counter.call("operator.sign_off")
    approved = ("--approver", "1")
    adding = ("add", "17", "--role", "cashier", "--name", "Anna", *approved)
    status, _, err = await terminald(counter, "add", "17", "--role", "cashier", said=f"{ANNA}\n")
    assert (status, err) == (1, "terminald: refused: sign-on-needed")
    assert (await terminald(counter, *adding, said=f"{ANNA}\n{OWNER}\n"))[0] == 0
    await counter.call("operator.sign_on", operator="17", pin=ANNA)
    status, _, err = await terminald(counter, "list")
    assert (status, err) == (1, "terminald: refused: role-needed role=supervisor")
    status, _, err = await terminald(counter, "unlock", "17", *approved, said="000000\n")
    assert (status, err) == (1, "terminald: refused: pin-wrong tries=4")
    assert (await terminald(counter, "unlock", "17", *approved, said=f"{OWNER}\n"))[0] == 0
    assert (await terminald(counter, "pin", "17", *approved, said=f"5930\n{OWNER}\n"))[0] == 0
    assert (await terminald(counter, "badge", "17", "--code", "STAFF:17", *approved, said=f"{OWNER}\n"))[0] == 0

    await counter.call("operator.sign_on", operator="1", pin=OWNER)
    status, _, err = await terminald(counter, "role", "17", "--role", "auditor")
    assert (status, err) == (1, "terminald: refused: new-pin-needed")
    assert (await terminald(counter, "role", "17", "--role", "auditor", "--new-pin", said="739154\n"))[0] == 0
    status, out, _ = await terminald(counter, "list", "--json")
    assert json.loads(out)["operators"][1] == {
        "operator": "17", "role": "auditor", "name": "Anna", "badge": True, "locked_minutes": 0,
    }  # fmt: skip
    assert "auditor" in (await terminald(counter, "list"))[1]
    assert (await terminald(counter, "remove", "17"))[0] == 0
    assert "Anna" not in (await terminald(counter, "list"))[1]

    changes = [
        (entry.subject, entry.change, entry.operator, entry.approver)
        for entry in counter.records()
        if isinstance(entry, e.OperatorAdministered)
    ]
    assert changes == [
        ("1", "added", "", ""), ("17", "added", "", "1"), ("17", "unlocked", "17", "1"), ("17", "pin", "17", "1"),
        ("17", "badge", "17", "1"), ("17", "role", "1", ""), ("17", "removed", "1", ""),
    ]  # fmt: skip


async def test_without_a_daemon_it_says_so(counter: Countertop) -> None:
    await counter.daemon.stop()
    status, _, err = await terminald(counter, "list")
    assert status == 2
    assert "no daemon listens" in err
