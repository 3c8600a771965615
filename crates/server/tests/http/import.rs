//! Moving in: customers that come from files.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Home, Ran, TestServer, run};

cases! {
    both: [
        a_spreadsheet_in_windows_1252_comes_in_beside_a_running_server,
        every_mistake_is_told_with_its_line_its_column_and_its_field,
        what_is_there_and_differs_is_refused_skipped_or_changed,
        what_the_list_answers_comes_in_as_it_was,
        all_or_nothing_keeps_nothing_where_a_row_is_wrong,
        customers_without_an_account_come_in_once,
        many_customers_come_in_and_are_found,
    ]
    sqlite: [what_cannot_be_read_is_told]
}

fn write(home: &Home, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(home.folder().join(name), bytes).expect("a file");
}

#[track_caller]
fn imported(ran: &Ran, code: i32, counts: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.stdout.contains(counts), "{ran:?}");
}

async fn a_spreadsheet_in_windows_1252_comes_in_beside_a_running_server(server: TestServer) {
    let (text, ..) = encoding_rs::WINDOWS_1252.encode(
        "COMPTE CLIENT;Raison sociale;Numero de TVA intracommunautaire;Actif;Notes\r\n\
         C-1;Société Générale;FR12;Oui;x\r\n\
         C-2;\"Œuvre; \"\"d'été\"\"\";;non;\r\n",
    );
    write(&server.home, "clients.csv", text);
    let ran = server.home.run(&["import", "clients.csv"]);
    imported(&ran, 0, "2 created, 0 updated, 0 unchanged");
    for said in ["windows-1252", "\";\"", "column Notes is unknown"] {
        assert!(ran.stderr.contains(said), "{said}: {ran:?}");
    }
    let found = server.get("/api/v1/customerAccounts/c-2").await.expect(200);
    assert_eq!(found["name"], "Œuvre; \"d'été\"");
    assert_eq!((&found["active"], &found["taxRegistrationNumber"]), (&json!(false), &Value::Null));
    let hits = server.get("/api/v1/customers/search?term=generale").await.expect(200);
    assert_eq!((&hits["total"], &hits["data"][0]["customerAccount"]), (&json!(1), &json!("C-1")));
    let history = server.get(&format!("/api/v1/customers/{}/history", found["id"])).await;
    assert_eq!(history.expect(200)["data"][0]["actor"], "import");
    // The same with a byte order mark and tabs changes nothing.
    let tabs = "\u{feff}customerAccount\tname\tactive\nC-1\tSociété Générale\ttrue\n";
    write(&server.home, "same.txt", tabs);
    imported(&server.home.run(&["import", "same.txt"]), 0, "0 created, 0 updated, 1 unchanged");
    assert_eq!(server.home.database.count("customer_history"), 2);
    let made = server.create(&json!({ "name": "after" })).await;
    assert!(made["id"].as_i64() > found["id"].as_i64());
}

const MISTAKES: &str = "customerAccount,name,Actif,brand_id,emailAddress,created_at\n\
    M1,Right,1,1,a@example.com,2019-03-01\n\
    M2,,peut-être,0,nobody,\n\
    M3,Right too,,,,soon\n\
    M4,short\n\
    M5,Right as well,no,2,,\n";

async fn every_mistake_is_told_with_its_line_its_column_and_its_field(home: Home) {
    write(&home, "m.csv", MISTAKES);
    let dry = home.run(&["import", "m.csv", "--dry-run"]);
    imported(&dry, 1, "Nothing is written. It would be: 2 created");
    assert_eq!(home.database.count("customers"), 0);
    let ran = home.run(&["import", "m.csv"]);
    imported(&ran, 1, "2 created, 0 updated, 0 unchanged");
    for told in [
        "line 3, column name: name is required",
        "line 3, column Actif: active must be true or false",
        "line 3, column brand_id: brand_id must be at least 1",
        "line 3, column emailAddress: emailAddress must be a valid email address",
        "line 4, column created_at: created_at must be a date",
        "line 5: has 2 values, and there are 6 columns",
    ] {
        assert!(ran.stderr.contains(told) && dry.stderr.contains(told), "{told}: {ran:?}");
    }
    home.run(&["import", "m.csv", "--report", "report.csv"]);
    let report = fs::read_to_string(home.folder().join("report.csv")).expect("a report");
    assert!(report.contains("3,brand_id,brand_id,must be at least 1\n"), "{report}");
    assert_eq!(home.database.count("customers WHERE created_at = 1551398400000000"), 1);
}

async fn what_is_there_and_differs_is_refused_skipped_or_changed(server: TestServer) {
    let before = server
        .create(&json!({ "name": "A", "customerAccount": "X1", "phone": "1", "vip": true }))
        .await;
    write(&server.home, "x.csv", "customerAccount;name;phone;vip\nx1;B;;\n");
    let import = |how: &[&str]| server.home.run(&[&["import", "x.csv"], how].concat());
    let refused = import(&[]);
    imported(&refused, 1, "1 refused");
    assert!(refused.stderr.contains("differs in name, phone"), "{refused:?}");
    imported(&import(&["--on-conflict", "skip"]), 0, "1 skipped");
    imported(&import(&["--on-conflict", "update", "--dry-run"]), 0, "1 updated");
    let path = format!("/api/v1/customers/{}", before["id"]);
    assert_eq!(server.get(&path).await.expect(200), before);
    imported(&import(&["--on-conflict", "update"]), 0, "1 updated");
    imported(&import(&["--on-conflict", "update"]), 0, "1 unchanged");
    let after = server.get(&path).await.expect(200);
    assert_eq!((&after["name"], &after["phone"]), (&json!("B"), &Value::Null));
    // What always has a value keeps it, and so does the spelling of the account.
    assert_eq!((&after["vip"], &after["customerAccount"]), (&json!(true), &json!("X1")));
    assert_eq!(server.home.database.count("customer_history"), 2);
}

async fn what_the_list_answers_comes_in_as_it_was(server: TestServer) {
    for name in ["=1+1", "Zoé", "c"] {
        server
            .create(&json!({ "name": name, "comment": "a\nb", "mobilePhone": "0602030405" }))
            .await;
    }
    server.delete("/api/v1/customers/3").await;
    let list = "/api/v1/customers?filter[trashed]=with&per_page=2";
    let pages = [server.get(list).await, server.get(&format!("{list}&page=2")).await];
    let pages: Vec<u8> = pages.iter().flat_map(|page| page.body.clone()).collect();
    let is_sqlite = server.home.database.url().starts_with("sqlite:");
    let other = if is_sqlite {
        crate::database::TestDatabase::sqlite()
    } else {
        crate::database::TestDatabase::postgres()
    };
    let other = Home::new(other);
    imported(&other.run_reading(&["import", "-"], &pages), 0, "3 created");
    imported(&other.run_reading(&["import", "-"], &pages), 0, "3 unchanged");
    let there = TestServer::start(other, &[]);
    assert_eq!(there.get(list).await.json()["data"], server.get(list).await.json()["data"]);
    assert_eq!(there.get("/api/v1/customers").await.json()["total"], 2);
    let calls = there.get("/api/v1/customers?filter[phone]=%2B33602030405").await.expect(200);
    assert_eq!(calls["total"], 2);
    assert_eq!(there.create(&json!({ "name": "next" })).await["id"], 4);
}

async fn all_or_nothing_keeps_nothing_where_a_row_is_wrong(home: Home) {
    write(&home, "m.csv", MISTAKES);
    let ran = home.run(&["import", "m.csv", "--all-or-nothing"]);
    imported(&ran, 1, "Nothing is kept");
    assert_eq!(home.database.count("customers"), 0);
    write(&home, "right.csv", "Client,Nom\nM1,a\nM2,b\n");
    let map = ["--map", "Client=customerAccount", "--map", "Nom=name", "--all-or-nothing"];
    imported(&home.run(&[&["import", "right.csv"], &map[..]].concat()), 0, "2 created");
    assert_eq!(home.database.count("customers"), 2);
}

async fn customers_without_an_account_come_in_once(home: Home) {
    // The account that would be made for the first is the second's.
    write(
        &home,
        "n.ndjson",
        "{\"name\":\"a\"}\n{\"name\":\"b\",\"customerAccount\":\"CL000001\"}\n{}\nx\n",
    );
    let ran = home.run(&["import", "n.ndjson"]);
    imported(&ran, 1, "2 created, 0 updated, 0 unchanged, 0 skipped, 2 refused");
    assert!(ran.stderr.contains("line 4: is no JSON object"), "{ran:?}");
    assert!(ran.stderr.contains("line 3: name is required"), "{ran:?}");
    imported(&home.run(&["import", "n.ndjson"]), 1, "0 created, 0 updated, 2 unchanged");
    assert_eq!(home.database.count("customers WHERE account_key = 'cl000001' AND name = 'b'"), 1);
}

async fn many_customers_come_in_and_are_found(home: Home) {
    let row = |n: u32| {
        format!("{{\"customerAccount\":\"N{n}\",\"name\":\"Customer {n}\",\"vip\":true}}\n")
    };
    write(&home, "many.ndjson", (1..=4_500).map(row).collect::<String>());
    imported(&home.run(&["import", "many.ndjson"]), 0, "4500 created");
    imported(&home.run(&["import", "many.ndjson"]), 0, "4500 unchanged");
    // The indexes are where they were.
    let server = TestServer::start(home, &[]);
    let found = server.get("/api/v1/customers?filter[vip]=1&sort=-name").await.expect(200);
    assert_eq!(
        (&found["total"], &found["data"][0]["name"]),
        (&json!(4500), &json!("Customer 999"))
    );
    let indexes = match server.home.database.url().starts_with("sqlite:") {
        true => "sqlite_master WHERE type = 'index' AND name LIKE 'customer_keys_%'",
        false => "pg_indexes WHERE indexname LIKE 'customer_keys_%'",
    };
    assert!(server.home.database.count(indexes) > 19);
}

async fn what_cannot_be_read_is_told(home: Home) {
    let ran = home.run(&["import", "nothing.csv"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot read nothing.csv"), "{ran:?}");
    write(&home, "odd.csv", "a,b\n1,2\n");
    assert!(home.run(&["import", "odd.csv"]).stderr.contains("no column"));
    assert_eq!(home.run(&["import", "odd.csv", "--map", "a=nonsense"]).code, 2);
    write(&home, "odd.xlsx", "PK");
    assert_eq!(run(home.command().args(["import", "odd.xlsx"])).code, 1);
}
