"""Batches of records and their acknowledgements, as they travel between a terminal and headquarters. No I/O.

A batch is a contiguous range of one epoch. Its payload is zstd over JSON lines: the header first, then the exact bytes
of each record, unchanged. The header carries control totals, the signature of the chain's head at its last record, and
a seal over all of itself, so a batch proves itself: whoever holds the terminal's public key needs nothing else.

An acknowledgement says what headquarters has committed. It is signed, because a broker that could forge one could make
a terminal forget sales. See `core.window` for when batches are sent, and sent again.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import msgspec
import zstandard
from msgspec import structs

from core import nesting
from core.card import wipe
from core.entries import EpochOpened, TransactionCompleted
from core.ledger import GENESIS, Head, Record, Stream, ack_message, head_message, link, open_record, verify

VERSION = 1
BATCH_RECORDS_MAX = 500
BATCH_BYTES_MAX = 1 << 20
"""Bytes of records in one batch; a single record larger than that travels alone."""
BATCH_DECODED_BYTES_MAX = 8 << 20
"""What a receiver unpacks at most, so that a small message cannot fill its memory."""
SEQ_MAX = 1 << 53
"""No honest journal comes near it."""
ACK_RANGES_MAX = 100
"""Gaps, and quarantined ranges, that one acknowledgement names: the lowest ones."""
ZSTD_LEVEL = 1

Sign = Callable[[bytes], bytes]
Range = tuple[int, int]
"""First and last sequence number, both included."""


# --- errors ------------------------------------------------------------------------------------------------------


class BatchError(ValueError):
    """A batch cannot be taken. `code` is stable.

    `proven` says that the terminal itself signed exactly this content, so that sending it again changes nothing;
    otherwise it may have been damaged or forged on its way.
    """

    code: ClassVar[str] = "batch"
    proven: ClassVar[bool] = False

    def __init__(self, message: str, header: "Header | None" = None) -> None:
        super().__init__(message)
        self.header = header


class BatchTorn(BatchError):
    """Not the whole of a batch: it does not unpack, or its lines are not those that its header announces."""

    code = "batch-torn"


class BatchOverlong(BatchError):
    """It would unpack to more than a batch may hold."""

    code = "batch-overlong"


class BatchMisaddressed(BatchError):
    """It came on another terminal's topic."""

    code = "batch-misaddressed"


class SignatureWrong(BatchError):
    """The head's signature or the header's seal is not the terminal's."""

    code = "signature-wrong"


class ChainBroken(BatchError):
    """Its records do not lead from the hash before to the signed hash."""

    code = "chain-broken"


class RecordUnreadable(BatchError):
    """The terminal signed a record that is no record of this epoch and place."""

    code = "record-unreadable"
    proven = True


class TotalsWrong(BatchError):
    """The control totals are not those of the records."""

    code = "totals-wrong"
    proven = True


class AckError(ValueError):
    """An acknowledgement cannot be believed. `code` is stable."""

    code: ClassVar[str] = "ack"


class AckUnreadable(AckError):
    """It is not an acknowledgement."""

    code = "ack-unreadable"


class AckForged(AckError):
    """Headquarters did not sign it."""

    code = "ack-forged"


# --- batches -----------------------------------------------------------------------------------------------------


class ControlTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What completed sales of a batch took in one currency by one kind of tender, change given back."""

    currency: str
    tender: str
    count: int
    amount_minor: int


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a batch. Hashes and signatures in hex.

    `signature` is over the head, and worth keeping; `seal` is over the exact bytes of the line before it. `acked_seq` and `acked_generation` are the newest acknowledgement that the terminal holds for this epoch: a restored
    headquarters learns from it how much it has forgotten.
    """

    version: int
    terminal: str
    epoch: str
    first: int
    last: int
    count: int
    prev_hash: str
    last_hash: str
    totals: tuple[ControlTotal, ...]
    acked_seq: int
    acked_generation: int
    signature: str
    seal: str

    @property
    def head(self) -> Head:
        """The head that the signature is over."""
        return Head(epoch=self.epoch, seq=self.last, hash=bytes.fromhex(self.last_hash))


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A header, the exact bytes of its line, and those of its records; not verified."""

    header: Header
    head_line: bytes
    lines: tuple[bytes, ...]

    def sealed(self, sign: Sign) -> "Batch":
        """The same batch under a new seal."""
        draft = _encoder.encode(self.header)
        header = structs.replace(self.header, seal=sign(_seal_message(self.header.terminal, draft)).hex())
        return structs.replace(self, header=header, head_line=_encoder.encode(header))


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """A completed sale among verified records: where it stands, when it was, and what it was."""

    seq: int
    time_ms: int
    sale: TransactionCompleted


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch proved to hold. `opened` where it begins with an epoch's first record."""

    header: Header
    records: tuple[Record, ...]
    completed: tuple[Completed, ...]
    opened: EpochOpened | None


def cut(records: Sequence[Record], bytes_max: int = BATCH_BYTES_MAX) -> Sequence[Record]:
    """As many of the records, from the first, as fit into one batch; one at least."""
    size = 0
    for index, record in enumerate(records):
        size += len(record.exact)
        if index == BATCH_RECORDS_MAX or (index and size > bytes_max):
            return records[:index]
    return records


def compose(
    terminal: str, prev: Head, records: Sequence[Record], sign: Sign, *, acked: tuple[int, int] = (0, 0)
) -> Batch:
    """A batch of records that follow `prev` (sequence number 0 and 32 zero bytes before the first record).

    `acked` is the newest acknowledged sequence number and its collector's generation.
    Raises ChainBroken where the records do not follow, which is damage in the terminal's own journal.
    """
    last = records[-1]
    hash_, lines = prev.hash, tuple(record.exact for record in records)
    for seq, record in enumerate(records, prev.seq + 1):
        hash_ = link(hash_, record.exact)
        if (record.epoch, record.seq, record.hash) != (prev.epoch, seq, hash_):
            raise ChainBroken(f"record {record.seq} of the journal does not follow the one before")
    header = Header(
        version=VERSION, terminal=terminal, epoch=prev.epoch, first=prev.seq + 1, last=last.seq, count=len(lines),
        prev_hash=prev.hash.hex(), last_hash=hash_.hex(), totals=_totals(_completed(prev.seq + 1, lines)),
        acked_seq=acked[0], acked_generation=acked[1],
        signature=sign(head_message(terminal, Head(epoch=prev.epoch, seq=last.seq, hash=hash_))).hex(), seal=_BLANK,
    )  # fmt: skip
    return Batch(header=header, head_line=b"", lines=lines).sealed(sign)


def encode(batch: Batch) -> bytes:
    """A batch's payload."""
    text = b"\n".join((batch.head_line, *batch.lines, b""))
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress(text)


def decode(payload: bytes) -> Batch:
    """The batch of a payload, as it says of itself. Raises BatchTorn or BatchOverlong."""
    lines = _unpack(payload).split(b"\n")
    try:
        header = nesting.decode(_header_decoder, lines[0])
        # Each by itself: what another field lacks could make up for one that is too long.
        fields = (header.prev_hash, header.last_hash, header.signature, header.seal)
        sizes = [len(bytes.fromhex(field)) for field in fields]
    except ValueError as error:
        raise BatchTorn(f"the first line is no header: {error}") from error
    whole = header.version == VERSION and sizes == [len(GENESIS), len(GENESIS), 64, 64] and lines[-1] == b""
    if not whole or not 1 <= header.count <= BATCH_RECORDS_MAX or not 1 <= header.first <= SEQ_MAX:
        raise BatchTorn("the header is not one of a batch")
    if not header.count == header.last - header.first + 1 == len(lines) - 2:
        raise BatchTorn(f"{len(lines) - 2} records came where {header.count} are announced", header)
    return Batch(header=header, head_line=lines[0], lines=tuple(lines[1:-1]))


def check(batch: Batch, terminal: str, public_key: bytes) -> Verified:
    """What the batch proves under the terminal's Ed25519 key.

    Raises BatchMisaddressed, SignatureWrong, ChainBroken, RecordUnreadable or TotalsWrong.
    """
    header = batch.header
    if header.terminal != terminal:
        raise BatchMisaddressed(f"a batch of {header.terminal!r} came under the name {terminal!r}", header)
    sealed = verify(public_key, _seal_message(terminal, batch.head_line), bytes.fromhex(header.seal))
    if not sealed or not verify(public_key, head_message(terminal, header.head), bytes.fromhex(header.signature)):
        raise SignatureWrong(f"records {header.first} to {header.last} are not signed by this terminal's key", header)
    records = _chain(header, batch.lines)
    try:
        completed = _completed(header.first, batch.lines, header.epoch)
        opened = _opened(batch.lines[0]) if header.first == 1 else None
    except ValueError as error:
        raise RecordUnreadable(str(error), header) from error
    if opened is not None and opened.terminal != terminal:
        raise RecordUnreadable(f"the epoch was opened by {opened.terminal!r}, not by {terminal!r}", header)
    if _totals(completed) != header.totals:
        raise TotalsWrong(f"records {header.first} to {header.last} do not add up to their control totals", header)
    return Verified(header=header, records=records, completed=completed, opened=opened)


def opening_key(batch: Batch) -> bytes | None:
    """The signing key that an epoch's first record announces, where the batch begins with it. Proves nothing."""
    if batch.header.first != 1:
        return None
    try:
        return bytes.fromhex(_opened(batch.lines[0]).signing_key)
    except ValueError:
        return None


# --- acknowledgements --------------------------------------------------------------------------------------------


class Ack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What headquarters holds of one epoch.

    `hwm` is the high-water mark: everything up to it is committed or, where listed, in quarantine. `archived_hwm` is
    the part that is also in headquarters' own backup. `hash_at_hwm` is the chain's hash there, in hex. A restored
    headquarters raises its `collector_generation`. `fault` says why the newest batch was not taken.
    """

    epoch: str
    hwm: int
    archived_hwm: int
    gaps: tuple[Range, ...]
    quarantined: tuple[Range, ...]
    hash_at_hwm: str
    collector_generation: int
    fault: str | None = None


class _SignedAck(msgspec.Struct, frozen=True, kw_only=True):
    """An acknowledgement on the wire: `signature` (hex) is over the exact bytes of `ack`."""

    ack: msgspec.Raw
    signature: str


def encode_ack(terminal: str, ack: Ack, sign: Sign) -> bytes:
    """An acknowledgement's payload."""
    body = _encoder.encode(ack)
    return _encoder.encode(_SignedAck(ack=msgspec.Raw(body), signature=sign(ack_message(terminal, body)).hex()))


def open_ack(terminal: str, payload: bytes, public_key: bytes) -> Ack:
    """The acknowledgement of a payload, believed. Raises AckUnreadable or AckForged."""
    try:
        signed = nesting.decode(_signed_decoder, payload)
        signature = bytes.fromhex(signed.signature)
        ack = nesting.decode(_ack_decoder, signed.ack)
        bytes.fromhex(ack.hash_at_hwm)
    except ValueError as error:
        raise AckUnreadable(f"no acknowledgement: {error}") from error
    if not verify(public_key, ack_message(terminal, bytes(signed.ack)), signature):
        raise AckForged("this acknowledgement is not signed by headquarters' key; check headquarters.ack_key")
    return ack


# --- inner parts -------------------------------------------------------------------------------------------------


class _Kind(msgspec.Struct, frozen=True):
    """The one field of a record's body that says what it is; a newer terminal may keep kinds not known here."""

    type: str


_COMPLETED = b"transaction_completed"
_SEAL_TAG = b"terminald/batch/1\0"
_BLANK = "0" * 128
_SEAL_CHARACTERS = len(f',"seal":"{_BLANK}"}}')

_encoder = msgspec.json.Encoder()
_header_decoder = msgspec.json.Decoder(Header)
_ack_decoder = msgspec.json.Decoder(Ack)
_signed_decoder = msgspec.json.Decoder(_SignedAck)
_kind_decoder = msgspec.json.Decoder(_Kind)
_sale_decoder = msgspec.json.Decoder(TransactionCompleted)
_opened_decoder = msgspec.json.Decoder(EpochOpened)


def _seal_message(terminal: str, head_line: bytes) -> bytes:
    """What is sealed: the header's line without its last field, the seal itself."""
    return _SEAL_TAG + terminal.encode() + b"\0" + head_line[:-_SEAL_CHARACTERS]


def wiped(payload: bytes) -> bytes:
    """A payload that proves nothing, as it may be kept: what looks like a card's number is starred, within the batch too."""
    try:
        text = _unpack(payload)
    except BatchError:
        text = payload
    clean = wipe(text.decode("latin-1")).encode("latin-1")
    if clean == text:
        return payload
    return clean if text is payload else zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(clean)


def _unpack(payload: bytes) -> bytes:
    try:
        size = zstandard.frame_content_size(payload)
        if size > BATCH_DECODED_BYTES_MAX:
            raise BatchOverlong(f"{size} bytes are more than the {BATCH_DECODED_BYTES_MAX} that a batch may hold")
        if size <= 0:
            raise BatchTorn("it does not say how large it is")
        return zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BatchTorn(f"it does not unpack: {error}") from error


def _chain(header: Header, lines: Sequence[bytes]) -> tuple[Record, ...]:
    hash_ = bytes.fromhex(header.prev_hash)
    if (hash_ == GENESIS) != (header.first == 1):
        raise ChainBroken("only an epoch's first record follows nothing", header)
    records = []
    for seq, exact in enumerate(lines, header.first):
        hash_ = link(hash_, exact)
        records.append(Record(epoch=header.epoch, seq=seq, exact=exact, hash=hash_))
    if hash_.hex() != header.last_hash:
        raise ChainBroken(f"records {header.first} to {header.last} do not lead to the signed hash", header)
    return tuple(records)


def _completed(first: int, lines: Iterable[bytes], epoch: str | None = None) -> tuple[Completed, ...]:
    """The completed sales among records; with an epoch, each must be a record that stands in it at its place.

    Those that do not say the word are none, whatever else they are: a till writes it plainly.
    """
    found = []
    for seq, exact in enumerate(lines, first):
        may_complete = _COMPLETED in exact
        if epoch is None and not may_complete:  # our own, known to be whole
            continue
        envelope = open_record(exact)
        if epoch is not None and (envelope.epoch, envelope.seq) != (epoch, seq):
            raise ValueError(f"record {envelope.seq} of {envelope.epoch} stands in place {seq} of {epoch}")
        if (
            may_complete
            and envelope.stream is Stream.SALES
            and nesting.decode(_kind_decoder, envelope.body).type == "transaction_completed"
        ):
            found.append(
                Completed(seq=seq, time_ms=envelope.time_ms, sale=nesting.decode(_sale_decoder, envelope.body))
            )
    return tuple(found)


def _opened(exact: bytes) -> EpochOpened:
    return nesting.decode(_opened_decoder, open_record(exact).body)


def _totals(completed: Iterable[Completed]) -> tuple[ControlTotal, ...]:
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for item in completed:
        for tender in item.sale.tenders:
            key = (item.sale.currency, tender.kind)
            count, amount_minor = sums.get(key, (0, 0))
            sums[key] = (count + 1, amount_minor + tender.amount_minor)
    return tuple(
        ControlTotal(currency=currency, tender=tender, count=count, amount_minor=amount_minor)
        for (currency, tender), (count, amount_minor) in sorted(sums.items())
    )
