-- An order to any number of terminals. What one of them is told stands in told; pending: a second person has to agree.
CREATE TABLE dispatch (
    number        INTEGER PRIMARY KEY,
    kind          TEXT NOT NULL,
    params        TEXT NOT NULL,
    role          TEXT NOT NULL,
    issuer        TEXT NOT NULL,
    seconded      TEXT NOT NULL DEFAULT '',
    why           TEXT NOT NULL DEFAULT '',
    state         TEXT NOT NULL CHECK (state IN ('pending', 'open', 'done', 'cancelled', 'lapsed')),
    not_before_ms INTEGER NOT NULL,
    valid_ms      INTEGER NOT NULL,
    made_ms       INTEGER NOT NULL,
    released_ms   INTEGER,
    ended_ms      INTEGER
) STRICT;

CREATE INDEX dispatch_state ON dispatch (state) WHERE state IN ('pending', 'open');

-- One terminal's order. state: held (not signed yet), signed, published, what the terminal says of it, or cancelled.
-- answered: the terminal said its end. kept: it may lie on the broker, and is to be taken off once it has ended.
CREATE TABLE told (
    id           TEXT PRIMARY KEY,
    dispatch     INTEGER NOT NULL,
    terminal     TEXT NOT NULL,
    kind         TEXT NOT NULL,
    wave         INTEGER NOT NULL DEFAULT 0,
    state        TEXT NOT NULL,
    code         TEXT NOT NULL DEFAULT '',
    said         TEXT NOT NULL DEFAULT '',
    output       TEXT NOT NULL DEFAULT '',
    answered     INTEGER NOT NULL DEFAULT 0 CHECK (answered IN (0, 1)),
    kept         INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1)),
    payload      BLOB,
    not_after_ms INTEGER,
    claimed_ms   INTEGER NOT NULL DEFAULT 0,
    signed_ms    INTEGER,
    changed_ms   INTEGER NOT NULL,
    said_ms      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (dispatch, terminal)
) STRICT;

CREATE INDEX told_due ON told (state, claimed_ms) WHERE state IN ('signed', 'published', 'accepted', 'waiting', 'running');
CREATE INDEX told_kept ON told (state) WHERE kept = 1;

-- The number of the newest order that was signed for a terminal: none is ever signed twice with one number.
CREATE TABLE order_counter (
    terminal TEXT PRIMARY KEY,
    counter  INTEGER NOT NULL
) STRICT;

-- An order that goes out in waves. waves: shares of all in basis points, ascending, JSON. stop_bp: above so many failures
-- in ten thousand of those that were told, it stops. silent_ms: who has said nothing for so long counts as one.
CREATE TABLE rollout (
    dispatch  INTEGER PRIMARY KEY,
    waves     TEXT NOT NULL,
    stop_bp   INTEGER NOT NULL,
    silent_ms INTEGER NOT NULL,
    rest_ms   INTEGER NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'done', 'aborted')),
    wave      INTEGER NOT NULL DEFAULT 0,
    why       TEXT NOT NULL DEFAULT '',
    quiet_ms  INTEGER
) STRICT;
