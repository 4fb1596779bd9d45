"""Gift cards at a whole counter: sold, looked at, spent, taken back, over the real protocol; and where no number is found."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core import entries as e
from demo import goods
from drivers.simulated.payment import Behaviour
from tests.countertop import GIFT_CARDS, NUTELLA, Countertop, countertop

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARDS = tuple(f"60064912345678{at:02}" for at in range(10, 20))
NEW, SPENT, BACK, LOST, BAD, PARTLY = CARDS[:6]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    """A counter whose payment device keeps gift cards."""
    devices = ("scanner", "card", "printer", "drawer")
    async with countertop(tmp_path_factory.mktemp("counter") / "shop", devices, more=GIFT_CARDS) as counter:
        for number in CARDS:
            counter.bench.payment.gift_cards.issue(number)
        yield counter


async def sell(counter: Countertop, number: str, amount_minor: int) -> None:
    await counter.call("gift.sell", amount_minor=amount_minor)
    await counter.call("sale.scan", data=number)
    await counter.see(lambda view: any(line.gift_card for line in view.sale.lines), "the gift card's line")


def balance_of(counter: Countertop, number: str) -> int | None:
    return counter.bench.payment.gift_cards.known[number].balance_minor


def assert_nowhere(counter: Countertop, *numbers: str) -> None:
    """Neither on the medium, nor in the logs or on paper, nor on a screen."""
    files = [path for path in counter.layout.root.rglob("*") if path.is_file()]
    assert any(path.name.startswith("journal.db") for path in files)
    assert any(path.name == "terminald.log" for path in files)
    for number in numbers:
        assert [str(path) for path in files if number.encode() in path.read_bytes()] == []
        assert not any(number in paper.text for paper in counter.bench.papers)
        assert not any(number in repr(view) for view in counter.views)
        assert not any(number in repr(entry) for entry in counter.records())
        assert not any(number in repr(request) for request in counter.bench.payment.requests)


async def test_it_is_good_once_it_is_paid_for(counter: Countertop) -> None:
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    await sell(counter, NEW, 5_000)
    assert counter.view.sale.total_minor == 5_379
    assert balance_of(counter, NEW) is None
    await counter.call("sale.cash", amount_minor=6_000)
    await counter.completed()
    assert await counter.notice("gift-card-good") == {"card": f"****{NEW[-4:]}", "amount_minor": 5_000}
    assert balance_of(counter, NEW) == 5_000
    (sold,) = [entry for entry in counter.records() if isinstance(entry, e.TransactionCompleted)]
    assert (sold.total_minor, sold.stored_value_minor, sold.change_minor) == (379, 5_000, 621)
    assert len(sold.stored_value[0].account) == 32
    (paper,) = await counter.papers(1)
    assert f"Gift card ****{NEW[-4:]}" in paper
    assert "53.79" in paper
    assert counter.view.day.amount_minor >= 379
    assert_nowhere(counter, NEW)


async def test_its_balance_is_told(counter: Countertop) -> None:
    counter.bench.payment.gift_cards.issue(CARDS[9]).balance_minor = 1_234
    await counter.call("sale.scan", data=CARDS[9])
    assert await counter.notice("gift-card-balance") == {"card": f"****{CARDS[9][-4:]}", "amount_minor": 1_234}
    assert counter.view.sale.mode == "idle"
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    counter.forget()
    await counter.call("gift.balance", data=CARDS[9])
    await counter.notice("gift-card-balance")
    assert await counter.refusal("gift.balance", data="4006381333931") == "code-of-no-gift-card"
    assert_nowhere(counter, CARDS[9])


async def test_it_pays_what_it_has_and_cash_the_rest(counter: Countertop) -> None:
    counter.bench.payment.gift_cards.known[PARTLY].balance_minor = 100
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    await counter.call("sale.scan", data=PARTLY)
    await counter.see(lambda view: view.sale.due_minor == 279 and view.sale.mode == "tendering", "the rest")
    await counter.call("sale.cash")
    await counter.completed()
    (sold,) = [entry for entry in counter.records() if isinstance(entry, e.TransactionCompleted)]
    assert [(total.kind, total.amount_minor) for total in sold.tenders] == [("CASH", 279), ("STORED_VALUE", 100)]
    (paper,) = await counter.papers(1)
    assert f"Gift card ****{PARTLY[-4:]}" in paper
    assert balance_of(counter, PARTLY) == 0
    await counter.call("return.line", number=sold.number, reason="damaged")
    await counter.call("sale.card")
    await counter.see(lambda view: view.sale.owed_minor == 279, "the rest that goes back")
    assert balance_of(counter, PARTLY) == 100
    await counter.call("sale.cash")
    await counter.completed(2)
    assert_nowhere(counter, PARTLY)


async def test_it_comes_back_while_nothing_was_bought_with_it(counter: Countertop) -> None:
    await sell(counter, BACK, 2_000)
    await counter.call("sale.cash")
    await counter.completed()
    await counter.notice("gift-card-good")
    (sold,) = [entry for entry in counter.records() if isinstance(entry, e.TransactionCompleted)]
    shown = await counter.call("return.receipt", number=sold.number)
    assert shown["gift_cards"] == [{"line": 1, "card": f"****{BACK[-4:]}", "amount_minor": 2_000, "came_back": False}]
    await counter.call("gift.return", number=sold.number, reason="not wanted")
    await counter.see(lambda view: view.sale.owed_minor == 2_000, "the money for it")
    assert balance_of(counter, BACK) is None
    await counter.call("sale.cash")
    await counter.completed(2)
    assert await counter.refusal("gift.return", number=sold.number) == "gift-card-refunded"
    assert counter.view.sale.mode == "idle"


async def test_a_spent_one_stays(counter: Countertop) -> None:
    await sell(counter, SPENT, 2_000)
    await counter.call("sale.cash")
    await counter.completed()
    await counter.notice("gift-card-good")
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    await counter.call("sale.scan", data=SPENT)
    await counter.completed(2)
    (sold, _) = [entry for entry in counter.records() if isinstance(entry, e.TransactionCompleted)]
    await counter.call("gift.return", number=sold.number)
    assert await counter.notice("gift-card-not-emptied") == {"card": f"****{SPENT[-4:]}", "reason": "not-allowed"}
    assert balance_of(counter, SPENT) == 2_000 - 379
    await counter.see(lambda view: view.sale.mode == "idle", "an empty counter")


async def test_what_is_left_is_paid_out(counter: Countertop) -> None:
    counter.bench.payment.gift_cards.known[CARDS[7]].balance_minor = 123
    await counter.call("gift.cash_out")
    await counter.call("sale.scan", data=CARDS[7])
    await counter.see(lambda view: view.sale.owed_minor == 123, "the money for it")
    assert balance_of(counter, CARDS[7]) == 0
    await counter.call("sale.cash")
    await counter.completed()
    (paper,) = await counter.papers(1)
    assert f"Gift card ****{CARDS[7][-4:]} paid out" in paper
    assert_nowhere(counter, CARDS[7])


async def test_an_unknown_card_is_not_sold(counter: Countertop) -> None:
    await counter.call("gift.sell", amount_minor=100)
    await counter.call("sale.scan", data="6006490000000099")
    assert await counter.notice("gift-card-not-usable") == {"reason": "invalid-card"}
    assert counter.view.sale.mode == "loading"
    assert await counter.refusal("sale.cash") == "gift-card-first"
    await counter.call("sale.cancel")
    await counter.see(lambda view: view.sale.mode == "ringing", "a basket without it")


async def test_a_lost_answer_is_asked_about_after_a_restart(counter: Countertop) -> None:
    await sell(counter, LOST, 3_000)
    counter.bench.payment.behaviour = Behaviour.MUTE_AFTER_CHARGE
    await counter.call("sale.cash")
    await counter.see(lambda view: balance_of(counter, LOST) == 3_000, "the card's value")
    counter.bench.payment.requests.clear()
    await counter.restart()
    assert (await counter.notice("gift-card-good"))["amount_minor"] == 3_000
    assert balance_of(counter, LOST) == 3_000
    asked = [message.message_header.message_category for message in counter.bench.payment.requests]
    assert "StoredValue" not in asked
    assert "TransactionStatus" in asked
    assert [change.reference for change in counter.bench.payment.gift_cards.changes if change.number == LOST] == [
        sold.reference
        for entry in counter.records()
        if isinstance(entry, e.TransactionCompleted)
        for sold in entry.stored_value
    ]
    assert_nowhere(counter, LOST)


async def test_a_card_that_is_not_made_good_is_paid_back(counter: Countertop) -> None:
    await sell(counter, BAD, 1_500)
    counter.bench.payment.behaviour = Behaviour.DECLINE
    await counter.call("sale.cash")
    params = await counter.notice("gift-card-not-good")
    assert params["reason"] == "declined"
    assert balance_of(counter, BAD) is None
    counter.bench.payment.behaviour = Behaviour.APPROVE
    await counter.call("gift.return", number=params["number"])
    await counter.see(lambda view: view.sale.owed_minor == 1_500, "the money for it")
    await counter.call("sale.cash")
    await counter.completed(2)
