"""What else knows of a journal's end: the anchor, headquarters' answers, checkpoints, and heads that were kept elsewhere."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core.ledger import Head
from store.anchor import Anchor, anchor_path, is_elsewhere, read_anchor
from store.anchor import State as AnchorState
from store.chain import SEQ_BITS, Tail
from store.epochs import PRUNED, SEQ_MASK, hash_at, lost_beyond
from store.findings import Finding, Kind, missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A head that `source` (``the second medium``, say) knows this journal to have had."""

    source: str
    head: Head
    inside: bool = False
    """Whether it stands in the journal's own file, and so would have gone back in time with it."""


class _Ack(msgspec.Struct, frozen=True):
    epoch: str
    hwm: int
    hash_at_hwm: str


class _Signed(msgspec.Struct, frozen=True):
    """What of headquarters' answer names a head; the journal vouches for it, as for all that stands in it."""

    ack: _Ack


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """All that is known besides the records."""

    state: AnchorState
    anchor: Anchor | None
    kept: bool
    log_bytes: int
    witnesses: tuple[Witness, ...]
    finding: Finding | None

    @property
    def anchored(self) -> bool:
        """Whether an anchor was there that could be believed."""
        return self.anchor is not None


def look_outside(path: Path, connection: Any, given: Sequence[Witness]) -> Outside:
    """Reads it. To be done before the records are read: these may grow, and an anchor read later would be ahead."""
    key, kept, bound = connection.execute("SELECT key, kept, binding FROM anchoring").fetchone()
    found = read_anchor(anchor_path(path), key)
    log = path.with_name(path.name + "-wal")
    witnesses, finding = _inside(connection)
    if (anchor := found.anchor) is not None:
        head = Head(epoch=anchor.epoch, seq=anchor.seq, hash=anchor.hash)
        witnesses.append(Witness(source="the anchor", head=head))
        finding = finding or _beside(connection, anchor, bound)
    elif found.state != "absent":
        finding = finding or _of_anchor(found.state)
    return Outside(
        state=found.state,
        anchor=anchor,
        kept=bool(kept),
        log_bytes=log.stat().st_size if log.exists() else 0,
        witnesses=(*witnesses, *given),
        finding=finding,
    )


def compare(connection: Any, outside: Outside) -> Finding | None:
    """What the witnesses know that the records do not."""
    for witness in outside.witnesses:
        if (finding := _contradiction(connection, witness)) is not None:
            return finding
    epochs = list(dict.fromkeys(witness.head.epoch for witness in outside.witnesses))
    for epoch in epochs:
        if (finding := _missing_end(connection, epoch, outside)) is not None:
            return finding
    return outside.finding


def _contradiction(connection: Any, witness: Witness) -> Finding | None:
    head = witness.head
    ordinal = _ordinal(connection, head.epoch)
    if ordinal is None:
        return None
    hash_ = hash_at(connection, ordinal, head.seq)
    if hash_ in (None, PRUNED, head.hash) or head.hash == PRUNED:
        return None
    return Finding(
        f"record {head.seq} is not the one that {witness.source} knows: the chain is another one from there or before",
        "fork",
        head.seq,
        None,
    )


def _missing_end(connection: Any, epoch: str, outside: Outside) -> Finding | None:
    """Where witnesses know of a later end of an epoch than the journal has."""
    heads = [witness for witness in outside.witnesses if witness.head.epoch == epoch]
    known = max(witness.head.seq for witness in heads)
    ordinal = _ordinal(connection, epoch)
    if ordinal is None:
        sources = " and ".join(dict.fromkeys(witness.source for witness in heads))
        kind: Kind = "truncation" if any(witness.inside for witness in heads) else "rollback"
        return Finding(f"epoch {epoch}, which {sources} knows, is missing with all its records", kind, 1, known)
    reached, lost = _reach(connection, ordinal)
    if known <= max(reached, lost):
        return None
    text = missing(reached + 1, known, " at the end")
    if any(witness.inside and witness.head.seq > reached for witness in heads):
        return Finding(text, "truncation", reached + 1, known)
    if outside.anchor is not None and outside.log_bytes < outside.anchor.log_bytes:
        text += f": the log is cut off ({outside.log_bytes} of at least {outside.anchor.log_bytes} bytes)"
        return Finding(text, "truncation", reached + 1, known)
    sources = " and ".join(dict.fromkeys(witness.source for witness in heads if witness.head.seq > reached))
    return Finding(f"{text}: {sources} knows them, and the file does not", "rollback", reached + 1, known)


def _inside(connection: Any) -> tuple[list[Witness], Finding | None]:
    """What the rows beside the records know, and what is wrong with those themselves."""
    witnesses: list[Witness] = []
    finding: Finding | None = None
    for epoch, content, state, digest in connection.execute("SELECT epoch, tail, state, digest FROM checkpoint"):
        try:
            tail = msgspec.json.decode(content, type=Tail)
            head = Head(epoch=epoch, seq=tail.seq, hash=bytes.fromhex(tail.hash))
        except (ValueError, TypeError) as error:
            return witnesses, Finding(f"a checkpoint cannot be read: {error}", "edit")
        witnesses.append(Witness(source="a checkpoint", head=head, inside=True))
        if digest is not None and digest != hashlib.sha256(state).digest():
            finding = Finding(f"the checkpoint of record {tail.seq} was altered", "edit", tail.seq, tail.seq)
    for epoch, seq, content in connection.execute("SELECT epoch, seq, ack FROM outbox"):
        try:
            ack = msgspec.json.decode(content, type=_Signed).ack
            hash_ = bytes.fromhex(ack.hash_at_hwm)
        except (ValueError, TypeError):
            ack, hash_ = None, PRUNED
        if ack is None or (ack.epoch, ack.hwm) != (epoch, seq):
            hash_ = PRUNED  # it names no hash; it still says how far the epoch went
        if seq:
            witnesses.append(Witness(source="headquarters", head=Head(epoch=epoch, seq=seq, hash=hash_), inside=True))
    return witnesses, finding


def _beside(connection: Any, anchor: Anchor, bound: bytes) -> Finding | None:
    """Where rows beside the records are older than the anchor says: an older page was put back."""
    (checkpoint,) = connection.execute("SELECT coalesce(max(id), 0) FROM checkpoint").fetchone()
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM outbox").fetchone()
    if checkpoint < anchor.checkpoint:
        return Finding("the checkpoint is older than the one that the anchor knows", "rollback")
    if version < anchor.acknowledgement:
        return Finding("headquarters' answer is older than the one that the anchor knows", "rollback")
    if is_elsewhere(bound, anchor.binding):
        return Finding("the medium and board that the journal names are not those that the anchor knows", "rollback")
    return None


def _of_anchor(state: AnchorState) -> Finding:
    if state == "foreign":
        return Finding("the anchor beside it belongs to another journal", "foreign")
    return Finding("the anchor beside it cannot be read: both of its slots are damaged", "unreadable")


def _ordinal(connection: Any, epoch: str) -> int | None:
    row = connection.execute("SELECT ordinal FROM epoch WHERE id = ?", (epoch,)).fetchone()
    return int(row[0]) if row else None


def _reach(connection: Any, ordinal: int) -> tuple[int, int]:
    """The last record of an epoch here, and the last one that an epoch after it says to be lost."""
    (last,) = connection.execute(
        "SELECT max(position) FROM record WHERE position < ?", (ordinal + 1 << SEQ_BITS,)
    ).fetchone()
    reached = last & SEQ_MASK if last is not None and last >> SEQ_BITS == ordinal else 0
    row = connection.execute("SELECT seq FROM base WHERE ordinal = ?", (ordinal,)).fetchone()
    reached = max(reached, row[0] if row else 0)
    (epoch,) = connection.execute("SELECT id FROM epoch WHERE ordinal = ?", (ordinal,)).fetchone()
    return reached, lost_beyond(connection, epoch)
