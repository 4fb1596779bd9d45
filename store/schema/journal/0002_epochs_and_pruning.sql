-- Where the records of an epoch begin in this journal, if not with its first one: after `seq`, with the ends of the chains
-- there. Either the records up to there were pruned, and the record at position `tombstone` says so; or they were never
-- here, because the journal was founded on what another medium held.
CREATE TABLE base (
    ordinal   INTEGER PRIMARY KEY,
    seq       INTEGER NOT NULL CHECK (seq > 0),
    tail      BLOB NOT NULL,
    tombstone INTEGER
) STRICT;

CREATE TRIGGER base_is_named BEFORE INSERT ON base
WHEN (NEW.tombstone IS NULL AND EXISTS (SELECT 1 FROM record WHERE position >> 40 = NEW.ordinal))
    OR (NEW.tombstone IS NOT NULL AND NOT EXISTS (SELECT 1 FROM record WHERE position = NEW.tombstone))
BEGIN
    SELECT RAISE(ABORT, 'nothing is pruned without a record that says so');
END;

CREATE TRIGGER base_rises BEFORE UPDATE ON base
WHEN NEW.ordinal != OLD.ordinal OR NEW.seq < OLD.seq OR NEW.tombstone IS NULL
    OR NOT EXISTS (SELECT 1 FROM record WHERE position = NEW.tombstone)
BEGIN
    SELECT RAISE(ABORT, 'nothing is pruned without a record that says so');
END;

CREATE TRIGGER base_is_kept BEFORE DELETE ON base BEGIN
    SELECT RAISE(ABORT, 'what was pruned stays so');
END;

-- Only what was pruned may go, and never an epoch's first record.
DROP TRIGGER record_is_kept;
CREATE TRIGGER record_is_kept BEFORE DELETE ON record
WHEN OLD.position & 1099511627775 = 1 OR NOT EXISTS (
    SELECT 1 FROM base
    WHERE ordinal = OLD.position >> 40 AND OLD.position & 1099511627775 <= seq AND tombstone IS NOT NULL
)
BEGIN
    SELECT RAISE(ABORT, 'a record is never deleted');
END;

-- What this journal knows of the slot file beside it: the key that its slots are authenticated with, whether one was ever
-- put on the medium, and what medium and board that was.
CREATE TABLE anchoring (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    key     BLOB NOT NULL CHECK (length(key) = 32),
    binding BLOB NOT NULL CHECK (length(binding) = 32),
    kept    INTEGER NOT NULL
) STRICT;

INSERT INTO anchoring (id, key, binding, kept) VALUES (1, randomblob(32), zeroblob(32), 0);

-- Each change has a higher version than the one before, so that an older page shows.
ALTER TABLE outbox ADD COLUMN version INTEGER NOT NULL DEFAULT 0;

-- SHA-256 of `state`.
ALTER TABLE checkpoint ADD COLUMN digest BLOB;
