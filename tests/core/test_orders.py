"""Signed orders: believed by headquarters' key alone, for one terminal, in time, once."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core.orders import (
    HELD,
    ORDER_BYTES_MAX,
    ORDERS,
    RELEASE_TAMPER,
    WINDOW_MAX,
    Content,
    Note,
    Order,
    OrderError,
    OrderExpired,
    OrderForged,
    OrderMisaddressed,
    OrderNotAllowed,
    OrderParamsWrong,
    OrderReplayed,
    OrderUnknown,
    OrderUnreadable,
    Window,
    check_order,
    encode_order,
    open_order,
    open_signed,
    timing,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ORDER = Order(
    terminal="till-3", order=RELEASE_TAMPER, counter=7, not_after_ms=1_000, role="security", params={"incident": "aa"}
)
SIGNED = encode_order(ORDER, KEY.sign)


def opened(payload: bytes = SIGNED, **said: object) -> Order:
    known: dict[str, object] = {
        "terminal": "till-3", "wanted": RELEASE_TAMPER, "public_key": PUBLIC, "now_ms": 500, "counter": 6
    }  # fmt: skip
    return open_order(payload, **(known | said))  # type: ignore[arg-type]


def test_an_order_comes_through() -> None:
    assert opened() == ORDER


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"terminal": "till-4"}, OrderMisaddressed),
        ({"wanted": "reboot"}, OrderMisaddressed),
        ({"public_key": bytes(32)}, OrderForged),
        ({"now_ms": 1_001}, OrderExpired),
        ({"counter": 7}, OrderReplayed),
        ({"counter": 8}, OrderReplayed),
    ],
)
def test_what_is_not_carried_out(said: dict[str, object], error: type[OrderError]) -> None:
    with pytest.raises(error):
        opened(SIGNED, **said)


def test_an_order_holds_until_its_last_moment() -> None:
    assert opened(now_ms=1_000) == ORDER


def test_a_signature_is_for_one_terminal() -> None:
    other = SIGNED.replace(b"till-3", b"till-4")
    with pytest.raises(OrderForged):
        opened(other, terminal="till-4")


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_no_altered_byte_is_believed(place: int, change: int) -> None:
    altered = bytearray(SIGNED)
    altered[place] ^= change
    with pytest.raises(OrderError):
        opened(bytes(altered))


@given(st.binary(max_size=300))
def test_noise_is_no_order(payload: bytes) -> None:
    with pytest.raises(OrderError):
        opened(payload)


def test_an_endless_order_is_not_read() -> None:
    with pytest.raises(OrderUnreadable):
        opened(SIGNED + b" " * ORDER_BYTES_MAX)


def test_half_an_order_is_none() -> None:
    body = msgspec.json.encode(ORDER)
    with pytest.raises(OrderUnreadable):
        opened(b'{"order":' + body + b"}")


@pytest.mark.parametrize(
    "text",
    [
        b'{"order":{"terminal":"till-4",' + SIGNED[len(b'{"order":{') :],  # a key twice, the signed one last
        SIGNED.replace(b'"signature":', b'"signature":"00","signature":'),
        SIGNED.replace(b'"signature": ', b'"signature":') + b" ",
        SIGNED.rstrip(b"\n"),
        SIGNED.replace(b'"till-3"', b'"\\u0074ill-3"'),
        b'{"order":{"terminal":"till-3","order":"x","counter":1,"not_after_ms":1,"role":"x","params":{"n":'
        + b"9" * 300
        + b'}},"signature":"00"}',
    ],
)
def test_an_order_is_written_in_one_way(text: bytes) -> None:
    with pytest.raises(OrderUnreadable):
        opened(text)


# --- who may give what -----------------------------------------------------------------------------------------------


def given_order(
    order: str, params: dict[str, object] | None = None, *, role: str = "security", seconded: str = "ben"
) -> Order:
    return Order(
        id="o-1", terminal="till-3", order=order, epoch=1, counter=1, issued_ms=100, not_after_ms=1_000, role=role,
        issuer="anna", seconded=seconded, params=params or {},
    )  # fmt: skip


PARAMS: dict[str, dict[str, object]] = {
    "lock": {"text": "Stolen"},
    "message": {"text": "Stock-taking today"},
    "recall": {"id": "R-1", "gtin": "4006381333931", "lot": "A1", "reason": "glass in it"},
    "lift-recall": {"id": "R-1"},
    "catalogue": {"url": "https://hq.example/c.upd", "sha256": "00" * 32, "size_bytes": 10},
    RELEASE_TAMPER: {"incident": "aa"},
}


@pytest.mark.parametrize("role", ["", "auditor", "support", "manager", "security", "root"])
@pytest.mark.parametrize("name", list(ORDERS))
def test_each_order_takes_its_role(name: str, role: str) -> None:
    order = given_order(name, PARAMS.get(name), role=role)
    if role in HELD and ORDERS[name].role in HELD[role]:
        assert isinstance(check_order(order), ORDERS[name].params)
    else:
        with pytest.raises(OrderNotAllowed):
            check_order(order)


@pytest.mark.parametrize("name", [name for name, kind in ORDERS.items() if kind.persons == 2])
@pytest.mark.parametrize("seconded", ["", "anna"])
def test_two_persons_are_two(name: str, seconded: str) -> None:
    with pytest.raises(OrderNotAllowed, match="two persons"):
        check_order(given_order(name, seconded=seconded))


def test_unlocking_and_keys_take_two_persons() -> None:
    assert {name for name, kind in ORDERS.items() if kind.persons == 2} == {
        "unlock",
        "open-claim",
        "rotate-keys",
        "retire",
    }


def test_parameters_come_typed() -> None:
    assert check_order(given_order("lock", {"text": "Stolen"})) == Note(text="Stolen")
    content = check_order(given_order("catalogue", PARAMS["catalogue"], role="manager"))
    assert content == Content(url="https://hq.example/c.upd", sha256="00" * 32, size_bytes=10)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ping", {"more": 1}),
        ("lock", {}),
        ("lock", {"text": ""}),
        ("lock", {"text": "x" * 201}),
        ("message", {"text": "call 4111111111111111"}),
        ("message", {"text": "a\nb"}),
        ("identify", {"seconds": 61}),
        ("identify", {"seconds": "10"}),
        ("logs", {"url": "http://hq.example/x"}),
        ("logs", {"url": "https://user:secret@hq.example/x"}),
        ("logs", {"lines": True}),
    ],
)
def test_other_parameters_are_refused(name: str, params: dict[str, object]) -> None:
    with pytest.raises(OrderParamsWrong):
        check_order(given_order(name, params))


def test_an_order_of_a_newer_headquarters_is_refused_by_name() -> None:
    with pytest.raises(OrderUnknown):
        check_order(given_order("fly"))


@pytest.mark.parametrize("order_id", ["", "a/b", "+", "x" * 65, "4111111111111111"])
def test_an_id_has_to_stand_in_a_topic(order_id: str) -> None:
    with pytest.raises(OrderMisaddressed):
        check_order(msgspec.structs.replace(given_order("ping"), id=order_id))


def test_nobody_gives_orders_namelessly() -> None:
    with pytest.raises(OrderNotAllowed):
        check_order(msgspec.structs.replace(given_order("ping"), issuer=""))


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "now_ms", "known_ms", "is_sure", "expected"),
    [
        ("restart", 500, 0, True, "due"),
        ("restart", 1_001, 0, True, "over"),
        ("restart", 0, 0, True, "due"),  # a clock behind the order's own signature
        ("restart", 500, 1_001, True, "due"),  # headquarters' own clock may have stood in the future
        ("restart", 500, 1_001, False, "over"),
        ("restart", 500, 0, False, "unsure"),
        ("restart", 9_999, 0, False, "unsure"),  # years ahead, or not: it does not count
        ("lock", 9_999, 0, False, "due"),
        ("lock", 0, 1_001, False, "over"),
    ],
)
def test_the_time_of_an_order(name: str, now_ms: int, known_ms: int, is_sure: bool, expected: str) -> None:
    order = given_order(name, PARAMS.get(name))
    assert timing(order, now_ms=now_ms, known_ms=known_ms, is_sure=is_sure) == expected


def test_an_order_for_later_waits_for_a_clock_that_is_sure() -> None:
    order = msgspec.structs.replace(given_order("ping"), not_before_ms=600)
    assert timing(order, now_ms=500, known_ms=0, is_sure=True) == "early"
    assert timing(order, now_ms=9_000, known_ms=0, is_sure=False) == "unsure"
    assert timing(order, now_ms=600, known_ms=0, is_sure=True) == "due"


# --- once ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), max_size=60))
def test_no_number_is_taken_twice_in_whatever_sequence_they_come(numbers: list[tuple[int, int]]) -> None:
    window, taken = Window(), []
    for epoch, counter in numbers:
        if not window.refuses(epoch, counter):
            window = window.took(epoch, counter, 0)
            taken.append((epoch, counter))
    assert len(taken) == len(set(taken))
    newest = max((epoch for epoch, _ in numbers), default=0)
    assert {each for each in taken if each[0] == newest} == {each for each in numbers if each[0] == newest}


@given(st.permutations(range(1, WINDOW_MAX + 60)))
def test_a_window_stays_small_and_refuses_what_it_forgot(counters: list[int]) -> None:
    window, taken = Window(), set()
    for counter in counters:
        if not window.refuses(1, counter):
            window = window.took(1, counter, counter)
            taken.add(counter)
    assert len(window.taken) <= WINDOW_MAX
    assert all(window.refuses(1, counter) for counter in taken)
    assert window.known_ms == max(taken)


def test_a_new_generation_forgets_what_time_the_one_before_thought_it_was() -> None:
    assert Window().took(1, 1, 9_000).took(1, 2, 100).known_ms == 9_000
    assert Window().took(1, 1, 9_000).took(2, 1, 100).known_ms == 100


def test_an_order_of_the_generation_before_is_refused() -> None:
    window = Window().took(2, 5, 0)
    assert window.refuses(1, 9)
    assert not window.refuses(3, 1)


def test_a_believed_order_is_not_yet_one_that_may_be_run() -> None:
    payload = encode_order(given_order("fly"), KEY.sign)
    assert open_signed(payload, terminal="till-3", public_key=PUBLIC).order == "fly"
