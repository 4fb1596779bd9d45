"""Orders in waves: who is in which, what stops them, what a restart changes (nothing); on both databases."""

import contextlib
from collections.abc import Iterator

import pytest

from fleet import answers, rollout
from fleet.audit import listed as audited
from fleet.dispatch import DispatchUnknown, Draft, approve
from fleet.operators import Operator, RoleNeeded
from fleet.orders_report import Rollout, shown
from fleet.registry import Filter, put
from fleet.rollout import Plan, RolloutUnfit, read_share
from fleet.store import Address, Store, open_store
from tests.fleet.test_dispatch import HOUR_MS, KEY, MAX, NOW_MS, SAM, SUE, operator, publish, say

PLAN = Plan(waves_bp=(500, 2500, 10_000), stop_bp=1000, silent_ms=HOUR_MS)
"""Of 40 terminals 2, then 10, then all; more than one in ten stops it."""


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    """With 40 terminals."""
    opened = open_store(address, now_ms=1)
    with opened.transaction() as statements:
        for number in range(40):
            put(statements, f"till-{number:02d}", 1)
    yield opened
    opened.close()


def begin(store: Store, plan: Plan = PLAN, by: Operator = MAX, kind: str = "ping") -> int:
    draft = Draft(kind=kind, params={}, wanted=Filter(all=True), valid_ms=48 * HOUR_MS)
    number = rollout.start(store, KEY, by, draft, plan, NOW_MS)
    answers.sweep(store, KEY, NOW_MS)
    return number


def stands(store: Store, number: int, now_ms: int = NOW_MS) -> Rollout:
    found = shown(store.address, number, now_ms).rollout
    assert found is not None
    return found


def test_waves_go_out_one_after_the_other(store: Store) -> None:
    number = begin(store)
    told = []
    for size in (2, 8, 30):
        orders = publish(store)
        assert len(orders) == size
        answers.sweep(store, KEY, NOW_MS)
        assert publish(store) == []
        told += [order.terminal for order in orders]
        for order in orders:
            say(store, order, "successful")
        with contextlib.closing(open_store(store.address, now_ms=1)) as restarted:
            answers.sweep(restarted, KEY, NOW_MS)
    assert sorted(told) == sorted(f"till-{n:02d}" for n in range(40))
    assert told[:2] != ["till-00", "till-01"]  # not the oldest shops each time
    found = shown(store.address, number, NOW_MS)
    assert (found.state, found.counts, stands(store, number).state) == ("done", {"successful": 40}, "done")
    actions = [entry.action for entry in audited(store.address)]
    assert actions == ["order", "rollout-start", *["rollout-wave"] * 3, "order-done"]


def test_too_many_failures_stop_it_and_people_decide(store: Store) -> None:
    number = begin(store)
    for order in publish(store):
        say(store, order, "successful")
    answers.sweep(store, KEY, NOW_MS)
    first, second, *rest = publish(store)
    say(store, first, "failed", code="hash-wrong")
    answers.sweep(store, KEY, NOW_MS)
    assert stands(store, number).state == "running"  # 1 of 10 is no more than the share
    say(store, second, "rejected")
    answers.sweep(store, KEY, NOW_MS)
    found = stands(store, number)
    assert (found.state, found.why) == ("stopped", "2 of 10 failed and 0 did not answer")
    for order in rest:
        say(store, order, "successful")
    answers.sweep(store, KEY, NOW_MS)
    assert publish(store) == []
    assert audited(store.address)[-1].action == "rollout-stop"
    rollout.change(store, KEY, MAX, number, "running", NOW_MS)
    answers.sweep(store, KEY, NOW_MS)
    assert stands(store, number).state == "stopped"  # the same share stops it again
    rollout.change(store, KEY, MAX, number, "running", NOW_MS, stop_bp=5000)
    answers.sweep(store, KEY, NOW_MS)
    assert len(publish(store)) == 30


def test_silence_counts_as_failure_until_it_ends(store: Store) -> None:
    number = begin(store, Plan(waves_bp=(5000, 10_000), stop_bp=1000, silent_ms=HOUR_MS))
    orders = publish(store)
    for order in orders[:17]:
        say(store, order, "successful")
    answers.sweep(store, KEY, NOW_MS + HOUR_MS)
    assert stands(store, number, NOW_MS + HOUR_MS).tally.under_way == 3
    say(store, orders[17], "successful")
    answers.sweep(store, KEY, NOW_MS + HOUR_MS + 1)
    assert len(publish(store, NOW_MS + HOUR_MS + 1)) == 20  # 2 of 20 are silent: no more than the share
    answers.sweep(store, KEY, NOW_MS + 3 * HOUR_MS)
    found = stands(store, number, NOW_MS + 3 * HOUR_MS)
    assert (found.state, found.why) == ("stopped", "0 of 40 failed and 22 did not answer")


def test_a_rest_between_waves_and_a_pause(store: Store) -> None:
    number = begin(store, Plan(waves_bp=(500, 10_000), stop_bp=0, silent_ms=HOUR_MS, rest_ms=HOUR_MS))
    for order in publish(store):
        say(store, order, "successful")
    answers.sweep(store, KEY, NOW_MS)
    answers.sweep(store, KEY, NOW_MS + HOUR_MS - 1)
    assert publish(store, NOW_MS + HOUR_MS) == []
    rollout.change(store, KEY, MAX, number, "paused", NOW_MS)
    answers.sweep(store, KEY, NOW_MS + 2 * HOUR_MS)
    assert publish(store, NOW_MS + 2 * HOUR_MS) == []
    rollout.change(store, KEY, MAX, number, "running", NOW_MS)
    answers.sweep(store, KEY, NOW_MS + 2 * HOUR_MS)
    answers.sweep(store, KEY, NOW_MS + 3 * HOUR_MS)
    assert len(publish(store, NOW_MS + 3 * HOUR_MS)) == 38


def test_given_up_it_tells_nobody_any_more(store: Store) -> None:
    number = begin(store)
    one, two = publish(store)
    say(store, one, "running")
    rollout.change(store, KEY, MAX, number, "aborted", NOW_MS)
    say(store, one, "successful")
    answers.sweep(store, KEY, NOW_MS)
    found = shown(store.address, number, NOW_MS)
    assert (found.state, found.counts) == ("done", {"cancelled": 39, "successful": 1})
    assert {each.id for each in answers.claim(store, NOW_MS)} == {one.id, two.id}
    with pytest.raises(RolloutUnfit, match="is aborted"):
        rollout.change(store, KEY, MAX, number, "running", NOW_MS)


def test_two_persons_for_a_rollout_too(store: Store) -> None:
    number = begin(store, by=SAM, kind="rotate-keys")
    answers.sweep(store, KEY, NOW_MS)
    assert publish(store) == []
    approve(store, KEY, SUE, number, NOW_MS)
    answers.sweep(store, KEY, NOW_MS)
    assert [order.seconded for order in publish(store)] == ["sue", "sue"]


def test_what_is_no_plan(store: Store) -> None:
    for waves in ((), (100,), (200, 100, 10_000), (0, 10_000), (10_000, 10_000), (*range(1, 21), 10_000)):
        with pytest.raises(RolloutUnfit, match="the last of them 100%"):
            begin(store, Plan(waves_bp=waves, stop_bp=1, silent_ms=1))
    with pytest.raises(DispatchUnknown, match="is no roll-out"):
        rollout.change(store, KEY, MAX, 99, "paused", NOW_MS)
    number = begin(store)
    with pytest.raises(RoleNeeded):
        rollout.change(store, KEY, operator("kim", "auditor"), number, "paused", NOW_MS)


def test_shares_as_people_write_them() -> None:
    assert [read_share(text) for text in ("1%", "0.5%", "100%", "0%", "12.34%")] == [100, 50, 10_000, 0, 1234]
    for text in ("1", "%", "-1%", "101%", "1.234%", "x%", "1.%x"):
        with pytest.raises(ValueError, match=r"share|all"):
            read_share(text)
