//! What `customers check` finds before anything is served.

use crate::support::{Home, Ran, run};

cases! {
    both: [
        what_is_well_is_told_and_nothing_is_changed,
        a_database_of_a_newer_version_is_a_problem,
    ]
    sqlite: [
        a_damaged_file_is_a_problem,
        what_cannot_be_written_is_a_problem,
        settings_that_do_not_work_are_problems,
    ]
    postgres: [
        a_server_that_cannot_be_reached_is_a_problem,
        a_database_of_another_encoding_is_a_problem,
        a_role_that_may_not_write_is_a_problem,
    ]
}

fn check(home: &Home) -> Ran {
    home.run(&["check", "--bind", "127.0.0.1:0"])
}

#[track_caller]
fn assert_problem(ran: &Ran, subject: &str, told: &str) {
    assert_eq!(ran.code, 1, "{ran:?}");
    let is_told =
        |line: &str| line.starts_with(&format!("problem  {subject}: ")) && line.contains(told);
    assert!(ran.stdout.lines().any(is_told), "{ran:?}");
    assert!(ran.stderr.contains("problem"), "{ran:?}");
}

async fn what_is_well_is_told_and_nothing_is_changed(home: Home) {
    let ran = check(&home);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stdout.contains("problem"), "{ran:?}");
    let is_sqlite = home.database.url().starts_with("sqlite");
    if is_sqlite {
        assert!(ran.stdout.contains("not there yet"), "{ran:?}");
        assert!(!home.database.path().exists());
    } else {
        assert!(ran.stdout.contains("migrations are to be made"), "{ran:?}");
        let tables = "pg_class WHERE relname = 'customers'";
        assert_eq!(home.database.count(tables), 0);
    }
    home.run_well(&["migrate"]);
    let ran = check(&home);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("ok       schema: is the one"), "{ran:?}");
    if is_sqlite {
        assert!(ran.stdout.contains("ok       integrity"), "{ran:?}");
        assert!(ran.stdout.contains("MiB are free"), "{ran:?}");
    } else {
        assert!(ran.stdout.contains("ok       search"), "{ran:?}");
        let password = home.database.url();
        let (login, _) = password.split_once('@').expect("a login");
        assert!(!ran.stdout.contains(login), "{ran:?}");
    }
}

async fn a_database_of_a_newer_version_is_a_problem(home: Home) {
    home.run_well(&["migrate"]);
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
    home.database.execute(newer);
    assert_problem(&check(&home), "database", "newer version");
}

async fn a_damaged_file_is_a_problem(home: Home) {
    home.run_well(&["migrate"]);
    home.database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let path = home.database.path();
    let mut bytes = std::fs::read(&path).expect("a file");
    // Behind the first page, which has the schema.
    bytes[4096 + 8..4096 * 3].fill(0xff);
    std::fs::write(&path, bytes).expect("a file");
    assert_problem(&check(&home), "integrity", "restore a backup");

    std::fs::write(&path, "These are notes and no database.".repeat(100)).expect("a file");
    assert_problem(&check(&home), "database", "not a database");
}

async fn what_cannot_be_written_is_a_problem(home: Home) {
    let notes = home.folder().join("notes.txt");
    std::fs::write(&notes, "").expect("a file");
    for url in [format!("sqlite://{}/under/it.db", notes.display()), "sqlite:///proc/it.db".into()]
    {
        let mut command = home.command();
        command.args(["check", "--bind", "127.0.0.1:0"]).env("DATABASE_URL", &url);
        assert_problem(&run(&mut command), "disk", "cannot write in");
    }
}

async fn settings_that_do_not_work_are_problems(home: Home) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = home.run(&["check", "--bind", &address]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("warning  address: "), "{ran:?}");
    let ran = home.run(&["check", "--bind", "192.0.2.1:80"]);
    assert_problem(&ran, "address", "BIND");
    assert!(ran.stdout.contains("warning  TLS: "), "{ran:?}");
    let ran = home.run(&["check", "--bind", "127.0.0.1:0", "--metrics-bind", "192.0.2.1:80"]);
    assert_problem(&ran, "address", "METRICS_BIND");
    let ran = home.run(&["check", "--bind", "127.0.0.1:0", "--tls-cert", "a", "--tls-key", "b"]);
    assert_problem(&ran, "TLS", "TLS_CERT");
    assert_eq!(home.run(&["check", "--bind", "nonsense"]).code, 2);
}

async fn a_server_that_cannot_be_reached_is_a_problem(home: Home) {
    let mut command = home.command();
    command.args(["check", "--bind", "127.0.0.1:0"]);
    let ran = run(command.env("DATABASE_URL", "postgres://me:secret@127.0.0.1:1/db"));
    assert_problem(&ran, "database", "cannot open");
    assert!(!ran.stdout.contains("secret"), "{ran:?}");
}

async fn a_database_of_another_encoding_is_a_problem(_: Home) {
    let options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    let home = Home::new(crate::database::TestDatabase::postgres_as(options));
    assert_problem(&check(&home), "database", "LATIN1");
}

async fn a_role_that_may_not_write_is_a_problem(home: Home) {
    home.run_well(&["migrate"]);
    let url = home.database.url();
    let (start, name) = url.rsplit_once('/').expect("a database");
    let role = format!("reader_of_{name}");
    home.database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'x'"));
    home.database.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"));
    let (_, host) = start.rsplit_once('@').expect("a host");
    let mut command = home.command();
    command.args(["check", "--bind", "127.0.0.1:0"]);
    let ran = run(command.env("DATABASE_URL", format!("postgres://{role}:x@{host}/{name}")));
    home.database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_problem(&ran, "permissions", "GRANT");
    assert!(ran.stdout.contains("customers"), "{ran:?}");
}
