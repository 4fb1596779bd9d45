"""What stands on a counter besides the screen, at the real daemon: display, lights, tone, key lock, buttons, power, case."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from core import entries as e
from drivers.simulated.display import SimulatedDisplay
from store.tamper import Latch
from terminald.cli import SOFTWARE
from tests.countertop import until
from tests.proofs.guarded_till import CASE_PIN, ITEM, GuardedTill

GREEN, YELLOW, RED, BUZZER, NORMAL, SUPERVISOR, NO_SALE, CASH = 5, 6, 13, 12, 16, 20, 21, 26
DEVICES = (
    '[device.display]\ndriver = "display-cd5220"\npath = "../display"\n'
    f'[device.lights]\ndriver = "lights-gpio"\ngreen_pin = {GREEN}\nyellow_pin = {YELLOW}\nred_pin = {RED}\n'
    f'[device.tone]\ndriver = "tone-gpio"\npin = {BUZZER}\n'
    f'[device.lock]\ndriver = "keylock-gpio"\nnormal_pin = {NORMAL}\nsupervisor_pin = {SUPERVISOR}\napproves = true\n'
    f'[device.buttons]\ndriver = "buttons-gpio"\nno_sale_pin = {NO_SALE}\ncash_pin = {CASH}\n'
)


class Counter(GuardedTill):
    """A till with all of them, and their far ends."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, DEVICES)
        self.display = SimulatedDisplay(root / "display", "cd5220")

    def lit(self) -> list[int]:
        return [pin for pin in (GREEN, YELLOW, RED) if self.board.outputs.get(pin)]

    async def press(self, pin: int) -> None:
        self.board.set(pin, 0)
        await asyncio.sleep(0.06)
        self.board.set(pin, 1)
        await asyncio.sleep(0.06)


@pytest_asyncio.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    made = Counter(tmp_path)
    await made.board.start()
    for pin, level in ((NORMAL, 0), (SUPERVISOR, 1), (NO_SALE, 1), (CASH, 1)):
        made.board.set(pin, level)
    await made.start()
    await made.ready("display", "lights", "tone", "lock", "buttons")
    yield made
    await made.close()
    made.display.close()


async def test_a_sale_as_it_is_seen_and_heard(counter: Counter) -> None:
    await until(lambda: counter.display.rows[0].startswith("Corner Shop"), "the welcome", counter.log.read_text)
    await until(lambda: counter.lit() == [GREEN], "the green lamp")
    await counter.call("sale.scan", data=ITEM)
    await until(lambda: counter.display.rows == ("Nutella 400 g   3.79", "TOTAL EUR       3.79"), "the item")
    assert await counter.refusal("sale.card") is None  # there is no payment device: it says so
    await until(lambda: counter.lit() == [RED], "the red lamp")
    await until(lambda: any(wave.pin == BUZZER and wave.hz for wave in counter.board.waves), "the tone")
    await counter.call("sale.cash", amount_minor=500)
    await until(lambda: counter.display.rows == ("TOTAL EUR       3.79", "Change          1.21"), "the change")
    await until(lambda: counter.lit() == [GREEN], "the green lamp again")


async def test_buttons_give_orders_and_the_key_is_in_the_journal(counter: Counter) -> None:
    await counter.call("sale.scan", data=ITEM)
    counter.board.set(NORMAL, 1)
    counter.board.set(SUPERVISOR, 0)
    await counter.see(lambda view: "drawer_keyed" in view.sale.allowed)
    await counter.press(NO_SALE)
    await counter.press(CASH)
    await counter.see(lambda view: view.day.transactions == 1)
    kept = counter.records()
    assert sum(isinstance(entry, e.DrawerCommanded) for entry in kept) == 1
    positions = [entry.position for entry in kept if isinstance(entry, e.KeyLockTurned)]
    assert (positions[0], positions[-1]) == ("normal", "supervisor")


async def test_a_locked_key_takes_nothing_and_the_screen_says_so(counter: Counter) -> None:
    await counter.call("sale.scan", data=ITEM)
    assert await counter.refusal("sale.total_discount", percent_bp=1000, reason="Goodwill") == "key-needed"
    counter.board.set(NORMAL, 1)
    view = await counter.see(lambda view: any(each.id == "key-locked" for each in view.conditions))
    assert view.sale.allowed == ()
    assert await counter.refusal("sale.cash") == "key-locked"
    await counter.press(CASH)
    counter.board.set(SUPERVISOR, 0)
    await counter.see(lambda view: "total_discount_keyed" in view.sale.allowed)
    assert await counter.refusal("sale.total_discount", percent_bp=1000, reason="Goodwill") is None
    counter.board.set(SUPERVISOR, 1)
    counter.board.set(NORMAL, 0)
    await counter.see(lambda view: view.conditions == () and "total_discount_keyed" not in view.sale.allowed)
    await counter.call("sale.cash")
    kept = counter.records()
    assert sum(isinstance(entry, e.TransactionCompleted) for entry in kept) == 1
    (given,) = [entry for entry in kept if isinstance(entry, e.DiscountGiven)]
    assert given.approver == "key"


async def test_a_display_that_hangs_or_is_pulled_holds_up_no_sale(counter: Counter) -> None:
    counter.display.stall(True)
    for _ in range(40):
        await counter.sell()
    counter.display.unplug()
    await counter.sell()
    counter.display.stall(False)
    counter.display.plug()
    await counter.ready("display")
    await until(lambda: counter.display.rows[1].startswith(("Thank you", "Change")), "the last sale")
    assert (await counter.see(lambda _: True)).day.transactions == 41


async def test_a_case_that_is_open_at_the_start_is_latched_before_a_key_is_opened(tmp_path: Path) -> None:
    till = GuardedTill(
        tmp_path,
        f'[headquarters]\nbroker = "mqtt://127.0.0.1:1"\nack_key = "{"00" * 32}"\n'
        f'[device.case]\ndriver = "tamper-gpio"\npin = {CASE_PIN}\n',
    )
    await till.board.start()
    till.board.set(CASE_PIN, 1)
    (till.folder / "keyring").unlink(missing_ok=True)
    before = {path.name for path in till.folder.iterdir()}
    await till.daemon.start()
    await till.ended()
    assert await till.daemon.stop() == SOFTWARE
    assert Latch(till.folder / "journal.db").incident() is not None
    made = {path.name for path in till.folder.iterdir()} - before
    assert "journal.db" not in made, "it went on"
    view = await till.start()
    assert [condition.id for condition in view.conditions] == ["case-opened"]
    assert await till.refusal("drawer.open") == "case-opened"
    status = await till.call("daemon.status")
    assert isinstance(status, dict)
    assert status["latched"] is True
    assert await till.daemon.stop() == 0
    await till.close()
