-- Who may give orders at headquarters. failures, locked_until_ms: tries in vain, counted before a password is looked at.
CREATE TABLE fleet_operator (
    name            text COLLATE "C" PRIMARY KEY,
    roles           text NOT NULL,
    hash            text NOT NULL,
    failures        bigint NOT NULL DEFAULT 0,
    locked_until_ms bigint NOT NULL DEFAULT 0,
    disabled        smallint NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    made_ms         bigint NOT NULL
);

-- What they did. hash = SHA-256(the hash before + exact); signature: headquarters' key over it.
CREATE TABLE audit (
    seq       bigint PRIMARY KEY,
    exact     bytea NOT NULL,
    hash      bytea NOT NULL CHECK (length(hash) = 32),
    signature bytea NOT NULL
);

CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was done is never changed, nor forgotten';
END $$;

CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays();

-- Where the log ends. Who writes to it holds this row, so that two never write one number.
CREATE TABLE audit_head (
    id   smallint PRIMARY KEY CHECK (id = 1),
    seq  bigint NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32)
);

INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

-- Where a terminal stands and what it is for; tags: words between single spaces, with one before and after them.
CREATE TABLE registry (
    terminal    text COLLATE "C" PRIMARY KEY,
    site        text NOT NULL DEFAULT '',
    workstation text NOT NULL DEFAULT '',
    tags        text NOT NULL DEFAULT ' ',
    retired_ms  bigint,
    noted_ms    bigint NOT NULL
);
