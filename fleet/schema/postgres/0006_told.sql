-- What each terminal last told under each topic: `info`, `tele/…`. Of no weight for money.
CREATE TABLE report (
    terminal text COLLATE "C" NOT NULL,
    topic    text COLLATE "C" NOT NULL,
    told_ms  bigint NOT NULL,
    body     text NOT NULL,
    PRIMARY KEY (terminal, topic)
) WITH (fillfactor = 70);

ALTER TABLE presence DROP COLUMN measurements;

-- Alarms, those that are over too. since_ms and told_ms are by the terminal's clock, raised_ms and cleared_ms by ours.
CREATE TABLE alarm (
    terminal   text COLLATE "C" NOT NULL,
    type       text COLLATE "C" NOT NULL,
    since_ms   bigint NOT NULL,
    told_ms    bigint NOT NULL,
    severity   text NOT NULL,
    text       text NOT NULL,
    params     text NOT NULL,
    raised_ms  bigint NOT NULL,
    cleared_ms bigint,
    PRIMARY KEY (terminal, type, since_ms)
) WITH (fillfactor = 70);

CREATE INDEX alarm_raised ON alarm (terminal) WHERE cleared_ms IS NULL;
CREATE INDEX alarm_history ON alarm (terminal, raised_ms);

-- What the webhook has still to be told. Whoever tells it moves due_ms on before he does.
CREATE TABLE notice (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_ms bigint NOT NULL,
    body    text NOT NULL,
    tries   bigint NOT NULL,
    due_ms  bigint NOT NULL
);
