"""S7: the whole matrix of roles and actions, over the control socket of a real daemon and by the keys of the merchant's screen.

Each method is called by each subject, with no sale and with one open where the subject can have one. Expected is
`tests.proofs.role_matrix`, written by hand; that a method stands in no row is a fault. An order that a role has not
leaves no record. Daemons whose table is wrong in one entry go through the same, and must be caught.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.view import View
from terminald.client import CallFailed, CallRefused
from tests.proofs.guarded_till import GuardedTill
from tests.proofs.lenient_roles import CHANGES
from tests.proofs.registry import Proof, Result, Scale
from tests.proofs.role_matrix import ITEM, MATRIX, READS, SELLING, SUBJECTS, admits
from ui.merchant.actions import ACTIONS, FLOWS, flow_of
from ui.merchant.app import CounterApp

PINS = {"1": "384751", "17": "4821", "18": "5930", "5": "293847", "6": "918273"}
NUMBERS = {"supervisor": "1", "cashier": "17", "locked": "17", "technician": "5", "auditor": "6"}
OTHERS = {"supervisor": "1", "cashier": "18"}
OF_A_ROLE = frozenset(
    ("sign-on-needed", "till-locked", "supervisor-needed", "role-needed", "approver-may-not", "not-allowed")
)
FEW = (
    "sale.scan", "drawer.open", "sale.line_discount", "sale.cash", "history.find", "operator.add", "till.loan",
    "operator.lock",
)  # fmt: skip
FEW_SUBJECTS = ("nobody", "cashier + supervisor")
SETTLE_S = 0.3
_TABLE = "[operators]\n"


@dataclass(slots=True)
class Seen:
    """Faults, and how many cells and keys were looked at."""

    faults: list[str] = field(default_factory=list)
    cells: int = 0
    keys: int = 0


def run(scale: Scale) -> Iterator[Result]:
    """The matrix; then each mutant against as much of it as shows it."""
    few = scale is Scale.SMOKE
    seen = _look(FEW if few else tuple(MATRIX), FEW_SUBJECTS if few else SUBJECTS, None, keys=not few)
    for fault in seen.faults:
        print(f"S7: {fault}", file=sys.stderr)
    mutants = list(CHANGES)[:1] if few else list(CHANGES)
    caught = {name: bool(_look(FEW, ("cashier", "supervisor"), name, keys=False).faults) for name in mutants}
    told = ", ".join(f"a table that {name} {'caught' if is_ else 'NOT caught'}" for name, is_ in caught.items())
    yield Result(
        figure=seen.cells + seen.keys - len(seen.faults),
        goal=seen.cells + seen.keys,
        holds=not seen.faults and all(caught.values()),
        what=(
            f"of {seen.cells} cells of subject, method and state, and {seen.keys} of role and key, as expected; what is"
            f" refused leaves no record; {told}"
        ),
        reason="; ".join(seen.faults[:3])
        or "; ".join(f"a table that {name} got through" for name, is_ in caught.items() if not is_),
    )


PROOFS = [Proof(id="S7", title="roles", run=run)]


def _look(methods: Sequence[str], subjects: Sequence[str], mutant: str | None, *, keys: bool) -> Seen:
    command = ("-m", "tests.proofs.lenient_roles", mutant) if mutant is not None else None
    with tempfile.TemporaryDirectory(prefix="terminald-s7-") as name, contextlib.redirect_stdout(sys.stderr):
        return asyncio.run(_walk(Path(name), methods, subjects, command, keys=keys))


async def _walk(
    root: Path, methods: Sequence[str], subjects: Sequence[str], command: tuple[str, ...] | None, *, keys: bool
) -> Seen:
    till = GuardedTill(root, _TABLE, *([command] if command else []))
    seen = Seen()
    try:
        await _staff(till, await till.start())
        listed = {each["name"] for each in await till.call("rpc.discover")}  # type: ignore[attr-defined]
        for method in sorted(listed ^ MATRIX.keys()) if command is None else ():
            seen.faults.append(f"{method} {'has no row' if method in listed else 'is no method any more'}")
        for subject in subjects:
            for selling in (False, True):
                if not selling or subject in SELLING:
                    await _each(till, subject, [each for each in methods if each in listed], seen, selling=selling)
        if keys:
            await _press(till, seen)
    finally:
        await till.close()
    return seen


async def _staff(till: GuardedTill, view: View) -> None:
    await till.call("operator.claim", claim=view.operator.claim, operator="1", pin=PINS["1"])
    made = {"17": "cashier", "18": "cashier", "5": "technician", "6": "auditor", "30": "cashier"}
    approved = {"approver": "1", "approver_pin": PINS["1"]}
    for operator, role in made.items():
        # Approved too, for a mutant of the table that does not let a supervisor alone.
        await till.call("operator.add", operator=operator, role=role, pin=PINS.get(operator, "5930"), **approved)


async def _each(till: GuardedTill, subject: str, methods: Sequence[str], seen: Seen, *, selling: bool) -> None:
    is_set = False
    for method in methods:
        if not is_set:
            await _set(till, subject, selling=selling)
        _, params = MATRIX[method]
        if " + " in subject and method not in READS and _takes_approval(method):
            approver = OTHERS[subject.partition(" + ")[2]]
            params = {**params, "approver": approver, "approver_pin": PINS[approver]}
        before = await _seq(till)
        refused = await _refusal(till, method, params)
        after = await _seq(till)
        seen.cells += 1
        where = f"{method} by {subject}{' with a basket' if selling else ''}"
        if admits(subject, method) == (refused in OF_A_ROLE):
            seen.faults.append(f"{where}: {refused or 'taken'}")
        if refused in OF_A_ROLE and after != before:
            seen.faults.append(f"{where}: refused, and {after - before} records were kept")
        is_set = after == before and method != "operator.sign_on"


async def _set(till: GuardedTill, subject: str, *, selling: bool) -> None:
    """The subject is at the till, with one item in the basket or with none; whatever was there before."""
    await till.call("operator.sign_on", operator="1", pin=PINS["1"])
    for method in ("till.give_up_count", "sale.cancel"):
        await till.refusal(method)
    alone = subject.partition(" + ")[0]
    if alone == "nobody":
        await till.call("operator.sign_off")
        return
    if alone != "supervisor":
        number = NUMBERS[alone]
        await till.call("operator.sign_on", operator=number, pin=PINS[number])
    if selling:
        await till.call("sale.scan", data=ITEM)
    if alone == "locked":
        await till.call("operator.lock")


async def _press(till: GuardedTill, seen: Seen) -> None:
    """No key of the merchant's screen does for a role what its order would not; and a cashier's does."""
    app = CounterApp(till.folder / "control.sock")
    async with app.run_test(size=(100, 40)) as pilot:
        for subject in ("nobody", "locked", "cashier", "technician", "auditor"):
            await _set(till, subject, selling=subject in SELLING)
            for action in ACTIONS:
                if action.name not in FLOWS:
                    continue  # the menu: what it leads to are the same orders
                needed = "supervisor" if action.name == "drawer" else "cashier"
                may = subject == "cashier" and needed == "cashier"
                if may and action.name != "cash":
                    continue  # what the sale makes of it is another proof's; that keys reach the till is shown by one
                view = await till.see(lambda _: True)
                event = flow_of(action.name, view.sale).event
                before = await _seq(till)
                await pilot.press(action.key)
                await pilot.pause(SETTLE_S)
                seen.keys += 1
                if (event in view.sale.allowed) != may:
                    seen.faults.append(f"the screen is told that {subject} may {event}: {not may}")
                if not may and await _seq(till) != before:
                    seen.faults.append(f"the key {action.cap} of {subject} left a record")
                await pilot.press("escape")


async def _seq(till: GuardedTill) -> int:
    status = await till.call("journal.status")
    return int(status["seq"])  # type: ignore[index]


async def _refusal(till: GuardedTill, method: str, params: dict[str, object]) -> str | None:
    try:
        await till.call(method, **params)
    except CallRefused as refused:
        return refused.message.id
    except CallFailed as failed:
        return failed.reason
    return None


def _takes_approval(method: str) -> bool:
    """Whether it is an order; who signs on, and who only looks, needs nobody's approval."""
    return method.partition(".")[0] in ("sale", "till", "drawer", "receipt", "return", "report", "gift", "note") or method in (
        "operator.sign_off", "operator.lock", "operator.add", "operator.remove", "operator.role", "operator.pin",
        "operator.badge", "operator.unlock",
    )  # fmt: skip
