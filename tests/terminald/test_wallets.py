"""A phone that pays by its code, at a whole counter: the real driver and protocol, and where the code is never found."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core import entries as e
from core.card import is_card_number
from demo import goods
from drivers.simulated.payment import Behaviour
from tests.countertop import COLA, NUTELLA, Countertop, countertop

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYS, LOST, UNKNOWN = "281234567890123468", "281234567890123457", "134567890123456781"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    """A counter whose payment device takes two wallets, one of which it has no contract for."""
    devices = ("scanner", "card-and-phone", "printer", "drawer")
    async with countertop(tmp_path_factory.mktemp("counter") / "shop", devices) as counter:
        counter.bench.payment.wallets = {"alipay"}
        yield counter


def assert_nowhere(counter: Countertop, *codes: str) -> None:
    """Neither on the medium, nor in the logs or on paper, nor on a screen."""
    files = [path for path in counter.layout.root.rglob("*") if path.is_file()]
    assert any(path.name.startswith("journal.db") for path in files)
    assert any(path.name == "terminald.log" for path in files)
    for code in codes:
        assert [str(path) for path in files if code.encode() in path.read_bytes()] == []
        assert not any(code in paper.text for paper in counter.bench.papers)
        assert not any(code in repr(view) for view in counter.views)
        assert not any(code in repr(entry) for entry in counter.records())
        assert not any(code in repr(request) for request in counter.bench.payment.requests)


async def test_a_phone_pays_by_a_code_that_has_a_cards_check_digit(counter: Countertop) -> None:
    assert is_card_number(PAYS)
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    await counter.call("sale.scan", data=PAYS)
    await counter.completed()
    (charge,) = counter.bench.payment.charges
    assert (charge.wallet, charge.amount_minor) == ("alipay", 379)
    (sold,) = [entry for entry in counter.records() if isinstance(entry, e.TransactionCompleted)]
    assert [(total.kind, total.amount_minor) for total in sold.tenders] == [("MOBILE", 379)]
    (paper,) = await counter.papers(1)
    assert "Phone alipay" in paper
    assert counter.drawer_openings == 0
    assert_nowhere(counter, PAYS)


async def test_a_device_that_does_not_take_it_refuses(counter: Countertop) -> None:
    await counter.ring_up(goods.scan_bytes(COLA))
    await counter.call("sale.scan", data=UNKNOWN)
    assert await counter.notice("wallet-declined") == {"reason": "service-unavailable"}
    assert counter.bench.payment.charges == []
    await counter.call("sale.cash")
    await counter.completed()
    assert_nowhere(counter, UNKNOWN)


async def test_a_wallet_that_is_not_configured_is_refused(counter: Countertop) -> None:
    await counter.ring_up(goods.scan_bytes(COLA))
    assert await counter.refusal("sale.scan", data="6212345678901234566") == "wallet-not-taken"


async def test_a_lost_answer_is_asked_about_after_a_restart(counter: Countertop) -> None:
    counter.bench.payment.behaviour = Behaviour.MUTE_AFTER_CHARGE
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    counter.bench.payment.requests.clear()
    await counter.call("sale.scan", data=LOST)
    await counter.see(lambda view: view.sale.mode == "authorizing" and bool(counter.bench.payment.charges), "a charge")
    await counter.restart()
    await counter.completed()
    (charge,) = counter.bench.payment.charges
    assert (charge.wallet, charge.amount_minor) == ("alipay", 379)
    asked = [message.message_header.message_category for message in counter.bench.payment.requests]
    assert asked.count("Payment") == 1
    assert "TransactionStatus" in asked
    assert_nowhere(counter, LOST)
