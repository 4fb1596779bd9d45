"""The chain's promises, for any sequence of drafts."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core.ledger import GENESIS, Draft, Record, Stream, link, open_record
from store.chain import Chain, Tail
from tests.store.journals import STAMP

EPOCH = "0123456789abcdef" * 2
DRAFTS = st.lists(
    st.builds(
        Draft,
        stream=st.sampled_from(Stream),
        body=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=3).map(
            msgspec.json.encode
        ),
        moves_money=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def extend(chain: Chain, drafts: list[Draft]) -> list[Record]:
    records = []
    for index, draft in enumerate(drafts):
        records.append(chain.seal(draft, STAMP, f"key {index}" if index % 3 == 0 else None))
        chain.take(records[-1], draft.stream)
    return records


def check(records: list[Record], chain: Chain | None = None) -> list[str | None]:
    chain = chain or Chain(EPOCH)
    return [chain.check(record.seq, record.exact, record.hash, open_record(record.exact).key) for record in records]


@given(DRAFTS)
def test_what_is_sealed_checks(drafts: list[Draft]) -> None:
    chain = Chain(EPOCH)
    records = extend(chain, drafts)
    checker = Chain(EPOCH)
    assert check(records, checker) == [None] * len(records)
    assert checker.tail() == chain.tail()
    assert [bytes(open_record(record.exact).body) for record in records] == [draft.body for draft in drafts]


@given(DRAFTS, st.data())
def test_a_tail_that_was_kept_goes_on(drafts: list[Draft], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(drafts)))
    whole = Chain(EPOCH)
    extend(whole, drafts)
    first = Chain(EPOCH)
    extend(first, drafts[:cut])
    second = Chain(EPOCH, msgspec.json.decode(msgspec.json.encode(first.tail()), type=Tail))
    for draft, index in zip(drafts[cut:], range(cut, len(drafts)), strict=True):
        second.take(second.seal(draft, STAMP, f"key {index}" if index % 3 == 0 else None), draft.stream)
    assert second.head == whole.head


@given(DRAFTS)
def test_a_stream_is_verified_without_the_others(drafts: list[Draft]) -> None:
    records = extend(Chain(EPOCH), drafts)
    for stream in Stream:
        chain, count = GENESIS, 0
        for record in records:
            envelope = open_record(record.exact)
            if envelope.stream is stream:
                count += 1
                assert (envelope.stream_seq, envelope.stream_prev) == (count, chain.hex())
                chain = link(chain, record.exact)


@given(DRAFTS, st.data())
def test_any_flipped_bit_is_found_at_its_record(drafts: list[Draft], data: st.DataObject) -> None:
    records = extend(Chain(EPOCH), drafts)
    keys = [open_record(record.exact).key for record in records]
    which = data.draw(st.integers(0, len(records) - 1))
    exact = bytearray(records[which].exact)
    exact[data.draw(st.integers(0, len(exact) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    chain = Chain(EPOCH)
    for index, (record, key) in enumerate(zip(records, keys, strict=True)):
        finding = chain.check(record.seq, bytes(exact) if index == which else record.exact, record.hash, key)
        if index == which:
            assert finding == f"record {record.seq} does not fit its hash and the one before"
            return
        assert finding is None


@given(DRAFTS.filter(lambda drafts: len(drafts) > 1), st.data())
def test_a_record_left_out_is_found(drafts: list[Draft], data: st.DataObject) -> None:
    records = extend(Chain(EPOCH), drafts)
    which = data.draw(st.integers(0, len(records) - 2))
    findings = check(records[:which] + records[which + 1 :])
    assert findings[which] == f"record {which + 1} is missing"
