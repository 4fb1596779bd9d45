-- A PIN is somebody's: a role's ('owner', 'technician'), or an operator's ('operator/17').
ALTER TABLE pin RENAME COLUMN role TO subject;
-- Who may work at the till. `badge` is a keyed hash; who was removed stays, so that his id, which stands in the journal,
-- never becomes another's.
CREATE TABLE operator (
    id     TEXT PRIMARY KEY,
    role   TEXT NOT NULL CHECK (role IN ('cashier', 'supervisor', 'technician', 'auditor')),
    name   TEXT NOT NULL DEFAULT '',
    badge  BLOB UNIQUE,
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;
