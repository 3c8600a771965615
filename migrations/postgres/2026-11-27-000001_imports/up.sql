-- The imports that run: up to when lists are complete is not after the first one's beginning.
CREATE TABLE customer_imports (
    id TEXT PRIMARY KEY,
    -- By the server's clock, as microseconds since 1970-01-01T00:00:00Z.
    started_at BIGINT NOT NULL,
    -- Renewed while the import runs; one that was killed is forgotten after this.
    expires_at BIGINT NOT NULL
);
