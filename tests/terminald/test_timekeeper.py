"""What is believed of a wall clock, and on which day a sale is booked when it is not."""

from datetime import UTC, datetime, timedelta

import pytest

from core.entries import ClockStepped
from core.ledger import ClockQuality, Stamp
from terminald.timekeeper import ABSENCE_DAYS, BELIEVED_MS, STEP_MS, Timekeeper
from tests.jumping_clock import JumpingClock

DAY_MS = 86_400_000
ABSENCE_MS = ABSENCE_DAYS * DAY_MS
YEARS_MS = 10 * 365 * DAY_MS


def local_time(stamp: Stamp) -> datetime:
    return datetime.fromtimestamp(stamp.time_ms / 1000, UTC)


@pytest.fixture
def clock() -> JumpingClock:
    """A clock that is at its right time."""
    return JumpingClock()


def begun(clock: JumpingClock, last: Stamp | None = None, doubted: str | None = None) -> Timekeeper:
    keeper = Timekeeper(clock, local_time)
    keeper.begin(last, doubted)
    return keeper


@pytest.mark.parametrize("quality", [ClockQuality.RTC, ClockQuality.UNSYNCED, ClockQuality.RESTORED])
@pytest.mark.parametrize("away_ms", [-YEARS_MS, -BELIEVED_MS - 1, ABSENCE_MS + 1, YEARS_MS])
def test_a_clock_years_away_from_the_journal_is_doubted(
    clock: JumpingClock, quality: ClockQuality, away_ms: int
) -> None:
    clock.quality = quality
    last = clock.stamp()
    clock.jump(away_ms)
    keeper = begun(clock, last)
    assert keeper.doubtful
    assert keeper.stamp().clock is ClockQuality.UNSYNCED
    assert keeper.business_day(keeper.stamp()) == local_time(last).date().isoformat()
    stepped = ClockStepped(offset_ms=away_ms, doubted=local_time(last).date().isoformat())
    assert (keeper.take_step(), keeper.take_step()) == (stepped, None)


@pytest.mark.parametrize("away_ms", [-BELIEVED_MS, 0, DAY_MS, ABSENCE_MS])
def test_a_terminal_that_was_off_is_believed(clock: JumpingClock, away_ms: int) -> None:
    clock.quality = ClockQuality.RTC
    last = clock.stamp()
    clock.jump(away_ms)
    keeper = begun(clock, last)
    assert not keeper.doubtful
    assert keeper.business_day(keeper.stamp()) == local_time(clock.stamp()).date().isoformat()


@pytest.mark.parametrize("away_ms", [-YEARS_MS, YEARS_MS])
def test_a_time_server_is_believed_whatever_the_journal_says(clock: JumpingClock, away_ms: int) -> None:
    clock.quality = ClockQuality.NTP
    last = clock.stamp()
    clock.jump(away_ms)
    assert not begun(clock, last).doubtful


def test_a_step_is_told_once_and_doubted_until_it_is_undone(clock: JumpingClock) -> None:
    clock.quality = ClockQuality.RTC
    keeper = begun(clock)
    day = keeper.business_day(keeper.stamp())
    clock.jump(YEARS_MS)
    assert keeper.stamp().clock is ClockQuality.UNSYNCED
    assert keeper.business_day(keeper.stamp()) == day
    stepped = ClockStepped(offset_ms=YEARS_MS, doubted=day)
    assert (keeper.take_step(), keeper.take_step()) == (stepped, None)
    clock.jump(-YEARS_MS)
    assert keeper.stamp().clock is ClockQuality.RTC
    assert not keeper.doubtful
    assert keeper.take_step() == ClockStepped(offset_ms=-YEARS_MS)


def test_a_step_by_a_time_server_is_believed(clock: JumpingClock) -> None:
    clock.quality = ClockQuality.UNSYNCED
    last = clock.stamp()
    clock.jump(-YEARS_MS)
    keeper = begun(clock, last)
    assert keeper.doubtful
    clock.jump(YEARS_MS + DAY_MS)
    clock.quality = ClockQuality.NTP
    stamp = keeper.stamp()
    assert (stamp.clock, keeper.doubtful) == (ClockQuality.NTP, False)
    assert keeper.business_day(stamp) == (local_time(last) + timedelta(days=1)).date().isoformat()


def test_many_small_steps_are_not_believed_either(clock: JumpingClock) -> None:
    clock.quality = ClockQuality.RTC
    keeper = begun(clock)
    for _ in range(3):
        clock.jump(BELIEVED_MS // 2)
        keeper.stamp()
    assert keeper.doubtful


def test_drift_is_no_step(clock: JumpingClock) -> None:
    keeper = begun(clock)
    for _ in range(10):
        clock.pass_ms(1_000)
        clock.jump(STEP_MS // 20)
        keeper.stamp()
    assert (keeper.take_step(), keeper.doubtful) == (None, False)


def test_midnight_comes(clock: JumpingClock) -> None:
    clock.quality = ClockQuality.RTC
    keeper = begun(clock)
    today = keeper.business_day(keeper.stamp())
    clock.pass_ms(DAY_MS)
    assert keeper.business_day(keeper.stamp()) > today
    assert not keeper.doubtful


@pytest.mark.parametrize(
    ("days", "doubtful"), [(-1, True), (0, False), (ABSENCE_DAYS, False), (ABSENCE_DAYS + 1, True)]
)
def test_a_doubt_outlives_a_start(clock: JumpingClock, days: int, doubtful: bool) -> None:
    """The last record was made under the same wrong clock: it proves nothing."""
    clock.quality = ClockQuality.RTC
    doubted = (local_time(clock.stamp()) - timedelta(days=days)).date().isoformat()
    keeper = begun(clock, clock.stamp(), doubted)
    assert keeper.doubtful == doubtful
    assert keeper.take_step() == (None if doubtful else ClockStepped(offset_ms=0))
    if doubtful:
        clock.quality = ClockQuality.NTP
        keeper.stamp()
        assert keeper.take_step() == ClockStepped(offset_ms=0)
