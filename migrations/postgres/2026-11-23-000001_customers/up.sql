-- Ids are drawn from here, in blocks; none is used twice, and all fit into a double.
CREATE SEQUENCE customers_id MAXVALUE 9007199254740991;

-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE customers (
    id BIGINT PRIMARY KEY CHECK (id BETWEEN 1 AND 9007199254740991),
    brand_id INTEGER NOT NULL,
    representative_id INTEGER,
    customer_account TEXT NOT NULL,
    -- The folded account, by which it is unique and looked up.
    account_key TEXT COLLATE "C" NOT NULL UNIQUE,
    accounts_reference TEXT,
    name TEXT NOT NULL,
    brand TEXT,
    registration_number TEXT,
    tax_registration_number TEXT,
    company_type TEXT,
    capital TEXT,
    main_address_line1 TEXT,
    main_address_line2 TEXT,
    main_address_city TEXT,
    main_address_country TEXT,
    website TEXT,
    active BOOLEAN NOT NULL,
    is_reseller BOOLEAN NOT NULL,
    reseller_level INTEGER NOT NULL,
    charge_vat BOOLEAN NOT NULL,
    apply_vat_auto_reverse_operators BOOLEAN NOT NULL,
    on_call_duty BOOLEAN NOT NULL,
    vip BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
