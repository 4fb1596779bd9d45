"""The list's filters, one terminal whole; in both databases."""

import json
from collections.abc import Iterator

import pytest

from core.alarms import KINDS
from core.telemetry import JOURNAL
from fleet.cli import main
from fleet.intake import Presence, commit
from fleet.registry import TerminalUnknown
from fleet.report import Selection, as_text, summarize
from fleet.store import Address, Store, open_store
from fleet.terminal_report import as_text as whole_text
from fleet.terminal_report import terminal_report
from fleet.told import Change, Heard, Report, Told, keep

MINUTE_MS = 60_000
NOW_MS = 1_795_372_677_000


@pytest.fixture
def database(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=1)
    _fill(opened)
    yield opened
    opened.close()


def _fill(store: Store) -> None:
    """till-1 is well, till-2 offline for ten minutes with two alarms, till-3 behind, till-4 retired."""
    commit(store, [], [], [Presence("till-2", "offline", "b", 1)], NOW_MS - 10 * MINUTE_MS)
    online = [Presence(name, "online", "b", 1) for name in ("till-1", "till-3")]
    commit(store, [], [], online, NOW_MS)
    reports = [
        Report(f"till-{number}", topic, json.dumps(body))
        for number, depth in ((1, 0), (3, 12))
        for topic, body in (
            ("info", {"ts": NOW_MS, "software": f"1.{number}", "board": None}),
            ("tele/journal", {"ts": NOW_MS, "clk": "ntp", "seq": 1, "v": {"epoch": "e" * 32, "journal_depth": depth}}),
            ("tele/system", {"ts": NOW_MS, "v": {"disk_free_pct": 61.5, "power_weak": False, "temperature_c": None}}),
        )
    ]
    alarms: list[Change | object] = [
        Change("till-2", type_, Told(ts=5, since=5, severity=KINDS[type_].severity, text=f"It is {type_}."))
        for type_ in ("paper-low", "drawer-forced")
    ]
    alarms += [
        Change("till-1", "disk-low", Told(ts=5, since=5, severity="minor", text="The disk is nearly full.")),
        Change("till-1", "disk-low", None),
    ]
    keep(store, Heard({(each.terminal, each.topic): each for each in reports}, alarms), NOW_MS, notify=False)  # type: ignore[arg-type]
    with store.transaction() as statements:
        for name, site, tags, retired_ms in (
            ("till-1", "Harbour", " north outdoor ", None), ("till-2", "Harbour", " north ", None),
            ("till-3", "Castle", " ", None), ("till-4", "Castle", " ", 7),
        ):  # fmt: skip
            statements.execute(
                "INSERT INTO registry (terminal, site, workstation, tags, retired_ms, noted_ms) VALUES (?, ?, '1', ?, ?, 1)",
                (name, site, tags, retired_ms),
            )


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), "1 2 3"),
        (Selection(retired=True), "1 2 3 4"),
        (Selection(offline=True), "2"),
        (Selection(alarms=True), "2"),
        (Selection(waiting=True), "3"),
        (Selection(silent_ms=5 * MINUTE_MS), "2"),
        (Selection(silent_ms=15 * MINUTE_MS), ""),
        (Selection(sites=("Harbour",)), "1 2"),
        (Selection(sites=("Harbour", "Castle")), "1 2 3"),
        (Selection(tags=("north", "outdoor")), "1"),
        (Selection(software="1.3"), "3"),
        (Selection(sites=("Harbour",), offline=True, alarms=True), "2"),
        (Selection(terminal="till-3"), "3"),
    ],
)
def test_those_that_are_all_of_this(database: Store, selection: Selection, names: str) -> None:
    found = summarize(database.address, selection, NOW_MS).terminals
    assert " ".join(each.terminal.removeprefix("till-") for each in found) == names


def test_trouble_stands_in_its_line_and_under_it(database: Store) -> None:
    lines = as_text(summarize(database.address)).splitlines()
    (two,) = (line for line in lines if line.startswith("till-2"))
    assert "2 critical" in two
    below = lines[lines.index(two) + 1 :]
    assert below[0].startswith("    critical since")
    assert "It is drawer-forced." in below[0]
    assert below[1].startswith("    warning since")
    assert next(line for line in lines if line.startswith("till-4")).split()[2] == "retired"


def test_one_terminal_whole(database: Store) -> None:
    found = terminal_report(database.address, "till-1")
    assert found.topics["info"].body["software"] == "1.1"
    text = "\n".join(whole_text(found, NOW_MS + 3 * MINUTE_MS))
    for words in (
        "system (3 min ago)",
        "61.5 %",
        "2026-11-22T18:37:57Z",
        "tags north outdoor",
        "The disk is nearly full.",
    ):
        assert words in text, text
    assert [line.split() for line in text.splitlines() if "power_weak" in line] == [["power_weak", "no"]]
    with pytest.raises(TerminalUnknown):
        terminal_report(database.address, "till-9")


def test_the_commands(database: Store, address: Address, capsys: pytest.CaptureFixture[str]) -> None:
    url = getattr(address, "url", None) or str(address)
    assert main(["list", "--alarms", "--json", "--database", url]) == 0
    (found,) = json.loads(capsys.readouterr().out)["terminals"]
    assert (found["terminal"], found["site"], len(found["alarms"])) == ("till-2", "Harbour", 2)
    assert main(["list", "--older-than", "0.001", "--site", "Castle", "--database", url]) == 0
    assert "till-3" in capsys.readouterr().out
    assert main(["show", "till-1", "--json", "--database", url]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["topics"][f"tele/{JOURNAL.name}"]["body"]["v"]["journal_depth"] == 0
    assert main(["show", "till-1", "--database", url]) == 0
    assert "disk_free_pct" in capsys.readouterr().out
    assert main(["show", "till-9", "--database", url]) == 1
    assert "terminal-not-known" in capsys.readouterr().err
