-- An order to any number of terminals. What one of them is told stands in told; pending: a second person has to agree.
CREATE TABLE dispatch (
    number        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text NOT NULL,
    params        text NOT NULL,
    role          text NOT NULL,
    issuer        text NOT NULL,
    seconded      text NOT NULL DEFAULT '',
    why           text NOT NULL DEFAULT '',
    state         text NOT NULL CHECK (state IN ('pending', 'open', 'done', 'cancelled', 'lapsed')),
    not_before_ms bigint NOT NULL,
    valid_ms      bigint NOT NULL,
    made_ms       bigint NOT NULL,
    released_ms   bigint,
    ended_ms      bigint
);

CREATE INDEX dispatch_state ON dispatch (state) WHERE state IN ('pending', 'open');

-- One terminal's order. state: held (not signed yet), signed, published, what the terminal says of it, or cancelled.
-- answered: the terminal said its end. kept: it may lie on the broker, and is to be taken off once it has ended.
CREATE TABLE told (
    id           text COLLATE "C" PRIMARY KEY,
    dispatch     bigint NOT NULL,
    terminal     text COLLATE "C" NOT NULL,
    kind         text NOT NULL,
    wave         bigint NOT NULL DEFAULT 0,
    state        text NOT NULL,
    code         text NOT NULL DEFAULT '',
    said         text NOT NULL DEFAULT '',
    output       text NOT NULL DEFAULT '',
    answered     bigint NOT NULL DEFAULT 0 CHECK (answered IN (0, 1)),
    kept         bigint NOT NULL DEFAULT 0 CHECK (kept IN (0, 1)),
    payload      bytea,
    not_after_ms bigint,
    claimed_ms   bigint NOT NULL DEFAULT 0,
    signed_ms    bigint,
    changed_ms   bigint NOT NULL,
    said_ms      bigint NOT NULL DEFAULT 0,
    UNIQUE (dispatch, terminal)
);

CREATE INDEX told_due ON told (state, claimed_ms) WHERE state IN ('signed', 'published', 'accepted', 'waiting', 'running');
CREATE INDEX told_kept ON told (state) WHERE kept = 1;

-- The number of the newest order that was signed for a terminal: none is ever signed twice with one number.
CREATE TABLE order_counter (
    terminal text COLLATE "C" PRIMARY KEY,
    counter  bigint NOT NULL
);

-- An order that goes out in waves. waves: shares of all in basis points, ascending, JSON. stop_bp: above so many failures
-- in ten thousand of those that were told, it stops. silent_ms: who has said nothing for so long counts as one.
CREATE TABLE rollout (
    dispatch  bigint PRIMARY KEY,
    waves     text NOT NULL,
    stop_bp   bigint NOT NULL,
    silent_ms bigint NOT NULL,
    rest_ms   bigint NOT NULL,
    state     text NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'done', 'aborted')),
    wave      bigint NOT NULL DEFAULT 0,
    why       text NOT NULL DEFAULT '',
    quiet_ms  bigint
);
