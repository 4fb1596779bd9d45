"""An import is whole or nothing: whatever the file is like, however it is cut short, and while the till sells."""

import csv
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.money import currency
from core.scan import check_digit
from store import catalogue_import
from store.catalogue import Catalogue, import_csv
from store.catalogue_staging import FAULTS_MAX
from store.database import connect
from store.errors import CatalogueRefused, JournalDamaged, JournalInUse, NotAJournal, WrongKey
from tests.shim.boundary import read_log
from tests.shim.boundary import run as run_over_shim
from tests.store.journals import KEY, OTHER_KEY

EUR = currency("EUR")
HEADER = "gtin,name,unit,price,tax\n"
NOON = "2026-11-24T12:00:00+01:00"
MANY = 5_000


def gtin(number: int) -> str:
    payload = f"40{number:010d}"
    return payload + check_digit(payload)


def write(source: Path, price: str, count: int = MANY) -> Path:
    """A file of `count` items, all at one price."""
    with source.open("w") as file:
        file.write(HEADER)
        file.writelines(f"{gtin(number * 7919 % count)},Item {number},each,{price},A\n" for number in range(count))
    return source


def take(path: Path, source: Path, key: bytes = KEY) -> catalogue_import.Imported:
    return import_csv(path, key, source, EUR, ["A"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue at 1.00."""
    take(tmp_path / "catalogue.db", write(tmp_path / "one.csv", "1.00"))
    return tmp_path / "catalogue.db"


def prices(path: Path) -> set[int]:
    """All prices that there are."""
    connection = connect(path, KEY)
    try:
        return {price for (price,) in connection.execute("SELECT DISTINCT price_minor FROM item")}
    finally:
        connection.close()


# --- files that are none -----------------------------------------------------------------------------------------


def refused(path: Path, text: str | bytes) -> CatalogueRefused:
    source = path.with_name("bad.csv")
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CatalogueRefused) as caught:
        take(path, source)
    assert not path.with_name("catalogue.db.import").exists()
    return caught.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gtin,name,unit,price\n", "line 1: the header lacks 'tax'"),
        ("gtin,name,unit,price,tax,colour\n", "line 1: the header has unknown columns 'colour'"),
        ("gtin,name,unit,price,tax,tax\n", "line 1: the header has twice 'tax'"),
        (HEADER + "4006381333931,a\n\n1,2,3\n", "line 2: there must be 5 columns, not 2"),
        (HEADER + '4006381333931,"a\nb",each,1,A\n', "line 2: the name is longer"),
        (HEADER + '4006381333931,a,each,1,A\n40170725,"b" c,each,1,A\n', "line 3: not CSV, and what follows"),
        (HEADER + '4006381333931,a,each,1,A\n40170725,"b,each,1,A\n' + "x,y,z,1,A\n" * 9, "line 3: not CSV"),
        (HEADER + '4006381333931,"' + "a" * 200_000 + '",each,1,A\n', "line 2: longer than 65536 bytes"),
        (HEADER + '4006381333931,"' + "a\n" * 100_000 + '",each,1,A\n', "line 2: not CSV, and what follows"),
        (HEADER.encode() + b"4006381333931,a,each,1,A\n40170725,caf\xe9,each,1,A\n", "line 3: byte 0xE9 is not UTF-8"),
        (HEADER + "4006381333931,a\x00b,each,1,A\n", "line 2: the name"),
        (b"\xff\xfeg\x00t\x00i\x00n\x00", "line 1: "),
        (b"\x00" * 70_000, "line 1: longer than"),
        (HEADER.replace("\n", "\r") + "4006381333931,a,each,1,A\r", "line 1: not CSV"),
    ],
)
def test_a_file_that_is_none(path: Path, text: str | bytes, words: str) -> None:
    assert refused(path, text).faults[0].startswith(words)
    assert prices(path) == {100}


def test_many_bad_lines_are_counted_and_the_first_are_named(path: Path) -> None:
    error = refused(path, HEADER + f"{gtin(1)},a,each,-1,A\n" * 5_000)
    assert error.count == 5_000
    assert len(error.faults) == FAULTS_MAX
    assert error.faults[0] == "line 2: price -1 is negative"
    assert str(error).endswith("and 4900 more")


def test_a_gtin_twice_far_apart(path: Path) -> None:
    source = write(path.with_name("bad.csv"), "2.00")
    with source.open("a") as file:
        file.write(f"{gtin(5)},again,each,1,A\n{gtin(6)},again,each,1,A\n")
    with pytest.raises(CatalogueRefused) as caught:
        take(path, source)
    with source.open() as file:
        lines = {row["gtin"]: line for line, row in enumerate(csv.DictReader(file), 2) if row["name"] != "again"}
    assert caught.value.faults == (
        f"line {MANY + 2}: 0{gtin(5)} stands in line {lines[gtin(5)]} already",
        f"line {MANY + 3}: 0{gtin(6)} stands in line {lines[gtin(6)]} already",
    )
    assert prices(path) == {100}


def test_a_folder_in_place_of_a_file(path: Path) -> None:
    with pytest.raises(CatalogueRefused, match="cannot be read"):
        take(path, path.parent)


# --- databases that are not ours ---------------------------------------------------------------------------------


def test_the_wrong_key(path: Path) -> None:
    with pytest.raises(WrongKey):
        take(path, path.with_name("one.csv"), OTHER_KEY)
    with pytest.raises(WrongKey):
        Catalogue(path, OTHER_KEY)
    assert prices(path) == {100}


def test_a_foreign_database(tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").write_bytes(b"SQLite format 3\0" + bytes(8176))
    before = (tmp_path / "catalogue.db").read_bytes()
    with pytest.raises(NotAJournal):
        take(tmp_path / "catalogue.db", write(tmp_path / "one.csv", "1.00", 10))
    assert (tmp_path / "catalogue.db").read_bytes() == before
    assert not (tmp_path / "catalogue.db.import").exists()


def test_a_torn_database(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size // 2 // 4096 * 4096)
    with pytest.raises(JournalDamaged):
        find_all(path)


def find_all(path: Path) -> None:
    with Catalogue(path, KEY) as catalogue:
        for number in range(MANY):
            catalogue.find("0" + gtin(number), NOON)


def test_two_imports_at_once(path: Path) -> None:
    with catalogue_import._aside(path, KEY), pytest.raises(JournalInUse, match="another import"):
        take(path, path.with_name("one.csv"))
    take(path, path.with_name("one.csv"))


# --- whole or nothing --------------------------------------------------------------------------------------------


def test_lookups_go_on_and_never_see_half(path: Path) -> None:
    """A till that looks up all the time, between imports of another price: each basket is of one price."""
    stop = threading.Event()
    seen: list[set[int]] = []
    slowest: list[float] = []

    def sell() -> None:
        with Catalogue(path, KEY) as catalogue:
            ask = catalogue._connection.execute
            while not stop.is_set():
                began = time.perf_counter()
                item = catalogue.find("0" + gtin(len(seen) % MANY), NOON)
                slowest.append(time.perf_counter() - began)
                assert item is not None
                # The whole of what a reader can see at this moment.
                found = ask("SELECT min(price_minor), max(price_minor), count(*) FROM item").fetchall()[0]
                assert found[2] == MANY
                seen.append(set(found[:2]))

    seller = threading.Thread(target=sell, name="seller")
    seller.start()
    try:
        for price in ("2.00", "3.00"):
            imported = take(path, write(path.with_name("next.csv"), price))
            assert imported.items == MANY
    finally:
        stop.set()
        seller.join()
    assert all(len(prices) == 1 for prices in seen)
    assert {100} in seen
    assert {200} in seen
    assert len(seen) > 20
    assert prices(path) == {300}


_IMPORT = """
import sys
from pathlib import Path
from core.money import currency
from store.catalogue_import import import_csv
import_csv(Path(sys.argv[1]), bytes.fromhex(sys.argv[3]), Path(sys.argv[2]), currency("EUR"), ["A"])
"""
FEW = 3_000
CUTS = 10
COMMITTED = 0.8
"""After so much of its calls an import is committed, and only copies its log over."""

needs_shim = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler for the shim")


def import_over_shim(path: Path, source: Path, **shim: str | int) -> subprocess.CompletedProcess[str]:
    """An import by a process whose calls to the catalogue's folder are numbered."""
    command = [sys.executable, "-c", _IMPORT, str(path), str(source), KEY.hex()]
    return run_over_shim(command, path.parent, **shim)


@pytest.fixture
def few(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A folder with a catalogue at 1.00 alone in it, and files outside with prices of 1.00 and 2.00."""
    (tmp_path / "shop").mkdir()
    old, new = write(tmp_path / "old.csv", "1.00", FEW), write(tmp_path / "new.csv", "2.00", FEW)
    take(tmp_path / "shop" / "catalogue.db", old)
    return tmp_path / "shop" / "catalogue.db", old, new


def assert_whole(path: Path) -> None:
    with Catalogue(path, KEY) as catalogue:
        assert catalogue.count() == FEW
        assert len(catalogue.search("Item")) == 200
        assert catalogue._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        catalogue._connection.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")


@needs_shim
def test_killed_at_any_call_the_old_one_stays_whole_or_the_new_one_is(few: tuple[Path, Path, Path]) -> None:
    path, old, new = few
    log = path.parent.parent / "calls"
    assert import_over_shim(path, new, log=str(log)).returncode == 0
    assert prices(path) == {200}
    count = len(read_log(log))
    cuts = [count * part // CUTS for part in range(1, CUTS)] + [count - 1, count]
    outcomes = []
    for at in cuts:
        take(path, old)
        assert import_over_shim(path, new, at=at, action="before").returncode == -signal.SIGKILL
        outcomes.append(prices(path))
        assert_whole(path)
    # It is one or the other, and the other from some call on for good.
    assert outcomes == [{100}] * outcomes.count({100}) + [{200}] * outcomes.count({200})
    assert len(outcomes) == len(cuts)
    assert {100} in outcomes
    assert {200} in outcomes
    # What a killed one left beside is no hindrance, and is gone after the next.
    take(path, old)
    assert [each.name for each in path.parent.iterdir()] == ["catalogue.db"]


@needs_shim
@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.95])
def test_no_room_left_is_said_and_changes_nothing(few: tuple[Path, Path, Path], part: float) -> None:
    path, _, new = few
    log = path.parent.parent / "calls"
    assert import_over_shim(path, new, log=str(log)).returncode == 0
    at = int(part * len(read_log(log)))
    take(path, few[1])
    ended = import_over_shim(path, new, at=at, action=errno.ENOSPC, last=1, kinds="pwrite,write")
    if part < COMMITTED:
        assert ended.returncode == 1
        assert "JournalNoSpace" in ended.stderr
    assert prices(path) == ({100} if part < COMMITTED else {200})
    assert_whole(path)
    assert take(path, new).items == FEW


def test_the_log_gives_its_room_back(path: Path) -> None:
    with Catalogue(path, KEY) as catalogue:
        assert catalogue.find("0" + gtin(1), NOON) is not None
        take(path, write(path.with_name("next.csv"), "2.00"))
        assert path.with_name("catalogue.db-wal").stat().st_size == 0
        item = catalogue.find("0" + gtin(1), NOON)
        assert item is not None
        assert item.unit_price_minor == 200


# --- versions ----------------------------------------------------------------------------------------------------


def test_versions_count_up_and_may_be_given(path: Path) -> None:
    source = path.with_name("one.csv")
    assert take(path, source).number == 2
    assert import_csv(path, KEY, source, EUR, ["A"], number=41).number == 41
    assert take(path, source).number == 42
    assert import_csv(path, KEY, source, EUR, ["A"], number=7).number == 7
    with Catalogue(path, KEY) as catalogue:
        summary = catalogue.summary()
    assert (summary.number, summary.kind, summary.items) == (7, "whole", MANY)
