-- What is under way is found by its state alone, however much is over.
DROP INDEX told_due;
CREATE INDEX told_state ON told (state, claimed_ms);
