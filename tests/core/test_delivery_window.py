"""The window: at most four in flight, sent again until headquarters' mark has passed, and no mark believed blindly."""

import pytest

from core.delivery import Ack
from core.ledger import GENESIS, Head
from core.window import (
    BATCH_BYTES_MIN,
    BATCH_S,
    FLIGHTS_MAX,
    GAP_RESEND_AFTER_S,
    RECONNECT_AFTER_MAX_S,
    RESEND_AFTER_MAX_S,
    RESEND_AFTER_S,
    UNANSWERED_AFTER_S,
    Sizing,
    Verdict,
    Window,
    backoff_s,
    spread_s,
)

EPOCH = "e"


def hash_of(seq: int) -> bytes:
    return seq.to_bytes(32, "big")


def head(seq: int) -> Head:
    return Head(epoch=EPOCH, seq=seq, hash=hash_of(seq))


def ack(hwm: int, *, generation: int = 5, epoch: str = EPOCH, gaps: tuple[tuple[int, int], ...] = ()) -> Ack:
    return Ack(
        epoch=epoch, hwm=hwm, archived_hwm=0, gaps=gaps, quarantined=(), hash_at_hwm=hash_of(hwm).hex(),
        collector_generation=generation,
    )  # fmt: skip


def window(flights: int = 0, *, size: int = 10, acknowledged: int = 0, generation: int = 5) -> Window:
    """With so many batches of `size` records in flight."""
    made = Window(Head(epoch=EPOCH, seq=acknowledged, hash=hash_of(acknowledged)), generation)
    for _ in range(flights):
        first = made.sent.seq + 1
        made.launch(first, head(first + size - 1), b"payload")
    return made


def take(made: Window, answer: Ack, *, synced: int = 1000, own: bytes | None = None, now_s: float = 0.0) -> Verdict:
    return made.take(answer, synced, own or hash_of(answer.hwm), now_s)


def test_at_most_four_are_in_flight() -> None:
    made = window(FLIGHTS_MAX)
    assert not made.has_room
    with pytest.raises(AssertionError):
        made.launch(41, head(50), b"")


def test_a_batch_must_follow_the_one_before() -> None:
    with pytest.raises(AssertionError):
        window(1).launch(12, head(20), b"")


def test_what_was_sent_is_due_again_after_a_jittered_pause_that_grows() -> None:
    made = window(1)
    (flight,) = made.due(0.0)
    made.was_sent(flight, 0.0, 0.5)
    assert made.due(RESEND_AFTER_S - 0.01) == ()
    assert made.due(RESEND_AFTER_S) == (flight,)
    made.was_sent(flight, 10.0, 0.5)
    assert made.next_due_s() == 10.0 + 2 * RESEND_AFTER_S


def test_pauses_are_bounded_and_spread() -> None:
    assert backoff_s(100, 0.5, RESEND_AFTER_S, RESEND_AFTER_MAX_S) == RESEND_AFTER_MAX_S
    assert backoff_s(1, 0.0, 4.0, 60.0) == 2.0
    assert backoff_s(1, 0.999, 4.0, 60.0) == pytest.approx(6.0, abs=0.01)


def test_what_is_still_on_a_slow_line_is_not_sent_once_more() -> None:
    made = window(2)
    for flight in made.due(0.0):
        made.was_sent(flight, 0.0, 0.5)
        made.handed_over(flight)
    assert made.due(UNANSWERED_AFTER_S - 0.01) == ()
    first, second = made.due(UNANSWERED_AFTER_S)
    assert made.was_answered(first, 20.0) == 20.0
    assert made.was_answered(second, 50.0) == 30.0  # the first was before it on the line
    assert made.next_due_s() == 20.0 + RESEND_AFTER_S
    assert made.due(50.0) == (first,)


def test_a_connection_that_ended_before_an_answer_says_so() -> None:
    made = window(1)
    assert not made.reconnected()
    (flight,) = made.due(0.0)
    made.handed_over(flight)
    assert made.reconnected()
    assert made.due(0.0) == (flight,)
    assert not made.reconnected()


def test_what_is_in_the_air_can_be_taken_back_and_cut_anew() -> None:
    made = window(3, acknowledged=10)
    made.land()
    assert (made.flights, made.sent.seq, made.largest()) == (0, 10, (0, 0))
    made.launch(11, head(12), b"four", 7)
    assert made.largest() == (7, 4)


def test_batches_become_smaller_on_a_slow_line_and_grow_again() -> None:
    sizing = Sizing()
    most = sizing.bytes_max
    sizing.took(240_000, 24.0)
    assert sizing.bytes_max == 240_000 * BATCH_S / 24.0
    sizing.took(50_000, 6.0)
    assert sizing.bytes_max < 50_000
    small = sizing.bytes_max
    sizing.took(100, 0.3)  # a single sale says nothing of how fast the line is
    sizing.took(40_000, 3.0)
    assert sizing.bytes_max == small
    for _ in range(20):
        sizing.took(sizing.bytes_max, 0.1)
    assert sizing.bytes_max == most
    for _ in range(40):
        sizing.lost()
    assert sizing.bytes_max == BATCH_BYTES_MIN


def test_a_fleet_comes_back_evenly_over_the_time() -> None:
    tenths = [round(10 * spread_s(6, number / 5_000) / RECONNECT_AFTER_MAX_S) for number in range(5_000)]
    assert max(map(tenths.count, range(1, 10))) - min(map(tenths.count, range(1, 10))) < 50
    assert spread_s(1, 0.999) < 1.0
    assert spread_s(10_000, 0.999) < RECONNECT_AFTER_MAX_S


def test_a_new_connection_sends_everything_again_at_once() -> None:
    made = window(2)
    for flight in made.due(0.0):
        made.was_sent(flight, 0.0, 0.9)
    made.reconnected()
    assert [flight.first for flight in made.due(0.0)] == [1, 11]


def test_a_mark_lets_go_of_what_it_passed() -> None:
    made = window(3)
    assert take(made, ack(20)) is Verdict.ADVANCED
    assert made.acknowledged.seq == 20
    assert [flight.first for flight in made.due(0.0)] == [21]


def test_a_mark_inside_a_batch_keeps_the_batch() -> None:
    made = window(1)
    assert take(made, ack(4)) is Verdict.ADVANCED
    assert made.flights == 1


def test_a_mark_beyond_what_was_sent_is_taken_when_the_journal_has_it() -> None:
    made = window(1)
    assert take(made, ack(500)) is Verdict.ADVANCED
    assert (made.flights, made.sent.seq) == (0, 500)


def test_the_same_mark_again_changes_nothing() -> None:
    made = window(1, acknowledged=10)
    assert take(made, ack(10)) is Verdict.REPEATED
    assert made.flights == 1


def test_a_lower_mark_of_the_same_generation_is_ignored() -> None:
    made = window(1, acknowledged=10)
    assert take(made, ack(9)) is Verdict.STALE
    assert made.acknowledged.seq == 10


def test_a_lower_generation_is_ignored_even_with_a_higher_mark() -> None:
    made = window(1, acknowledged=10)
    assert take(made, ack(20, generation=4)) is Verdict.STALE
    assert made.acknowledged.seq == 10


def test_a_restored_headquarters_gets_everything_again_from_its_mark() -> None:
    made = window(2, acknowledged=10)
    assert take(made, ack(3, generation=6)) is Verdict.REPLAY
    assert (made.acknowledged.seq, made.sent.seq, made.flights, made.generation) == (3, 3, 0, 6)
    assert take(made, ack(10, generation=5)) is Verdict.STALE


def test_a_headquarters_that_lost_everything_gets_everything_again() -> None:
    made = window(1, acknowledged=10)
    lost = Ack(
        epoch=EPOCH, hwm=0, archived_hwm=0, gaps=(), quarantined=(), hash_at_hwm=GENESIS.hex(), collector_generation=6
    )
    assert made.take(lost, 1000, GENESIS, 0.0) is Verdict.REPLAY
    assert made.sent == Head(epoch=EPOCH, seq=0, hash=GENESIS)


def test_a_mark_ahead_of_the_journal_is_told() -> None:
    made = window(1)
    assert take(made, ack(1001)) is Verdict.AHEAD
    assert made.acknowledged.seq == 0


def test_another_hash_at_the_mark_is_told() -> None:
    made = window(1)
    assert take(made, ack(10), own=hash_of(11)) is Verdict.FORKED
    assert (made.acknowledged.seq, made.flights) == (0, 1)


def test_an_acknowledgement_of_another_epoch_is_ignored() -> None:
    assert take(window(1), ack(5, epoch="other")) is Verdict.OTHER_EPOCH


def test_what_headquarters_misses_is_sent_again_soon() -> None:
    made = window(3)
    for flight in made.due(0.0):
        made.was_sent(flight, 0.0, 0.5)
    take(made, ack(0, gaps=((1, 10),)), now_s=1.0)
    assert made.next_due_s() == 1.0 + GAP_RESEND_AFTER_S
    assert [flight.first for flight in made.due(1.0 + GAP_RESEND_AFTER_S)] == [1]


def test_hashes_at_hand_need_no_journal() -> None:
    made = window(2, acknowledged=10)
    assert made.hash_at(10) == hash_of(10)
    assert made.hash_at(20) == hash_of(20)
    assert made.hash_at(15) is None
