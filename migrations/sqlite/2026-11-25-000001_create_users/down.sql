CREATE TABLE old_tokens (
    -- SHA-256 of the token; the token itself is kept nowhere.
    digest BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO old_tokens (digest, name, scope, created_at, expires_at, last_used_at, revoked_at)
SELECT digest, name, scope, created_at, expires_at, last_used_at, revoked_at
FROM tokens WHERE user_id IS NULL;

DROP TABLE tokens;
ALTER TABLE old_tokens RENAME TO tokens;
CREATE UNIQUE INDEX tokens_name_unless_revoked ON tokens (name) WHERE revoked_at IS NULL;

DROP TABLE users;
