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
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    tokens (digest) {
        digest -> Binary,
        name -> Text,
        scope -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}
