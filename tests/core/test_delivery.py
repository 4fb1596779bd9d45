"""Batches prove themselves, and whatever is wrong with one has its own name."""

import os

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from core.delivery import (
    BATCH_BYTES_MAX,
    BATCH_DECODED_BYTES_MAX,
    BATCH_RECORDS_MAX,
    Ack,
    AckForged,
    AckUnreadable,
    Batch,
    BatchError,
    BatchMisaddressed,
    BatchOverlong,
    BatchTorn,
    ChainBroken,
    ControlTotal,
    RecordUnreadable,
    SignatureWrong,
    TotalsWrong,
    check,
    compose,
    cut,
    decode,
    encode,
    encode_ack,
    open_ack,
    wiped,
)
from core.ledger import GENESIS, Head, Record, link
from tests.records import KEY, TERMINAL, chain, completed, follow, head_of, sales, start_of
from tests.tills import make_key

RECORDS = chain([*sales(20), completed(21, 500, kind="CREDIT"), completed(22, 700, currency="SEK")])
BATCH = compose(TERMINAL, start_of(RECORDS), RECORDS, KEY.sign)
PAYLOAD = encode(BATCH)


def pack(*lines: bytes) -> bytes:
    return zstandard.compress(b"\n".join((*lines, b"")))


def resealed(batch: Batch, **changes: object) -> bytes:
    """A batch whose own terminal says something wrong in its header."""
    return encode(structs.replace(batch, header=structs.replace(batch.header, **changes)).sealed(KEY.sign))


def test_a_batch_carries_the_exact_bytes() -> None:
    verified = check(decode(PAYLOAD), TERMINAL, KEY.public_key)
    assert list(verified.records) == RECORDS
    assert verified.opened is not None
    assert [(item.sale.number, item.sale.total_minor) for item in verified.completed][-2:] == [(21, 500), (22, 700)]


def test_the_header_carries_the_control_totals_of_each_currency_and_tender() -> None:
    assert BATCH.header.totals == (
        ControlTotal(currency="EUR", tender="CASH", count=20, amount_minor=210),
        ControlTotal(currency="EUR", tender="CREDIT", count=1, amount_minor=500),
        ControlTotal(currency="SEK", tender="CASH", count=1, amount_minor=700),
    )


def test_the_first_line_is_the_header_and_the_rest_are_the_records() -> None:
    lines = zstandard.decompress(PAYLOAD).split(b"\n")
    assert msgspec.json.decode(lines[0])["last_hash"] == RECORDS[-1].hash.hex()
    assert lines[1:-1] == [record.exact for record in RECORDS]


def test_the_same_records_make_the_same_payload() -> None:
    assert encode(compose(TERMINAL, start_of(RECORDS), RECORDS, KEY.sign)) == PAYLOAD


@given(st.integers(min_value=0, max_value=len(PAYLOAD) - 1))
def test_a_torn_batch_is_named(length: int) -> None:
    with pytest.raises(BatchTorn):
        decode(PAYLOAD[:length])


@given(st.integers(min_value=0, max_value=len(PAYLOAD) - 1), st.integers(min_value=1, max_value=255))
def test_a_flipped_byte_is_never_taken(place: int, flip: int) -> None:
    damaged = bytearray(PAYLOAD)
    damaged[place] ^= flip
    try:
        taken: object = list(check(decode(bytes(damaged)), TERMINAL, KEY.public_key).records)
    except BatchError as error:
        taken = error.proven
    assert taken in (False, RECORDS)  # zstd has a few bits without meaning


@given(st.binary(max_size=200))
def test_noise_is_no_batch(noise: bytes) -> None:
    with pytest.raises(BatchTorn):
        decode(noise)


def test_a_batch_that_would_fill_the_memory_is_not_unpacked() -> None:
    with pytest.raises(BatchOverlong):
        decode(zstandard.compress(bytes(BATCH_DECODED_BYTES_MAX + 1)))


def test_a_batch_that_does_not_say_its_size_is_not_unpacked() -> None:
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))
    with pytest.raises(BatchTorn):
        decode(hidden)


def test_a_header_whose_fields_run_into_each_other_is_torn() -> None:
    header = BATCH.header
    moved = structs.replace(header, signature=header.signature + header.seal[:1], seal=header.seal[1:])
    with pytest.raises(BatchTorn):
        decode(pack(msgspec.json.encode(moved), *BATCH.lines))


def test_missing_lines_are_named_with_the_header() -> None:
    lines = zstandard.decompress(PAYLOAD).split(b"\n")[:-1]
    with pytest.raises(BatchTorn) as caught:
        decode(pack(*lines[:-1]))
    assert caught.value.header == BATCH.header


def test_another_terminals_batch_is_misaddressed() -> None:
    with pytest.raises(BatchMisaddressed):
        check(BATCH, "till-4", KEY.public_key)


def test_another_key_is_named() -> None:
    with pytest.raises(SignatureWrong):
        check(BATCH, TERMINAL, make_key(4).public_key)


@pytest.mark.parametrize(
    "change", [{"totals": ()}, {"acked_seq": 7}, {"first": 2, "last": 44}, {"prev_hash": "11" * 32}]
)
def test_a_header_that_was_altered_on_its_way_is_not_proven(change: dict[str, object]) -> None:
    header = structs.replace(BATCH.header, **change)
    altered = structs.replace(BATCH, header=header, head_line=msgspec.json.encode(header))
    with pytest.raises(SignatureWrong) as caught:
        check(decode(encode(altered)), TERMINAL, KEY.public_key)
    assert not caught.value.proven


def test_an_altered_record_breaks_the_chain() -> None:
    lines = list(BATCH.lines)
    lines[5] = lines[5].replace(b'"amount_minor":3', b'"amount_minor":1')
    assert lines[5] != BATCH.lines[5]
    with pytest.raises(ChainBroken):
        check(structs.replace(BATCH, lines=tuple(lines)), TERMINAL, KEY.public_key)


def test_two_records_in_each_others_place_break_the_chain() -> None:
    lines = list(BATCH.lines)
    lines[3], lines[4] = lines[4], lines[3]
    with pytest.raises(ChainBroken):
        check(structs.replace(BATCH, lines=tuple(lines)), TERMINAL, KEY.public_key)


def test_wrong_totals_under_the_terminals_seal_are_proven() -> None:
    total = structs.replace(BATCH.header.totals[0], amount_minor=211)
    with pytest.raises(TotalsWrong) as caught:
        check(decode(resealed(BATCH, totals=(total, *BATCH.header.totals[1:]))), TERMINAL, KEY.public_key)
    assert caught.value.proven


def test_a_signed_record_that_is_none_is_proven() -> None:
    exact = b'{"version":1,"epoch":"elsewhere"}'
    record = Record(epoch=RECORDS[0].epoch, seq=len(RECORDS) + 1, exact=exact, hash=link(RECORDS[-1].hash, exact))
    with pytest.raises(RecordUnreadable) as caught:
        check(compose(TERMINAL, head_of(RECORDS[-1]), [record], KEY.sign), TERMINAL, KEY.public_key)
    assert caught.value.proven


def test_a_kind_of_record_that_is_not_known_here_is_taken() -> None:
    newer = follow(head_of(RECORDS[-1]), [b'{"type":"loyalty_redeemed","points":5}'])
    verified = check(compose(TERMINAL, head_of(RECORDS[-1]), newer, KEY.sign), TERMINAL, KEY.public_key)
    assert list(verified.records) == newer


def test_training_is_no_money() -> None:
    bodies = [record.exact.replace(b'"stream":"sales"', b'"stream":"training"') for record in RECORDS[1:3]]
    prev, records = RECORDS[0], []
    for seq, exact in enumerate(bodies, 2):
        prev = Record(epoch=prev.epoch, seq=seq, exact=exact, hash=link(prev.hash, exact))
        records.append(prev)
    batch = compose(TERMINAL, head_of(RECORDS[0]), records, KEY.sign)
    assert batch.header.totals == ()
    assert check(batch, TERMINAL, KEY.public_key).completed == ()


def test_records_that_do_not_follow_are_found_before_they_are_sent() -> None:
    with pytest.raises(ChainBroken):
        compose(TERMINAL, Head(epoch=RECORDS[0].epoch, seq=1, hash=GENESIS), RECORDS[1:], KEY.sign)


def test_a_batch_is_bounded_in_records_and_in_bytes() -> None:
    assert len(cut(chain(sales(600)))) == BATCH_RECORDS_MAX
    large = [Record(epoch="e", seq=seq, exact=bytes(BATCH_BYTES_MAX // 3), hash=GENESIS) for seq in range(1, 10)]
    assert len(cut(large)) == 3
    assert len(cut([Record(epoch="e", seq=1, exact=bytes(2 * BATCH_BYTES_MAX), hash=GENESIS)])) == 1


def test_a_full_batch_stays_below_what_a_receiver_unpacks() -> None:
    assert 2 * BATCH_BYTES_MAX < BATCH_DECODED_BYTES_MAX


def test_records_of_hundreds_of_bytes_travel_in_a_fifth_of_them() -> None:
    many = chain(sales(249))
    assert len(encode(compose(TERMINAL, start_of(many), many, KEY.sign))) < 0.2 * sum(len(r.exact) for r in many)


ACK = Ack(
    epoch="e", hwm=41, archived_hwm=40, gaps=((50, 60),), quarantined=(), hash_at_hwm=os.urandom(32).hex(),
    collector_generation=7,
)  # fmt: skip
HEADQUARTERS = make_key(9)


def test_an_acknowledgement_is_believed_under_headquarters_key_alone() -> None:
    payload = encode_ack(TERMINAL, ACK, HEADQUARTERS.sign)
    assert open_ack(TERMINAL, payload, HEADQUARTERS.public_key) == ACK
    with pytest.raises(AckForged):
        open_ack(TERMINAL, payload, KEY.public_key)
    with pytest.raises(AckForged):
        open_ack("till-4", payload, HEADQUARTERS.public_key)
    with pytest.raises(AckForged):
        open_ack(TERMINAL, payload.replace(b'"hwm":41', b'"hwm":42'), HEADQUARTERS.public_key)


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"ack":{},"signature":""}', b"\xff", b'{"ack":1,"signature":"zz"}'])
def test_what_is_no_acknowledgement_is_named(payload: bytes) -> None:
    with pytest.raises(AckUnreadable):
        open_ack(TERMINAL, payload, HEADQUARTERS.public_key)


def test_what_proves_nothing_is_kept_without_card_numbers() -> None:
    """In the open and within a batch; what holds none is kept as it came."""
    assert wiped(b"noise 4111111111111111") == b"noise ************1111"
    packed = zstandard.ZstdCompressor(write_content_size=True).compress(b'{"x":";4111111111111111=29121010000000123?"}')
    assert zstandard.ZstdDecompressor().decompress(wiped(packed)) == b'{"x":"' + b"*" * 32 + b'1111"}'
    for honest in (b"noise", zstandard.ZstdCompressor(write_content_size=True).compress(b"{}"), b""):
        assert wiped(honest) == honest
