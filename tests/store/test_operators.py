"""Operators: no default, PINs counted and locked one by one, badges that nothing but the reader tells."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.permissions import Operator
from core.step import Badge
from store.credentials import LOCK_MS, TRIES_MAX, Credentials, Denied, Granted, Locked, Moment, NotSet, PinRefused
from store.database import read_database
from store.operators import OperatorRefused, Operators
from tests.store.journals import KEY

PEPPER = bytes(range(32))
NOW = Moment(boot="b1", up_ms=5_000)
TAG = "04a1b2c3d4e5f6"
OWNER = Operator(id="1", role="supervisor")
ANNA = Operator(id="17", role="cashier")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "credentials.db"


@pytest.fixture
def operators(path: Path) -> Iterator[Operators]:
    with Credentials(path, KEY, PEPPER) as credentials:
        made = Operators(credentials)
        made.claim("1", "384751", "Olga")
        made.add("17", "cashier", "4821", "Anna")
        yield made


def test_at_first_there_is_nobody(path: Path) -> None:
    with Credentials(path, KEY, PEPPER) as credentials:
        operators = Operators(credentials)
        assert not operators.has_supervisor()
        assert operators.rows(NOW) == []
        for id_ in ("", "1", "owner", "admin"):
            assert operators.check(id_, "000000", NOW) == (None, NotSet())


def test_the_first_supervisor_is_the_last_to_claim(operators: Operators) -> None:
    with pytest.raises(OperatorRefused, match="already-claimed"):
        operators.claim("2", "739154")
    assert operators.check("1", "384751", NOW) == (OWNER, Granted())


def test_each_has_his_own_pin_and_his_own_lock(operators: Operators) -> None:
    for left in (4, 3, 2, 1):
        assert operators.check("17", "4822", NOW) == (ANNA, Denied(left))
    assert operators.check("17", "4822", NOW) == (ANNA, Locked(LOCK_MS))
    assert operators.check("17", "4821", NOW) == (ANNA, Locked(LOCK_MS))
    assert operators.check("1", "384751", NOW) == (OWNER, Granted())
    assert [row.locked_ms for row in operators.rows(NOW)] == [0, LOCK_MS]
    operators.unlock("17")
    assert operators.check("17", "4821", NOW) == (ANNA, Granted())


def test_the_same_pin_of_two_is_kept_as_two(operators: Operators, path: Path) -> None:
    operators.add("18", "cashier", "4821")
    reading = read_database(path, KEY)
    hashes = reading.execute("SELECT hash FROM pin WHERE subject LIKE 'operator/1_'").fetchall()
    reading.close()
    assert len(set(hashes)) == 2
    assert all(hash_.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for (hash_,) in hashes)


def test_the_lock_outlives_a_restart(operators: Operators, path: Path) -> None:
    for _ in range(TRIES_MAX):
        operators.check("17", "0000", NOW)
    with Credentials(path, KEY, PEPPER) as again:
        assert Operators(again).check("17", "4821", Moment(boot="b2", up_ms=LOCK_MS * 9)) == (ANNA, Locked(LOCK_MS))


def test_a_badge_says_who_it_is(operators: Operators, path: Path) -> None:
    assert operators.show_badge(TAG, NOW) is None
    operators.set_badge("17", TAG)
    assert operators.show_badge(TAG, NOW) == Badge(operator=ANNA)
    assert operators.show_badge("04:A1:B2:C3:D4:E5:F6", NOW) == Badge(operator=ANNA)
    for _ in range(TRIES_MAX):
        operators.check("17", "0000", NOW)
    assert operators.show_badge(TAG, NOW) == Badge(operator=ANNA, locked_ms=LOCK_MS)
    with pytest.raises(OperatorRefused, match="badge-of-other"):
        operators.set_badge("1", TAG)
    reading = read_database(path, KEY)
    (kept,) = reading.execute("SELECT badge FROM operator WHERE id = '17'").fetchone()
    reading.close()
    assert bytes.fromhex(TAG) not in kept
    with Credentials(path, KEY, bytes(32)) as other:
        assert Operators(other).show_badge(TAG, NOW) is None


def test_who_was_removed_is_nobody_and_nobody_gets_his_id(operators: Operators) -> None:
    operators.set_badge("17", TAG)
    operators.remove("17")
    assert operators.find("17") is None
    assert operators.show_badge(TAG, NOW) is None
    assert operators.check("17", "4821", NOW) == (None, NotSet())
    assert [row.id for row in operators.rows(NOW)] == ["1"]
    with pytest.raises(OperatorRefused, match="operator-exists"):
        operators.add("17", "cashier", "4821")


def test_there_is_always_somebody_who_can_make_others(operators: Operators) -> None:
    with pytest.raises(OperatorRefused, match="last-supervisor"):
        operators.remove("1")
    with pytest.raises(OperatorRefused, match="last-supervisor"):
        operators.set_role("1", "cashier")
    operators.set_role("17", "supervisor", "739154")
    operators.set_role("1", "auditor")
    with pytest.raises(OperatorRefused, match="last-supervisor"):
        operators.remove("17")


def test_more_authority_takes_more_digits(operators: Operators) -> None:
    with pytest.raises(OperatorRefused, match="new-pin-needed"):
        operators.set_role("17", "supervisor")
    with pytest.raises(PinRefused):
        operators.set_role("17", "supervisor", "4821")
    with pytest.raises(PinRefused):
        operators.add("2", "technician", "4821")
    with pytest.raises(PinRefused):
        operators.set_pin("1", "4821")
    operators.set_pin("17", "5930")
    assert operators.check("17", "5930", NOW) == (ANNA, Granted())


@pytest.mark.parametrize(
    ("id_", "pin", "name", "fault"),
    [
        ("", "4821", "", "operator-id-not-valid"),
        ("0123456789012", "4821", "", "operator-id-not-valid"),
        ("a b", "4821", "", "operator-id-not-valid"),
        ("17", "4821", "", "operator-exists"),
        ("2", "4821", "x" * 61, "name-not-valid"),
        ("2", "4821", "a\nb", "name-not-valid"),
        ("2", "482", "", "4 to 12 digits"),
        ("2", "1234", "", "guessed first"),
        ("2", "4848", "", "guessed first"),
    ],
)
def test_what_cannot_be(operators: Operators, id_: str, pin: str, name: str, fault: str) -> None:
    with pytest.raises((OperatorRefused, PinRefused), match=fault):
        operators.add(id_, "cashier", pin, name)
    assert [row.id for row in operators.rows(NOW)] == ["1", "17"]


@pytest.mark.parametrize("change", ["remove", "unlock"])
def test_of_nobody_nothing_is_changed(operators: Operators, change: str) -> None:
    with pytest.raises(OperatorRefused, match="no-such-operator"):
        getattr(operators, change)("99")
