//! Imports that are stopped while a batch waits: for a lock of the database, or for a reader of the report.

use std::fs::File;
use std::io::Read;
use std::process::Command;

use super::write;
use crate::database::{Connection, TestDatabase};
use crate::support::{Home, Program, Ran, run, until};

cases! {
    both: [
        a_batch_that_is_left_out_is_told,
        a_dry_run_tells_that_it_has_not_seen_all,
    ]
    sqlite: [
        a_locked_file_keeps_what_came_in_and_says_how_to_go_on,
        all_or_nothing_keeps_nothing_of_a_locked_file,
        a_second_signal_ends_one_whose_messages_are_not_read,
    ]
    postgres: [
        a_locked_table_keeps_what_came_in_and_says_how_to_go_on,
        all_or_nothing_keeps_nothing_of_a_locked_table,
        a_dry_run_ends_behind_a_locked_table,
    ]
}

/// Three batches: one is worked on, the other two wait for it, and all of the file is read.
const COUNT: usize = 6_000;

fn many(home: &Home, count: usize) {
    let row = |n: usize| format!("A{n},Customer {n}\n");
    let rows: String = (1..=count).map(row).collect();
    write(home, "many.csv", format!("customerAccount,name\n{rows}"));
}

fn start(home: &Home, how: &[&str]) -> Program {
    Program::start(home.command().args([&["import", "many.csv"], how].concat()))
}

/// Sends a signal as soon as one does not end the process by itself, and waits until the import has heard of it.
async fn stop(import: &Program, signal: &str) {
    until("signals to be listened to", async || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", import.id()));
        let status = status.expect("a running process");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.expect("a set of signals").trim(), 16);
        // Those of SIGINT and SIGTERM.
        caught.expect("a number") & 0x4002 == 0x4002
    })
    .await;
    import.signal(signal);
    import.wait_for_log(|line| line.starts_with("stopping "));
}

/// Waits until all batches are on their way: what reads the file has ended.
async fn until_all_is_read(import: &Program) {
    until("the file to be read", async || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", import.id())).expect("a process");
        let name = |path: std::path::PathBuf| std::fs::read_to_string(path.join("comm"));
        threads.flatten().all(|it| name(it.path()).is_ok_and(|name| name.trim() != "reader"))
    })
    .await;
}

fn ended(mut import: Program) -> Ran {
    let code = import.wait().code().expect("an exit code and no signal");
    let (stdout, stderr) = (import.stdout().join("\n"), import.log().join("\n"));
    Ran { code, stdout, stderr }
}

/// Something is kept and something is left out, it is told which, and the same command brings the rest.
fn assert_goes_on(home: &Home, count: usize, ran: &Ran) {
    let kept = home.database.count("customers");
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!((1..count).contains(&kept) && kept.is_multiple_of(2_000), "{kept}: {ran:?}");
    assert!(ran.stdout.contains(&format!("{kept} created, 0 updated")), "{ran:?}");
    let told = "error: stopped; what came in is kept. To go on, run the same command again";
    assert!(ran.stderr.contains(told), "{ran:?}");
    let next = format!("--start-at {}", kept + 2);
    assert!(ran.stderr.contains(&next), "{next}: {ran:?}");
    let ran = home.run(&["import", "many.csv", "--start-at", &(kept + 2).to_string()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains(&format!("{} created", count - kept)), "{ran:?}");
}

fn assert_nothing_is_kept(home: &Home, ran: &Ran) {
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stdout.starts_with("Nothing is kept, because it was stopped."), "{ran:?}");
    let told = "error: stopped; nothing is kept. To begin again, run the same command again";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert_eq!(home.database.count("customers"), 0);
    assert_eq!(home.database.count("customer_history"), 0);
}

fn assert_not_all_is_seen(home: &Home, ran: &Ran) {
    assert_eq!(ran.code, 130, "{ran:?}");
    let told = "Nothing is written. Of what was read until it was stopped, it would be: ";
    assert!(ran.stdout.starts_with(told), "{ran:?}");
    assert!(!ran.stdout.contains(&format!("{COUNT} created")), "{ran:?}");
    assert!(ran.stderr.contains("error: stopped; nothing was written."), "{ran:?}");
    assert_eq!(home.database.count("customers"), 0);
}

/// Starts an import whose first batch waits until somebody reads the report: it has more to tell than a pipe
/// holds. The pipe, of which one byte is read.
fn start_and_wait(home: &Home, how: &[&str]) -> (Program, File) {
    let row = |n: usize| format!("R{n},{}\n", if n > 2_000 { "Customer" } else { "" });
    let rows: String = (1..=COUNT).map(row).collect();
    write(home, "many.csv", format!("customerAccount,name\n{rows}"));
    let pipe = home.folder().join("report.ndjson");
    assert_eq!(run(Command::new("mkfifo").arg(&pipe)).code, 0);
    let import = start(home, &[&["--report", "report.ndjson"], how].concat());
    let mut pipe = File::open(pipe).expect("a pipe");
    pipe.read_exact(&mut [0]).expect("a byte of the first batch's report");
    (import, pipe)
}

async fn a_batch_that_is_left_out_is_told(home: Home) {
    let (import, mut pipe) = start_and_wait(&home, &[]);
    until_all_is_read(&import).await;
    stop(&import, "TERM").await;
    pipe.read_to_end(&mut Vec::new()).expect("the rest");
    let ran = ended(import);
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stdout.contains("0 created") && ran.stdout.contains("2000 refused"), "{ran:?}");
    let told = "error: stopped; what came in is kept. To go on, run the same command again: it passes \
                over what is there, and with --start-at 2002 it does so at once";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert_eq!(home.database.count("customers"), 0);
}

async fn a_dry_run_tells_that_it_has_not_seen_all(home: Home) {
    home.run_well(&["migrate"]);
    let (import, mut pipe) = start_and_wait(&home, &["--dry-run"]);
    until_all_is_read(&import).await;
    stop(&import, "INT").await;
    pipe.read_to_end(&mut Vec::new()).expect("the rest");
    let ran = ended(import);
    assert_not_all_is_seen(&home, &ran);
    assert!(ran.stdout.contains("2000 refused"), "{ran:?}");
}

async fn a_locked_file_keeps_what_came_in_and_says_how_to_go_on(home: Home) {
    // The import lets others write every second: some batches are in when the lock is there.
    let (mut home, count) = (home, 2 * COUNT);
    for attempt in 0.. {
        home.run_well(&["migrate"]);
        many(&home, count);
        let import = start(&home, &[]);
        until("a batch to be in", async || home.database.count("customers") > 0).await;
        let mut lock = home.database.connect();
        lock.execute("BEGIN IMMEDIATE");
        if home.database.count("customers") > count - 4_000 {
            // The import was faster than this test, and has too little left to do.
            assert!(attempt < 20, "the lock always comes too late");
            drop(import);
            home = Home::new(TestDatabase::sqlite());
            continue;
        }
        stop(&import, "INT").await;
        lock.execute("ROLLBACK");
        return assert_goes_on(&home, count, &ended(import));
    }
}

async fn all_or_nothing_keeps_nothing_of_a_locked_file(home: Home) {
    home.run_well(&["migrate"]);
    many(&home, COUNT);
    let mut lock = home.database.connect();
    lock.execute("BEGIN IMMEDIATE");
    let import = start(&home, &["--all-or-nothing"]);
    // It has the file open, and waits until it may write.
    let path = home.database.path();
    until("the database to be opened", async || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", import.id())).expect("a process");
        files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|it| it == path))
    })
    .await;
    stop(&import, "TERM").await;
    lock.execute("ROLLBACK");
    assert_nothing_is_kept(&home, &ended(import));
}

/// A connection that holds a lock of the customers, as soon as it gets it.
fn lock(home: &Home, mode: &str) -> Connection {
    let mut lock = home.database.connect();
    lock.execute(&format!("BEGIN; LOCK TABLE customers IN {mode} MODE"));
    lock
}

/// Waits until so many wait for a lock of the customers.
async fn until_waiting(home: &Home, count: usize) {
    let waiting = "pg_locks WHERE NOT granted AND relation = 'customers'::regclass";
    until("a lock to be waited for", async || home.database.count(waiting) >= count).await;
}

/// Starts an import, and stops it while its first batch waits to write.
async fn stop_before_it_writes(home: &Home, how: &[&str], signal: &str) -> Ran {
    home.run_well(&["migrate"]);
    many(home, COUNT);
    // Which readers do not wait for.
    let lock = lock(home, "SHARE");
    let import = start(home, how);
    until_waiting(home, 1).await;
    until_all_is_read(&import).await;
    stop(&import, signal).await;
    drop(lock);
    ended(import)
}

async fn a_locked_table_keeps_what_came_in_and_says_how_to_go_on(home: Home) {
    let ran = stop_before_it_writes(&home, &[], "INT").await;
    assert_goes_on(&home, COUNT, &ran);
}

async fn all_or_nothing_keeps_nothing_of_a_locked_table(home: Home) {
    let ran = stop_before_it_writes(&home, &["--all-or-nothing"], "TERM").await;
    assert_nothing_is_kept(&home, &ran);
}

async fn a_dry_run_ends_behind_a_locked_table(home: Home) {
    home.run_well(&["migrate"]);
    many(&home, COUNT);
    let mut held = lock(&home, "ACCESS EXCLUSIVE");
    let import = start(&home, &["--dry-run"]);
    loop {
        until_waiting(&home, 1).await;
        if import.log().iter().any(|line| line.starts_with("reading ")) {
            break;
        }
        // It is still being opened. It goes on to its next transaction, before which the lock is taken
        // again: who waits for one gets it in turn.
        std::thread::scope(|scope| {
            let next = scope.spawn(|| lock(&home, "ACCESS EXCLUSIVE"));
            let waiting = "pg_locks WHERE NOT granted AND relation = 'customers'::regclass";
            while home.database.count(waiting) < 2 {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let before = std::mem::replace(&mut held, home.database.connect());
            drop(before);
            held = next.join().expect("a lock");
        });
    }
    until_all_is_read(&import).await;
    stop(&import, "INT").await;
    drop(held);
    assert_not_all_is_seen(&home, &ended(import));
}

async fn a_second_signal_ends_one_whose_messages_are_not_read(home: Home) {
    // More messages than a pipe holds.
    let rows = "x,perhaps\n".repeat(5_000);
    write(&home, "many.csv", format!("name,vip\n{rows}"));
    home.run_well(&["migrate"]);
    let (unread, stderr) = std::io::pipe().expect("a pipe");
    let mut command = home.command();
    let mut import =
        command.args(["import", "many.csv"]).stderr(stderr).spawn().expect("an import");
    // The pipe's other end is to be that of the import alone.
    drop(command);
    let waits = format!("/proc/{}/task", import.id());
    until("a message that waits to be read", async || {
        let threads = std::fs::read_dir(&waits).expect("a process").flatten();
        let mut calls =
            threads.filter_map(|it| std::fs::read_to_string(it.path().join("syscall")).ok());
        // `write`, of stderr.
        calls.any(|call| call.starts_with("1 0x2 "))
    })
    .await;
    until("the second signal to end it", async || {
        run(Command::new("kill").args(["-s", "TERM", &import.id().to_string()]));
        import.try_wait().expect("a child").is_some()
    })
    .await;
    assert_eq!(import.wait().expect("a child").code(), Some(130));
    drop(unread);
}
