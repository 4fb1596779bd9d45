"""A till's day against a book that is kept on one sheet: cash, totals, numbers; and the same day folded twice."""

from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core import effects as x
from core import entries as e
from core import events as v
from core.fold import apply
from core.sale import allowed, read, step
from core.state import Idle, Till
from core.step import Facts, ItemWanted, Step
from core.takings import Row, Takings, Tally, TaxRow, less
from core.till import Books, expected_minor
from core.till_report import net_minor
from tests.core.transcript import CATALOGUE, SHOP, TODAY, Player

GOODS = {"4006381333931": 129, "96385074": 1290}
DAYS = tuple(f"2026-{month:02d}-{day:02d}" for month in (11, 12) for day in range(20, 30))
MOVES = {"loan": 1, "paid-in": 1, "pickup": -1, "paid-out": -1, "deposit": -1}
SESSIONS = msgspec.structs.replace(SHOP, till_sessions=True)


class TillMachine(RuleBasedStateMachine):
    """The sheet knows cash in the drawer, what was sold since the opening, and what was ever sold; it knows no fold."""

    def __init__(self) -> None:
        super().__init__()
        self.till = Till()
        self.replayed = Till()
        self.kept: list[bytes] = []
        self.day = 0
        self.cash_minor = self.sold_minor = self.ever_minor = 0
        self.sales = self.zs = self.voids = self.no_sales = 0
        self.opened = self.counting = False
        self.card_minor = 0
        self.told_minor = 0

    def take(self, event: v.AnyEvent) -> Step:
        question = read(SESSIONS, self.till, event, DAYS[self.day])
        facts = Facts(
            business_day=DAYS[self.day],
            local_time=f"{DAYS[self.day]}T14:03:00+01:00",
            question=question,
            item=CATALOGUE.get(question.reading.gtin) if isinstance(question, ItemWanted) else None,
        )
        tag = str(event.__struct_config__.tag)
        takes, _ = allowed(SESSIONS, self.till)
        taken = step(SESSIONS, self.till, event, facts)
        if tag.endswith("_keyed") and tag not in takes:
            assert taken.refused, tag
        for entry in taken.entries:
            self.till = apply(self.till, entry)
            self.kept.append(e.encode(entry))
            self.replayed = apply(self.replayed, e.decode(self.kept[-1]))
        if taken.refused:
            assert taken.notice is not None
            assert not taken.effects
        return taken

    # --- the counter -----------------------------------------------------------------------------------------------

    @rule(float_minor=st.integers(-5, 50_000))
    def open(self, float_minor: int) -> None:
        taken = self.take(v.TillOpenKeyed(float_minor=float_minor))
        if taken.notice is not None and taken.notice.id == "day-closed":
            self.sleep()
        if not taken.refused:
            assert not self.opened
            assert float_minor >= 0
            self.opened, self.cash_minor, self.sold_minor, self.sales = True, float_minor, 0, 0

    @rule(code=st.sampled_from(sorted(GOODS)), by_card=st.booleans(), more_minor=st.integers(0, 3_000))
    def sell(self, code: str, by_card: bool, more_minor: int) -> None:
        if self.take(v.CodeKeyed(data=code)).refused:
            assert not self.opened or self.counting or self.is_late
            return
        assert self.opened
        price_minor = GOODS[code]
        if by_card:
            (asked,) = self.take(v.CardKeyed()).effects
            assert isinstance(asked, x.RequestPayment)
            self.take(v.PaymentAnswered(reference=asked.reference, amount_minor=price_minor, poi_transaction="P"))
            self.card_minor += price_minor
        else:
            self.take(v.CashKeyed(amount_minor=price_minor + more_minor))
            self.cash_minor += price_minor
        assert isinstance(self.till.sale, Idle)
        self.sold_minor += price_minor
        self.sales += 1

    @rule(code=st.sampled_from(sorted(GOODS)), part_minor=st.integers(0, 100))
    def give_up(self, code: str, part_minor: int) -> None:
        if self.take(v.CodeKeyed(data=code)).refused:
            return
        if part_minor:
            self.take(v.CashKeyed(amount_minor=part_minor))
        assert self.take(v.CountBegunKeyed()).refused
        assert self.take(v.TillCloseKeyed()).refused
        self.take(v.CancelKeyed())

    @rule(move=st.sampled_from(sorted(MOVES)), amount_minor=st.integers(-5, 5_000))
    def move(self, move: str, amount_minor: int) -> None:
        event = msgspec.convert(
            {"type": "cash_move_keyed", "move": move, "amount_minor": amount_minor, "reason": "change"}, v.CashMoveKeyed
        )
        if not self.take(event).refused:
            assert self.opened
            assert not self.counting
            assert amount_minor > 0
            self.cash_minor += MOVES[move] * amount_minor

    @rule()
    def no_sale(self) -> None:
        self.take(v.DrawerKeyed(reason="coins"))

    @rule()
    def sleep(self) -> None:
        self.day = min(self.day + 1, len(DAYS) - 1)

    # --- counting and closing ----------------------------------------------------------------------------------------

    @rule(off_minor=st.integers(-200, 200), give_up=st.booleans(), answered=st.booleans())
    def count(self, off_minor: int, give_up: bool, answered: bool) -> None:
        counted_minor = max(self.cash_minor + off_minor, 0)
        taken = self.take(v.CountKeyed(amount_minor=counted_minor))
        if taken.refused:
            assert not self.opened
            return
        told = msgspec.json.encode((taken.notice, taken.effects))
        assert b"expected" not in told
        assert b"over" not in told
        self.counting = True
        for effect in taken.effects:
            assert isinstance(effect, x.ReconcilePayments)
            assert net_minor(effect.ours) == self.card_minor - self.told_minor
            if not answered:
                self.take(v.PaymentsTotalled(session=effect.session, ours=effect.ours, fault="device-gone"))
                continue
            self.told_minor = self.card_minor
            self.take(v.PaymentsTotalled(session=effect.session, ours=effect.ours, theirs=effect.ours))
        if give_up:
            assert not self.take(v.CountGivenUpKeyed()).refused
            self.counting = False

    @rule(end_day=st.booleans())
    def close(self, end_day: bool) -> None:
        session = self.till.books.session
        taken = self.take(v.TillCloseKeyed(end_day=end_day))
        if taken.refused:
            assert not self.counting
            return
        assert self.counting
        assert session is not None
        settled, z = taken.entries
        assert isinstance(settled, e.TillSettled)
        assert isinstance(z, e.ZReported)
        assert settled.expected_minor == self.cash_minor
        assert settled.over_short_minor == settled.counted_minor - self.cash_minor
        self.zs += 1
        self.ever_minor += self.sold_minor
        assert z.number == self.zs
        assert z.report.takings.sales.count == self.sales
        assert z.report.takings.sales.amount_minor == self.sold_minor
        assert sum(row.amount_minor for row in z.report.takings.tenders) == self.sold_minor
        assert sum(row.gross_minor for row in z.report.takings.taxes) == self.sold_minor
        assert z.report.shift.amount_minor == self.sold_minor
        assert z.report.perpetual.amount_minor == self.ever_minor
        assert z.report.perpetual.amount_minor >= z.report.year.amount_minor >= z.report.month.amount_minor
        assert z.report.month.amount_minor >= z.report.day.amount_minor >= z.report.shift.amount_minor
        self.opened = self.counting = False

    @precondition(lambda self: self.opened)
    @rule()
    def look(self) -> None:
        before = self.till
        taken = self.take(v.XReportKeyed())
        assert taken.refused is self.counting
        assert self.till == before

    # --- what always holds -------------------------------------------------------------------------------------------

    @property
    def is_late(self) -> bool:
        session = self.till.books.session
        return session is not None and session.business_day < DAYS[self.day]

    @invariant()
    def the_sheet_is_right(self) -> None:
        session = self.till.books.session
        if self.opened:
            assert session is not None
            assert expected_minor(session) == self.cash_minor

    @invariant()
    def a_replay_is_the_same(self) -> None:
        assert self.replayed == self.till

    def teardown(self) -> None:
        """From a checkpoint at any point, the rest of the journal leads to the same till."""
        middle = len(self.kept) // 2
        till = Till()
        for index, body in enumerate(self.kept):
            if index == middle:
                till = msgspec.json.decode(msgspec.json.encode(till), type=Till)
            till = apply(till, e.decode(body))
        assert till == self.till


TestTill = TillMachine.TestCase
TestTill.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)


# --- what no random walk says plainly ------------------------------------------------------------------------------


def test_a_session_begins_by_itself_where_nobody_opens_one() -> None:
    player = Player()
    player.take(v.CodeKeyed(data="96385074"))
    player.take(v.CashKeyed())
    session = player.till.books.session
    assert session is not None
    assert session.itself
    assert (session.business_day, expected_minor(session)) == (TODAY, 1290)


def test_what_is_done_while_the_till_is_closed_is_of_the_next_session() -> None:
    player = Player(shop=SESSIONS)
    player.take(v.DrawerKeyed(reason="to look"))
    player.take(v.TillOpenKeyed(float_minor=5))
    session = player.till.books.session
    assert session is not None
    assert (session.itself, session.takings.no_sales, session.float_minor) == (False, 1, 5)


@pytest.mark.parametrize(
    ("local_time", "day"),
    [
        ("2026-11-24T23:59:59+01:00", "2026-11-24"),
        ("2026-11-25T00:00:00+01:00", "2026-11-24"),
        ("2026-11-25T03:59:59+01:00", "2026-11-24"),
        ("2026-11-25T04:00:00+01:00", "2026-11-25"),
        ("2026-03-01T01:00:00+01:00", "2026-02-28"),
    ],
)
def test_the_night_belongs_to_the_day_before(local_time: str, day: str) -> None:
    player = Player(shop=msgspec.structs.replace(SESSIONS, day_end_hour=4), now=local_time)
    (opened,) = player.take(v.TillOpenKeyed()).entries
    assert isinstance(opened, e.TillOpened)
    assert opened.business_day == day


def test_an_old_checkpoint_has_empty_books() -> None:
    """A till of the software before is taken up as it is."""
    old = msgspec.to_builtins(Till(next_number=7))
    del old["books"]
    assert msgspec.convert(old, Till).books == Books()


def test_grand_totals_begin_anew_with_each_period_and_the_perpetual_never() -> None:
    player = Player(shop=SESSIONS)
    told = []
    for day in ("2026-12-30", "2026-12-31", "2027-01-01"):
        player.now = f"{day}T10:00:00+01:00"
        player.take(v.TillOpenKeyed())
        player.take(v.CodeKeyed(data="96385074"))
        player.take(v.CashKeyed())
        player.take(v.CountKeyed(amount_minor=1290))
        z = player.take(v.TillCloseKeyed()).entries[-1]
        assert isinstance(z, e.ZReported)
        told.append(
            [total.amount_minor // 1290 for total in (z.report.day, z.report.month, z.report.year, z.report.perpetual)]
        )
    assert told == [[1, 1, 1, 1], [1, 2, 2, 2], [1, 1, 1, 3]]


def _sell(player: Player, *, voided: bool = False) -> None:
    player.take(v.CodeKeyed(data="4006381333931"))
    player.take(v.CodeKeyed(data="96385074"))
    if voided:
        player.take(v.VoidKeyed())
    player.take(v.CashKeyed())


def _closed(player: Player) -> e.ZReported:
    player.take(v.CountKeyed(amount_minor=0))
    z = player.take(v.TillCloseKeyed(end_day=False)).entries[-1]
    assert isinstance(z, e.ZReported)
    return z


def test_after_a_restore_numbers_and_totals_go_on_from_what_came_back_and_nothing_counts_twice() -> None:
    elsewhere = Player(shop=SESSIONS)
    elsewhere.take(v.TillOpenKeyed(float_minor=5))
    _sell(elsewhere, voided=True)
    elsewhere.take(v.CashMoveKeyed(move="loan", amount_minor=7))
    restored = Player(shop=SESSIONS, kept=list(elsewhere.kept))
    _sell(elsewhere)
    z = _closed(elsewhere)

    opened = e.EpochOpened(terminal="till-3", reason=e.RESTORED, signing_key="", previous_epoch="ab", previous_seq=9)
    restored.kept.append(opened)
    _sell(restored)
    restored.kept.append(e.RecordsReturned(epoch="ab", first=10, last=20, head="", number=2, z=z))
    session = restored.till.books.session
    assert session is not None
    assert (session.number, session.takings.sales.count, session.takings.voided.count) == (2, 1, 0)
    assert session.takings.sales.amount_minor == 1419
    assert session.takings.moves == ()
    after = _closed(restored)
    assert after.number == z.number + 1
    assert after.report.perpetual.amount_minor == 129 + 1419 + 1419
    assert after.report.perpetual.count == 3


def test_after_a_restore_without_a_report_the_session_goes_on() -> None:
    player = Player(shop=SESSIONS)
    player.take(v.TillOpenKeyed(float_minor=5))
    _sell(player)
    player.kept.append(e.EpochOpened(terminal="till-3", reason=e.RESTORED, signing_key="", previous_epoch="ab"))
    player.kept.append(e.RecordsReturned(epoch="ab", first=10, last=9, head=""))
    _sell(player)
    z = _closed(player)
    assert (z.number, z.report.takings.sales.count, z.report.expected_minor) == (1, 2, 5 + 2 * 1419)


def test_a_number_of_a_parked_sale_by_hand_is_taken() -> None:
    player = Player()
    player.take(v.PaperSaleKeyed(paper="A 17", written=TODAY))
    player.take(v.CodeKeyed(data="96385074"))
    player.take(v.SuspendKeyed(label="by hand"))
    taken = player.take(v.PaperSaleKeyed(paper="A 17", written=TODAY))
    assert taken.notice is not None
    assert taken.notice.id == "paper-entered"


def test_what_was_told_before_is_taken_off_in_every_field() -> None:
    rows = {"taxes": (TaxRow(code="A", rate_bp=1900, gross_minor=119, net_minor=100, tax_minor=19),)}
    values: dict[str, Any] = {
        field.name: Tally(count=2, amount_minor=5)
        if field.type is Tally
        else 3
        if field.type is int
        else rows.get(field.name, (Row(kind="CASH", count=2, amount_minor=5),))
        for field in msgspec.structs.fields(Takings)
    }
    taken = Takings(**values)
    assert less(taken, taken) == Takings()
    assert less(taken, Takings()) == taken
