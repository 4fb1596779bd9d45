"""Recalled goods as a shop meets them: put off sale by a command while the till runs, and while a basket is open."""

import asyncio
import json

import pytest

from core import entries as e
from terminald.cli import main
from tests.countertop import DOUBLE_READ_S, Countertop

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOT = b"]d20103033490004743" + b"10A17"
OTHER = b"]d20103033490004743" + b"10B18"


def recall(counter: Countertop, *arguments: str) -> int:
    return main(["recall", *arguments, "--config", str(counter.layout.config)])


async def test_a_lot_is_refused_and_so_is_an_open_basket(
    counter: Countertop, capsys: pytest.CaptureFixture[str]
) -> None:
    await counter.ring_up(LOT)
    assert recall(counter, "add", "3033490004743", "--lot", "A17", "--id", "R-1", "--reason", "splinters") == 0
    capsys.readouterr()
    assert await counter.refusal("sale.cash") == "recalled-in-basket"
    await asyncio.sleep(DOUBLE_READ_S)
    counter.bench.scanner.scan(LOT)
    told = await counter.notice("item-recalled")
    assert (told["why"], told["recall"]) == ("splinters", "R-1")
    await counter.ring_up(OTHER)
    assert recall(counter, "list", "--json") == 0
    assert [one["lot"] for one in json.loads(capsys.readouterr().out)["recalls"]] == ["A17"]
    assert recall(counter, "lift", "R-1") == 0
    assert recall(counter, "lift", "R-1") == 1
    await counter.ring_up(LOT)
    kept = [entry for entry in counter.records() if isinstance(entry, e.ItemRefused | e.ItemAdded)]
    assert [(type(entry).__name__, entry.lot) for entry in kept] == [
        ("ItemAdded", "A17"),
        ("ItemRefused", "A17"),
        ("ItemRefused", "A17"),
        ("ItemAdded", "B18"),
        ("ItemAdded", "A17"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "1234", "--id", "R", "--reason", "x"), "no GTIN"),
        (("add", "3033490004743", "--id", " ", "--reason", "x"), "id"),
        (("add", "3033490004743", "--id", "R", "--reason", "x", "--since", "tomorrow"), "since"),
    ],
)
async def test_a_recall_that_makes_no_sense_is_refused(
    counter: Countertop, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert recall(counter, *arguments) == 2
    assert said in capsys.readouterr().err
    assert recall(counter, "list") == 0
    assert capsys.readouterr().out == "nothing is recalled\n"


async def test_a_card_number_for_a_recalls_name_is_not_repeated(
    counter: Countertop, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ((), ("--json",)):
        assert recall(counter, "lift", "4111111111111111", *more) == 1
        assert "4111" not in "".join(capsys.readouterr())
