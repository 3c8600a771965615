-- Erasing a customer removes the answers that repeat its values: without an index, each answer of the last
-- 24 hours would be looked at, and all writes to SQLite would wait for that.
CREATE INDEX idempotency_keys_customer_id ON idempotency_keys (customer_id);
