-- A lock is what is left of it (`locked_ms`, 0 for none) at a moment of a boot: the wall clock can be set, a boot's own
-- clock cannot. What was locked until some time of day is locked for the whole while, from the next look on.
ALTER TABLE pin ADD COLUMN locked_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pin ADD COLUMN seen_boot TEXT NOT NULL DEFAULT '';
ALTER TABLE pin ADD COLUMN seen_up_ms INTEGER NOT NULL DEFAULT 0;
UPDATE pin SET locked_ms = 1800000 WHERE locked_until_ms > 0;
ALTER TABLE pin DROP COLUMN locked_until_ms;
