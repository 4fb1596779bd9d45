"""Nobody knows a supervisor's PIN: the way back by the organisation's recovery key and whoever stands before the screen."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from core import entries as e
from core import recovery
from store.keys_recovery import make_recovery
from tests.proofs.guarded_till import GuardedTill
from tests.ui.test_console import Tty
from tests.ui.test_real_day import Merchant
from ui.merchant.app import CounterApp

OWNER, NEW, TECHNICIAN = "384751", "739154", "551372"


async def terminald(*arguments: str, said: str = "") -> tuple[int, str]:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "terminald", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONSAFEPATH": ""},
    )
    out, _ = await program.communicate(said.encode())
    return program.returncode or 0, out.decode().strip()


async def test_a_till_is_claimed_anew_from_the_console(tmp_path: Path) -> None:
    key = tmp_path / "safe" / "recovery.key"
    key.parent.mkdir()
    public = make_recovery(key)
    till = GuardedTill(tmp_path, f'[operators]\n[keys]\nrecovery_key = "{public.hex()}"\n')
    config = ("--config", str(till.config))
    try:
        first = await till.start()
        await till.call("operator.claim", claim=first.operator.claim, operator="1", pin=OWNER)
        await till.call("operator.sign_off")
        assert (await terminald("operators", "reclaim", "--code", "0", *config))[1].endswith("no-recovery-request")
        for role, pin in (("owner", OWNER), ("technician", TECHNICIAN)):
            assert (await terminald("pin", "set", "--role", role, *config, said=f"{pin}\n"))[0] == 0
        await asyncio.to_thread(_by_the_console, till.config, key)
        kept = till.records()
        (opened,) = [entry for entry in kept if isinstance(entry, e.ClaimOpened)]
        assert (opened.by, opened.reference) == ("recovery-key", recovery.recovery_id(public))
        assert [entry.subject for entry in kept if isinstance(entry, e.SignOnRefused)] == ["reclaim"]
        app = CounterApp(till.folder / "control.sock")
        async with app.run_test(size=(80, 24)) as pilot:
            merchant = Merchant(pilot, app, till)
            claim = (await till.see(lambda view: view.operator.claim)).operator.claim
            assert claim is not None
            await merchant.reads("Become the owner of this till", claim)
            await merchant.type(claim)
            await merchant.type("9")
            await merchant.type(NEW)
            await merchant.type(NEW)
            await merchant.reads("operator 9")
        assert await till.refusal("operator.claim", claim=claim, operator="8", pin=NEW) == "already-claimed"
        await till.call("operator.pin", operator="1", pin="902713")
        made = [entry.subject for entry in till.records() if isinstance(entry, e.OperatorAdministered)]
        assert made == ["1", "9", "1"]
    finally:
        await till.close()


def _by_the_console(config: Path, key: Path) -> None:
    """The technician asks, is given a wrong code, then the right one."""
    line = Tty(config)
    try:
        line.log_in("technician", TECHNICIAN)
        assert "reclaim [CODE]" in line.do("help")
        request = re.search(r"((?:[0-9A-Z]{6}-){8}[0-9A-Z]{6})", line.do("reclaim"))
        assert request is not None
        for_data, answer = (
            subprocess.run(
                [sys.executable, "-m", "terminald", "keys", "recovery-code", "--recovery-key", str(key), *how, request[1]],
                capture_output=True, text=True, check=True,
            ).stdout.strip()
            for how in ((), ("--reclaim",))
        )  # fmt: skip
        assert "recovery-code-wrong" in line.do(f"reclaim {for_data}")
        assert "15 minutes" in " ".join(line.do(f"reclaim {answer}").split())
        assert "no-recovery-request" in line.do(f"reclaim {answer}")  # good once
    finally:
        line.close()
