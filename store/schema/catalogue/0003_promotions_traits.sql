-- What few items have (core.catalogue.Traits), as JSON; NULL for most.
ALTER TABLE item ADD COLUMN traits TEXT;

-- Promotions from headquarters (core.promotion.Promotion), as JSON.
CREATE TABLE promotion (
    id   TEXT PRIMARY KEY,
    rule TEXT NOT NULL
) STRICT, WITHOUT ROWID;
