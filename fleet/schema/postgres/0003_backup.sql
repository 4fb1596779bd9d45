-- told_archived: the archived_hwm that the terminal was last told of; below it, it is to be told again.
ALTER TABLE epoch ADD COLUMN told_archived bigint NOT NULL DEFAULT 0;

CREATE INDEX epoch_untold ON epoch (terminal, epoch) WHERE archived_hwm > told_archived;

-- A backup of this database: how far each epoch was held when it began. done_ms: it is known to be whole.
CREATE TABLE backup (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_ms bigint NOT NULL,
    done_ms  bigint
);

CREATE TABLE backup_mark (
    backup      bigint NOT NULL,
    terminal    text COLLATE "C" NOT NULL,
    epoch       text COLLATE "C" NOT NULL,
    hwm         bigint NOT NULL,
    PRIMARY KEY (backup, terminal, epoch)
);

-- What people decided about it: released or dropped, and why.
ALTER TABLE quarantine ADD COLUMN decision text;
ALTER TABLE quarantine ADD COLUMN decided_why text;
