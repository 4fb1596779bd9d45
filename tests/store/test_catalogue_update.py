"""An update is applied on top of its own version alone, whole or not at all, and only once."""

import errno
import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import zstandard

from core.catalogue import Change, UpdateHead, write_update
from core.money import currency
from store.catalogue import Catalogue, import_csv
from store.catalogue_stock import Place, SoldStock
from store.catalogue_update import BYTES_MAX, apply_update
from store.errors import CatalogueRefused, CatalogueUpdateTorn, CatalogueVersionOther, NotAJournal, WrongKey
from tests.shim.boundary import read_log
from tests.shim.boundary import run as run_over_shim
from tests.store.journals import KEY, OTHER_KEY

EUR = currency("EUR")
NOON = "2026-11-24T12:00:00+01:00"
PENCIL, COLA, CRATE = "04006381333931", "00000040170725", "10012345678902"
GOODS = (
    "gtin,name,unit,price,tax,item,pack,valid_from,valid_to,stock\n"
    "4006381333931,Pencil,each,1.20,B,,,,,10\n"
    "4006381333931,,,0.99,,,,2026-11-20,2026-11-30,\n"
    "40170725,Cola,each,1.00,A,,,,,24\n"
    "10012345678902,,,,,40170725,12,,,\n"
)

State = tuple[tuple[object, ...], ...]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "goods.csv").write_text(GOODS)
    (tmp_path / "shop").mkdir()
    import_csv(tmp_path / "shop" / "catalogue.db", KEY, tmp_path / "goods.csv", EUR, ["A", "B"])
    return tmp_path / "shop" / "catalogue.db"


def state(path: Path) -> State:
    """All that is in a catalogue."""
    with Catalogue(path, KEY) as catalogue:
        ask = catalogue._connection.execute
        ask("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
        tables = ("* FROM item", "* FROM barcode", "* FROM price", "item, quantity_milli FROM stock")
        versions = ask("SELECT number, hash, kind FROM version ORDER BY 1").fetchall()
        return (*(tuple(ask(f"SELECT {table} ORDER BY 1, 2").fetchall()) for table in tables), tuple(versions))


def head_for(path: Path, to_number: int | None = None) -> UpdateHead:
    with Catalogue(path, KEY) as catalogue:
        summary = catalogue.summary()
    return UpdateHead(
        format=1, from_number=summary.number, from_hash=summary.hash, to_number=to_number or summary.number + 1
    )


def written(path: Path, *changes: Change, head: UpdateHead | None = None) -> Path:
    """An update for the catalogue as it is."""
    source = path.parent.parent / "update"
    source.write_bytes(b"".join(write_update(head or head_for(path), changes)))
    return source


def apply(path: Path, source: Path, key: bytes = KEY) -> tuple[int, bool]:
    applied = apply_update(path, key, source, EUR, ["A", "B"])
    return applied.number, applied.already


def put(gtin: str, **fields: str) -> Change:
    return msgspec.convert({"op": "put", "gtin": gtin, **fields}, Change)


PRICE = put("4006381333931", name="Pencil HB", unit="each", price="1.30", tax="B")
CHANGES = (
    PRICE,
    put("96385074", name="Ink", unit="each", price="4.00", tax="A", stock="5"),
    put("036000291452", item="96385074", pack="2", price="7.50"),
    put("96385074", price="3.50", valid_from="2026-12-01"),
    Change(op="stock", gtin="40170725", stock="31"),
    Change(op="drop", gtin="10012345678902"),
    Change(op="drop", gtin="4006381333931", valid_from="2026-11-20", valid_to="2026-11-30"),
)


@pytest.mark.parametrize("packed", [False, True])
def test_an_update(path: Path, packed: bool) -> None:
    source = written(path, *CHANGES)
    if packed:
        source.write_bytes(zstandard.compress(source.read_bytes()))
    with Catalogue(path, KEY) as till:
        assert apply(path, source) == (2, False)
        pencil, ink, pair = (till.find(gtin, NOON) for gtin in (PENCIL, "00000096385074", "00036000291452"))
        later = till.find("00000096385074", "2026-12-24T12:00")
        assert till.find(CRATE, NOON) is None
        assert (till.on_hand(PENCIL), till.on_hand(COLA), till.on_hand("00000096385074")) == (10_000, 31_000, 5_000)
        assert [name for _, name in till.search("pencil hb")] == ["Pencil HB"]
        assert [name for _, name in till.search("ink")] == ["Ink"]
        assert (till.summary().number, till.summary().kind) == (2, "update")
    assert pencil is not None
    assert (pencil.name, pencil.unit_price_minor) == ("Pencil HB", 130)
    assert ink is not None
    assert later is not None
    assert (ink.unit_price_minor, later.unit_price_minor) == (400, 350)
    assert pair is not None
    assert (pair.name, pair.unit_price_minor, pair.contains) == ("2 × Ink", 750, 2)
    state(path)


def test_the_same_twice_is_harmless(path: Path) -> None:
    source = written(path, *CHANGES)
    apply(path, source)
    SoldStock(path, KEY).keep(Place("epoch", 7), {PENCIL: 3_000})
    after = state(path)
    assert apply(path, source) == (2, True)
    assert state(path) == after
    with Catalogue(path, KEY) as catalogue:
        assert catalogue.on_hand(PENCIL) == 7_000
    long_since = path.parent.parent / "long-since"
    long_since.write_bytes(source.read_bytes())
    assert apply(path, written(path, PRICE)) == (3, False)
    assert apply(path, long_since) == (2, True)
    assert state(path)[-1][-1][:1] == (3,)  # type: ignore[index]  # a row


def test_updates_in_their_order_alone(path: Path) -> None:
    first = written(path, PRICE).read_bytes()
    source = path.parent.parent / "later"
    head = UpdateHead(format=1, from_number=2, from_hash="0" * 64, to_number=3)
    source.write_bytes(b"".join(write_update(head, [PRICE])))
    before = state(path)
    with pytest.raises(CatalogueVersionOther, match=r"from version 2 \(000000000000\) to 3, and .* has version 1 \("):
        apply(path, source)
    assert state(path) == before
    (path.parent.parent / "update").write_bytes(first)
    assert apply(path, path.parent.parent / "update") == (2, False)
    with pytest.raises(CatalogueVersionOther):  # the number fits, and what it was made for is another
        apply(path, source)
    import_csv(path, KEY, path.parent.parent / "goods.csv", EUR, ["A", "B"], number=1)
    assert apply(path, path.parent.parent / "update") == (2, False)  # a whole catalogue leads back


def test_an_update_may_leave_numbers_out_and_never_goes_back(path: Path) -> None:
    assert apply(path, written(path, PRICE, head=head_for(path, 9))) == (9, False)
    with pytest.raises(CatalogueVersionOther):
        apply(path, written(path, PRICE, head=head_for(path, 8)))


def test_an_update_begins_an_empty_catalogue(tmp_path: Path) -> None:
    source = tmp_path / "update"
    head = UpdateHead(format=1, from_number=0, from_hash="", to_number=1)
    source.write_bytes(b"".join(write_update(head, [PRICE])))
    assert apply(tmp_path / "catalogue.db", source) == (1, False)


# --- torn and altered --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_torn_anywhere(path: Path, packed: bool) -> None:
    source = written(path, *CHANGES)
    whole = zstandard.compress(source.read_bytes()) if packed else source.read_bytes()
    before = state(path)
    for size in range(0, len(whole) - 1, 7):
        source.write_bytes(whole[:size])
        with pytest.raises(CatalogueUpdateTorn, match="update cannot be applied: "):
            apply(path, source)
    assert state(path) == before


def test_altered_anywhere(path: Path) -> None:
    source = written(path, *CHANGES)
    whole = source.read_bytes()
    before = state(path)
    for place in range(0, len(whole), 5):
        altered = bytearray(whole)
        altered[place] ^= 1
        source.write_bytes(altered)
        with pytest.raises(CatalogueUpdateTorn):
            apply(path, source)
    lines = whole.splitlines(keepends=True)
    for others in ([lines[0], *lines[2:]], [lines[0], lines[2], lines[1], *lines[3:]], [*lines[:3], *lines[2:]]):
        source.write_bytes(b"".join(others))
        with pytest.raises(CatalogueUpdateTorn):
            apply(path, source)
    assert state(path) == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"hello\n",
        b"{}\n",
        bytes(100),
        zstandard.compress(b"hello"),
        zstandard.compress(b"x" * (1 << 20)),
        zstandard.compress(b"x\n" * (BYTES_MAX // 2 + 2)),
        b'{"lines":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}\n',
    ],
)
def test_a_file_that_is_none(path: Path, content: bytes) -> None:
    (path.parent.parent / "update").write_bytes(content)
    with pytest.raises(CatalogueUpdateTorn):
        apply(path, path.parent.parent / "update")


def test_another_format(path: Path) -> None:
    head = UpdateHead(format=2, from_number=1, from_hash="", to_number=2)
    with pytest.raises(CatalogueUpdateTorn, match="has format 2, and this software reads 1"):
        apply(path, written(path, PRICE, head=head))


# --- wrong in itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ([PRICE, put("40170725", price="x")], ["line 3: the name is empty; unit '' is none of"]),
        ([put("96385074", name="a", unit="each", price="1", tax="Z")], ["line 2: tax 'Z' is none of A, B"]),
        ([Change(op="drop", gtin="96385074")], ["line 2: there is no 00000096385074"]),
        ([Change(op="drop", gtin="40170725", list="x")], ["line 2: there is no such price of 00000040170725"]),
        ([Change(op="drop", gtin="40170725", name="x")], ["line 2: drop has no name"]),
        ([Change(op="stock", gtin="96385074", stock="1")], ["line 2: there is no item 00000096385074"]),
        ([Change(op="stock", gtin="40170725", stock="-1")], ["line 2: stock '-1' is not a quantity"]),
        ([Change(op="stock", gtin="40170725", stock="1", price="1")], ["line 2: stock has no price"]),
        ([Change(op="stock", gtin="4017072", stock="1")], ["line 2: '4017072' is no GTIN"]),
        ([PRICE, put("10012345678902", name="a", unit="each", price="1", tax="A")], ["line 3: 10012345678902 is an"]),
        ([put("40170725", item="4006381333931")], ["line 2: 00000040170725 is an item itself"]),
        ([put("96385074", item="036000291452")], ["line 2: there is no item 00036000291452"]),
        (
            [put("40170725", name="Cola", unit="kg", price="1", tax="A")],
            ["line 2: 00000040170725 is not sold by the piece"],
        ),
        ([put("4006381333931", price="1", valid_from="2026-11-25")], ["line 2: this price of 04006381333931 overlaps"]),
        ([put("96385074", price="1", list="x")], ["line 2: there is no item 00000096385074"]),
        (
            [put("1", price="1", list="x"), PRICE, Change(op="drop", gtin="2")],
            ["line 2: '1' is no GTIN", "line 4: '2' is no GTIN"],
        ),
    ],
)
def test_a_change_that_is_wrong(path: Path, changes: Sequence[Change], faults: Sequence[str]) -> None:
    before = state(path)
    with pytest.raises(CatalogueRefused) as caught:
        apply(path, written(path, *changes))
    assert len(caught.value.faults) == len(faults)
    for fault, words in zip(caught.value.faults, faults, strict=True):
        assert fault.startswith(words)
    assert state(path) == before


def test_a_line_that_is_no_change(path: Path) -> None:
    source = path.parent.parent / "update"
    lines = [
        b'{"op":"put","gtin":7}\n',
        b'{"op":"sell","gtin":"1"}\n',
        b'{"op":"put","gtin":"1","colour":"x"}\n',
        b"x\n",
    ]
    body = msgspec.json.encode(head_for(path)) + b"\n" + b"".join(lines)
    end = {"lines": len(lines), "sha256": hashlib.sha256(body).hexdigest()}
    source.write_bytes(body + msgspec.json.encode(end) + b"\n")
    with pytest.raises(CatalogueRefused) as caught:
        apply(path, source)
    assert [fault[:19] for fault in caught.value.faults] == [f"line {line}: not a chang" for line in (2, 3, 4, 5)]


def test_dropping_an_item_takes_all_of_it(path: Path) -> None:
    apply(path, written(path, Change(op="drop", gtin="40170725"), Change(op="drop", gtin="4006381333931")))
    items, barcodes, prices, stock, _ = state(path)
    assert (items, barcodes, prices, stock) == ((), (), (), ())


def test_databases_that_are_not_ours(path: Path, tmp_path: Path) -> None:
    source = written(path, PRICE)
    with pytest.raises(WrongKey):
        apply(path, source, OTHER_KEY)
    (tmp_path / "catalogue.db").write_text("something else")
    with pytest.raises(NotAJournal):
        apply(tmp_path / "catalogue.db", source)


# --- cut short ---------------------------------------------------------------------------------------------------

_APPLY = """
import sys
from pathlib import Path
from core.money import currency
from store.catalogue_update import apply_update
apply_update(Path(sys.argv[1]), bytes.fromhex(sys.argv[3]), Path(sys.argv[2]), currency("EUR"), ["A", "B"])
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler for the shim")
def test_killed_or_out_of_room_at_any_call(path: Path, tmp_path: Path) -> None:
    source = written(path, *CHANGES)
    kept = path.read_bytes()
    old = state(path)

    def run(**shim: str | int) -> subprocess.CompletedProcess[str]:
        for each in path.parent.iterdir():
            each.unlink()
        path.write_bytes(kept)
        command = [sys.executable, "-c", _APPLY, str(path), str(source), KEY.hex()]
        return run_over_shim(command, path.parent, **shim)

    assert run(log=str(tmp_path / "calls")).returncode == 0
    new = state(path)
    count = len(read_log(tmp_path / "calls"))
    outcomes = []
    for at in range(1, count + 1, max(1, count // 10)):
        assert run(at=at, action="torn" if at % 2 else "before").returncode in (-signal.SIGKILL, 0)
        outcomes.append(state(path))
        assert apply(path, source) == (2, outcomes[-1] == new)
        assert run(at=at, action=errno.ENOSPC, last=1).returncode in (0, 1)
        assert state(path) in (old, new)
    assert all(outcome in (old, new) for outcome in outcomes)
    assert old in outcomes
