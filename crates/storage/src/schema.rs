//! The tables, as both databases have them.

diesel::table! {
    customers (id) {
        id -> BigInt,
        brand_id -> Integer,
        representative_id -> Nullable<Integer>,
        customer_account -> Text,
        account_key -> Text,
        accounts_reference -> Nullable<Text>,
        name -> Text,
        brand -> Nullable<Text>,
        registration_number -> Nullable<Text>,
        tax_registration_number -> Nullable<Text>,
        company_type -> Nullable<Text>,
        capital -> Nullable<Text>,
        main_address_line1 -> Nullable<Text>,
        main_address_line2 -> Nullable<Text>,
        main_address_city -> Nullable<Text>,
        main_address_country -> Nullable<Text>,
        website -> Nullable<Text>,
        active -> Bool,
        is_reseller -> Bool,
        reseller_level -> Integer,
        charge_vat -> Bool,
        apply_vat_auto_reverse_operators -> Bool,
        on_call_duty -> Bool,
        vip -> Bool,
        main_address_postal_code -> Nullable<Text>,
        email_address -> Nullable<Text>,
        more -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    customer_keys (id) {
        id -> BigInt,
        customer_account -> Text,
        name -> Text,
        brand_id -> Integer,
        representative_id -> Nullable<Integer>,
        accounts_reference -> Nullable<Text>,
        registration_number -> Nullable<Text>,
        tax_registration_number -> Nullable<Text>,
        company_type -> Nullable<Text>,
        main_address_postal_code -> Nullable<Text>,
        main_address_city -> Nullable<Text>,
        main_address_country -> Nullable<Text>,
        email_address -> Nullable<Text>,
        active -> Bool,
        is_reseller -> Bool,
        on_call_duty -> Bool,
        vip -> Bool,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
        searched_text -> Text,
        fold_version -> Integer,
    }
}

diesel::table! {
    customer_phones (digits, customer_id) {
        digits -> Text,
        customer_id -> BigInt,
    }
}

diesel::table! {
    customer_history (id) {
        id -> BigInt,
        customer_id -> BigInt,
        at -> BigInt,
        actor -> Text,
        action -> Text,
        request_id -> Text,
        changes -> Text,
    }
}

diesel::table! {
    idempotency_keys (key) {
        key -> Binary,
        fingerprint -> Binary,
        answer -> Binary,
        customer_id -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    customer_totals (slot) {
        slot -> Integer,
        live -> BigInt,
        deleted -> BigInt,
    }
}

diesel::table! {
    tokens (digest) {
        digest -> Binary,
        name -> Nullable<Text>,
        scope -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        user_id -> Nullable<BigInt>,
    }
}

diesel::table! {
    users (id) {
        id -> BigInt,
        email -> Text,
        email_key -> Text,
        name -> Text,
        scope -> Text,
        password_hash -> Text,
        created_at -> BigInt,
        disabled_at -> Nullable<BigInt>,
    }
}

diesel::joinable!(tokens -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(tokens, users);
diesel::allow_tables_to_appear_in_same_query!(customers, customer_keys);
