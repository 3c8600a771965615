//! A copy takes the place of the database, or the database stays as it is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::load::assert_sound;
use crate::support::{Home, Ran, TestServer};

cases! {
    sqlite: [
        a_copy_takes_the_place_of_what_a_crash_left,
        a_copy_takes_the_place_of_a_damaged_database,
        a_copy_is_a_database_where_there_was_none,
        nothing_is_restored_while_a_process_has_the_database_open,
        what_is_no_sound_copy_is_not_restored,
        a_copy_with_its_log_is_restored_with_what_is_in_the_log,
        whoever_starts_meanwhile_waits,
        a_server_whose_file_was_replaced_writes_nothing_and_is_not_ready,
    ]
    postgres: [postgresql_is_left_to_its_own_tools]
}

/// A server with one customer, a copy of its database, and a customer that the copy does not have.
async fn with_copy(server: &TestServer) -> PathBuf {
    server.create(&json!({ "name": "kept" })).await;
    let copy = server.home.folder().join("copy.db");
    server.home.run_well(&["backup", text(&copy)]);
    server.create(&json!({ "name": "lost" })).await;
    copy
}

fn names(home: &Home) -> Vec<String> {
    home.database.values("SELECT name AS value FROM customers ORDER BY id")
}

fn beside(home: &Home, ending: &str) -> PathBuf {
    format!("{}{ending}", home.database.path().display()).into()
}

/// What is beside the database and was not there before.
fn assert_nothing_is_left(home: &Home) {
    let folder = home.database.path();
    let folder = folder.parent().expect("a folder");
    let left = fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file").path());
    let left: Vec<_> = left.filter(|path| path.is_dir()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[track_caller]
fn assert_refused(ran: &Ran, reason: &str) {
    assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains(reason), "{reason} is missing in {}", ran.stderr);
}

async fn a_copy_takes_the_place_of_what_a_crash_left(mut server: TestServer) {
    let copy = with_copy(&server).await;
    let before = fs::read(&copy).expect("a copy");
    server.program.kill();
    assert!(beside(&server.home, "-wal").exists());
    let told = server.home.run_well(&["restore", text(&copy)]);
    assert!(told.contains("1 customers"), "{told}");
    assert!(!beside(&server.home, "-wal").exists() && !beside(&server.home, "-shm").exists());
    assert_eq!(fs::read(&copy).expect("a copy"), before);
    assert_nothing_is_left(&server.home);
    assert_eq!(names(&server.home), ["kept"]);
    assert_sound(&server.home.database);
    server.crash_and_restart();
    server.get("/api/v1/customers/1").await.expect(200);
    server.get("/api/v1/customers/2").await.expect(404);
    server.create(&json!({ "name": "after" })).await;
}

async fn a_copy_takes_the_place_of_a_damaged_database(mut server: TestServer) {
    let copy = with_copy(&server).await;
    server.program.kill();
    let path = server.home.database.path();
    let old = fs::metadata(&path).expect("a database");
    // The log would have all that is in the file.
    fs::remove_file(beside(&server.home, "-wal")).expect("the log");
    fs::write(&path, vec![0x55; 100_000]).expect("damage");
    assert_eq!(server.home.run(&["token", "list"]).code, 1);
    server.home.run_well(&["restore", text(&copy)]);
    let new = fs::metadata(&path).expect("a database");
    assert_eq!((new.mode(), new.uid(), new.gid()), (old.mode(), old.uid(), old.gid()));
    server.crash_and_restart();
    server.get("/api/v1/customers/1").await.expect(200);
}

async fn a_copy_is_a_database_where_there_was_none(home: Home) {
    home.run_well(&["migrate"]);
    let copy = home.folder().join("copy.db");
    home.run_well(&["backup", text(&copy)]);
    fs::remove_file(home.database.path()).expect("a database");
    let told = home.run_well(&["restore", text(&copy)]);
    assert!(told.contains("0 customers"), "{told}");
    home.run_well(&["token", "list"]);
}

async fn nothing_is_restored_while_a_process_has_the_database_open(mut server: TestServer) {
    let copy = with_copy(&server).await;
    let restore = || server.home.run(&["restore", text(&copy)]);
    assert_refused(&restore(), "is in use");
    // By a lock that has nothing to do with what is in the file.
    let path = server.home.database.path();
    let sound = fs::read(&path).expect("a database");
    fs::write(&path, vec![0x55; sound.len()]).expect("damage");
    assert_refused(&restore(), "is in use");
    fs::write(&path, sound).expect("the database as it was");
    server.program.kill();
    // Another program, or a version from before that lock: by the locks of SQLite.
    let mut reader = server.home.database.connect();
    assert_eq!(reader.values("SELECT name AS value FROM customers ORDER BY id"), ["kept", "lost"]);
    let ran = server.home.run(&["restore", text(&copy)]);
    assert_refused(&ran, &format!("is in use by process {}", std::process::id()));
    drop(reader);
    assert_nothing_is_left(&server.home);
    assert_eq!(names(&server.home), ["kept", "lost"]);
    server.home.run_well(&["restore", text(&copy)]);
    assert_eq!(names(&server.home), ["kept"]);
}

async fn what_is_no_sound_copy_is_not_restored(mut server: TestServer) {
    let copy = with_copy(&server).await;
    server.program.kill();
    let home = &server.home;
    let unsound = home.folder().join("unsound.db");
    let mut bytes = fs::read(&copy).expect("a copy");
    let (middle, end) = (bytes.len() / 4, bytes.len() / 2);
    bytes[middle..end].fill(0x55);
    fs::write(&unsound, &bytes).expect("a damaged copy");
    assert_refused(
        &home.run(&["restore", text(&unsound)]),
        "is not restored: SQLite cannot read it",
    );
    fs::write(&unsound, &bytes[..middle]).expect("a part of a copy");
    assert_refused(&home.run(&["restore", text(&unsound)]), "is not restored");
    fs::write(&unsound, "name\nAurora\n").expect("another file");
    assert_refused(&home.run(&["restore", text(&unsound)]), "is not restored");
    fs::write(&unsound, "").expect("an empty file");
    assert_refused(&home.run(&["restore", text(&unsound)]), "no database of customers");

    let newer = home.folder().join("newer.db");
    home.database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('2999')");
    home.run_well(&["backup", text(&newer)]);
    home.database.execute("DELETE FROM __diesel_schema_migrations WHERE version = '2999'");
    assert_refused(&home.run(&["restore", text(&newer)]), "newer version");
    assert_refused(&home.run(&["restore", "nowhere.db"]), "there is no file nowhere.db");
    let path = home.database.path();
    assert_refused(&home.run(&["restore", text(&path)]), "is the database itself");
    assert_nothing_is_left(home);
    assert_eq!(names(home), ["kept", "lost"]);
}

/// As where somebody has copied the files of a server that was killed.
async fn a_copy_with_its_log_is_restored_with_what_is_in_the_log(mut server: TestServer) {
    server.create(&json!({ "name": "kept" })).await;
    server.program.kill();
    let copy = server.home.folder().join("copied.db");
    for ending in ["", "-wal"] {
        let to = format!("{}{ending}", copy.display());
        fs::copy(beside(&server.home, ending), to).expect("a copy");
        fs::remove_file(beside(&server.home, ending)).expect("a file");
    }
    server.home.run_well(&["restore", text(&copy)]);
    assert_eq!(names(&server.home), ["kept"]);
}

async fn whoever_starts_meanwhile_waits(home: Home) {
    home.run_well(&["migrate"]);
    let lock = fs::File::open(beside(&home, "-lock")).expect("the lock file");
    lock.try_lock().expect("no process has the database open");
    let mut listing = crate::support::Program::start(home.command().args(["token", "list"]));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(listing.is_running());
    drop(lock);
    assert!(listing.wait().success());
}

async fn a_server_whose_file_was_replaced_writes_nothing_and_is_not_ready(mut server: TestServer) {
    let copy = with_copy(&server).await;
    server.get("/health/ready").await.expect(200);
    // By hand, and not as the documentation says.
    let path = server.home.database.path();
    fs::rename(&copy, &path).expect("the copy in its place");
    server.get("/health/ready").await.expect(503);
    for _ in 0..3 {
        let create = server.post("/api/v1/customers").json(&json!({ "name": "nowhere" }));
        create.await.expect(503);
    }
    // What it has open can still be read.
    server.get("/api/v1/customers/2").await.expect(200);
    server.program.kill();
    for ending in ["-wal", "-shm"] {
        fs::remove_file(beside(&server.home, ending)).expect("what a crash leaves");
    }
    assert_eq!(names(&server.home), ["kept"]);
    server.crash_and_restart();
    server.get("/health/ready").await.expect(200);
    server.create(&json!({ "name": "after" })).await;
}

async fn postgresql_is_left_to_its_own_tools(home: Home) {
    assert_refused(&home.run(&["restore", "copy.db"]), "pg_restore");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
