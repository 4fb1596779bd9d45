-- What headquarters holds, as in the embedded database; a record is (terminal, epoch, seq), its exact bytes never change.
-- Text is compared byte by byte, so that no upgrade of the system's locales can damage an index.
CREATE TABLE headquarters (
    id         smallint PRIMARY KEY CHECK (id = 1),
    generation bigint NOT NULL
);

CREATE TABLE terminal (
    id          text COLLATE "C" PRIMARY KEY,
    signing_key bytea NOT NULL CHECK (length(signing_key) = 32),
    trust       text NOT NULL CHECK (trust IN ('first-use', 'pinned')),
    trusted_ms  bigint NOT NULL
);

CREATE TABLE presence (
    terminal     text COLLATE "C" PRIMARY KEY,
    seen_ms      bigint NOT NULL,
    state        text,
    boot         text,
    connection   bigint,
    measurements text
) WITH (fillfactor = 70);

CREATE TABLE epoch (
    terminal     text COLLATE "C" NOT NULL,
    epoch        text COLLATE "C" NOT NULL,
    hwm          bigint NOT NULL,
    hash_at_hwm  bytea NOT NULL CHECK (length(hash_at_hwm) = 32),
    archived_hwm bigint NOT NULL,
    top_seq      bigint NOT NULL,
    signature    bytea NOT NULL,
    PRIMARY KEY (terminal, epoch)
) WITH (fillfactor = 70);

-- By terminal: a key must hold the partition's column, and all that is asked on the way in is asked of one terminal.
CREATE TABLE record (
    terminal text COLLATE "C" NOT NULL,
    epoch    text COLLATE "C" NOT NULL,
    seq      bigint NOT NULL,
    exact    bytea NOT NULL,
    hash     bytea NOT NULL,
    PRIMARY KEY (terminal, epoch, seq)
) PARTITION BY HASH (terminal);

DO $$ BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE record_%s PARTITION OF record FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
                       lpad(part::text, 2, '0'), part);
    END LOOP;
END $$;

CREATE FUNCTION record_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a record is never changed';
END $$;

CREATE TRIGGER record_stays BEFORE UPDATE ON record FOR EACH ROW EXECUTE FUNCTION record_stays();

-- Completed sales, by business day, which is text as its terminal wrote it: a day that is none goes to the rest.
CREATE TABLE retail_transaction (
    terminal     text COLLATE "C" NOT NULL,
    epoch        text COLLATE "C" NOT NULL,
    seq          bigint NOT NULL,
    number       bigint NOT NULL,
    business_day text COLLATE "C" NOT NULL,
    currency     text NOT NULL,
    total_minor  bigint NOT NULL,
    change_minor bigint NOT NULL,
    time_ms      bigint NOT NULL,
    PRIMARY KEY (terminal, epoch, seq, business_day)
) PARTITION BY RANGE (business_day);

CREATE TABLE retail_transaction_rest PARTITION OF retail_transaction DEFAULT;

-- A partition a quarter, for thirty years.
DO $$
DECLARE
    starts date := '2025-01-01';
    ends date;
BEGIN
    WHILE starts < '2055-01-01' LOOP
        ends := starts + interval '3 months';
        EXECUTE format('CREATE TABLE retail_transaction_%s PARTITION OF retail_transaction FOR VALUES FROM (%L) TO (%L)',
                       to_char(starts, 'YYYY_"q"Q'), to_char(starts, 'YYYY-MM-DD'), to_char(ends, 'YYYY-MM-DD'));
        starts := ends;
    END LOOP;
END $$;

CREATE INDEX retail_transaction_day ON retail_transaction (business_day);

CREATE TABLE quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    terminal    text COLLATE "C" NOT NULL,
    digest      bytea NOT NULL,
    reason      text NOT NULL,
    detail      text NOT NULL,
    epoch       text COLLATE "C",
    first_seq   bigint,
    last_seq    bigint,
    last_hash   bytea,
    passed      smallint NOT NULL CHECK (passed IN (0, 1)),
    payload     bytea NOT NULL,
    times       bigint NOT NULL,
    received_ms bigint NOT NULL,
    settled_ms  bigint,
    UNIQUE (terminal, digest)
);

CREATE INDEX quarantine_range ON quarantine (terminal, epoch, first_seq);
