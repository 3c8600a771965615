CREATE SEQUENCE users_id MAXVALUE 9007199254740991;

-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE users (
    id BIGINT PRIMARY KEY DEFAULT nextval('users_id'),
    email TEXT NOT NULL,
    -- The folded address, by which it is unique and looked up.
    email_key TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    -- A string in PHC's format; the password itself is kept nowhere.
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);

-- A token has a name, or else it is the one of a user's login.
ALTER TABLE tokens ALTER COLUMN name DROP NOT NULL;
ALTER TABLE tokens ADD COLUMN user_id BIGINT REFERENCES users (id);
ALTER TABLE tokens ADD CHECK ((name IS NULL) <> (user_id IS NULL));

CREATE INDEX tokens_user_id ON tokens (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX tokens_expires_at_of_logins ON tokens (expires_at) WHERE user_id IS NOT NULL;
