"""The daemon on a disk that fails it: how it ends, what it says, and what it knows when it is started again."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from demo import goods
from terminald.cli import SOFTWARE
from terminald.client import CallFailed, Disconnected
from tests.shim.boundary import read_log
from tests.shim.terminal import Terminal

END_S_MAX = 1.0
KEY = "order-1"
LOG = "journal.db-wal"
"""The file whose calls fail: all that the till is asked for goes through it."""
_ITEM = goods.by_gtin("3017620422003")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """The call `at` of these `kinds` fails, or where `at` is 0 the first one that an order makes; with an order, or idle."""

    kinds: str
    at: int
    action: str | int
    order: bool
    for_good: bool = False

    def __str__(self) -> str:
        return f"{self.action} at {self.kinds} {self.at}{' for good' if self.for_good else ''}"


def examine_daemon(examination: Examination, root: Path) -> list[str]:
    """What was wrong with a daemon that met this fault."""
    at = examination.at or _first_of_an_order(root / "undisturbed", examination.kinds)
    with Terminal(root) as terminal:
        told = root / "told"
        terminal.start(
            name=LOG,
            kinds=examination.kinds,
            at=at,
            action=examination.action,
            last=int(examination.for_good),
            told=str(told),
        )
        answered = _order(terminal) if examination.order else None
        if examination.action == "short" and answered:
            terminal.stop()
            return [f"{examination}: {fault}" for fault in _after_restart(terminal, answered=True)]
        try:
            status, ended_ns = terminal.ended()
        except subprocess.TimeoutExpired:
            return [f"{examination}: the daemon went on"]
        faults = _ending(terminal, status, ended_ns, told)
        if examination.order:
            faults += _after_restart(terminal, answered=bool(answered))
    return [f"{examination}: {fault}" for fault in faults]


def _first_of_an_order(root: Path, kinds: str) -> int:
    """The number of the first call of these kinds that a sale on a new terminal makes."""
    with Terminal(root) as terminal:
        log = root / "calls"
        terminal.start(name=LOG, kinds=kinds, log=str(log))
        return len(read_log(log)) + 1 if log.exists() else 1


def _order(terminal: Terminal) -> bool:
    """A sale; whether it was acknowledged."""
    try:
        terminal.sell(_ITEM, KEY)
    except (CallFailed, Disconnected, TimeoutError):
        return False
    return True


def _ending(terminal: Terminal, status: int, ended_ns: int, told: Path) -> list[str]:
    faults = []
    if status != SOFTWARE:
        faults.append(f"it ended with {status}: {terminal.log[-300:]}")
    if "journal-outcome-unknown" not in terminal.log or "restarts by itself" not in terminal.log:
        faults.append("it does not name condition and remedy")
    failed_ns = int(told.read_text().split(" ")[2])
    if ended_ns - failed_ns > END_S_MAX * 1e9:
        faults.append(f"it ended {(ended_ns - failed_ns) / 1e9:.2f} s after the call that failed")
    return faults


def _after_restart(terminal: Terminal, answered: bool) -> list[str]:
    """The same order under the same key, as a client repeats it: afterwards the sale is there once."""
    terminal.start()
    faults = []
    kept = _sales(terminal)
    if answered and kept != 1:
        faults.append(f"the sale was acknowledged, and is there {kept} times")
    try:
        again = terminal.call("sale.cash", key=KEY)
        if kept and again["notice"]["id"] != "already-done":
            faults.append(f"the key of a sale that was kept is answered with {again['notice']}")
    except CallFailed as error:
        # The basket's records are not owed to anybody: without them there is nothing to be paid.
        if kept:
            faults.append(f"the key of a sale that was kept is answered with {error.reason}")
        else:
            terminal.sell(_ITEM, KEY)
    if _sales(terminal) != 1:
        faults.append(f"after the order was repeated there are {_sales(terminal)} sales")
    terminal.stop()
    return faults


def _sales(terminal: Terminal) -> int:
    lines = terminal.command("journal", "show").splitlines()
    return sum(msgspec.json.decode(line)["body"]["type"] == "transaction_completed" for line in lines)
