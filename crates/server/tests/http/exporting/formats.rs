//! What is in an export, in each of its formats.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::CUSTOMERS;
use crate::creation::full_customer;
use crate::support::{Home, TestServer, run};

cases! {
    both: [
        every_format_holds_what_the_api_answers,
        nobody_is_exported_where_there_is_nobody,
        nothing_in_csv_becomes_a_formula,
        what_no_sheet_can_hold_is_told,
    ]
}

/// The first sheet of a spreadsheet, as any program would read it that knows the standard: a JSON array of
/// rows, in which texts, numbers and booleans are such, and empty cells are null.
const READ_SHEET: &str = r#"
import json, re, sys, zipfile
from xml.etree import ElementTree
book = zipfile.ZipFile(sys.argv[1])
assert book.testzip() is None
N = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
def column(reference):
    number = 0
    for letter in re.match("[A-Z]+", reference).group():
        number = number * 26 + ord(letter) - 64
    return number - 1
def unescaped(text):
    return re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found.group(1), 16)), text)
def value(cell):
    assert cell.find(N + "f") is None, "a formula"
    kind = cell.get("t")
    if kind == "inlineStr":
        return unescaped("".join(part.text or "" for part in cell.iter(N + "t")))
    text = cell.find(N + "v")
    if text is None:
        return None
    return {"b": lambda it: it == "1", None: json.loads, "n": json.loads}[kind](text.text)
rows = []
for row in ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml")).iter(N + "row"):
    cells = {column(cell.get("r")): value(cell) for cell in row.iter(N + "c")}
    rows.append([cells.get(at) for at in range(len(rows[0]) if rows else len(cells))])
json.dump(rows, sys.stdout)
"#;

/// The rows of a spreadsheet as objects, by the names in the first.
fn read_sheet(path: &std::path::Path) -> Vec<Value> {
    let ran = run(Command::new("python3").args(["-c", READ_SHEET]).arg(path));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let rows: Vec<Vec<Value>> = serde_json::from_str(&ran.stdout).expect("rows");
    let names: Vec<_> = rows[0].iter().map(|name| name.as_str().expect("a name")).collect();
    let object = |row: &Vec<Value>| -> Value {
        names.iter().map(|name| name.to_string()).zip(row.iter().cloned()).collect()
    };
    rows[1..].iter().map(object).collect()
}

/// The rows of CSV as objects of texts, by the names in the first.
pub fn read_csv(text: &str) -> Vec<Value> {
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<_> = table.headers().expect("names").iter().map(str::to_owned).collect();
    let object = |row: csv::Result<csv::StringRecord>| -> Value {
        let row = row.expect("a row");
        let values = row.iter().map(Value::from);
        names.iter().cloned().zip(values).collect()
    };
    table.records().map(object).collect()
}

pub fn read_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A value of the API as CSV writes it.
fn in_csv(value: &Value) -> Value {
    match value {
        Value::Null => "".into(),
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

fn map_values(object: &Value, map: impl Fn(&Value) -> Value) -> Value {
    let members = object.as_object().expect("an object").iter();
    members.map(|(name, value)| (name.clone(), map(value))).collect()
}

async fn every_format_holds_what_the_api_answers(server: TestServer) {
    let mut full = full_customer();
    full["comment"] = json!("Zeile 1\r\n\"Zeile\" 2;\tmit, 🦀 _x000D_ \u{FFFE}");
    full["name"] = json!("  O'Neil & <Söhne> \"GmbH\", 株式会社 ");
    full["balance"] = json!(-7);
    let mut customers = [
        server.create(&full).await,
        server.create(&json!({ "name": "bare" })).await,
        server.create(&json!({ "name": "deleted" })).await,
    ];
    let deleted = format!("{CUSTOMERS}/{}", customers[2]["id"]);
    assert_eq!(server.delete(&deleted).await.status, 204);
    let alive = customers[..2].to_vec();
    let home = &server.home;

    assert_eq!(read_lines(&home.run_well(&["export"])), alive);
    assert_eq!(read_lines(&home.run_well(&["export", "-", "--format", "ndjson"])), alive);
    let csv = home.run_well(&["export", "--format", "csv", "--raw"]);
    let names: Vec<&str> = alive[0].as_object().expect("it").keys().map(|it| &**it).collect();
    assert!(csv.starts_with(&format!("\"{}\"\r\n", names.join("\",\""))), "{csv}");
    let expected: Vec<_> = alive.iter().map(|it| map_values(it, in_csv)).collect();
    assert_eq!(read_csv(&csv), expected);

    let text = |name: &str| fs::read_to_string(home.folder().join(name)).expect("a file");
    for (name, what) in [("a.ndjson", "2 customers"), ("b.csv", "2 customers")] {
        let told = home.run_well(&["export", name]);
        assert_eq!(told, format!("Exported {what} to {name}.\n"));
    }
    assert_eq!(read_lines(&text("a.ndjson")), alive);
    assert_eq!(read_csv(&text("b.csv")).len(), 2);
    home.run_well(&["export", "c.txt", "--format", "ndjson"]);
    assert_eq!(text("c.txt"), text("a.ndjson"));

    // An empty text is an empty cell.
    let in_sheet = |value: &Value| if value == "" { Value::Null } else { value.clone() };
    customers[2] = read_lines(&home.run_well(&["export", "--trashed", "only"])).remove(0);
    assert_eq!(
        (&customers[2]["name"], customers[2]["deleted_at"].is_null()),
        (&json!("deleted"), false)
    );
    let expected: Vec<_> = customers.iter().map(|it| map_values(it, in_sheet)).collect();
    home.run_well(&["export", "d.XLSX", "--trashed", "with"]);
    assert_eq!(read_sheet(&home.folder().join("d.XLSX")), expected);
    let piped = "\"$0\" export --format xlsx --trashed with | cat > e.xlsx";
    let mut shell = home.command();
    let program = shell.get_program().to_owned();
    shell = Command::new("sh");
    shell.args(["-c", piped]).arg(program).env("DATABASE_URL", home.database.url());
    assert_eq!(run(shell.current_dir(home.folder())).code, 0);
    assert_eq!(read_sheet(&home.folder().join("e.xlsx")), expected);
}

async fn nobody_is_exported_where_there_is_nobody(home: Home) {
    home.run_well(&["migrate"]);
    let ran = home.run(&["export"]);
    assert_eq!((ran.code, &*ran.stdout), (0, ""), "{ran:?}");
    assert!(ran.stderr.contains("exported 0 customers"), "{}", ran.stderr);
    assert_eq!(home.run_well(&["export", "--format", "csv"]).lines().count(), 1);
    home.run_well(&["export", "none.xlsx"]);
    assert_eq!(read_sheet(&home.folder().join("none.xlsx")), [Value::Null; 0]);
}

/// No cell of CSV begins like a formula for a program that takes this separator. Numbers may.
pub fn assert_no_formula(csv: &str, separator: u8) {
    let mut table = csv::ReaderBuilder::new();
    table.delimiter(separator).flexible(true).has_headers(false);
    for row in table.from_reader(csv.as_bytes()).records() {
        for cell in &row.expect("a row") {
            let is_number = cell.parse::<i64>().is_ok();
            assert!(is_number || !cell.starts_with(['=', '+', '-', '@']), "{cell:?} in {csv}");
        }
    }
}

async fn nothing_in_csv_becomes_a_formula(server: TestServer) {
    let texts = [
        ("=HYPERLINK(\"http://x\",\"y\")", "'=HYPERLINK(\"http://x\",\"y\")"),
        ("+33602030405", "'+33602030405"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("'=1", "''=1"),
        ("'s", "'s"),
        ("a=b", "a=b"),
        ("ACME;=1+41;x", "ACME;'=1+41;x"),
        ("ACME,+1", "ACME,'+1"),
        ("ACME;\"=1", "ACME;'\"=1"),
    ];
    for (text, _) in texts {
        let comment = format!("x\t=1\r\n{text}\n=1;-1");
        let customer = json!({ "name": text, "brand": text, "balance": -5, "comment": comment });
        server.create(&customer).await;
    }
    // Whatever a program takes for the separator.
    let exported = server.home.run_well(&["export", "--format", "csv"]);
    for separator in [b';', b'\t', b',', b'|'] {
        assert_no_formula(&exported, separator);
    }
    let rows = read_csv(&server.home.run_well(&["export", "--format", "csv"]));
    let raw = read_csv(&server.home.run_well(&["export", "--format", "csv", "--raw"]));
    assert_eq!(rows.len(), texts.len());
    for ((row, raw), (text, cell)) in rows.iter().zip(&raw).zip(texts) {
        assert_eq!([&row["name"], &row["brand"]], [cell, cell]);
        assert_eq!(raw["name"], text);
        // A number is none.
        assert_eq!(row["balance"], "-5");
    }
    server.home.run_well(&["export", "a.xlsx"]);
    let rows = read_sheet(&server.home.folder().join("a.xlsx"));
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().expect("a text")).collect();
    assert_eq!(names, texts.map(|(text, _)| text));
}

async fn what_no_sheet_can_hold_is_told(server: TestServer) {
    let home = &server.home;
    server.create(&json!({ "name": "a" })).await;
    let long = json!({ "name": "b", "comment": "x".repeat(40_000) });
    let id = server.create(&long).await["id"].clone();
    let ran = home.run(&["export", "a.xlsx"]);
    assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
    for told in [&*format!("customer {id}"), "comment", "40000", "csv"] {
        assert!(ran.stderr.contains(told), "{told} is missing in {}", ran.stderr);
    }
    // Whether there are too many is told before anything is written.
    home.database.execute("UPDATE customer_totals SET live = 1048576 WHERE slot = 0");
    let ran = home.run(&["export", "a.xlsx"]);
    assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains("1048575") && ran.stderr.contains("--filter"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(home.folder()).expect("a folder").count(), 0);
}
