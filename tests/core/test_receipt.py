"""The receipt: whatever was sold and however it was paid, the paper tells it to the cent."""

import re

from hypothesis import given
from hypothesis import strategies as st

from core import events as v
from core.document import Cut, Document, Text
from core.fold import apply
from core.receipt import compose
from core.sale import read, step
from core.state import Completed, Till
from core.step import Facts, ItemWanted
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY, lines_of

CODES = ("4006381333931", "036000291452", "96385074", "4008400404127", "2112345002347")
BASKETS = st.lists(st.tuples(st.sampled_from(CODES), st.booleans()), min_size=1, max_size=12)
_AMOUNT = re.compile(r"(-?[\d,]+\.\d\d)$")


def _sold(basket: list[tuple[str, bool]], note_minor: int) -> Completed:
    till = Till()
    for event in _events(basket, note_minor):
        question = read(SHOP, till, event, TODAY)
        item = CATALOGUE.get(question.reading.gtin) if isinstance(question, ItemWanted) else None
        facts = Facts(business_day=TODAY, local_time=NOW, question=question, item=item)
        for entry in step(SHOP, till, event, facts).entries:
            till = apply(till, entry)
    assert till.last is not None
    assert till.last.completed is not None
    return till.last.completed


def _events(basket: list[tuple[str, bool]], note_minor: int) -> list[v.AnyEvent]:
    events: list[v.AnyEvent] = []
    for code, voided in basket:
        events.append(v.Scanned(device="scanner", data=code))
        if voided:
            events.append(v.VoidKeyed())
    events.append(v.Scanned(device="scanner", data=CODES[0]))  # something is sold in any case
    return [*events, v.CashKeyed(amount_minor=note_minor)]


def _amount_minor(line: str) -> int:
    found = _AMOUNT.search(line)
    assert found is not None, line
    return int(found[1].replace(",", "").replace(".", ""))


def _printed(document: Document) -> list[str]:
    return list(lines_of(document))


@given(BASKETS, st.integers(100_000, 900_000))
def test_the_paper_tells_it_to_the_cent(basket: list[tuple[str, bool]], note_minor: int) -> None:
    completed = _sold(basket, note_minor)
    lines = _printed(compose(SHOP, completed, copy=0, doubtful=False))
    rules = [at for at, line in enumerate(lines) if set(line) == {"-"}]
    goods_minor = sum(_amount_minor(line) for line in lines[rules[0] + 1 : rules[1]] if _AMOUNT.search(line))
    paid = {line.split()[0]: _amount_minor(line) for line in lines[rules[1] + 1 : rules[2]]}
    assert goods_minor == paid["TOTAL"] == completed.sale.total_minor
    assert paid["Cash"] - paid["Change"] == paid["TOTAL"]


@given(BASKETS)
def test_nothing_runs_over_the_paper(basket: list[tuple[str, bool]]) -> None:
    document = compose(SHOP, _sold(basket, 500_000), copy=0, doubtful=False)
    assert all(len(line) <= 42 for line in _printed(document))
    assert document.elements[-1] == Cut()


@given(BASKETS, st.integers(0, 30), st.booleans())
def test_only_the_first_paper_is_unmarked(basket: list[tuple[str, bool]], copy: int, doubtful: bool) -> None:
    document = compose(SHOP, _sold(basket, 500_000), copy=copy, doubtful=doubtful)
    marks = [line.left for line in document.elements if isinstance(line, Text) and "COPY" in line.left]
    if copy:
        assert marks == [f"*** COPY {copy} ***"]
    else:
        assert marks == (["*** MAY BE A COPY ***"] if doubtful else [])


def test_what_was_voided_is_not_on_the_paper() -> None:
    lines = "\n".join(_printed(compose(SHOP, _sold([("96385074", True)], 500_000), copy=0, doubtful=False)))
    assert "Espresso" not in lines
