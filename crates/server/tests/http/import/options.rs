//! What is asked for on the command line.

use std::fs;

use serde_json::{Value, json};

use super::{imported, write};
use crate::support::{Home, run};

cases! {
    sqlite: [
        a_column_that_is_not_there_is_told_before_anything_comes_in,
        a_dry_run_changes_no_database,
        a_column_is_mapped_once_and_by_any_name,
        headings_that_are_like_others_are_told,
        options_that_mean_nothing_are_refused,
        a_report_may_go_to_stdout,
        a_dry_run_needs_and_leaves_no_database,
        what_was_exported_raw_comes_back_raw,
    ]
    postgres: [a_dry_run_makes_no_tables]
}

async fn a_column_is_mapped_once_and_by_any_name(home: Home) {
    write(&home, "m.csv", "Client,Nom\nM1,One\n");
    let import = |maps: &[&str]| {
        let maps = maps.iter().flat_map(|map| ["--map", map]);
        home.run(&["import", "m.csv"].into_iter().chain(maps).collect::<Vec<_>>())
    };
    for (maps, told) in [
        (&["Nom=name", "nom=brand"][..], "--map: nom can be one attribute only"),
        (&["Nom=name", "Nom=name"], "--map: Nom and Nom cannot both be name"),
        (&["Nom=name", "Client=Raison sociale"], "--map: Nom and Client cannot both be name"),
        (&["Nom=nmae"], "no attribute called nmae; there are id, brand_id, "),
        (&["Nom=account"], "no attribute called account; is customerAccount meant?"),
    ] {
        let ran = import(maps);
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    imported(&import(&["Nom=Raison sociale", "Client=customer_account"]), 0, "1 created");
    assert_eq!(home.database.count("customers WHERE name = 'One' AND account_key = 'm1'"), 1);
}

async fn a_column_that_is_not_there_is_told_before_anything_comes_in(home: Home) {
    write(&home, "m.csv", "customerAccount,name\nM1,One\n");
    let ran = home.run(&["import", "m.csv", "--map", "Mail=emailAddress"]);
    imported(&ran, 1, "0 created");
    assert!(ran.stderr.contains("--map: there is no column Mail"), "{ran:?}");
    assert_eq!(home.database.count("customers"), 0);
}

async fn a_dry_run_changes_no_database(home: Home) {
    write(&home, "d.csv", "customerAccount,name\nD1,One\n");
    let path = home.database.path();
    fs::write(&path, "").expect("a file");
    let dry = || home.run(&["import", "d.csv", "--dry-run"]);
    imported(&dry(), 0, "Nothing is written. It would be: 1 created");
    assert_eq!(fs::read(&path).expect("a file"), b"");
    home.run_well(&["migrate"]);
    let last = "(SELECT max(version) FROM __diesel_schema_migrations)";
    let forget = format!("DELETE FROM __diesel_schema_migrations WHERE version = {last}");
    home.database.execute(&forget);
    let noted = home.database.count("__diesel_schema_migrations");
    let ran = dry();
    imported(&ran, 1, "");
    assert!(ran.stderr.contains("run `customers migrate` first"), "{ran:?}");
    assert_eq!(home.database.count("__diesel_schema_migrations"), noted);
}

async fn a_dry_run_makes_no_tables(home: Home) {
    write(&home, "d.csv", "customerAccount,name\nD1,One\n");
    imported(&home.run(&["import", "d.csv", "--dry-run"]), 0, "It would be: 1 created");
    assert_eq!(home.database.count("pg_tables WHERE schemaname = 'public'"), 0);
}

async fn headings_that_are_like_others_are_told(home: Home) {
    write(&home, "l.csv", "account,name,Notes,Ville,Villes\nL1,One,x,Rennes,\n");
    let ran = home.run(&["import", "l.csv"]);
    imported(&ran, 0, "1 created");
    for told in [
        "the column account is unknown and ignored; is it customerAccount? \
         --map \"account=customerAccount\" says so",
        "the column Notes is unknown and ignored; --map \"Notes=ATTRIBUTE\"",
        // Another column holds what this one is like.
        "the column Villes is unknown and ignored; --map \"Villes=ATTRIBUTE\"",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
}

async fn options_that_mean_nothing_are_refused(home: Home) {
    write(&home, "a.csv", "name\nOne\n");
    write(&home, "a.ndjson", "{\"name\":\"One\"}\n");
    write(&home, "a.xlsx", super::spreadsheets::workbook("", ""));
    for (arguments, told) in [
        (&["a.csv", "--sheet", "Other"][..], "--sheet is for XLSX and ODS only, and this is CSV"),
        (&["a.ndjson", "--sheet", "Other"], "--sheet is for XLSX and ODS only, and this is NDJSON"),
        (&["a.ndjson", "--separator", ";"], "--separator is for CSV only, and this is NDJSON"),
        (&["a.xlsx", "--separator", "tab"], "--separator is for CSV only, and this is XLSX"),
        (&["a.xlsx", "--raw"], "--raw is for CSV only, and this is XLSX"),
    ] {
        let ran = home.run(&[&["import"], arguments].concat());
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    assert!(!home.database.path().exists());
}

async fn a_report_may_go_to_stdout(home: Home) {
    write(&home, "r.csv", "customerAccount,name\nR1,One\nR2,\n");
    let ran = home.run(&["import", "r.csv", "--report", "-"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let fault: Value = serde_json::from_str(&ran.stdout).expect("one object");
    let expected =
        json!({ "line": 3, "column": "name", "field": "name", "message": "is required" });
    assert_eq!(fault, expected);
    assert!(ran.stderr.contains("1 created, 0 updated"), "{ran:?}");
    assert!(ran.stderr.ends_with("error: 1 did not come in\n"), "{ran:?}");
    assert!(!home.folder().join("-").exists());
}

async fn a_dry_run_needs_and_leaves_no_database(home: Home) {
    write(&home, "d.csv", "customerAccount,name\nD1,One\nD1,One\n");
    let folders = || fs::read_dir(home.folder()).expect("a folder").count();
    let temporary = home.folder().join("d.csv.tmp");
    fs::create_dir(&temporary).expect("a folder");
    let there = folders();
    for url in ["sqlite://new.db", "sqlite://no/such/new.db"] {
        let mut import = home.command();
        import.args(["import", "d.csv", "--dry-run"]).env("DATABASE_URL", url);
        let ran = run(import.env("TMPDIR", &temporary));
        imported(&ran, 0, "Nothing is written. It would be: 1 created, 0 updated, 1 unchanged");
        assert_eq!(folders(), there);
        assert_eq!(fs::read_dir(&temporary).expect("a folder").count(), 0);
    }
}

async fn what_was_exported_raw_comes_back_raw(home: Home) {
    let names = ["=1", "'=1", "''+1", "'s-Hertogenbosch", "plain"];
    let lines = names.map(|name| format!("{}\n", json!({ "name": name })));
    write(&home, "r.ndjson", lines.concat());
    imported(&home.run(&["import", "r.ndjson"]), 0, "5 created");
    home.run_well(&["export", "raw.csv", "--raw"]);
    imported(&home.run(&["import", "raw.csv", "--raw"]), 0, "5 unchanged");
    // Without it, what an export guards by itself is taken away.
    imported(&home.run(&["import", "raw.csv"]), 1, "3 unchanged, 0 skipped, 2 refused");
}
