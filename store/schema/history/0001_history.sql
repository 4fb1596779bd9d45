-- What can be asked of finished transactions. Nothing here is the only copy of anything: it is folded from the journal up to
-- `cursor`, and can be thrown away and folded again.
CREATE TABLE sale (
    id           INTEGER PRIMARY KEY,
    epoch        TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('completed', 'cancelled')),
    business_day TEXT NOT NULL,
    operator     TEXT,
    total_minor  INTEGER NOT NULL,
    whole        BLOB NOT NULL,
    UNIQUE (epoch, seq)
) STRICT;

CREATE INDEX sale_number ON sale (number);
CREATE INDEX sale_day ON sale (business_day, id);
CREATE INDEX sale_operator ON sale (operator, id) WHERE operator IS NOT NULL;

CREATE TABLE sale_item (
    gtin TEXT NOT NULL,
    sale INTEGER NOT NULL,
    PRIMARY KEY (gtin, sale)
) STRICT, WITHOUT ROWID;

CREATE TABLE sale_tender (
    kind TEXT NOT NULL,
    sale INTEGER NOT NULL,
    PRIMARY KEY (kind, sale)
) STRICT, WITHOUT ROWID;

-- How far the journal has been folded, the chain's hash there, and the transaction that was open. One row.
CREATE TABLE cursor (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL,
    seq   INTEGER NOT NULL,
    hash  BLOB NOT NULL,
    open  BLOB NOT NULL
) STRICT;
