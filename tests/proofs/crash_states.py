"""Terminals that lose power: what a real till wrote, cut at any call, and what the store makes of the remains.

A `Story` is one terminal's life: a till trades, perhaps is killed and started again on the same files; then the power is
cut, and a till goes on with what was left, as before. At random moments of it the medium is taken as a power cut would
leave it (`tests.shim.disk`), and opened with the store's own code.
"""

import asyncio
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from core.ledger import Record
from store.errors import JournalError
from store.keys import KeyFile
from store.verify import verify_journal
from store.writer import InlineWriter
from tests.shim.disk import Disk
from tests.shim.nursery import KILLED, Nursery
from tests.shim.seller import STAMP
from tests.shim.trace import Event, Kind, read_trace
from tests.shim.trader import JOURNAL, Fault, drafts_of, is_durable, key_of, open_till, step_of

STEPS = 40
LIVES = 2
CALLS_TYPICAL = 300
"""About how many calls a trader makes; one that is to be killed is killed at one of so many."""
CONTINUED_SHARE = 0.12
"""How many of the states go on selling, and are looked at again."""


@dataclass(slots=True)
class Known:
    """What the world was told by a terminal: `synced` steps it must have, up to `asked` it may have."""

    asked: int = 0
    synced: int = 0
    hashes: dict[int, str] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        """Takes what a trader printed, if it is that."""
        for line in event.data.decode().splitlines() if event.kind is Kind.SAID else ():
            word, number, *rest = line.split(" ")
            match word:
                case "ask":
                    self.asked = max(self.asked, int(number))
                case "synced":
                    self.synced = max(self.synced, int(number))
                case "ack":
                    if is_durable(int(number)):
                        self.synced = max(self.synced, int(number) + 1)
                    self.hashes[int(number)] = rest[0]

    def copy(self) -> "Known":
        """As it is now."""
        return Known(self.asked, self.synced, dict(self.hashes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One terminal's life. With a `fault`, that of a mutant; with `lying`, on a medium whose flushes are none."""

    seed: int
    states: int
    fault: Fault | None = None
    lying: bool = False


def tell(story: Story, scratch: Path, nursery: Nursery) -> list[str]:
    """The faults that showed: one text for each state that did not hold. `scratch` is a folder in memory."""
    random = Random(story.seed)
    faults: list[str] = []
    start: dict[str, bytes] = {}
    known = Known()
    with asyncio.Runner() as runner:
        for life in range(LIVES):
            folder = scratch / "till"
            lay_out(folder, start)
            events, complaints = _live(story, life, folder, scratch / "trace", nursery, random)
            shutil.rmtree(folder)
            cut = _Cut(story, life, scratch / "image", random, runner)
            start, known = cut.look(start, events, known)
            faults += complaints + cut.faults
    return faults


def judge(image: dict[str, bytes], known: Known, folder: Path, runner: asyncio.Runner, *, go_on: bool) -> str | None:
    """What is wrong with what a power cut left, or None. `go_on` has a till sell on it too."""
    lay_out(folder, image)
    try:
        return runner.run(_look(folder, known, go_on))
    except JournalError as error:
        return f"it does not open: {error.code}: {error}"
    except Exception as error:  # of a mutant's remains anything may come
        return f"it opens, and is not readable: {type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder)


def lay_out(folder: Path, files: dict[str, bytes]) -> None:
    """Makes a folder with these files."""
    folder.mkdir()
    for name, content in files.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _live(
    story: Story, life: int, folder: Path, trace: Path, nursery: Nursery, random: Random
) -> tuple[list[Event], list[str]]:
    """All that tills did in a folder until they were done, killed once perhaps; and what they complained of."""
    trace.unlink(missing_ok=True)
    complaints = []
    steps = STEPS * (life + 1)
    kill: dict[str, str | int] = {}
    if random.random() < 0.6:
        kill = {"at": random.randint(1, CALLS_TYPICAL), "action": random.choice(("before", "torn", "after"))}
    for attempt, shim in enumerate((kill, {})):
        ended = nursery.trade(folder, steps, story.seed * 4 + life * 2 + attempt, story.fault, trace=str(trace), **shim)
        if ended.status == 0:
            break
        if ended.status != KILLED or not shim:
            complaints.append(f"the till of life {life} ended with {ended.status}: {ended.complained[-200:]}")
    return read_trace(trace, folder), complaints


@dataclass(slots=True)
class _Cut:
    """Cuts the power of one life at random moments, and judges what was left."""

    story: Story
    life: int
    folder: Path
    random: Random
    runner: asyncio.Runner
    faults: list[str] = field(default_factory=list)

    def look(self, start: dict[str, bytes], events: list[Event], known: Known) -> tuple[dict[str, bytes], Known]:
        """Judges the states; gives one that held, and what was known of it, as the start of the next life."""
        disk = Disk(start, lying=self.story.lying)
        moments = sorted(self.random.choices(range(len(events) + 1), k=self.story.states // LIVES))
        chosen = self.random.choice(moments)
        following: tuple[dict[str, bytes], Known] = ({}, Known())
        place = 0
        for moment in moments:
            for event in events[place:moment]:
                known.hear(event)
                disk.take(event)
            place = moment
            image = disk.image(self.random)
            go_on = self.random.random() < CONTINUED_SHARE
            fault = judge(image, known, self.folder, self.runner, go_on=go_on)
            if fault is not None:
                self.faults.append(f"story {self.story.seed}, life {self.life}, call {moment}: {fault}")
            elif moment <= chosen:
                following = image, known.copy()
        return following


async def _look(folder: Path, known: Known, go_on: bool) -> str | None:
    journal = await open_till(folder, InlineWriter)
    async with journal:
        records = [record async for record in journal.replay()]
        fault = _compare(records, known) or _whole(folder)
        if fault is not None or not go_on:
            return fault
        done = sum(step_of(record) is not None for record in records)
        for number in range(done, done + 3):
            key = key_of(number)
            if key is not None and await journal.find(key) is not None:
                return f"step {number} is not there, and its key is"
            record, *_ = await journal.append(drafts_of(number), STAMP, key=key)
            known = Known(number + 1, number + 1, {**known.hashes, number: record.hash.hex()})
    return _whole(folder)


def _compare(records: list[Record], known: Known) -> str | None:
    found = [(step, record.hash.hex()) for record in records if (step := step_of(record)) is not None]
    if [step for step, _ in found] != list(range(len(found))):
        return f"the steps are not there once each and in order: {[step for step, _ in found]}"
    if len(found) < known.synced:
        return f"{known.synced} steps were acknowledged as durable, and {len(found)} are there"
    if len(found) > known.asked:
        return f"{known.asked} steps were asked for, and {len(found)} are there"
    for step, hash_ in found[: known.synced]:
        if known.hashes.get(step, hash_) not in (hash_, ""):
            return f"step {step} is another record than the one that was acknowledged"
    if len({record.epoch for record in records}) > 1:
        return "a new epoch was opened"
    return None


def _whole(folder: Path) -> str | None:
    found = verify_journal(folder / JOURNAL, KeyFile(folder / "journal.key").load().journal)
    return None if found.whole else f"not whole: {found.finding}"
