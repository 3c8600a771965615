//! `customers export`, while a server runs.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::creation::full_customer;
use crate::support::load::Load;
use crate::support::{Home, Program, Ran, TestServer, encode, run, until};

cases! {
    both: [
        every_format_holds_what_the_api_answers,
        nobody_is_exported_where_there_is_nobody,
        filters_are_those_of_the_list,
        what_is_exported_is_of_one_moment,
        memory_does_not_grow_with_what_is_exported,
        whoever_stops_reading_ends_it,
        whoever_reads_slowly_does_not_keep_the_state,
        nothing_in_csv_becomes_a_formula,
        a_customer_is_exported_with_all_that_is_kept_of_it,
        a_file_gets_its_name_when_it_is_complete,
        what_no_sheet_can_hold_is_told,
        what_is_asked_for_wrongly_is_told,
    ]
    sqlite: [
        a_bar_is_drawn_on_a_terminal,
        a_file_that_cannot_be_made_is_told,
        a_database_that_is_damaged_is_told,
        a_database_that_is_not_there_is_not_made,
    ]
    postgres: [nothing_is_left_by_whoever_does_not_wait_for_the_end]
}

const CUSTOMERS: &str = "/api/v1/customers";

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
fn read_csv(text: &str) -> Vec<Value> {
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<_> = table.headers().expect("names").iter().map(str::to_owned).collect();
    let object = |row: csv::Result<csv::StringRecord>| -> Value {
        let row = row.expect("a row");
        let values = row.iter().map(Value::from);
        names.iter().cloned().zip(values).collect()
    };
    table.records().map(object).collect()
}

fn read_lines(text: &str) -> Vec<Value> {
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

/// Fills a database with so many customers that have a comment of so many characters, past the service.
fn fill(home: &Home, customers: usize, comment: usize) {
    home.run_well(&["migrate"]);
    let comment = "x".repeat(comment);
    home.database.execute(&format!(
        "WITH RECURSIVE numbers (i) AS
             (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {customers})
         INSERT INTO customers (id, brand_id, customer_account, account_key, name, active,
             is_reseller, reseller_level, charge_vat, apply_vat_auto_reverse_operators, on_call_duty,
             vip, more, created_at, updated_at)
         SELECT i, 1, 'K' || i, 'k' || i, 'Société ' || i, i > 0, i < 0, 0, i > 0, i < 0, i < 0, i < 0,
             '{{\"comment\":\"{comment}\"}}', i, i FROM numbers;
         INSERT INTO customer_keys (id, customer_account, name, brand_id, active, is_reseller,
             on_call_duty, vip, created_at, updated_at, searched_text, fold_version)
         SELECT id, account_key, 'societe ' || id, brand_id, active, is_reseller, on_call_duty, vip,
             created_at, updated_at, '', 1000 FROM customers;
         UPDATE customer_totals SET live = {customers} WHERE slot = 0"
    ));
    if home.database.url().starts_with("postgres") {
        // Which SQLite finds out by itself.
        home.database.execute(&format!("SELECT setval('customers_id', {customers})"));
    }
}

/// A running export whose output is read by hand.
struct Reading {
    child: Child,
    stdout: std::process::ChildStdout,
}

impl Reading {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command();
        command.arg("export").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        let stdout = child.stdout.take().expect("a pipe");
        Self { child, stdout }
    }

    /// Reads so many bytes, which are there once some are written.
    fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        self.stdout.read_exact(&mut read).expect("so many bytes");
        read
    }

    /// Reads the rest, and waits for the end.
    fn finish(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stdout.read_to_end(&mut rest).expect("the rest");
        let ended = self.child.wait_with_output().expect("an end");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        rest
    }
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
    assert!(csv.starts_with(&(names.join(",") + "\r\n")), "{csv}");
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

async fn filters_are_those_of_the_list(server: TestServer) {
    for number in 0..300 {
        let city = ["Orléans", "Lyon", "Paris"][number % 3];
        let customer = json!({
            "name": format!("Société {number}"), "mainAddressCity": city, "vip": number % 2 == 0,
            "phone": format!("+336020304{:02}", number % 100),
        });
        let id = server.create(&customer).await["id"].clone();
        if number % 50 == 0 {
            assert_eq!(server.delete(&format!("{CUSTOMERS}/{id}")).await.status, 204);
        }
    }
    for filters in [
        &[][..],
        &[("mainAddressCity", "orleans")],
        &[("mainAddressCity", "ORLEANS,Lyon"), ("vip", "1")],
        &[("name", "société 1")],
        &[("phone", "0602030407")],
        &[("term_match", "societe 42")],
        &[("id", "3,1,300,301")],
        &[("id", "")],
        &[("vip", "")],
        &[("trashed", "with")],
        &[("trashed", "only"), ("vip", "yes")],
        &[("created_after", "2020-01-01"), ("created_before", "2100-01-01T00:00:00+02:00")],
        &[("vip", "yes"), ("vip", "no")],
    ] {
        let query: Vec<_> =
            filters.iter().map(|(name, text)| format!("filter[{name}]={}", encode(text))).collect();
        let mut expected = Vec::new();
        let mut next = Some(format!("{CUSTOMERS}?per_page=500&{}", query.join("&")));
        while let Some(target) = next {
            let page = server.get(&target).await.expect(200);
            expected.extend(page["data"].as_array().expect("data").clone());
            let url = page["next_page_url"].as_str();
            next = url.map(|url| url[url.find("/api").expect("a path")..].to_owned());
        }
        let arguments: Vec<_> = filters
            .iter()
            .flat_map(|(name, text)| ["--filter".to_owned(), format!("{name}={text}")])
            .collect();
        let arguments: Vec<&str> =
            ["export"].into_iter().chain(arguments.iter().map(|it| &**it)).collect();
        let exported = read_lines(&server.home.run_well(&arguments));
        assert_eq!(exported, expected, "{filters:?}");
    }
}

async fn what_is_exported_is_of_one_moment(server: TestServer) {
    fill(&server.home, 3000, 1000);
    let mut reading = Reading::start(&server.home, &[]);
    let mut exported = reading.read(1);
    // From here on, nothing of what is done shows, though most is still to be read.
    let load = Load::start(&server.client, 4);
    load.until_created(20).await;
    let last = format!("{CUSTOMERS}/3000");
    server.patch(&last).json(&json!({ "name": "changed" })).await.expect(200);
    assert_eq!(server.delete(&format!("{CUSTOMERS}/2999")).await.status, 204);
    server
        .patch(&format!("{CUSTOMERS}/2998"))
        .json(&json!({ "name": "changed" }))
        .await
        .expect(200);
    load.until_created(20).await;
    exported.extend(reading.finish());
    load.until_created(20).await;
    assert_eq!(load.stop().await.refused, 0);
    let exported = read_lines(std::str::from_utf8(&exported).expect("UTF-8"));
    let ids: Vec<_> = exported.iter().map(|it| it["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids, (1..=3000).collect::<Vec<_>>());
    for customer in exported {
        assert_eq!(customer["name"], format!("Société {}", customer["id"]));
    }
    // And the next one has all of it.
    let now = read_lines(&server.home.run_well(&["export"]));
    let names: HashSet<_> = now.iter().map(|it| it["name"].as_str().expect("a name")).collect();
    assert!(names.contains("changed"));
    assert!(!names.contains("Société 2998") && !names.contains("Société 2999"));
}

async fn memory_does_not_grow_with_what_is_exported(home: Home) {
    // Python tells how much memory its child has had in use at most, in KiB.
    let peak = |arguments: &[&str]| -> u64 {
        let mut python = Command::new("python3");
        let script = "import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
        python.args(["-c", script]).arg(home.command().get_program()).arg("export").args(arguments);
        let ran = run(python.env("DATABASE_URL", home.database.url()).current_dir(home.folder()));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout.trim().parse().expect("a number")
    };
    fill(&home, 12_000, 4000);
    for format in ["ndjson", "csv", "xlsx"] {
        let few =
            peak(&["--format", format, "--filter", "created_before=1970-01-01T00:00:00.000500Z"]);
        let many = peak(&["--format", format]);
        // All of them are 50 MB and more.
        assert!(many < few + 12 * 1024, "{format}: {few} and {many} KiB");
    }
}

async fn whoever_stops_reading_ends_it(home: Home) {
    fill(&home, 3000, 1000);
    for format in ["ndjson", "csv", "xlsx"] {
        let program = home.command().get_program().to_owned();
        let mut shell = Command::new("bash");
        let script =
            format!("set -o pipefail; \"$0\" export --format {format} | head -c 10 > some");
        shell.args(["-c", &script]).arg(program).env("DATABASE_URL", home.database.url());
        let ran = run(shell.current_dir(home.folder()));
        // On a slow machine it tells how far it is.
        let told: Vec<_> = ran.stderr.lines().filter(|it| !it.starts_with("exported ")).collect();
        assert_eq!((ran.code, told), (0, vec![]), "{format}");
        assert_eq!(fs::read(home.folder().join("some")).expect("a file").len(), 10);
    }
}

async fn whoever_reads_slowly_does_not_keep_the_state(server: TestServer) {
    fill(&server.home, 3000, 1000);
    let mut reading = Reading::start(&server.home, &[]);
    let mut exported = reading.read(1);
    server.create(&json!({ "name": "later" })).await;
    let database = &server.home.database;
    let is_sqlite = database.url().starts_with("sqlite:");
    let is_kept =
        || match is_sqlite {
            // A log of which nobody reads old parts can be cut to nothing.
            true => {
                database.execute("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE)");
                let log = format!("{}-wal", database.path().display());
                fs::metadata(log).expect("a log").len() > 0
            }
            false => database.count(
                "pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL \
                 AND pid <> pg_backend_pid()",
            ) > 0,
        };
    assert!(is_kept());
    until("the state to be given up", async || !is_kept()).await;
    exported.extend(reading.finish());
    let exported = read_lines(std::str::from_utf8(&exported).expect("UTF-8"));
    assert_eq!(exported.len(), 3000);
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
    ];
    for (text, _) in texts {
        server.create(&json!({ "name": text, "brand": text, "balance": -5 })).await;
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

async fn a_customer_is_exported_with_all_that_is_kept_of_it(server: TestServer) {
    let id = server.create(&full_customer()).await["id"].to_string();
    let target = format!("{CUSTOMERS}/{id}");
    for number in 0..3 {
        server.patch(&target).json(&json!({ "name": format!("N{number}") })).await.expect(200);
    }
    let customer = server.get(&target).await.expect(200);
    let history = || async {
        server.get(&format!("{target}/history?per_page=100")).await.expect(200)["data"].clone()
    };
    let exported = || -> Value {
        let text = server.home.run_well(&["export", "--id", &id]);
        serde_json::from_str(&text).expect("one JSON document")
    };
    assert_eq!(exported(), json!({ "customer": customer, "history": history().await }));
    assert_eq!(server.delete(&target).await.status, 204);
    let document = exported();
    assert!(document["customer"]["deleted_at"].is_string());
    assert_eq!(document["history"], history().await);
    assert_eq!(document["history"].as_array().expect("entries").len(), 5);

    let told = server.home.run_well(&["export", "it.json", "--id", &id]);
    assert_eq!(told, "Exported 1 customer to it.json.\n");
    let text = fs::read_to_string(server.home.folder().join("it.json")).expect("a file");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), document);
    let ran = server.home.run(&["export", "other.json", "--id", "77"]);
    assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains("there is no customer 77"), "{}", ran.stderr);
    assert!(!server.home.folder().join("other.json").exists());
    // More entries than are read at once.
    let rows = "INSERT INTO customer_history (customer_id, at, actor, action, request_id, changes)
                WITH RECURSIVE numbers (i) AS
                    (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 1100)
                SELECT customer_id, at, actor, action, request_id, changes
                FROM customer_history, numbers WHERE action = 'deleted'";
    server.home.database.execute(rows);
    assert_eq!(exported()["history"].as_array().expect("entries").len(), 1105);
}

async fn a_file_gets_its_name_when_it_is_complete(home: Home) {
    fill(&home, 6000, 2000);
    let path = home.folder().join("all.csv");
    fs::write(&path, "old").expect("a file");
    let files = || -> Vec<String> {
        let files = fs::read_dir(home.folder()).expect("the working directory");
        files.map(|it| it.expect("a file").file_name().into_string().expect("UTF-8")).collect()
    };
    for signal in ["INT", "TERM"] {
        let mut program = Program::start(home.command().args(["export", "all.csv"]));
        until("a file that grows", async || {
            files().iter().any(|it| {
                it.ends_with(".part")
                    && fs::metadata(home.folder().join(it)).is_ok_and(|it| it.len() > 0)
            })
        })
        .await;
        assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
        program.signal(signal);
        assert_eq!(program.wait().code(), Some(1), "{:?}", program.log());
        assert!(program.log().iter().any(|it| it.contains("stopped")), "{:?}", program.log());
        assert_eq!(files(), ["all.csv"]);
        assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
    }
    home.run_well(&["export", "all.csv"]);
    assert_eq!(read_csv(&fs::read_to_string(&path).expect("a file")).len(), 6000);
    assert_eq!(files(), ["all.csv"]);
    // Nobody else shall read it.
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

async fn nothing_is_left_by_whoever_does_not_wait_for_the_end(home: Home) {
    home.run_well(&["migrate"]);
    let mut lock = home.database.connect();
    lock.execute("BEGIN");
    lock.execute("LOCK TABLE customer_totals IN ACCESS EXCLUSIVE MODE");
    let files = || fs::read_dir(home.folder()).expect("the working directory").count();
    let mut program = Program::start(home.command().args(["export", "all.csv"]));
    until("a file that will grow", async || files() == 1).await;
    // It cannot stop before it hears from the database.
    program.signal("INT");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(files(), 1, "{:?}", program.log());
    program.signal("INT");
    assert_eq!(program.wait().code(), Some(1), "{:?}", program.log());
    assert_eq!(files(), 0);
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

async fn a_database_that_is_not_there_is_not_made(home: Home) {
    for arguments in [&["export"][..], &["erase", "1", "--yes"]] {
        let ran = run(home.command().args(arguments).env("DATABASE_URL", "sqlite://no/such.db"));
        assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains("there is no database no/such.db"), "{ran:?}");
    }
    assert!(!home.folder().join("no").exists());
}

async fn what_is_asked_for_wrongly_is_told(home: Home) {
    home.run_well(&["migrate"]);
    for (arguments, told) in [
        (&["export", "--filter", "foo=1"][..], "Requested filter(s) `foo` are not allowed."),
        (&["export", "--filter", "vip=maybe"], "The vip filter must be true or false."),
        (&["export", "--filter", "vip"], "NAME=VALUE"),
        (&["export", "--format", "pdf"], "ndjson, csv, xlsx"),
        (&["export", "a.json"], "--format"),
        (&["export", "a"], "--format"),
        (&["export", "--id", "CL1"], "an id is a number"),
        (&["export", "--id", "1", "--format", "csv"], "--format"),
        (&["export", "--trashed", "yes"], "only"),
    ] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(told), "{told} is missing in {}", ran.stderr);
    }
    let help = home.run_well(&["export", "--help"]);
    for told in ["ndjson", "csv", "xlsx", "--filter", "--trashed", "--raw", "--id", "apostrophe"] {
        assert!(help.contains(told), "{told} is missing in {help}");
    }
}

async fn a_bar_is_drawn_on_a_terminal(home: Home) {
    fill(&home, 3000, 100);
    let export = format!("'{}' export all.csv", env!("CARGO_BIN_EXE_customers"));
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &export, "/dev/null"]);
    terminal.env("DATABASE_URL", home.database.url()).env("TERM", "xterm");
    let Ran { code, stdout, .. } = run(terminal.current_dir(home.folder()));
    assert_eq!(code, 0, "{stdout}");
    for part in ["█", "of 3,000", "Exported 3,000 customers to all.csv."] {
        assert!(stdout.contains(part), "{part} is missing in {stdout}");
    }
}

async fn a_file_that_cannot_be_made_is_told(home: Home) {
    home.run_well(&["migrate"]);
    for path in ["no folder/a.csv", "."] {
        let ran = home.run(&["export", path, "--format", "csv"]);
        assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains(&format!("cannot write to {path}")), "{}", ran.stderr);
    }
    // What is no file is written to as it is.
    home.run_well(&["export", "/dev/null", "--format", "csv"]);
    let full = home.run(&["export", "/dev/full", "--format", "csv"]);
    assert_eq!(full.code, 1, "{full:?}");
    assert!(full.stderr.contains("cannot write to /dev/full"), "{}", full.stderr);
}

async fn a_database_that_is_damaged_is_told(home: Home) {
    let rows = (0..3_000).map(|n| format!("{{\"name\":\"Customer {n}\"}}\n")).collect::<String>();
    fs::write(home.folder().join("d.ndjson"), rows).expect("a file");
    home.run_well(&["import", "d.ndjson"]);
    let path = home.database.path();
    let mut bytes = fs::read(&path).expect("a database");
    let at = bytes.windows(13).rposition(|it| it == b"Customer 2700").expect("a row") & !4095;
    bytes[at..at + 4096].fill(0xA5);
    for page in
        bytes.chunks_mut(4096).skip(1).filter(|it| it.windows(11).any(|it| it == b"Customer 15"))
    {
        page[..64].fill(0xA5);
    }
    fs::write(&path, bytes).expect("a database");
    let ran = home.run(&["export"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("malformed"), "{ran:?}");
    assert!(ran.stderr.contains("`customers check` tells what is wrong"), "{ran:?}");
}
