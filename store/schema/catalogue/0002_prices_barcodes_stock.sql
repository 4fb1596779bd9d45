-- GTINs as integers: a lookup is one step down the table's own tree, with nothing kept twice.
ALTER TABLE item RENAME TO item_1;

CREATE TABLE item (
    gtin        INTEGER PRIMARY KEY CHECK (gtin BETWEEN 0 AND 99999999999999),
    name        TEXT NOT NULL,
    unit        TEXT NOT NULL CHECK (unit IN ('each', 'kg')),
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
    tax         TEXT NOT NULL,
    dated       INTEGER NOT NULL DEFAULT 0 CHECK (dated IN (0, 1)) -- whether `price` has rows of it
) STRICT;

INSERT INTO item (gtin, name, unit, price_minor, tax)
    SELECT CAST(gtin AS INTEGER), name, unit, unit_price_minor, tax FROM item_1;
DROP TABLE item_1;

-- Another code of an item: `pack` of it, at their price or at one of its own.
CREATE TABLE barcode (
    gtin        INTEGER PRIMARY KEY CHECK (gtin BETWEEN 0 AND 99999999999999),
    item        INTEGER NOT NULL,
    pack        INTEGER NOT NULL CHECK (pack >= 1),
    name        TEXT,
    price_minor INTEGER CHECK (price_minor >= 0),
    dated       INTEGER NOT NULL DEFAULT 0 CHECK (dated IN (0, 1))
) STRICT;
CREATE INDEX barcode_item ON barcode (item);

-- Prices beside the standing one: of a list, or for a time. Local time, 'YYYY-MM-DDTHH:MM', from and not including to;
-- '' and '9999' where a side is open.
CREATE TABLE price (
    gtin        INTEGER NOT NULL,
    list        TEXT NOT NULL,
    valid_from  TEXT NOT NULL,
    valid_to    TEXT NOT NULL,
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
    PRIMARY KEY (gtin, list, valid_from, valid_to),
    CHECK (valid_from < valid_to)
) STRICT, WITHOUT ROWID;

-- What was counted, and what this terminal has sold of it since: on hand is the difference.
CREATE TABLE stock (
    item           INTEGER PRIMARY KEY,
    quantity_milli INTEGER NOT NULL,
    as_of_ms       INTEGER NOT NULL
) STRICT;
CREATE TABLE sold (
    item           INTEGER PRIMARY KEY,
    quantity_milli INTEGER NOT NULL
) STRICT;
-- The journal's last record that `sold` has in it, moved in the same transaction.
CREATE TABLE sold_cursor (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    epoch TEXT NOT NULL,
    seq   INTEGER NOT NULL
) STRICT;

CREATE TABLE version (
    number     INTEGER PRIMARY KEY,
    hash       TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('whole', 'update')),
    applied_ms INTEGER NOT NULL
) STRICT;

CREATE VIRTUAL TABLE search USING fts5(
    name, content = 'item', content_rowid = 'gtin', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO search (search) VALUES ('rebuild');
