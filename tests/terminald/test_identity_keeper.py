"""Who keeps the terminal enrolled: what it makes of what the child process says, with real processes."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from terminald.clock import SystemClock
from terminald.identity_keeper import IdentityKeeper
from tests.tills import eventually

CHILD = """\
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
asked = folder / "asked"
count = len(asked.read_text().splitlines()) if asked.exists() else 0
with asked.open("a") as file:
    file.write(" ".join(sys.argv[2:]) + "\\n")
answers = sorted(folder.glob("answer-*"))
print(answers[min(count, len(answers) - 1)].read_text())
"""


class Seen:
    """A keeper at work, what its child is to answer in turn, and how it was called."""

    def __init__(self, folder: Path, *answers: object, enrolled: bool = False) -> None:
        self.folder = folder
        (folder / "child.py").write_text(CHILD)
        for number, answer in enumerate(answers):
            text = answer if isinstance(answer, str) else json.dumps(answer)
            (folder / f"answer-{number}").write_text(text)
        self.changes = 0
        self.keeper = IdentityKeeper(
            command=(sys.executable, str(folder / "child.py"), str(folder)),
            enrolled=enrolled,
            clock=SystemClock(),
            changed=self._changed,
            first_after_s=0.0,
            ask_again_s=0.01,
        )

    @property
    def asked(self) -> list[str]:
        """The flags of each call."""
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def _changed(self) -> None:
        self.changes += 1


@asynccontextmanager
async def working(seen: Seen) -> AsyncIterator[IdentityKeeper]:
    task = asyncio.create_task(seen.keeper.run())
    try:
        yield seen.keeper
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


WAITING = {"state": "waiting", "terminal": "till-1", "code": "7KQ2-M4XD-9TBA", "again_s": 0}


async def test_the_code_stands_on_the_screen_until_it_was_approved(tmp_path: Path) -> None:
    seen = Seen(tmp_path, WAITING, WAITING, {"state": "enrolled", "terminal": "till-1", "ends_ms": 1})
    codes: list[str] = []
    async with working(seen) as keeper:
        enrolled = asyncio.create_task(keeper.enrolled())
        while not enrolled.done():
            codes += [str(each.params["code"]) for each in keeper.conditions()]
            await asyncio.sleep(0.005)
        assert set(codes) == {"7KQ2-M4XD-9TBA"}
        assert keeper.conditions() == ()
        assert len(seen.asked) == 3
        assert seen.changes == 3
        assert keeper.pid is None


async def test_a_terminal_with_a_certificate_is_enrolled_from_the_start(tmp_path: Path) -> None:
    seen = Seen(tmp_path, {"state": "good", "terminal": "till-1"}, enrolled=True)
    await asyncio.wait_for(seen.keeper.enrolled(), 1)
    async with working(seen) as keeper:
        await eventually(lambda: len(seen.asked) == 1 and keeper.pid is None)
        assert keeper.conditions() == ()


async def test_faults_are_told_and_sales_go_on(tmp_path: Path) -> None:
    refused = {"fault": "enrol-refused", "message": "no", "remedy": "ask"}
    seen = Seen(tmp_path, refused)
    async with working(seen) as keeper:
        await eventually(lambda: keeper.fault == "enrol-refused")
        assert [each.id for each in keeper.conditions()] == ["enrol-refused"]
        assert not keeper._enrolled.is_set()
    away = Seen(tmp_path, {"fault": "enrol-unreachable", "message": "no", "remedy": "wait"})
    answer = await away.keeper.look()
    assert answer.fault == away.keeper.fault == "enrol-unreachable"
    assert away.keeper.conditions() == ()  # the line is down, which is told elsewhere


async def test_a_child_that_says_nothing_is_a_fault(tmp_path: Path) -> None:
    for said in ("", "nonsense", "[" * 10_000):
        seen = Seen(tmp_path, said)
        assert (await seen.keeper.look()).fault == "enrol-failed"


async def test_a_renewal_is_asked_for_out_of_turn(tmp_path: Path) -> None:
    seen = Seen(tmp_path, {"state": "renewed", "terminal": "till-1", "ends_ms": 7})
    answer = await seen.keeper.look(renew=True)
    assert (answer.state, answer.ends_ms) == ("renewed", 7)
    assert seen.asked == ["--renew"]
