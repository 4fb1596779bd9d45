-- What headquarters holds. A record is (terminal, epoch, seq); its exact bytes are never changed.
CREATE TABLE headquarters (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    -- Grows whenever this database proves to hold less than it once acknowledged.
    generation INTEGER NOT NULL
) STRICT;

CREATE TABLE terminal (
    id            TEXT PRIMARY KEY,
    signing_key   BLOB NOT NULL CHECK (length(signing_key) = 32),
    trust         TEXT NOT NULL CHECK (trust IN ('first-use', 'pinned')),
    trusted_ms    INTEGER NOT NULL
) STRICT;

-- What a terminal last said of itself; of no weight for money.
CREATE TABLE presence (
    terminal     TEXT PRIMARY KEY,
    seen_ms      INTEGER NOT NULL,
    state        TEXT,
    boot         TEXT,
    connection   INTEGER,
    measurements TEXT
) STRICT;

-- hwm: every record up to it is held, or was put into quarantine. top_seq: the highest record held, and the terminal's
-- signature of the chain's head there.
CREATE TABLE epoch (
    terminal     TEXT NOT NULL,
    epoch        TEXT NOT NULL,
    hwm          INTEGER NOT NULL,
    hash_at_hwm  BLOB NOT NULL CHECK (length(hash_at_hwm) = 32),
    archived_hwm INTEGER NOT NULL,
    top_seq      INTEGER NOT NULL,
    signature    BLOB NOT NULL,
    PRIMARY KEY (terminal, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
    terminal TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    exact    BLOB NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (terminal, epoch, seq)
) STRICT;

CREATE TRIGGER record_stays BEFORE UPDATE ON record BEGIN
    SELECT RAISE(ABORT, 'a record is never changed');
END;

-- Completed sales, as finance counts them.
CREATE TABLE retail_transaction (
    terminal     TEXT NOT NULL,
    epoch        TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    business_day TEXT NOT NULL,
    currency     TEXT NOT NULL,
    total_minor  INTEGER NOT NULL,
    change_minor INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL,
    PRIMARY KEY (terminal, epoch, seq)
) STRICT, WITHOUT ROWID;

-- What could not be taken. passed: the stream moved on without it. Where the range is known, it is the terminal's word.
CREATE TABLE quarantine (
    id          INTEGER PRIMARY KEY,
    terminal    TEXT NOT NULL,
    digest      BLOB NOT NULL,
    reason      TEXT NOT NULL,
    detail      TEXT NOT NULL,
    epoch       TEXT,
    first_seq   INTEGER,
    last_seq    INTEGER,
    last_hash   BLOB,
    passed      INTEGER NOT NULL CHECK (passed IN (0, 1)),
    payload     BLOB NOT NULL,
    times       INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    settled_ms  INTEGER,
    UNIQUE (terminal, digest)
) STRICT;

CREATE INDEX quarantine_range ON quarantine (terminal, epoch, first_seq);

-- The rest of finance is read out of the records' own bytes, so that it costs nothing to take them in.
CREATE VIEW record_body AS
SELECT terminal, epoch, seq,
       json_extract(CAST(exact AS TEXT), '$.stream') AS stream,
       json_extract(CAST(exact AS TEXT), '$.time_ms') AS time_ms,
       json_extract(CAST(exact AS TEXT), '$.body.type') AS type,
       json_extract(CAST(exact AS TEXT), '$.body') AS body
FROM record;

CREATE VIEW transaction_tender AS
SELECT t.terminal, t.epoch, t.seq, t.number, t.currency,
       json_extract(j.value, '$.kind') AS kind,
       json_extract(j.value, '$.amount_minor') AS amount_minor
FROM retail_transaction t
JOIN record r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq,
     json_each(CAST(r.exact AS TEXT), '$.body.tenders') j;

CREATE VIEW transaction_tax AS
SELECT t.terminal, t.epoch, t.seq, t.number, t.currency,
       json_extract(j.value, '$.code') AS code,
       json_extract(j.value, '$.rate_bp') AS rate_bp,
       json_extract(j.value, '$.gross_minor') AS gross_minor,
       json_extract(j.value, '$.net_minor') AS net_minor,
       json_extract(j.value, '$.tax_minor') AS tax_minor
FROM retail_transaction t
JOIN record r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq,
     json_each(CAST(r.exact AS TEXT), '$.body.taxes') j;

-- A transaction's lines as they stood at its completion: added, changed, voided between its opening and its end.
CREATE VIEW transaction_line AS
WITH sale AS (
    SELECT t.*, (
        SELECT max(o.seq) FROM record_body o
        WHERE o.terminal = t.terminal AND o.epoch = t.epoch AND o.seq < t.seq AND o.type = 'transaction_opened'
    ) AS opened_seq
    FROM retail_transaction t
)
SELECT s.terminal, s.epoch, s.seq, s.number,
       json_extract(a.body, '$.line') AS line,
       json_extract(a.body, '$.gtin') AS gtin,
       json_extract(a.body, '$.name') AS name,
       json_extract(a.body, '$.unit') AS unit,
       coalesce(json_extract(c.body, '$.quantity_milli'), json_extract(a.body, '$.quantity_milli')) AS quantity_milli,
       coalesce(json_extract(c.body, '$.amount_minor'), json_extract(a.body, '$.amount_minor')) AS amount_minor,
       json_extract(a.body, '$.unit_price_minor') AS unit_price_minor,
       json_extract(a.body, '$.tax') AS tax,
       EXISTS (
           SELECT 1 FROM record_body v
           WHERE v.terminal = s.terminal AND v.epoch = s.epoch AND v.seq BETWEEN a.seq AND s.seq
             AND v.type = 'line_voided' AND json_extract(v.body, '$.line') = json_extract(a.body, '$.line')
       ) AS voided
FROM sale s
JOIN record_body a ON a.terminal = s.terminal AND a.epoch = s.epoch AND a.seq BETWEEN s.opened_seq AND s.seq
     AND a.type = 'item_added'
LEFT JOIN record_body c ON c.terminal = s.terminal AND c.epoch = s.epoch AND c.seq = (
    SELECT max(q.seq) FROM record_body q
    WHERE q.terminal = s.terminal AND q.epoch = s.epoch AND q.seq BETWEEN a.seq AND s.seq
      AND q.type = 'quantity_changed' AND json_extract(q.body, '$.line') = json_extract(a.body, '$.line')
);
