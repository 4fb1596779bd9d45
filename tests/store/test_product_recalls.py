"""Recalled goods: written by hand and by updates, found with a scan, and not lost with an import."""

from pathlib import Path

import pytest

from core.catalogue import Change, UpdateHead, write_update
from core.money import currency
from core.product_recall import ProductRecall
from store.catalogue import Catalogue, import_csv
from store.catalogue_update import apply_update
from store.errors import CatalogueRefused
from store.product_recalls import ProductRecalls, recall_of
from tests.store.journals import KEY

EUR = currency("EUR")
GOODS = "gtin,name,unit,price,tax\n4006381333931,Pencil,each,1.20,A\n"
PENCIL = "04006381333931"
LOT = recall_of("4006381333931", "A17", "R-1", "glass splinters", "2026-11-20")
ALL = recall_of("96385074", "", "R-2", "not declared: milk", "2026-11-21")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "goods.csv").write_text(GOODS)
    import_csv(tmp_path / "catalogue.db", KEY, tmp_path / "goods.csv", EUR, ["A"])
    return tmp_path / "catalogue.db"


def found(path: Path, *gtins: str) -> tuple[ProductRecall, ...]:
    with Catalogue(path, KEY) as catalogue:
        return catalogue.recalls(gtins)


def update(path: Path, *changes: Change) -> None:
    with Catalogue(path, KEY) as catalogue:
        now = catalogue.summary()
    head = UpdateHead(format=1, from_number=now.number, from_hash=now.hash, to_number=now.number + 1)
    source = path.with_name("update")
    source.write_bytes(b"".join(write_update(head, changes)))
    apply_update(path, KEY, source, EUR, ["A"])


def test_what_is_put_is_found_until_it_is_lifted(path: Path) -> None:
    recalls = ProductRecalls(path, KEY)
    with Catalogue(path, KEY) as till:  # one that is open all the time, as a till's is
        assert till.recalls((PENCIL, ALL.gtin)) == ()
        recalls.add(LOT)
        recalls.add(ALL)
        recalls.add(LOT)
        assert till.recalls((PENCIL, ALL.gtin)) == (LOT, ALL)
        assert till.recalls((PENCIL,)) == (LOT,)
        assert till.recalls(()) == ()
        assert recalls.list() == (LOT, ALL)
        assert recalls.lift("R-1") == 1
        assert recalls.lift("R-1") == 0
        assert till.recalls((PENCIL, ALL.gtin)) == (ALL,)


def test_an_import_forgets_none(path: Path) -> None:
    ProductRecalls(path, KEY).add(LOT)
    import_csv(path, KEY, path.with_name("goods.csv"), EUR, ["A"])
    assert found(path, PENCIL) == (LOT,)


def test_headquarters_recalls_and_lifts_by_updates(path: Path) -> None:
    update(
        path,
        Change(op="recall", id="R-1", gtin="4006381333931", lot="A17", reason="glass splinters", since="2026-11-20"),
        Change(op="recall", id="R-1", gtin="4006381333931", lot="A18", reason="glass splinters", since="2026-11-20"),
    )
    assert [one.lot for one in found(path, PENCIL)] == ["A17", "A18"]
    update(path, Change(op="lift-recall", id="R-1"))
    assert found(path, PENCIL) == ()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (Change(op="recall", id="R-1", gtin="4006381333932", reason="x"), "check digit"),
        (Change(op="recall", id="", gtin="4006381333931", reason="x"), "id"),
        (Change(op="recall", id="R-1", gtin="4006381333931"), "reason"),
        (Change(op="recall", id="R-1", gtin="4006381333931", reason="x", lot="A" * 21), "lot"),
        (Change(op="recall", id="R-1", gtin="4006381333931", reason="a\nb"), "reason"),
        (Change(op="recall", id="R-1", gtin="4006381333931", reason="x", since="yesterday"), "since"),
        (Change(op="recall", id="R-1", gtin="4006381333931", reason="call 4111111111111111"), "card"),
        (Change(op="recall", id="R-1", gtin="4006381333931", reason="x", price="1"), "recall has no price"),
        (Change(op="lift-recall", id="R-9"), "no recall 'R-9'"),
    ],
)
def test_an_update_with_a_wrong_recall_is_refused_whole(path: Path, change: Change, fault: str) -> None:
    with pytest.raises(CatalogueRefused, match=fault):
        update(path, Change(op="recall", id="R-1", gtin="4006381333931", reason="fine"), change)
    assert found(path, PENCIL) == ()
