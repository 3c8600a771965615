-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE customers (
    -- AUTOINCREMENT: an id is never used again.
    id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 9007199254740991),
    brand_id INTEGER NOT NULL,
    representative_id INTEGER,
    customer_account TEXT NOT NULL,
    -- The folded account, by which it is unique and looked up.
    account_key TEXT NOT NULL UNIQUE,
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
    active INTEGER NOT NULL,
    is_reseller INTEGER NOT NULL,
    reseller_level INTEGER NOT NULL,
    charge_vat INTEGER NOT NULL,
    apply_vat_auto_reverse_operators INTEGER NOT NULL,
    on_call_duty INTEGER NOT NULL,
    vip INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
