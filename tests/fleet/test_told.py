"""What headquarters keeps of what terminals tell: last words, alarms and their history, notices; in both databases."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import topics
from fleet import told
from fleet.config import ConfigError, load
from fleet.intake import Presence, commit
from fleet.listener import Listener
from fleet.own_alarms import Silence
from fleet.store import Address, Store, open_store, reading
from fleet.told import Change, Heard, Report, Standing, Told, keep
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.mqtt import connect
from tests.brokers import Mosquitto
from tests.tills import eventually

TERMINAL = "till-3"


@pytest.fixture
def database(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=1)
    yield opened
    opened.close()


def alarm(since: int, *, text: str = "The disk is nearly full.", ts: int | None = None) -> Told:
    return Told(ts=ts or since, since=since, severity="minor", text=text)


def change(told_: Told | None, type_: str = "disk-low", terminal: str = TERMINAL) -> Change:
    return Change(terminal, type_, told_)


def take(database: Store, *changes: Change | Standing, now_ms: int = 1000, notify: bool = True) -> int:
    return keep(database, Heard(changes=list(changes)), now_ms, notify=notify)


def raised(database: Store) -> list[tuple[str, int]]:
    with reading(database.address) as statements:
        return [(each.type, each.since_ms) for each in told.raised(statements)]


def past(database: Store) -> list[tuple[str, int, int | None]]:
    with reading(database.address) as statements:
        return [(each.type, each.since_ms, each.cleared_ms) for each in told.history(statements, TERMINAL)]


def notices(database: Store) -> list[tuple[str, str]]:
    with reading(database.address) as statements:
        found = [json.loads(body) for (body,) in statements.execute("SELECT body FROM notice ORDER BY number")]
    return [(each["state"], each["type"]) for each in found]


def test_the_last_word_of_each_topic(database: Store) -> None:
    for depth in (1, 2):
        body = json.dumps({"ts": 1, "clk": "ntp", "seq": depth, "v": {"journal_depth": depth}})
        info = told.report_of(TERMINAL, topics.info(TERMINAL), b'{"software":"%d"}' % depth)
        journal = told.report_of(TERMINAL, topics.tele(TERMINAL, "journal"), body.encode())
        other = Report("till-4", "info", "{}")
        assert info is not None
        assert journal is not None
        keep(
            database, Heard({(each.terminal, each.topic): each for each in (info, journal, other)}), depth, notify=True
        )
    with reading(database.address) as statements:
        found = told.reports(statements)
        assert told.reports(statements, "till-4").keys() == {"till-4"}
    assert found[TERMINAL]["info"] == (2, {"software": "2"})
    assert told.values_of(found[TERMINAL]) == {"journal_depth": 2}


@pytest.mark.parametrize(
    "topic", [topics.tele(TERMINAL, "of-nobody"), topics.status(TERMINAL), topics.tele("till-4", "journal")]
)
def test_what_no_terminal_tells_is_not_kept(topic: str) -> None:
    assert told.report_of(TERMINAL, topic, b"{}") is None


def test_an_alarm_from_its_beginning_to_its_end(database: Store) -> None:
    assert take(database, change(alarm(500))) == 1
    assert raised(database) == [("disk-low", 500)]
    assert take(database, change(alarm(500))) == 0  # the broker's retained copy, or another collector
    assert take(database, change(None), now_ms=2000) == 1
    assert take(database, change(None)) == 0
    assert (raised(database), past(database)) == ([], [("disk-low", 500, 2000)])
    assert notices(database) == [("raised", "disk-low"), ("cleared", "disk-low")]


def test_a_new_one_of_a_type_ends_the_one_before(database: Store) -> None:
    take(database, change(alarm(500)), change(alarm(700)), now_ms=2000)
    assert raised(database) == [("disk-low", 700)]
    assert notices(database) == [("raised", "disk-low"), ("cleared", "disk-low"), ("raised", "disk-low")]


def test_words_that_change_are_no_news(database: Store) -> None:
    take(database, change(alarm(500)))
    assert take(database, change(alarm(500, text="Other words.", ts=600))) == 0
    with reading(database.address) as statements:
        assert [each.text for each in told.raised(statements)] == ["Other words."]


def test_one_whose_end_was_missed_is_cleared_by_what_the_terminal_says_every_minute(database: Store) -> None:
    take(database, change(alarm(500)), change(alarm(500), "paper-out"))
    take(database, Standing(TERMINAL, 400, frozenset()))  # older than the alarm: a word that came late
    assert len(raised(database)) == 2
    take(database, Standing(TERMINAL, 900, frozenset(["paper-out"])), Standing("till-4", 900, frozenset()))
    assert raised(database) == [("paper-out", 500)]
    take(database, change(alarm(500)))  # it was cleared by mistake
    assert raised(database) == [("disk-low", 500), ("paper-out", 500)]


def test_nobody_is_told_where_nobody_wants_to_be(database: Store) -> None:
    assert take(database, change(alarm(500)), notify=False) == 0
    assert (raised(database), notices(database)) == ([("disk-low", 500)], [])


def test_what_is_kept_of_one_terminal_is_bounded(database: Store) -> None:
    for start in range(0, 300, 100):
        changes = [
            each
            for number in range(start, start + 100)
            for each in (change(alarm(1000 + number), f"t{number}"), change(None, f"t{number}"))
        ]
        take(database, *changes, now_ms=10_000 + start, notify=False)
    take(database, *(change(alarm(5000), f"open-{number}") for number in range(100)), now_ms=20_000, notify=False)
    assert len(raised(database)) == told.OPEN_MAX
    assert len(past(database)) <= told.HISTORY_MAX
    assert past(database)[0][1] == 5000


@pytest.mark.parametrize(
    "payload",
    [
        b"{", b"[]", b'{"ts":1}', b'{"ts":-1,"since":1,"severity":"minor","text":""}',
        b'{"ts":1,"since":9223372036854775808,"severity":"minor","text":""}',
        b'{"ts":1,"since":1,"severity":"loud","text":""}',
        b'{"ts":1,"since":1,"severity":"minor","text":"","v":{"a":{}}}', b'[' * 5000,
    ],
)  # fmt: skip
def test_what_is_no_alarm_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        told.change_of(TERMINAL, topics.alarm(TERMINAL, "disk-low"), payload)


def test_a_text_with_a_nul_is_kept(database: Store) -> None:
    told_ = told.change_of(
        TERMINAL, topics.alarm(TERMINAL, "disk-low"), b'{"ts":1,"since":1,"severity":"minor","text":"a\\u0000b"}'
    )
    assert told_ is not None
    take(database, told_)
    assert raised(database) == [("disk-low", 1)]


async def test_collectors_share_telemetry_out_and_all_hear_alarms(database: Store, mosquitto: Mosquitto) -> None:
    heard: list[list[str]] = [[], []]
    clock = SystemClock()
    listeners = [
        Listener(
            database=open_store(database.address, now_ms=1),
            clock=clock,
            groups=topics.shared("some", topics.EVERY_TELE),
            heard=lambda name, _, mine=mine: mine.append(name),  # type: ignore[misc]
            noted=lambda: None,
        )
        for mine in heard
    ]
    async with contextlib.AsyncExitStack() as stack:
        tasks = []
        for number, listener in enumerate(listeners):
            connection = await stack.enter_async_context(connect(parse_url(mosquitto.url), f"collector-{number}"))
            tasks.append(asyncio.create_task(listener.serve(connection, 1)))
        till = await stack.enter_async_context(connect(parse_url(mosquitto.url), "tills"))
        await asyncio.sleep(0.3)
        names = [f"till-{number}" for number in range(40)]
        for name in names:
            await till.publish(topics.tele(name, "journal"), b'{"ts":1,"clk":"ntp","seq":1,"v":{"journal_depth":1}}')
        body = b'{"ts":1,"since":1,"severity":"minor","text":"The disk is nearly full.","v":{}}'
        await till.publish(topics.alarm("till-1", "disk-low"), body, retain=True)
        await eventually(lambda: kept(database) == set(names) and raised(database) == [("disk-low", 1)])
        assert heard[0]
        assert heard[1]
        assert sorted(heard[0] + heard[1]) == sorted(names)
        await asyncio.sleep(2.5)  # both have written by now
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for listener in listeners:
        listener.close()
    assert notices(database) == [("raised", "disk-low")]


def kept(database: Store) -> set[str]:
    with reading(database.address) as statements:
        return set(told.reports(statements))


def quarantine(database: Store, reason: str, *, settled: bool = False, terminal: str = TERMINAL) -> None:
    with database.transaction() as statements:
        statements.execute(
            "INSERT INTO quarantine (terminal, digest, reason, detail, passed, payload, times, received_ms, settled_ms)"
            " VALUES (?, ?, ?, '', 0, ?, 1, 700, ?)",
            (terminal, f"{reason}{settled}".encode(), reason, b"", 800 if settled else None),
        )


def test_headquarters_raises_alarms_of_its_own_while_batches_are_in_doubt(database: Store) -> None:
    quarantine(database, "fork")
    quarantine(database, "batch-torn")
    quarantine(database, "key-untrusted", settled=True)
    assert take(database) == 1
    assert raised(database) == [("batch-fork", 700)]
    # The terminal does not know of it, cannot clear it, and cannot raise it either.
    assert told.change_of(TERMINAL, topics.alarm(TERMINAL, "batch-fork"), b"") is None
    assert take(database, Standing(TERMINAL, 9_000, frozenset())) == 0
    with database.transaction() as statements:
        statements.execute("UPDATE quarantine SET settled_ms = 900")
    assert take(database) == 1
    assert raised(database) == []
    with database.transaction() as statements:
        statements.execute("UPDATE quarantine SET settled_ms = NULL WHERE reason = 'fork'")
    assert take(database, now_ms=5_000) == 1  # once more in doubt is another alarm
    assert notices(database) == [("raised", "batch-fork"), ("cleared", "batch-fork"), ("raised", "batch-fork")]


MINUTE_MS = 60_000


def test_a_terminal_that_is_silent_is_an_alarm_where_somebody_listened(database: Store) -> None:
    def look(now_ms: int, silence: Silence | None) -> int:
        return keep(database, Heard(), now_ms, notify=True, silence=silence)

    commit(database, [], [], [Presence("till-1"), Presence("till-2")], MINUTE_MS)
    with database.transaction() as statements:
        statements.execute("INSERT INTO registry (terminal, retired_ms, noted_ms) VALUES ('till-2', 1, 1)")
    listening = Silence(30 * MINUTE_MS, 0)
    assert look(31 * MINUTE_MS, listening) == 0
    late = Silence(30 * MINUTE_MS, 20 * MINUTE_MS)  # a collector that has just come cannot know
    assert look(40 * MINUTE_MS, late) == 0
    assert look(40 * MINUTE_MS, None) == 0
    assert look(40 * MINUTE_MS, listening) == 1
    assert raised(database) == [("terminal-silent", MINUTE_MS)]
    assert look(41 * MINUTE_MS, late) == 0  # it cannot know that it is over either
    assert raised(database) == [("terminal-silent", MINUTE_MS)]
    assert look(41 * MINUTE_MS, None) == 0  # nor who does not look at silence
    assert raised(database) == [("terminal-silent", MINUTE_MS)]
    commit(database, [], [], [Presence("till-1")], 42 * MINUTE_MS)
    assert look(42 * MINUTE_MS, late) == 1
    assert raised(database) == []


@pytest.mark.parametrize("text", ["", "4", "10081", "1e3", "-7", "thirty", "\u0663\u0660"])
def test_minutes_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(f'silent_after_min = "{text}"\n', "utf-8")
    with pytest.raises(ConfigError, match="silent_after_min must be minutes"):
        load(path)
    path.write_text('silent_after_min = "30"\n')
    assert load(path).silent_after_min == 30
