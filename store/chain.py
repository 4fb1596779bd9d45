"""The end of an epoch's chains as the one who extends or checks them has it: all records, and each stream's own."""

import msgspec

from core.ledger import GENESIS, VERSION, Draft, Envelope, Head, Record, Stamp, Stream, link, open_record, seal


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """The ends of all chains, as it is kept beside a checkpoint; hashes in hex.

    `number` is the highest transaction number so far, 0 where it is not known. `partial` says that the streams' ends are
    not known: the first record of each is then taken at its word.
    """

    seq: int
    hash: str
    streams: dict[str, tuple[int, str]]
    number: int = 0
    partial: bool = False


class _Numbered(msgspec.Struct, frozen=True):
    """What of a record's body tells how far transactions are numbered."""

    type: str = ""
    number: int = 0


SEQ_BITS = 40
"""A record's position is its epoch's ordinal shifted by this, plus its seq."""

_FRESH = (0, GENESIS)
_numbered = msgspec.json.Decoder(_Numbered)


class Chain:
    """Seals records in their place, and checks records that were sealed."""

    def __init__(self, epoch: str, tail: Tail | None = None) -> None:
        self._epoch = epoch
        self._seq = tail.seq if tail else 0
        self._hash = bytes.fromhex(tail.hash) if tail else GENESIS
        # The last stream_seq of each stream, and the stream's own chain there (`core.ledger.Envelope`).
        self._streams = (
            {name: (seq, bytes.fromhex(hash_)) for name, (seq, hash_) in tail.streams.items()} if tail else {}
        )
        self._partial = tail is not None and tail.partial
        self.number = tail.number if tail else 0
        """The highest transaction number that was taken in; 0 where none was."""

    @property
    def head(self) -> Head:
        """The last record that was taken in."""
        return Head(epoch=self._epoch, seq=self._seq, hash=self._hash)

    def tail(self) -> Tail:
        """What another Chain goes on from."""
        streams = {name: (seq, hash_.hex()) for name, (seq, hash_) in self._streams.items()}
        return Tail(seq=self._seq, hash=self._hash.hex(), streams=streams, number=self.number, partial=self._partial)

    def seal(self, draft: Draft, stamp: Stamp, key: str | None) -> Record:
        """The next record; it counts once it is given to `take`."""
        stream_seq, stream_hash = self._streams.get(draft.stream, _FRESH)
        envelope = Envelope(
            version=VERSION,
            epoch=self._epoch,
            seq=self._seq + 1,
            stream=draft.stream,
            stream_seq=stream_seq + 1,
            stream_prev=stream_hash.hex(),
            time_ms=stamp.time_ms,
            clock=stamp.clock,
            boot=stamp.boot,
            mono_ms=stamp.mono_ms,
            body=msgspec.Raw(draft.body),
            key=key,
        )
        return seal(envelope, self._hash)

    def take(self, record: Record, stream: Stream) -> None:
        """`record` is the next one of its epoch and of `stream`."""
        stream_seq, stream_hash = self._streams.get(stream, _FRESH)
        self._seq, self._hash = record.seq, record.hash
        self._streams[stream] = stream_seq + 1, link(stream_hash, record.exact)
        if b'"transaction_opened"' in record.exact or record.seq == 1:
            self.number = max(self.number, number_in(record.exact))

    def check(self, seq: int, exact: bytes, hash_: bytes, key: str | None) -> str | None:
        """What is wrong with the record that is said to come next, or None: then it is taken in."""
        if seq != self._seq + 1:
            return f"record {self._seq + 1} is missing" if seq > self._seq else f"record {seq} is out of order"
        if link(self._hash, exact) != hash_:
            return f"record {seq} does not fit its hash and the one before"
        try:
            envelope = open_record(exact)
        except ValueError:
            return f"record {seq} cannot be read"
        if self._partial and envelope.stream not in self._streams:
            self._streams[envelope.stream] = envelope.stream_seq - 1, _unhex(envelope.stream_prev)
        stream_seq, stream_hash = self._streams.get(envelope.stream, _FRESH)
        for name, found, due in (
            ("version", envelope.version, VERSION),
            ("epoch", envelope.epoch, self._epoch),
            ("seq", envelope.seq, seq),
            ("stream_seq", envelope.stream_seq, stream_seq + 1),
            ("stream_prev", envelope.stream_prev, stream_hash.hex()),
            ("key", envelope.key, key),
        ):
            if found != due:
                return f"record {seq} does not follow: its {name} is {found}, not {due}"
        self.take(Record(epoch=self._epoch, seq=seq, exact=exact, hash=hash_), envelope.stream)
        return None


def number_in(exact: bytes) -> int:
    """The transaction number that a record uses up, alone or with all below it; 0 where it uses none."""
    try:
        numbered = _numbered.decode(open_record(exact).body)
    except ValueError:
        return 0
    return numbered.number if numbered.type in ("transaction_opened", "epoch_opened") else 0


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
