"""Orders to terminals, as headquarters keeps them: given, agreed to, signed, told, answered, over. No broker here.

An order to many terminals is one dispatch; what one terminal is told is signed for it alone, under a number of its own
(`core.orders.Window`). Numbers follow headquarters' clock and never fall, so that a database that was restored uses none
again. Everything is in the database before anything is published, so that whoever publishes (`fleet.courier`) may be
killed at any instant, and told twice a terminal does it once.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from core.card import holds_card, wipe
from core.orders import HELD, ORDERS, Kind, Order, OrderError, check_order, encode_order
from core.ports import Signer
from fleet.audit import TEXT_MAX, note
from fleet.operators import Operator, RoleNeeded
from fleet.refusal import Refused
from fleet.registry import Filter, chosen
from fleet.store import Statements, Store, Table

VALID_MS = 24 * 3_600_000
"""How long an order is good unless something else is said."""
VALID_MS_MAX = 90 * 24 * 3_600_000
PENDING_MS = 24 * 3_600_000
"""How long an order waits for a second person."""
TERMINALS_MAX = 100_000
_TOLD = Table(
    name="told",
    columns=("id", "dispatch", "terminal", "kind", "wave", "state", "changed_ms"),
    types=("text", "bigint", "text", "text", "bigint", "text", "bigint"),
)
_encoder = msgspec.json.Encoder(order="deterministic")


class OrderUnfit(Refused):
    """There is no such order, or its parameters or its time are not those that it takes."""

    code: ClassVar[str] = "order-unfit"
    remedy: ClassVar[str] = "`terminald-fleet orders kinds` names the orders and what each takes."


class DispatchUnknown(Refused):
    """There is no order of this number, or nothing can be done about it any more."""

    code: ClassVar[str] = "order-not-open"
    remedy: ClassVar[str] = "`terminald-fleet orders list` names those that there are."


class SamePerson(Refused):
    """Who gave an order that takes two persons cannot agree to it."""

    code: ClassVar[str] = "second-person-needed"
    remedy: ClassVar[str] = "Another operator with the role gives `terminald-fleet orders approve`."


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be ordered, and of whom. `valid_ms` counts from when it is signed, or from `not_before_ms`."""

    kind: str
    params: Mapping[str, Any]
    wanted: Filter
    valid_ms: int = VALID_MS
    not_before_ms: int = 0
    why: str = ""


def give(statements: Statements, signer: Signer, by: Operator, draft: Draft, now_ms: int, *, held: bool = False) -> int:
    """Gives an order; its number. `held`: nothing is signed yet, whatever the order. Raises Refused.

    Where it takes two persons it waits for the second, and nothing is signed before.
    """
    kind, params, role = _checked(by, draft)
    if not 0 < draft.valid_ms <= VALID_MS_MAX:
        raise OrderUnfit(f"an order is good for more than nothing, and for {VALID_MS_MAX // 86_400_000} days at most")
    if len(draft.why) > TEXT_MAX:
        raise OrderUnfit(f"a reason has {TEXT_MAX} characters at most")
    terminals = chosen(statements, draft.wanted)
    if len(terminals) > TERMINALS_MAX:
        raise OrderUnfit(f"an order goes to {TERMINALS_MAX} terminals at most")
    state = "pending" if kind.persons == 2 else "open"
    (number,) = statements.execute(
        "INSERT INTO dispatch (kind, params, role, issuer, why, state, not_before_ms, valid_ms, made_ms, released_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
        (
            draft.kind, _encoder.encode(params).decode(), role, by.name, wipe(draft.why), state, draft.not_before_ms,
            draft.valid_ms, now_ms, None if state == "pending" else now_ms,
        ),
    ).fetchone()  # fmt: skip
    add_terminals(statements, int(number), draft.kind, terminals, now_ms)
    if state == "open" and not held:
        sign_held(statements, signer, number, now_ms)
    outcome = "waits for a second person" if state == "pending" else "given"
    about = {"number": number, "order": draft.kind, "params": params, "why": draft.why}
    note(
        statements,
        signer,
        now_ms=now_ms,
        who=by.name,
        action="order",
        outcome=outcome,
        terminals=terminals,
        about=about,
    )
    return int(number)


def add_terminals(statements: Statements, number: int, kind: str, terminals: Iterable[str], now_ms: int) -> None:
    """An order is for these too; nothing is signed yet."""
    rows = [(_new_id(), number, terminal, kind, 0, "held", now_ms) for terminal in terminals]
    statements.insert(_TOLD, rows, fresh=True)


def to_file(
    store: Store,
    signer: Signer,
    by: Operator,
    terminal: str,
    kind: str,
    params: Mapping[str, Any],
    valid_ms: int,
    now_ms: int,
) -> bytes:
    """An order that people carry to a terminal (`Kind.by_file`), signed. Raises Refused, DatabaseError."""
    role = role_for(by, _kind(kind))
    with store.transaction() as statements:
        (epoch,) = statements.execute("SELECT generation FROM headquarters").fetchone()
        order = Order(
            terminal=terminal, order=kind, counter=_next_number(statements, terminal, now_ms), role=role, epoch=epoch,
            not_after_ms=now_ms + valid_ms, issued_ms=now_ms, params=dict(params), issuer=by.name,
        )  # fmt: skip
        try:
            check_order(order)
        except OrderError as error:
            raise OrderUnfit(str(error)) from error
        about = {"order": kind, "params": dict(params)}
        note(
            statements, signer, now_ms=now_ms, who=by.name, action="order-file", outcome="signed", terminals=(terminal,),
            about=about,
        )  # fmt: skip
    return encode_order(order, signer.sign)


def approve(store: Store, signer: Signer, by: Operator, number: int, now_ms: int) -> None:
    """Agrees to an order that takes two persons, and has it told. Raises Refused, DatabaseError."""
    with store.transaction() as statements:
        row = _dispatch(statements, number)
        if row.state != "pending" or now_ms - row.made_ms > PENDING_MS:
            raise DispatchUnknown(f"order {number} does not wait for anybody: it is {row.state}")
        if row.issuer == by.name:
            raise SamePerson(f"order {number} was given by {by.name}")
        role_for(by, ORDERS[row.kind])
        taken = statements.execute(
            "UPDATE dispatch SET state = 'open', seconded = ?, released_ms = ? WHERE number = ? AND state = 'pending'",
            (by.name, now_ms, number),
        )
        if not taken.rowcount:
            raise DispatchUnknown(f"order {number} was decided about just now")
        if statements.execute("SELECT 1 FROM rollout WHERE dispatch = ?", (number,)).fetchone() is None:
            sign_held(statements, signer, number, now_ms)
        note(
            statements, signer, now_ms=now_ms, who=row.issuer, action="order-approve", outcome="given",
            approved_by=by.name, terminals=terminals_of(statements, number), about={"number": number, "order": row.kind},
        )  # fmt: skip


def cancel(store: Store, signer: Signer, by: Operator, number: int, now_ms: int) -> int:
    """Takes an order back from those who have not begun it; how many those are. Raises Refused, DatabaseError."""
    with store.transaction() as statements:
        row = _dispatch(statements, number)
        role_for(by, ORDERS[row.kind])
        if row.state not in ("pending", "open"):
            raise DispatchUnknown(f"order {number} is over: it is {row.state}")
        if row.state == "pending":
            statements.execute(
                "UPDATE dispatch SET state = 'cancelled', ended_ms = ? WHERE number = ?", (now_ms, number)
            )
        statements.execute(
            "UPDATE rollout SET state = 'aborted', why = ? WHERE dispatch = ? AND state <> 'done'",
            (f"cancelled by {by.name}", number),
        )
        count = take_back(statements, number, now_ms)
        about = {"number": number, "order": row.kind, "taken_back": count}
        note(statements, signer, now_ms=now_ms, who=by.name, action="order-cancel", outcome="done", about=about)
    return count


def sign_held(statements: Statements, signer: Signer, number: int, now_ms: int, wave: int | None = None) -> int:
    """Signs what a dispatch holds back, or a wave of it, each under the terminal's next number; how many."""
    row = _dispatch(statements, number)
    rows = statements.execute(
        "SELECT id, terminal FROM told WHERE dispatch = ? AND state = 'held' AND wave <= ? ORDER BY terminal",
        (number, 1 << 31 if wave is None else wave),
    ).fetchall()
    (epoch,) = statements.execute("SELECT generation FROM headquarters").fetchone()
    params = msgspec.json.decode(row.params)
    not_after_ms = max(now_ms, row.not_before_ms) + row.valid_ms
    for id_, terminal in rows:
        order = Order(
            terminal=terminal, order=row.kind, counter=_next_number(statements, terminal, now_ms), role=row.role,
            not_before_ms=row.not_before_ms, not_after_ms=not_after_ms, params=params, id=id_, epoch=epoch,
            issued_ms=now_ms, issuer=row.issuer, seconded=row.seconded,
        )  # fmt: skip
        check_order(order)
        statements.execute(
            "UPDATE told SET state = 'signed', kept = 1, payload = ?, not_after_ms = ?, signed_ms = ?, changed_ms = ?"
            " WHERE id = ?",
            (encode_order(order, signer.sign), not_after_ms, now_ms, now_ms, id_),
        )
    return len(rows)


def take_back(statements: Statements, number: int, now_ms: int) -> int:
    """What no terminal has begun with is cancelled, and comes off the broker; how many."""
    return statements.execute(
        "UPDATE told SET state = 'cancelled', changed_ms = ?, claimed_ms = 0 WHERE dispatch = ?"
        " AND state IN ('held', 'signed', 'published')",
        (now_ms, number),
    ).rowcount


def role_for(by: Operator, kind: Kind) -> str:
    """The role in whose name somebody may give an order. Raises RoleNeeded."""
    for role in by.roles:
        if kind.role in HELD.get(role, ()):
            return role
    raise RoleNeeded(f"this takes the role {kind.role}, and {by.name} is {', '.join(by.roles)}")


def terminals_of(statements: Statements, number: int) -> list[str]:
    """To whom an order goes."""
    rows = statements.execute("SELECT terminal FROM told WHERE dispatch = ? ORDER BY terminal", (number,)).fetchall()
    return [terminal for (terminal,) in rows]


def read_params(kind: str, given: Iterable[str]) -> dict[str, Any]:
    """The parameters of ``NAME=VALUE`` each; one that takes several gets them between commas. Raises OrderUnfit."""
    wanted = _kind(kind).params
    fields = {field.name: field for field in msgspec.structs.fields(wanted)}
    said: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or name not in fields or name in said:
            takes = ", ".join(fields) or "no parameters"
            raise OrderUnfit(f"{each[:80]!r}: {kind} takes {takes}, each as NAME=VALUE and once")
        is_many = isinstance(fields[name].default, tuple)
        said[name] = [part.strip() for part in value.split(",") if part.strip()] if is_many else value
    try:
        params = msgspec.convert(said, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise OrderUnfit(f"{kind}: {error}") from error
    full: dict[str, Any] = msgspec.json.decode(_encoder.encode(params))
    return {name: value for name, value in full.items() if name in said}


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    kind: str
    params: str
    role: str
    issuer: str
    seconded: str
    state: str
    not_before_ms: int
    valid_ms: int
    made_ms: int


def _dispatch(statements: Statements, number: int) -> _Row:
    names = _Row.__struct_fields__
    row = statements.execute(f"SELECT {', '.join(names)} FROM dispatch WHERE number = ?", (number,)).fetchone()  # noqa: S608 # our own names
    if row is None:
        raise DispatchUnknown(f"there is no order {number}")
    return msgspec.convert(dict(zip(names, row, strict=True)), _Row)


def _kind(name: str) -> Kind:
    kind = ORDERS.get(name)
    if kind is None:
        raise OrderUnfit(f"there is no order {name[:40]!r}; there are {', '.join(ORDERS)}")
    return kind


def _checked(by: Operator, draft: Draft) -> tuple[Kind, dict[str, Any], str]:
    """Looks at it as a terminal would, before any is told."""
    kind = _kind(draft.kind)
    if kind.by_file:
        raise OrderUnfit(f"{draft.kind} comes by a file: `terminald-fleet order {draft.kind}` writes it")
    role = role_for(by, kind)
    specimen = Order(
        terminal="any", order=draft.kind, counter=1, not_after_ms=1, role=role, params=dict(draft.params), id="specimen",
        issuer=by.name, seconded=" " if kind.persons == 2 else "",
    )  # fmt: skip
    try:
        check_order(specimen)
    except OrderError as error:
        raise OrderUnfit(str(error)) from error
    return kind, dict(draft.params), role


def _new_id() -> str:
    """16 hex digits that no one takes for a card's number."""
    while holds_card(id_ := secrets.token_hex(8)):
        pass
    return id_


def _next_number(statements: Statements, terminal: str, now_ms: int) -> int:
    statements.execute(
        "INSERT INTO order_counter (terminal, counter) VALUES (?, 0) ON CONFLICT DO NOTHING", (terminal,)
    )
    row: Sequence[int] = statements.execute(
        "UPDATE order_counter SET counter = CASE WHEN counter < ? THEN ? ELSE counter + 1 END WHERE terminal = ?"
        " RETURNING counter",
        (now_ms, now_ms, terminal),
    ).fetchone()
    return row[0]
