"""The catalogue: a whole file or nothing, every fault named, and readers that see the new one at once."""

from pathlib import Path

import pytest

from core.catalogue import Item
from core.money import currency
from store.catalogue import Catalogue, import_csv
from store.errors import CatalogueRefused, NotAJournal
from tests.store.journals import KEY

EUR = currency("EUR")
NOON = "2026-11-24T12:00:00+01:00"
HEADER = "gtin,name,unit,price,tax\n"
GOOD = (
    HEADER
    + "4006381333931,Pencil,each,1.20,B\n"
    + "036000291452,Tissues,each,2.5,B\n"
    + '40170725,"Chocolate, dark",each,0.99,A\n'
    + "\n"
    + "2112345000008,Käse,kg,18.90,A\n"
    + "10012345678902,Crate,each,12,B\n"
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "items.csv"


def take(folder: Path, source: Path, text: str | bytes) -> int:
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_csv(folder / "catalogue.db", KEY, source, EUR, ["A", "B"]).items


def faults(folder: Path, source: Path, text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(CatalogueRefused) as caught:
        take(folder, source, text)
    return caught.value.faults


def test_items_are_found_by_14_digits(tmp_path: Path, source: Path) -> None:
    assert take(tmp_path, source, GOOD) == 5
    with Catalogue(tmp_path / "catalogue.db", KEY) as catalogue:
        assert catalogue.find("04006381333931", NOON) == Item(
            gtin="04006381333931", name="Pencil", unit="each", unit_price_minor=120, tax="B"
        )
        assert catalogue.find("00036000291452", NOON) == Item(
            gtin="00036000291452", name="Tissues", unit="each", unit_price_minor=250, tax="B"
        )
        found = [catalogue.find(gtin, NOON) for gtin in ("00000040170725", "02112345000008", "10012345678902")]
        assert [item and item.name for item in found] == ["Chocolate, dark", "Käse", "Crate"]
        assert found[1] is not None
        assert (found[1].unit, found[1].unit_price_minor) == ("kg", 1890)
        assert catalogue.find("00000000000000", NOON) is None
        assert catalogue.find("", NOON) is None
        assert catalogue.count() == 5


def test_a_new_catalogue_is_empty(tmp_path: Path) -> None:
    with Catalogue(tmp_path / "catalogue.db", KEY) as catalogue:
        assert catalogue.count() == 0
        assert catalogue.find("04006381333931", NOON) is None


def test_an_import_replaces_all_and_a_reader_sees_it(tmp_path: Path, source: Path) -> None:
    take(tmp_path, source, GOOD)
    with Catalogue(tmp_path / "catalogue.db", KEY) as catalogue:
        assert catalogue.count() == 5
        take(tmp_path, source, HEADER + "4006381333931,Pen,each,1.30,A\n")
        item = catalogue.find("04006381333931", NOON)
        assert item is not None
        assert (item.name, item.unit_price_minor, item.tax) == ("Pen", 130, "A")
        assert catalogue.count() == 1


def test_every_bad_line_is_named_and_nothing_is_taken(tmp_path: Path, source: Path) -> None:
    take(tmp_path, source, GOOD)
    bad = (
        HEADER
        + "4006381333930,Pencil,each,1.20,B\n"  # 2: check digit
        + "4006381333931,Pencil,each,1.20,B\n"
        + "123,Short,each,1.20,B\n"  # 4
        + "036000291452,,each,1.20,B\n"  # 5
        + "40170725,Chocolate,box,1.20,B\n"  # 6
        + "10012345678902,Crate,each,1.234,B\n"  # 7
        + "2112345000008,Cheese,kg,-5,Z\n"  # 8: two faults
        + "4006381333931,Again,each,1,B\n"  # 9
        + "96385074,Few,each\n"  # 10
        + "0036000291452,Bell\a,each,,A\n"  # 11: two faults
    )
    found = faults(tmp_path, source, bad)
    assert [fault.split(":")[0] for fault in found] == [f"line {line}" for line in (2, 4, 5, 6, 7, 8, 9, 10, 11)]
    for fault, words in zip(
        found,
        [
            "check digit 0, and should have 1",
            "no GTIN",
            "name is empty",
            "'box' is none of each, kg, l, m",
            "more than 2 decimal places",
            "price -5 is negative; tax 'Z' is none of A, B",
            "4006381333931 stands in line 3 already",
            "5 columns",
            "cannot be printed; price",
        ],
        strict=True,
    ):
        assert words in fault
    with Catalogue(tmp_path / "catalogue.db", KEY) as catalogue:
        assert catalogue.count() == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the header"),
        ("gtin;name;unit;price;tax\n", "line 1: the header"),
        (HEADER, "holds no items"),
        (HEADER.encode() + b"4006381333931,K\xe4se,each,1,A\n", "line 2: byte 0xE4 is not UTF-8"),
        (
            HEADER + '4006381333931,"Pencil,each,1,A\n',
            "line 2: not CSV, and what follows could not be read: a quote is opened and never",
        ),
        (HEADER + "4006381333931," + "x" * 101 + ",each,1,A\n", "longer than 100"),
        (HEADER + "4006381333931,Gold,each,99999999999999,A\n", "too high"),
        (HEADER + "\u0664006381333931,Pencil,each,1,A\n", "no GTIN"),
        (HEADER.strip() + ",4111111111111111\n", "unknown columns '************1111'"),
        (HEADER + "4222222222222,Pencil,each,1,A\n", "*********2222 has the check digit 2"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, source: Path, text: str | bytes, words: str) -> None:
    (fault,) = faults(tmp_path, source, text)
    assert words in fault
    assert not (tmp_path / "catalogue.db").exists()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogueRefused, match=r"items\.csv cannot be read"):
        import_csv(tmp_path / "catalogue.db", KEY, tmp_path / "items.csv", EUR, ["A"])


def test_a_byte_order_mark_is_no_fault(tmp_path: Path, source: Path) -> None:
    assert take(tmp_path, source, b"\xef\xbb\xbf" + GOOD.encode()) == 5


def test_no_name_stands_readable_on_the_disk(tmp_path: Path, source: Path) -> None:
    take(tmp_path, source, GOOD)
    source.unlink()
    with Catalogue(tmp_path / "catalogue.db", KEY):
        for file in tmp_path.iterdir():
            content = file.read_bytes()
            assert b"Pencil" not in content
            assert b"Crate" not in content


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").write_text("something else")
    with pytest.raises(NotAJournal):
        Catalogue(tmp_path / "catalogue.db", KEY)
