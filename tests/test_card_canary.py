"""What looks for cards finds them, however they are written; and nothing where they are starred."""

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from core.card import holds_card, wipe
from store.database import connect, open_database
from store.keys import DATABASES, KeyFile
from tests.proofs.canary_places import places
from tests.proofs.card_canary import Searcher, make_cards

CARDS = make_cards(60, seed=7)
CARD = CARDS[0]


def found(data: bytes) -> set[str]:
    return set(Searcher(CARDS).find(data))


def test_each_card_is_one_to_the_product_too() -> None:
    for card in CARDS:
        assert holds_card(card.pan)
        assert wipe(card.track_1 + card.track_2).count("*") > 60


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text,
        lambda text: b" ".join(bytes([each]) for each in text),
        lambda text: text.decode().encode("utf-16-le"),
        lambda text: text.decode().encode("utf-16-be"),
        lambda text: text.hex().encode(),
        lambda text: b"abc" + text.hex().upper().encode(),
        base64.b64encode,
        lambda text: base64.urlsafe_b64encode(b"x" + text),
        lambda text: base64.b64encode(b"xy" + text)[3:],
        lambda text: b"more" + gzip.compress(text),
        lambda text: zlib.compress(text) + b"more",
        lambda text: b"more" + zstandard.compress(text) + b"more",
        lambda text: base64.b64encode(zstandard.compress(text.hex().encode())),
    ],
)
def test_a_track_is_found_however_it_is_written(write: Callable[[bytes], bytes]) -> None:
    kinds = " ".join(found(write(CARD.track_2.encode())))
    assert "a card's number" in kinds
    assert "a track" in kinds


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (bytes.fromhex(CARD.pan.ljust(18, "F")), "a card's number packed"),
        (bytes.fromhex("0" + CARD.pan.ljust(17, "F")), "a card's number packed"),
        ("-".join(CARD.pan[start : start + 4] for start in range(0, 16, 4)).encode(), "a card's number"),
        (CARD.pan[1:13].encode(), "a card's number"),
        (CARD.pin.encode(), "a PIN"),
        (CARD.pin_block.lower().encode(), "a PIN block"),
        (json.dumps({"cvv": CARD.cvv}).encode(), "a security code"),
        (f"CVC2 {CARD.cvv}".encode(), "a security code"),
        (CARD.name.encode("utf-16-le"), "a name"),
    ],
)
def test_each_kind_is_found(data: bytes, what: str) -> None:
    assert what in found(data)


def test_what_is_starred_or_somebody_elses_is_not_found() -> None:
    others = make_cards(60, seed=8)
    for card in CARDS:
        assert found(wipe(f"{card.pan} {card.track_1} {card.track_2}").encode()) == set()
    assert found("".join(card.track_2 for card in others).encode()) == set()


def test_what_was_deleted_is_found_on_the_free_pages_of_a_database(tmp_path: Path) -> None:
    """And what was written over in the database is found in its log."""
    keys = KeyFile(tmp_path / "journal.key").load_or_make([tmp_path / f"{name}.db" for name in DATABASES])
    path = tmp_path / "catalogue.db"
    open_database(path, keys.catalogue, "catalogue").close()
    connection = connect(path, keys.catalogue)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("CREATE TABLE leak (text TEXT)")
    connection.execute("INSERT INTO leak VALUES (?)", (CARD.pan + "-" * 9_000,))
    connection.execute("DELETE FROM leak")
    searcher = Searcher(CARDS)
    assert {name for name, data in places(tmp_path, keys) if searcher.find(data)} == {"pages of catalogue.db-wal"}
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    searcher = Searcher(CARDS)
    assert {name for name, data in places(tmp_path, keys) if searcher.find(data)} == {"pages of catalogue.db"}
