"""Orders that go out in waves, and stop by themselves when too many terminals fail.

A wave goes on when every terminal of those before has ended or has been silent for too long, and the rest between waves is
over. Who fails, refuses, lets the order expire or is silent counts against the share that stops it, of those that were
told so far. All of it is in the database: whoever advances a roll-out may be killed at any instant.
"""

import hashlib
import itertools
from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec

from core.order_results import ENDS
from core.orders import ORDERS
from core.ports import Signer
from fleet.audit import note
from fleet.dispatch import DispatchUnknown, Draft, give, role_for, sign_held, take_back
from fleet.operators import Operator
from fleet.refusal import Refused
from fleet.store import Statements, Store

WHOLE_BP = 10_000
WAVES_MAX = 20

State = Literal["running", "paused", "stopped", "done", "aborted"]


class RolloutUnfit(Refused):
    """The waves or the share are not written as they are, or the roll-out is not in a state for that."""

    code: ClassVar[str] = "rollout-unfit"
    remedy: ClassVar[str] = "`terminald-fleet rollout status` tells where it stands; nothing was changed."


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`waves_bp`: shares of all terminals, ascending, the last all of them. See `fleet/schema` for the rest."""

    waves_bp: tuple[int, ...]
    stop_bp: int
    silent_ms: int
    rest_ms: int = 0


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Of the waves so far: terminals told, and of them those that succeeded, failed, are silent, and are still at it."""

    told: int
    successful: int
    failed: int
    silent: int
    under_way: int

    def is_too_bad(self, stop_bp: int) -> bool:
        """Whether more failed than the share that stops a roll-out."""
        return (self.failed + self.silent) * WHOLE_BP > stop_bp * self.told


def start(store: Store, signer: Signer, by: Operator, draft: Draft, plan: Plan, now_ms: int) -> int:
    """Begins a roll-out; the order's number. One that takes two persons begins once the second agrees. Raises Refused."""
    shares = (0, *plan.waves_bp)
    is_rising = all(a < b for a, b in itertools.pairwise(shares))
    if len(shares) > WAVES_MAX + 1 or not is_rising or shares[-1] != WHOLE_BP:
        raise RolloutUnfit(f"waves are up to {WAVES_MAX} ascending shares of all, the last of them 100%")
    with store.transaction() as statements:
        number = give(statements, signer, by, draft, now_ms, held=True)
        rows = statements.execute("SELECT id, terminal FROM told WHERE dispatch = ?", (number,)).fetchall()
        order = sorted(rows, key=lambda row: hashlib.sha256(f"{number}/{row[1]}".encode()).digest())
        for place, (id_, _) in enumerate(order):
            wave = next(n for n, share in enumerate(plan.waves_bp) if place * WHOLE_BP < share * len(order))
            statements.execute("UPDATE told SET wave = ? WHERE id = ?", (wave, id_))
        statements.execute(
            "INSERT INTO rollout (dispatch, waves, stop_bp, silent_ms, rest_ms, state, wave) VALUES (?, ?, ?, ?, ?, ?, -1)",
            (
                number,
                msgspec.json.encode(plan.waves_bp).decode(),
                plan.stop_bp,
                plan.silent_ms,
                plan.rest_ms,
                "running",
            ),
        )
        note(
            statements, signer, now_ms=now_ms, who=by.name, action="rollout-start", outcome="begun",
            about={"number": number, "order": draft.kind, "waves_bp": list(plan.waves_bp), "stop_bp": plan.stop_bp},
        )  # fmt: skip
    return number


def change(
    store: Store, signer: Signer, by: Operator, number: int, to: State, now_ms: int, *, stop_bp: int | None = None
) -> None:
    """Pauses a roll-out, goes on with it, or gives it up (`to`). Raises Refused, DatabaseError."""
    befores: dict[State, tuple[State, ...]] = {
        "paused": ("running",), "running": ("paused", "stopped"), "aborted": ("running", "paused", "stopped"),
    }  # fmt: skip
    with store.transaction() as statements:
        row = statements.execute(
            "SELECT kind, rollout.state FROM rollout JOIN dispatch ON number = dispatch WHERE number = ?", (number,)
        ).fetchone()
        if row is None:
            raise DispatchUnknown(f"order {number} is no roll-out")
        role_for(by, ORDERS[row[0]])
        if row[1] not in befores[to]:
            raise RolloutUnfit(f"roll-out {number} is {row[1]}")
        statements.execute(
            "UPDATE rollout SET state = ?, why = ?, stop_bp = coalesce(CAST(? AS BIGINT), stop_bp), quiet_ms = NULL"
            " WHERE dispatch = ? AND state = ?",
            (to, f"by {by.name}", stop_bp, number, row[1]),
        )
        if to == "aborted":
            take_back(statements, number, now_ms)
        about = {"number": number} | ({} if stop_bp is None else {"stop_bp": stop_bp})
        action = {"paused": "rollout-pause", "running": "rollout-resume", "aborted": "rollout-abort"}[to]
        note(statements, signer, now_ms=now_ms, who=by.name, action=action, outcome="done", about=about)


def advance(statements: Statements, signer: Signer, number: int, now_ms: int) -> None:
    """Lets a running roll-out go on as far as it may."""
    row = statements.execute(
        # It changes nothing, and keeps every other collector from the row until the transaction's end.
        "UPDATE rollout SET wave = wave WHERE dispatch = ? AND state = 'running'"
        " RETURNING waves, stop_bp, silent_ms, rest_ms, wave, quiet_ms",
        (number,),
    ).fetchone()
    (state,) = statements.execute("SELECT state FROM dispatch WHERE number = ?", (number,)).fetchone()
    if row is None or state != "open":
        return
    waves, stop_bp, silent_ms, rest_ms, wave, quiet_ms = row
    tally = tally_of(statements, number, wave, silent_ms, now_ms)
    if tally.is_too_bad(stop_bp):
        why = f"{tally.failed} of {tally.told} failed and {tally.silent} did not answer"
        _set(statements, number, "stopped", why)
        note(statements, signer, now_ms=now_ms, who="", action="rollout-stop", outcome=why, about={"number": number})
    elif tally.under_way:
        statements.execute("UPDATE rollout SET quiet_ms = NULL WHERE dispatch = ?", (number,))
    elif wave >= 0 and quiet_ms is None and rest_ms:
        statements.execute("UPDATE rollout SET quiet_ms = ? WHERE dispatch = ?", (now_ms, number))
    elif wave >= 0 and rest_ms and now_ms - quiet_ms < rest_ms:
        return
    elif wave + 1 == len(msgspec.json.decode(waves)):
        _set(statements, number, "done", "")
    else:
        statements.execute("UPDATE rollout SET wave = ?, quiet_ms = NULL WHERE dispatch = ?", (wave + 1, number))
        count = sign_held(statements, signer, number, now_ms, wave + 1)
        about = {"number": number, "wave": wave + 1, "terminals": count}
        note(statements, signer, now_ms=now_ms, who="", action="rollout-wave", outcome="begun", about=about)


def tally_of(statements: Statements, number: int, wave: int, silent_ms: int, now_ms: int) -> Tally:
    """How a roll-out stands up to a wave."""
    rows: Sequence[tuple[str, int, int]] = statements.execute(
        "SELECT state, CASE WHEN signed_ms < ? THEN 1 ELSE 0 END, count(*) FROM told"
        " WHERE dispatch = ? AND wave <= ? AND state NOT IN ('held', 'cancelled') GROUP BY 1, 2",
        (now_ms - silent_ms, number, wave),
    ).fetchall()

    def total(wanted: Sequence[str], silent: int | None = None) -> int:
        return sum(count for state, late, count in rows if state in wanted and silent in (None, late))

    told = sum(count for _, _, count in rows)
    bad = tuple(ENDS - {"successful"})
    open_ = tuple({state for state, _, _ in rows} - ENDS)
    return Tally(
        told=told, successful=total(("successful",)), failed=total(bad), silent=total(open_, 1),
        under_way=total(open_, 0),
    )  # fmt: skip


def read_share(text: str) -> int:
    """A share such as ``2%`` or ``0.5%``, in basis points. Raises ValueError."""
    whole, _, part = text.strip().removesuffix("%").partition(".")
    if not text.strip().endswith("%") or not whole.isdecimal() or (part and not part.isdecimal()) or len(part) > 2:
        raise ValueError(f"{text!r} is no share such as 1% or 0.5%")
    share = int(whole) * 100 + int(part.ljust(2, "0") or "0")
    if share > WHOLE_BP:
        raise ValueError(f"{text!r} is more than all")
    return share


def _set(statements: Statements, number: int, state: State, why: str) -> None:
    statements.execute("UPDATE rollout SET state = ?, why = ? WHERE dispatch = ?", (state, why, number))
