-- `tag` is HMAC-SHA256 over a tag's UID, `reference` what stands in the journal.
CREATE TABLE customer (
    tag       BLOB PRIMARY KEY CHECK (length(tag) = 32),
    reference TEXT NOT NULL UNIQUE CHECK (length(reference) = 32)
) STRICT, WITHOUT ROWID;
