"""The file of a second medium: what stands in it, written and read. No file is opened here.

First a line of JSON, the `Header`, which needs no key. Then frames, each written by one call and flushed before the next::

    4 bytes "TMf1", 4 of length, 8 of its number (from 0), 8 of its first record's seq, 8 of its last one's
    12 bytes of random nonce, the ciphertext, 16 bytes of tag   (so many as the length says)

AES-256-GCM; the frame's 32 plain bytes and the SHA-256 of the header's line are authenticated with it, so no frame can be
taken to another place or file. Frame 0 holds the `Base`; every other one holds records: the terminal's signature of the
head at the last of them (`core.ledger.head_message`), the hash there, headquarters' newest answer where it is news, and
the records' exact bytes, a line each, all of it zstd.

The key comes from a secret of 16 random bytes that the file keeps twice: as the public half of an exchange with the
organisation's recovery key (`core.recovery`), and encrypted under the terminal's own key for mirrors.

A last frame that is not whole is what a power cut leaves, and is no fault. One that is not whole and has a good one
somewhere behind it was damaged.
"""

import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, ClassVar

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core import recovery
from core.ledger import Head, Record, head_message, link, open_record, verify
from store.errors import MirrorAltered, MirrorUnreadable, MirrorWrongKey

VERSION = 1
HEADER_BYTES_MAX = 2_048
FRAME_BYTES_MAX = 32 << 20
"""Of one frame; a base holds the till's state, and a record frame what one commit made."""
PLAIN_BYTES_MAX = 64 << 20
TORN_BYTES_MAX = FRAME_BYTES_MAX
_HEAD = struct.Struct(">4sIQQQ")
_MAGIC = b"TMf1"
_NONCE_BYTES = 12
_INFO = b"terminald/mirror/1"
_ZSTD_LEVEL = 1

Sign = Callable[[bytes], bytes]
Records = Callable[[Sequence[Record]], None]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What can be read without a key. `number` counts the files of an epoch, `ordinal` the epochs of a journal.

    `recovery` is the public recovery key (hex) that the file is sealed to, `fresh` the public half (hex) of the exchange
    with it, `own` the secret under the terminal's own key (hex).
    """

    mirror: int
    terminal: str
    epoch: str
    ordinal: int
    number: int
    recovery: str
    fresh: str
    own: str


class Base(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a file begins: the head before its first record, and what a successor needs besides the records.

    `state` is the till as `core.state.carried` writes it, folded up to the record `state_seq`; only the current epoch's
    file has one. `ack` is headquarters' signed answer for the head before. `identity` is the seed (hex) of the terminal's
    signing key, `signing_key` its public half (hex). `broker` is the address that the terminal reaches headquarters at.
    `secrets` open the files of earlier epochs (hex, by epoch).
    """

    prev_seq: int
    prev_hash: str
    signing_key: str
    state: msgspec.Raw = msgspec.Raw(b"null")
    state_seq: int = 0
    ack: str = ""
    identity: str = ""
    broker: str = ""
    secrets: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a file proved to hold. `ack` is headquarters' newest answer in it, empty where there is none. `torn` says that
    a power cut left a part of a frame at its end."""

    header: Header
    base: Base
    head: Head
    records: int
    ack: str
    torn: bool


class Sealer:
    """Makes the bytes of one new file."""

    def __init__(self, header: Header, secret: bytes) -> None:
        self.header = header
        self.secret = secret
        self.line = _encoder.encode(header) + b"\n"
        assert len(self.line) <= HEADER_BYTES_MAX
        self._digest = hashlib.sha256(self.line).digest()
        self._cipher = AESGCM(_key(secret))
        self._number = 0

    def base(self, base: Base) -> bytes:
        """Frame 0."""
        assert self._number == 0
        return self._frame(base.prev_seq, base.prev_seq, _encoder.encode(base))

    def records(self, records: Sequence[Record], sign: Sign, ack: bytes = b"") -> bytes:
        """The next frame; the records follow those of the frame before. `ack` is what headquarters said since."""
        assert self._number > 0
        last = records[-1]
        head = Head(epoch=last.epoch, seq=last.seq, hash=last.hash)
        signature = sign(head_message(self.header.terminal, head))
        assert b"\n" not in ack, "an answer is one line"
        lines = (signature.hex().encode(), last.hash.hex().encode(), ack, *(record.exact for record in records), b"")
        return self._frame(records[0].seq, last.seq, b"\n".join(lines))

    def _frame(self, first: int, last: int, plain: bytes) -> bytes:
        packed = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_content_size=True).compress(plain)
        head = _HEAD.pack(_MAGIC, _NONCE_BYTES + len(packed) + 16, self._number, first, last)
        self._number += 1
        # A number counted up would do, were it not for media that forget what they had flushed.
        nonce = os.urandom(_NONCE_BYTES)
        return head + nonce + self._cipher.encrypt(nonce, packed, self._digest + head)


def wrap(secret: bytes, own_key: bytes, terminal: str, epoch: str) -> bytes:
    """The secret under the terminal's own key (32 bytes)."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(own_key).encrypt(nonce, secret, _own_context(terminal, epoch))


def unwrap(header: Header, own_key: bytes) -> bytes | None:
    """The secret of a file that this terminal wrote, None where it did not."""
    kept = bytes.fromhex(header.own)
    try:
        context = _own_context(header.terminal, header.epoch)
        return AESGCM(own_key).decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        return None


def recovered(header: Header, recovery_private: bytes) -> bytes:
    """The secret by the organisation's recovery key. Raises MirrorWrongKey where it is another one."""
    try:
        own = recovery.recovery_id(recovery.public_of(recovery_private))
        wanted = recovery.recovery_id(bytes.fromhex(header.recovery))
        if own == wanted:
            return recovery.decapsulate(recovery_private, bytes.fromhex(header.fresh))
    except ValueError as error:
        raise MirrorUnreadable("what is said to be the public half of its key is none") from error
    raise MirrorWrongKey(f"it is sealed to the recovery key {wanted}, and this one is {own}")


@dataclass(slots=True)
class Reader:
    """Reads one file. `size` is how long it is."""

    stream: BinaryIO
    size: int
    header: Header = field(init=False)
    _digest: bytes = field(init=False)
    _at: int = field(init=False)

    CHUNK_BYTES: ClassVar[int] = 1 << 20

    def __post_init__(self) -> None:
        """Reads the header. Raises MirrorUnreadable."""
        line = self.stream.readline(HEADER_BYTES_MAX)
        try:
            self.header = _header_decoder.decode(line)
            plain = bytes.fromhex(self.header.recovery + self.header.fresh)
            bytes.fromhex(self.header.own)
        except ValueError as error:
            raise MirrorUnreadable("its first line is none of a terminal's mirror") from error
        if self.header.mirror != VERSION or len(plain) != 64 or not line.endswith(b"\n"):
            raise MirrorUnreadable(f"it is of version {self.header.mirror}, and this software reads {VERSION}")
        self._digest = hashlib.sha256(line).digest()
        self._at = len(line)

    def plain_last(self) -> int:
        """The last seq that the file says to hold; it needs no key, and proves nothing."""
        last, at = 0, self._at
        while (head := self._head(at)) is not None:
            last, at = max(last, head[3]), at + _HEAD.size + head[0]
        return last

    def read(self, secret: bytes, records: Records = lambda _: None, *, salvage: bool = False) -> Contents:
        """Verifies all of it, and hands the records on, a frame at a time.

        With `salvage` what comes before a damaged frame is taken. Raises MirrorWrongKey, MirrorUnreadable,
        MirrorAltered.
        """
        cipher = AESGCM(_key(secret))
        plain = self._open(cipher, self._at, 0)
        if plain is None:
            if self._frame_behind(cipher, self._at):
                raise MirrorAltered("its first frame is damaged")
            if self.size - self._at < _HEAD.size or self._head(self._at) is None:
                raise MirrorUnreadable("it is cut off before its first frame")
            raise MirrorWrongKey(
                "its first frame does not open with this key: the code is not of this medium, or misread"
            )
        try:
            base = _base_decoder.decode(plain)
            head = Head(epoch=self.header.epoch, seq=base.prev_seq, hash=bytes.fromhex(base.prev_hash))
            signing_key = bytes.fromhex(base.signing_key)
        except ValueError as error:
            raise MirrorUnreadable("its first frame is of another software") from error
        count, number, torn, ack = 0, 1, False, base.ack
        at = self._next(self._at)
        while at < self.size:
            plain = self._open(cipher, at, number)
            if plain is None:
                if self._frame_behind(cipher, at):
                    if not salvage:
                        raise MirrorAltered(f"what comes after record {head.seq} is damaged, and good parts follow it")
                    break
                torn = True
                break
            found, news = self._chained(head, plain, signing_key)
            records(found)
            ack = news or ack
            head = Head(epoch=head.epoch, seq=found[-1].seq, hash=found[-1].hash)
            count, number, at = count + len(found), number + 1, self._next(at)
        return Contents(header=self.header, base=base, head=head, records=count, ack=ack, torn=torn)

    def _chained(self, head: Head, plain: bytes, signing_key: bytes) -> tuple[list[Record], str]:
        """A frame's records, each linked to the one before, and the head signed by the terminal; and what came with them."""
        signature, hash_, ack, *lines = plain.split(b"\n")
        records: list[Record] = []
        chained = head.hash
        for seq, exact in enumerate(lines[:-1], head.seq + 1):
            chained = link(chained, exact)
            records.append(Record(epoch=head.epoch, seq=seq, exact=exact, hash=chained))
        try:
            fits = chained.hex().encode() == hash_ and bool(records)
            fits = fits and open_record(records[-1].exact).seq == records[-1].seq
            end = Head(epoch=head.epoch, seq=head.seq + len(records), hash=chained)
            message = head_message(self.header.terminal, end)
            fits = fits and verify(signing_key, message, bytes.fromhex(signature.decode("ascii")))
            news = ack.decode()
        except ValueError:
            fits, news = False, ""
        if not fits:
            raise MirrorAltered(f"the records after {head.seq} do not follow it, or are not signed by their terminal")
        return records, news

    def _head(self, at: int) -> tuple[int, int, int, int] | None:
        """(length, number, first, last) of the frame at a place; None where there is none, or not all of it."""
        if at + _HEAD.size > self.size:
            return None
        self.stream.seek(at)
        magic, length, number, first, last = _HEAD.unpack(self.stream.read(_HEAD.size))
        if (
            magic != _MAGIC
            or not _NONCE_BYTES + 16 <= length <= FRAME_BYTES_MAX
            or at + _HEAD.size + length > self.size
        ):
            return None
        return length, number, first, last

    def _next(self, at: int) -> int:
        head = self._head(at)
        assert head is not None
        return at + _HEAD.size + head[0]

    def _open(self, cipher: AESGCM, at: int, number: int | None) -> bytes | None:
        """What a frame holds; None where it is not whole, or not the one of this number."""
        head = self._head(at)
        if head is None or (number is not None and head[1] != number):
            return None
        self.stream.seek(at)
        plain_head = self.stream.read(_HEAD.size)
        body = self.stream.read(head[0])
        try:
            packed = cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], self._digest + plain_head)
            return zstandard.ZstdDecompressor().decompress(packed, max_output_size=PLAIN_BYTES_MAX)
        except (InvalidTag, zstandard.ZstdError):
            return None

    def _frame_behind(self, cipher: AESGCM, at: int) -> bool:
        """Whether a good frame stands somewhere behind a place where none does."""
        return any(self._open(cipher, place, None) is not None for place in self._magics(at + 1))

    def _magics(self, at: int) -> Iterator[int]:
        while at < self.size:
            self.stream.seek(at)
            chunk = self.stream.read(self.CHUNK_BYTES)
            place = chunk.find(_MAGIC)
            while place >= 0:
                yield at + place
                place = chunk.find(_MAGIC, place + 1)
            at += max(len(chunk) - len(_MAGIC) + 1, 1)


_encoder = msgspec.json.Encoder()
_header_decoder = msgspec.json.Decoder(Header)
_base_decoder = msgspec.json.Decoder(Base)


def _key(secret: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=_INFO).derive(secret)


def _own_context(terminal: str, epoch: str) -> bytes:
    return _INFO + f"\0{terminal}\0{epoch}".encode()
