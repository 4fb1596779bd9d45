-- What each terminal last told under each topic: `info`, `tele/…`. Of no weight for money.
CREATE TABLE report (
    terminal TEXT NOT NULL,
    topic    TEXT NOT NULL,
    told_ms  INTEGER NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (terminal, topic)
) STRICT, WITHOUT ROWID;

ALTER TABLE presence DROP COLUMN measurements;

-- Alarms, those that are over too. since_ms and told_ms are by the terminal's clock, raised_ms and cleared_ms by ours.
CREATE TABLE alarm (
    terminal   TEXT NOT NULL,
    type       TEXT NOT NULL,
    since_ms   INTEGER NOT NULL,
    told_ms    INTEGER NOT NULL,
    severity   TEXT NOT NULL,
    text       TEXT NOT NULL,
    params     TEXT NOT NULL,
    raised_ms  INTEGER NOT NULL,
    cleared_ms INTEGER,
    PRIMARY KEY (terminal, type, since_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX alarm_raised ON alarm (terminal) WHERE cleared_ms IS NULL;
CREATE INDEX alarm_history ON alarm (terminal, raised_ms);

-- What the webhook has still to be told. Whoever tells it moves due_ms on before he does.
CREATE TABLE notice (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    made_ms INTEGER NOT NULL,
    body    TEXT NOT NULL,
    tries   INTEGER NOT NULL,
    due_ms  INTEGER NOT NULL
) STRICT;
