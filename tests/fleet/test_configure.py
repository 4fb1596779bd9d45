"""The configuration that terminals are to have: checked by their own parser, told, reported; on both databases."""

import asyncio
import contextlib
import io
import json
from pathlib import Path
from random import Random

import pytest

from core import topics
from core.desired import Desired, Reported, ReportedState, encode_reported, open_desired
from fleet import configure
from fleet.audit import listed as audited
from fleet.cli import main
from fleet.configure import ConfigurationUnfit, Said, check
from fleet.database import Database
from fleet.operators import Operator, Role, RoleNeeded, add, make_first, sign_in
from fleet.registry import Filter, NoTerminals, TerminalUnknown, put
from fleet.store import Store, open_store
from terminald.broker import Message, parse_url
from terminald.clock import SystemClock
from terminald.mqtt import Connection
from terminald.uplink import Uplink
from tests.brokers import Mosquitto
from tests.fleet.test_courier import KEY, carrying
from tests.fleet.test_dispatch import MAX, NOW_MS, SUE, store
from tests.tills import eventually

__all__ = ["store"]
DOC = "[disk]\nreserve_mib = 12\n[till]\nday_end_hour = 4\n"
ALL = Filter(all=True)


def give(store: Store, doc: str = DOC, by: Operator = MAX, wanted: Filter = ALL, now_ms: int = NOW_MS) -> list[str]:
    return configure.give(store, KEY, by, doc, wanted, "because", now_ms)[0]


def publish(store: Store, now_ms: int = NOW_MS) -> list[Desired]:
    postings = configure.claim(store, now_ms)
    configure.published(store, postings, now_ms)
    return [open_desired(each.payload, terminal=each.terminal, public_key=KEY.public_key) for each in postings]


def report(store: Store, desired: Desired, state: ReportedState, *, active: str = "", code: str = "") -> None:
    reported = Reported(version=desired.version, hash=desired.hash, state=state, ts=1, active=active, code=code)
    configure.record(store, [Said(terminal=desired.terminal, reported=reported)], NOW_MS)


def states(store: Store) -> dict[str, str]:
    return {each.terminal: each.state for each in configure.standing(store.address)}


def test_who_is_on_which_version(store: Store) -> None:
    assert give(store) == ["till-1", "till-2", "till-3"]
    one, two, three = publish(store)
    assert (one.doc, one.issuer, one.role, one.issued_ms) == (DOC, "max", "manager", NOW_MS)
    assert publish(store) == []
    report(store, one, "applied", active=one.hash)
    report(store, two, "rolled-back", code="not-healthy")
    assert states(store) == {"till-1": "applied", "till-2": "rolled-back", "till-3": "sent"}
    newer = DOC.replace("12", "13")
    assert give(store, newer, wanted=Filter(tags=("pilot",))) == ["till-1"]
    (again,) = publish(store)
    assert again.version > one.version
    assert states(store)["till-1"] == "sent"
    (first, *_) = configure.standing(store.address)
    assert (first.hash, first.active) == (again.hash, one.hash)
    assert configure.document(store.address, "till-1") == newer
    assert [entry.action for entry in audited(store.address)] == ["configure", "configure"]
    assert three.hash == one.hash


def test_the_same_again_is_no_new_version(store: Store) -> None:
    give(store)
    assert configure.give(store, KEY, MAX, DOC, ALL, "", NOW_MS) == ([], ["till-1", "till-2", "till-3"])


def test_versions_never_fall_though_the_clock_does(store: Store) -> None:
    versions = []
    for number, now_ms in enumerate((NOW_MS, NOW_MS, NOW_MS - 5_000)):
        give(store, f"[disk]\nreserve_mib = {number + 10}\n", wanted=Filter(terminals=("till-1",)), now_ms=now_ms)
        versions += [each.version for each in publish(store, NOW_MS + number * 60_000)]
    assert versions == sorted(set(versions))
    assert len(versions) == 3


def test_only_the_newest_is_told(store: Store) -> None:
    give(store, wanted=Filter(terminals=("till-1",)))
    held = configure.claim(store, NOW_MS)
    give(store, DOC + "\n", wanted=Filter(terminals=("till-1",)))
    (newest,) = publish(store)
    configure.published(store, held, NOW_MS)  # the older one reached the broker last
    (again,) = publish(store)
    assert again == newest
    configure.publish_again(store)
    assert publish(store) == [newest]
    report(store, newest, "applied")
    configure.publish_again(store)
    assert publish(store) == []


def test_how_it_differs(store: Store) -> None:
    give(store, wanted=Filter(terminals=("till-1", "till-2")))
    found = list(configure.differences(store.address, DOC.replace("12", "15"), ALL))
    assert [terminals for _, terminals in found] == [["till-1", "till-2"], ["till-3"]]
    assert "-reserve_mib = 12" in found[0][0]
    assert "+reserve_mib = 15" in found[0][0]
    assert "+day_end_hour = 4" in found[1][0]


def test_who_may_and_to_whom(store: Store) -> None:
    with pytest.raises(RoleNeeded, match="takes the role manager"):
        give(store, by=SUE)
    with pytest.raises(TerminalUnknown):
        give(store, wanted=Filter(terminals=("till-9",)))
    with pytest.raises(NoTerminals):
        give(store, wanted=Filter())
    with pytest.raises(ConfigurationUnfit, match="bytes at most"):
        give(store, DOC + "#" * 140_000)
    assert set(states(store).values()) == {"none"}


def test_the_terminals_parser_has_looked_at_it() -> None:
    check(DOC, "shop.toml")
    check("", "shop.toml")  # back to the terminal's own file
    check(
        '[shop]\nname = "A"\naddress = ["B"]\ncurrency = "CHF"\n[[shop.tax]]\ncode = "A"\nrate = "8.10"\n', "shop.toml"
    )
    check("[till]\nday_end_hour = 4\n", "shop.toml", '[terminal]\nid = "till-1"\n')
    for doc, says in (
        ("[disk]\nreserve_mib = 50000\n", r"shop.toml:2: .*reserve_mib"),
        ("[disk]\nlow = 1\n", r"shop.toml:2: \[disk\] unknown key 'low'"),
        ("[disk\n", "not TOML"),
        ("x = " + "[" * 3000, "not TOML"),
        ('[terminal]\nid = "x"\n', "each terminal's own"),
        ('[headquarters]\nbroker = "mqtt://else.where"\n', "each terminal's own"),
        ("[shop]\nname = 5\n", r"shop.toml:2: .*name"),
    ):
        with pytest.raises(ConfigurationUnfit, match=says):
            check(doc, "shop.toml")
    with pytest.raises(ConfigurationUnfit, match="must not have what the document has: till"):
        check("[till]\nday_end_hour = 4\n", "shop.toml", "[till]\nday_end_hour = 5\n")


class Configured:
    """A terminal that takes each configuration."""

    def __init__(self, terminal: str) -> None:
        self.terminal = terminal
        self.had: list[str] = []

    async def serve(self, connection: Connection, number: int) -> None:
        """Reports each as applied, until cancelled."""
        await connection.subscribe(topics.desired(self.terminal), lambda message: self._take(connection, message))
        await asyncio.Event().wait()

    def _take(self, connection: Connection, message: Message) -> None:
        connection.acknowledge(message)
        desired = open_desired(message.payload, terminal=self.terminal, public_key=KEY.public_key)
        self.had.append(desired.doc)
        reported = Reported(version=desired.version, hash=desired.hash, state="applied", ts=1, active=desired.hash)
        connection.publish(topics.reported(self.terminal), encode_reported(reported), retain=True)


async def test_over_a_broker_that_forgets(tmp_path: Path, mosquitto: Mosquitto) -> None:
    address = tmp_path / "hq.db"
    with contextlib.closing(open_store(address, now_ms=1)) as store:
        with store.transaction() as statements:
            put(statements, "till-1", 1)
        async with carrying(address, mosquitto.url):
            give(store)
            await eventually(lambda: configure.claim(store, NOW_MS * 2) == [])
            mosquitto.stop()
            mosquitto.start()
            clock, till = SystemClock(), Configured("till-1")
            uplink = Uplink(
                brokers=[parse_url(mosquitto.url)], client_id="till-1", users=[till], clock=clock, random=Random(1)
            )
            task = asyncio.create_task(uplink.run(), name="till")
            await eventually(lambda: states(store) == {"till-1": "applied"}, 40.0)
            give(store, DOC + "\n")
            await eventually(lambda: till.had[-1:] == [DOC + "\n"])
            await eventually(lambda: states(store) == {"till-1": "applied"})
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path, file = tmp_path / "hq.db", tmp_path / "shop.toml"
    database, key = ["--database", str(path)], ["--key", str(tmp_path / "ack-key")]
    with contextlib.closing(Database.open(path, now_ms=1)) as store:
        with store.transaction() as statements:
            put(statements, "till-1", 1)
        make_first(store, KEY, "ada", "correct horse battery", 1)
        ada = sign_in(store, KEY, "ada", "correct horse battery", 1)
        add(store, KEY, ada, "max", [Role.MANAGER], "correct horse battery", 1)

        def send(*words: str) -> int:
            monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
            return main(
                ["configure", "send", str(file), "--all", "--as", "max", "--wait", "0", *words, *database, *key]
            )

        assert send() == 1
        assert "cannot be read" in capsys.readouterr().err
        file.write_text("[disk]\nlow = 1\n")
        assert send() == 1
        assert f"configuration-unfit: {file}:2: [disk] unknown key 'low'" in capsys.readouterr().err
        file.write_text(DOC)
        assert send() == 1  # nobody has it yet
        assert "+reserve_mib = 12" in capsys.readouterr().out
        assert main(["configure", "status", "--json", *database]) == 1
        (found,) = json.loads(capsys.readouterr().out)
        assert (found["terminal"], found["state"], found["issuer"]) == ("till-1", "sent", "max")
        assert main(["configure", "diff", str(file), "--all", *database]) == 0
        assert "no difference" in capsys.readouterr().out
        assert main(["configure", "show", "till-1", *database]) == 0
        assert capsys.readouterr().out == DOC
        assert main(["configure", "show", "till-9", *database]) == 1
