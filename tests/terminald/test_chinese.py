"""A shop that speaks Chinese: its receipts and reports on a printer made for China, through the real driver and its bytes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from core.language import words
from demo import goods
from tests.countertop import NUTELLA, Countertop, countertop

COLUMNS = 42
say = words("zh")


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Countertop]:
    async with countertop(tmp_path, start=False) as counter:
        written = counter.layout.config.read_text()
        written = written.replace(
            'name = "Corner Shop"', 'name = "街角小店"\nlanguage = "zh"\ntax_number = "91310000MA1K"'
        )
        written = written.replace('"12 Harbour Street"', '"上海市黄浦区外滩 12 号"')
        written = written.replace('path = "../bench/printer"\n', 'path = "../bench/printer"\ncodepage = "GB18030"\n')
        counter.layout.config.write_text(written)
        await counter.start()
        await counter.clear()
        yield counter


async def test_its_papers(shop: Countertop) -> None:
    await shop.ring_up(goods.scan_bytes(NUTELLA))
    await shop.call(
        "sale.item",
        data="9780201379624",
        name="苹果汁 1 升 鲜榨 不加糖 不加水 家庭装 限时特惠 買一送一",
        unit_price_minor=1250,
        tax="A",
    )
    await shop.call("sale.line_discount", percent_bp=1000, reason="会员日九折")
    shop.bench.payment.wants_signature = True
    await shop.call("sale.card", amount_minor=500)
    await shop.see(lambda view: view.sale.mode == "tendering", "the card's part")
    await shop.call("sale.cash", amount_minor=2000)
    await shop.completed()
    receipt, slip = await shop.papers(2)
    for text in (
        "街角小店",
        "苹果汁 1 升",
        "会员日九折",
        "已优惠",
        "合计 EUR",
        "银行卡",
        "授权号 123456",
        "现金",
        "找零",
        "净额",
        "谢谢惠顾",
        "税号 91310000MA1K",
    ):
        assert text in receipt, receipt
    assert "商户存根" in slip
    assert "持卡人签名" in slip
    await shop.call("receipt.invoice", name="东方书店有限公司", tax_number="91310101MA7")
    await shop.call("receipt.reprint")
    await shop.call("report.x")
    papers = await shop.papers(6)
    assert "发票" in papers[2]
    assert "东方书店有限公司" in papers[2]
    assert "*** 副本 1 ***" in papers[4]
    assert "X 报表" in papers[5]
    for paper in papers:
        assert "?" not in paper
        for line in (line for line in paper.splitlines() if not line.startswith("[QR ")):
            assert cell_len(line) <= COLUMNS, line
    for paper in (receipt, slip, papers[5]):
        english = [
            word for word in ("Cash", "Card", "TOTAL", "Change", "tax", "net", "Sales", "Float") if word in paper
        ]
        assert not english, paper
    assert shop.view.shop.language == "zh"
