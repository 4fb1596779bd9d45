"""What is late, missing, silent, contradictory or out of the ordinary is named, with its terminal and day; on both databases."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from hashlib import sha256
from zoneinfo import ZoneInfo

import msgspec
import pytest

from core.delivery import compose, encode
from core.entries import AnyEntry, EpochOpened, StoredValueLine, TaxTotal, TenderTotal, TransactionCompleted
from core.entries import encode as encode_entry
from core.ledger import GENESIS, ClockQuality, Envelope, Head, Record, Stream, seal
from fleet.cli import main
from fleet.intake import Arrival, commit
from fleet.quality import Asked, DayQuality, Quality, as_text, measure, only_faults
from fleet.store import Address, Server, Store, open_store
from tests.records import KEY, head_of, start_of

DAY = date(2026, 11, 20)
ZONE = ZoneInfo("Europe/Berlin")
SECOND_MS, MINUTE_MS, HOUR_MS = 1_000, 60_000, 3_600_000
OPENS_MS = int(datetime(2026, 11, 20, 8, 0, tzinfo=UTC).timestamp() * 1000)  # nine o'clock in Berlin
GIFT = StoredValueLine(line=2, amount_minor=2500, card="1234")
Made = tuple[int, TransactionCompleted, ClockQuality]


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=1)
    yield opened
    opened.close()


def sold(number: int, time_ms: int, total_minor: int = 500, **changes: object) -> Made:
    """A sale, its moment and its terminal's clock."""
    day = datetime.fromtimestamp(time_ms / 1000, ZONE).date().isoformat()
    clock = changes.pop("clock", ClockQuality.NTP)
    assert isinstance(clock, ClockQuality)
    taxes = (TaxTotal(code="A", rate_bp=0, included=True, gross_minor=total_minor, net_minor=total_minor, tax_minor=0),)
    sale = TransactionCompleted(
        number=number, business_day=day, currency="EUR", lines=1, total_minor=total_minor, change_minor=0, taxes=taxes,
        tenders=(TenderTotal(kind="CASH", amount_minor=total_minor),),
    )  # fmt: skip
    return time_ms, msgspec.structs.replace(sale, **changes), clock


def records_of(terminal: str, made: Sequence[Made]) -> list[Record]:
    opened = EpochOpened(terminal=terminal, reason="made", signing_key=KEY.public_key.hex())
    entries: list[tuple[int, AnyEntry, ClockQuality]] = [(made[0][0], opened, ClockQuality.NTP), *made]
    epoch, prev, records = sha256(terminal.encode()).hexdigest()[:32], GENESIS, []
    for seq, (time_ms, entry, clock) in enumerate(entries, 1):
        envelope = Envelope(
            version=1, epoch=epoch, seq=seq, stream=Stream.SALES, stream_seq=seq, stream_prev="", time_ms=time_ms,
            clock=clock, boot="0" * 16, mono_ms=seq, body=msgspec.Raw(encode_entry(entry)),
        )  # fmt: skip
        records.append(seal(envelope, prev))
        prev = records[-1].hash
    return records


def take(store: Store, terminal: str, records: Sequence[Record], now_ms: int, *, prev: Head | None = None) -> None:
    payload = encode(compose(terminal, prev or start_of(records), records, KEY.sign))
    intake = commit(store, [Arrival(terminal, payload)], [], [], now_ms)
    assert not intake.refusals


def asked(**changes: object) -> Asked:
    values: dict[str, object] = {"first": DAY, "last": DAY, "now_ms": OPENS_MS + 24 * HOUR_MS, **changes}
    return Asked(**values)  # type: ignore[arg-type]


def the_day(quality: Quality) -> DayQuality:
    (day,) = quality.days
    return day


def each(count: int, first: int = 1, **changes: object) -> list[Made]:
    """So many sales, one a minute from the opening on."""
    return [sold(number, OPENS_MS + number * MINUTE_MS, **changes) for number in range(first, first + count)]  # type: ignore[arg-type]


# --- in time -----------------------------------------------------------------------------------------------------


def test_the_time_from_sale_to_stored(store: Store) -> None:
    """A hundred sales; all but the last two come at once, those two an hour late."""
    records = records_of("till-1", each(100))
    for sale, record in enumerate(records[1:99], 1):
        prev = head_of(records[sale - 1]) if sale > 1 else None
        some = [record] if sale > 1 else records[:2]
        take(store, "till-1", some, OPENS_MS + sale * MINUTE_MS + 40 + sale % 2, prev=prev)
    take(store, "till-1", records[99:], OPENS_MS + 100 * MINUTE_MS + HOUR_MS, prev=head_of(records[98]))
    day = the_day(measure(store.address, asked()))
    assert (day.sales, day.delay_ms_p50, day.delay_ms_p99) == (100, 41, HOUR_MS)
    assert day.delay_ms_max == HOUR_MS + MINUTE_MS
    assert day.faults == ("late",)
    assert the_day(measure(store.address, asked(late_ms=HOUR_MS))).faults == ()


def test_sales_from_before_moments_were_noted_have_no_delay(store: Store) -> None:
    take(store, "till-1", records_of("till-1", each(3)), OPENS_MS + HOUR_MS)
    with store.transaction() as statements:
        statements.execute("UPDATE retail_transaction SET stored_ms = NULL")
    day = the_day(measure(store.address, asked()))
    assert (day.sales, day.delay_ms_p50, day.delay_ms_p99, day.faults) == (3, None, None, ())


# --- complete ----------------------------------------------------------------------------------------------------


def test_gaps_and_their_age(store: Store) -> None:
    records = records_of("till-1", each(30))
    take(store, "till-1", records[:5], OPENS_MS + HOUR_MS)
    take(store, "till-1", records[10:12], OPENS_MS + HOUR_MS, prev=head_of(records[9]))
    take(store, "till-1", records[13:], OPENS_MS + HOUR_MS, prev=head_of(records[12]))
    found = measure(store.address, asked(now_ms=OPENS_MS + HOUR_MS))
    assert [(gap.terminal, gap.first, gap.last, gap.records) for gap in found.gaps] == [
        ("till-1", 6, 10, 5), ("till-1", 13, 13, 1)
    ]  # fmt: skip
    assert [gap.age_s for gap in found.gaps] == [50 * 60, 47 * 60]
    assert "MISSING till-1: records 6 to 10" in as_text(found)
    assert not measure(store.address, asked(terminals=("till-2",))).gaps
    take(store, "till-1", records[5:13], OPENS_MS + HOUR_MS, prev=head_of(records[4]))
    assert not measure(store.address, asked()).gaps


@pytest.mark.parametrize(
    ("at_min", "expected"),
    [((0, 100, 200, 300, 400, 500, 540), 100), ((60, 90), 450), ((100, 110), 430), ((250,), 290), ((600,), 540)],
)
def test_the_longest_silence_in_opening_hours(store: Store, at_min: tuple[int, ...], expected: int) -> None:
    """Open for nine hours; what is sold before and after them breaks no silence."""
    made = [sold(number, OPENS_MS + minute * MINUTE_MS) for number, minute in enumerate(at_min, 1)]
    take(store, "till-1", records_of("till-1", made), OPENS_MS + 24 * HOUR_MS)
    hours = {"opens": time(9), "closes": time(18), "zone": ZONE}
    day = the_day(measure(store.address, asked(**hours, late_ms=48 * HOUR_MS)))
    assert day.silent_minutes == expected
    assert day.faults == ((f"silent for {expected} min",) if expected >= 120 else ())


def test_a_terminal_that_sold_before_is_missed_and_one_that_never_did_is_not(store: Store) -> None:
    before = [sold(1, OPENS_MS - 24 * HOUR_MS)]
    take(store, "till-1", records_of("till-1", before), OPENS_MS)
    take(store, "till-2", records_of("till-2", [sold(1, OPENS_MS - 60 * 24 * HOUR_MS)]), OPENS_MS)
    hours = {"opens": time(9), "closes": time(18), "zone": ZONE}
    day = the_day(measure(store.address, asked(**hours, now_ms=OPENS_MS + 3 * HOUR_MS)))
    assert (day.terminal, day.sales, day.silent_minutes) == ("till-1", 0, 180)
    assert not measure(store.address, asked(**hours, now_ms=OPENS_MS - HOUR_MS)).days, "not open yet"
    assert not measure(store.address, asked()).days, "nobody says when shops are open"


# --- accurate ----------------------------------------------------------------------------------------------------


def test_sales_that_do_not_come_to_their_parts(store: Store) -> None:
    made = [
        *each(3),
        sold(4, OPENS_MS + 4 * MINUTE_MS, tenders=(TenderTotal(kind="CASH", amount_minor=499),)),
        sold(5, OPENS_MS + 5 * MINUTE_MS, taxes=()),
        sold(6, OPENS_MS + 6 * MINUTE_MS, tenders=(TenderTotal(kind="CASH", amount_minor=502),), rounding_minor=2),
        sold(7, OPENS_MS + 7 * MINUTE_MS, total_minor=-500),
        sold(8, OPENS_MS + 7 * MINUTE_MS, tenders=(TenderTotal(kind="CASH", amount_minor=3000),), stored_value=(GIFT,)),
    ]
    take(store, "till-1", records_of("till-1", made), OPENS_MS + 8 * MINUTE_MS)
    day = the_day(measure(store.address, asked()))
    assert (day.disagreeing, day.faults) == (2, ("2 disagreeing",))


def test_clocks_that_are_ahead_or_cannot_be_relied_on(store: Store) -> None:
    made = [*each(3), sold(4, OPENS_MS + HOUR_MS), sold(5, OPENS_MS + 5 * MINUTE_MS, clock=ClockQuality.UNSYNCED)]
    take(store, "till-1", records_of("till-1", made), OPENS_MS + 6 * MINUTE_MS)
    day = the_day(measure(store.address, asked()))
    assert (day.ahead, day.clock_unsure) == (1, 1)
    assert day.faults == ("1 ahead of time", "1 by an unsure clock")


def test_a_sale_far_out_of_the_ordinary(store: Store) -> None:
    """Of what a terminal sold in the weeks before too; of too few sales nothing is said."""
    before = [sold(number, OPENS_MS - 24 * HOUR_MS + number * MINUTE_MS) for number in range(1, 31)]
    much = [sold(31, OPENS_MS + MINUTE_MS, 10_000), sold(32, OPENS_MS + MINUTE_MS, 10_001)]
    take(store, "till-1", records_of("till-1", before + much), OPENS_MS + 2 * MINUTE_MS)
    take(store, "till-2", records_of("till-2", [*before[:3], *much]), OPENS_MS + 2 * MINUTE_MS)
    one, two = measure(store.address, asked()).days
    assert (one.terminal, one.outliers, two.terminal, two.outliers) == ("till-1", 1, "till-2", 0)


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    late = [sold(1, OPENS_MS - 24 * HOUR_MS), sold(2, OPENS_MS + MINUTE_MS)]
    take(store, "till-1", records_of("till-1", late), OPENS_MS + MINUTE_MS)
    take(store, "till-2", records_of("till-2", [sold(1, OPENS_MS + MINUTE_MS)]), OPENS_MS + MINUTE_MS + SECOND_MS)
    url = store.address.url if isinstance(store.address, Server) else str(store.address)

    def told(*words: str) -> str:
        assert main(["quality", "--database", url, "--from", "2026-11-19", "--to", "2026-11-20", *words]) == 0
        return capsys.readouterr().out

    report = json.loads(told("--json"))
    assert [(day["terminal"], day["business_day"]) for day in report["days"]] == [
        ("till-1", "2026-11-19"), ("till-1", "2026-11-20"), ("till-2", "2026-11-20")
    ]  # fmt: skip
    assert report["days"][2]["delay_ms_p99"] == 1000
    assert told("--terminal", "till-2").count("till-2") == 1
    assert "till-1" not in told("--terminal", "till-2")
    assert told("--faults").splitlines()[1:] == ["till-1           2026-11-19      1     24 h     24 h       -  late"]
    assert "silent for" in told("--opening", "09:00-18:00", "--zone", "Europe/Berlin")
    assert only_faults(measure(store.address, asked())).days == ()
    assert main(["quality", "--database", url, "--from", "2026-11-20", "--to", "2026-11-19"]) == 2
    for wrong in (
        ("--from", "yesterday"),
        ("--opening", "18:00-09:00"),
        ("--zone", "Mars/Base"),
        ("--silent-minutes", "0"),
    ):
        with contextlib.suppress(SystemExit):
            main(["quality", "--database", url, *wrong])
            pytest.fail(f"{wrong} was taken")
