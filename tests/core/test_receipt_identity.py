"""A receipt carries the code of its transaction, and the till that printed it reads it again."""

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.document import QrCode
from core.fold import apply
from core.receipt_code import ReceiptCode, parse
from core.sale import read, step
from core.state import Till
from core.step import Facts
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY

EPOCH = "0123456789abcdef0123456789abcdef"


def _take(till: Till, event: v.AnyEvent) -> tuple[Till, tuple[x.AnyEffect, ...]]:
    facts = Facts(
        business_day=TODAY,
        local_time=NOW,
        question=read(SHOP, till, event, TODAY),
        item=CATALOGUE["00000096385074"],
        epoch=EPOCH,
    )
    taken = step(SHOP, till, event, facts)
    for entry in taken.entries:
        till = apply(till, e.decode(e.encode(entry)))
    return till, taken.effects


def _codes(effects: tuple[x.AnyEffect, ...]) -> list[str]:
    papers = [effect.document for effect in effects if isinstance(effect, x.PrintReceipt)]
    return [element.data for paper in papers for element in paper.elements if isinstance(element, QrCode)]


def test_the_receipt_its_copy_and_the_one_after_a_power_cut_carry_the_same_code() -> None:
    till, _ = _take(Till(), v.Scanned(device="scanner", data="96385074"))
    till, effects = _take(till, v.CashKeyed())
    expected = ReceiptCode(
        terminal=SHOP.terminal, epoch=EPOCH, number=1, total_minor=1290, currency="EUR", ended="2026-11-24T14:03"
    )
    assert _codes(effects) == [expected.text()]
    assert parse(_codes(effects)[0]) == expected
    again = msgspec.json.decode(msgspec.json.encode(till), type=Till)
    _, after_a_cut = _take(again, v.Booted())
    assert _codes(after_a_cut) == [expected.text()]
    till, _ = _take(till, v.ReceiptTaken(number=1, copy=0))
    _, copies = _take(till, v.ReprintKeyed())
    assert _codes(copies) == [expected.text()]
