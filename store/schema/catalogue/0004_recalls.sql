-- Goods that may not be sold, one lot of them or all ('' as lot). They outlive every import, and goods that are not in the
-- catalogue yet may stand here.
CREATE TABLE recall (
    gtin   INTEGER NOT NULL CHECK (gtin BETWEEN 0 AND 99999999999999),
    lot    TEXT NOT NULL,
    id     TEXT NOT NULL,
    reason TEXT NOT NULL,
    since  TEXT NOT NULL, -- a date, 'YYYY-MM-DD'
    PRIMARY KEY (gtin, lot, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX recall_id ON recall (id);
