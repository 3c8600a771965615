DROP INDEX customer_keys_segment;
ALTER TABLE customer_keys DROP COLUMN segment;
ALTER TABLE customers DROP COLUMN segment;
