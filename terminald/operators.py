"""Who signs on: PINs and badges against the credentials, off the loop; the first owner's claim; and the till that is left alone.

What comes of a check goes to the engine as an event or as an approver; what somebody may do is the core's affair alone.
"""

import asyncio
import contextlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, assert_never

from core import entries as e
from core import events as v
from core import recovery
from core.permissions import Operator, Role
from core.ports import Clock
from core.state import Till
from core.step import Badge, Step
from store.credentials import Credentials, Denied, Granted, Locked, Moment, NotSet
from store.keys import Keys
from store.operators import OperatorRefused, Operators, Row
from terminald.config import Config

CLAIM_DIGITS = 8
CLAIM_TRIES_MAX = 5
"""After so many wrong ones another claim stands on the screen."""
REFUSED_S = 600.0
"""So long refused PINs are counted."""
REFUSED_MAX = 100
RECLAIM_S = 900.0
"""How long a till that has supervisors may be claimed anew, once that is allowed."""
ENROL_S = 30.0
"""How long a reader waits for the badge that is to become an operator's."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class TillEngine(Protocol):
    """What of the engine is needed here."""

    till: Till
    touched_ms: int

    def post(self, event: v.AnyEvent) -> None:
        """Queues a fact."""

    async def order(self, event: v.AnyEvent, key: str | None = None, approver: Operator | None = None) -> Step:
        """Queues an order and returns what came of it."""

    async def note(self, *entries: e.AnyEntry) -> None:
        """Keeps what is no event."""


def kernel_moment() -> Moment:
    """Now, by the clock that no setting of the time of day moves."""
    return Moment(boot=_BOOT.read_text().strip(), up_ms=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)


@contextlib.contextmanager
def open_operators(config: Config, keys: Keys) -> Iterator[Operators | None]:
    """The operators, where the configuration has any. Raises JournalError."""
    if config.operators is None:
        yield None
        return
    with Credentials(config.credentials, keys.credentials, keys.pin_pepper) as credentials:
        yield Operators(credentials)


class Staff:
    """The operators of a till. `changed` is called when a screen has something else to show; `recovery_public` is the
    organisation's recovery key, for the way back where nobody knows a supervisor's PIN."""

    def __init__(
        self,
        operators: Operators,
        *,
        clock: Clock,
        lock_after_s: int,
        changed: Callable[[], None],
        now: Callable[[], Moment] = kernel_moment,
        recovery_public: bytes | None = None,
    ) -> None:
        self._operators = operators
        self._clock = clock
        self._lock_after_s = lock_after_s
        self._changed = changed
        self._now = now
        self._enrolling: tuple[str, float] | None = None
        self._refused_s: deque[float] = deque(maxlen=REFUSED_MAX)
        self._claims_left = 0
        self._claim: str | None = None
        self._claim_until_s: float | None = None
        self._recovery_public = recovery_public
        self._secret: bytes | None = None
        self._codes_left = 0

    @property
    def claim(self) -> str | None:
        """What an owner types to show that he stands before the screen; None where there is one, and no way back is open."""
        over = self._claim_until_s is not None and self._clock.monotonic_s() >= self._claim_until_s
        return None if over else self._claim

    def open(self) -> None:
        """Looks whether there is an owner; without one a claim stands on the screen."""
        if not self._operators.has_supervisor():
            self._claim_anew()

    async def run(self, engine: TillEngine) -> None:
        """Locks a till that nobody has touched for too long; until cancelled."""
        while True:
            left_s = float(self._lock_after_s)
            if engine.till.operator is not None and not engine.till.locked:
                left_s -= self._clock.monotonic_s() - engine.touched_ms / 1000
                if left_s <= 0:
                    await engine.order(v.TillIdled())
                    continue
            await self._clock.sleep(left_s)  # whoever signs on meanwhile has all of it before him

    # --- who it is -----------------------------------------------------------------------------------------------

    async def check(self, operator: str, pin: str) -> v.OperatorChecked:
        """What comes of an id and a PIN."""
        found, answer = await asyncio.to_thread(self._operators.check, operator, pin, self._now())
        if not isinstance(answer, Granted):
            self._refused_s.append(self._clock.monotonic_s())
        match answer:
            case Granted():
                return v.OperatorChecked(outcome="granted", operator=found)
            case Denied(tries_left=left):
                return v.OperatorChecked(outcome="denied", operator=found, tries_left=left)
            case Locked(left_ms=left_ms):
                return v.OperatorChecked(outcome="locked", operator=found, left_ms=left_ms)
            case NotSet():
                return v.OperatorChecked(outcome="unknown")
        assert_never(answer)

    async def show_badge(self, badge: str) -> Badge | None:
        """Whose badge it is (hex); while one is waited for, it becomes that operator's first."""
        enrolling, self._enrolling = self._enrolling, None
        if enrolling is not None and self._clock.monotonic_s() < enrolling[1]:
            try:
                await asyncio.to_thread(self._operators.set_badge, enrolling[0], badge)
            except OperatorRefused:
                pass  # It is another's, or he has gone: whose it is comes next, and is told.
            else:
                given = await asyncio.to_thread(self._operators.show_badge, badge, self._now())
                return Badge(operator=given.operator, given=True) if given is not None else None
        return await asyncio.to_thread(self._operators.show_badge, badge, self._now())

    @property
    def refused_lately(self) -> int:
        """How many PINs were refused in the last ten minutes."""
        since_s = self._clock.monotonic_s() - REFUSED_S
        return sum(at_s > since_s for at_s in self._refused_s)

    # --- changes -------------------------------------------------------------------------------------------------

    async def rows(self) -> list[Row]:
        """All operators."""
        return await asyncio.to_thread(self._operators.rows, self._now())

    async def try_claim(self, claim: str, operator: str, pin: str, name: str) -> None:
        """Looks whether the first owner can be made so. Raises OperatorRefused, PinRefused."""
        wanted = self.claim
        if wanted is None:
            raise OperatorRefused("already-claimed")
        if not hmac.compare_digest(wanted.encode(), claim.encode()):
            self._claims_left -= 1
            if self._claims_left <= 0:
                self._claim_anew()
                self._changed()
            raise OperatorRefused("claim-wrong")
        await self.refuse("added", operator, "supervisor", pin, name)

    async def take_claim(self, operator: str, pin: str, name: str) -> None:
        """Makes the owner, once all was looked at. Raises OperatorRefused, PinRefused."""
        if self._claim_until_s is None:
            await asyncio.to_thread(self._operators.claim, operator, pin, name)
        else:
            await asyncio.to_thread(self._operators.add, operator, "supervisor", pin, name)
        self._claim = self._claim_until_s = None
        self._changed()

    # --- the way back ----------------------------------------------------------------------------------------------

    def ask_to_claim(self) -> str:
        """What is read to whoever holds the organisation's recovery key; the answer to one asked before is worth nothing
        now. Raises OperatorRefused where no recovery key is configured."""
        if self._recovery_public is None:
            raise OperatorRefused("no-recovery-key")
        fresh, self._secret = recovery.encapsulate(
            secrets.token_bytes(recovery.KEY_BYTES), self._recovery_public, recovery.RECLAIM
        )
        self._codes_left = CLAIM_TRIES_MAX
        return recovery.request_text(fresh)

    def check_code(self, code: str) -> str:
        """Looks at the answer, which is good once; gives the recovery key's id. Raises OperatorRefused."""
        secret, public = self._secret, self._recovery_public
        if secret is None or public is None:
            raise OperatorRefused("no-recovery-request")
        self._codes_left -= 1
        try:
            right = hmac.compare_digest(recovery.read_code(code), secret)
        except recovery.RecoveryTextWrong:
            right = False
        if right or self._codes_left <= 0:
            self._secret = None
        if not right:
            raise OperatorRefused("recovery-code-wrong")
        return recovery.recovery_id(public)

    def open_claim(self) -> None:
        """A claim stands on the screen, though there are supervisors; what allowed it is kept already."""
        self._claim_anew()
        self._claim_until_s = self._clock.monotonic_s() + RECLAIM_S
        self._changed()

    async def refuse(
        self, change: v.Change, operator: str, role: Role | None, pin: str = "", name: str = "", badge: str = ""
    ) -> None:
        """Raises OperatorRefused or PinRefused where a change cannot be made: asked before anything is kept of it."""
        await asyncio.to_thread(self._refuse, change, operator, role, pin, name, badge)

    async def change(self, change: v.Change, operator: str, role: Role | None, pin: str, name: str, badge: str) -> None:
        """Makes a change. Raises OperatorRefused, PinRefused."""
        if change == "badge" and not badge:
            self._enrolling = operator, self._clock.monotonic_s() + ENROL_S
            return
        await asyncio.to_thread(self._change, change, operator, role, pin, name, badge)

    def _refuse(self, change: v.Change, operator: str, role: Role | None, pin: str, name: str, badge: str) -> None:
        match change:
            case "added":
                self._operators.refuse_new(operator, role or "cashier", pin, name)
            case "removed":
                self._operators.refuse_change(operator, leaves=True)
            case "role":
                self._operators.refuse_role(operator, role or "cashier", pin)
            case "pin":
                self._operators.refuse_pin(operator, pin)
            case "badge":
                self._operators.refuse_badge(operator, badge)
            case "unlocked":
                self._operators.refuse_change(operator)
            case _:
                assert_never(change)

    def _change(self, change: v.Change, operator: str, role: Role | None, pin: str, name: str, badge: str) -> None:
        match change:
            case "added":
                self._operators.add(operator, role or "cashier", pin, name)
            case "removed":
                self._operators.remove(operator)
            case "role":
                self._operators.set_role(operator, role or "cashier", pin)
            case "pin":
                self._operators.set_pin(operator, pin)
            case "badge":
                self._operators.set_badge(operator, badge)
            case "unlocked":
                self._operators.unlock(operator)
            case _:
                assert_never(change)

    def _claim_anew(self) -> None:
        self._claim = f"{secrets.randbelow(10**CLAIM_DIGITS):0{CLAIM_DIGITS}d}"
        self._claims_left = CLAIM_TRIES_MAX
