"""A till that is left alone locks itself, by a clock that the test turns; and a claim is not guessed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import entries as e
from core import events as v
from core import recovery
from core.fold import apply
from core.ledger import ClockQuality, Stamp
from core.permissions import Operator
from core.state import Till
from core.step import Badge, Step
from store.credentials import Credentials, Moment
from store.keys_recovery import make_recovery
from store.operators import OperatorRefused, Operators
from terminald.operators import CLAIM_TRIES_MAX, ENROL_S, RECLAIM_S, Staff
from tests.store.journals import KEY

PEPPER = bytes(range(32))
NOW = Moment(boot="b1", up_ms=1)
TAG = "04a1b2c3"
HOUR_S = 3_600.0


class Clock:
    """Whoever sleeps turns it; it ends the day by cancelling him."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.slept: list[float] = []
        self.ends_s = self.now_s + HOUR_S

    def stamp(self) -> Stamp:
        return Stamp(time_ms=0, clock=ClockQuality.NTP, boot="b1", mono_ms=int(self.now_s * 1000))

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds
        if self.now_s >= self.ends_s:
            raise asyncio.CancelledError


class Engine:
    """A till that keeps when it was locked. `touches` are the times at which somebody does something."""

    def __init__(self, clock: Clock, *touches_s: float) -> None:
        self.till = apply(Till(), e.OperatorSignedOn(operator="17", role="cashier"))
        self.locked_s: list[float] = []
        self._clock = clock
        self._touches_s = touches_s

    @property
    def touched_ms(self) -> int:
        return int(max([t for t in self._touches_s if t <= self._clock.now_s], default=0) * 1000)

    @touched_ms.setter
    def touched_ms(self, _: int) -> None:
        raise AssertionError

    def post(self, event: v.AnyEvent) -> None:
        raise AssertionError

    async def order(self, event: v.AnyEvent, key: str | None = None, approver: Operator | None = None) -> Step:
        assert isinstance(event, v.TillIdled)
        self.locked_s.append(self._clock.now_s)
        self.till = apply(self.till, e.TillLocked(reason="idle", operator="17"))
        return Step()

    async def note(self, *entries: e.AnyEntry) -> None:
        raise AssertionError


@pytest.fixture
def operators(tmp_path: Path) -> Iterator[Operators]:
    with Credentials(tmp_path / "credentials.db", KEY, PEPPER) as credentials:
        yield Operators(credentials)


def staff_of(operators: Operators, clock: Clock, recovery_public: bytes | None = None) -> Staff:
    return Staff(
        operators,
        clock=clock,
        lock_after_s=60,
        changed=lambda: None,
        now=lambda: NOW,
        recovery_public=recovery_public,
    )


@pytest.mark.asyncio
async def test_it_locks_once_nobody_has_touched_it_for_so_long(operators: Operators) -> None:
    clock = Clock()
    engine = Engine(clock, 1_000.0, 1_030.0, 1_050.0)
    with pytest.raises(asyncio.CancelledError):
        await staff_of(operators, clock).run(engine)
    assert engine.locked_s == [1_110.0]
    assert len(clock.slept) < 70, "it wakes for a deadline, not to look"


@pytest.mark.asyncio
async def test_where_nobody_is_signed_on_there_is_nothing_to_lock(operators: Operators) -> None:
    clock = Clock()
    engine = Engine(clock)
    engine.till = Till()
    with pytest.raises(asyncio.CancelledError):
        await staff_of(operators, clock).run(engine)
    assert not engine.locked_s


@pytest.mark.asyncio
async def test_a_claim_is_not_guessed(operators: Operators) -> None:
    staff = staff_of(operators, Clock())
    staff.open()
    claim = staff.claim
    assert claim is not None
    wrong = f"{(int(claim) + 1) % 10**8:08d}"
    for _ in range(CLAIM_TRIES_MAX):
        with pytest.raises(OperatorRefused, match="claim-wrong"):
            await staff.try_claim(wrong, "1", "384751", "")
    assert staff.claim != claim
    with pytest.raises(OperatorRefused, match="claim-wrong"):
        await staff.try_claim(claim, "1", "384751", "")
    assert staff.claim is not None
    await staff.try_claim(staff.claim, "1", "384751", "")
    await staff.take_claim("1", "384751", "")
    assert not staff.claim
    with pytest.raises(OperatorRefused, match="already-claimed"):
        await staff.try_claim("", "2", "739154", "")


@pytest.mark.asyncio
async def test_a_reader_waits_for_a_badge_for_a_while_only(operators: Operators) -> None:
    operators.claim("1", "384751")
    operators.add("17", "cashier", "4821")
    clock = Clock()
    staff = staff_of(operators, clock)
    await staff.change("badge", "17", None, "", "", "")
    clock.now_s += ENROL_S
    assert await staff.show_badge(TAG) is None
    await staff.change("badge", "17", None, "", "", "")
    anna = Operator(id="17", role="cashier")
    assert await staff.show_badge(TAG) == Badge(operator=anna, given=True)
    assert await staff.show_badge(TAG) == Badge(operator=anna)
    await staff.change("badge", "1", None, "", "", "")
    assert await staff.show_badge(TAG) == Badge(operator=anna), "another's stays another's"


@pytest.mark.asyncio
async def test_the_claim_goes_by_itself(operators: Operators) -> None:
    operators.claim("1", "384751")
    clock = Clock()
    staff = staff_of(operators, clock)
    staff.open()
    assert not staff.claim
    staff.open_claim()
    claim = staff.claim
    assert claim is not None
    clock.now_s += RECLAIM_S
    assert not staff.claim
    with pytest.raises(OperatorRefused, match="already-claimed"):
        await staff.try_claim(claim, "2", "739154", "")


@pytest.mark.asyncio
async def test_a_code_is_not_guessed(operators: Operators, tmp_path: Path) -> None:
    public = make_recovery(tmp_path / "recovery.key")
    staff = staff_of(operators, Clock(), public)
    staff.ask_to_claim()
    wrong = recovery.code_text(bytes(16))
    for _ in range(CLAIM_TRIES_MAX):
        with pytest.raises(OperatorRefused, match="recovery-code-wrong"):
            staff.check_code(wrong)
    with pytest.raises(OperatorRefused, match="no-recovery-request"):
        staff.check_code(wrong)
    with pytest.raises(OperatorRefused, match="no-recovery-key"):
        staff_of(operators, Clock()).ask_to_claim()
