-- Who may give orders at headquarters. failures, locked_until_ms: tries in vain, counted before a password is looked at.
CREATE TABLE fleet_operator (
    name            TEXT PRIMARY KEY,
    roles           TEXT NOT NULL,
    hash            TEXT NOT NULL,
    failures        INTEGER NOT NULL DEFAULT 0,
    locked_until_ms INTEGER NOT NULL DEFAULT 0,
    disabled        INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    made_ms         INTEGER NOT NULL
) STRICT;

-- What they did. hash = SHA-256(the hash before + exact); signature: headquarters' key over it.
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY,
    exact     BLOB NOT NULL,
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    signature BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'what was done is never changed');
END;

CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'what was done is never forgotten');
END;

-- Where the log ends. Who writes to it holds this row, so that two never write one number.
CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, zeroblob(32));

-- Where a terminal stands and what it is for; tags: words between single spaces, with one before and after them.
CREATE TABLE registry (
    terminal    TEXT PRIMARY KEY,
    site        TEXT NOT NULL DEFAULT '',
    workstation TEXT NOT NULL DEFAULT '',
    tags        TEXT NOT NULL DEFAULT ' ',
    retired_ms  INTEGER,
    noted_ms    INTEGER NOT NULL
) STRICT;
