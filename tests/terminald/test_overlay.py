"""A document on trial: cut off anywhere it counts or does not, whole; and it is taken back where a device stays away."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from core import entries as e
from core.ledger import Record
from terminald.clock import SystemClock
from terminald.config import load
from terminald.configurator import Configurator
from terminald.overlay import REFUSED_MAX, TRIAL_STARTS, Overlay, OverlayState, overlay_of
from tests.order_desk import DESK_KEY, headquarters_table

OWN = (
    '[terminal]\nid = "till-3"\n[shop]\nname = "Own"\ncurrency = "EUR"\n[[shop.tax]]\ncode = "A"\nrate = "19.00"\n'
    '[device.scanner]\ndriver = "scanner-serial"\npath = "/dev/scanner"\n'
    '[device.second]\ndriver = "scanner-serial"\npath = "/dev/second"\n'
)
TRIED = OverlayState(epoch=1, version=5, hash="5e", active="4d", ready=("scanner", "second", "gone"))


class QuickClock(SystemClock):
    """A second is a hundredth of one."""

    def monotonic_s(self) -> float:
        return super().monotonic_s() * 100

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 100)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "terminal.toml"
    path.write_text(OWN + headquarters_table("mqtt://127.0.0.1"))
    return path


class States(Overlay):
    """Remembers what a power cut after each file would leave."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.left: list[Path] = []
        self._here = folder

    def _write(self, name: str, content: bytes) -> None:
        super()._write(name, content)
        copy = self._here.parent / f"cut-{len(self.left)}"
        shutil.copytree(self._here, copy)
        self.left.append(copy)


@pytest.mark.parametrize(
    ("step", "documents"),
    [
        (lambda overlay: overlay.begin("new", TRIED), {"old", "new"}),
        (lambda overlay: (overlay.begin("new", TRIED), overlay.confirm()), {"old", "new"}),
        (lambda overlay: (overlay.begin("new", TRIED), overlay.roll_back("x", "y")), {"old", "new"}),
    ],
)
def test_a_cut_leaves_the_one_document_or_the_other(
    tmp_path: Path, step: Callable[[Overlay], object], documents: set[str]
) -> None:
    folder = tmp_path / "till"
    folder.mkdir()
    (folder / "configuration.toml").write_text("old")
    overlay = States(folder)
    step(overlay)
    assert len(overlay.left) >= 2
    for folder_left in overlay.left:
        left = Overlay(folder_left)
        assert left.document() in documents
        assert left.document() == ("new" if left.state().state == "trial" or left.state().active == "5e" else "old")


def test_starts_are_counted_and_one_too_many_takes_it_back(tmp_path: Path) -> None:
    overlay = Overlay(tmp_path)
    overlay.begin("new", TRIED)
    assert [overlay.started() for _ in range(TRIAL_STARTS + 2)] == [False] * TRIAL_STARTS + [True, False]
    assert overlay.document() == ""
    assert overlay.state().refused == ("5e",)


def test_what_failed_is_remembered_and_not_for_ever(tmp_path: Path) -> None:
    overlay = Overlay(tmp_path)
    for number in range(REFUSED_MAX + 5):
        overlay.begin("x", msgspec.structs.replace(overlay.state(), hash=f"{number}"))
        overlay.roll_back("x", "y")
    assert overlay.state().refused[-1] == f"{REFUSED_MAX + 4}"
    assert len(overlay.state().refused) == REFUSED_MAX


def test_a_documents_table_takes_the_place_of_the_terminals(config: Path) -> None:
    overlay = overlay_of(config)
    assert overlay is not None
    text = '[device.third]\ndriver = "scanner-serial"\npath = "/dev/third"\n'
    overlay.begin(text, TRIED)
    assert [device.name for device in load(config).devices] == ["third"]
    assert load(config).shop.name == "Own"
    overlay.roll_back("x", "y")
    assert [device.name for device in load(config).devices] == ["scanner", "second"]


@pytest.mark.parametrize(
    ("ready", "state", "words"),
    [({"scanner", "second"}, "applied", ""), ({"scanner"}, "rolled-back", "second")],
)
async def test_each_device_that_worked_has_to_come_back(config: Path, ready: set[str], state: str, words: str) -> None:
    """One that the document does not have any more is not waited for."""
    overlay = overlay_of(config)
    assert overlay is not None
    overlay.begin("[till]\nsessions = false\n", TRIED)
    overlay.started()
    kept: list[e.AnyEntry] = []
    stopped = asyncio.Event()

    async def keep(entry: e.AnyEntry, key: str | None) -> None:
        kept.append(entry)

    async def find(key: str) -> Record | None:
        return None

    async def rest() -> None:
        pass

    configurator = Configurator(
        load(config), ack_key=DESK_KEY.public_key, clock=QuickClock(), keep=keep, find=find, rest=rest,
        resting=lambda: "", ready=lambda: frozenset(ready), stop=stopped.set,
    )  # fmt: skip
    task = asyncio.create_task(configurator.run(), name="configurator")
    async with asyncio.timeout(10):
        while not kept:
            await asyncio.sleep(0.01)
    (entry,) = kept
    assert isinstance(entry, e.ConfigurationOrdered)
    assert entry.state == overlay.state().state == state
    assert words in overlay.state().text
    if state == "rolled-back":
        await stopped.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
