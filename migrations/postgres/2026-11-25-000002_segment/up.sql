ALTER TABLE customers ADD COLUMN segment TEXT;
ALTER TABLE customer_keys ADD COLUMN segment TEXT COLLATE "C";
CREATE INDEX customer_keys_segment ON customer_keys (segment, id)
    WHERE deleted_at IS NULL AND segment IS NOT NULL;
