"""What S12 does to one terminal: sell, open the case in mid-sale, look for keys, and have headquarters release it."""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from core import entries as e
from core.orders import RELEASE_TAMPER, Order, encode_order
from fleet.keys import load_or_make
from store.keys import KeyFile, TerminalSigner
from store.keys_recovery import make_recovery
from store.tamper import Latch
from terminald import paths
from terminald.cli import main
from terminald.client import CallFailed, Disconnected
from tests.proofs.guarded_till import CASE_PIN, ITEM, GuardedTill, in_memory

GONE_MS_MAX = 100.0
WATCH_S = 0.5
"""How long is looked for the end of the keys."""
_HOUR_MS = 3_600_000


@dataclass(slots=True)
class Seen:
    """What was found: faults, and how long after each edge the keys were gone."""

    faults: list[str] = field(default_factory=list)
    gone_ms: list[float] = field(default_factory=list)
    sales: int = 0

    def must(self, holds: bool, what: str) -> None:
        if not holds:
            self.faults.append(what)


async def open_the_case(root: Path, openings: int, command: Iterable[str] | None = None) -> Seen:
    """A terminal whose case is opened so often; its folder is `root`."""
    seen = Seen()
    headquarters = load_or_make(root / "ack-key")
    private = root / "recovery.key"
    recovery = make_recovery(private)
    tables = (
        f'[keys]\nrecovery_key = "{recovery.hex()}"\n'
        f'[headquarters]\nbroker = "mqtt://127.0.0.1:1"\nack_key = "{headquarters.public_key.hex()}"\n'
        f'[device.case]\ndriver = "tamper-gpio"\npin = {CASE_PIN}\n'
    )
    till = GuardedTill(root, tables, *([command] if command else []))
    await till.board.start()
    till.board.set(CASE_PIN, 0)
    try:
        await till.start()
        for number in range(openings):
            await till.ready("case")
            await till.sell()
            seen.sales += 1
            await _open(till, seen)
            if seen.faults:
                return seen
            await _release(till, headquarters.sign, seen, number)
        await till.ready("case")
        await _afterwards(till, seen, openings)
        await till.daemon.stop()
        _recover_elsewhere(till, root, private, seen)
    finally:
        await till.close()
    return seen


async def _open(till: GuardedTill, seen: Seen) -> None:
    """In the middle of scans, the case is opened; it stays open until the daemon was started again."""
    pid, keys = till.pid, _secrets(till)
    if os.geteuid() == 0:
        held = in_memory(pid, keys)
        seen.must("journal" in held and "pin_pepper" in held, f"the search finds {sorted(held)} in a daemon that sells")
    scanning = asyncio.create_task(_scan_for_ever(till), name="scans")
    await asyncio.sleep(0.05)
    at_s = time.perf_counter()
    till.board.set(CASE_PIN, 1)
    gone_ms = await asyncio.to_thread(_until_gone, pid, at_s)
    seen.gone_ms.append(gone_ms)
    seen.must(gone_ms <= GONE_MS_MAX, f"the daemon was still itself {gone_ms:.0f} ms after the edge")
    seen.must(not in_memory(pid, keys), "there are keys in the process's memory after that")
    scanning.cancel()
    await asyncio.wait([scanning])
    if seen.faults:
        return
    with contextlib.suppress(asyncio.CancelledError, TimeoutError):
        await till.ended()
    seen.must(Latch(till.folder / "journal.db").incident() is not None, "it is not latched")


async def _release(till: GuardedTill, sign: object, seen: Seen, number: int) -> None:
    """Started again, and again after a plug pull, it is latched and holds no key; then headquarters' order comes."""
    keys = _secrets(till)
    assert callable(sign)
    for _ in range(2):
        view = await till.start()
        seen.must(
            [each.id for each in view.conditions] == ["case-opened"], "its screen does not say what is the matter"
        )
        seen.must(await till.refusal("sale.scan", data=ITEM) == "case-opened", "it sells while it is latched")
        seen.must(not in_memory(till.pid, keys), "it holds keys while it is latched")
        seen.must(main(["journal", "verify", "--config", str(till.config)]) == 2, "a command opens the keys")
        await till.daemon.kill()
    till.board.set(CASE_PIN, 0)
    await till.start()
    incident = Latch(till.folder / "journal.db").incident()
    assert incident is not None
    now_ms = time.time_ns() // 1_000_000

    def order(terminal: str = "till-3", name: str = incident.incident, hours: int = 1, signed: object = sign) -> bytes:
        said = Order(
            terminal=terminal,
            order=RELEASE_TAMPER,
            counter=now_ms,
            not_after_ms=now_ms + hours * _HOUR_MS,
            role="security",
            params={"incident": name},
        )
        assert callable(signed)
        return encode_order(said, signed)

    file = till.folder.parent / f"order-{number}"
    wrong = {
        "another key's": order(signed=load_or_make(till.folder.parent / "thief").sign),
        "another terminal's": order(terminal="till-4"),
        "another incident's": order(name="0" * 16),
        "an expired one": order(hours=-1),
        "a torn one": order()[:-20],
        "an altered one": order().replace(b'"security"', b'"attacker"'),
        **({"the last one": (till.folder.parent / f"order-{number - 1}").read_bytes()} if number else {}),
    }
    for name, payload in wrong.items():
        file.write_bytes(payload)
        status = main(["tamper", "release", str(file), "--config", str(till.config)])
        seen.must(status == 2, f"{name} order released it")
    file.write_bytes(order())
    status = main(["tamper", "release", str(file), "--config", str(till.config)])
    seen.must(status == 0, "headquarters' order did not release it")


async def _afterwards(till: GuardedTill, seen: Seen, openings: int) -> None:
    """It sells on, and the journal tells of everything."""
    view = await till.see(lambda view: not view.conditions)
    if view.sale.number is not None:
        await till.call("sale.cancel")
    await till.sell()
    seen.sales += 1
    records = till.records()
    seen.must(sum(isinstance(each, e.CaseOpened) for each in records) == openings, "not each opening is in the journal")
    completed = sum(isinstance(each, e.TransactionCompleted) for each in records)
    seen.must(completed == seen.sales, f"{completed} of {seen.sales} sales are in the journal")


def _recover_elsewhere(till: GuardedTill, root: Path, private: Path, seen: Seen) -> None:
    """The card in another board, without the root key: the organisation's recovery key opens the journal."""
    other = root / "other"
    shutil.copytree(till.folder, other, ignore=shutil.ignore_patterns("*.sock", "gpio"))
    (other / "journal.key").unlink()
    Latch(other / "journal.db").arm()
    (other / "tamper.armed").rename(other / "tamper.latch")  # a latched terminal's, too
    config = str(other / "terminal.toml")
    status = main(["keys", "recover", "--recovery-key", str(private), "--config", config])
    seen.must(status == 0, "the recovery key does not open the keyring of a latched terminal")
    (other / "tamper.latch").unlink()
    seen.must(main(["journal", "verify", "--config", config]) == 0, "the recovered journal is not whole")


async def _scan_for_ever(till: GuardedTill) -> None:
    """A busy counter: orders one after the other, until the daemon is gone."""
    while True:
        try:
            await till.call("sale.scan", data=ITEM)
        except (CallFailed, Disconnected, TimeoutError, OSError):
            return


def _until_gone(pid: int, since_s: float) -> float:
    """Milliseconds until the process's address space is another's, or none."""
    began = _command(pid)
    while time.perf_counter() - since_s < WATCH_S:
        if _command(pid) != began:
            break
        time.sleep(0.0005)
    return (time.perf_counter() - since_s) * 1000


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _secrets(till: GuardedTill) -> dict[str, bytes]:
    """What must not be found: every key in use, and the seed that signs."""
    key = till.folder / "journal.key"
    held = KeyFile(key).load()
    names = (
        "journal",
        "catalogue",
        "customers",
        "credentials",
        "history",
        "tag_pepper",
        "pin_pepper",
        "backup",
        "mirror",
    )
    signer = TerminalSigner.open(key.with_name(paths.SIGNING_KEY), held, ())
    return {name: getattr(held, name) for name in names} | {"seed": signer.seed()}
