CREATE TABLE item (
    gtin             TEXT PRIMARY KEY CHECK (length(gtin) = 14),
    name             TEXT NOT NULL,
    unit             TEXT NOT NULL CHECK (unit IN ('each', 'kg')),
    unit_price_minor INTEGER NOT NULL CHECK (unit_price_minor >= 0),
    tax              TEXT NOT NULL
) STRICT, WITHOUT ROWID;
