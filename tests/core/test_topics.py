"""Topic names: ids that could leave their own branch are refused."""

import pytest

from core import topics


def test_names() -> None:
    assert topics.batch("till-3") == "pos/v1/till-3/money/batch"
    assert topics.ack("till-3") == "pos/v1/till-3/money/ack"
    assert topics.status("till-3") == "pos/v1/till-3/status"
    assert topics.tele("till-3", "till") == "pos/v1/till-3/tele/till"


@pytest.mark.parametrize("terminal", ["", "a/b", "+", "#", "a b", "-till", "ü", "x" * 64, "till\n", "$SYS"])
def test_an_id_that_would_not_stand_in_a_topic_is_refused(terminal: str) -> None:
    with pytest.raises(ValueError, match="is no terminal id"):
        topics.batch(terminal)


def test_an_id_that_looks_like_a_cards_number_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="must not look like a card's number") as refused:
        topics.terminal_of("pos/v1/4111111111111111/status")
    assert "4111" not in str(refused.value)


def test_the_terminal_of_a_topic() -> None:
    assert topics.terminal_of("pos/v1/till-3/money/batch") == "till-3"


@pytest.mark.parametrize("topic", ["pos/v1/till-3", "pos/v2/till-3/status", "pos/v1//status", "pos/v1/till-3/", ""])
def test_a_foreign_topic_has_no_terminal(topic: str) -> None:
    with pytest.raises(ValueError, match=r"begin with|names nothing|is no terminal id"):
        topics.terminal_of(topic)


def test_a_telemetry_group_is_one_level() -> None:
    with pytest.raises(ValueError, match="telemetry group"):
        topics.tele("till-3", "a/b")


def test_orders_and_their_results() -> None:
    topic = topics.order("till-3", "lock", "o-1")
    assert topic == "pos/v1/till-3/cmd/lock/o-1"
    assert topics.result("till-3", "lock", "o-1") == f"{topic}/res"
    assert topics.order_of(topic) == topics.order_of(f"{topic}/res") == ("lock", "o-1")
    assert topics.orders("till-3") == "pos/v1/till-3/cmd/+/+"


@pytest.mark.parametrize(
    "topic", ["pos/v1/till-3/cmd/lock", "pos/v1/till-3/cmd/lock/a/b", "pos/v1/till-3/cmd/LOCK/a", "pos/v1/till-3/cmd"]
)
def test_another_topic_is_no_orders(topic: str) -> None:
    with pytest.raises(ValueError, match="no order's topic"):
        topics.order_of(topic)
