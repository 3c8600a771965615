//! What is exported from one database and imported into another is the same there.

use serde_json::{Value, json};

use crate::creation::full_customer;
use crate::database::TestDatabase;
use crate::support::{Home, TestServer};

cases! {
    both: [every_customer_comes_back_as_it_was]
}

/// Texts with which formats, spreadsheets and readers have their troubles, of one line each.
const HOSTILE: &[&str] = &[
    "\"",
    "\"\"\"quoted\"\"",
    "a,b;c|d\\e",
    "=HYPERLINK(\"http://x\";\"y\")",
    "+33 6 02 03 04 05",
    "-1+1",
    "@SUM(A1)",
    "'=1",
    "''+1",
    "ACME;=1+41;x",
    "ACME;'=1,\"+1|''-1",
    "'",
    "''",
    "'s-Hertogenbosch",
    "＝1",
    "null",
    "NULL",
    "true",
    "0",
    "00123",
    "1e5",
    "12345678901234567890",
    "3.0",
    "2026-08-04",
    "2026-08-04T10:42:27.000000Z",
    "#N/A",
    "{\"a\":[1]}",
    "<b>&amp;</b>]]>",
    "_x000D_ _x005F_ _xFFFE_",
    "%s %00 \\n \\u0041",
    "Zoé Ñandú ÆŒ ﬁ Ω",
    "e\u{301}\u{302} a\u{200D}b",
    "👩‍👩‍👧‍👦🏳️‍🌈 🦀",
    "שלום \u{202E}abc\u{202C} مرحبا",
    "株式会社\u{3000}東京",
    "\u{FFFE}\u{FFFF}\u{10FFFF}",
    "two  spaces   inside",
];

/// The same of several lines.
const LINES: &[&str] = &[
    "a\nb",
    "a\r\nb\r\n\r\nc",
    "a\rb",
    "a\tb\t\tc",
    "- a\n- b\r\n'- c\t=d",
    "\"a\"\n\"b\",\n=1",
    "a\n\n",
    "_x000D_\r\n_x000D_",
];

async fn every_customer_comes_back_as_it_was(server: TestServer) {
    let mut deleted = Vec::new();
    server.create(&full_customer()).await;
    for (at, text) in HOSTILE.iter().enumerate() {
        // What is white around it is not kept, and so does not come back.
        let mut customer = json!({
            "name": format!("  {text}\u{a0}"), "brand": text, "comment": text, "suppliers": text,
            "balance": -2147483648, "custom_note": text.repeat(255 / text.chars().count()),
        });
        if at % 3 == 0 {
            customer["customerAccount"] =
                json!(format!("{text} {at}").replace(['\u{200D}', '\u{202E}', '\u{202C}'], ""));
        }
        let id = server.create(&customer).await["id"].clone();
        if at % 5 == 0 {
            deleted.push(id);
        }
    }
    for text in LINES {
        server.create(&json!({ "name": "lines", "comment": text })).await;
    }
    let longest = format!("=x\r\n{}", "𝄞".repeat(16_000));
    server.create(&json!({ "name": "𝄞".repeat(255), "comment": longest })).await;
    // Of which the last is not reached by what an import makes of empty cells.
    server.create(&json!({ "name": "bare" })).await;
    let changed = server.create(&json!({ "name": "changed" })).await;
    let target = format!("/api/v1/customers/{}", changed["id"]);
    server.patch(&target).json(&json!({ "vip": true, "active": false })).await.expect(200);
    for id in deleted {
        assert_eq!(server.delete(&format!("/api/v1/customers/{id}")).await.status, 204);
    }
    let all = |home: &Home| home.run_well(&["export", "--trashed", "with"]);
    let before = all(&server.home);
    let lines: Vec<Value> =
        before.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 1 + HOSTILE.len() + LINES.len() + 3);
    for (line, text) in lines[1..].iter().zip(HOSTILE) {
        assert_eq!([&line["name"], &line["comment"]], [text, text]);
    }
    // A workbook says itself that an export has written it.
    for (name, ids) in [("all.ndjson", &["--ids"][..]), ("all.csv", &["--ids"]), ("all.xlsx", &[])]
    {
        server.home.run_well(&["export", name, "--trashed", "with"]);
        for other in [TestDatabase::sqlite(), TestDatabase::postgres()] {
            let other = Home::new(other);
            let file = server.home.folder().join(name);
            let import = [&["import", file.to_str().expect("UTF-8")], ids].concat();
            let ran = other.run(&import);
            assert_eq!(ran.code, 0, "{name}: {ran:?}");
            assert!(ran.stdout.contains(&format!("{} created", lines.len())), "{name}: {ran:?}");
            let after = all(&other);
            for (before, after) in before.lines().zip(after.lines()) {
                assert_eq!(before, after, "{name}");
            }
            assert_eq!(before, after, "{name}");
            // Nothing is to be done once more.
            let ran = other.run(&import);
            assert!(ran.stdout.contains(&format!("{} unchanged", lines.len())), "{name}: {ran:?}");
        }
    }
    // What no cell of a spreadsheet holds comes back by the others.
    let longest = json!({ "name": "long", "comment": "=é".repeat(32_767) });
    let long = server.create(&longest).await["id"].to_string();
    let filter = format!("id={long}");
    for name in ["long.ndjson", "long.csv"] {
        server.home.run_well(&["export", name, "--filter", &filter]);
        let other = Home::new(TestDatabase::sqlite());
        let file = server.home.folder().join(name);
        other.run_well(&["import", file.to_str().expect("UTF-8"), "--ids"]);
        assert_eq!(all(&other), server.home.run_well(&["export", "--filter", &filter]));
    }
}
