"""What is to be published of orders, what terminals answered, and what time does to those that nobody answers.

Each function is one transaction, may be run by several collectors at once, and run again changes nothing: a claim keeps two
from publishing the same at once, and lapses when whoever made it dies.
"""

from collections.abc import Sequence

import msgspec

from core import topics
from core.card import wipe, wipe_all
from core.order_results import ENDS, Result
from core.orders import ORDERS
from core.ports import Signer
from fleet.audit import note
from fleet.dispatch import PENDING_MS, DispatchUnknown, role_for
from fleet.operators import Operator
from fleet.recalls import reach_the_new
from fleet.registry import retire
from fleet.rollout import advance
from fleet.store import Statements, Store

CLAIM_MS = 30_000
PUBLISH_MAX = 100
"""Orders that are published, and as many that are taken off the broker, in one turn."""
GRACE_MS = 60_000
"""So long after its end a terminal may still say what became of an order; then it counts as not answered."""
RUNNING_MS_MAX = 3_600_000
"""And so long where it had begun."""
SILENT = "no-answer"
"""The code of an order that no terminal said the end of."""
_OVER = "('successful', 'failed', 'rejected', 'expired', 'cancelled')"
assert all(f"'{end}'" in _OVER for end in ENDS)
_UNDER_WAY = "('held', 'signed', 'published', 'accepted', 'waiting', 'running')"
"""All the others. What is over is mostly cleared: it is not to be found by its state, of which there are millions."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal's word about an order, as it came."""

    terminal: str
    kind: str
    result: Result


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """Something to publish, retained: an order, or nothing (`clears`) in place of one that is over."""

    id: str
    topics: tuple[str, ...]
    payload: bytes
    expiry_s: int | None
    clears: bool


def record(store: Store, heard: Sequence[Heard], now_ms: int) -> bool:
    """Writes down what terminals said; whether any of it was news. Raises DatabaseError.

    What is no word about an order of ours is passed over.
    """
    with store.transaction() as statements:
        news = [_record(statements, each, now_ms) for each in heard]
    return any(news)


def claim(store: Store, now_ms: int) -> list[Outgoing]:
    """What is to be published now; nobody else publishes it meanwhile. Raises DatabaseError."""
    with store.transaction() as statements:
        rows = [
            row
            for which in ("state = 'signed'", f"kept = 1 AND state NOT IN {_UNDER_WAY}")
            for row in statements.execute(
                "SELECT id, terminal, kind, state, payload, not_after_ms FROM told"  # noqa: S608 # our own names
                f" WHERE {which} AND claimed_ms < ? LIMIT ?",
                (now_ms - CLAIM_MS, PUBLISH_MAX),
            ).fetchall()
        ]
        claimed = []
        for id_, terminal, kind, state, payload, not_after_ms in rows:
            taken = statements.execute(
                "UPDATE told SET claimed_ms = ? WHERE id = ? AND state = ? AND claimed_ms < ?",
                (now_ms, id_, state, now_ms - CLAIM_MS),
            ).rowcount
            if taken:
                claimed.append(_outgoing(id_, terminal, kind, state, payload, not_after_ms, now_ms))
    return claimed


def published(store: Store, done: Sequence[Outgoing], now_ms: int) -> None:
    """The broker has taken these. Raises DatabaseError."""
    with store.transaction() as statements:
        for each in done:
            if each.clears:
                statements.execute(f"UPDATE told SET kept = 0 WHERE id = ? AND state IN {_OVER}", (each.id,))  # noqa: S608 # our own names
            else:
                statements.execute(
                    "UPDATE told SET state = 'published', changed_ms = ? WHERE id = ? AND state = 'signed'",
                    (now_ms, each.id),
                )
                # Taken back while it was under way to the broker: it lies there now, and has to come off.
                statements.execute(
                    f"UPDATE told SET kept = 1, claimed_ms = 0 WHERE id = ? AND state IN {_OVER}",  # noqa: S608 # our own names
                    (each.id,),
                )


def publish_again(store: Store, now_ms: int) -> None:
    """Whatever no terminal has taken yet goes to the broker once more: it may have lost it. Raises DatabaseError.

    What was claimed for the connection before is free too: to publish twice does no harm.
    """
    with store.transaction() as statements:
        statements.execute("UPDATE told SET claimed_ms = 0 WHERE kept = 1 AND claimed_ms > 0")
        statements.execute(
            "UPDATE told SET state = 'signed', claimed_ms = 0 WHERE state = 'published' AND not_after_ms > ?", (now_ms,)
        )


def sweep(store: Store, signer: Signer, now_ms: int) -> None:
    """What time does: orders end, waves go on, what is all over is noted. Raises DatabaseError."""
    with store.transaction() as statements:
        _expire(statements, now_ms)
        _lapse(statements, signer, now_ms)
        for (number,) in statements.execute("SELECT dispatch FROM rollout WHERE state = 'running'").fetchall():
            advance(statements, signer, number, now_ms)
        reach_the_new(statements, signer, now_ms)
        _finish(statements, signer, now_ms)


def clear_again(store: Store, signer: Signer, by: Operator, number: int, now_ms: int) -> int:
    """Has whatever is over of an order taken off the broker once more; how many terminals that is. Raises Refused."""
    with store.transaction() as statements:
        row = statements.execute("SELECT kind FROM dispatch WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise DispatchUnknown(f"there is no order {number}")
        role_for(by, ORDERS[row[0]])
        count = statements.execute(
            f"UPDATE told SET kept = 1, claimed_ms = 0 WHERE dispatch = ? AND state IN {_OVER} AND payload IS NOT NULL",  # noqa: S608 # our own names
            (number,),
        ).rowcount
        about = {"number": number, "terminals": count}
        note(statements, signer, now_ms=now_ms, who=by.name, action="order-clear", outcome="done", about=about)
    return count


def _record(statements: Statements, heard: Heard, now_ms: int) -> bool:
    result = heard.result
    row = statements.execute(
        "SELECT state, answered, said_ms FROM told WHERE id = ? AND terminal = ? AND kind = ?",
        (result.id, heard.terminal, heard.kind),
    ).fetchone()
    if row is None or result.state == "init" or result.order != heard.kind:
        return False
    state, answered, said_ms = row
    ends = result.state in ENDS
    if answered or (not ends and (result.ts < said_ms or state in ENDS or state == "cancelled")):
        return False
    statements.execute(
        "UPDATE told SET state = ?, code = ?, said = ?, output = ?, answered = ?, kept = 1, changed_ms = ?, said_ms = ?,"
        " claimed_ms = CASE WHEN ? = 1 THEN 0 ELSE claimed_ms END WHERE id = ? AND answered = 0",
        (
            result.state, wipe(result.code)[:64], wipe(result.text),
            msgspec.json.encode(wipe_all(result.output)).decode() if result.output else "", int(ends), now_ms,
            min(max(result.ts, 0), 1 << 53), int(ends), result.id,
        ),
    )  # fmt: skip
    if heard.kind == "retire" and result.state == "successful":
        retire(statements, heard.terminal, now_ms)
    return bool(result.state != state)


def _outgoing(
    id_: str, terminal: str, kind: str, state: str, payload: bytes, not_after_ms: int, now_ms: int
) -> Outgoing:
    topic = topics.order(terminal, kind, id_)
    if state != "signed":
        return Outgoing(
            id=id_, topics=(topic, topics.result(terminal, kind, id_)), payload=b"", expiry_s=None, clears=True
        )
    left_s = max(1, -(-(not_after_ms - now_ms) // 1000))
    return Outgoing(id=id_, topics=(topic,), payload=payload, expiry_s=left_s, clears=False)


def _expire(statements: Statements, now_ms: int) -> None:
    for states, grace_ms, end in (
        ("('signed', 'published', 'accepted', 'waiting')", GRACE_MS, "expired"),
        ("('running')", RUNNING_MS_MAX, "failed"),
    ):
        statements.execute(
            f"UPDATE told SET state = ?, code = ?, changed_ms = ?, claimed_ms = 0 WHERE state IN {states}"  # noqa: S608 # our own names
            " AND not_after_ms < ?",
            (end, SILENT, now_ms, now_ms - grace_ms),
        )


def _lapse(statements: Statements, signer: Signer, now_ms: int) -> None:
    rows = statements.execute(
        "UPDATE dispatch SET state = 'lapsed', ended_ms = ? WHERE state = 'pending' AND made_ms < ? RETURNING number, kind",
        (now_ms, now_ms - PENDING_MS),
    ).fetchall()
    for number, kind in rows:
        statements.execute(
            "UPDATE told SET state = 'cancelled', changed_ms = ? WHERE dispatch = ? AND state = 'held'",
            (now_ms, number),
        )
        statements.execute("UPDATE rollout SET state = 'aborted', why = 'nobody agreed' WHERE dispatch = ?", (number,))
        about = {"number": number, "order": kind}
        note(statements, signer, now_ms=now_ms, who="", action="order-lapsed", outcome="nobody agreed", about=about)


def _finish(statements: Statements, signer: Signer, now_ms: int) -> None:
    """A dispatch of whose orders none is under way is done: what came of them goes into the log."""
    rows = statements.execute(
        "UPDATE dispatch SET state = 'done', ended_ms = ? WHERE state = 'open' AND NOT EXISTS"  # noqa: S608 # our own names
        f" (SELECT 1 FROM told WHERE told.dispatch = dispatch.number AND told.state NOT IN {_OVER})"
        " RETURNING number, kind, issuer, seconded",
        (now_ms,),
    ).fetchall()
    for number, kind, issuer, seconded in rows:
        counts = statements.execute(
            "SELECT state, count(*) FROM told WHERE dispatch = ? GROUP BY state ORDER BY state", (number,)
        ).fetchall()
        outcome = ", ".join(f"{count} {state}" for state, count in counts)
        note(
            statements, signer, now_ms=now_ms, who=issuer, action="order-done", outcome=outcome, approved_by=seconded,
            about={"number": number, "order": kind},
        )  # fmt: skip
