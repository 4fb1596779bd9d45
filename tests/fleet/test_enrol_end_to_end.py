"""From nothing to trusted and out again: the programs as people run them, on a real mosquitto as it is shipped."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.two_tills import run
from core.view import View
from demo.processes import Process
from fleet.report import summarize
from store.keys_recovery import make_recovery
from tests.brokers import free_port
from tests.proofs.guarded_till import GuardedTill
from tests.secured import Secured, now_ms, secured
from tests.tills import eventually

PASSWORD = "seven small grey terminals"
PATIENCE_S = 40.0
FLEET = (sys.executable, "-P", "-m", "fleet")


class Headquarters:
    """Broker, collector and enrolment service, each a process, and a desk where people give commands."""

    def __init__(self, root: Path, made: Secured) -> None:
        self.root = root
        self.made = made
        self.database = root / "headquarters.db"
        self.key = root / "ack-key"
        self.ca = root / "ca"
        self.enrol_port = free_port()
        made.saved("collector", made.ca.issue("collector", folder=root, now_ms=now_ms()))
        self.collector = Process(
            "collector",
            [
                *(*FLEET, "collect", "--database", str(self.database), "--key", str(self.key)),
                *("--broker", f"mqtts://127.0.0.1:{made.headquarters_port}", "--ca", str(self.ca / "headquarters.crt")),
                *("--certificate", str(root / "collector.crt"), "--certificate-key", str(root / "collector.key")),
            ],
            root / "collector.log",
        )
        self.enrolment = Process(
            "enrolment",
            [
                *(*FLEET, "enrol", "serve", "--host", "127.0.0.1", "--listen", "127.0.0.1"),
                *("--port", str(self.enrol_port), "--ca-folder", str(self.ca)),
                *("--database", str(self.database), "--key", str(self.key)),
            ],
            root / "enrolment.log",
        )

    async def start(self) -> None:
        """Returns when the enrolment service listens; the first operators are there."""
        await self.collector.start()
        await eventually(self._has_tables, PATIENCE_S)
        at = ("--database", str(self.database), "--key", str(self.key))
        await self.said("operator", "add", "ada", "--first", *at, typed=PASSWORD)
        await self.said(
            "operator", "add", "sam", "--role", "security", "--as", "ada", *at, typed=f"{PASSWORD}\n{PASSWORD}"
        )
        await self.enrolment.start()
        await self.enrolment.wait_for_port(self.enrol_port)

    async def stop(self) -> None:
        """Stops what runs."""
        await self.enrolment.stop()
        await self.collector.stop()

    async def decides(self, *words: str, status: int = 0) -> str:
        """A command that takes an operator."""
        at = ("--as", "sam", "--database", str(self.database), "--key", str(self.key), "--ca-folder", str(self.ca))
        return await self.said(*words, *at, typed=PASSWORD, status=status)

    async def waiting(self) -> dict[str, list[dict[str, str]]]:
        """Who waits, and the clashes."""
        found: dict[str, list[dict[str, str]]] = json.loads(
            await self.said("enrol", "list", "--json", "--all", "--ca-folder", str(self.ca))
        )
        return found

    async def said(self, *words: str, typed: str = "", status: int = 0) -> str:
        """What a command of headquarters prints."""
        process = await asyncio.create_subprocess_exec(
            *(*FLEET, *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate(typed.encode() + b"\n")
        assert process.returncode == status, said.decode()
        return said.decode()

    def sales(self) -> int:
        """Completed sales that headquarters holds."""
        return summarize(self.database).transactions

    def _has_tables(self) -> bool:
        try:
            with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
                return connection.execute("SELECT 1 FROM headquarters").fetchone() is not None
        except sqlite3.Error:
            return False


@asynccontextmanager
async def headquarters(root: Path) -> AsyncIterator[Headquarters]:
    with secured(root) as made:
        running = Headquarters(root, made)
        try:
            await running.start()
            yield running
        finally:
            await running.stop()


def tables(hq: Headquarters) -> str:
    return (
        f'[headquarters]\nbroker = "mqtts://127.0.0.1:{hq.made.terminals_port}"\n'
        f'ack_key = "{hq.made.signer.public_key.hex()}"\nenrol = "https://127.0.0.1:{hq.enrol_port}"\n'
        'ca = "identity/ca.pem"\ncertificate = "identity/terminal.pem"\n'
    )


def claim_of(view: View) -> str | None:
    return next((str(each.params["code"]) for each in view.conditions if each.id == "claim-code"), None)


async def sell(till: GuardedTill) -> None:
    before = (await till.see(lambda _: True)).day.transactions
    await till.sell()
    await till.see(lambda view: view.day.transactions == before + 1)


def delivered(view: View) -> bool:
    return view.link.connected and view.journal.acknowledged_seq == view.journal.seq


@pytest.mark.timeout(180)
async def test_a_terminal_from_nothing_to_trusted_and_out_again(tmp_path: Path) -> None:
    async with headquarters(tmp_path) as hq:
        till = GuardedTill(tmp_path / "shop", tables(hq))
        certificate = till.folder / "identity/terminal.pem"
        try:
            await till.start()
            # Nobody knows it: it sells, and shows its code until somebody at headquarters has typed that.
            await sell(till)
            view = await till.see(lambda view: claim_of(view) is not None)
            code = claim_of(view)
            assert code is not None
            assert not certificate.exists()
            (request,) = (await hq.waiting())["requests"]
            assert (request["code"], request["wanted"], request["doubt"]) == (code, "till-3", "")
            said = await hq.decides("enrol", "approve", code.lower(), "--workstation", "North, 2")
            assert said.endswith(f"{code} is till-3\n")
            await till.see(delivered)
            assert claim_of(await till.see(lambda _: True)) is None
            await eventually(lambda: hq.sales() == 1, PATIENCE_S)
            (terminal,) = summarize(hq.database).terminals
            assert terminal.trust == "pinned"
            assert certificate.stat().st_mode & 0o077 == 0

            # The certificate is renewed by itself, under another key; the next connection is by the new one.
            before = certificate.read_bytes()
            assert await _enrol(till, "--renew") == "renewed"
            assert certificate.read_bytes() != before
            assert await _enrol(till) == "good"
            before = certificate.read_bytes()
            at = ("--as", "sam", "--database", str(hq.database), "--key", str(hq.key))
            said = await hq.said("send", "renew-certificate", "--terminal", "till-3", *at, typed=PASSWORD)
            assert "successful" in said
            assert certificate.read_bytes() != before
            hq.made.broker.stop()
            await till.see(lambda view: not view.link.connected)
            await sell(till)
            hq.made.broker.start()
            await till.see(delivered)
            await eventually(lambda: hq.sales() == 2, PATIENCE_S)

            # Revoked: cut off as it is, and not let in again; it sells on, and asks a person.
            said = await hq.decides("ca", "revoke", "till-3", "--why", "stolen")
            assert "3 revoked" in said
            hq.made.reload()
            await sell(till)
            hq.made.broker.stop(signal.SIGTERM)
            hq.made.broker.start()
            await till.see(lambda view: (view.link.fault or "").startswith("certificate-refused"))
            assert hq.sales() == 2
        finally:
            await till.close()


@pytest.mark.timeout(180)
async def test_a_spare_takes_a_dead_terminals_place_and_its_name(tmp_path: Path) -> None:
    """By the stick: it is known by the journal's key, and what the dead one had is revoked."""
    recovery = make_recovery(tmp_path / "recovery.key").hex()
    (tmp_path / "stick").mkdir()
    async with headquarters(tmp_path) as hq:
        more = f'[keys]\nrecovery_key = "{recovery}"\n[mirror]\npath = "../../stick"\npolicy = "folder"\n'
        dead = GuardedTill(tmp_path / "shop", tables(hq) + more)
        spare = GuardedTill(tmp_path / "spare", tables(hq) + more)
        spare.config.write_text(spare.config.read_text().replace('"till-3"', '"spare-1"'))
        try:
            await dead.start()
            await _approved(hq, dead)
            await sell(dead)
            await dead.see(delivered)
            before = (dead.folder / "identity/terminal.pem").read_bytes()
            await hq.collector.stop()
            await sell(dead)  # on the terminal and its stick alone
            await dead.see(lambda view: view.mirror.state == "ready" and view.mirror.behind == 0)
            await dead.daemon.kill()
            await hq.collector.start()

            status, said, heard = await run(
                [
                    *("adopt", "--json", "--stick", str(tmp_path / "stick"), "--config", str(spare.config)),
                    *("--recovery-key", str(tmp_path / "recovery.key")),
                ]
            )
            assert (status, said.get("terminal")) == (0, "till-3"), heard
            await spare.start()
            await spare.see(lambda view: claim_of(view) is not None)
            (request,) = [each for each in (await hq.waiting())["requests"] if each["state"] == "waiting"]
            assert (request["wanted"], request["doubt"]) == ("till-3", "returns")
            assert (await hq.waiting())["clashes"] == []
            await _approved(hq, spare)
            await sell(spare)
            await spare.see(delivered)
            await eventually(lambda: hq.sales() == 3, PATIENCE_S)
            after = (spare.folder / "identity/terminal.pem").read_bytes()
            assert after != before
            rows = json.loads(await hq.said("ca", "list", "--json", "--ca-folder", str(hq.ca)))
            assert [each["state"] for each in rows if each["name"] == "till-3"] == ["revoked", "good"]
        finally:
            await dead.close()
            await spare.close()


async def _approved(hq: Headquarters, till: GuardedTill) -> None:
    code = claim_of(await till.see(lambda view: claim_of(view) is not None))
    assert code is not None
    await hq.decides("enrol", "approve", code)
    await till.see(lambda view: view.link.connected)


async def _enrol(till: GuardedTill, *flags: str) -> str:
    """The state that ``terminald enrol`` tells."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "terminald", "enrol", "--once", "--json", "--config", str(till.config), *flags),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    said, _ = await process.communicate()
    answer = json.loads(said)
    return str(answer.get("state") or answer["fault"])
