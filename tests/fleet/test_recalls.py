"""A lot off sale everywhere: who has it, who lacks it, who comes later; on both databases."""

import contextlib
import json
from pathlib import Path

import pytest

from fleet import answers, recalls
from fleet.audit import listed as audited
from fleet.cli import main
from fleet.database import Database
from fleet.dispatch import OrderUnfit
from fleet.operators import RoleNeeded
from fleet.recalls import RecallUnknown, standing
from fleet.registry import put, retire
from fleet.store import Store
from tests.fleet.test_dispatch import KEY, MAX, NOW_MS, SUE, publish, say, store

__all__ = ["store"]
GLASS = {"id": "glass", "gtin": "4006381333931", "lot": "L7", "reason": "glass splinters"}


def lacking(store: Store, id_: str = "glass") -> list[tuple[str, str]]:
    (found,) = standing(store.address, id_)
    return [(each.terminal, each.state) for each in found.lacking]


def test_who_has_it_and_who_lacks_it(store: Store) -> None:
    recalls.start(store, KEY, MAX, GLASS, "supplier called", NOW_MS)
    one, two, three = publish(store)
    assert (one.params, one.not_after_ms) == (GLASS, NOW_MS + recalls.VALID_MS)
    assert lacking(store) == [(f"till-{n}", "published") for n in (1, 2, 3)]
    say(store, one, "successful", now_ms=NOW_MS + 3_000)
    say(store, two, "successful", now_ms=NOW_MS + 61_000)
    say(store, three, "failed", code="recall-not-valid")
    (found,) = standing(store.address)
    assert (found.have, found.within_minute, found.within_ms) == (2, 1, 61_000)
    assert [(each.terminal, each.state, each.code) for each in found.lacking] == [
        ("till-3", "failed", "recall-not-valid")
    ]
    text = "\n".join(recalls.as_text(found))
    assert "2 of 3 terminals have it, 1 within a minute, the slowest after 61.0 s; 1 have not" in text


def test_those_who_failed_are_told_again(store: Store) -> None:
    recalls.start(store, KEY, MAX, GLASS, "", NOW_MS)
    for order, state in zip(publish(store), ("successful", "failed", "rejected"), strict=True):
        say(store, order, state)
    recalls.again(store, KEY, MAX, "glass", NOW_MS + 1)
    orders = publish(store, NOW_MS + 1)
    assert [order.terminal for order in orders] == ["till-2", "till-3"]
    for order in orders:
        say(store, order, "successful", now_ms=NOW_MS + 2)
    assert lacking(store) == []
    with pytest.raises(RecallUnknown, match="every terminal has"):
        recalls.again(store, KEY, MAX, "glass", NOW_MS + 3)


def test_a_terminal_that_comes_later_is_told_of_each_by_itself(store: Store) -> None:
    recalls.start(store, KEY, MAX, GLASS, "", NOW_MS)
    for order in publish(store):
        say(store, order, "successful")
    with store.transaction() as statements:
        put(statements, "till-4", NOW_MS)
    recalls.start(store, KEY, MAX, GLASS | {"id": "milk", "gtin": "7617027851234"}, "", NOW_MS)
    assert lacking(store) == [("till-4", "not told")]
    publish(store)
    answers.sweep(store, KEY, NOW_MS + 1)
    (order,) = publish(store, NOW_MS + 1)
    assert (order.terminal, order.params["id"], order.issuer) == ("till-4", "glass", "max")
    reached = [entry for entry in audited(store.address) if entry.action == "recall-reach"]
    assert [entry.terminals for entry in reached] == [("till-4",)]
    say(store, order, "successful")
    answers.sweep(store, KEY, NOW_MS + 2)
    assert (lacking(store), publish(store, NOW_MS + 2)) == ([], [])


def test_a_retired_terminal_lacks_nothing(store: Store) -> None:
    recalls.start(store, KEY, MAX, GLASS, "", NOW_MS)
    publish(store)
    with store.transaction() as statements:
        retire(statements, "till-3", NOW_MS)
    assert lacking(store) == [("till-1", "published"), ("till-2", "published")]


def test_a_lifted_one_stands_no_more_and_may_come_back(store: Store) -> None:
    recalls.start(store, KEY, MAX, GLASS, "", NOW_MS)
    publish(store)
    with pytest.raises(RecallUnknown, match="stands already"):
        recalls.start(store, KEY, MAX, GLASS, "", NOW_MS)
    recalls.lift(store, KEY, MAX, "glass", "it was the label", NOW_MS)
    assert [order.order for order in publish(store)] == ["lift-recall"] * 3
    assert standing(store.address) == []
    with store.transaction() as statements:
        put(statements, "till-4", NOW_MS)
    answers.sweep(store, KEY, NOW_MS)
    assert publish(store) == []
    with pytest.raises(RecallUnknown, match="no recall 'glass' stands"):
        recalls.again(store, KEY, MAX, "glass", NOW_MS)
    with pytest.raises(RecallUnknown, match="no recall 'glass' stands"):
        recalls.lift(store, KEY, MAX, "glass", "", NOW_MS)
    recalls.start(store, KEY, MAX, GLASS, "", NOW_MS)
    assert len(lacking(store)) == 4


def test_who_may_and_what_is_no_recall(store: Store) -> None:
    with pytest.raises(RoleNeeded):
        recalls.start(store, KEY, SUE, GLASS, "", NOW_MS)
    for wrong in ({"gtin": "no"}, {"lot": "x" * 21}, {"reason": ""}, {"id": "4111111111111111"}):
        with pytest.raises(OrderUnfit):
            recalls.start(store, KEY, MAX, GLASS | wrong, "", NOW_MS)
    assert standing(store.address) == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hq.db"
    with contextlib.closing(Database.open(path, now_ms=1)) as store:
        with store.transaction() as statements:
            put(statements, "till-1", NOW_MS)
        assert main(["recall", "status", "--database", str(path)]) == 0
        assert capsys.readouterr().out == "nothing is recalled\n"
        recalls.start(store, KEY, MAX, GLASS, "", NOW_MS)
        assert main(["recall", "status", "--json", "--database", str(path)]) == 1
        (found,) = json.loads(capsys.readouterr().out)
        assert (found["id"], found["lacking"][0]["terminal"]) == ("glass", "till-1")
        (order,) = publish(store)
        say(store, order, "successful", now_ms=NOW_MS + 900)
        assert main(["recall", "status", "glass", "--database", str(path)]) == 0
        assert "1 of 1 terminals have it, 1 within a minute, the slowest after 0.9 s" in capsys.readouterr().out
        assert main(["recall", "status", "milk", "--database", str(path)]) == 1
        assert "recall-unknown: no recall 'milk' stands" in capsys.readouterr().err
