"""A catalogue that an older software made is opened with all its goods, and cut short at any call it is not lost."""

import shutil
import signal
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from store.catalogue import Catalogue
from store.database import connect
from store.errors import JournalNewer
from tests.shim.boundary import read_log
from tests.shim.boundary import run as run_over_shim
from tests.store.journals import KEY

NOON = "2026-11-24T12:00:00+01:00"
COUNT = 500
_OPEN = """
import sys
from pathlib import Path
from store.catalogue import Catalogue
Catalogue(Path(sys.argv[1]), bytes.fromhex(sys.argv[2])).close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue as the first schema alone has it, made the way the software of its time did."""
    folder = tmp_path / "shop"
    folder.mkdir()
    path = folder / "catalogue.db"
    path.touch()
    connection = connect(path, KEY)
    connection.execute("PRAGMA page_size = 4096")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript((files("store") / "schema" / "catalogue" / "0001_items.sql").read_text())
    connection.execute("PRAGMA user_version = 1")
    connection.executemany(
        "INSERT INTO item (gtin, name, unit, unit_price_minor, tax) VALUES (?, ?, ?, ?, ?)",
        [(f"{number:014d}", f"Thing {number}", "kg" if number % 9 else "each", number, "AB"[number % 2])
         for number in range(COUNT)],
    )  # fmt: skip
    connection.close()
    return path


def assert_migrated(path: Path) -> None:
    with Catalogue(path, KEY) as catalogue:
        for number in range(COUNT):
            item = catalogue.find(f"{number:014d}", NOON)
            assert item is not None
            assert (item.name, item.unit_price_minor, item.tax) == (f"Thing {number}", number, "AB"[number % 2])
            assert item.unit == ("kg" if number % 9 else "each")
        assert catalogue.count() == COUNT
        assert [name for _, name in catalogue.search("thing 77")] == ["Thing 77"]
        assert (catalogue.summary().number, catalogue.summary().items) == (0, COUNT)
        ask = catalogue._connection.execute
        assert ask("SELECT name FROM sqlite_schema WHERE name = 'item_1'").fetchall() == []
        assert ask("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_catalogue_of_the_first_schema(path: Path) -> None:
    assert_migrated(path)
    assert_migrated(path)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler for the shim")
def test_a_migration_that_is_cut_short(path: Path, tmp_path: Path) -> None:
    kept = path.read_bytes()
    command = [sys.executable, "-c", _OPEN, str(path), KEY.hex()]
    assert run_over_shim(command, path.parent, log=str(tmp_path / "calls")).returncode == 0
    count = len(read_log(tmp_path / "calls"))
    for at in range(1, count, max(1, count // 12)):
        for each in path.parent.iterdir():
            each.unlink()
        path.write_bytes(kept)
        ended = run_over_shim(command, path.parent, at=at, action="torn" if at % 2 else "before")
        assert ended.returncode == -signal.SIGKILL
        assert_migrated(path)


def test_a_catalogue_of_a_newer_software(path: Path) -> None:
    connection = connect(path, KEY)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalNewer):
        Catalogue(path, KEY)
