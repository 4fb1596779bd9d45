-- The configurations that terminals are to have; the newest version counts. published_ms: the broker has it.
CREATE TABLE desired (
    terminal     text COLLATE "C" NOT NULL,
    version      bigint NOT NULL,
    hash         text NOT NULL,
    doc          text NOT NULL,
    payload      bytea NOT NULL,
    issuer       text NOT NULL,
    why          text NOT NULL,
    made_ms      bigint NOT NULL,
    claimed_ms   bigint NOT NULL DEFAULT 0,
    published_ms bigint,
    PRIMARY KEY (terminal, version)
);

CREATE INDEX desired_due ON desired (claimed_ms) WHERE published_ms IS NULL;

-- What terminals say of the configuration that they were last told.
CREATE TABLE reported (
    terminal text COLLATE "C" PRIMARY KEY,
    version  bigint NOT NULL,
    hash     text NOT NULL,
    state    text NOT NULL,
    active   text NOT NULL,
    code     text NOT NULL,
    said     text NOT NULL,
    said_ms  bigint NOT NULL,
    heard_ms bigint NOT NULL
);
