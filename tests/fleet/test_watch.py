"""The live view: what it makes of messages, what stands on top, and its screen on a real broker."""

import asyncio
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from core import topics
from core.alarms import KINDS
from fleet.intake import Presence, commit
from fleet.store import Address, open_store
from fleet.told import Change, Heard, Report, Told, keep
from fleet.watch.app import PAINT_S, WatchApp
from fleet.watch.feed import recall
from fleet.watch.fleet import STALE_S, Fleet
from fleet.watch.table import FleetTable
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.mqtt import connect
from tests.brokers import Mosquitto
from tests.tills import eventually

SIZE = (150, 30)


def status(state: str = "online", connection: int = 1, boot: str = "b1") -> bytes:
    return json.dumps({"state": state, "boot_id": boot, "connection": connection, "ts": 1}).encode()


def group(ts: int = 1, **values: object) -> bytes:
    return json.dumps({"ts": ts, "clk": "ntp", "seq": 1, "v": values}).encode()


def alarm(type_: str, ts: int = 5, text: str | None = None) -> bytes:
    kind = KINDS[type_]
    return json.dumps(
        {"ts": ts, "clk": "ntp", "since": ts, "severity": kind.severity, "text": text or kind.text, "v": {}}
    ).encode()


class Hearing(Fleet):
    """A fleet, told in few words."""

    def hear(self, name: str, what: str, payload: bytes, now_s: float = 0.0, **more: Any) -> None:
        self.take(f"{topics.PREFIX}/{name}/{what}", payload, now_s, **more)

    def order(self, now_s: float = 0.0) -> str:
        return " ".join(seen.name for seen in self.rows(now_s))


def test_those_in_trouble_come_first() -> None:
    fleet = Hearing()
    for name in ("a-fine", "b-warning", "c-minor", "d-major", "e-offline", "f-critical", "g-late"):
        fleet.hear(name, "status", status("offline" if name == "e-offline" else "online"))
    for name, type_ in (("b-warning", "paper-low"), ("c-minor", "disk-low"), ("d-major", "paper-out"),
                        ("f-critical", "disk-full"), ("f-critical", "paper-low")):  # fmt: skip
        fleet.hear(name, f"alarm/{type_}", alarm(type_))
    fleet.hear("g-late", "tele/journal", group(unacked=7, oldest_unacked_s=300))
    assert fleet.order() == "f-critical e-offline d-major c-minor b-warning g-late a-fine"
    tally = fleet.tally()
    assert (tally.terminals, tally.online, tally.offline, tally.waiting) == (7, 6, 1, 7)
    assert tally.alarms == {"critical": 1, "major": 1, "minor": 1, "warning": 1}
    fleet.hear("f-critical", "alarm/disk-full", b"")
    assert fleet.order().startswith("e-offline d-major c-minor b-warning f-critical")


def test_an_old_will_changes_nothing() -> None:
    fleet = Hearing()
    fleet.hear("till-1", "status", status(connection=4))
    fleet.hear("till-1", "status", status("offline", connection=3))
    assert fleet.terminals["till-1"].state == "online"
    fleet.hear("till-1", "status", status("offline", connection=1, boot="b2"))
    assert fleet.terminals["till-1"].state == "offline"


def test_what_is_retained_is_no_sign_of_life_and_silence_is_doubted() -> None:
    fleet = Hearing()
    fleet.hear("till-1", "status", status(), 10, retained=True)
    seen = fleet.terminals["till-1"]
    assert (seen.seen_s, seen.is_stale(10_000)) == (None, False)
    fleet.hear("till-1", "tele/system", group(disk_free_pct=50), 10)
    assert seen.seen_s == 10
    assert (seen.is_stale(10 + STALE_S), seen.is_stale(11 + STALE_S)) == (False, True)


def test_an_alarm_whose_end_was_missed_goes_with_the_next_minutes_word() -> None:
    fleet = Hearing()
    fleet.hear("till-1", "alarm/disk-low", alarm("disk-low", ts=5))
    fleet.hear("till-1", "tele/alarms", group(ts=4, alarms=""))
    assert fleet.terminals["till-1"].alarms.keys() == {"disk-low"}
    fleet.hear("till-1", "tele/alarms", group(ts=6, alarms=""))
    assert not fleet.terminals["till-1"].alarms


@pytest.mark.parametrize("payload", [b"{", b"[" * 9000, b'{"v":7}', b'{"state":1}', b"\xff", b"null"])
@pytest.mark.parametrize("what", ["status", "info", "tele/system", "alarm/disk-low", "money/ack", ""])
def test_what_is_nonsense_changes_nothing(what: str, payload: bytes) -> None:
    fleet = Hearing()
    fleet.hear("till-1", what, payload)
    fleet.take("pos/v1/4111111111111111/status", status(), 0)
    fleet.take("elsewhere", status(), 0)
    assert all(not (seen.alarms or seen.values) for seen in fleet.terminals.values())
    assert "4111111111111111" not in fleet.terminals
    fleet.rows(0)


def test_card_numbers_are_starred() -> None:
    card = "4111111111111111"
    fleet = Hearing()
    fleet.hear("till-1", "info", json.dumps({"shop": card}).encode())
    fleet.hear("till-1", "status", status(boot=card))
    fleet.hear("till-1", "tele/counter", group(mode=card))
    fleet.hear("till-1", "alarm/disk-low", alarm("disk-low", text=card))
    fleet.hear("till-1", f"alarm/{card}", alarm("disk-low"))
    assert card not in repr(fleet.terminals)


def test_what_headquarters_knows_is_there_from_the_beginning(address: Address) -> None:
    store = open_store(address, now_ms=1)
    try:
        commit(store, [], [], [Presence("till-1", "online", "b", 1)], 1)
        report = Report("till-1", "tele/system", group(disk_free_pct=12.5).decode())
        told = Told(ts=5, since=5, severity="major", text="Out of paper: printer.")
        keep(store, Heard({("till-1", report.topic): report}, [Change("till-1", "paper-out", told)]), 1, notify=False)
    finally:
        store.close()
    fleet = Fleet()
    recall(fleet, address)
    seen = fleet.terminals["till-1"]
    assert (seen.state, seen.number("disk_free_pct"), set(seen.alarms)) == ("online", 12.5, {"paper-out"})


# --- the screen --------------------------------------------------------------------------------------------------


def lines(app: WatchApp) -> list[str]:
    table = app.query_one(FleetTable)
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]


async def test_thousands_of_terminals_are_painted_a_screen_at_a_time() -> None:
    fleet = Hearing()
    for number in range(5000):
        name = f"till-{number:04}"
        fleet.hear(name, "status", status())
        fleet.hear(
            name, "info", json.dumps({"software": "0.1", "shop": "Harbour" if number % 2 else "Castle"}).encode()
        )
    fleet.hear("till-3333", "alarm/disk-full", alarm("disk-full"))
    app = WatchApp(fleet, SystemClock())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        shown = lines(app)
        assert shown[0].split()[:2] == ["TERMINAL", "SITE"]
        assert shown[1].startswith("till-3333")
        assert "The disk is full" in shown[1]
        assert shown[2].startswith("till-0000")
        await pilot.press("end")
        await pilot.pause()
        assert lines(app)[-1].startswith("till-4999")
        await pilot.press("slash", *"harb", "enter")
        await pilot.pause()
        assert "2500 shown" in str(app.query_one("#tally").render())
        await pilot.press("a")
        await pilot.pause()
        assert [line.split()[0] for line in lines(app)[1:] if line] == ["till-3333"]
        await pilot.press("home", "enter")
        await pilot.pause()
        details = str(app.query_one("#detail").render())
        assert KINDS["disk-full"].remedy in details
        assert "Harbour" in details
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert "shown" not in str(app.query_one("#tally").render())


async def test_it_follows_a_broker(mosquitto: Mosquitto) -> None:
    async with connect(parse_url(mosquitto.url), "till-1") as till:
        await till.publish(topics.status("till-1"), status(), retain=True)
        app = WatchApp(Fleet(), SystemClock(), [parse_url(mosquitto.url)])
        async with app.run_test(size=SIZE) as pilot:

            async def sees(*words: str) -> None:
                for _ in range(60):
                    await pilot.pause(PAINT_S / 2)
                    if any(all(word in line for word in words) for line in lines(app)):
                        return
                raise AssertionError(f"{words} are not in {lines(app)}")

            await sees("till-1", "online")
            await till.publish(topics.alarm("till-1", "paper-out"), alarm("paper-out", text="Out of paper: printer."))
            await sees("till-1", "Out of paper: printer.")
            await till.publish(topics.tele("till-1", "journal"), group(unacked=42, oldest_unacked_s=120))
            await sees("till-1", "42", "2 min")
            await till.publish(topics.alarm("till-1", "paper-out"), b"")
            await till.publish(topics.status("till-1"), status("offline"), retain=True)
            await sees("till-1", "It is offline.")
            mosquitto.stop()
            for _ in range(60):
                await pilot.pause(PAINT_S / 2)
                if "NOT CONNECTED" in str(app.query_one("#tally").render()):
                    break
            assert "NOT CONNECTED" in str(app.query_one("#tally").render())


def test_without_a_screen_nothing_of_one_is_loaded(tmp_path: Path) -> None:
    modules = "fleet.cli, fleet.run, fleet.webhook, fleet.report, fleet.terminal_report, fleet.watch.feed"
    told = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print([m for m in sys.modules if m in ('textual', 'rich')])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == "[]"


async def test_the_command_in_a_terminal(mosquitto: Mosquitto) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 150, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fleet", "watch", "--broker", mosquitto.url), stdin=follower, stdout=follower,
        stderr=follower, env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(follower)
    painted = bytearray()
    asyncio.get_running_loop().add_reader(leader, lambda: painted.extend(os.read(leader, 65_536)))
    try:
        async with connect(parse_url(mosquitto.url), "till-7") as till:
            await till.publish(topics.status("till-7"), status(), retain=True)
            await till.publish(topics.alarm("till-7", "disk-full"), alarm("disk-full"), retain=True)
            await eventually(lambda: b"till-7" in painted and b"The disk is full" in painted, 40.0)
        os.write(leader, b"q")
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        asyncio.get_running_loop().remove_reader(leader)
        os.close(leader)
        if process.returncode is None:
            process.kill()
            await process.wait()
