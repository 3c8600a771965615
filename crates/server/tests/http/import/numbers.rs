//! Ids and accounts that are made for rows without: none that the file brings.

use serde_json::Value;

use super::{imported, write};
use crate::support::{Home, TestServer};

cases! {
    both: [
        what_a_refused_row_brings_is_made_for_nobody,
        an_id_of_a_refused_row_is_made_for_nobody,
        who_was_there_already_has_come_in,
        accounts_are_made_when_all_others_are_in,
        ids_that_are_brought_in_a_row_are_passed_over,
        deleted_ones_are_known_without_id_and_account,
        when_it_was_created_is_part_of_what_a_row_says,
        nobody_who_waits_comes_in_where_it_cannot_be_read_to_its_end,
        a_dry_run_knows_whom_it_would_have_changed,
        many_of_one_name_come_in_once,
        whoever_was_deleted_since_does_not_come_in_again,
    ]
}

fn names(home: &Home) -> Vec<String> {
    home.database.values("SELECT name AS value FROM customers ORDER BY name")
}

async fn what_a_refused_row_brings_is_made_for_nobody(home: Home) {
    // Refused for its value, for its length, and for one on a line that is passed over.
    for (wrong, how) in [
        ("CL000001,Dora,maybe\n", &[][..]),
        ("cl000001,Dora\n", &[]),
        ("CL000001,Dora,maybe\nE1,Emil,\n", &["--start-at", "4"]),
    ] {
        let table = |anna: &str, dora: &str| format!("customerAccount,name,vip\n{anna}{dora}");
        write(&home, "r.csv", table("", wrong) + ",Anna,\n");
        let ran = home.run(&[&["import", "r.csv"], how].concat());
        assert!(ran.stdout.contains(" created"), "{ran:?}");
        let right = "CL000001,Dora,no\n";
        write(&home, "r.csv", table(",Anna,\n", right));
        let ran = home.run(&["import", "r.csv", "--on-conflict", "update"]);
        imported(&ran, 0, "1 created, 0 updated, 1 unchanged");
        assert!(names(&home).starts_with(&["Anna".to_owned(), "Dora".to_owned()]));
        assert_eq!(home.database.count("customers WHERE account_key = 'cl000001'"), 1);
        home.database.execute("DELETE FROM customers");
    }
}

async fn an_id_of_a_refused_row_is_made_for_nobody(home: Home) {
    write(&home, "i.csv", "id,name,vip\n,Anna,\n1,Dora,maybe\n");
    imported(&home.run(&["import", "i.csv", "--ids"]), 1, "1 created, 0 updated, 0 unchanged");
    write(&home, "i.csv", "id,name,vip\n,Anna,\n1,Dora,no\n");
    let ran = home.run(&["import", "i.csv", "--ids", "--on-conflict", "update"]);
    imported(&ran, 0, "1 created, 0 updated, 1 unchanged");
    assert_eq!(names(&home), ["Anna", "Dora"]);
}

async fn who_was_there_already_has_come_in(home: Home) {
    write(&home, "a.csv", "name\nAnna\n");
    imported(&home.run(&["import", "a.csv"]), 0, "1 created");
    write(&home, "b.csv", "id,name\n,Anna\n1,Dora\n");
    let ran = home.run(&["import", "b.csv", "--ids", "--on-conflict", "update"]);
    imported(&ran, 1, "0 created, 0 updated, 1 unchanged, 0 skipped, 1 refused");
    assert!(ran.stderr.contains("than in an earlier row about the same customer"), "{ran:?}");
    assert_eq!(names(&home), ["Anna"]);
}

async fn accounts_are_made_when_all_others_are_in(home: Home) {
    let table = "id,customerAccount,name\n24,X,Zed\n,,Anna\n,CL000025,Dora\n,CL000026,Emil\n";
    write(&home, "o.csv", table);
    let counts = "4 created, 0 updated, 0 unchanged, 0 skipped, 0 refused";
    imported(&home.run(&["import", "o.csv", "--ids", "--dry-run"]), 0, counts);
    imported(&home.run(&["import", "o.csv", "--ids"]), 0, counts);
    imported(&home.run(&["import", "o.csv", "--ids"]), 0, "0 created, 0 updated, 4 unchanged");
    let anna = "customers WHERE id = 27 AND account_key = 'cl000027' AND name = 'Anna'";
    assert_eq!(home.database.count(anna), 1);
}

async fn ids_that_are_brought_in_a_row_are_passed_over(home: Home) {
    // All refused, and behind those that are made first.
    let refused = (3..=3_000).map(|id| format!("{id},,maybe\n")).collect::<String>();
    let rows = (0..5).map(|n| format!(",New {n},\n")).collect::<String>();
    write(&home, "p.csv", format!("id,name,vip\n{rows}{refused}"));
    imported(&home.run(&["import", "p.csv", "--ids"]), 1, "5 created, 0 updated");
    let ids = home.database.values("SELECT CAST(id AS TEXT) AS value FROM customers ORDER BY id");
    assert_eq!(ids, ["1", "2", "3001", "3002", "3003"]);
}

async fn deleted_ones_are_known_without_id_and_account(home: Home) {
    write(&home, "d.csv", "name,deleted_at\nAnna,2024-01-01\nAnna,\nAnna,2024-01-02\n");
    imported(&home.run(&["import", "d.csv"]), 0, "3 created");
    for how in [&[][..], &["--dry-run"]] {
        let ran = home.run(&[&["import", "d.csv"], how].concat());
        imported(&ran, 0, "0 created, 0 updated, 3 unchanged");
    }
}

async fn when_it_was_created_is_part_of_what_a_row_says(home: Home) {
    write(&home, "c.csv", "customerAccount,name\nC1,One\n");
    imported(&home.run(&["import", "c.csv"]), 0, "1 created");
    write(&home, "c.csv", "customerAccount,name,created_at\nC1,One,2020-01-02\n");
    let ran = home.run(&["import", "c.csv"]);
    imported(&ran, 1, "1 refused");
    assert!(ran.stderr.contains("created_at differs from that of customer 1"), "{ran:?}");
    let update = ["import", "c.csv", "--on-conflict", "update"];
    imported(&home.run(&update), 0, "1 updated");
    imported(&home.run(&update), 0, "1 unchanged");
    assert_eq!(home.database.count("customers WHERE created_at = 1577923200000000"), 1);
    let changes = "SELECT changes AS value FROM customer_history ORDER BY id";
    let changes: Value = serde_json::from_str(&home.database.values(changes)[1]).expect("JSON");
    assert_eq!(changes["created_at"]["to"], "2020-01-02T00:00:00.000000Z");
    assert!(changes["created_at"]["from"].as_str().is_some_and(|it| it > "2026"), "{changes}");
    assert_eq!(changes.as_object().map(|it| it.len()), Some(1));
}

async fn nobody_who_waits_comes_in_where_it_cannot_be_read_to_its_end(home: Home) {
    let whole = "CL000001,Zed\n,Anna\nC1,One\n\"C2,Two\nCL000002,Dora\n";
    write(&home, "c.csv", format!("customerAccount,name\n{whole}"));
    let ran = home.run(&["import", "c.csv"]);
    imported(&ran, 1, "2 created, 0 updated, 0 unchanged, 0 skipped, 0 refused");
    assert!(ran.stderr.contains("with --start-at 3 it does so at once"), "{ran:?}");
    assert_eq!(names(&home), ["One", "Zed"]);
    write(&home, "c.csv", format!("customerAccount,name\n{}", whole.replace('"', "")));
    let ran = home.run(&["import", "c.csv", "--start-at", "3"]);
    imported(&ran, 0, "3 created, 0 updated, 1 unchanged");
    let dora = "customers WHERE account_key = 'cl000002' AND name = 'Dora'";
    assert_eq!(home.database.count(dora), 1);
}

async fn a_dry_run_knows_whom_it_would_have_changed(home: Home) {
    write(&home, "before.csv", "customerAccount,name\nA4,Carla\n");
    imported(&home.run(&["import", "before.csv"]), 0, "1 created");
    // Carla becomes Dora, and is not the other Carla.
    write(&home, "c.csv", "customerAccount,name\na4,Dora\n,Carla\n");
    let import = ["import", "c.csv", "--on-conflict", "update"];
    let dry = home.run(&[&import[..], &["--dry-run"]].concat());
    imported(&dry, 0, "1 created, 1 updated, 0 unchanged");
    imported(&home.run(&import), 0, "1 created, 1 updated, 0 unchanged");
    assert_eq!(names(&home), ["Carla", "Dora"]);
}

async fn many_of_one_name_come_in_once(home: Home) {
    // More than are compared at once, and all alike in what has a column.
    let row = |n: u32| format!("Particulier,06{n:08}\n");
    let rows = |from: u32| (from..=250).map(row).collect::<String>();
    write(&home, "p.csv", format!("name,phone\n{}", rows(1)));
    let counts = "250 created, 0 updated, 0 unchanged";
    imported(&home.run(&["import", "p.csv", "--dry-run"]), 0, counts);
    // Stopped, for example, behind some of them.
    write(&home, "some.csv", format!("name,phone\n{}", rows(131)));
    imported(&home.run(&["import", "some.csv"]), 0, "120 created");
    let again = ["import", "p.csv"];
    let dry = home.run(&[&again[..], &["--dry-run"]].concat());
    imported(&dry, 0, "130 created, 0 updated, 120 unchanged");
    imported(&home.run(&again), 0, "130 created, 0 updated, 120 unchanged");
    for how in [&["--dry-run"][..], &["--start-at", "99"], &[]] {
        let unchanged = if how.contains(&"99") { "153" } else { "250" };
        let counts = format!("0 created, 0 updated, {unchanged} unchanged");
        imported(&home.run(&[&again[..], how].concat()), 0, &counts);
    }
    // What differs in nothing but that is another one.
    write(&home, "p.csv", format!("name,phone\n{}Particulier,\n", rows(1)));
    imported(&home.run(&again), 0, "1 created, 0 updated, 250 unchanged");
    assert_eq!(home.database.count("customers"), 251);
}

async fn whoever_was_deleted_since_does_not_come_in_again(server: TestServer) {
    let row = |n: u32| format!("Particulier,06{n:08}\nOther {n},06{n:08}\n");
    write(&server.home, "d.csv", format!("name,phone\n{}", (1..=150).map(row).collect::<String>()));
    let import = |how: &[&str]| server.home.run(&[&["import", "d.csv"], how].concat());
    imported(&import(&[]), 0, "300 created");
    for id in [1, 2, 120, 299] {
        assert_eq!(server.delete(&format!("/api/v1/customers/{id}")).await.status, 204);
    }
    for how in [&["--dry-run"][..], &["--on-conflict", "update"], &[]] {
        imported(&import(how), 0, "0 created, 0 updated, 300 unchanged");
    }
    assert_eq!(server.home.database.count("customers WHERE deleted_at IS NOT NULL"), 4);
    // Where it is said that nobody is deleted, they are others.
    let rows = "name,phone,deleted_at\nParticulier,0600000001,\nParticulier,0600000002,\n";
    write(&server.home, "d.csv", rows);
    imported(&import(&[]), 0, "1 created, 0 updated, 1 unchanged");
}
