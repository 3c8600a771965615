//! Moving in: customers that come from files.

mod bombs;
mod going_on;
mod hostile;
mod ids;
mod numbers;
mod options;
mod spreadsheets;
mod stopping;
mod written;

use std::fs;

use serde_json::{Value, json};

use crate::support::{Home, Ran, TestServer};

cases! {
    both: [
        a_spreadsheet_in_windows_1252_comes_in_beside_a_running_server,
        every_mistake_is_told_with_its_line_its_column_and_its_field,
        what_is_there_and_differs_is_refused_skipped_or_changed,
        what_the_list_answers_comes_in_as_it_was,
        all_or_nothing_keeps_nothing_where_a_row_is_wrong,
        customers_without_an_account_come_in_once,
        many_customers_come_in_and_are_found,
        every_label_of_the_spreadsheet_is_known,
        the_guide_shows_what_is_printed,
        who_comes_twice_is_told_and_not_changed_back_and_forth,
        ids_and_accounts_go_on_behind_what_came_in,
        what_spreadsheets_would_calculate_comes_back_as_it_was,
        a_deleted_customer_stays_so_unless_the_file_says_otherwise,
    ]
    sqlite: [reports_are_for_programs]
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
    home.run_well(&["migrate"]);
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
    assert!(
        report.contains("\"3\",\"brand_id\",\"brand_id\",\"must be at least 1\"\n"),
        "{report}"
    );
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
    for told in ["column name: name differs from that of customer 1", "column phone: phone differs"]
    {
        assert!(refused.stderr.contains(told), "{told}: {refused:?}");
    }
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
    imported(&other.run_reading(&["import", "-", "--ids"], &pages), 0, "3 created");
    imported(&other.run_reading(&["import", "-", "--ids"], &pages), 0, "3 unchanged");
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
    assert!(ran.stderr.contains("line 3, column name: name is required"), "{ran:?}");
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

async fn every_label_of_the_spreadsheet_is_known(server: TestServer) {
    let labels = "Compte client;Compte comptable;Raison sociale;SIRET;Numéro de TVA intracommunautaire;\
        Type de société;Capital social;Première ligne d'adresse;Seconde ligne d’adresse;Code Postal;Ville;\
        Site Web;Actif;Revendeur;Niveau de revendeur;Facturer la TVA;Appliquer la TVA auto-liquidée;\
        Client sous contrat d'astreinte;Client VIP";
    let values = "C1;411C1;Un;5521;FR1;SAS;1000;1 rue A;Bât. B;01000;Bourg;https://x.example;non;OUI;2;\
        Faux;vrai;1;Yes";
    let expected = json!({
        "customerAccount": "C1", "accountsReference": "411C1", "name": "Un",
        "registrationNumber": "5521", "taxRegistrationNumber": "FR1", "type": "SAS", "capital": "1000",
        "mainAddressLine1": "1 rue A", "mainAddressLine2": "Bât. B", "mainAddressPostalCode": "01000",
        "mainAddressCity": "Bourg", "website": "https://x.example", "active": false,
        "isReseller": true, "resellerLevel": 2, "chargeVAT": false,
        "applyVATAutoReverseOperators": true, "onCallDuty": true, "vip": true,
    });
    write(&server.home, "l.csv", format!("{labels}\n{values}\n"));
    let ran = server.home.run(&["import", "l.csv"]);
    imported(&ran, 0, "1 created");
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
    let found = server.get("/api/v1/customerAccounts/c1").await.expect(200);
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&found[name], value, "{name}");
    }
    let shouted = labels.to_uppercase().replace('É', "E").replace('È', "e");
    write(&server.home, "l.csv", format!("{shouted}\n{values}\n"));
    imported(&server.home.run(&["import", "l.csv"]), 0, "1 unchanged");
}

async fn the_guide_shows_what_is_printed(home: Home) {
    let guide = include_str!("../../../../docs/MOVING-IN.md");
    let block = |language: &str| {
        let (_, from) = guide.split_once(&format!("```{language}\n")).expect("a block");
        from.split_once("```").expect("its end").0
    };
    let (text, ..) = encoding_rs::WINDOWS_1252.encode(block("csv"));
    write(&home, "clients.csv", text);
    home.run_well(&["migrate"]);
    let (command, printed) = block("console").split_once('\n').expect("a command");
    assert!(command.starts_with("$ customers import clients.csv --dry-run --map "));
    let maps = ["E-mail=emailAddress", "Commercial=representative_id"];
    assert!(maps.iter().all(|map| command.contains(&format!("--map \"{map}\""))), "{command}");
    let ran = home.run(&["import", "clients.csv", "--dry-run", "--map", maps[0], "--map", maps[1]]);
    assert_eq!(ran.code, 1);
    let (said, error) = ran.stderr.trim_end().rsplit_once('\n').expect("two lines");
    assert_eq!(format!("{said}\n{}{error}\n", ran.stdout), printed);
    assert_eq!(home.database.count("customers"), 0);
}

async fn who_comes_twice_is_told_and_not_changed_back_and_forth(home: Home) {
    write(&home, "t.csv", "customerAccount,name\nT1,A\nt1,B\nT1,A\n");
    let counts = "0 skipped, 1 refused";
    for how in [["--on-conflict", "update"], ["--on-conflict", "fail"]] {
        let ran = home.run(&[&["import", "t.csv"], &how[..]].concat());
        imported(&ran, 1, counts);
        let told = "line 3, column name: name is another one than in an earlier row about the same customer";
        assert!(ran.stderr.contains(told), "{ran:?}");
    }
    assert_eq!(home.database.count("customers WHERE name = 'A'"), 1);
    assert_eq!(home.database.count("customer_history"), 1);
    // Far from each other, too.
    let row = |n: u32| format!("F{},{}\n", n % 4_000, if n < 4_000 { "first" } else { "second" });
    write(
        &home,
        "f.csv",
        format!("customerAccount,name\n{}", (0..4_100).map(row).collect::<String>()),
    );
    let ran = home.run(&["import", "f.csv", "--on-conflict", "update"]);
    imported(&ran, 1, "4000 created, 0 updated, 0 unchanged, 0 skipped, 100 refused");
    let ran = home.run(&["import", "f.csv", "--on-conflict", "update"]);
    imported(&ran, 1, "0 created, 0 updated, 4000 unchanged, 0 skipped, 100 refused");
}

async fn ids_and_accounts_go_on_behind_what_came_in(server: TestServer) {
    // The server has drawn its next ids already.
    let first = server.create(&json!({ "name": "first" })).await["id"].as_i64().expect("an id");
    let taken = format!(
        "id,customerAccount,name,created_at,updated_at\n\
         {},CL000002,a,2001-02-03,2004-05-06T07:08:09.123456Z\n\
         {},CL{:06},b,,\n\
         700001,,c,,\n",
        first + 1,
        first + 3,
        first + 2,
    );
    write(&server.home, "ids.csv", &taken);
    imported(&server.home.run(&["import", "ids.csv", "--ids"]), 0, "3 created");
    imported(&server.home.run(&["import", "ids.csv", "--ids"]), 0, "3 unchanged");
    let old = server.get(&format!("/api/v1/customers/{}", first + 1)).await.expect(200);
    assert_eq!(
        (&old["created_at"], &old["updated_at"]),
        (&json!("2001-02-03T00:00:00.000000Z"), &json!("2004-05-06T07:08:09.123456Z"))
    );
    let made = server.get("/api/v1/customers/700001").await.expect(200);
    assert_eq!(made["customerAccount"], "CL700001");
    let mut accounts = std::collections::HashSet::new();
    let mut last = 0;
    for _ in 0..70 {
        let created = server.create(&json!({ "name": "next" })).await;
        last = created["id"].as_i64().expect("an id");
        assert!(accounts.insert(created["customerAccount"].to_string()), "{created}");
    }
    // PostgreSQL's were drawn 32 at once, before.
    assert!(last > 700_001, "{last}");
    assert_eq!(server.get("/api/v1/customers").await.expect(200)["total"], 74);
}

async fn what_spreadsheets_would_calculate_comes_back_as_it_was(server: TestServer) {
    let names = ["=1+1", "+33 1", "-", "@x", "'=1", "''+1", "'quoted'", "plain"];
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["customerAccount", "name"]).expect("a record");
    for (at, name) in names.iter().enumerate() {
        let is_formula = name.trim_start_matches('\'').starts_with(['=', '+', '-', '@']);
        let safe = if is_formula { format!("'{name}") } else { name.to_string() };
        table.write_record([format!("E{at}"), safe]).expect("a record");
    }
    write(&server.home, "e.csv", table.into_inner().expect("bytes"));
    imported(&server.home.run(&["import", "e.csv"]), 0, "8 created");
    for (at, name) in names.iter().enumerate() {
        let found = server.get(&format!("/api/v1/customerAccounts/E{at}")).await.expect(200);
        assert_eq!(found["name"], *name);
    }
}

async fn a_deleted_customer_stays_so_unless_the_file_says_otherwise(server: TestServer) {
    let made = server.create(&json!({ "name": "D", "customerAccount": "D1" })).await;
    let path = format!("/api/v1/customers/{}", made["id"]);
    server.delete(&path).await;
    write(&server.home, "d.csv", "customerAccount,name\nD1,E\n");
    let ran = server.home.run(&["import", "d.csv", "--on-conflict", "update"]);
    imported(&ran, 1, "1 refused");
    assert!(ran.stderr.contains("is deleted; restore it first"), "{ran:?}");
    server.get(&path).await.expect(404);
    write(&server.home, "d.csv", "customerAccount,name,deleted_at\nD1,E,\n");
    imported(&server.home.run(&["import", "d.csv", "--on-conflict", "update"]), 0, "1 updated");
    assert_eq!(server.get(&path).await.expect(200)["name"], "E");
    assert_eq!(server.get("/api/v1/customers").await.expect(200)["total"], 1);
}

async fn reports_are_for_programs(home: Home) {
    write(&home, "m.csv", MISTAKES);
    let ran = home.run(&["import", "m.csv", "--report", "report.ndjson"]);
    assert!(ran.stderr.contains("error: 3 did not come in; see report.ndjson"), "{ran:?}");
    assert!(!ran.stderr.contains("peut"), "{ran:?}");
    let report = fs::read_to_string(home.folder().join("report.ndjson")).expect("a report");
    let lines: Vec<Value> =
        report.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 6, "{report}");
    assert_eq!(
        lines[1],
        json!({ "line": 3, "column": "Actif", "field": "active", "message": "must be true or false" })
    );
    assert_eq!(lines[5]["field"], Value::Null);
    let ran = home.run(&["import", "m.csv", "--report", "no folder/report.csv"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot write the report"), "{ran:?}");
}
