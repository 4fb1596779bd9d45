"""Orders as headquarters keeps them: who may give them, two persons, numbers, answers, ends; on both databases."""

from collections.abc import Iterator, Sequence

import pytest

from core.order_results import Result
from core.orders import ORDERS, Order, OrderForged, Window, check_order, open_signed
from fleet import answers
from fleet.answers import Heard
from fleet.audit import listed as audited
from fleet.audit import look_through
from fleet.dispatch import DispatchUnknown, Draft, OrderUnfit, SamePerson, approve, cancel, give, read_params, to_file
from fleet.operators import Operator, Role, RoleNeeded
from fleet.orders_report import Dispatch, listed, shown
from fleet.refusal import Refused
from fleet.registry import Filter, NoTerminals, PlaceUnfit, TerminalUnknown, places, put, retire
from fleet.store import Address, Store, open_store
from tests.tills import make_key

KEY = make_key(5)
NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
TILLS = ("till-1", "till-2", "till-3")


def operator(name: str, *roles: str) -> Operator:
    return Operator(name=name, roles=tuple(Role(role) for role in roles), locked_until_ms=0, disabled=False)


MAX = operator("max", "manager")
SAM = operator("sam", "security")
SUE = operator("sue", "support", "security")


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    """With three terminals."""
    opened = open_store(address, now_ms=1)
    with opened.transaction() as statements:
        for till in TILLS:
            put(
                statements,
                till,
                1,
                site="Bern" if till == "till-3" else "Basel",
                tags=["pilot"] if till == "till-1" else [],
            )
    yield opened
    opened.close()


def order(
    store: Store, by: Operator, kind: str, *, now_ms: int = NOW_MS, wanted: Sequence[str] = TILLS, **params: object
) -> int:
    with store.transaction() as statements:
        draft = Draft(kind=kind, params=params, wanted=Filter(terminals=tuple(wanted)))
        return give(statements, KEY, by, draft, now_ms)


def shown_now(store: Store, number: int, now_ms: int = NOW_MS) -> Dispatch:
    return shown(store.address, number, now_ms)


def publish(store: Store, now_ms: int = NOW_MS) -> list[Order]:
    """What the broker gets, as the terminals read it."""
    outgoing = answers.claim(store, now_ms)
    answers.published(store, outgoing, now_ms)
    orders = []
    for each in outgoing:
        if not each.clears:
            terminal = each.topics[0].split("/")[2]
            orders.append(open_signed(each.payload, terminal=terminal, public_key=KEY.public_key))
    return orders


def say(store: Store, order: Order, state: str, *, now_ms: int = NOW_MS, code: str = "", ts: int = 1) -> None:
    result = Result(id=order.id, order=order.order, state=state, ts=ts, code=code)  # type: ignore[arg-type] # what comes
    answers.record(store, [Heard(terminal=order.terminal, kind=order.order, result=result)], now_ms)


def test_each_terminal_is_told_under_its_own_number(store: Store) -> None:
    number = order(store, MAX, "recall", id="r1", gtin="4006381333931", lot="L7", reason="glass")
    orders = publish(store)
    assert [each.terminal for each in orders] == list(TILLS)
    for each in orders:
        check_order(each)
        assert (each.issuer, each.role, each.params["lot"]) == ("max", "manager", "L7")
        assert (each.issued_ms, each.not_after_ms) == (NOW_MS, NOW_MS + 24 * HOUR_MS)
    assert len({each.id for each in orders}) == 3
    assert publish(store) == []
    assert shown_now(store, number).counts == {"published": 3}


def test_numbers_never_fall_though_the_clock_does(store: Store) -> None:
    window = Window()
    for now_ms in (NOW_MS, NOW_MS, NOW_MS - HOUR_MS, NOW_MS + 5):
        order(store, MAX, "ping", now_ms=now_ms, wanted=["till-1"])
        (each,) = publish(store, NOW_MS + HOUR_MS)
        assert not window.refuses(each.epoch, each.counter)
        window = window.took(each.epoch, each.counter, each.issued_ms)


def test_a_bit_changed_on_the_way_is_noticed(store: Store) -> None:
    order(store, MAX, "ping", wanted=["till-1"])
    (each,) = answers.claim(store, NOW_MS)
    with pytest.raises(OrderForged):
        open_signed(each.payload.replace(b'"ping"', b'"lock"'), terminal="till-1", public_key=KEY.public_key)


@pytest.mark.parametrize("kind", [name for name, kind in ORDERS.items() if kind.persons == 2])
def test_what_takes_two_persons_waits_for_the_second(store: Store, kind: str) -> None:
    number = order(store, SAM, kind, wanted=["till-1"])
    assert publish(store) == []
    assert shown_now(store, number).state == "pending"
    with pytest.raises(SamePerson, match="given by sam"):
        approve(store, KEY, SAM, number, NOW_MS)
    with pytest.raises(RoleNeeded, match="takes the role security, and max is manager"):
        approve(store, KEY, MAX, number, NOW_MS)
    assert publish(store) == []
    approve(store, KEY, SUE, number, NOW_MS + 5)
    (each,) = publish(store)
    assert (each.issuer, each.seconded, each.issued_ms) == ("sam", "sue", NOW_MS + 5)
    assert check_order(each) is not None
    with pytest.raises(DispatchUnknown, match="does not wait for anybody"):
        approve(store, KEY, SUE, number, NOW_MS)
    (given, agreed) = audited(store.address)
    assert (given.who, given.outcome, given.approved_by) == ("sam", "waits for a second person", "")
    assert (agreed.who, agreed.approved_by, agreed.terminals) == ("sam", "sue", ("till-1",))


def test_who_is_not_answered_within_a_day_asks_again(store: Store) -> None:
    number = order(store, SAM, "unlock", wanted=["till-1"])
    answers.sweep(store, KEY, NOW_MS + 24 * HOUR_MS)
    assert shown_now(store, number).state == "pending"
    with pytest.raises(DispatchUnknown):
        approve(store, KEY, SUE, number, NOW_MS + 24 * HOUR_MS + 1)
    answers.sweep(store, KEY, NOW_MS + 24 * HOUR_MS + 1)
    assert (shown_now(store, number).state, shown_now(store, number).counts) == ("lapsed", {"cancelled": 1})
    assert audited(store.address)[-1].action == "order-lapsed"


def test_the_way_of_an_order(store: Store) -> None:
    number = order(store, MAX, "ping", wanted=["till-1"])
    (each,) = publish(store)
    for ts, state in enumerate(("accepted", "waiting", "running")):
        say(store, each, state, ts=ts)
        assert shown_now(store, number).terminals[0].state == state
    say(store, each, "waiting", ts=1)  # what was overtaken on its way
    assert shown_now(store, number).counts == {"running": 1}
    say(store, each, "successful", ts=3)
    say(store, each, "running", ts=4)
    say(store, each, "failed", ts=5)
    answers.sweep(store, KEY, NOW_MS)
    assert (shown_now(store, number).state, shown_now(store, number).counts) == ("done", {"successful": 1})
    last = audited(store.address)[-1]
    assert (last.action, last.outcome, last.about["number"]) == ("order-done", "1 successful", number)
    answers.sweep(store, KEY, NOW_MS)
    assert audited(store.address)[-1] == last
    (gone,) = answers.claim(store, NOW_MS)
    assert gone.clears
    assert gone.payload == b""
    assert gone.topics == (f"pos/v1/till-1/cmd/ping/{each.id}", f"pos/v1/till-1/cmd/ping/{each.id}/res")
    answers.published(store, [gone], NOW_MS)
    assert answers.claim(store, NOW_MS + HOUR_MS) == []


def test_another_terminals_word_does_not_count(store: Store) -> None:
    number = order(store, MAX, "ping", wanted=["till-1"])
    (each,) = publish(store)
    result = Result(id=each.id, order="ping", state="successful", ts=1)
    answers.record(store, [Heard(terminal="till-2", kind="ping", result=result)], NOW_MS)
    answers.record(store, [Heard(terminal="till-1", kind="lock", result=result)], NOW_MS)
    assert shown_now(store, number).counts == {"published": 1}


def test_card_data_in_an_answer_is_starred(store: Store) -> None:
    number = order(store, MAX, "logs", wanted=["till-1"])
    (each,) = publish(store)
    pan = "4111111111111111"
    result = Result(id=each.id, order="logs", state="successful", ts=1, text=f"card {pan}", output={"lines": [pan]})
    answers.record(store, [Heard(terminal="till-1", kind="logs", result=result)], NOW_MS)
    (told,) = shown_now(store, number).terminals
    assert pan not in f"{told}"
    assert told.text.endswith("1111")


def test_who_never_answers_is_named_and_may_still_answer(store: Store) -> None:
    number = order(store, MAX, "ping", wanted=["till-1", "till-2"])
    one, two = publish(store)
    say(store, one, "running")
    later_ms = NOW_MS + 24 * HOUR_MS + answers.GRACE_MS
    answers.sweep(store, KEY, later_ms)
    assert shown_now(store, number).counts == {"published": 1, "running": 1}
    answers.sweep(store, KEY, later_ms + 1)
    assert [(each.state, each.code) for each in shown_now(store, number).terminals] == [
        ("running", ""),
        ("expired", "no-answer"),
    ]
    answers.sweep(store, KEY, later_ms + HOUR_MS)
    assert shown_now(store, number).state == "done"
    assert audited(store.address)[-1].outcome == "1 expired, 1 failed"
    say(store, two, "successful", now_ms=later_ms + 2 * HOUR_MS)
    assert shown_now(store, number).counts == {"failed": 1, "successful": 1}


def test_an_order_that_is_taken_back_comes_off_the_broker(store: Store) -> None:
    number = order(store, MAX, "ping")
    held = answers.claim(store, NOW_MS)
    answers.published(store, held[:1], NOW_MS)
    say(store, open_signed(held[0].payload, terminal="till-1", public_key=KEY.public_key), "running")
    with pytest.raises(RoleNeeded):
        cancel(store, KEY, operator("kim", "auditor"), number, NOW_MS)
    assert cancel(store, KEY, SUE, number, NOW_MS) == 2
    assert shown_now(store, number).counts == {"cancelled": 2, "running": 1}
    assert [each.clears for each in answers.claim(store, NOW_MS)] == [True, True]
    # One that was under way to the broker when it was taken back comes off once it is there.
    answers.published(store, held[1:2], NOW_MS)
    assert [each.id for each in answers.claim(store, NOW_MS)] == [held[1].id]
    with pytest.raises(DispatchUnknown, match="no order 99"):
        cancel(store, KEY, SUE, 99, NOW_MS)


def test_a_claim_lapses_with_its_collector_and_a_broker_may_forget(store: Store) -> None:
    order(store, MAX, "ping", wanted=["till-1"])
    (first,) = answers.claim(store, NOW_MS)
    assert answers.claim(store, NOW_MS + answers.CLAIM_MS) == []
    (again,) = answers.claim(store, NOW_MS + answers.CLAIM_MS + 1)
    assert again.payload == first.payload
    answers.published(store, [again], NOW_MS)
    answers.publish_again(store, NOW_MS)
    (once_more,) = answers.claim(store, NOW_MS)
    assert once_more.payload == first.payload
    assert once_more.expiry_s == 86_400


@pytest.mark.parametrize(
    ("kind", "params", "by", "error", "says"),
    [
        ("explode", {}, MAX, OrderUnfit, "no order 'explode'; there are ping"),
        ("recall", {"id": "r1"}, MAX, OrderUnfit, "missing required field"),
        ("recall", {"id": "r1", "gtin": "x", "reason": "y"}, MAX, OrderUnfit, "gtin"),
        ("message", {"text": "card 4111111111111111"}, SUE, OrderUnfit, "no card's number"),
        ("ping", {"now": 1}, MAX, OrderUnfit, "unknown field"),
        ("release-tamper", {"incident": "a"}, SAM, OrderUnfit, "comes by a file"),
        ("lock", {"text": "stolen"}, MAX, RoleNeeded, "takes the role security, and max is manager"),
        ("ping", {}, operator("kim", "auditor"), RoleNeeded, "takes the role support"),
        ("ping", {}, operator("ada", "admin"), RoleNeeded, "takes the role support"),
    ],
)
def test_what_is_no_order_is_told_to_nobody(
    store: Store, kind: str, params: dict[str, object], by: Operator, error: type[Refused], says: str
) -> None:
    with pytest.raises(error, match=says) as raised:
        order(store, by, kind, **params)  # type: ignore[arg-type]
    assert raised.value.remedy
    assert answers.claim(store, NOW_MS) == []
    assert listed(store.address, 10, NOW_MS) == []


def test_a_retired_terminal_is_named_no_more(store: Store) -> None:
    number = order(store, SAM, "retire", wanted=["till-2"])
    approve(store, KEY, SUE, number, NOW_MS)
    (each,) = publish(store)
    say(store, each, "running")
    assert [place.retired_ms for place in places(store.address)] == [None, None, None]
    say(store, each, "successful", now_ms=NOW_MS + 9)
    assert [place.retired_ms for place in places(store.address)] == [None, NOW_MS + 9, None]


def test_an_order_by_file_is_numbered_and_noted_too(store: Store) -> None:
    def signed(by: Operator) -> Order:
        params = {"incident": "abc"}
        said = to_file(store, KEY, by, "till-1", "release-tamper", params, HOUR_MS, NOW_MS)
        return open_signed(said, terminal="till-1", public_key=KEY.public_key)

    one, two = signed(SAM), signed(SAM)
    assert (one.role, one.issuer, one.not_after_ms) == ("security", "sam", NOW_MS + HOUR_MS)
    assert two.counter > one.counter
    with pytest.raises(RoleNeeded):
        signed(MAX)
    assert [(entry.who, entry.action) for entry in audited(store.address)] == [("sam", "order-file")] * 2


def test_no_order_is_good_for_ever(store: Store) -> None:
    for valid_ms in (0, -1, 91 * 24 * HOUR_MS):
        draft = Draft(kind="ping", params={}, wanted=Filter(all=True), valid_ms=valid_ms)
        with pytest.raises(OrderUnfit, match="days at most"), store.transaction() as statements:
            give(statements, KEY, MAX, draft, NOW_MS)


def test_filters(store: Store) -> None:
    def names(**wanted: object) -> list[str]:
        with store.transaction() as statements:
            draft = Draft(kind="ping", params={}, wanted=Filter(**wanted))  # type: ignore[arg-type]
            number = give(statements, KEY, MAX, draft, NOW_MS)
        return [each.terminal for each in shown_now(store, number).terminals]

    assert names(all=True) == list(TILLS)
    assert names(tags=("pilot",)) == ["till-1"]
    assert names(sites=("Basel",)) == ["till-1", "till-2"]
    assert names(sites=("Basel", "Bern")) == list(TILLS)
    assert names(where=(("site", "Bern"),), all=True) == ["till-3"]
    assert names(terminals=("till-1", "till-3"), sites=("Bern",)) == ["till-3"]
    with store.transaction() as statements:
        retire(statements, "till-3", 5)
    assert names(all=True) == ["till-1", "till-2"]
    for wanted, error in (
        ({"terminals": ("till-9",)}, TerminalUnknown), ({"terminals": ("till-3",)}, TerminalUnknown),
        ({"tags": ("nothing",)}, NoTerminals), ({}, NoTerminals),
    ):  # fmt: skip
        with pytest.raises(error):
            names(**wanted)
    assert [each.retired_ms for each in places(store.address)] == [None, None, 5]


@pytest.mark.parametrize(
    "wrong", [{"site": "x" * 65}, {"workstation": "a\nb"}, {"tags": ["A B"]}, {"site": "4111111111111111"}]
)
def test_places_that_are_none(store: Store, wrong: dict[str, object]) -> None:
    with pytest.raises(PlaceUnfit), store.transaction() as statements:
        put(statements, "till-1", 2, **wrong)  # type: ignore[arg-type]
    assert places(store.address)[0].site == "Basel"


def test_parameters_as_people_write_them() -> None:
    assert read_params("identify", ["seconds=5"]) == {"seconds": 5}
    assert read_params("staff", ["revoke=anna, ben"]) == {"revoke": ["anna", "ben"]}
    for kind, given in (
        ("identify", ["seconds=no"]),
        ("ping", ["a=1"]),
        ("identify", ["seconds"]),
        ("identify", ["seconds=1"] * 2),
    ):
        with pytest.raises(OrderUnfit):
            read_params(kind, given)


def test_the_log_is_whole_after_all_that(store: Store) -> None:
    number = order(store, SAM, "unlock")
    approve(store, KEY, SUE, number, NOW_MS)
    cancel(store, KEY, SAM, number, NOW_MS)
    answers.sweep(store, KEY, NOW_MS)
    found = look_through(store.address, KEY.public_key)
    assert (found.entries, found.broken) == (4, None)
