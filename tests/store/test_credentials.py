"""PINs: none by default, weak ones refused, five tries, and a lock that neither a restart nor a clock opens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.credentials import (
    LOCK_MS,
    TRIES_MAX,
    Credentials,
    Denied,
    Granted,
    Locked,
    Moment,
    NotSet,
    PinRefused,
    Role,
)
from store.database import connect, read_database
from store.errors import JournalDamaged
from tests.store import older
from tests.store.journals import KEY

PEPPER = bytes(range(32))
PIN = "384751"
WRONG = "384752"
NOW = Moment(boot="b1", up_ms=5_000)


def later(ms: int, boot: str = NOW.boot) -> Moment:
    return Moment(boot=boot, up_ms=NOW.up_ms + ms)


def lock(credentials: Credentials) -> None:
    credentials.set_pin(Role.OWNER, PIN)
    for _ in range(TRIES_MAX):
        credentials.check(Role.OWNER, WRONG, NOW)


@pytest.fixture
def credentials(tmp_path: Path) -> Iterator[Credentials]:
    with Credentials(tmp_path / "credentials.db", KEY, PEPPER) as opened:
        yield opened


def test_there_is_no_default(credentials: Credentials) -> None:
    for role in Role:
        assert not credentials.is_set(role)
        assert credentials.check(role, "", NOW) == NotSet()
        assert credentials.check(role, "000000", NOW) == NotSet()


def test_the_right_pin_of_the_right_role(credentials: Credentials) -> None:
    credentials.set_pin(Role.OWNER, PIN)
    assert credentials.is_set(Role.OWNER)
    assert not credentials.is_set(Role.TECHNICIAN)
    assert credentials.check(Role.OWNER, PIN, NOW) == Granted()
    assert credentials.check(Role.OWNER, WRONG, NOW) == Denied(4)
    assert credentials.check(Role.TECHNICIAN, PIN, NOW) == NotSet()


def test_a_success_forgets_the_failures(credentials: Credentials) -> None:
    credentials.set_pin(Role.OWNER, PIN)
    for _ in range(3):
        assert [credentials.check(Role.OWNER, WRONG, NOW) for _ in range(2)] == [Denied(4), Denied(3)]
        assert credentials.check(Role.OWNER, PIN, NOW) == Granted()


def test_five_tries_then_30_minutes(credentials: Credentials) -> None:
    credentials.set_pin(Role.OWNER, PIN)
    answers = [credentials.check(Role.OWNER, WRONG, NOW) for _ in range(TRIES_MAX)]
    assert answers == [Denied(4), Denied(3), Denied(2), Denied(1), Locked(LOCK_MS)]
    assert LOCK_MS == 30 * 60 * 1000
    assert credentials.check(Role.OWNER, PIN, later(LOCK_MS - 1)) == Locked(1)
    assert credentials.check(Role.OWNER, WRONG, later(LOCK_MS)) == Denied(4)
    assert credentials.check(Role.OWNER, PIN, later(LOCK_MS)) == Granted()


def test_the_fifth_try_may_be_the_right_one(credentials: Credentials) -> None:
    credentials.set_pin(Role.OWNER, PIN)
    for _ in range(TRIES_MAX - 1):
        credentials.check(Role.OWNER, WRONG, NOW)
    assert credentials.check(Role.OWNER, PIN, NOW) == Granted()
    assert credentials.check(Role.OWNER, WRONG, NOW) == Denied(4)


def test_count_and_lock_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "credentials.db"
    answers = []
    for attempt in range(TRIES_MAX + 1):
        with Credentials(path, KEY, PEPPER) as credentials:
            if attempt == 0:
                credentials.set_pin(Role.TECHNICIAN, PIN)
            answers.append(credentials.check(Role.TECHNICIAN, WRONG, NOW))
    assert answers[-2:] == [Locked(LOCK_MS)] * 2


def test_the_try_is_counted_before_the_pin_is_looked_at(tmp_path: Path) -> None:
    """The power is cut in the middle of a check: here, the hash cannot be read at all."""
    path = tmp_path / "credentials.db"
    with Credentials(path, KEY, PEPPER) as credentials:
        credentials.set_pin(Role.OWNER, PIN)
        connection = connect(path, KEY)
        connection.execute("UPDATE pin SET hash = 'torn'")
        connection.close()
        for _ in range(2):
            with pytest.raises(JournalDamaged):
                credentials.check(Role.OWNER, PIN, NOW)
        reading = read_database(path, KEY)
        assert reading.execute("SELECT failures FROM pin").fetchone() == (2,)
        reading.close()


def test_a_start_anew_goes_on_with_what_was_left(credentials: Credentials) -> None:
    """However long the power was away, and however often: who waits elsewhere does not wait here."""
    lock(credentials)
    for boot in ("b2", "b3", "b4"):
        assert credentials.check(Role.OWNER, PIN, Moment(boot=boot, up_ms=LOCK_MS * 9)) == Locked(LOCK_MS)
    waited = Moment(boot="b4", up_ms=LOCK_MS * 9 + LOCK_MS // 2)
    assert credentials.check(Role.OWNER, PIN, waited) == Locked(LOCK_MS // 2)
    assert credentials.check(Role.OWNER, PIN, Moment(boot="b5", up_ms=1)) == Locked(LOCK_MS // 2)
    assert credentials.check(Role.OWNER, PIN, Moment(boot="b5", up_ms=LOCK_MS // 2)) == Locked(1)
    assert credentials.check(Role.OWNER, PIN, Moment(boot="b5", up_ms=LOCK_MS // 2 + 1)) == Granted()


def test_asking_all_the_while_makes_no_lock_longer(credentials: Credentials) -> None:
    lock(credentials)
    for passed_ms in range(0, LOCK_MS, 7_000):
        assert credentials.check(Role.OWNER, PIN, later(passed_ms)) == Locked(LOCK_MS - passed_ms)
    assert credentials.check(Role.OWNER, PIN, later(LOCK_MS)) == Granted()


def test_a_lock_of_the_software_before_holds_for_the_whole_while(tmp_path: Path) -> None:
    """It knew the time of day alone."""
    path = older.make("credentials", 1, tmp_path / "credentials.db")
    connection = connect(path, KEY)
    connection.execute("UPDATE pin SET failures = 5, locked_until_ms = 1700000000000")
    connection.close()
    with Credentials(path, KEY, older.PEPPER) as credentials:
        assert credentials.check(Role.OWNER, older.PIN, NOW) == Locked(LOCK_MS)
        assert credentials.check(Role.OWNER, older.PIN, later(LOCK_MS)) == Granted()


def test_a_new_pin_replaces_the_old_one_and_lifts_the_lock(credentials: Credentials) -> None:
    credentials.set_pin(Role.OWNER, PIN)
    for _ in range(TRIES_MAX):
        credentials.check(Role.OWNER, WRONG, NOW)
    credentials.set_pin(Role.OWNER, "739154")
    assert credentials.check(Role.OWNER, PIN, NOW) == Denied(4)
    assert credentials.check(Role.OWNER, "739154", NOW) == Granted()


@pytest.mark.parametrize(
    "pin",
    [
        "",
        "12345",
        "1234567890123",
        "0000",
        "000000",
        "123456",
        "654321",
        "890123",
        "121212",
        "123123",
        "12345a",
        "１２３８５１",
    ],
)
def test_weak_pins_are_refused(credentials: Credentials, pin: str) -> None:
    with pytest.raises(PinRefused):
        credentials.set_pin(Role.OWNER, pin)
    assert not credentials.is_set(Role.OWNER)


def test_the_database_alone_does_not_tell_the_pin(tmp_path: Path) -> None:
    """The same PIN under another pepper is another one: without the pepper there is nothing to try against."""
    path = tmp_path / "credentials.db"
    with Credentials(path, KEY, PEPPER) as credentials:
        credentials.set_pin(Role.OWNER, PIN)
    reading = read_database(path, KEY)
    (kept,) = reading.execute("SELECT hash FROM pin").fetchone()
    reading.close()
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    with Credentials(path, KEY, bytes(32)) as credentials:
        assert credentials.check(Role.OWNER, PIN, NOW) == Denied(4)
