"""Terminals to be backed up: keys, a journal with sales, a catalogue, customers and PINs; no daemon."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.entries import draft
from core.ledger import ClockQuality, Head, Stamp
from core.recovery import public_of
from core.state import Till
from store.backup import Pace, Source, Subject, make_backup
from store.backup_medium import Listed
from store.catalogue import Catalogue
from store.credentials import Credentials, Role
from store.customers import Customers
from store.keys import KeyFile, Keys, TerminalSigner
from store.records import Append, Founding, RecordStore, SaveCheckpoint, Sync
from store.verify import iter_records
from terminald.engine import CHECKPOINT_RECORDS, state_of
from tests.tills import sale

NAME = "till-3"
RECOVERY = bytes(range(32))
STAMP = Stamp(time_ms=1_700_000_000_000, clock=ClockQuality.NTP, boot="0123456789abcdef", mono_ms=12)
FAST = Pace(rest=0.0)
DAY_MS = 86_400_000
SALES_A_COMMIT = 50
CONFIG = '[terminal]\nid = "till-3"\n[shop]\nname = "Corner Shop"\n'


@dataclass
class Terminal:
    """A terminal's folder, its keys, and its open journal."""

    folder: Path
    keys: Keys
    signer: TerminalSigner
    journal: RecordStore
    sold: int = 0
    _kept: int = 0

    def sell(self, count: int) -> None:
        """Sales, on the medium when this returns."""
        done = 0
        while done < count:
            some = min(SALES_A_COMMIT, count - done)
            entries = [entry for number in range(some) for entry in sale(self.sold + number + 1, 100 + number)]
            self.journal.commit([Append([draft(entry) for entry in entries], STAMP, None)])
            self.journal.rest()
            self.sold += some
            done += some
            if self.head.seq - self._kept >= CHECKPOINT_RECORDS:
                self._kept = self.head.seq
                self.journal.commit([SaveCheckpoint(self._kept, state_of(Till(next_number=self.sold + 1)))])
        self.journal.commit([Sync()])

    @property
    def head(self) -> Head:
        return self.journal.head

    def subject(self) -> Subject:
        keys, folder = self.keys, self.folder
        sources = (
            Source(purpose="journal", path=folder / "journal.db", key=keys.journal),
            Source(purpose="catalogue", path=folder / "catalogue.db", key=keys.catalogue),
            Source(purpose="customers", path=folder / "customers.db", key=keys.customers),
            Source(purpose="credentials", path=folder / "credentials.db", key=keys.credentials),
        )
        return Subject(
            terminal=NAME,
            sources=sources,
            files=(folder / "journal.keyring", folder / "signing.key"),
            backup_key=keys.backup,
            signer=self.signer,
            recoverable=True,
            software="0",
        )

    def back_up(self, target: Path, *, keep: int = 3, days: int = 0) -> Listed:
        """A backup, made so many days after the first."""
        stamp = msgspec.structs.replace(STAMP, time_ms=STAMP.time_ms + days * DAY_MS)
        return make_backup(target, self.subject(), stamp, keep=keep, pace=FAST)

    def hashes(self) -> dict[tuple[str, int], bytes]:
        """Every record's hash."""
        return hashes(self.folder / "journal.db", self.keys.journal)


def hashes(path: Path, key: bytes) -> dict[tuple[str, int], bytes]:
    return {(record.epoch, record.seq): record.hash for record in iter_records(path, key)}


@contextmanager
def terminal_in(folder: Path, sales: int = 20, *, fill: bool = True, recovery: bool = True) -> Iterator[Terminal]:
    """A terminal in a new folder, with a configuration, that has sold."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "terminal.toml").write_text(CONFIG)
    store = KeyFile(folder / "journal.key")
    store.recovery_public = public_of(RECOVERY) if recovery else None
    keys = store.load_or_make([])
    signer = TerminalSigner.open(folder / "signing.key", keys, [])
    founding = Founding(terminal=NAME, signing_key=signer.public_key, stamp=STAMP)
    if fill:
        Catalogue(folder / "catalogue.db", keys.catalogue).close()
        with Customers(folder / "customers.db", keys.customers, keys.tag_pepper) as customers:
            customers.identify("04A1B2C3")
        credentials = Credentials(folder / "credentials.db", keys.credentials, keys.pin_pepper)
        credentials.set_pin(Role.OWNER, "314159")
        credentials.close()
    journal = RecordStore(folder / "journal.db", keys.journal, founding)
    terminal = Terminal(folder, keys, signer, journal)
    try:
        terminal.sell(sales)
        yield terminal
    finally:
        journal.close()
