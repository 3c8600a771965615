//! Moving in: customers that come from a running system, here from another server.

mod listed;
mod moving;
mod unreliable;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::database::TestDatabase;
use crate::support::{Home, Program, Ran, TestServer, run, until};
use crate::tls::make_pair;
use listed::Listed;
use unreliable::{Failure, Unreliable};

cases! {
    both: [
        all_customers_of_a_system_come_in_page_by_page,
        what_has_changed_there_since_is_changed_here,
        a_system_that_is_busy_or_fails_is_asked_again,
        stopped_it_goes_on_where_it_was,
        no_place_is_kept_behind_a_customer_who_waits,
    ]
    sqlite: [
        a_list_that_never_ends_is_told,
        what_another_system_says_reaches_no_terminal_as_a_command,
        a_login_is_as_good_as_a_token,
        secrets_are_never_arguments,
        what_the_system_refuses_is_told,
        a_system_that_stays_away_is_given_up_on,
        nothing_is_written_by_a_dry_run,
        certificates_are_checked,
    ]
}

/// Where the customers go.
struct Puller {
    home: Home,
    url: String,
    token: String,
}

impl Puller {
    /// Into this database, from a system that a test makes up.
    fn made_up(home: Home, system: &Listed) -> Self {
        Self { home, url: system.url(), token: "cus_x".to_owned() }
    }

    /// From this server, into an empty database of the same kind.
    fn from(server: &TestServer) -> Self {
        let is_sqlite = server.home.database.url().starts_with("sqlite:");
        let database = if is_sqlite { TestDatabase::sqlite() } else { TestDatabase::postgres() };
        let url = format!("http://{}", server.client.address());
        Self { home: Home::new(database), url, token: server.client.token().to_owned() }
    }

    fn command(&self, how: &[&str]) -> Command {
        let mut command = self.home.command();
        command.args([&["pull", &self.url], how].concat()).env("PULL_TOKEN", &self.token);
        command
    }

    fn pull(&self, how: &[&str]) -> Ran {
        run(&mut self.command(how))
    }
}

#[track_caller]
fn pulled(ran: &Ran, code: i32, counts: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.stdout.contains(counts), "{ran:?}");
}

/// Customers that came into the server's own database.
fn fill(server: &TestServer, count: u32) {
    let customer =
        |n: u32| format!("{{\"customerAccount\":\"P{n}\",\"name\":\"Été {n}\",\"vip\":true}}\n");
    let file = server.home.folder().join("fill.ndjson");
    fs::write(file, (1..=count).map(customer).collect::<String>()).expect("a file");
    server.home.run_well(&["import", "fill.ndjson"]);
}

async fn all(server: &TestServer) -> Vec<Value> {
    let mut customers = Vec::new();
    for page in 1.. {
        let target = format!("/api/v1/customers?filter[trashed]=with&per_page=500&page={page}");
        let page = server.get(&target).await.expect(200);
        customers.extend(page["data"].as_array().expect("customers").clone());
        if page["next_page_url"].is_null() {
            break;
        }
    }
    customers
}

async fn all_customers_of_a_system_come_in_page_by_page(server: TestServer) {
    fill(&server, 1_203);
    server.create(&json!({ "name": "=more", "comment": "a\nb", "suppliers": "x" })).await;
    server.delete("/api/v1/customers/7").await;
    let to = Puller::from(&server);
    let ran = to.pull(&["--per-page", "100"]);
    pulled(&ran, 0, "1203 created, 0 updated, 0 unchanged");
    assert!(ran.stderr.contains(&format!("reading {}", to.url)), "{ran:?}");
    pulled(&to.pull(&[]), 0, "0 created, 0 updated, 1203 unchanged");
    pulled(&to.pull(&["--with-deleted"]), 0, "1 created, 0 updated, 1203 unchanged");
    let there = TestServer::start(to.home, &[]);
    assert_eq!(all(&there).await, all(&server).await);
    let next = there.create(&json!({ "name": "next" })).await;
    assert!(next["id"].as_i64() > Some(1204), "{next}");
}

async fn what_has_changed_there_since_is_changed_here(server: TestServer) {
    fill(&server, 3);
    let to = Puller::from(&server);
    pulled(&to.pull(&[]), 0, "3 created");
    server.patch("/api/v1/customers/2").json(&json!({ "name": "other" })).await.expect(200);
    let ran = to.pull(&[]);
    pulled(&ran, 1, "2 unchanged, 0 skipped, 1 refused");
    assert!(
        ran.stderr.contains("customer 2, column name: name differs from that of customer 2"),
        "{ran:?}"
    );
    pulled(&to.pull(&["--on-conflict", "update"]), 0, "1 updated, 2 unchanged");
    pulled(&to.pull(&["--on-conflict", "update"]), 0, "0 updated, 3 unchanged");
    assert_eq!(to.home.database.count("customers WHERE name = 'other'"), 1);
}

async fn a_system_that_is_busy_or_fails_is_asked_again(server: TestServer) {
    fill(&server, 40);
    let between = Unreliable::before(
        server.client.address(),
        vec![
            Failure::Answer("429 Too Many Requests\r\nRetry-After: 1"),
            Failure::None,
            Failure::Answer("503 Service Unavailable"),
            Failure::None,
            Failure::CutShort,
            Failure::Closed,
        ],
    );
    let mut to = Puller::from(&server);
    to.url = format!("http://{}", between.address());
    let started = Instant::now();
    let ran = to.pull(&["--per-page", "10"]);
    pulled(&ran, 0, "40 created");
    assert!(started.elapsed() >= Duration::from_millis(2_500), "{:?}", started.elapsed());
    for told in
        ["it answers 429; it is asked again in 1.0 s", "it answers 503; it is asked again in 0.5 s"]
    {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    assert_eq!(ran.stderr.matches("it is asked again").count(), 4, "{ran:?}");
    assert_eq!(to.home.database.count("customers"), 40);
}

async fn stopped_it_goes_on_where_it_was(server: TestServer) {
    fill(&server, 9_000);
    let to = Puller::from(&server);
    let how = ["--per-page", "50", "--resume", "place.json"];
    let mut first = Program::start(&mut to.command(&how));
    let place = to.home.folder().join("place.json");
    until("a place to be kept", async || place.exists()).await;
    first.signal("INT");
    assert_eq!(first.wait().code(), Some(130));
    let log = first.log().join("\n");
    assert!(
        log.contains("stopped; what came in is kept. To go on, run the same command again"),
        "{log}"
    );
    let kept = to.home.database.count("customers");
    assert!((1..9_000).contains(&kept), "{kept}: {log}");
    let text = fs::read_to_string(&place).expect("a place");
    assert!(text.contains("cursor"), "{text}");

    // A place in another list is no place in this one.
    let ran = to.pull(&["--with-deleted", "--resume", "place.json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    // Nor is it one for a database that has nothing of what comes before it.
    let ran = run(to.command(&how).env("DATABASE_URL", "sqlite://other.db"));
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = to.pull(&how);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("going on at the cursor"), "{ran:?}");
    // Not all over again: what was passed over is far less than what had come in.
    let unchanged = ran.stdout.split(' ').nth(4).and_then(|count| count.parse::<usize>().ok());
    assert!(unchanged.is_some_and(|count| count < kept), "{kept}: {ran:?}");
    assert_eq!(to.home.database.count("customers"), 9_000);
    assert!(!place.exists());
}

/// A page with a customer of each number from here on, and one without an account in its midst.
fn page(first: u32, next: Option<&str>) -> String {
    let customer = |n: u32| match n == first + 700 {
        true => json!({ "name": format!("Without {n}") }),
        false => json!({ "id": n, "customerAccount": format!("W{n}"), "name": "With" }),
    };
    let data: Vec<_> = (first..first + 1_500).map(customer).collect();
    json!({ "data": data, "next_cursor": next, "total": 4_500 }).to_string()
}

async fn no_place_is_kept_behind_a_customer_who_waits(home: Home) {
    let pages = |is_busy: bool| {
        Listed::by(move |target| match target {
            it if it.contains("cursor=b") => (!is_busy).then(|| page(3_001, None)),
            it if it.contains("cursor=a") => Some(page(1_501, Some("b"))),
            _ => Some(page(1, Some("a"))),
        })
    };
    let mut to = Puller::made_up(home, &pages(true));
    let how = ["--resume", "place.json"];
    let mut first = Program::start(&mut to.command(&how));
    first.wait_for_log(|line| line.contains("it is asked again in 1.0 s"));
    first.signal("INT");
    assert_eq!(first.wait().code(), Some(130));
    let kept = to.home.database.count("customers");
    assert!((1..4_497).contains(&kept), "{kept}");

    // Of the same system, at another address.
    let place = to.home.folder().join("place.json");
    let system = pages(false);
    if let Ok(text) = fs::read_to_string(&place) {
        fs::write(&place, text.replace(&to.url, &system.url())).expect("a place");
    }
    to.url = system.url();
    pulled(&to.pull(&how), 0, "unchanged, 0 skipped, 0 refused");
    assert_eq!(to.home.database.count("customers"), 4_500);
    assert!(!place.exists());
}

async fn a_list_that_never_ends_is_told(home: Home) {
    let system = Listed::by(|_| {
        Some(r#"{"data":[{"name":"\ud800"},{"name":"A"}],"next_cursor":"a","total":2}"#.to_owned())
    });
    let ran = Puller::made_up(home, &system).pull(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("its list never ends: at the cursor a there are only"), "{ran:?}");
    assert!(ran.stderr.contains("customer 1: holds what is no text"), "{ran:?}");
}

async fn what_another_system_says_reaches_no_terminal_as_a_command(home: Home) {
    let system =
        Listed::by(|_| Some(r#"{"data":[{"\u001b]0;x":0}],"next_cursor":null}"#.to_owned()));
    let ran = Puller::made_up(home, &system).pull(&[]);
    assert!(ran.stderr.contains("the column \\u001b]0;x is unknown"), "{ran:?}");
    assert!(!ran.stderr.contains('\x1b'), "{ran:?}");
}

async fn a_login_is_as_good_as_a_token(server: TestServer) {
    fill(&server, 5);
    server.home.user("zoe@example.com", "correct horse");
    let to = Puller::from(&server);
    fs::write(to.home.folder().join("password"), "correct horse\n").expect("a file");
    let mut command = to.home.command();
    command.args(["pull", &to.url, "--email", "zoe@example.com", "--password-file", "password"]);
    pulled(&run(&mut command), 0, "5 created");
    // It has logged out again.
    let live = "tokens WHERE user_id IS NOT NULL AND revoked_at IS NULL";
    assert_eq!(server.home.database.count(live), 0);
    let mut command = to.home.command();
    command.args(["pull", &to.url, "--email", "zoe@example.com"]).env("PULL_PASSWORD", "wrong");
    let ran = run(&mut command);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("POST /api/login is answered with 401"), "{ran:?}");
    assert!(!ran.stderr.contains("wrong"), "{ran:?}");
}

async fn secrets_are_never_arguments(home: Home) {
    for (arguments, told) in [
        (&["pull", "http://127.0.0.1:1"][..], "--token-file"),
        (&["pull", "http://127.0.0.1:1", "--email", "a@example.com"], "--password-file"),
        (&["pull", "http://u:p@127.0.0.1:1", "--token-file", "token"], "must not hold a password"),
        (&["pull", "http://127.0.0.1:1", "--token-file", "missing"], "cannot read missing"),
        (&["pull", "http://127.0.0.1:1", "--token", "cus_x"], "unexpected argument"),
        (&["pull", "127.0.0.1:1", "--token-file", "token"], "https://"),
    ] {
        fs::write(home.folder().join("token"), "cus_x\n").expect("a file");
        let ran = home.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    assert!(!home.database.path().exists());
}

async fn what_the_system_refuses_is_told(server: TestServer) {
    let mut to = Puller::from(&server);
    to.token = format!("cus_{}", "x".repeat(43));
    let ran = to.pull(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("GET /api/v1/customers is answered with 401"), "{ran:?}");
    assert!(!ran.stderr.contains(&to.token), "{ran:?}");
    to.token = server.home.token(&["--name", "reader", "--scope", "read"]);
    pulled(&to.pull(&[]), 0, "0 created");
    let ran = to.pull(&["--with-deleted"]);
    assert!(ran.stderr.contains("answered with 403"), "{ran:?}");
    to.url.push_str("/elsewhere");
    assert!(to.pull(&[]).stderr.contains("answered with 404"));
}

async fn a_system_that_stays_away_is_given_up_on(server: TestServer) {
    let mut to = Puller::from(&server);
    to.url = "http://127.0.0.1:1".to_owned();
    let mut pull = Program::start(&mut to.command(&[]));
    pull.wait_for_log(|line| line.contains("it is asked again in 2.0 s"));
    pull.signal("INT");
    let started = Instant::now();
    assert_eq!(pull.wait().code(), Some(130));
    assert!(started.elapsed() < Duration::from_secs(1));
}

async fn nothing_is_written_by_a_dry_run(server: TestServer) {
    fill(&server, 30);
    let to = Puller::from(&server);
    pulled(
        &to.pull(&["--dry-run", "--per-page", "7"]),
        0,
        "Nothing is written. It would be: 30 created",
    );
    assert!(!to.home.database.path().exists());
    assert_eq!(to.pull(&["--dry-run", "--resume", "place.json"]).code, 2);
}

async fn certificates_are_checked(home: Home) {
    let (authority, authority_key) = make_pair(home.folder(), "authority");
    let [request, extension, certificate, key] =
        ["own.csr", "own.ext", "own.crt", "own.key"].map(|name| home.folder().join(name));
    let openssl = |arguments: &str, files: &[(&str, &Path)]| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' '));
        for (flag, file) in files {
            command.arg(flag).arg(file);
        }
        let ran = run(&mut command);
        assert_eq!(ran.code, 0, "{ran:?}");
    };
    let make = "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=own";
    openssl(make, &[("-out", &request), ("-keyout", &key)]);
    fs::write(&extension, "subjectAltName=IP:127.0.0.1\n").expect("a file");
    let signed = [
        ("-in", &*request),
        ("-CA", &*authority),
        ("-CAkey", &*authority_key),
        ("-extfile", &*extension),
        ("-out", &*certificate),
    ];
    openssl("x509 -req -CAcreateserial -days 2", &signed);

    let [certificate, key] = [&certificate, &key].map(|path| path.to_str().expect("a path"));
    let program = home.serve(&["--first-token"], &[("TLS_CERT", certificate), ("TLS_KEY", key)]);
    let url = format!("https://{}", program.address());
    let to = Home::new(TestDatabase::sqlite());
    let pull = |trusted: &Path| {
        let mut command = to.command();
        command.args(["pull", &url]).env("PULL_TOKEN", program.first_token());
        run(command.env("SSL_CERT_FILE", trusted))
    };
    pulled(&pull(&authority), 0, "0 created");
    let (other, _) = make_pair(home.folder(), "other");
    let ran = pull(&other);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("certificate") && !ran.stderr.contains("asked again"), "{ran:?}");
}
