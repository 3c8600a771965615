//! In which ways files are written.

use super::{imported, write};
use crate::support::{Home, run};

cases! {
    both: [
        lines_may_end_with_a_carriage_return_alone,
        half_a_character_is_told_with_its_line,
        a_member_that_is_there_twice_is_told,
        utf_16_that_is_broken_is_told,
    ]
    sqlite: [
        a_blank_first_line_says_nothing,
        a_value_below_no_heading_is_told,
        a_pipe_is_read_like_stdin,
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

async fn lines_may_end_with_a_carriage_return_alone(home: Home) {
    write(&home, "m.csv", "customerAccount;name\rR1;One\rR2;\r\"R3\";\"Thr\ree\"\rR4;Four\r");
    let ran = home.run(&["import", "m.csv"]);
    imported(&ran, 1, "2 created, 0 updated, 0 unchanged, 0 skipped, 2 refused");
    for told in ["line 3, column name: name is required", "line 4, column name: name must not"] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    imported(&home.run(&["import", "m.csv", "--start-at", "6"]), 0, "1 unchanged");
}

async fn half_a_character_is_told_with_its_line(home: Home) {
    let objects = [
        r#"{"customerAccount":"H1","name":"One"}"#,
        r#"{"customerAccount":"H2","name":"\ud800"}"#,
        r#"{"customerAccount":"H3","\udc00":1,"name":"Three"}"#,
        r#"{"customerAccount":"H4","name":"\ud83d\ude00"}"#,
    ];
    write(&home, "h.ndjson", objects.join("\n"));
    write(&home, "h.json", format!("{{\"data\":[{}]}}", objects.join(",")));
    for (file, unit, counts) in
        [("h.ndjson", "line", "2 created, 0"), ("h.json", "customer", "2 unchanged")]
    {
        let ran = home.run(&["import", file]);
        imported(&ran, 1, counts);
        assert!(ran.stderr.contains(&format!("{unit} 2: holds what is no text")), "{ran:?}");
        assert!(ran.stderr.contains(&format!("{unit} 3: is no JSON object")), "{ran:?}");
    }
}

async fn a_member_that_is_there_twice_is_told(home: Home) {
    let twice = r#"{"customerAccount":"T1","name":"A","name":"B"}"#;
    write(&home, "t.ndjson", twice);
    write(&home, "t.json", twice);
    write(&home, "ts.json", format!("[{twice}]"));
    for file in ["t.ndjson", "t.json", "ts.json"] {
        let ran = home.run(&["import", file, "--format", file.rsplit('.').next().expect("one")]);
        imported(&ran, 1, "1 refused");
        assert!(ran.stderr.contains("name is there twice; leave one of them out"), "{ran:?}");
    }
}

async fn utf_16_that_is_broken_is_told(home: Home) {
    let mut bytes = utf_16("\u{feff}customerAccount;name\r\nU1;One\r\nU2;T", u16::to_le_bytes);
    bytes.extend([0x00, 0xD8]);
    bytes.extend(utf_16("wo\r\nU3;Three\r\nU4;Fou", u16::to_le_bytes));
    // Cut in the midst of a character.
    bytes.push(b'r');
    write(&home, "u.csv", bytes);
    let ran = home.run(&["import", "u.csv"]);
    imported(&ran, 1, "2 created, 0 updated, 0 unchanged, 0 skipped, 2 refused");
    for told in [
        "2 bytes of it are not in that encoding",
        "line 3, column name: name is not in the encoding",
        "line 5, column name: name is not in the encoding",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
}

async fn a_blank_first_line_says_nothing(home: Home) {
    write(&home, "b.csv", "\r\n ; \r\ncustomerAccount;name\r\nB1;One, two\r\n");
    imported(&home.run(&["import", "b.csv"]), 0, "1 created");
}

async fn a_value_below_no_heading_is_told(home: Home) {
    write(&home, "v.csv", "customerAccount,,name\nV1,,One\nV2,x,Two\nV3,y,Three\n");
    let ran = home.run(&["import", "v.csv"]);
    imported(&ran, 0, "3 created");
    assert!(ran.stderr.contains("a value on line 3 stands below no heading"), "{ran:?}");
    assert_eq!(ran.stderr.matches("below no heading").count(), 1, "{ran:?}");
}

async fn a_pipe_is_read_like_stdin(home: Home) {
    write(&home, "p.csv", "customerAccount,name\nP1,One\n");
    let pipe = home.folder().join("pipe");
    assert_eq!(run(std::process::Command::new("mkfifo").arg(&pipe)).code, 0);
    let mut cat = std::process::Command::new("sh");
    let mut cat = cat.args(["-c", "cat p.csv > pipe"]).current_dir(home.folder()).spawn().unwrap();
    imported(&home.run(&["import", "pipe"]), 0, "1 created");
    assert!(cat.wait().expect("its end").success());
}
