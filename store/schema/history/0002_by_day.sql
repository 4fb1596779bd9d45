-- Whatever is looked for is found together with its business day by one walk along one index, the newest day first.
-- `day` is the business day as a number, 20261124; 0 where it is not known.
CREATE TABLE sale_item_2 (
    gtin      TEXT NOT NULL,
    day       INTEGER NOT NULL,
    sale      INTEGER NOT NULL,
    cancelled INTEGER NOT NULL CHECK (cancelled IN (0, 1)),
    PRIMARY KEY (gtin, day, sale)
) STRICT, WITHOUT ROWID;

INSERT INTO sale_item_2 SELECT gtin, CAST(replace(business_day, '-', '') AS INTEGER), sale, status = 'cancelled'
    FROM sale_item JOIN sale ON id = sale ORDER BY 1, 2, 3;
DROP TABLE sale_item;
ALTER TABLE sale_item_2 RENAME TO sale_item;

CREATE TABLE sale_tender_2 (
    kind TEXT NOT NULL,
    day  INTEGER NOT NULL,
    sale INTEGER NOT NULL,
    PRIMARY KEY (kind, day, sale)
) STRICT, WITHOUT ROWID;

INSERT INTO sale_tender_2 SELECT kind, CAST(replace(business_day, '-', '') AS INTEGER), sale
    FROM sale_tender JOIN sale ON id = sale ORDER BY 1, 2, 3;
DROP TABLE sale_tender;
ALTER TABLE sale_tender_2 RENAME TO sale_tender;

DROP INDEX sale_operator;
CREATE INDEX sale_operator ON sale (operator, business_day, id) WHERE operator IS NOT NULL;
CREATE INDEX sale_cancelled ON sale (business_day, id, operator) WHERE status = 'cancelled';
