//! `customers export`, while a server runs.

pub mod formats;

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use customers_domain::FOLD_VERSION;
use serde_json::{Value, json};

use self::formats::{read_csv, read_lines};
use crate::creation::full_customer;
use crate::support::load::Load;
use crate::support::{Home, Program, Ran, TestServer, encode, run, until};

cases! {
    both: [
        filters_are_those_of_the_list,
        what_is_exported_is_of_one_moment,
        memory_does_not_grow_with_what_is_exported,
        whoever_stops_reading_ends_it,
        whoever_reads_slowly_does_not_keep_the_state,
        a_customer_is_exported_with_all_that_is_kept_of_it,
        a_file_gets_its_name_when_it_is_complete,
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
             created_at, updated_at, '', {FOLD_VERSION} FROM customers;
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
