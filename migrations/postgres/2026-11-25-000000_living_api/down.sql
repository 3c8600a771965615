DROP TABLE customer_totals;
DROP TABLE idempotency_keys;
DROP TABLE customer_history;
DROP TABLE customer_phones;
DROP TABLE customer_keys;
ALTER TABLE customers DROP COLUMN more;
ALTER TABLE customers DROP COLUMN email_address;
ALTER TABLE customers DROP COLUMN main_address_postal_code;
