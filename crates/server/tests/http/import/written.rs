//! In which ways files are written.

use super::{imported, write};
use crate::support::Home;

cases! {
    sqlite: [
        utf_16_is_recognised_without_a_mark,
        a_first_line_that_names_the_separator_is_no_heading,
    ]
}

fn utf_16(text: &str, of_unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(of_unit).collect()
}

async fn utf_16_is_recognised_without_a_mark(home: Home) {
    for (name, of_unit, encoding) in [
        ("le", u16::to_le_bytes as fn(u16) -> [u8; 2], "UTF-16LE"),
        ("be", u16::to_be_bytes, "UTF-16BE"),
    ] {
        let table = format!("customerAccount;name\r\nT-{name};Œuvre d'été\r\n");
        write(&home, "t.csv", utf_16(&table, of_unit));
        let ran = home.run(&["import", "t.csv"]);
        imported(&ran, 0, "1 created");
        let told = format!("CSV in {encoding}, separated by \";\"");
        assert!(ran.stderr.contains(&told), "{ran:?}");
        let lines = format!(
            "{{\"customerAccount\":\"L-{name}\",\"name\":\"Œuvre d'été\"}}\n\
             {{\"customerAccount\":\"M-{name}\",\"name\":\"Œuvre d'été\"}}\n"
        );
        let ran = home.run_reading(&["import", "-"], &utf_16(&lines, of_unit));
        imported(&ran, 0, "2 created");
        assert!(ran.stderr.contains(&format!("JSON in {encoding}")), "{ran:?}");
    }
    assert_eq!(home.database.count("customers WHERE name = 'Œuvre d''été'"), 6);
}

async fn a_first_line_that_names_the_separator_is_no_heading(home: Home) {
    // What stands most often between the headings is another one.
    let table = "sep=;\r\ncustomerAccount;name;a,b,c,d\r\nS1;One, two, three;\r\nS2;;\r\n";
    write(&home, "s.csv", table);
    let ran = home.run(&["import", "s.csv"]);
    imported(&ran, 1, "1 created, 0 updated, 0 unchanged, 0 skipped, 1 refused");
    for told in ["separated by \";\"", "line 4, column name: name is required"] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    // It is none either where another one is said.
    write(&home, "s.csv", "sep=;\nname,customerAccount\nOne,S3\n");
    imported(&home.run(&["import", "s.csv", "--separator", ","]), 0, "1 created");
    assert_eq!(home.database.count("customers WHERE account_key = 's1'"), 1);
}
