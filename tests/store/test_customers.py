"""Tags lead to references, and never back."""

from pathlib import Path

import pytest

from store.customers import Customers
from store.database import read_database
from tests.store.journals import KEY

PEPPER = bytes(32)
UID = "04a1b2c3d4e5f6"


def test_a_tag_keeps_its_reference(tmp_path: Path) -> None:
    with Customers(tmp_path / "customers.db", KEY, PEPPER) as customers:
        reference = customers.identify(UID)
        assert len(bytes.fromhex(reference)) == 16
        assert customers.identify(UID.upper()) == customers.identify("04:A1:B2:C3:D4:E5:F6") == reference
        assert customers.identify("04a1b2c3d4e5f7") != reference
    with Customers(tmp_path / "customers.db", KEY, PEPPER) as customers:
        assert customers.identify(UID) == reference


def test_references_are_random(tmp_path: Path) -> None:
    references = set()
    for name in ("a.db", "b.db"):
        with Customers(tmp_path / name, KEY, PEPPER) as customers:
            references.add(customers.identify(UID))
    assert len(references) == 2


def test_the_uid_is_kept_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "customers.db"
    with Customers(path, KEY, PEPPER) as customers:
        customers.identify(UID)
        connection = read_database(path, KEY)
        rows = repr(connection.execute("SELECT * FROM customer").fetchall())
        connection.close()
        assert UID not in rows
        assert repr(bytes.fromhex(UID))[2:-1] not in rows
        for file in tmp_path.iterdir():
            assert bytes.fromhex(UID) not in file.read_bytes()


def test_what_is_no_uid_is_refused(tmp_path: Path) -> None:
    with Customers(tmp_path / "customers.db", KEY, PEPPER) as customers:
        for uid in ("", "xyz", "04a"):
            with pytest.raises(ValueError, match="UID"):
                customers.identify(uid)
