-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE users (
    -- AUTOINCREMENT: an id is never used again.
    id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 9007199254740991),
    email TEXT NOT NULL,
    -- The folded address, by which it is unique and looked up.
    email_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    -- A string in PHC's format; the password itself is kept nowhere.
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT;

-- SQLite cannot take NOT NULL from a column: the table is made anew.
CREATE TABLE new_tokens (
    -- SHA-256 of the token; the token itself is kept nowhere.
    digest BLOB PRIMARY KEY,
    -- A token has a name, or else it is the one of a user's login.
    name TEXT,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER,
    user_id INTEGER REFERENCES users (id),
    CHECK ((name IS NULL) <> (user_id IS NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO new_tokens (digest, name, scope, created_at, expires_at, last_used_at, revoked_at)
SELECT digest, name, scope, created_at, expires_at, last_used_at, revoked_at FROM tokens;

DROP TABLE tokens;
ALTER TABLE new_tokens RENAME TO tokens;

CREATE UNIQUE INDEX tokens_name_unless_revoked ON tokens (name) WHERE revoked_at IS NULL;
CREATE INDEX tokens_user_id ON tokens (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX tokens_expires_at_of_logins ON tokens (expires_at) WHERE user_id IS NOT NULL;
