"""When an alarm is raised, changed, cleared, and what is remembered of it."""

from pathlib import Path

import pytest

from core.alarms import KINDS
from core.ledger import ClockQuality, Stamp
from terminald.alarms import CLEARED_AFTER_S, UNTOLD_MAX, AlarmBook


def at(seconds: float) -> Stamp:
    return Stamp(time_ms=1_000_000 + int(seconds * 1000), clock=ClockQuality.NTP, boot="b" * 16, mono_ms=0)


class Book:
    """A book at a time."""

    def __init__(self, path: Path | None = None, settled_after_s: float = 0.0) -> None:
        self.book = AlarmBook(path, settled_after_s=settled_after_s)

    def take(self, seconds: float, **found: dict[str, str | int]) -> bool:
        return self.book.take({type_.replace("_", "-"): each for type_, each in found.items()}, at(seconds), seconds)

    @property
    def raised(self) -> set[str]:
        return set(self.book.raised)


def test_it_is_raised_when_its_rule_has_held_for_its_time() -> None:
    book = Book()
    after_s = KINDS["device-missing"].after_s
    missing: dict[str, str | int] = {"devices": "printer"}
    assert not book.take(0, device_missing=missing)
    assert book.book.due_in_s(0) == after_s
    assert not book.take(after_s - 1, device_missing=missing)
    assert book.take(after_s, device_missing=missing)
    assert book.raised == {"device-missing"}
    assert book.book.due_in_s(after_s) is None


def test_one_that_was_away_in_between_begins_anew() -> None:
    book = Book()
    after_s = KINDS["device-missing"].after_s
    missing: dict[str, str | int] = {"devices": "printer"}
    book.take(0, device_missing=missing)
    book.take(after_s - 1)
    assert not book.take(after_s, device_missing=missing)
    assert book.raised == set()


def test_it_is_cleared_when_its_rule_has_not_held_for_a_moment() -> None:
    book = Book()
    assert book.take(0, disk_low={})
    assert not book.take(1)
    assert book.book.due_in_s(1) == CLEARED_AFTER_S
    assert not book.take(1.5, disk_low={})  # it came back
    assert not book.take(2)
    assert book.take(2 + CLEARED_AFTER_S)
    assert book.raised == set()
    assert [(type_, alarm is not None) for type_, alarm in book.book.untold()] == [
        ("disk-low", True), ("disk-low", False),
    ]  # fmt: skip
    assert book.book.untold() == []


def test_words_that_change_are_told_with_the_same_beginning_and_numbers_are_not() -> None:
    book = Book()
    book.take(0, quarantined={"records": 1})
    assert not book.take(1, quarantined={"records": 2})
    book.take(2, paper_out={"devices": "a"})
    book.take(5, paper_out={"devices": "a"}, quarantined={"records": 9})
    assert book.take(6, paper_out={"devices": "a b"}, quarantined={"records": 9})
    alarm = book.book.raised["paper-out"]
    assert (alarm.since, alarm.ts) == (at(5).time_ms, at(6).time_ms)
    assert alarm.text == "Out of paper: a b."
    assert book.book.raised["quarantined"].v == {"records": 1}


def test_what_is_raised_is_remembered_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "alarms.json"
    first = Book(path)
    first.take(0, disk_low={}, quarantined={"records": 1})
    first.book.write(first.book.news())
    second = Book(path, settled_after_s=10)
    assert second.raised == {"disk-low", "quarantined"}
    assert not second.take(100, quarantined={"records": 1})
    assert second.book.due_in_s(100) == 10
    assert not second.take(109, quarantined={"records": 1})
    assert second.take(110, quarantined={"records": 1})
    assert second.raised == {"quarantined"}
    assert second.book.raised["quarantined"].since == at(0).time_ms
    assert [(type_, alarm) for type_, alarm in second.book.untold()] == [("disk-low", None)]


@pytest.mark.parametrize("kept", [b"", b"{", b"[]", b'{"raised":{"x":1}}', b'{"raised":' * 5000, b"\xff"])
def test_a_file_that_cannot_be_read_is_begun_again(tmp_path: Path, kept: bytes) -> None:
    path = tmp_path / "alarms.json"
    path.write_bytes(kept)
    assert Book(path).raised == set()


def test_an_alarm_of_another_version_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "alarms.json"
    first = Book(path)
    first.take(0, disk_low={})
    path.write_bytes(first.book.news().replace(b"disk-low", b"disk-odd"))
    assert Book(path).raised == set()


def test_a_medium_that_takes_nothing_is_no_fault_of_the_alarms(tmp_path: Path) -> None:
    book = Book(tmp_path / "none" / "alarms.json")
    assert book.take(0, disk_full={})
    book.book.write(book.book.news())
    assert book.raised == {"disk-full"}


def test_what_nobody_was_told_is_bounded() -> None:
    book = Book()
    for number in range(UNTOLD_MAX):
        book.take(10 * number, disk_low={})
        book.take(10 * number + 1)
        book.take(10 * number + 1 + CLEARED_AFTER_S)
    assert len(book.book.untold()) == UNTOLD_MAX


def test_how_it_stands_in_one_group() -> None:
    book = Book()
    book.take(0, disk_low={}, case_opened={"incident": "i-7"})
    assert book.book.values() == {"alarms": "case-opened disk-low", "alarm_count": 2, "worst": "critical"}
