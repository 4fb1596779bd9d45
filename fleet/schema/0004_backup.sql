-- told_archived: the archived_hwm that the terminal was last told of; below it, it is to be told again.
ALTER TABLE epoch ADD COLUMN told_archived INTEGER NOT NULL DEFAULT 0;

CREATE INDEX epoch_untold ON epoch (terminal, epoch) WHERE archived_hwm > told_archived;

-- A backup of this database: how far each epoch was held when it began. done_ms: it is known to be whole.
CREATE TABLE backup (
    id       INTEGER PRIMARY KEY,
    began_ms INTEGER NOT NULL,
    done_ms  INTEGER
) STRICT;

CREATE TABLE backup_mark (
    backup      INTEGER NOT NULL,
    terminal    TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    hwm         INTEGER NOT NULL,
    PRIMARY KEY (backup, terminal, epoch)
) STRICT, WITHOUT ROWID;

-- What people decided about it: released or dropped, and why.
ALTER TABLE quarantine ADD COLUMN decision TEXT;
ALTER TABLE quarantine ADD COLUMN decided_why TEXT;
