-- The configurations that terminals are to have; the newest version counts. published_ms: the broker has it.
CREATE TABLE desired (
    terminal     TEXT NOT NULL,
    version      INTEGER NOT NULL,
    hash         TEXT NOT NULL,
    doc          TEXT NOT NULL,
    payload      BLOB NOT NULL,
    issuer       TEXT NOT NULL,
    why          TEXT NOT NULL,
    made_ms      INTEGER NOT NULL,
    claimed_ms   INTEGER NOT NULL DEFAULT 0,
    published_ms INTEGER,
    PRIMARY KEY (terminal, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX desired_due ON desired (claimed_ms) WHERE published_ms IS NULL;

-- What terminals say of the configuration that they were last told.
CREATE TABLE reported (
    terminal TEXT PRIMARY KEY,
    version  INTEGER NOT NULL,
    hash     TEXT NOT NULL,
    state    TEXT NOT NULL,
    active   TEXT NOT NULL,
    code     TEXT NOT NULL,
    said     TEXT NOT NULL,
    said_ms  INTEGER NOT NULL,
    heard_ms INTEGER NOT NULL
) STRICT;
