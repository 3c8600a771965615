ALTER TABLE customers ADD COLUMN main_address_postal_code TEXT;
ALTER TABLE customers ADD COLUMN email_address TEXT;
-- The attributes without a column that are not as they are by default, by their names.
ALTER TABLE customers ADD COLUMN more TEXT NOT NULL DEFAULT '{}';

-- What customers are listed, sorted and searched by. Text is folded and cut to 255 characters, but for
-- searched_text, which is all that is searched.
CREATE TABLE customer_keys (
    id INTEGER PRIMARY KEY,
    customer_account TEXT NOT NULL,
    name TEXT NOT NULL,
    brand_id INTEGER NOT NULL,
    representative_id INTEGER,
    accounts_reference TEXT,
    registration_number TEXT,
    tax_registration_number TEXT,
    company_type TEXT,
    main_address_postal_code TEXT,
    main_address_city TEXT,
    main_address_country TEXT,
    email_address TEXT,
    active INTEGER NOT NULL,
    is_reseller INTEGER NOT NULL,
    on_call_duty INTEGER NOT NULL,
    vip INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    searched_text TEXT NOT NULL,
    -- Rows of another version of folding are made anew when the database is opened.
    fold_version INTEGER NOT NULL
) STRICT;

-- By these customers are sorted. What many customers have in common stands in them, too, so that a
-- list that is sorted by one and filtered by the other reads nothing but the index.
CREATE INDEX customer_keys_name ON customer_keys (
    name, id, brand_id, representative_id, company_type, main_address_postal_code,
    main_address_city, main_address_country, active, is_reseller, on_call_duty, vip, deleted_at
) WHERE deleted_at IS NULL;
CREATE INDEX customer_keys_customer_account ON customer_keys (
    customer_account, id, brand_id, representative_id, company_type, main_address_postal_code,
    main_address_city, main_address_country, active, is_reseller, on_call_duty, vip, deleted_at
) WHERE deleted_at IS NULL;
CREATE INDEX customer_keys_created_at ON customer_keys (
    created_at, id, brand_id, representative_id, company_type, main_address_postal_code,
    main_address_city, main_address_country, active, is_reseller, on_call_duty, vip, deleted_at
) WHERE deleted_at IS NULL;
CREATE INDEX customer_keys_updated_at ON customer_keys (
    updated_at, id, brand_id, representative_id, company_type, main_address_postal_code,
    main_address_city, main_address_country, active, is_reseller, on_call_duty, vip, deleted_at
) WHERE deleted_at IS NULL;

-- By these they are filtered. The time of deletion is what the condition needs to be read from the index
-- alone; behind it stands the id.
CREATE INDEX customer_keys_brand_id ON customer_keys (brand_id, deleted_at)
    WHERE deleted_at IS NULL;
CREATE INDEX customer_keys_representative_id ON customer_keys (representative_id, deleted_at)
    WHERE deleted_at IS NULL AND representative_id IS NOT NULL;
CREATE INDEX customer_keys_accounts_reference ON customer_keys (accounts_reference, deleted_at)
    WHERE deleted_at IS NULL AND accounts_reference IS NOT NULL;
CREATE INDEX customer_keys_registration_number ON customer_keys (registration_number, deleted_at)
    WHERE deleted_at IS NULL AND registration_number IS NOT NULL;
CREATE INDEX customer_keys_tax_registration_number
    ON customer_keys (tax_registration_number, deleted_at)
    WHERE deleted_at IS NULL AND tax_registration_number IS NOT NULL;
CREATE INDEX customer_keys_company_type ON customer_keys (company_type, deleted_at)
    WHERE deleted_at IS NULL AND company_type IS NOT NULL;
CREATE INDEX customer_keys_main_address_postal_code
    ON customer_keys (main_address_postal_code, deleted_at)
    WHERE deleted_at IS NULL AND main_address_postal_code IS NOT NULL;
CREATE INDEX customer_keys_main_address_city ON customer_keys (main_address_city, deleted_at)
    WHERE deleted_at IS NULL AND main_address_city IS NOT NULL;
CREATE INDEX customer_keys_main_address_country ON customer_keys (main_address_country, deleted_at)
    WHERE deleted_at IS NULL AND main_address_country IS NOT NULL;
CREATE INDEX customer_keys_email_address ON customer_keys (email_address, deleted_at)
    WHERE deleted_at IS NULL AND email_address IS NOT NULL;
CREATE INDEX customer_keys_active ON customer_keys (active, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX customer_keys_is_reseller ON customer_keys (is_reseller, deleted_at)
    WHERE deleted_at IS NULL;
CREATE INDEX customer_keys_on_call_duty ON customer_keys (on_call_duty, deleted_at)
    WHERE deleted_at IS NULL;
CREATE INDEX customer_keys_vip ON customer_keys (vip, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX customer_keys_trashed ON customer_keys (id) WHERE deleted_at IS NOT NULL;
CREATE INDEX customer_keys_fold_version ON customer_keys (fold_version);

-- Finds the customers in whose searched_text something occurs.
CREATE VIRTUAL TABLE customer_search USING fts5 (
    searched_text, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);

-- The phone numbers of each customer, their digits from the last to the first.
CREATE TABLE customer_phones (
    digits TEXT NOT NULL,
    customer_id INTEGER NOT NULL,
    PRIMARY KEY (digits, customer_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE customer_history (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    request_id TEXT NOT NULL,
    -- A JSON object of attributes, each with "from" and "to".
    changes TEXT NOT NULL
) STRICT;

CREATE INDEX customer_history_of_customer ON customer_history (customer_id, id);

-- The answers to requests that may be made once only.
CREATE TABLE idempotency_keys (
    -- SHA-256 of the key and of all that it is used for.
    key BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    answer BLOB NOT NULL,
    customer_id INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

-- How many customers there are.
CREATE TABLE customer_totals (
    slot INTEGER PRIMARY KEY,
    live INTEGER NOT NULL,
    deleted INTEGER NOT NULL
) STRICT;

INSERT INTO customer_totals (slot, live, deleted)
SELECT 0, count(*) FILTER (WHERE deleted_at IS NULL), count(*) FILTER (WHERE deleted_at IS NOT NULL)
FROM customers;

-- Folding is not done here: these rows have the version 0, and are made anew when the database is
-- opened.
INSERT INTO customer_keys (
    id, customer_account, name, brand_id, representative_id, accounts_reference,
    registration_number, tax_registration_number, company_type, main_address_postal_code,
    main_address_city, main_address_country, email_address, active, is_reseller, on_call_duty,
    vip, created_at, updated_at, deleted_at, searched_text, fold_version
)
SELECT
    id, '', '', brand_id, representative_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    active, is_reseller, on_call_duty, vip, created_at, updated_at, deleted_at, '', 0
FROM customers;
