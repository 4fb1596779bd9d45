"""The shop's goods are what the till understands: every code is read back as the scanner sends it."""

from datetime import date, timedelta

import pytest

from core.events import Scanned
from core.money import currency
from core.scan import CodeRules, Reading, VariableMeasure, classify
from core.scan import reading as reading_of
from demo import goods
from drivers.codecs.scan import Framing, ScanDecoder
from store.catalogue import Catalogue, import_csv
from store.database import KEY_BYTES

LAYOUTS = (VariableMeasure(prefix="21", item_digits=5, value_digits=5, value="price"),)
TODAY = date(2026, 11, 24)


def read(code: bytes) -> Reading | None:
    """What the till makes of a code that goes through the scanner's codec."""
    (scanned,) = ScanDecoder("scanner", Framing()).feed(code + b"\r", 0.0)
    assert isinstance(scanned, Scanned)
    return reading_of(classify(scanned.data, scanned.aim, CodeRules(layouts=LAYOUTS)), "scanned", TODAY.isoformat())


@pytest.mark.parametrize("good", goods.GOODS, ids=lambda good: good.gtin)
def test_every_good_is_read_under_its_catalogue_key(good: goods.Good) -> None:
    reading = read(goods.scan_bytes(good))
    assert isinstance(reading, Reading)
    assert reading.gtin == good.key


def test_a_label_carries_its_price() -> None:
    reading = read(goods.weighed(goods.BANANAS, 128))
    assert isinstance(reading, Reading)
    assert (reading.gtin, reading.price_minor) == (goods.BANANAS.key, 128)


def test_a_data_matrix_carries_lot_and_date() -> None:
    reading = read(goods.yoghurt(TODAY))
    assert isinstance(reading, Reading)
    assert (reading.gtin, reading.lot) == (goods.YOGHURT.key, "A17")
    assert reading.use_by is not None
    assert reading.use_by > TODAY.isoformat()


@pytest.mark.parametrize("day", [TODAY, date(2027, 1, 1), date.today() + timedelta(days=3)])
def test_the_expired_one_is_past_its_date_on_any_day(day: date) -> None:
    reading = read(goods.expired_yoghurt(day))
    assert isinstance(reading, Reading)
    assert reading.use_by is not None
    assert reading.use_by < day.isoformat()


def test_the_unknown_code_is_whole_and_not_for_sale() -> None:
    reading = read(goods.UNKNOWN)
    assert isinstance(reading, Reading)
    assert reading.gtin not in {good.key for good in goods.GOODS}


def test_the_misread_is_found_by_its_check_digit() -> None:
    assert read(goods.MISREAD) is None


def test_about_thirty_goods_of_all_kinds() -> None:
    kinds = {good.symbology for good in goods.GOODS}
    assert kinds == {"EAN-13", "EAN-8", "UPC-A", "in-store", "DataMatrix"}
    assert len(goods.GOODS) >= 30


def test_the_catalogue_takes_the_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("shop") / "catalogue.db"
    key = bytes(range(KEY_BYTES))
    assert import_csv(path, key, goods.CSV, currency("EUR"), {"A", "B"}).items == len(goods.GOODS)
    with Catalogue(path, key) as catalogue:
        for good in goods.GOODS:
            item = catalogue.find(good.key, "2026-11-24T12:00")
            assert item is not None
            assert (item.name, item.unit_price_minor, item.tax) == (good.name, good.price_minor, good.tax)
