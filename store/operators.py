"""Who may work at the till: ids, roles, PINs and badges, in the encrypted credentials. None of it goes into a record.

A PIN is checked as `store.credentials` says: counted first, five tries, half an hour. A badge is kept as a hash under the
pepper alone, so that the database tells nobody's tag; it says who somebody is, and what it opens is the till's rule.
"""

import re
from dataclasses import dataclass

from core.card import holds_card
from core.permissions import Operator, Role
from core.step import Badge
from store.credentials import PIN_DIGITS_MIN, Answer, Credentials, Moment, NotSet, refuse_weak

CASHIERS_PIN_DIGITS_MIN = 4
"""Who may allow things has as many as a technician."""
OPERATORS_MAX = 500
NAME_LENGTH_MAX = 60
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,7}")
"""Too short for a card's number."""
_RESERVED = ("key", "hq")
"""Who stands in records as having allowed what the key lock or headquarters did."""


class OperatorRefused(ValueError):
    """An operator cannot be made or changed so; `condition` is a message's id."""

    def __init__(self, condition: str) -> None:
        super().__init__(condition)
        self.condition = condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One operator as a supervisor sees him."""

    id: str
    role: Role
    name: str
    has_badge: bool
    locked_ms: int


class Operators:
    """The operators in a store of credentials. What looks at a PIN or sets one takes some tens of milliseconds."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def rows(self, now: Moment) -> list[Row]:
        """All that are there, by their ids."""
        rows = self._credentials.run("SELECT id, role, name, badge IS NOT NULL FROM operator WHERE active ORDER BY id")
        return [
            Row(
                id=id_,
                role=role,
                name=name,
                has_badge=bool(badge),
                locked_ms=self._credentials.locked_ms(_subject(id_), now),
            )
            for id_, role, name, badge in rows
        ]

    def has_supervisor(self) -> bool:
        """Whether anybody can make others."""
        return bool(self._credentials.run("SELECT 1 FROM operator WHERE active AND role = 'supervisor'"))

    def find(self, operator: str) -> Operator | None:
        """The operator of an id."""
        rows = self._credentials.run("SELECT id, role FROM operator WHERE active AND id = ?", operator)
        return Operator(id=rows[0][0], role=rows[0][1]) if rows else None

    def check(self, operator: str, pin: str, now: Moment) -> tuple[Operator | None, Answer]:
        """Whose id and PIN it is; the try is on the medium before it is made. Of an id that nobody has, NotSet."""
        found = self.find(operator)
        if found is None:
            return None, NotSet()
        return found, self._credentials.check(_subject(found.id), pin, now)

    def show_badge(self, badge: str, now: Moment) -> Badge | None:
        """Whose badge it is, by what a reader gave (hex)."""
        rows = self._credentials.run("SELECT id, role FROM operator WHERE active AND badge = ?", self._badge(badge))
        if not rows:
            return None
        operator = Operator(id=rows[0][0], role=rows[0][1])
        return Badge(operator=operator, locked_ms=self._credentials.locked_ms(_subject(operator.id), now))

    # --- changes: looked at first, by `refuse`, so that the journal says only what is done -----------------------------

    def refuse_new(self, operator: str, role: Role, pin: str, name: str) -> None:
        """Raises OperatorRefused or PinRefused where there can be no such operator."""
        if not _ID.fullmatch(operator) or operator.lower() in _RESERVED:
            raise OperatorRefused("operator-id-not-valid")
        if len(name) > NAME_LENGTH_MAX or not name.isprintable() or holds_card(name):
            raise OperatorRefused("name-not-valid")
        if self._credentials.run("SELECT 1 FROM operator WHERE id = ?", operator):
            raise OperatorRefused("operator-exists")
        (count,) = self._credentials.run("SELECT count(*) FROM operator WHERE active")[0]
        if count >= OPERATORS_MAX:
            raise OperatorRefused("too-many-operators")
        refuse_weak(pin, _digits_min(role))

    def refuse_change(self, operator: str, *, leaves: bool = False) -> Operator:
        """The operator. Raises OperatorRefused where there is none, or where nobody could make others any more."""
        found = self.find(operator)
        if found is None:
            raise OperatorRefused("no-such-operator")
        if found.role == "supervisor" and leaves:
            (count,) = self._credentials.run("SELECT count(*) FROM operator WHERE active AND role = 'supervisor'")[0]
            if count == 1:
                raise OperatorRefused("last-supervisor")
        return found

    def refuse_role(self, operator: str, role: Role, pin: str = "") -> None:
        """Raises OperatorRefused or PinRefused where the operator cannot have this role, with this PIN if there is one.

        A role whose PIN has more digits takes a new PIN: how many the present one has, nobody knows.
        """
        found = self.refuse_change(operator, leaves=role != "supervisor")
        if pin:
            refuse_weak(pin, _digits_min(role))
        elif _digits_min(role) > _digits_min(found.role):
            raise OperatorRefused("new-pin-needed")

    def refuse_pin(self, operator: str, pin: str) -> None:
        """Raises OperatorRefused or PinRefused where the operator cannot have this PIN."""
        refuse_weak(pin, _digits_min(self.refuse_change(operator).role))

    def refuse_badge(self, operator: str, badge: str) -> None:
        """Raises OperatorRefused where there is no such operator, or the badge is another's."""
        self.refuse_change(operator)
        others = "SELECT 1 FROM operator WHERE badge = ? AND id <> ?"
        if badge and self._credentials.run(others, self._badge(badge), operator):
            raise OperatorRefused("badge-of-other")

    def add(self, operator: str, role: Role, pin: str, name: str = "") -> None:
        """Makes an operator. Raises OperatorRefused, PinRefused."""
        self.refuse_new(operator, role, pin, name)
        with self._credentials.changing() as run:
            run("INSERT INTO operator (id, role, name) VALUES (?, ?, ?)", operator, role, name)
            self._credentials.put_pin(_subject(operator), pin)

    def claim(self, operator: str, pin: str, name: str = "") -> None:
        """Makes the first supervisor. Raises OperatorRefused where there is one, PinRefused."""
        if self.has_supervisor():
            raise OperatorRefused("already-claimed")
        self.add(operator, "supervisor", pin, name)

    def remove(self, operator: str) -> None:
        """Takes an operator out, with PIN and badge; his id stays taken. Raises OperatorRefused."""
        self.refuse_change(operator, leaves=True)
        with self._credentials.changing() as run:
            run("UPDATE operator SET active = 0, badge = NULL, name = '' WHERE id = ?", operator)
            run("DELETE FROM pin WHERE subject = ?", _subject(operator))

    def set_role(self, operator: str, role: Role, pin: str = "") -> None:
        """Gives another role, with a new PIN where one is given. Raises OperatorRefused, PinRefused."""
        self.refuse_role(operator, role, pin)
        with self._credentials.changing() as run:
            run("UPDATE operator SET role = ? WHERE id = ?", role, operator)
            if pin:
                self._credentials.put_pin(_subject(operator), pin)

    def set_pin(self, operator: str, pin: str) -> None:
        """Gives another PIN, and opens the lock. Raises OperatorRefused, PinRefused."""
        self.refuse_pin(operator, pin)
        self._credentials.set_pin(_subject(operator), pin, CASHIERS_PIN_DIGITS_MIN)

    def unlock(self, operator: str) -> None:
        """Opens the lock. Raises OperatorRefused."""
        self.refuse_change(operator)
        self._credentials.lift(_subject(operator))

    def set_badge(self, operator: str, badge: str) -> None:
        """Gives the badge that a reader gave (hex) in place of one given before. Raises OperatorRefused."""
        self.refuse_badge(operator, badge)
        self._credentials.run("UPDATE operator SET badge = ? WHERE id = ?", self._badge(badge), operator)

    def _badge(self, badge: str) -> bytes:
        return self._credentials.keyed("badge", badge.replace(":", "").lower())


def _subject(operator: str) -> str:
    return f"operator/{operator}"


def _digits_min(role: Role) -> int:
    return CASHIERS_PIN_DIGITS_MIN if role == "cashier" else PIN_DIGITS_MIN
