"""Every schema from every earlier version: all that was there is there, whatever stopped it on the way.

The versions are those that `store/schema` has numbers for: a new script is tested by being there.
"""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from store.database import Schema, connect, open_database
from store.errors import JournalNewer
from tests.proofs.registry import CannotRun
from tests.shim.boundary import Call, read_log
from tests.shim.disk import Disk
from tests.shim.migrator import KILLED, REFUSED, Migrator
from tests.shim.trace import read_trace
from tests.store import older
from tests.store.journals import KEY

IMAGES = 60
FULL_AT_MOST = 40

EVERY = [(schema, version) for schema in older.SCHEMAS for version in range(1, older.versions(schema) + 1)]
EARLIER = [(schema, version) for schema, version in EVERY if version < older.versions(schema)]

RUNS_TWICE = {("catalogue", 4)}
"""From where only a script is run that does no harm a second time: its new table takes the old one's place and name."""

every = pytest.mark.parametrize(("schema", "version"), EVERY)
earlier = pytest.mark.parametrize(("schema", "version"), EARLIER)


@pytest.fixture(scope="module")
def migrator() -> Iterator[Migrator]:
    try:
        with Migrator() as migrator:
            yield migrator
    except CannotRun as error:
        pytest.skip(str(error))


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a file system: some hundred databases are made."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def test_every_schema_has_its_older_databases() -> None:
    assert set(older.FIRST) == set(older.SCHEMAS)
    assert {"journal", "catalogue"} <= {schema for schema, _ in EARLIER}


@every
def test_it_is_opened_with_all_that_was_in_it(folder: Path, schema: Schema, version: int) -> None:
    path = older.make(schema, version, folder / f"{schema}.db")
    assert older.FIRST[schema].seems(path) == ""
    assert older.is_sound(path)
    assert older.FIRST[schema].seems(path) == "", "and again"


@every
def test_it_becomes_what_a_new_one_is(folder: Path, schema: Schema, version: int) -> None:
    path = older.make(schema, version, folder / f"{schema}.db")
    open_database(path, KEY, schema).close()
    open_database(folder / "new.db", KEY, schema).close()
    assert older.shape(path) == older.shape(folder / "new.db")


@pytest.mark.parametrize("schema", older.SCHEMAS)
def test_one_of_a_newer_software_is_left_alone(folder: Path, schema: Schema) -> None:
    path = older.make(schema, older.versions(schema), folder / f"{schema}.db")
    connection = connect(path, KEY)
    connection.execute(f"PRAGMA user_version = {older.versions(schema) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(JournalNewer) as caught:
        older.FIRST[schema].seems(path)
    assert "Update" in caught.value.remedy
    assert path.read_bytes() == before


@earlier
def test_killed_at_every_call(folder: Path, schema: Schema, version: int, migrator: Migrator) -> None:
    start = _start(folder, schema, version)
    calls = _calls(folder, start, schema, migrator)
    assert len(calls) > 10
    for call in calls:
        for action in ("before", "torn" if call.writes else "after"):
            path = _again(folder, start)
            assert migrator.open(path, KEY, schema, at=call.number, action=action) == KILLED
            _assert_whole(path, schema, f"killed {action} {call}")


@earlier
def test_a_power_cut_at_any_moment(folder: Path, schema: Schema, version: int, migrator: Migrator) -> None:
    """What was not flushed may be lost, torn, or there in any order."""
    start = _start(folder, schema, version)
    path = _again(folder, start)
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    assert migrator.open(path, KEY, schema, trace=str(folder / "trace")) == 0
    events = read_trace(folder / "trace", path.parent)
    random = Random(version)
    cuts = sorted(random.randrange(len(events) + 1) for _ in range(IMAGES))
    disk, taken = Disk(before), 0
    for cut in cuts:
        for event in events[taken:cut]:
            disk.take(event)
        taken = max(taken, cut)
        _lay_out(path.parent, disk.image(random))
        _assert_whole(path, schema, f"power cut after {cut} of {len(events)} calls")


@earlier
def test_a_full_disk_at_any_call(folder: Path, schema: Schema, version: int, migrator: Migrator) -> None:
    """It is said as what it is, and with room again all is there."""
    start = _start(folder, schema, version)
    calls = [call for call in _calls(folder, start, schema, migrator) if call.writes][:FULL_AT_MOST]
    refused = 0
    for call in calls:
        path = _again(folder, start)
        ended = migrator.open(path, KEY, schema, at=call.number, action=errno.ENOSPC, last=1)
        assert ended in (0, REFUSED), call
        refused += ended == REFUSED
        _assert_whole(path, schema, f"no room from {call} on")
    assert refused


@pytest.mark.parametrize(("schema", "version"), [one for one in EARLIER if one not in RUNS_TWICE])
def test_a_migration_that_is_not_one_transaction_is_caught(
    folder: Path, schema: Schema, version: int, migrator: Migrator
) -> None:
    """The tests above can fail: a script whose number is written apart from it is found by the kill in between."""
    start = _start(folder, schema, version)
    path = _again(folder, start)
    open_database(path, KEY, schema).close()
    connection = connect(path, KEY)
    connection.execute(f"PRAGMA user_version = {version}")  # as if killed between the script and its number
    connection.close()
    with pytest.raises(Exception, match=r"already exists|duplicate column|no such"):
        older.FIRST[schema].seems(path)


def _start(folder: Path, schema: Schema, version: int) -> Path:
    start = folder / "start"
    start.mkdir()
    older.make(schema, version, start / f"{schema}.db")
    return start


def _again(folder: Path, start: Path) -> Path:
    """A fresh copy of the older database; its path."""
    terminal = folder / "terminal"
    shutil.rmtree(terminal, ignore_errors=True)
    shutil.copytree(start, terminal)
    (path,) = terminal.glob("*.db")
    return path


def _calls(folder: Path, start: Path, schema: Schema, migrator: Migrator) -> list[Call]:
    assert migrator.open(_again(folder, start), KEY, schema, log=str(folder / "calls")) == 0
    return read_log(folder / "calls")


def _lay_out(folder: Path, image: dict[str, bytes]) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)


def _assert_whole(path: Path, schema: Schema, when: str) -> None:
    assert older.FIRST[schema].seems(path) == "", when
    assert older.shape(path)[0] == older.versions(schema), when
