"""Codes of an item, packs, prices of lists and for a time; and every row that says such a thing wrongly."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from core.catalogue import Item
from core.money import currency
from core.scan import check_digit
from store.catalogue import Catalogue, import_csv
from store.errors import CatalogueRefused
from tests.store.journals import KEY

EUR = currency("EUR")
HEADER = "gtin,name,unit,price,tax,item,pack,list,valid_from,valid_to,stock\n"
PENCIL = "04006381333931"
CRATE = "10012345678902"
COLA = "00000040170725"
GOODS = (
    HEADER
    + "4006381333931,Pencil,each,1.20,B,,,,,,\n"
    + "4006381333931,,,0.99,,,,,2026-11-20,2026-11-30,\n"  # a promotion
    + "4006381333931,,,0.49,,,,,2026-12-01T17:00,2026-12-01T19:00,\n"  # happy hours
    + "4006381333931,,,1.00,,,,staff,,,\n"
    + "4006381333931,,,0.80,,,,staff,2026-11-24,,\n"
    + "40170725,Cola,each,1.00,A,,,,,,24.5\n"
    + "10012345678902,Crate of cola,,9.00,,40170725,12,,,,\n"
    + "10012345678902,,,8.00,,,,,,2026-11-24,\n"
    + "036000291452,,,,,40170725,6,,,,\n"  # six at the price of six
    + "96385074,Kola,,,,40170725,,,,,\n"  # another code of the same
    + "2112345000008,Käse,kg,18.90,A,,,,,,\n"
)


def take(folder: Path, text: str) -> Path:
    (folder / "goods.csv").write_text(text)
    import_csv(folder / "catalogue.db", KEY, folder / "goods.csv", EUR, ["A", "B"])
    return folder / "catalogue.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return take(tmp_path, GOODS)


@pytest.mark.parametrize(
    ("at", "price_list", "price_minor"),
    [
        ("2026-11-19T23:59:59+01:00", "", 120),
        ("2026-11-20T00:00:00+01:00", "", 99),
        ("2026-11-30T23:59:59+01:00", "", 99),  # the last day counts
        ("2026-12-01T00:00:00+01:00", "", 120),
        ("2026-12-01T16:59:59+01:00", "", 120),
        ("2026-12-01T17:00:00+01:00", "", 49),
        ("2026-12-01T18:59:59+01:00", "", 49),
        ("2026-12-01T19:00:00+01:00", "", 120),  # the last minute does not
        ("2026-11-23T12:00:00+01:00", "staff", 100),
        ("2026-11-25T12:00:00+01:00", "staff", 80),
        ("2031-01-01T12:00:00+01:00", "staff", 80),
        ("2026-11-25T12:00:00+01:00", "pensioners", 99),
    ],
)
def test_the_price_that_holds(path: Path, at: str, price_list: str, price_minor: int) -> None:
    with Catalogue(path, KEY, price_list=price_list) as catalogue:
        item = catalogue.find(PENCIL, at)
        assert item == Item(gtin=PENCIL, name="Pencil", unit="each", unit_price_minor=price_minor, tax="B")


def test_codes_of_one_item(path: Path) -> None:
    at = "2026-11-25T12:00"
    with Catalogue(path, KEY) as catalogue:
        crate, six, kola = (catalogue.find(gtin, at) for gtin in (CRATE, "00036000291452", "00000096385074"))
        dearer = catalogue.find(CRATE, "2026-11-24T23:59")
    cola = Item(gtin=COLA, name="Cola", unit="each", unit_price_minor=100, tax="A", item=COLA)
    assert crate == replace(cola, gtin=CRATE, name="Crate of cola", unit_price_minor=900, contains=12)
    assert dearer is not None
    assert dearer.unit_price_minor == 800
    assert six == replace(cola, gtin="00036000291452", count=6)
    assert kola == replace(cola, gtin="00000096385074", name="Kola")


def test_a_pack_without_a_name_says_what_it_holds(tmp_path: Path) -> None:
    path = take(tmp_path, GOODS.replace("Crate of cola", ""))
    with Catalogue(path, KEY) as catalogue:
        crate = catalogue.find(CRATE, "2026-11-25T12:00")
    assert crate is not None
    assert crate.name == "12 × Cola"


def test_all_that_is_known_of_a_code(path: Path) -> None:
    with Catalogue(path, KEY) as catalogue:
        card = catalogue.card(PENCIL, "2026-11-25T12:00")
        crate = catalogue.card(CRATE, "2026-11-25T12:00")
        assert catalogue.card("00000000000000", "2026-11-25T12:00") is None
        summary = catalogue.summary()
    assert card is not None
    assert (card.item.unit_price_minor, card.standing_minor, card.codes, card.on_hand_milli) == (99, 120, (), None)
    assert [(p.list, p.valid_from, p.valid_to, p.price_minor) for p in card.prices] == [
        ("", "2026-11-20T00:00", "2026-12-01T00:00", 99),
        ("", "2026-12-01T17:00", "2026-12-01T19:00", 49),
        ("staff", "", "", 100),
        ("staff", "2026-11-24T00:00", "", 80),
    ]
    assert crate is not None
    assert crate.codes == ("00000096385074", "00036000291452", CRATE)
    assert crate.on_hand_milli == 24_500
    assert (summary.items, summary.codes, summary.prices, summary.counted) == (3, 3, 5, 1)
    assert summary.taxes == {"A": 2, "B": 1}


def test_columns_in_any_order_and_lines_of_any_system(tmp_path: Path) -> None:
    path = take(tmp_path, "tax,stock,price,unit,name,gtin\r\nB,3,1.20,each,Pencil,4006381333931\r\n")
    with Catalogue(path, KEY) as catalogue:
        item = catalogue.find(PENCIL, "2026-11-25T12:00")
        assert item is not None
        assert (item.name, item.unit_price_minor, catalogue.on_hand(PENCIL)) == ("Pencil", 120, 3000)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("40170725,,,1,,,,,2026-11-31,,", "line 13: valid_from '2026-11-31' is no day of the calendar"),
        ("40170725,,,1,,,,,24.11.2026,,", "neither a date"),
        ("40170725,,,1,,,,,2026-11-24,2026-11-23,", "2026-11-24 is not before valid_to 2026-11-23"),
        ("40170725,,,1,,,,,,9999-12-31,", "no day of the calendar"),
        ("40170725,,,1.005,,,,x,,,", "more than 2 decimal places"),
        ("40170725,Cola,each,1,A,,,x,,,7", "a price of a list or for a time has no name, unit, tax, stock"),
        ("40170725,,,1,,,," + "x" * 33 + ",,,", "list is longer"),
        ("4006381333931,,,0.90,,,,,2026-11-30,2026-11-30,", "overlaps with the one from '2026-11-20T00:00' to"),
        ("4006381333931,,,0.90,,,,,,2026-11-20,", "line 3: this price of 04006381333931 overlaps with the one from ''"),
        ("4006381333931,,,0.90,,,,staff,,,", "this price of 04006381333931 stands in line 5 already"),
        ("8711253001202,,,0.90,,,,staff,,,", "there is no item 08711253001202"),
        ("8711253001202,,,,,4006381333930,,,,,", "item 4006381333930 has the check digit 0, and should have 1"),
        ("8711253001202,,,,,8715700421360,,,,,", "there is no item 08715700421360"),
        ("8711253001202,,,,,10012345678902,,,,,", "there is no item 10012345678902"),  # a pack is no item
        ("8711253001202,,,,,40170725,0,,,,", "pack '0' is not a whole number from 1 to 9999"),
        ("8711253001202,,,,,40170725,1.5,,,,", "pack '1.5' is not"),
        ("8711253001202,,,,,2112345000008,2,,,,", "not sold by the piece, and there are no packs of it"),
        ("8711253001202,,each,,A,40170725,,,2026-01-01,,3", "has no unit, tax, valid_from, stock"),
        ("40170725,,,,,4006381333931,,,,,", "00000040170725 is an item itself"),
        ("36000291452,,,,,40170725,,,,,", "'36000291452' is no GTIN"),
        ("036000291452,,,,,40170725,,,,,", "00036000291452 stands in line 10 already"),
        ("8711253001202,,,,,8711253001202,,,,,", "8711253001202 stands for itself"),
        ("8711253001202,Box,each,1,A,,12,,,,", "pack '12' needs the GTIN of what is in it as item"),
        ("8711253001202,Box,each,1,A,,,,,,-3", "stock '-3' is not a quantity"),
        ("8711253001202,Box,each,1,A,,,,,,1.2345", "stock '1.2345' is not a quantity"),
        ("8711253001202,Box,each,1,C,,,,,,", "tax 'C' is none of A, B"),
        ("8711253001202,Box,each,-1,A,,,,,,", "price -1 is negative"),
    ],
)
def test_a_row_that_says_it_wrongly(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(CatalogueRefused) as caught:
        take(tmp_path, GOODS + row + "\n")
    (fault,) = caught.value.faults
    assert words in fault
    assert fault.startswith(("line 13: ", "line 3: "))
    assert not (tmp_path / "catalogue.db").exists()


def test_prices_that_touch_do_not_overlap(tmp_path: Path) -> None:
    take(tmp_path, GOODS + "4006381333931,,,0.90,,,,,2026-12-01,2026-12-01T17:00,\n")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("pencil", ["Pencil"]),
        ("PENC", ["Pencil"]),
        ("kase", ["Käse"]),
        ("Käse", ["Käse"]),
        ("col", ["Cola"]),
        ("cola pencil", []),
        ("", []),
        ('"', []),
        ("-", []),
        ("AND", []),
        ("NEAR(cola", []),
        ("Ka\u0308se", ["Käse"]),
        ("cola*", ["Cola"]),
        ("name:cola", []),
        ("\x00cola", ["Cola"]),
    ],
)
def test_search(path: Path, words: str, found: list[str]) -> None:
    with Catalogue(path, KEY) as catalogue:
        assert [name for _, name in catalogue.search(words)] == found


def test_a_search_is_bounded(tmp_path: Path) -> None:
    path = take(tmp_path, HEADER + "".join(f"{gtin(n)},Thing {n},each,1,A,,,,,,\n" for n in range(300)))
    with Catalogue(path, KEY) as catalogue:
        assert len(catalogue.search("thing", 7)) == 7
        assert len(catalogue.search("thi", 10_000)) == 200


def gtin(number: int) -> str:
    return f"{number:07d}{check_digit(f'{number:07d}')}"
