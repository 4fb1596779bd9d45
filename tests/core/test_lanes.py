"""Lanes: what goes first, what gives way, and that nothing waits for ever."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import topics
from core.lanes import EVICTED, PASSED_OVER_MAX, Lane, Lanes, LanesFull, lane_of

LANES = st.sampled_from(Lane)


def roomy() -> Lanes[str]:
    return Lanes(count_max=1_000, bytes_max=100_000_000)


def drained(lanes: Lanes[str]) -> list[str]:
    taken = []
    while (first := lanes.first()) is not None:
        assert lanes.take() == first
        taken.append(first)
    assert lanes.take() is None
    return taken


def test_the_order_of_lanes() -> None:
    lanes = roomy()
    for lane in reversed(Lane):
        lanes.put(lane, 1, lane.name)
    assert len(lanes) == len(Lane)
    assert drained(lanes) == ["CONTROL", "MONEY", "ALARMS", "LIVE", "BACKFILL"]


def test_a_live_sale_goes_before_three_days_of_measurements() -> None:
    lanes = roomy()
    for number in range(500):
        lanes.put(Lane.BACKFILL, 600, f"old {number}")
    lanes.put(Lane.LIVE, 600, "now")
    lanes.put(Lane.ALARMS, 600, "alarm")
    lanes.put(Lane.MONEY, 600, "sale")
    assert [lanes.take() for _ in range(4)] == ["sale", "alarm", "now", "old 0"]


def test_a_backlog_of_money_keeps_its_order_and_lets_an_alarm_through() -> None:
    lanes = roomy()
    sent = [f"batch {number}" for number in range(50)]
    for batch in sent:
        lanes.put(Lane.MONEY, 100_000, batch)
    lanes.put(Lane.ALARMS, 300, "alarm")
    lanes.put(Lane.LIVE, 600, "measurement")
    taken = drained(lanes)
    assert taken.index("alarm") == PASSED_OVER_MAX
    assert taken.index("measurement") == PASSED_OVER_MAX + 1
    assert [each for each in taken if each.startswith("batch")] == sent


@pytest.mark.parametrize("measured", ["count", "bytes"])
def test_what_gives_way_is_telemetry_and_never_money(measured: str) -> None:
    room = {"count": Lanes[str](count_max=5, bytes_max=1_000), "bytes": Lanes[str](count_max=1_000, bytes_max=500)}
    lanes = room[measured]
    for lane in (Lane.LIVE, Lane.BACKFILL, Lane.ALARMS, Lane.MONEY, Lane.CONTROL):
        assert lanes.put(lane, 100, lane.name) == ()
    assert lanes.put(Lane.MONEY, 100, "sale 2") == ("BACKFILL",)
    assert lanes.put(Lane.MONEY, 100, "sale 3") == ("LIVE",)
    assert lanes.put(Lane.CONTROL, 100, "status") == ("ALARMS",)
    for newcomer in Lane:
        with pytest.raises(LanesFull):
            lanes.put(newcomer, 100, "too much")
    assert drained(lanes) == ["CONTROL", "status", "MONEY", "sale 2", "sale 3"]


def test_a_newer_measurement_takes_an_older_ones_place() -> None:
    lanes = Lanes[str](count_max=2, bytes_max=1_000)
    lanes.put(Lane.LIVE, 1, "10:00")
    lanes.put(Lane.LIVE, 1, "10:01")
    assert lanes.put(Lane.LIVE, 1, "10:02") == ("10:00",)
    with pytest.raises(LanesFull):
        lanes.put(Lane.BACKFILL, 1, "yesterday")


def test_what_is_already_on_the_line_takes_up_places() -> None:
    lanes = Lanes[str](count_max=3, bytes_max=1_000)
    with pytest.raises(LanesFull):
        lanes.put(Lane.MONEY, 1, "sale", elsewhere=3)
    lanes.put(Lane.MONEY, 1, "sale", elsewhere=2)


def test_a_message_larger_than_all_the_room_goes_alone() -> None:
    lanes = Lanes[str](count_max=3, bytes_max=10)
    lanes.put(Lane.LIVE, 5, "measurement")
    assert lanes.put(Lane.MONEY, 11, "large") == ("measurement",)
    with pytest.raises(LanesFull):
        lanes.put(Lane.MONEY, 11, "larger")


@given(st.lists(st.tuples(LANES, st.integers(0, 400)) | st.none(), max_size=200))
def test_nothing_is_lost_but_what_gave_way(steps: list[tuple[Lane, int] | None]) -> None:
    """Puts (a lane and a size) and takes (None) in any sequence, against plain lists."""
    lanes = Lanes[str](count_max=12, bytes_max=1_500)
    waiting: dict[Lane, list[tuple[str, int]]] = defaultdict(list)
    passed_over: dict[Lane, int] = defaultdict(int)
    for number, step in enumerate(steps):
        if step is None:
            taken = lanes.take()
            lane = next((lane for lane in Lane if waiting[lane] and waiting[lane][0][0] == taken), None)
            assert (lane is None) == (taken is None) == (not any(waiting.values()))
            if lane is not None:
                waiting[lane].pop(0)
                passed_over[lane] = 0
                for other in Lane:
                    passed_over[other] += 1 if waiting[other] and other != lane else 0
        else:
            lane, size = step
            try:
                evicted = lanes.put(lane, size, str(number))
            except LanesFull:
                continue
            for gone in evicted:
                (victim,) = (each for each in EVICTED if waiting[each] and waiting[each][0][0] == gone)
                assert victim >= lane
                waiting[victim].pop(0)
            waiting[lane].append((str(number), size))
        assert sorted(lanes) == sorted(name for lane in waiting.values() for name, _ in lane)
        assert len(lanes) <= 12
        assert sum(size for lane in waiting.values() for _, size in lane) <= 1_500
        assert max(passed_over.values(), default=0) <= PASSED_OVER_MAX * len(Lane)


@pytest.mark.parametrize(
    ("topic", "lane"),
    [
        (topics.status("till-3"), Lane.CONTROL),
        (topics.batch("till-3"), Lane.MONEY),
        (topics.ack("till-3"), Lane.CONTROL),
        (topics.recall("till-3"), Lane.CONTROL),
        (topics.tele("till-3", "till"), Lane.LIVE),
        ("pos/v1/till-3/alarm/paper", Lane.ALARMS),
        ("pos/v1/till-3/cmd/restart/7/res", Lane.CONTROL),
        ("pos/v1/till-3/config/reported", Lane.CONTROL),
        ("pos/v1/till-3/info", Lane.LIVE),
        ("x", Lane.LIVE),
    ],
)
def test_a_topics_lane(topic: str, lane: Lane) -> None:
    assert lane_of(topic) is lane
