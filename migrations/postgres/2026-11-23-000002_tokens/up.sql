-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE tokens (
    -- SHA-256 of the token; the token itself is kept nowhere.
    digest BYTEA PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
);

CREATE UNIQUE INDEX tokens_name_unless_revoked ON tokens (name) WHERE revoked_at IS NULL;
