//! Small spreadsheets that would take a lot of memory.

use super::spreadsheets::{packed, text_cells, workbook_with};
use super::write;
use crate::support::{Home, Program};

cases! {
    sqlite: [
        a_workbook_stays_below_the_memory_that_it_may_take,
        a_document_stays_below_the_memory_that_it_may_take,
        a_column_beyond_the_last_is_told,
        a_row_beyond_the_last_is_told,
    ]
}

/// What every import here stays below, in MiB.
const MOST_MEMORY: u64 = 300;

/// Imports a file; the exit code, what it says, and the most memory that it has taken, in MiB.
fn import(home: &Home, file: &str) -> (Option<i32>, String, u64) {
    let mut import = Program::start(home.command().args(["import", file, "--dry-run"]));
    let mut peak = 0;
    // What ends the log is written when all is done, while the memory can still be seen.
    while !import.log().iter().any(|line| line.starts_with("error:")) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", import.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let Some(kib) = line.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok())
        else {
            break;
        };
        peak = peak.max(kib / 1024);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let code = import.wait().code();
    (code, import.log().join("\n"), peak)
}

#[track_caller]
fn assert_refused(home: &Home, file: &str, told: &str) {
    let (code, log, peak) = import(home, file);
    assert_eq!(code, Some(1), "{file}: {log}");
    assert!(log.contains(told) && !log.contains("panicked"), "{file}: {log:.500}");
    assert!((1..MOST_MEMORY).contains(&peak), "{file}: {peak} MiB");
}

/// Bytes that cannot be packed, so that the archive is not too small for what it holds.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..1 << 20).map(next).collect()
}

fn cell(at: &str, text: &str) -> String {
    format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

async fn a_workbook_stays_below_the_memory_that_it_may_take(home: Home) {
    let head = format!("<row r=\"1\">{}</row>", cell("A1", "name"));
    let row = |content: &str| format!("{head}<row r=\"2\">{content}</row>");
    let shared = |texts: &str| format!("<sst>{texts}</sst>");
    let styles = |of: &str| format!("<styleSheet><cellXfs>{of}</cellXfs></styleSheet>");
    let long = "x".repeat(40 << 20);
    let one = shared(&format!("<si><t>{}</t></si>", "x".repeat(32_767)));
    let too_long = "more than 32767 characters";
    let too_much = "its texts and styles take too much memory";
    for (name, rows, shared, styles, told) in [
        ("texts", head.clone(), shared(&"<si><t/></si>".repeat(4 << 20)), styles(""), too_much),
        ("styles", head.clone(), shared(""), styles(&"<xf/>".repeat(2 << 20)), too_much),
        (
            "long text",
            head.clone(),
            shared(&format!("<si><t>{long}</t></si>")),
            styles(""),
            too_long,
        ),
        ("long cell", row(&cell("A2", &long)), shared(""), styles(""), too_long),
        (
            "data",
            row(&cell("A2", &format!("<![CDATA[{}]]>", "<>".repeat(20 << 20)))),
            shared(""),
            styles(""),
            too_long,
        ),
        (
            "runs",
            head.clone(),
            shared(&format!("<si>{}</si>", "<r><t>0123456789</t></r>".repeat(1 << 20))),
            styles(""),
            too_long,
        ),
        ("row", row(&"<c t=\"s\"><v>0</v></c>".repeat(16_384)), one, styles(""), "row 2 is longer"),
        (
            "part",
            row(&"<c/>".repeat(33 << 20)),
            shared(""),
            styles(""),
            "sheet1.xml in it unpacks to more than 128 MiB",
        ),
    ] {
        let file = format!("{name}.xlsx");
        write(&home, &file, workbook_with(&rows, &shared, &styles, &noise()));
        assert_refused(&home, &file, told);
    }
}

async fn a_document_stays_below_the_memory_that_it_may_take(home: Home) {
    let repeated = |rows: u32, columns: u32, text: &str| {
        format!(
            "<table:table-row table:number-rows-repeated=\"{rows}\"><table:table-cell \
             table:number-columns-repeated=\"{columns}\" office:value-type=\"string\">\
             <text:p>{text}</text:p></table:table-cell></table:table-row>"
        )
    };
    let long = "x".repeat(30_000);
    let too_much = "its cells take too much memory";
    for (rows, told) in [
        (repeated(100_000, 1, &long), too_much),
        (repeated(1, 16_000, &long), too_much),
        (repeated(1_000_000, 3, "x"), too_much),
        (repeated(1, 1, &"x".repeat(40_000)), "more than 32767 characters"),
    ] {
        write(&home, "bomb.ods", packed(&(text_cells(&["name"]) + &rows)));
        assert_refused(&home, "bomb.ods", told);
    }
}

async fn a_column_beyond_the_last_is_told(home: Home) {
    for at in ["ZZZZZ1", "ZZZZZZ1", "ZZZZZZZZZZZZZZZZZZZZ1", "XFE1"] {
        let rows = format!("<row r=\"1\">{}{}</row>", cell("A1", "name"), cell(at, "x"));
        write(&home, "column.xlsx", workbook_with(&rows, "<sst/>", "", &[]));
        assert_refused(&home, "column.xlsx", "and the last column of a spreadsheet is XFD");
    }
    let rows = format!("<row r=\"1\">{}{}</row>", cell("A1", "name"), cell("XFD1", "x"));
    write(&home, "column.xlsx", workbook_with(&rows, "<sst/>", "<styleSheet/>", &[]));
    assert_eq!(home.run(&["import", "column.xlsx"]).code, 0);
}

async fn a_row_beyond_the_last_is_told(home: Home) {
    let named = |at: &str| format!("<row r=\"1\">{}</row>", cell(at, "name"));
    let row = |number: &str, at: &str| {
        format!("{}<row r=\"{number}\">{}</row>", named("A1"), cell(at, "x"))
    };
    for rows in [
        row("4294967296", "A4294967296"),
        row("2", "A99999999999999999999"),
        row("1048577", "A2"),
        named("A0"),
    ] {
        write(&home, "row.xlsx", workbook_with(&rows, "<sst/>", "", &[]));
        assert_refused(&home, "row.xlsx", "the rows of a spreadsheet go from 1 to 1048576");
    }
}
