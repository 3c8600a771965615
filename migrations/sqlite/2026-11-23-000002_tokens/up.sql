-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE tokens (
    -- SHA-256 of the token; the token itself is kept nowhere.
    digest BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX tokens_name_unless_revoked ON tokens (name) WHERE revoked_at IS NULL;
