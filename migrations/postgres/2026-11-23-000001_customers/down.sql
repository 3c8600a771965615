DROP TABLE customers;
DROP SEQUENCE customers_id;
