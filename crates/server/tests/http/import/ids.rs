//! A column `id`: of another system, or of an export.

use super::spreadsheets::{archive, document, text_cells, workbook};
use super::{imported, write};
use crate::support::Home;

cases! {
    both: [numbers_of_another_system_change_nobody, ids_count_where_that_is_said]
    sqlite: [
        a_column_is_mapped_to_ids_only_where_that_is_said,
        only_a_workbook_of_an_export_brings_ids,
        a_document_that_was_made_of_an_export_brings_ids,
    ]
}

/// What tells that the column does not count.
const IGNORED: &str = "is ignored, because its numbers may be those of another system; --ids says";

/// Two customers that are there already, under the numbers that the files of another system use.
fn fill(home: &Home) {
    write(home, "own.csv", "customerAccount,name\nOWN1,First\nOWN2,Second\n");
    imported(&home.run(&["import", "own.csv"]), 0, "2 created");
}

fn names(home: &Home) -> Vec<String> {
    home.database.values("SELECT id || ' ' || name AS value FROM customers ORDER BY id")
}

async fn numbers_of_another_system_change_nobody(home: Home) {
    fill(&home);
    write(&home, "f.csv", "id;customerAccount;name\n1;F1;Foreign 1\n2;F2;Foreign 2\n");
    write(&home, "f.tsv", "ID\tcustomerAccount\tname\n1\tF1\tForeign 1\n2\tF2\tForeign 2\n");
    let object =
        |n: u32| format!("{{\"Id\":{n},\"customerAccount\":\"F{n}\",\"name\":\"Foreign {n}\"}}\n");
    write(&home, "f.ndjson", object(1) + &object(2));
    write(&home, "f.json", format!("{{\"data\":[{},{}]}}", object(1), object(2)));
    for file in ["f.csv", "f.tsv", "f.ndjson", "f.json"] {
        let import = ["import", file, "--on-conflict", "update"];
        let ran = home.run(&[&import[..], &["--dry-run"]].concat());
        assert_eq!(ran.code, 0, "{file}: {ran:?}");
        let ran = home.run(&import);
        let counts =
            if file == "f.csv" { "2 created, 0 updated" } else { "0 updated, 2 unchanged" };
        imported(&ran, 0, counts);
        assert_eq!(ran.stderr.matches(IGNORED).count(), 1, "{file}: {ran:?}");
        assert_eq!(names(&home), ["1 First", "2 Second", "3 Foreign 1", "4 Foreign 2"]);
    }
}

async fn ids_count_where_that_is_said(home: Home) {
    fill(&home);
    write(&home, "own.csv", "id,name\n1,One\n7,Seven\n");
    let ran = home.run(&["import", "own.csv", "--ids", "--on-conflict", "update"]);
    imported(&ran, 0, "1 created, 1 updated");
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
    assert_eq!(names(&home), ["1 One", "2 Second", "7 Seven"]);
}

async fn a_column_is_mapped_to_ids_only_where_that_is_said(home: Home) {
    write(&home, "m.csv", "Ref,name\n7,Seven\n");
    let import = ["import", "m.csv", "--map", "Ref=id"];
    let ran = home.run(&import);
    assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:?}");
    assert!(ran.stderr.contains("--map Ref=id: only with --ids"), "{ran:?}");
    imported(&home.run(&[&import[..], &["--ids"]].concat()), 0, "1 created");
    assert_eq!(names(&home), ["7 Seven"]);
}

fn cell(at: &str, text: &str) -> String {
    format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

async fn only_a_workbook_of_an_export_brings_ids(home: Home) {
    fill(&home);
    let rows = format!(
        "<row r=\"1\">{}{}</row><row r=\"2\"><c r=\"A2\"><v>1</v></c>{}</row>",
        cell("A1", "id"),
        cell("B1", "name"),
        cell("B2", "Foreign")
    );
    write(&home, "f.xlsx", workbook(&rows, "<sst/>"));
    let ran = home.run(&["import", "f.xlsx", "--on-conflict", "update"]);
    imported(&ran, 0, "1 created, 0 updated");
    assert!(ran.stderr.contains(&format!("the column id {IGNORED}")), "{ran:?}");
    assert_eq!(names(&home), ["1 First", "2 Second", "3 Foreign"]);
    let ran = home.run(&["import", "f.xlsx", "--ids", "--on-conflict", "update"]);
    imported(&ran, 0, "0 created, 1 updated");
    assert_eq!(names(&home)[0], "1 Foreign");

    home.run_well(&["export", "own.xlsx"]);
    home.database.execute("UPDATE customers SET name = 'Changed' WHERE id = 1");
    let ran = home.run(&["import", "own.xlsx", "--on-conflict", "update"]);
    imported(&ran, 0, "0 created, 1 updated, 2 unchanged");
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
}

async fn a_document_that_was_made_of_an_export_brings_ids(home: Home) {
    let rows = text_cells(&["id", "name"]) + &text_cells(&["7", "Seven"]);
    // As LibreOffice writes the property of a workbook that it saves as ODS.
    let meta = "<office:document-meta xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
        xmlns:meta=\"urn:oasis:names:tc:opendocument:xmlns:meta:1.0\"><office:meta>\
        <meta:user-defined meta:name=\"customers export\" meta:value-type=\"boolean\">true\
        </meta:user-defined></office:meta></office:document-meta>";
    for (name, meta, id) in
        [("foreign.ods", "<office:document-meta/>", "1"), ("own.ods", meta, "7")]
    {
        let home = Home::new(crate::database::TestDatabase::sqlite());
        let mut files = document(&rows);
        files.push(("meta.xml", meta.as_bytes().to_vec()));
        let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        write(&home, name, archive(&files));
        let ran = home.run(&["import", name]);
        imported(&ran, 0, "1 created");
        assert_eq!(ran.stderr.contains(IGNORED), id == "1", "{ran:?}");
        assert_eq!(names(&home), [format!("{id} Seven")]);
    }
    drop(home);
}
