"""Who may give orders at headquarters: named people with roles and passwords.

There is no password by default, and the first operator is made explicitly. A try is counted, durably, before the password
is looked at; after five in vain none is looked at for half an hour (PCI DSS 8.3.4 allows ten). The time is headquarters'
wall clock, because a database server and the machines that ask it share no other.
"""

import enum
import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from core.card import holds_card
from core.ports import Signer
from fleet.audit import note
from fleet.refusal import Refused
from fleet.store import Address, Statements, Store, reading

TRIES_MAX = 5
LOCK_MS = 30 * 60 * 1000
PASSWORD_CHARACTERS_MIN = 12
PASSWORD_BYTES_MAX = 256
_NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_COLUMNS = "name, roles, locked_until_ms, disabled"
_TRY = (
    "UPDATE fleet_operator SET failures = CASE WHEN locked_until_ms > ? THEN failures"  # noqa: S608 # our own names
    " WHEN locked_until_ms > 0 THEN 1 ELSE failures + 1 END,"
    " locked_until_ms = CASE WHEN locked_until_ms > ? THEN locked_until_ms ELSE 0 END"
    f" WHERE name = ? RETURNING hash, failures, {_COLUMNS}"
)
# 19 MiB, t=2, p=1: OWASP Password Storage Cheat Sheet.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class Role(enum.StrEnum):
    """What somebody may do. Roles stand beside each other: whoever needs several has several."""

    AUDITOR = "auditor"
    """Looks, and orders nothing."""
    SUPPORT = "support"
    """Has terminals tell, restart and repair what harms no sale."""
    MANAGER = "manager"
    """Decides about goods, prices, staff and configuration. Has what support has."""
    SECURITY = "security"
    """Decides about keys, locking and retirement. Has what support has."""
    ADMIN = "admin"
    """Looks after the operators of headquarters."""


class OperatorRefused(Refused):
    """The operator is not known, disabled, or gave a wrong password."""

    code: ClassVar[str] = "operator-refused"
    remedy: ClassVar[str] = "`terminald-fleet operator list` names them; an admin gives another password."


class OperatorLocked(Refused):
    """Too many wrong passwords: none is looked at for a while."""

    code: ClassVar[str] = "operator-locked"
    remedy: ClassVar[str] = "Wait, or have an admin give another password, which opens the lock."


class RoleNeeded(Refused):
    """The operator has not the role that this takes."""

    code: ClassVar[str] = "role-needed"
    remedy: ClassVar[str] = "Ask somebody who has it, or an admin for the role: `terminald-fleet operator role`."


class OperatorUnfit(Refused):
    """The operators cannot be changed like this."""

    code: ClassVar[str] = "operator-unfit"
    remedy: ClassVar[str] = "Nothing was changed; give the command again with what the message asks for."


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody. `locked_until_ms` is 0 or Unix time."""

    name: str
    roles: tuple[Role, ...]
    locked_until_ms: int
    disabled: bool

    def needs(self, *roles: Role) -> None:
        """Raises RoleNeeded where the operator has none of them."""
        if not set(roles) & set(self.roles):
            raise RoleNeeded(f"this takes the role {' or '.join(roles)}, and {self.name} is {', '.join(self.roles)}")


def make_first(store: Store, signer: Signer, name: str, password: str, now_ms: int) -> None:
    """Makes the first operator, an admin. Raises OperatorUnfit, DatabaseError."""
    _check_name(name)
    _check_password(name, password)
    hash_ = _hasher.hash(password)
    with store.transaction() as statements:
        about = {"operator": name, "roles": "admin", "first": True}
        note(statements, signer, now_ms=now_ms, who="", action="operator-add", outcome="done", about=about)
        # After the note, which lets one writer in at a time: of two first operators one is too late.
        if statements.execute("SELECT 1 FROM fleet_operator").fetchone() is not None:
            raise OperatorUnfit("there are operators already: an admin makes the others, with --as")
        _insert(statements, name, (Role.ADMIN,), hash_, now_ms)


def sign_in(store: Store, signer: Signer, name: str, password: str, now_ms: int) -> Operator:
    """Who it is, by the password. Raises OperatorRefused, OperatorLocked, DatabaseError.

    The try is on the medium before the password is looked at.
    """
    with store.transaction() as statements:
        row = statements.execute(_TRY, (now_ms, now_ms, name)).fetchone()
        if row is None:
            raise OperatorRefused(f"there is no operator {name!r}")
        hash_, failures, found = row[0], row[1], _operator(row[2:])
        if not found.locked_until_ms and failures >= TRIES_MAX:
            statements.execute("UPDATE fleet_operator SET locked_until_ms = ? WHERE name = ?", (now_ms + LOCK_MS, name))
    if found.locked_until_ms:
        minutes = -(-(found.locked_until_ms - now_ms) // 60_000)
        raise OperatorLocked(f"no password of {name} is looked at for {minutes} more minutes")
    if not _is_right(hash_, password):
        _note_refusal(store, signer, name, "locked" if failures >= TRIES_MAX else "wrong password", now_ms)
        left = TRIES_MAX - failures
        raise OperatorRefused(
            f"that is not the password of {name}; " + (f"tries left: {left}" if left else "it is locked now")
        )
    if found.disabled:
        _note_refusal(store, signer, name, "disabled", now_ms)
        raise OperatorRefused(f"{name} is disabled")
    with store.transaction() as statements:
        statements.execute("UPDATE fleet_operator SET failures = 0, locked_until_ms = 0 WHERE name = ?", (name,))
    return found


def add(
    store: Store, signer: Signer, by: Operator, name: str, roles: Sequence[Role], password: str, now_ms: int
) -> None:
    """Makes an operator. Raises RoleNeeded, OperatorUnfit, DatabaseError."""
    by.needs(Role.ADMIN)
    _check_name(name)
    _check_password(name, password)
    hash_ = _hasher.hash(password)
    with store.transaction() as statements:
        if statements.execute("SELECT 1 FROM fleet_operator WHERE name = ?", (name,)).fetchone() is not None:
            raise OperatorUnfit(f"there is an operator {name} already")
        _insert(statements, name, roles, hash_, now_ms)
        about = {"operator": name, "roles": _words(roles)}
        note(statements, signer, now_ms=now_ms, who=by.name, action="operator-add", outcome="done", about=about)


def change_roles(store: Store, signer: Signer, by: Operator, name: str, roles: Sequence[Role], now_ms: int) -> None:
    """Gives an operator other roles. Raises RoleNeeded, OperatorUnfit, DatabaseError."""
    by.needs(Role.ADMIN)
    with store.transaction() as statements:
        _change(statements, name, "roles = ?", _words(roles))
        about = {"operator": name, "roles": _words(roles)}
        note(statements, signer, now_ms=now_ms, who=by.name, action="operator-role", outcome="done", about=about)
        _refuse_without_admin(statements)


def disable(store: Store, signer: Signer, by: Operator, name: str, now_ms: int, *, back: bool = False) -> None:
    """Keeps an operator out, or lets one in again (`back`). Raises RoleNeeded, OperatorUnfit, DatabaseError."""
    by.needs(Role.ADMIN)
    with store.transaction() as statements:
        _change(statements, name, "disabled = ?", 0 if back else 1)
        action = "operator-enable" if back else "operator-disable"
        note(statements, signer, now_ms=now_ms, who=by.name, action=action, outcome="done", about={"operator": name})
        _refuse_without_admin(statements)


def change_password(store: Store, signer: Signer, by: Operator, name: str, password: str, now_ms: int) -> None:
    """Gives a new password and opens the lock: one's own, or as an admin anybody's. Raises Refused, DatabaseError."""
    if by.name != name:
        by.needs(Role.ADMIN)
    _check_password(name, password)
    hash_ = _hasher.hash(password)
    with store.transaction() as statements:
        _change(statements, name, "failures = 0, locked_until_ms = 0, hash = ?", hash_)
        about = {"operator": name}
        note(statements, signer, now_ms=now_ms, who=by.name, action="operator-password", outcome="done", about=about)


def listed(address: Address) -> list[Operator]:
    """All of them, by name. Raises DatabaseError."""
    with reading(address) as statements:
        rows = statements.execute(f"SELECT {_COLUMNS} FROM fleet_operator ORDER BY name").fetchall()  # noqa: S608 # our own names
    return [_operator(row) for row in rows]


def _operator(row: Sequence[object]) -> Operator:
    name, roles, locked_until_ms, disabled = row
    return msgspec.convert(
        {"name": name, "roles": str(roles).split(), "locked_until_ms": locked_until_ms, "disabled": bool(disabled)},
        Operator,
    )


def _words(roles: Iterable[Role]) -> str:
    return " ".join(sorted(set(roles)))


def _insert(statements: Statements, name: str, roles: Iterable[Role], hash_: str, now_ms: int) -> None:
    statements.execute(
        "INSERT INTO fleet_operator (name, roles, hash, made_ms) VALUES (?, ?, ?, ?)",
        (name, _words(roles), hash_, now_ms),
    )


def _change(statements: Statements, name: str, setting: str, value: object) -> None:
    sql = f"UPDATE fleet_operator SET {setting} WHERE name = ?"  # noqa: S608 # our own words
    if not statements.execute(sql, (value, name)).rowcount:
        raise OperatorUnfit(f"there is no operator {name!r}")


def _refuse_without_admin(statements: Statements) -> None:
    """After the note, which lets one writer in at a time: two admins cannot put each other out at once."""
    rows = statements.execute("SELECT roles FROM fleet_operator WHERE disabled = 0").fetchall()
    if not any(Role.ADMIN in roles.split() for (roles,) in rows):
        raise OperatorUnfit("nobody would be left who may look after the operators")


def _is_right(hash_: str, password: str) -> bool:
    try:
        return _hasher.verify(hash_, password[: 2 * PASSWORD_BYTES_MAX])
    except (VerifyMismatchError, InvalidHashError):
        return False


def _note_refusal(store: Store, signer: Signer, name: str, why: str, now_ms: int) -> None:
    with store.transaction() as statements:
        note(statements, signer, now_ms=now_ms, who=name, action="sign-in", outcome=f"refused: {why}")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or holds_card(name):
        raise OperatorUnfit(f"{name!r} is no name: 2 to 32 of a-z, 0-9, dot, dash and underscore are, a letter first")


def _check_password(name: str, password: str) -> None:
    if len(password) < PASSWORD_CHARACTERS_MIN or len(password.encode()) > PASSWORD_BYTES_MAX:
        raise OperatorUnfit(
            f"a password has {PASSWORD_CHARACTERS_MIN} characters or more, {PASSWORD_BYTES_MAX} bytes at most"
        )
    if name in password.lower() or len(set(password.lower())) < PASSWORD_CHARACTERS_MIN // 2:
        raise OperatorUnfit("a password with the name in it, or of few different characters, is guessed first")
