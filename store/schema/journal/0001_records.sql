-- The chain of records. Nothing here is ever changed: a record is added, and stays.
CREATE TABLE epoch (
    ordinal INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE CHECK (length(id) = 32)
) STRICT;

-- position = epoch.ordinal << 40 | seq: the order of all records, and the row's own number.
CREATE TABLE record (
    position INTEGER PRIMARY KEY,
    exact    BLOB NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    key      TEXT
) STRICT;

CREATE UNIQUE INDEX record_key ON record (key) WHERE key IS NOT NULL;

CREATE TRIGGER record_stays BEFORE UPDATE ON record BEGIN
    SELECT RAISE(ABORT, 'a record is never changed');
END;

CREATE TRIGGER record_is_kept BEFORE DELETE ON record BEGIN
    SELECT RAISE(ABORT, 'a record is never deleted');
END;

CREATE TRIGGER epoch_stays BEFORE UPDATE ON epoch BEGIN
    SELECT RAISE(ABORT, 'an epoch is never changed');
END;

CREATE TRIGGER epoch_is_kept BEFORE DELETE ON epoch BEGIN
    SELECT RAISE(ABORT, 'an epoch is never deleted');
END;

-- How far headquarters has acknowledged an epoch, with its signed answer.
CREATE TABLE outbox (
    epoch TEXT PRIMARY KEY,
    seq   INTEGER NOT NULL,
    ack   BLOB NOT NULL
) STRICT;

-- The till's state after `seq`, so that a boot folds only what came later. `tail` is the journal's own: the end of each
-- chain after `tail_seq`, so that opening the journal reads only what came later.
CREATE TABLE checkpoint (
    id       INTEGER PRIMARY KEY,
    epoch    TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    state    BLOB NOT NULL,
    tail_seq INTEGER NOT NULL,
    tail     BLOB NOT NULL
) STRICT;
