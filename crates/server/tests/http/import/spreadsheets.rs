//! XLSX and ODS.

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{imported, write};
use crate::support::{Home, TestServer};

cases! {
    both: [a_cell_that_is_not_there_is_empty, a_workbook_comes_in, an_opendocument_spreadsheet_comes_in]
    sqlite: [
        mistakes_are_told_by_the_letters_of_their_columns,
        a_sheet_may_be_named,
        a_spreadsheet_that_unpacks_to_too_much_is_refused,
        cells_that_are_said_to_be_many_are_refused,
        what_is_no_spreadsheet_is_told,
    ]
}

/// An archive of these files.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.start_file(*name, SimpleFileOptions::default()).expect("a file in an archive");
        archive.write_all(content).expect("its content");
    }
    archive.finish().expect("an archive").into_inner()
}

const SHEETS: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";

/// A workbook with two sheets, `Clients` of these rows, and these shared texts.
pub fn workbook(rows: &str, shared: &str) -> Vec<u8> {
    // The second style is that of a date.
    let styles = format!(
        "<styleSheet xmlns=\"{SHEETS}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/>\
         </cellXfs></styleSheet>"
    );
    workbook_with(rows, shared, &styles, &[])
}

/// The same with these styles, and a file of these bytes beside.
pub fn workbook_with(rows: &str, shared: &str, styles: &str, beside: &[u8]) -> Vec<u8> {
    let types = format!(
        "<Types xmlns=\"{PACKAGE}/content-types\">\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/></Types>"
    );
    let to_workbook = format!(
        "<Relationships xmlns=\"{PACKAGE}/relationships\">\
         <Relationship Id=\"r1\" Type=\"{RELATIONS}/officeDocument\" Target=\"xl/workbook.xml\"/>\
         </Relationships>"
    );
    let book = format!(
        "<workbook xmlns=\"{SHEETS}\" xmlns:r=\"{RELATIONS}\"><sheets>\
         <sheet name=\"Clients\" sheetId=\"1\" r:id=\"r1\"/><sheet name=\"Other\" sheetId=\"2\" r:id=\"r2\"/>\
         </sheets></workbook>"
    );
    let to_sheets = format!(
        "<Relationships xmlns=\"{PACKAGE}/relationships\">\
         <Relationship Id=\"r1\" Type=\"{RELATIONS}/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
         <Relationship Id=\"r2\" Type=\"{RELATIONS}/worksheet\" Target=\"worksheets/sheet2.xml\"/>\
         <Relationship Id=\"r3\" Type=\"{RELATIONS}/styles\" Target=\"styles.xml\"/>\
         <Relationship Id=\"r4\" Type=\"{RELATIONS}/sharedStrings\" Target=\"sharedStrings.xml\"/>\
         </Relationships>"
    );
    let sheet = |rows: &str| {
        format!("<worksheet xmlns=\"{SHEETS}\"><sheetData>{rows}</sheetData></worksheet>")
    };
    let other = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>name</t></is></c></row>\
                 <row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>Of the other</t></is></c></row>";
    archive(&[
        ("[Content_Types].xml", types.as_bytes()),
        ("_rels/.rels", to_workbook.as_bytes()),
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", to_sheets.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
        ("xl/sharedStrings.xml", shared.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet(rows).as_bytes()),
        ("xl/worksheets/sheet2.xml", sheet(other).as_bytes()),
        ("beside.bin", beside),
    ])
}

const SHARED: &str = "<sst uniqueCount=\"5\"><si><t>Compte client</t></si><si><t>RAISON SOCIALE</t></si>\
    <si><t>Société Générale</t></si><si><t>SIRET</t></si><si><t>created_at</t></si></sst>";

const ROWS: &str = "<row r=\"2\"><c r=\"A2\" t=\"s\"><v>0</v></c><c r=\"B2\" t=\"s\"><v>1</v></c>\
    <c r=\"C2\" t=\"s\"><v>3</v></c><c r=\"D2\" t=\"inlineStr\"><is><t>Client VIP</t></is></c>\
    <c r=\"E2\" t=\"s\"><v>4</v></c></row>\
    <row r=\"3\"><c r=\"A3\"><v>411001</v></c><c r=\"B3\" t=\"s\"><v>2</v></c>\
    <c r=\"C3\"><v>55212022200013</v></c><c r=\"D3\" t=\"b\"><v>1</v></c>\
    <c r=\"E3\" s=\"1\"><v>43525</v></c></row>\
    <row r=\"5\"><c r=\"A5\"><v>411002</v></c><c r=\"B5\" t=\"inlineStr\"><is><t>Œuvre</t></is></c></row>";

async fn a_workbook_comes_in(server: TestServer) {
    write(&server.home, "clients.xlsx", workbook(ROWS, SHARED));
    imported(&server.home.run(&["import", "clients.xlsx"]), 0, "2 created");
    // Whatever it is called.
    let bytes = workbook(ROWS, SHARED);
    imported(&server.home.run_reading(&["import", "-"], &bytes), 0, "2 unchanged");
    let found = server.get("/api/v1/customerAccounts/411001").await.expect(200);
    assert_eq!(
        json!([found["name"], found["registrationNumber"], found["vip"], found["created_at"]]),
        json!(["Société Générale", "55212022200013", true, "2019-03-01T00:00:00.000000Z"])
    );
    let other = server.get("/api/v1/customerAccounts/411002").await.expect(200);
    assert_eq!((&other["registrationNumber"], &other["vip"]), (&Value::Null, &json!(false)));
}

async fn a_cell_that_is_not_there_is_empty(home: Home) {
    write(&home, "clients.xlsx", workbook(ROWS, SHARED));
    imported(&home.run(&["import", "clients.xlsx"]), 0, "2 created");
    // The SIRET, behind which there is a value below no heading.
    let without = ROWS
        .replace("<c r=\"C3\"><v>55212022200013</v></c>", "")
        .replace("<v>43525</v></c>", "<v>43525</v></c><c r=\"H3\"><v>5</v></c>");
    write(&home, "clients.xlsx", workbook(&without, SHARED));
    let ran = home.run(&["import", "clients.xlsx", "--on-conflict", "update"]);
    imported(&ran, 0, "0 created, 1 updated, 1 unchanged");
    assert!(ran.stderr.contains("a value on line 3 stands below no heading"), "{ran:?}");
    assert_eq!(home.database.count("customers WHERE registration_number IS NULL"), 2);
}

/// The files of a document whose only sheet has these rows.
pub fn document(rows: &str) -> Vec<(&'static str, Vec<u8>)> {
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content \
         xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
         xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" \
         xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:spreadsheet>\
         <table:table table:name=\"Clients\">{rows}</table:table></office:spreadsheet></office:body>\
         </office:document-content>"
    );
    let manifest = "<manifest:manifest xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\">\
        <manifest:file-entry manifest:full-path=\"/\" \
        manifest:media-type=\"application/vnd.oasis.opendocument.spreadsheet\"/></manifest:manifest>";
    vec![
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet".to_vec()),
        ("META-INF/manifest.xml", manifest.as_bytes().to_vec()),
        ("content.xml", content.into_bytes()),
    ]
}

/// The same, as the archive that it is.
pub fn packed(rows: &str) -> Vec<u8> {
    let files = document(rows);
    archive(&files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect::<Vec<_>>())
}

pub fn text_cells(texts: &[&str]) -> String {
    let cell = |text: &&str| {
        format!(
            "<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>"
        )
    };
    format!("<table:table-row>{}</table:table-row>", texts.iter().map(cell).collect::<String>())
}

async fn an_opendocument_spreadsheet_comes_in(server: TestServer) {
    let rows = [
        text_cells(&["Compte client", "Raison sociale", "Actif"]),
        "<table:table-row table:number-rows-repeated=\"3\"><table:table-cell/></table:table-row>"
            .into(),
        text_cells(&["411-É", "Crème &amp; fils", "Non"]),
        "<table:table-row><table:table-cell office:value-type=\"float\" office:value=\"7\"/>\
         <table:table-cell office:value-type=\"string\"><text:p>Sept</text:p></table:table-cell>\
         <table:table-cell office:value-type=\"boolean\" office:boolean-value=\"true\"/>\
         <table:table-cell table:number-columns-repeated=\"16380\"/></table:table-row>"
            .into(),
        "<table:table-row table:number-rows-repeated=\"1048000\"><table:table-cell \
         table:number-columns-repeated=\"16384\"/></table:table-row>"
            .into(),
    ];
    write(&server.home, "clients.ods", packed(&rows.concat()));
    imported(&server.home.run(&["import", "clients.ods"]), 0, "2 created");
    let found = server.get("/api/v1/customerAccounts/411-%C3%A9").await.expect(200);
    assert_eq!((&found["name"], &found["active"]), (&json!("Crème & fils"), &json!(false)));
    assert_eq!(server.get("/api/v1/customerAccounts/7").await.expect(200)["name"], "Sept");
}

async fn mistakes_are_told_by_the_letters_of_their_columns(home: Home) {
    let rows = ROWS.replace("<v>411002</v>", "<v>411002</v></c><c r=\"D5\" t=\"e\"><v>#N/A</v>");
    write(&home, "clients.xlsx", workbook(&rows.replace(" r=\"B5\"", " r=\"F5\""), SHARED));
    let ran = home.run(&["import", "clients.xlsx"]);
    imported(&ran, 1, "1 created, 0 updated, 0 unchanged, 0 skipped, 1 refused");
    assert!(ran.stderr.contains("row 5, column D (Client VIP): vip holds an error"), "{ran:?}");
    assert!(ran.stderr.contains("#N/A"), "{ran:?}");
}

async fn a_sheet_may_be_named(home: Home) {
    write(&home, "clients.xlsx", workbook(ROWS, SHARED));
    imported(&home.run(&["import", "clients.xlsx", "--sheet", "Other"]), 0, "1 created");
    assert_eq!(home.database.count("customers WHERE name = 'Of the other'"), 1);
    let ran = home.run(&["import", "clients.xlsx", "--sheet", "Missing"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("no such sheet, but Clients, Other"), "{ran:?}");
}

async fn a_spreadsheet_that_unpacks_to_too_much_is_refused(home: Home) {
    // 64 MiB of spaces are 64 KiB in the archive.
    let shared = format!("<sst uniqueCount=\"1\"><si><t>{}</t></si></sst>", " ".repeat(64 << 20));
    let bytes = workbook(ROWS, &shared);
    assert!(bytes.len() < 256 << 10);
    write(&home, "bomb.xlsx", bytes);
    let ran = home.run(&["import", "bomb.xlsx"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("sharedStrings.xml in it unpacks to more than"), "{ran:?}");
    assert_eq!(home.database.count("customers"), 0);
}

async fn cells_that_are_said_to_be_many_are_refused(home: Home) {
    let full = "<table:table-cell office:value-type=\"string\" table:number-columns-repeated=\"16000\">\
                <text:p>x</text:p></table:table-cell>";
    let rows =
        format!("<table:table-row table:number-rows-repeated=\"1000000\">{full}</table:table-row>");
    write(&home, "bomb.ods", packed(&rows));
    let ran = home.run(&["import", "bomb.ods"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("its cells take too much memory"), "{ran:?}");
    let shared = SHARED.replace("uniqueCount=\"5\"", "uniqueCount=\"900000000000\"");
    write(&home, "bomb.xlsx", workbook(ROWS, &shared));
    let ran = home.run(&["import", "bomb.xlsx"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("its texts and styles take too much memory"), "{ran:?}");
}

async fn what_is_no_spreadsheet_is_told(home: Home) {
    let whole = workbook(ROWS, SHARED);
    for (name, bytes) in [
        ("no.xlsx", &b"PK"[..]),
        ("half.xlsx", &whole[..whole.len() / 2]),
        ("empty.xlsx", b""),
        ("empty.ods", b""),
        ("other.ods", &archive(&[("a", b"b")])),
    ] {
        write(&home, name, bytes);
        let ran = home.run(&["import", name]);
        assert_eq!(ran.code, 1, "{name}: {ran:?}");
        let told = format!("error: {name}: this is no XLSX and no ODS spreadsheet (");
        assert!(ran.stderr.contains(&told) && ran.stderr.contains("save it as"), "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    }
}
