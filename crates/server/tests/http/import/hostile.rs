//! Files that nobody should be able to do harm with.

use serde_json::json;

use super::{imported, write};
use crate::exporting::formats::assert_no_formula;
use crate::support::{Home, Program, TestServer, run};

cases! {
    both: [
        control_characters_are_refused_on_every_database,
        a_file_in_utf_8_stays_so_where_some_of_it_is_broken,
        huge_values_are_refused_row_by_row,
        a_missing_quote_swallows_nobody,
        whoever_has_no_id_gets_none_that_another_brings,
        names_that_mean_the_same_are_told_where_both_are,
        times_beyond_what_can_be_are_told,
    ]
    sqlite: [
        a_quote_that_is_missing_does_not_take_all_memory,
        ten_thousand_columns_are_read,
        columns_without_end_are_refused,
        what_cannot_be_read_is_told,
        json_of_any_kind_is_told,
        nothing_is_written_over_what_is_read_or_kept,
        headings_do_not_reach_the_terminal_as_commands,
    ]
}

async fn control_characters_are_refused_on_every_database(server: TestServer) {
    write(&server.home, "n.csv", "name,comment\na\0b,x\nright,\"two\nlines\"\nc,d\u{1}e\n");
    let ran = server.home.run(&["import", "n.csv"]);
    imported(&ran, 1, "1 created, 0 updated, 0 unchanged, 0 skipped, 2 refused");
    for told in [
        "line 2, column name: name must not contain control characters",
        "line 5, column comment: comment must not contain control characters",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    write(&server.home, "n.ndjson", "{\"name\":\"a\\u0000b\"}\n{\"name\":\"a\0b\"}\n");
    let ran = server.home.run(&["import", "n.ndjson"]);
    imported(&ran, 1, "0 created, 0 updated, 0 unchanged, 0 skipped, 2 refused");
    assert!(ran.stderr.contains("line 2: is no JSON object"), "{ran:?}");
    assert_eq!(server.get("/api/v1/customers").await.expect(200)["total"], 1);
}

async fn a_file_in_utf_8_stays_so_where_some_of_it_is_broken(server: TestServer) {
    let bytes =
        [&b"customerAccount;name\nU1;\xC3\x89t\xC3\xA9\nU2;Ho\xFFtel\nU3;Caf\xC3\xA9\n"[..]]
            .concat();
    write(&server.home, "u.csv", bytes);
    let ran = server.home.run(&["import", "u.csv"]);
    imported(&ran, 1, "2 created, 0 updated, 0 unchanged, 0 skipped, 1 refused");
    assert!(ran.stderr.contains("CSV in UTF-8, separated by \";\"; 1 bytes"), "{ran:?}");
    assert!(ran.stderr.contains("line 3, column name: name is not in the encoding"), "{ran:?}");
    let found = server.get("/api/v1/customerAccounts/U1").await.expect(200);
    assert_eq!(found["name"], json!("Été"));
    // As much of it is broken as is not.
    write(&server.home, "v.csv", b"customerAccount,name\nV1,Zo\xC3\xA9\nV2,caf\xE9\n");
    let ran = server.home.run(&["import", "v.csv"]);
    imported(&ran, 1, "1 created, 0 updated, 0 unchanged, 0 skipped, 1 refused");
    let found = server.get("/api/v1/customerAccounts/V1").await.expect(200);
    assert_eq!(found["name"], json!("Zoé"));
}

async fn huge_values_are_refused_row_by_row(home: Home) {
    let huge = "x".repeat(3 << 20);
    write(&home, "h.csv", format!("name\n{huge}\nright\n"));
    let ran = home.run(&["import", "h.csv"]);
    imported(&ran, 1, "1 created, 0 updated, 0 unchanged, 0 skipped, 1 refused");
    assert!(
        ran.stderr.contains("line 2, column name: name must not be greater than 255 characters"),
        "{:.300}",
        ran.stderr
    );
    assert!(ran.stderr.len() < 1_000);
    let lines = format!(
        "{{\"name\":\"{}\"}}\n{{\"name\":\"{huge}\"}}\n{{\"name\":\"z\"}}\n",
        "y".repeat(9 << 20)
    );
    write(&home, "h.ndjson", lines);
    let ran = home.run(&["import", "h.ndjson"]);
    imported(&ran, 1, "1 created, 0 updated, 0 unchanged, 0 skipped, 2 refused");
    assert!(ran.stderr.contains("line 1: is longer than 4 MiB"), "{:.300}", ran.stderr);
}

async fn a_missing_quote_swallows_nobody(home: Home) {
    for (text, told) in [
        (
            "customerAccount,name,comment\nA1,a,x\nA2,b,\"y\nA3,c,z\n",
            "on line 3 has no closing quote",
        ),
        (
            "customerAccount,comment,name\r\nA1,x,a\r\nA2,\"y,b\r\nA3,\"z\",c\r\n",
            "on line 3 goes on behind a closing quote on line 4",
        ),
    ] {
        write(&home, "q.csv", text);
        let ran = home.run(&["import", "q.csv", "--on-conflict", "update"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains(" 0 refused."), "{ran:?}");
        assert!(ran.stderr.contains(told), "{ran:?}");
        // Who comes before it is there, and nobody else.
        assert_eq!(home.database.count("customers"), 1, "{text}");
    }
}

async fn whoever_has_no_id_gets_none_that_another_brings(home: Home) {
    let lines = "50,P50,fifty\n,P1,y\n52,,fiftytwo\n51,,fiftyone\n";
    write(&home, "m.csv", format!("id,customerAccount,name\n{lines}"));
    let counts = "4 created, 0 updated, 0 unchanged, 0 skipped, 0 refused";
    imported(&home.run(&["import", "m.csv", "--ids", "--dry-run"]), 0, counts);
    imported(&home.run(&["import", "m.csv", "--ids"]), 0, counts);
    let exported = home.run_well(&["export", "--format", "csv"]);
    for row in ["\"50\",", "\"51\",", "\"52\",", "\"53\","] {
        assert!(exported.lines().any(|line| line.starts_with(row)), "{row}: {exported}");
    }
    imported(&home.run(&["import", "m.csv", "--ids"]), 0, "0 created, 0 updated, 4 unchanged");

    // In JSON it is known at the end only, behind more than are taken in at once.
    let objects = |letter: char, id: u32| {
        let without = |n: u32| format!("{{\"customerAccount\":\"{letter}{n}\",\"name\":\"x\"}}");
        let last = format!("{{\"ID\":{id},\"customerAccount\":\"{letter}\",\"name\":\"last\"}}");
        (1..=2_100).map(without).chain([last]).collect::<Vec<_>>()
    };
    write(&home, "j.ndjson", objects('J', 60).join("\n"));
    write(&home, "k.json", format!("[{}]", objects('K', 2_200).join(",")));
    for file in ["j.ndjson", "k.json"] {
        imported(&home.run(&["import", file, "--ids"]), 0, "2101 created, 0 updated, 0 unchanged");
        imported(&home.run(&["import", file, "--ids"]), 0, "0 created, 0 updated, 2101 unchanged");
    }
    assert_eq!(home.database.count("customers WHERE id IN (60, 2200) AND name = 'last'"), 2);
}

async fn names_that_mean_the_same_are_told_where_both_are(home: Home) {
    let lines = "{\"name\":\"One\",\"customerAccount\":\"W1\"}\n\
         {\"Raison sociale\":\"Two\",\"customer_account\":\"W2\"}\n\
         {\"name\":\"Three\",\"Raison sociale\":\"3\"}\n\
         {\"Raison sociale\":\"\",\"emailAddress\":\"x\"}\n\
         {\"name\":\"Five\",\"customerAccount\":\"W5\"}\n";
    write(&home, "w.ndjson", lines);
    let ran = home.run(&["import", "w.ndjson"]);
    imported(&ran, 1, "3 created, 0 updated, 0 unchanged, 0 skipped, 2 refused");
    for told in [
        "line 3, column Raison sociale: name is held by name, too; leave one of them out",
        "line 4, column Raison sociale: name is required",
        "line 4, column emailAddress: emailAddress must be a valid",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    let ran = home.run_reading(&["import", "-", "--format", "json"], lines.as_bytes());
    imported(&ran, 1, "3 unchanged, 0 skipped, 2 refused");
    assert_eq!(home.database.count("customers"), 3);
}

async fn times_beyond_what_can_be_are_told(home: Home) {
    let table = "customerAccount,name,created_at,updated_at\n\
         T1,One,9999-12-31,\n\
         T2,Two,2020-01-02,2020-01-01T23:59:59Z\n\
         T3,Three,,2020-01-01\n\
         T4,Four,2020-01-02,2020-01-02\n\
         T5,Five,,9998-01-01\n";
    write(&home, "t.csv", table);
    for how in [&[][..], &["--on-conflict", "skip"]] {
        let ran = home.run(&[&["import", "t.csv"], how].concat());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains("3 refused"), "{ran:?}");
        for told in [
            "line 6, column updated_at: updated_at must not be in the future, and it is 2",
            "line 2, column created_at: created_at must be a date or a time such as \
             2026-08-04T10:42:27Z, from 0001-01-01T00:00:00Z to 9999-12-30T22:00:00Z",
            "line 3, column updated_at: updated_at must not be before created_at, \
             2020-01-02T00:00:00.000000Z",
        ] {
            assert!(ran.stderr.contains(told), "{told}: {ran:?}");
        }
    }
    assert_eq!(home.database.count("customers"), 2);
    assert_eq!(home.database.count("customers WHERE created_at = updated_at"), 2);
}

async fn nothing_is_written_over_what_is_read_or_kept(home: Home) {
    let text = "customerAccount,name\nA1,x\nA2\n";
    write(&home, "in.csv", text);
    imported(&home.run(&["import", "in.csv"]), 1, "1 created");
    std::fs::hard_link(home.folder().join("in.csv"), home.folder().join("twin.csv")).unwrap();
    let database = home.database.path().to_str().expect("UTF-8").to_owned();
    for (report, told) in
        [("in.csv", "is what is read"), ("twin.csv", "is what is read"), (&database, "database")]
    {
        let ran = home.run(&["import", "in.csv", "--dry-run", "--report", report]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(told), "{ran:?}");
    }
    for ending in ["", "-wal", "-shm", "-journal", "-lock"] {
        let beside = format!("{database}{ending}");
        let ran = home.run(&["export", &beside, "--format", "csv"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("belongs to the database"), "{ran:?}");
    }
    assert_eq!(std::fs::read_to_string(home.folder().join("in.csv")).unwrap(), text);
    assert_eq!(home.database.count("customers"), 1);
}

async fn a_quote_that_is_missing_does_not_take_all_memory(home: Home) {
    let mut text = "name,customerAccount\nright,x\n\"wrong,y\n".to_owned();
    while text.len() < 80 << 20 {
        text.push_str("many rows that belong to the one before them,and another value\n");
    }
    write(&home, "q.csv", &text);
    let mut import = Program::start(home.command().args(["import", "q.csv", "--format", "csv"]));
    let mut peak = 0;
    let end = loop {
        if import.log().iter().any(|line| line.starts_with("error:")) {
            break import.wait();
        }
        if let Ok(memory) = std::fs::read_to_string(format!("/proc/{}/status", import.id())) {
            let line = memory.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or(0) / 1024);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    assert_eq!(end.code(), Some(1));
    let log = import.log().join("\n");
    assert!(
        log.contains("the row behind line 2 is longer than 4 MiB; is a quote missing?"),
        "{log}"
    );
    // What came before it is taken in.
    assert_eq!(home.database.count("customers"), 1);
    assert!((1..70).contains(&peak), "{peak} MiB");
}

async fn ten_thousand_columns_are_read(home: Home) {
    let names = (0..10_000).map(|n| format!("c{n},")).collect::<String>();
    let values = "1,".repeat(10_000);
    write(&home, "w.csv", format!("{names}name\n{values}wide\n"));
    let ran = home.run(&["import", "w.csv"]);
    imported(&ran, 0, "1 created");
    assert!(ran.stderr.contains("the column c19 is unknown"), "{ran:?}");
    assert!(ran.stderr.contains("and so are further columns"), "{ran:?}");
    assert_eq!(ran.stderr.matches("warning:").count(), 21);
}

async fn columns_without_end_are_refused(home: Home) {
    let line = |n: u32| format!("{{\"name\":\"a\",\"m{n}\":1}}\n");
    write(&home, "m.ndjson", (0..20_000).map(line).collect::<String>());
    let ran = home.run(&["import", "m.ndjson"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("more than 16384 columns"), "{ran:?}");
}

async fn headings_do_not_reach_the_terminal_as_commands(home: Home) {
    let link = "=HYPERLINK(\"\"http://x.example\"\")";
    write(&home, "c.csv", format!("name,\x1b]0;x\x07,\u{9b}2J,\"{link}\"\na,,,maybe\n"));
    let map = format!("{}=vip", link.replace("\"\"", "\""));
    let ran = home.run(&["import", "c.csv", "--map", &map, "--report", "r.csv"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("the column \\u001b]0;x\\u0007 is unknown"), "{ran:?}");
    assert!(!ran.stderr.contains(['\x1b', '\x07', '\u{9b}']), "{ran:?}");
    let report = std::fs::read_to_string(home.folder().join("r.csv")).expect("a report");
    assert!(report.contains(&format!("\"2\",\"'{link}\",\"vip\",\"must be")), "{report}");
    write(&home, "d.csv", "name,\"ACME;=1+41;x\"\na,maybe\n");
    let map = "ACME;=1+41;x=vip";
    assert_eq!(home.run(&["import", "d.csv", "--map", map, "--report", "r.csv"]).code, 1);
    let report = std::fs::read_to_string(home.folder().join("r.csv")).expect("a report");
    assert!(report.contains("ACME;'=1+41;x"), "{report}");
    for separator in [b';', b'\t', b','] {
        assert_no_formula(&report, separator);
    }
}

async fn what_cannot_be_read_is_told(home: Home) {
    std::fs::create_dir(home.folder().join("folder.csv")).expect("a folder");
    write(&home, "empty.csv", "");
    write(&home, "blank.csv", "\n\n");
    write(&home, "mark.csv", "\u{feff}");
    write(&home, "odd.csv", "a,b\n1,2\n");
    write(&home, "twice.csv", "name,Raison sociale\na,b\n");
    for (file, told) in [
        ("nothing.csv", "cannot read nothing.csv: No such file"),
        ("folder.csv", "folder.csv: Is a directory"),
        ("empty.csv", "empty.csv: there is nothing in it"),
        ("blank.csv", "blank.csv: there is nothing in it"),
        ("mark.csv", "mark.csv: "),
        ("odd.csv", "no column of it is known"),
        ("twice.csv", "the columns name and Raison sociale both hold name"),
    ] {
        let ran = home.run(&["import", file]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    assert_eq!(home.run(&["import", "odd.csv", "--map", "a=nonsense"]).code, 2);
    let ran = home.run(&["import", "odd.csv", "--map", "c=brand", "--map", "a=name"]);
    assert!(ran.stderr.contains("there is no column c"), "{ran:?}");
    // A headless one is no reason to wait for a terminal.
    assert_eq!(run(home.command().args(["import", "-"])).code, 1);
}

async fn json_of_any_kind_is_told(home: Home) {
    let deep = "[".repeat(100_000);
    for (text, told) in [
        ("[{\"name\":\"a\"},", "no page of customers"),
        ("7", "no page of customers"),
        (deep.as_str(), "no page of customers"),
        (
            "{\"data\":{\"data\":[{\"name\":7},{}]},\"x\":[]}",
            "customer 2, column name: name is required",
        ),
    ] {
        write(&home, "p.json", text);
        let ran = home.run(&["import", "p.json"]);
        assert_eq!(ran.code, 1, "{told}: {ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    }
    write(
        &home,
        "n.ndjson",
        "[1]\n{\"name\":{\"a\":1}}\n{\"id\":9007199254740991,\"name\":\"x\"}\n",
    );
    let ran = home.run(&["import", "n.ndjson", "--ids"]);
    imported(&ran, 1, "0 created, 0 updated, 0 unchanged, 0 skipped, 3 refused");
    for told in [
        "line 1: is no JSON object",
        "line 2, column name: name must be a string",
        "line 3, column id: id must be at most 4503599627370496",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
}
