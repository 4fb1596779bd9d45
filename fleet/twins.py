"""Two terminals under one name, as their epochs give them away: each epoch has a random name and says which it follows."""

import msgspec

from core.entries import EpochOpened, decode
from core.ledger import open_record
from fleet.store import Statements


class Twins(msgspec.Struct, frozen=True, kw_only=True):
    """What cannot come of one terminal. `epochs` are those that follow the same one; `beyond` is the last record of that
    one where it went on after another terminal had taken over from it, else 0."""

    previous_epoch: str
    previous_seq: int
    epochs: tuple[str, ...]
    beyond: int = 0

    def __str__(self) -> str:
        after = f"{self.previous_epoch} at record {self.previous_seq}"
        if len(self.epochs) > 1:
            return f"epochs {' and '.join(self.epochs)} both follow {after}: two terminals took over from one"
        return f"epoch {self.epochs[0]} follows {after}, and that one went on to record {self.beyond}"


def twins_of(statements: Statements, terminal: str) -> list[Twins]:
    """All that is odd about a terminal's epochs."""
    rows = statements.execute(
        "SELECT e.epoch, r.exact FROM epoch e JOIN record r ON r.terminal = e.terminal AND r.epoch = e.epoch AND r.seq = 1"
        " WHERE e.terminal = ? ORDER BY e.epoch",
        (terminal,),
    ).fetchall()
    followers: dict[str, list[tuple[str, EpochOpened]]] = {}
    for epoch, exact in rows:
        opened = decode(open_record(exact).body)
        if isinstance(opened, EpochOpened) and opened.previous_epoch is not None:
            followers.setdefault(opened.previous_epoch, []).append((epoch, opened))
    found = []
    for previous, each in followers.items():
        last = max(max(opened.previous_seq, opened.lost_seq) for _, opened in each)
        row = statements.execute(
            "SELECT top_seq FROM epoch WHERE terminal = ? AND epoch = ?", (terminal, previous)
        ).fetchone()
        beyond = row[0] if row is not None and row[0] > last else 0
        if len(each) > 1 or beyond:
            names = tuple(epoch for epoch, _ in each)
            found.append(Twins(previous_epoch=previous, previous_seq=last, epochs=names, beyond=beyond))
    return found
