"""What headquarters' orders do at the till and with its people: who is there, the lock, lines for the screen, the staff."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from core import effects as x
from core import entries as e
from core import events as v
from core.orders import Identify, Note, Order, Params, StaffChange
from core.permissions import Operator
from core.ports import Clock
from core.state import Till
from core.step import Step
from core.telemetry import Values
from core.text import Message, message
from store.credentials import PinRefused
from store.operators import OperatorRefused
from terminald.operators import Staff
from terminald.order_action import Action, OrderFailed, Outcome

IDENTIFY_EVERY_S = 2.0
HEADQUARTERS = Operator(id="hq", role="supervisor")
"""Who stands in the journal as having allowed what headquarters ordered."""


class TillEngine(Protocol):
    """What of the engine is needed here."""

    @property
    def till(self) -> Till:
        """The till's state."""

    async def keep(self, entry: e.AnyEntry, key: str | None = None) -> None:
        """Keeps an entry."""

    async def order(self, event: v.AnyEvent, key: str | None = None, approver: Operator | None = None) -> Step:
        """Queues an order and returns what came of it."""


Look = Callable[[], Awaitable[Mapping[str, Values]]]
"""The values of all groups of telemetry, by the group's name."""


class TillActions:
    """The orders that need nothing but the till. `perform` has signs shown, `changed` has screens drawn anew."""

    def __init__(
        self,
        *,
        terminal: str,
        engine: TillEngine,
        staff: Staff | None,
        clock: Clock,
        look: Look,
        report: Callable[[], None],
        perform: Callable[[x.AnyEffect], None],
        changed: Callable[[], None],
        stop: Callable[[], None],
        software: str,
    ) -> None:
        """`report` has telemetry told now; `stop` ends the daemon as SIGTERM does, for systemd to start it anew."""
        self._terminal = terminal
        self._engine = engine
        self._staff = staff
        self._clock = clock
        self._look = look
        self._report = report
        self._perform = perform
        self._changed = changed
        self._stop = stop
        self._software = software
        self._is_identifying = False

    def table(self) -> dict[str, Action]:
        """By the orders' names."""
        return {
            "ping": Action(run=self._ping),
            "identify": Action(run=self._identify),
            "report": Action(run=self._tell),
            "restart": Action(run=self._restart, resolve=lambda _: True),
            "lock": Action(run=self._lock),
            "unlock": Action(run=self._unlock),
            "message": Action(run=self._post),
            "staff": Action(run=self._change_staff),
            "open-claim": Action(run=self._open_claim),
        }

    def conditions(self) -> tuple[Message, ...]:
        """What the screen says meanwhile."""
        return (message("identified", terminal=self._terminal),) if self._is_identifying else ()

    async def _ping(self, _order: Order, _params: Params) -> Outcome:
        stamp = self._clock.stamp()
        return Outcome(
            output={"ts": stamp.time_ms, "clk": stamp.clock.value, "boot_id": stamp.boot, "software": self._software}
        )

    async def _identify(self, _order: Order, given: Identify) -> Outcome:
        self._is_identifying = True
        self._changed()
        until_s = self._clock.monotonic_s() + given.seconds
        try:
            while (left_s := until_s - self._clock.monotonic_s()) > 0:
                self._perform(x.SetLights(state="attention"))
                self._perform(x.SoundTone(tone="refused"))
                await self._clock.sleep(min(IDENTIFY_EVERY_S, left_s))
        finally:
            self._is_identifying = False
            self._perform(x.SetLights(state="ready"))
            self._changed()
        return Outcome()

    async def _tell(self, _order: Order, _params: Params) -> Outcome:
        self._report()
        return Outcome(output=dict(await self._look()))

    async def _restart(self, _order: Order, _params: Params) -> Outcome:
        self._stop()
        await asyncio.Event().wait()  # the start tells that it succeeded
        raise AssertionError

    async def _lock(self, order: Order, given: Note) -> Outcome:
        await self._engine.keep(e.TerminalLocked(order=order.id, text=given.text))
        return Outcome()

    async def _unlock(self, order: Order, _params: Params) -> Outcome:
        if self._engine.till.orders.locked is None:
            return Outcome(text="it was not locked")
        await self._engine.keep(e.TerminalUnlocked(order=order.id))
        return Outcome()

    async def _post(self, order: Order, given: Note) -> Outcome:
        await self._engine.keep(e.NotePosted(order=order.id, text=given.text))
        return Outcome()

    async def _change_staff(self, _order: Order, given: StaffChange) -> Outcome:
        if self._staff is None:
            raise OrderFailed("no-operators", "the terminal's configuration has no [operators]")
        refused: dict[str, str] = {}
        for operator in given.revoke:
            try:
                await self._revoke(self._staff, operator)
            except (OperatorRefused, PinRefused) as fault:
                refused[operator] = str(fault)
        rows = [{"operator": row.id, "role": row.role, "name": row.name} for row in await self._staff.rows()]
        stay = {row["operator"] for row in rows}
        if left := sorted(stay & refused.keys()):
            raise OrderFailed(refused[left[0]], f"still here: {', '.join(left)}")
        return Outcome(output={"staff": rows, "revoked": sorted(set(given.revoke) - refused.keys())})

    async def _open_claim(self, order: Order, _params: Params) -> Outcome:
        if self._staff is None:
            raise OrderFailed("no-operators", "the terminal's configuration has no [operators]")
        await self._engine.keep(e.ClaimOpened(by="headquarters", reference=order.id))
        self._staff.open_claim()
        return Outcome()

    async def _revoke(self, staff: Staff, operator: str) -> None:
        await staff.refuse("removed", operator, None)
        said = await self._engine.order(v.OperatorAdministered(subject=operator, change="removed"), None, HEADQUARTERS)
        if said.refused:
            raise OperatorRefused(said.notice.id if said.notice is not None else "not-allowed")
        await staff.change("removed", operator, None, "", "", "")
