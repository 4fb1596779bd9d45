-- Goods by the litre and by the metre. SQLite changes no CHECK of a table that there is; `search` goes by the table's name and
-- its rowids, which stay.
CREATE TABLE item_5 (
    gtin        INTEGER PRIMARY KEY CHECK (gtin BETWEEN 0 AND 99999999999999),
    name        TEXT NOT NULL,
    unit        TEXT NOT NULL CHECK (unit IN ('each', 'kg', 'l', 'm')),
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
    tax         TEXT NOT NULL,
    dated       INTEGER NOT NULL DEFAULT 0 CHECK (dated IN (0, 1)), -- whether `price` has rows of it
    traits      TEXT -- what few items have (core.catalogue.Traits), as JSON; NULL for most
) STRICT;
INSERT INTO item_5 (gtin, name, unit, price_minor, tax, dated, traits)
    SELECT gtin, name, unit, price_minor, tax, dated, traits FROM item ORDER BY gtin;
DROP TABLE item;
ALTER TABLE item_5 RENAME TO item;
