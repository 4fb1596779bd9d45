"""The file of a second medium: what is written is read; what was torn, altered, cut or sealed to others is told apart."""

import io
import random
from pathlib import Path

import pytest
from msgspec import structs

from core import recovery
from core.ledger import Record
from store.errors import JournalError, MirrorAltered, MirrorUnreadable, MirrorWrongKey
from store.mirror_format import Contents, Header, Reader, Sealer, recovered, unwrap, wrap
from tests.records import KEY, TERMINAL, chain, head_of, sales
from tests.store.mirrors import EPOCH, OWNER, RECORDS, RECOVERY_PRIVATE, RECOVERY_PUBLIC, base

FRESH, SECRET = recovery.encapsulate(bytes([7]) * 32, RECOVERY_PUBLIC)
HEADER = Header(
    mirror=1, terminal=TERMINAL, epoch=EPOCH, ordinal=1, number=1, recovery=RECOVERY_PUBLIC.hex(), fresh=FRESH.hex(),
    own=wrap(SECRET, OWNER.key, TERMINAL, EPOCH).hex(),
)  # fmt: skip


def parts(after: int = 0) -> list[bytes]:
    """Header and base, and three frames of five records."""
    sealer = Sealer(HEADER, SECRET)
    begun = sealer.line + sealer.base(base(after))
    cuts = [RECORDS[at : at + 5] for at in range(after, after + 15, 5)]
    return [begun, *(sealer.records(cut, KEY.sign, b'{"ack":1}' if at == 1 else b"") for at, cut in enumerate(cuts))]


def read(content: bytes, secret: bytes = SECRET, *, salvage: bool = False) -> tuple[Contents, list[Record]]:
    records: list[Record] = []
    contents = Reader(io.BytesIO(content), len(content)).read(secret, records.extend, salvage=salvage)
    return contents, records


@pytest.mark.parametrize("after", [0, 4])
def test_what_is_written_is_read(after: int) -> None:
    contents, records = read(b"".join(parts(after)))
    assert records == RECORDS[after : after + 15]
    assert (contents.head, contents.records, contents.torn) == (head_of(records[-1]), 15, False)
    assert contents.ack == '{"ack":1}'
    assert contents.base == base(after)


def test_what_needs_no_key() -> None:
    content = b"".join(parts())
    reader = Reader(io.BytesIO(content), len(content))
    assert (reader.header, reader.plain_last()) == (HEADER, 15)


def test_nothing_of_a_sale_stands_in_plain(tmp_path: Path) -> None:
    content = b"".join(parts())
    assert not any(word in content for word in (b"transaction", b"amount", b"CASH", b"2026-11-22", bytes([3]) * 32))


def test_the_recovery_key_and_the_terminals_own_open_it() -> None:
    assert recovered(HEADER, RECOVERY_PRIVATE) == SECRET == unwrap(HEADER, OWNER.key)
    assert unwrap(HEADER, bytes([1]) * 32) is None


def test_another_recovery_key_is_told_by_its_name() -> None:
    other = bytes(reversed(range(32)))
    with pytest.raises(MirrorWrongKey, match=recovery.recovery_id(RECOVERY_PUBLIC)) as raised:
        recovered(HEADER, other)
    assert recovery.recovery_id(recovery.public_of(other)) in str(raised.value)


def test_a_code_of_another_medium_opens_nothing() -> None:
    with pytest.raises(MirrorWrongKey, match="the code is not of this medium"):
        read(b"".join(parts()), bytes(16))


def test_a_torn_last_frame_is_what_a_power_cut_leaves() -> None:
    *whole, last = parts()
    before = b"".join(whole)
    for size in (1, 31, 32, 44, len(last) // 2, len(last) - 1):
        contents, records = read(before + last[:size])
        assert (records, contents.torn) == (RECORDS[:10], True)
    # Blocks that were allocated and never written, and blocks with what was there before.
    for filling in (bytes(len(last)), random.Random(1).randbytes(len(last)), last[:20] + bytes(len(last) - 20)):
        contents, records = read(before + filling)
        assert (records, contents.torn) == (RECORDS[:10], True)


def test_a_file_without_a_whole_first_frame_is_of_no_use() -> None:
    begun = parts()[0]
    for size in (0, 10, len(begun) - 1):
        with pytest.raises(MirrorUnreadable):
            read(begun[:size])


def test_each_altered_byte_is_found() -> None:
    """Wherever it is, as long as something good follows; at the end it can only be taken for torn."""
    content = b"".join(parts())
    last = len(content) - len(parts()[-1])
    chance = random.Random(2)
    for at in sorted(chance.sample(range(last), 250)):
        altered = bytearray(content)
        altered[at] ^= 1 << chance.randrange(8)
        with pytest.raises(JournalError) as raised:
            read(bytes(altered))
        assert isinstance(raised.value, MirrorAltered | MirrorUnreadable | MirrorWrongKey)
    for at in range(last, len(content)):
        altered = bytearray(content)
        altered[at] ^= 1
        contents, records = read(bytes(altered))
        assert (records, contents.torn) == (RECORDS[:10], True)


def test_what_stands_before_damage_can_be_salvaged() -> None:
    begun, first, second, third = parts()
    altered = bytearray(second)
    altered[60] ^= 1
    content = begun + first + bytes(altered) + third
    with pytest.raises(MirrorAltered, match="after record 5 is damaged, and good parts follow"):
        read(content)
    contents, records = read(content, salvage=True)
    assert (records, contents.head) == (RECORDS[:5], head_of(RECORDS[4]))


def test_frames_that_were_left_out_moved_or_taken_from_another_file_are_found() -> None:
    begun, first, second, third = parts()
    foreign = Sealer(structs.replace(HEADER, number=2), SECRET)
    foreign.base(base())
    for content in (
        begun + second + third,
        begun + second + first + third,
        begun + first + first + second,
        begun + foreign.records(RECORDS[:5], KEY.sign) + second,
    ):
        with pytest.raises(MirrorAltered):
            read(content)


def test_records_that_the_terminal_did_not_sign_are_refused() -> None:
    """Anybody can seal to a public key."""
    sealer = Sealer(HEADER, SECRET)
    content = sealer.line + sealer.base(base()) + sealer.records(RECORDS[:5], lambda message: bytes(64))
    with pytest.raises(MirrorAltered, match="not signed by their terminal"):
        read(content)


def test_records_that_do_not_follow_are_refused() -> None:
    sealer = Sealer(HEADER, SECRET)
    forged = chain(sales(3), salt="other")
    content = sealer.line + sealer.base(base()) + sealer.records([RECORDS[0], forged[1]], KEY.sign)
    with pytest.raises(MirrorAltered):
        read(content)


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"not json\n", b'{"mirror":1}\n', bytes(5000), b"x" * 5000])
def test_what_is_no_mirror_is_said(content: bytes) -> None:
    with pytest.raises(MirrorUnreadable, match="first line"):
        Reader(io.BytesIO(content), len(content))


def test_a_newer_file_is_said() -> None:
    line = parts()[0].replace(b'"mirror":1', b'"mirror":2', 1)
    with pytest.raises(MirrorUnreadable, match="version 2"):
        Reader(io.BytesIO(line), len(line))
