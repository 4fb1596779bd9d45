"""Records about prices, byte for byte as they were first written: what stands in a journal is read for ever."""

import pytest

from core import entries as e
from core.scan import Reading

RECORDS: tuple[tuple[bytes, e.AnyEntry], ...] = (
    (
        b'{"type":"discounts_applied","discounts":[{"reason":"3 for 2","amount_minor":129,"shares":[[1,86],[3,43]],'
        b'"promotion":"milk"},{"reason":"goodwill","amount_minor":5,"shares":[[1,5]],"whole":true}]}',
        e.DiscountsApplied(
            discounts=(
                e.Discount(
                    reason="3 for 2",
                    amount_minor=129,
                    promotion="milk",
                    shares=(e.DiscountShare(line=1, amount_minor=86), e.DiscountShare(line=3, amount_minor=43)),
                ),
                e.Discount(
                    reason="goodwill", amount_minor=5, shares=(e.DiscountShare(line=1, amount_minor=5),), whole=True
                ),
            )
        ),
    ),
    (
        b'{"type":"coupon_taken","coupon":"SPRING","promotion":"spring","once":true}',
        e.CouponTaken(coupon="SPRING", promotion="spring", once=True),
    ),
    (
        b'{"type":"discount_given","line":2,"reason":"dented","percent_bp":1000,"operator":"anna","approver":"berta"}',
        e.DiscountGiven(line=2, reason="dented", percent_bp=1000, operator="anna", approver="berta"),
    ),
    (b'{"type":"discount_withdrawn","line":0}', e.DiscountWithdrawn(line=0)),
    (
        b'{"type":"price_overridden","line":1,"regular_unit_price_minor":129,"unit_price_minor":99,"amount_minor":198,'
        b'"reason":"shelf"}',
        e.PriceOverridden(
            line=1, regular_unit_price_minor=129, unit_price_minor=99, amount_minor=198, reason="shelf"
        ),
    ),
    (b'{"type":"tax_exempted","reason":"embassy","certificate":"D-17"}', e.TaxExempted(reason="embassy", certificate="D-17")),
    (b'{"type":"tax_exempted"}', e.TaxExempted()),
    (b'{"type":"age_checked","min_age":16,"passed":true}', e.AgeChecked(min_age=16, passed=True)),
    (
        b'{"type":"item_held","about":"age","gtin":"04006381333931","name":"Rum","reading":{"gtin":"04006381333931",'
        b'"method":"scanned"},"min_age":18}',
        e.ItemHeld(
            about="age", gtin="04006381333931", name="Rum", min_age=18,
            reading=Reading(gtin="04006381333931", method="scanned"),
        ),
    ),
    (b'{"type":"held_item_given_up"}', e.HeldItemGivenUp()),
    (
        b'{"type":"item_provided","gtin":"05000112637922","name":"Cola","unit_price_minor":145,"tax":"A"}',
        e.ItemProvided(gtin="05000112637922", name="Cola", unit_price_minor=145, tax="A"),
    ),
    (
        b'{"type":"outlier_noticed","about":"price","gtin":"05000112637922","value":9900,"usual":145,"taken":true}',
        e.OutlierNoticed(about="price", gtin="05000112637922", value=9900, usual=145, taken=True),
    ),
)  # fmt: skip


@pytest.mark.parametrize(("body", "entry"), RECORDS, ids=lambda value: type(value).__name__)
def test_a_record_about_prices(body: bytes, entry: e.AnyEntry) -> None:
    assert e.decode(body) == entry
    assert e.encode(entry) == body


def test_a_sale_without_any_of_it_is_written_as_before() -> None:
    row = e.TaxTotal(code="A", rate_bp=700, included=True, gross_minor=978, net_minor=914, tax_minor=64)
    sale = e.TransactionCompleted(
        number=1, business_day="2026-11-22", currency="EUR", lines=1, total_minor=978, change_minor=22, taxes=(row,),
        tenders=(e.TenderTotal(kind="CASH", amount_minor=978),),
    )  # fmt: skip
    assert e.encode(sale) == (
        b'{"type":"transaction_completed","number":1,"business_day":"2026-11-22","currency":"EUR","lines":1,'
        b'"total_minor":978,"change_minor":22,"taxes":[{"code":"A","rate_bp":700,"included":true,"gross_minor":978,'
        b'"net_minor":914,"tax_minor":64}],"tenders":[{"kind":"CASH","amount_minor":978}]}'
    )
