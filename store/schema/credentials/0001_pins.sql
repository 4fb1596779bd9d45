-- `failures` counts tries, and is raised before a PIN is checked; `locked_until_ms` is Unix time, 0 for not locked.
CREATE TABLE pin (
    role            TEXT PRIMARY KEY,
    hash            TEXT NOT NULL,
    failures        INTEGER NOT NULL DEFAULT 0,
    locked_until_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
