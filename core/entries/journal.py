"""What the journal says of itself, its epochs, its starts and its clock."""

from core.entries.base import Entry
from core.entries.till import ZReported
from core.ledger import Stream

RESTORED = "restored"
"""The reason of an epoch that was opened in a restored backup: the epoch that it names may have gone on elsewhere, and
headquarters may send back what followed."""


class EpochOpened(Entry, tag="epoch_opened", frozen=True, kw_only=True):
    """The first record of an epoch: what came before it, and the key that its heads are signed with (hex).

    `number` is at least the highest transaction number used before; the next one is above it. `lost_seq`, where it is
    above `previous_seq`, is the last record that the epoch before is known to have had, and that this journal has not.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    terminal: str
    reason: str
    signing_key: str
    previous_epoch: str | None = None
    previous_seq: int = 0
    previous_head: str | None = None
    number: int = 0
    lost_seq: int = 0


class DaemonStarted(Entry, tag="daemon_started", frozen=True, kw_only=True):
    """The daemon came up; `clean` says whether the run before had said goodbye."""

    STREAM = Stream.TECHNICAL
    software: str
    clean: bool


class DaemonStopped(Entry, tag="daemon_stopped", frozen=True, kw_only=True):
    """The daemon was asked to stop, and finished what was in hand."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True


class RecordsReturned(Entry, tag="records_returned", frozen=True, kw_only=True):
    """After a restore: headquarters sent back records `first` to `last` of `epoch`, which the backup did not have; `first`
    is above `last` where it had none. The chain's hash at the last is `head` (hex).

    `transactions` sales were completed in them, of which those of the newest business day are summed up; `number` is the
    highest transaction number. `unsettled` are references of payments whose end is in no record, for people to look
    into. `fault` says why there may be more that could not be had. `z` is the last Z report among them.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    epoch: str
    first: int
    last: int
    head: str
    transactions: int = 0
    number: int = 0
    business_day: str = ""
    day_transactions: int = 0
    day_amount_minor: int = 0
    unsettled: tuple[str, ...] = ()
    fault: str | None = None
    z: ZReported | None = None


class JournalVerified(Entry, tag="journal_verified", frozen=True, kw_only=True):
    """A pass over the whole journal: how many records were looked at, and what was found (`store.findings`).

    `first` and `last` are the records that are bad or missing.
    """

    STREAM = Stream.TECHNICAL
    records: int
    kind: str | None = None
    first: int | None = None
    last: int | None = None


class SegmentPruned(Entry, tag="segment_pruned", frozen=True, kw_only=True):
    """The tombstone of records that headquarters has archived and that this terminal holds no more.

    They are `first` to `last` of `epoch`, `count` of them; hashes (hex) are the chain's before the first, at the first
    and at the last. `signature` (hex) is the terminal's over `core.ledger.tombstone_message`.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    epoch: str
    first: int
    last: int
    count: int
    prev_hash: str
    first_hash: str
    last_hash: str
    signature: str


class ClockStepped(Entry, tag="clock_stepped", frozen=True, kw_only=True):
    """The wall clock went another way than the boot's own, or is believed again: a step of `offset_ms` since the record before.

    `doubted` is the last day (ISO 8601) that was believed, None where the clock is believed now.
    """

    STREAM = Stream.TECHNICAL
    offset_ms: int
    doubted: str | None = None
