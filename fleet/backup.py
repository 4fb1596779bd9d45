"""Headquarters' own backups, and what terminals may forget because of them.

A backup has a beginning, when it is written down how far each epoch is held, and an end, when somebody knows that it is
whole. What is copied in between holds at least what was held at the beginning: so far `archived_hwm` is raised at the
end, and collectors tell the terminals. The embedded database makes its copy itself; of a PostgreSQL server the copy is
made by its own tools between the two.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import ClassVar

from fleet.database import BUSY_TIMEOUT_S, DatabaseError
from fleet.store import Store

STEP_EPOCHS = 500
"""Epochs whose mark is raised in one transaction: collectors wait no longer than for these."""


class BackupError(DatabaseError):
    """The backup is not whole, or was never begun: terminals go on keeping what they have."""

    code: ClassVar[str] = "backup"
    remedy: ClassVar[str] = "Look at the place that it goes to, and make another backup."


def begin(store: Store, now_ms: int) -> int:
    """Writes down how far each epoch is held; the backup's number. The copy is to be begun after this. Raises DatabaseError."""
    with store.transaction() as statements:
        (number,) = statements.execute("INSERT INTO backup (began_ms) VALUES (?) RETURNING id", (now_ms,)).fetchone()
        statements.execute(
            "INSERT INTO backup_mark (backup, terminal, epoch, hwm)"
            " SELECT CAST(? AS BIGINT), terminal, epoch, hwm FROM epoch WHERE hwm > archived_hwm",
            (number,),
        )
    return int(number)


def finish(store: Store, number: int, now_ms: int) -> int:
    """The backup is whole: so far terminals may forget. How many epochs that touched. Raises DatabaseError.

    Cut off in the middle it may be done again; done twice it changes nothing.
    """
    with store.transaction() as statements:
        if statements.execute("SELECT 1 FROM backup WHERE id = ?", (number,)).fetchone() is None:
            raise BackupError(f"no backup {number} was begun here")
    raised = 0
    while True:
        with store.transaction() as statements:
            marks = statements.execute(
                "SELECT terminal, epoch, hwm FROM backup_mark WHERE backup = ? ORDER BY terminal, epoch LIMIT ?",
                (number, STEP_EPOCHS),
            ).fetchall()
            statements.lock(terminal for terminal, _, _ in marks)
            for terminal, epoch, hwm in marks:
                # A database that was restored meanwhile may hold less than it did: then nothing more is promised.
                raised += statements.execute(
                    "UPDATE epoch SET archived_hwm = ? WHERE terminal = ? AND epoch = ? AND archived_hwm < ? AND hwm >= ?",
                    (hwm, terminal, epoch, hwm, hwm),
                ).rowcount
                statements.execute(
                    "DELETE FROM backup_mark WHERE backup = ? AND terminal = ? AND epoch = ?", (number, terminal, epoch)
                )
            if not marks:
                statements.execute("UPDATE backup SET done_ms = coalesce(done_ms, ?) WHERE id = ?", (now_ms, number))
                return raised


def copy(path: Path, to: Path) -> None:
    """A whole copy of the embedded database, verified, on its medium; the name appears when all of it is there.

    Raises BackupError. The collector goes on meanwhile.
    """
    draft = to.with_name(to.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        with (
            contextlib.closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", BUSY_TIMEOUT_S, uri=True)
            ) as source,
            contextlib.closing(sqlite3.connect(draft)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            found = target.execute("PRAGMA integrity_check").fetchall()
            if found != [("ok",)]:
                raise BackupError(f"the copy in {draft} is damaged: {found[0][0]}")
        _flush(draft)
        draft.replace(to)
        _flush(to.absolute().parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{to}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
