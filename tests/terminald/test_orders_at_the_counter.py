"""Headquarters' orders at a real terminal: a real daemon, a real broker, and what is to be seen of each order."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from random import Random

import msgspec
import pytest
import pytest_asyncio

from core import entries as e
from core.orders import encode_order
from demo import goods
from tests.brokers import Mosquitto, mosquitto_in
from tests.countertop import COLA, NUTELLA, Countertop, countertop, until
from tests.order_desk import DESK_KEY, OrderDesk, headquarters_table, order_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUTELLA_CODE, COLA_CODE = goods.scan_bytes(NUTELLA), goods.scan_bytes(COLA)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto_in(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto) -> AsyncIterator[Countertop]:
    root = tmp_path_factory.mktemp("orders") / "shop"
    more = headquarters_table(broker.url) + f'[backup]\npath = "{root}/backups"\npolicy = "folder"\n'
    async with countertop(root, ("scanner", "printer", "drawer"), more=more) as counter:
        yield counter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(shop: Countertop, broker: Mosquitto) -> AsyncIterator[OrderDesk]:
    async with order_desk(broker.url, "till-3") as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def till(shop: Countertop) -> Countertop:
    await shop.clear()
    return shop


async def sell(till: Countertop) -> None:
    sold = till.sold
    await till.ring_up(NUTELLA_CODE)
    await till.call("sale.cash")
    await till.completed(sold + 1)


async def test_ping_and_who_ordered_it(till: Countertop, desk: OrderDesk) -> None:
    said = await desk.give("ping")
    assert (said.state, said.output["software"]) == ("successful", "0.1.0")
    assert desk.said(said.id) == ["accepted", "running", "successful"]
    kept = [each for each in till.records() if isinstance(each, e.OrderTaken | e.OrderBegun | e.OrderEnded)]
    assert [(each.id, type(each)) for each in kept] == [
        (said.id, e.OrderTaken), (said.id, e.OrderBegun), (said.id, e.OrderEnded)
    ]  # fmt: skip
    taken = kept[0]
    assert isinstance(taken, e.OrderTaken)
    assert (taken.issuer, taken.role, taken.seconded) == ("anna", "security", "ben")


async def test_report_tells_the_health_now(till: Countertop, desk: OrderDesk) -> None:
    said = await desk.give("report")
    assert said.output["system"]["room"] == "enough"


async def test_identify_is_seen_and_ends(till: Countertop, desk: OrderDesk) -> None:
    order = desk.order("identify", {"seconds": 1})
    await desk.publish(order)
    await till.see(lambda view: any(each.id == "identified" for each in view.conditions), "which till it is")
    await desk.end(order.id)
    await till.see(lambda view: all(each.id != "identified" for each in view.conditions), "the end of it")


async def test_a_locked_till_finishes_its_sale_and_begins_none_over_a_plug_pull(
    till: Countertop, desk: OrderDesk
) -> None:
    await till.ring_up(NUTELLA_CODE)
    assert (await desk.give("lock", {"text": "Stolen"})).state == "successful"
    await till.ring_up(COLA_CODE)
    await till.call("sale.cash")
    await till.completed()
    assert await till.refusal("sale.scan", data="5449000000996") == "terminal-locked"
    await till.restart()
    shown = [each.params["text"] for each in till.view.conditions if each.id == "terminal-locked"]
    assert shown == ["Stolen"]
    assert await till.refusal("sale.scan", data="5449000000996") == "terminal-locked"
    assert (await desk.give("unlock")).state == "successful"
    await sell(till)


async def test_unlocking_takes_two_persons(till: Countertop, desk: OrderDesk) -> None:
    order = msgspec.structs.replace(desk.order("unlock"), seconded="anna")
    await desk.publish(order)
    assert (await desk.end(order.id)).code == "order-not-allowed"


async def test_a_message_stands_until_it_was_seen(till: Countertop, desk: OrderDesk) -> None:
    assert (await desk.give("message", {"text": "Stock-taking tonight"})).state == "successful"
    await till.see(lambda view: any(each.id == "headquarters-says" for each in view.conditions), "the message")
    await till.restart()
    await till.see(lambda view: any(each.id == "headquarters-says" for each in view.conditions), "the message still")
    assert "note_seen_keyed" in till.view.sale.allowed
    await till.call("note.seen")
    await till.see(lambda view: all(each.id != "headquarters-says" for each in view.conditions), "its end")


async def test_a_restart_waits_for_the_open_sale(till: Countertop, desk: OrderDesk) -> None:
    await till.ring_up(NUTELLA_CODE)
    order = desk.order("restart")
    await desk.publish(order)
    assert (await desk.state(order.id, "waiting")).code == "sale-open"
    await till.call("sale.cash")
    await until(lambda: not till.daemon.running, "the daemon's end")
    await till.start()
    assert (await desk.end(order.id)).state == "successful"
    assert [entry for entry in till.records() if isinstance(entry, e.DaemonStopped)]


async def test_the_log_comes_without_cards(till: Countertop, desk: OrderDesk) -> None:
    said = await desk.give("logs", {"lines": 50})
    assert any("order taken" in line for line in said.output["log"])


async def test_the_journal_is_looked_through(till: Countertop, desk: OrderDesk) -> None:
    said = await desk.give("verify")
    assert said.state == "successful"
    assert said.output["records"] > 10


async def test_a_backup_is_made_now(till: Countertop, desk: OrderDesk) -> None:
    (till.layout.root / "backups").mkdir(exist_ok=True)
    said = await desk.give("backup")
    assert (said.state, said.code, said.text) == ("successful", "", "")
    assert list((till.layout.root / "backups").rglob(f"*{said.output['name']}*"))


async def test_keys_are_rotated_at_a_new_start(till: Countertop, desk: OrderDesk) -> None:
    before = (till.layout.terminal / "journal.db").read_bytes()[:16]
    order = desk.order("rotate-keys")
    await desk.publish(order)
    await until(lambda: not till.daemon.running, "the daemon's end")
    await till.start()
    assert (await desk.end(order.id)).state == "successful"
    assert (till.layout.terminal / "journal.db").read_bytes()[:16] != before
    await sell(till)


async def test_a_recalled_lot_is_not_sold_from_the_next_scan_on(till: Countertop, desk: OrderDesk) -> None:
    said = await desk.give("recall", {"id": "R-1", "gtin": COLA.gtin, "reason": "glass in it"}, role="manager")
    assert said.state == "successful"
    assert await till.refusal("sale.scan", data="5449000000996") == "item-recalled"
    assert (await desk.give("lift-recall", {"id": "R-1"}, role="manager")).output == {"lifted": 1}
    await till.ring_up(COLA_CODE)
    await till.call("sale.cancel")
    await till.see(lambda view: view.sale.mode == "idle", "an empty counter")


async def test_a_till_without_operators_says_so(till: Countertop, desk: OrderDesk) -> None:
    assert (await desk.give("staff", role="manager")).code == "no-operators"


async def test_an_order_that_is_sent_again_is_done_once(till: Countertop, desk: OrderDesk) -> None:
    order = desk.order("message", {"text": "Once"})
    await desk.publish(order)
    await desk.end(order.id)
    await till.call("note.seen")
    await desk.publish(order)
    await till.restart()
    await desk.give("ping")
    assert all(each.id != "headquarters-says" for each in till.view.conditions)
    assert sum(isinstance(entry, e.NotePosted) for entry in till.records()) == 1


async def test_orders_wait_at_the_broker_and_come_in_their_sequence(till: Countertop, desk: OrderDesk) -> None:
    await till.daemon.stop()
    lock, unlock = desk.order("lock", {"text": "x"}), desk.order("unlock")
    await desk.publish(unlock)
    await desk.publish(lock)
    await till.start()
    await desk.end(lock.id)
    await desk.end(unlock.id)
    await sell(till)


async def test_an_expired_order_and_one_that_was_taken_back(till: Countertop, desk: OrderDesk) -> None:
    late = desk.order("ping", hours=-1)
    await desk.publish(late)
    assert (await desk.end(late.id)).state == "expired"
    later = msgspec.structs.replace(desk.order("ping"), not_before_ms=time.time_ns() // 1_000_000 + 600_000)
    await desk.publish(later)
    assert (await desk.state(later.id, "waiting")).code == "order-early"
    await desk.publish(later, b"")
    assert (await desk.end(later.id)).code == "order-withdrawn"


async def test_an_order_that_ran_when_the_power_went_is_resolved(till: Countertop, desk: OrderDesk) -> None:
    order = desk.order("identify", {"seconds": 30})
    again = desk.order("verify")
    await desk.publish(order)
    await desk.state(order.id, "running")
    await desk.publish(again)
    await till.restart()
    assert (await desk.end(order.id)).code == "interrupted"
    assert (await desk.end(again.id)).state == "successful"


@pytest.mark.timeout(180)  # several starts of a daemon, on a machine that may be busy
async def test_each_order_counts_once_however_often_the_daemon_is_killed(till: Countertop, desk: OrderDesk) -> None:
    random = Random(6)
    orders = [desk.order("ping") if number % 3 else desk.order("identify", {"seconds": 1}) for number in range(12)]
    for order in orders:
        await desk.publish(order)
        if random.random() < 0.4:
            await asyncio.sleep(random.random())
            await till.restart()
    for order in orders:
        said = await desk.end(order.id)
        assert said.state == "successful" or (order.order, said.code) == ("identify", "interrupted")
    kept = [each for each in till.records() if isinstance(each, e.OrderTaken | e.OrderBegun | e.OrderEnded)]
    for order in orders:
        assert [type(each) for each in kept if each.id == order.id] == [e.OrderTaken, e.OrderBegun, e.OrderEnded]


@pytest.mark.parametrize("name", ["ping", "catalogue"])
async def test_what_is_not_headquarters_is_refused(till: Countertop, desk: OrderDesk, name: str) -> None:
    order = desk.order(name)
    await desk.publish(order, b'{"order":{},"signature":"00"}\n')
    assert (await desk.end(order.id)).code == "order-unreadable"
    assert all(getattr(entry, "id", "") != order.id for entry in till.records())


async def test_a_catalogue_that_cannot_be_had_changes_nothing(till: Countertop, desk: OrderDesk) -> None:
    params: dict[str, object] = {"url": "https://127.0.0.1:9/c", "sha256": "00" * 32, "size_bytes": 9}
    said = await desk.give("catalogue", params, role="manager")
    assert (said.state, said.code) == ("failed", "content-unreachable")
    await sell(till)


async def test_another_terminals_order_is_not_carried_out(till: Countertop, desk: OrderDesk) -> None:
    order = desk.order("lock", {"text": "x"})
    payload = encode_order(msgspec.structs.replace(order, terminal="till-4"), DESK_KEY.sign)
    await desk.publish(order, payload)
    assert (await desk.end(order.id)).code == "order-misaddressed"
    await sell(till)


async def test_a_clock_behind_headquarters_runs_only_what_does_no_harm_late(till: Countertop, desk: OrderDesk) -> None:
    """The last test of this counter: from here on it knows that its clock is wrong."""
    ahead_ms = time.time_ns() // 1_000_000 + 7_200_000
    ping = msgspec.structs.replace(desk.order("ping"), issued_ms=ahead_ms, not_after_ms=ahead_ms + 3_600_000)
    await desk.publish(ping)
    assert (await desk.end(ping.id)).state == "successful"
    over = desk.order("ping")  # by our clock it has an hour left, by headquarters' none
    await desk.publish(over)
    assert (await desk.end(over.id)).state == "expired"
    restart = msgspec.structs.replace(desk.order("restart"), issued_ms=ahead_ms, not_after_ms=ahead_ms + 3_600_000)
    await desk.publish(restart)
    assert (await desk.state(restart.id, "waiting")).code == "clock-unsure"
    await sell(till)
