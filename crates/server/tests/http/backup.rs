//! Copies of a database in use: they are whole, and can take its place.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::load::{Load, assert_found, assert_kept_once, assert_sound};
use crate::support::{Home, Program, Ran, TestServer, run};

cases! {
    sqlite: [
        a_copy_made_under_load_can_take_the_place_of_the_database,
        a_copy_is_not_written_over,
        a_copy_that_is_stopped_leaves_nothing,
        a_bar_is_drawn_on_a_terminal,
        what_is_not_there_is_not_copied,
    ]
    postgres: [postgresql_is_left_to_its_own_tools]
}

async fn a_copy_made_under_load_can_take_the_place_of_the_database(mut server: TestServer) {
    make_large(&server.home);
    let load = Load::start(&server.client, 8);
    load.until_created(50).await;
    let before = load.stop().await;
    let load = Load::start(&server.client, 8);
    load.until_created(10).await;
    let copy = server.home.folder().join("copy.db");
    let mut backup = start_backup(&server.home, &copy);
    backup.wait_for_log(|line| line.starts_with("copying "));
    // Writes go on meanwhile, and are not turned away.
    load.until_created(10).await;
    assert!(backup.wait().success());
    load.until_created(10).await;
    let meanwhile = load.stop().await;
    assert_eq!((before.refused, meanwhile.refused), (0, 0));

    // As the documentation says, where most is left behind.
    server.program.kill();
    server.home.run_well(&["restore", text(&copy)]);
    assert_sound(&server.home.database);
    assert_kept_once(&server.home.database, &before.created);
    server.crash_and_restart();
    assert_found(&server.client, &before.created).await;
    // Ids go on behind those that the copy knows.
    let kept = server.home.database.count("customers");
    assert!(kept < before.created.len() + meanwhile.created.len());
    let next = server.create(&json!({ "name": "after" })).await;
    assert_eq!(next["id"], kept + 1);
}

async fn a_copy_is_not_written_over(home: Home) {
    home.run_well(&["migrate"]);
    let copy = home.folder().join("copy.db");
    home.run_well(&["backup", text(&copy)]);
    let first = fs::read(&copy).expect("a copy");
    let again = home.run(&["backup", text(&copy)]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("exists"), "{}", again.stderr);
    assert_eq!(fs::read(&copy).expect("a copy"), first);
    assert_eq!(files_of(&home), ["copy.db"]);
}

async fn a_copy_that_is_stopped_leaves_nothing(home: Home) {
    make_large(&home);
    for signal in ["INT", "TERM"] {
        let mut backup = start_backup(&home, &home.folder().join("copy.db"));
        backup.wait_for_log(|line| line.starts_with("copying "));
        backup.signal(signal);
        assert_eq!(backup.wait().code(), Some(1));
        assert!(backup.log().last().is_some_and(|line| line.contains("stopped")));
        assert_eq!(files_of(&home), [""; 0]);
    }
}

async fn a_bar_is_drawn_on_a_terminal(home: Home) {
    make_large(&home);
    let backup = format!("'{}' backup copy.db", env!("CARGO_BIN_EXE_customers"));
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &backup, "/dev/null"]);
    terminal.env("DATABASE_URL", home.database.url()).env("TERM", "xterm");
    let Ran { code, stdout, .. } = run(terminal.current_dir(home.folder()));
    assert_eq!(code, 0, "{stdout}");
    for part in ["█", " %  ", "MiB/s", "left", "The database is copied to copy.db."] {
        assert!(stdout.contains(part), "{part} is missing in {stdout}");
    }
}

async fn what_is_not_there_is_not_copied(home: Home) {
    let ran = home.run(&["backup", "copy.db"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("there is no database"), "{}", ran.stderr);
    // Nor is it made.
    assert!(!home.database.path().exists());
    home.run_well(&["migrate"]);
    let ran = home.run(&["backup", "no folder/copy.db"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot write no folder/copy.db"), "{}", ran.stderr);
}

async fn postgresql_is_left_to_its_own_tools(home: Home) {
    let ran = home.run(&["backup", "copy.db"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("pg_dump"), "{}", ran.stderr);
}

/// Makes the database so large that a copy takes a while.
fn make_large(home: &Home) {
    home.run_well(&["migrate"]);
    home.database.execute(
        "CREATE TABLE filler AS
         WITH RECURSIVE numbers (number) AS
             (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 60000)
         SELECT randomblob(1000) AS bytes FROM numbers",
    );
}

fn start_backup(home: &Home, copy: &Path) -> Program {
    Program::start(home.command().arg("backup").arg(copy))
}

/// What is in the working directory.
fn files_of(home: &Home) -> Vec<String> {
    let files = fs::read_dir(home.folder()).expect("the working directory");
    files.map(|file| file.expect("a file").file_name().into_string().expect("UTF-8")).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
