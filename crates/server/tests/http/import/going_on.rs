//! Imports that are stopped, killed, or made beside everything else.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::{imported, write};
use crate::support::load::{Load, assert_found, assert_kept_once};
use crate::support::{Home, Program, Ran, TestServer, run, until};

cases! {
    both: [
        stopped_it_keeps_what_came_in_and_says_where_to_go_on,
        killed_it_leaves_a_database_that_can_be_gone_on_with,
        servers_answer_writes_while_many_come_in,
        nothing_of_all_or_nothing_is_kept_where_it_is_stopped,
    ]
    sqlite: [
        it_goes_on_where_the_report_could_not_be_written,
        stopped_it_does_not_wait_for_more_on_stdin,
        a_bar_is_drawn_on_a_terminal,
    ]
}

fn customer(n: u32) -> String {
    format!(
        "{{\"customerAccount\":\"N{n}\",\"name\":\"Customer {n}\",\"phone\":\"06020{n:05}\"}}\n"
    )
}

fn many(home: &Home, count: u32) {
    write(home, "many.ndjson", (1..=count).map(customer).collect::<String>());
}

fn start(home: &Home, how: &[&str]) -> Program {
    Program::start(home.command().args([&["import", "many.ndjson"], how].concat()))
}

/// Waits until some have come in, and are to be seen; `false` where it has ended before.
async fn until_some_came(home: &Home, import: &Program) {
    until("customers to come in", async || {
        import.log().iter().any(|line| line.starts_with("reading "))
            && home.database.count("customers") > 0
    })
    .await;
}

/// Everything that there is of a customer is there, of every customer.
fn assert_whole(home: &Home) {
    let customers = home.database.count("customers");
    for table in ["customer_keys", "customer_history", "customer_phones"] {
        assert_eq!(home.database.count(table), customers, "{table}");
    }
    let total = "SELECT CAST(sum(live) AS TEXT) AS value FROM customer_totals";
    assert_eq!(home.database.values(total), [customers.to_string()]);
}

async fn stopped_it_keeps_what_came_in_and_says_where_to_go_on(home: Home) {
    const COUNT: u32 = 16_000;
    many(&home, COUNT);
    home.run_well(&["migrate"]);
    let mut import = start(&home, &[]);
    until_some_came(&home, &import).await;
    import.signal("INT");
    assert_eq!(import.wait().code(), Some(130));
    let log = import.log().join("\n");
    let kept = home.database.count("customers");
    assert!((1..COUNT as usize).contains(&kept), "{kept}: {log}");
    assert_whole(&home);
    let next = format!("--start-at {}", kept + 1);
    assert!(log.contains("stopped; what came in is kept") && log.contains(&next), "{log}");
    assert!(
        import
            .stdout()
            .contains(&format!("{kept} created, 0 updated, 0 unchanged, 0 skipped, 0 refused."))
    );

    // From there on only what is missing is looked at.
    let line = (kept + 1).to_string();
    let ran = home.run(&["import", "many.ndjson", "--start-at", &line]);
    imported(&ran, 0, &format!("{} created, 0 updated, 0 unchanged", COUNT as usize - kept));
    assert_whole(&home);
    imported(&home.run(&["import", "many.ndjson"]), 0, "0 created, 0 updated, 16000 unchanged");
}

async fn killed_it_leaves_a_database_that_can_be_gone_on_with(home: Home) {
    many(&home, 10_000);
    home.run_well(&["migrate"]);
    let mut import = start(&home, &[]);
    until_some_came(&home, &import).await;
    import.kill();
    let server = TestServer::start(home, &[]);
    until("the import to be gone", async || {
        let before = server.home.database.count("customers");
        tokio::time::sleep(Duration::from_millis(200)).await;
        before == server.home.database.count("customers")
    })
    .await;
    assert_whole(&server.home);
    let ran = server.home.run(&["import", "many.ndjson"]);
    imported(&ran, 0, "unchanged, 0 skipped, 0 refused");
    assert_whole(&server.home);
    assert_eq!(server.get("/api/v1/customers").await.expect(200)["total"], 10_000);
    let found = server.get("/api/v1/customers/search?term=customer+9999").await.expect(200);
    assert_eq!(found["data"][0]["customerAccount"], "N9999");
}

async fn servers_answer_writes_while_many_come_in(server: TestServer) {
    many(&server.home, 8_000);
    let load = Load::start(&server.client, 4);
    load.until_created(10).await;
    let mut import = start(&server.home, &[]);
    until_some_came(&server.home, &import).await;
    load.until_created(10).await;
    assert!(import.wait().success(), "{:?}", import.log());
    load.until_created(10).await;
    let outcome = load.stop().await;
    assert_eq!(outcome.refused, 0);
    assert_kept_once(&server.home.database, &outcome.created);
    assert_found(&server.client, &outcome.created).await;
    let total = server.get("/api/v1/customers").await.expect(200)["total"].clone();
    assert_eq!(total, json!(8_000 + outcome.created.len()));
}

async fn nothing_of_all_or_nothing_is_kept_where_it_is_stopped(home: Home) {
    many(&home, 16_000);
    home.run_well(&["migrate"]);
    let mut import = start(&home, &["--all-or-nothing"]);
    import.wait_for_log(|line| line.starts_with("reading "));
    tokio::time::sleep(Duration::from_millis(300)).await;
    import.signal("TERM");
    assert_eq!(import.wait().code(), Some(130));
    assert!(import.stdout()[0].starts_with("Nothing is kept"), "{:?}", import.stdout());
    assert_eq!(home.database.count("customers"), 0);
    assert_whole(&home);
}

async fn it_goes_on_where_the_report_could_not_be_written(home: Home) {
    let rows = (1..=5_000).map(|n| format!("R{n},{}\n", if n > 2_500 { "" } else { "x" }));
    write(&home, "r.csv", format!("customerAccount,name\n{}", rows.collect::<String>()));
    let ran = home.run(&["import", "r.csv", "--report", "/dev/full"]);
    imported(&ran, 1, "2500 created, 0 updated, 0 unchanged, 0 skipped, 1500 refused");
    for told in [
        "cannot write the report: No space left",
        "what came in is kept. To go on, run the same command again",
        "--start-at 2002 ",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
}

async fn stopped_it_does_not_wait_for_more_on_stdin(home: Home) {
    let mut silent = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().expect("sleep");
    let stdin = silent.stdout.take().expect("a pipe");
    let mut import = Program::start(home.command().args(["import", "-"]).stdin(stdin));
    tokio::time::sleep(Duration::from_millis(500)).await;
    import.signal("TERM");
    assert_eq!(import.wait().code(), Some(130));
    assert!(import.log().join("\n").contains("error: stopped"), "{:?}", import.log());
    silent.kill().and_then(|()| silent.wait()).expect("its end");
}

async fn a_bar_is_drawn_on_a_terminal(home: Home) {
    many(&home, 4_100);
    let import = format!("'{}' import many.ndjson", env!("CARGO_BIN_EXE_customers"));
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &import, "/dev/null"]);
    terminal.env("DATABASE_URL", home.database.url()).env("TERM", "xterm");
    let Ran { code, stdout, .. } = run(terminal.current_dir(home.folder()));
    assert_eq!(code, 0, "{stdout}");
    for part in ["█", " %  ", "rows, ", "/s", "left", "4100 created"] {
        assert!(stdout.contains(part), "{part} is missing in {stdout}");
    }
}
