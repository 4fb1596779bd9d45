"""Operators at a real daemon: the first owner, signing on by PIN and by tag, approvals, locks that a kill does not open."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from core import entries as e
from core.permissions import READS
from demo import goods
from store.credentials import TRIES_MAX
from tests.countertop import LOOK_S, NUTELLA, PATIENCE_S, Countertop, countertop, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWNER, ANNA = "384751", "4821"
TAG = "04a1b2c3d4e5f6"
CODE = goods.scan_bytes(NUTELLA)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    """A till with an owner and a cashier; nobody is signed on."""
    async with countertop(
        tmp_path_factory.mktemp("operators") / "shop", ("scanner", "nfc", "card", "printer", "drawer"), start=False
    ) as made:
        made.layout.config.write_text(made.layout.config.read_text() + "[operators]\nbadge_alone = true\n")
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def counter(module_counter: Countertop) -> Countertop:
    counter = module_counter
    if not counter.views:
        await counter.start()
        claim = counter.view.operator.claim
        assert claim is not None
        await counter.call("operator.claim", claim=claim, operator="1", pin=OWNER, name="Olga")
        await counter.call("operator.add", operator="17", role="cashier", pin=ANNA, name="Anna")
        await counter.call("operator.add", operator="18", role="cashier", pin=ANNA)
    await counter.call("operator.sign_on", operator="1", pin=OWNER)
    await counter.clear()
    await counter.call("operator.sign_off")
    return counter


def who(counter: Countertop) -> tuple[str | None, bool]:
    return counter.view.operator.id, counter.view.operator.locked


async def test_the_claim_is_gone_once_there_is_an_owner(counter: Countertop) -> None:
    await counter.see(lambda view: view.operator.claim is None, "no claim")
    assert await counter.refusal("operator.claim", claim="", operator="2", pin="739154") == "already-claimed"


async def test_nothing_goes_before_somebody_signs_on(counter: Countertop) -> None:
    counter.bench.scanner.scan(CODE)
    await counter.notice("sign-on-needed")
    for method in ("sale.cash", "drawer.open", "receipt.reprint", "sale.cancel"):
        assert await counter.refusal(method) == "sign-on-needed"
    for method, needed in READS.items():
        if needed != "anybody":
            asked = {"number": 1} if method == "return.receipt" else {}
            assert await counter.refusal(method, **asked) == "sign-on-needed"
    assert counter.records()[-1].__struct_config__.tag != "transaction_opened"


async def test_who_did_what_is_in_the_journal_and_in_the_history(counter: Countertop) -> None:
    await counter.call("operator.sign_on", operator="17", pin=ANNA)
    await counter.ring_up(CODE)
    assert await counter.refusal("sale.line_discount", percent_bp=1000, reason="dented") == "supervisor-needed"
    discount = {"percent_bp": 1000, "reason": "dented", "approver": "1"}
    assert await counter.refusal("sale.line_discount", **discount, approver_pin="000000") == "pin-wrong"
    await counter.call("sale.line_discount", **discount, approver_pin=OWNER)
    await counter.call("sale.cash")
    await counter.completed()
    (given,) = (each for each in counter.records() if isinstance(each, e.DiscountGiven))
    assert (given.operator, given.approver) == ("17", "1")
    (done,) = (each for each in counter.records() if isinstance(each, e.TransactionCompleted))
    assert done.operator == "17"
    refused = [each for each in counter.records() if isinstance(each, e.SignOnRefused)]
    assert refused == [e.SignOnRefused(reason="denied", subject="1")]
    assert await counter.refusal("history.find") == "role-needed"
    await counter.call("operator.sign_on", operator="1", pin=OWNER)

    async with asyncio.timeout(PATIENCE_S):
        while not await counter.ask("history.find", operator="17"):
            await asyncio.sleep(LOOK_S)
    assert not await counter.ask("history.find", operator="99")


async def test_five_tries_then_locked_though_it_is_killed(counter: Countertop) -> None:
    for attempt in range(1, TRIES_MAX):
        assert await counter.refusal("operator.sign_on", operator="18", pin="0000") == "pin-wrong"
        if attempt == 2:
            await counter.restart()
    assert await counter.refusal("operator.sign_on", operator="18", pin="0000") == "operator-locked"
    await counter.restart()
    assert await counter.refusal("operator.sign_on", operator="18", pin=ANNA) == "operator-locked"
    assert who(counter) == (None, False)
    await counter.call("operator.sign_on", operator="1", pin=OWNER)
    await counter.call("operator.unlock", operator="18")
    await counter.call("operator.sign_on", operator="18", pin=ANNA)


async def test_a_locked_till_keeps_its_basket_over_a_restart(counter: Countertop) -> None:
    await counter.call("operator.sign_on", operator="17", pin=ANNA)
    await counter.ring_up(CODE)
    await counter.restart()
    await counter.see(lambda view: view.operator.locked, "the lock")
    assert await counter.refusal("sale.cash") == "till-locked"
    assert await counter.refusal("operator.sign_on", operator="18", pin=ANNA) == "basket-of-other"
    await counter.call("operator.sign_on", operator="17", pin=ANNA)
    assert len(counter.view.sale.lines) == 1
    await counter.call("sale.cash")
    await counter.completed()


async def test_a_tag_becomes_a_badge_and_signs_a_cashier_on(counter: Countertop) -> None:
    bench = counter.bench
    await counter.call("operator.sign_on", operator="1", pin=OWNER)
    await counter.call("operator.badge", operator="17")
    bench.nfc.present(bytes.fromhex(TAG))
    assert await counter.notice("badge-given") == {"operator": "17"}
    await counter.call("operator.sign_off")
    counter.forget()
    async with asyncio.timeout(PATIENCE_S):
        while who(counter)[0] != "17":
            bench.nfc.tap(bytes.fromhex(TAG), held_s=0.5)
            await asyncio.sleep(1.0)
    assert await counter.refusal("operator.badge", operator="18") == "supervisor-needed"
    kept = b"".join(each.read_bytes() for each in counter.layout.terminal.iterdir() if each.is_file())
    assert TAG.encode() not in kept
    assert not any(TAG in repr(each) for each in counter.records())


async def test_no_pin_in_the_log_nor_in_a_file(counter: Countertop) -> None:
    await counter.refusal("operator.sign_on", operator="17", pin="77777777777")
    assert await counter.refusal("operator.pin", operator="17", pin="1111") == "sign-on-needed"
    for text in (OWNER, "77777777777"):
        assert text not in counter.log
        assert not any(text in repr(each) for each in counter.records())


async def test_the_list_has_names_and_the_journal_has_none(counter: Countertop) -> None:
    await counter.call("operator.sign_on", operator="1", pin=OWNER)
    rows = msgspec.convert(await counter.ask("operator.list"), list[dict[str, object]])
    assert [(row["operator"], row["name"]) for row in rows] == [("1", "Olga"), ("17", "Anna"), ("18", "")]
    assert not any("Olga" in repr(each) for each in counter.records())


@pytest.mark.parametrize(
    ("method", "given", "why"),
    [
        ("operator.add", {"operator": "17", "role": "cashier", "pin": "4821"}, "operator-exists"),
        ("operator.add", {"operator": "too long a number", "role": "cashier", "pin": "4821"}, "operator-id-not-valid"),
        ("operator.add", {"operator": "19", "role": "supervisor", "pin": "4821"}, "pin-not-good"),
        ("operator.add", {"operator": "19", "role": "cashier", "pin": "1234"}, "pin-not-good"),
        ("operator.remove", {"operator": "1"}, "last-supervisor"),
        ("operator.role", {"operator": "1", "role": "cashier"}, "last-supervisor"),
        ("operator.role", {"operator": "17", "role": "auditor"}, "new-pin-needed"),
        ("operator.unlock", {"operator": "99"}, "no-such-operator"),
        ("operator.sign_on", {"operator": "99", "pin": "4821"}, "operator-not-known"),
    ],
)
async def test_what_cannot_be_is_refused(counter: Countertop, method: str, given: dict[str, object], why: str) -> None:
    await counter.call("operator.sign_on", operator="1", pin=OWNER)
    assert await counter.refusal(method, **given) == why
    assert not [each for each in counter.records() if isinstance(each, e.OperatorAdministered)]


async def test_who_is_removed_is_out(counter: Countertop) -> None:
    await counter.call("operator.sign_on", operator="1", pin=OWNER)
    await counter.call("operator.add", operator="20", role="cashier", pin=ANNA)
    await counter.call("operator.sign_on", operator="20", pin=ANNA)
    await counter.call("operator.remove", operator="20", approver="1", approver_pin=OWNER)
    await until(lambda: who(counter) == ("20", True), "the lock")
    assert await counter.refusal("operator.sign_on", operator="20", pin=ANNA) == "operator-not-known"


async def test_training_prints_and_does_nothing_else(counter: Countertop) -> None:
    sold = counter.view.day.transactions
    await counter.call("operator.sign_on", operator="1", pin=OWNER)
    found = await counter.ask("history.find")
    await counter.call("till.training", on=True)
    await counter.see(lambda view: view.operator.training, "training")
    for pay in ("sale.card", "sale.cash"):
        await counter.call("sale.scan", data=NUTELLA.gtin)
        await counter.call(pay)
    for paper in await counter.papers(2):
        assert paper.count("*** TRAINING ***") == 2
    await counter.restart()
    assert counter.view.operator.training
    assert {message.id for message in counter.view.conditions} >= {"training-mode"}
    await counter.call("operator.sign_on", operator="1", pin=OWNER)
    await counter.call("till.training", on=False)
    assert not counter.bench.payment.charges
    assert counter.drawer_openings == 0
    assert counter.view.day.transactions == sold
    assert await counter.ask("history.find") == found
    kept = [each for each in counter.records() if isinstance(each, e.Trained)]
    assert sum(isinstance(each.entry, e.TransactionCompleted) for each in kept) == 2
    assert counter.count(e.TransactionCompleted) == 0
    await counter.call("sale.scan", data=NUTELLA.gtin)
    await counter.call("sale.cash")
    await counter.completed()
