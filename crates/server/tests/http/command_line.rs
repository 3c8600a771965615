//! The command line: what it says, and the codes it ends with.

use std::net::TcpListener;

use crate::support::{Home, Program, run};

cases! {
    both: [
        every_command_creates_and_migrates_the_database,
        a_database_of_a_newer_version_is_left_alone,
        a_port_in_use_is_told,
        the_file_of_settings_is_read,
        the_url_of_the_database_may_stand_in_a_file,
        the_help_teaches_every_setting,
        the_usage_is_the_same_whatever_is_set,
        many_servers_may_start_at_once,
    ]
    sqlite: [
        what_is_no_database_url_is_refused_without_repeating_it,
        a_file_that_is_no_database_is_told,
        the_default_database_is_made_in_a_folder_of_its_own,
        a_command_outlives_those_who_would_read_it,
    ]
    postgres: [
        a_wrong_password_is_told_and_not_repeated,
    ]
}

async fn every_command_creates_and_migrates_the_database(home: Home) {
    assert!(home.run_well(&["migrate"]).contains("schema of this version"));
    assert_eq!(home.database.count("customers"), 0);
    assert!(home.run_well(&["migrate"]).contains("schema of this version"));
}

async fn a_database_of_a_newer_version_is_left_alone(home: Home) {
    home.run_well(&["migrate"]);
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
    home.database.execute(newer);
    for command in [&["migrate"][..], &["token", "list"], &["serve", "--bind", "127.0.0.1:0"]] {
        let ran = home.run(command);
        assert_eq!((ran.code, &*ran.stdout), (1, ""), "{command:?}: {ran:?}");
        assert!(ran.stderr.contains("newer version of customers"), "{}", ran.stderr);
        assert!(ran.stderr.contains("29990101000000"), "{}", ran.stderr);
    }
}

async fn a_port_in_use_is_told(home: Home) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = home.run(&["serve", "--first-token", "--bind", &address]);
    assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains(&address) && ran.stderr.contains("BIND"), "{}", ran.stderr);
    // No token was made that nobody has seen.
    assert_eq!(home.database.count("tokens"), 0);
}

async fn the_file_of_settings_is_read(home: Home) {
    let write = |text: &str| std::fs::write(home.folder().join(".env"), text).expect("a file");
    write(&format!("DATABASE_URL='{}'\nBIND=127.0.0.1:0\nLOG_FORMAT=json\n", home.database.url()));
    let mut command = home.command();
    let program = Program::start(command.env_remove("DATABASE_URL").arg("serve"));
    let line = program.wait_for_log(|line| line.contains("listening"));
    let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["level"], "INFO");
    assert_eq!(home.database.count("customers"), 0);

    // A variable wins over the file, and a flag over both.
    write("DATABASE_URL=nonsense\nACCOUNT_WIDTH=nonsense\n");
    let migrate = || {
        let mut command = home.command();
        command.args(["migrate"]).env("ACCOUNT_WIDTH", "7");
        command
    };
    assert_eq!(run(&mut migrate()).code, 0);
    let nonsense = || {
        let mut command = migrate();
        command.env("DATABASE_URL", "nonsense");
        command
    };
    assert_eq!(run(&mut nonsense()).code, 2);
    assert_eq!(run(nonsense().args(["--database-url", &home.database.url()])).code, 0);

    write("DATABASE_URL=sqlite://x.db\nthis is secret nonsense\n");
    let ran = home.run(&["migrate"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains(".env") && !ran.stderr.contains("secret"), "{}", ran.stderr);
}

async fn the_url_of_the_database_may_stand_in_a_file(home: Home) {
    let path = home.folder().join("secret");
    let read = |content: &[u8]| {
        std::fs::write(&path, content).expect("a file");
        let mut command = home.command();
        command.env_remove("DATABASE_URL").env("DATABASE_URL_FILE", &path);
        command
    };
    let ran = run(read(format!("{}\n", home.database.url()).as_bytes()).arg("migrate"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(home.database.count("customers"), 0);

    for (content, reason) in [
        (&b"mysql://me:secret@host/db\n"[..], "postgres://"),
        (b"", "postgres://"),
        (b"secret \xff", "UTF-8"),
    ] {
        let ran = run(read(content).arg("migrate"));
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains("DATABASE_URL_FILE"), "{}", ran.stderr);
        assert!(ran.stderr.contains(reason), "{}", ran.stderr);
        assert!(!ran.stderr.contains("me:secret"), "{}", ran.stderr);
    }
    let ran = run(read(b"").arg("migrate").env("DATABASE_URL_FILE", "/nowhere/secret"));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("/nowhere/secret"), "{}", ran.stderr);

    // Which one would be meant?
    let ran = run(read(b"sqlite://other.db").arg("migrate").env("DATABASE_URL", "sqlite://one.db"));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--database-url-file"), "{}", ran.stderr);
    assert!(!home.folder().join("one.db").exists() && !home.folder().join("other.db").exists());
}

async fn the_usage_is_the_same_whatever_is_set(home: Home) {
    for (arguments, usage) in [
        (&["import"][..], "Usage: customers import [OPTIONS] <FILE>\n"),
        (&["export", "--nonsense"], "Usage: customers export [OPTIONS] [PATH]\n"),
        (&["token", "create"], "Usage: customers token create [OPTIONS] --name <NAME>\n"),
    ] {
        let ran = run(home.command().args(arguments).env("RUST_LOG", "info"));
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains(usage), "{ran:?}");
    }
}

async fn the_help_teaches_every_setting(home: Home) {
    let help = home.run_well(&["serve", "--help"]);
    for setting in [
        "--database-url",
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "DATABASE_READ_URL_FILE",
        "DATABASE_CONNECTIONS",
        "ACCOUNT_PREFIX",
        "ACCOUNT_WIDTH",
        "BIND",
        "METRICS_BIND",
        "RUST_LOG",
        "LOG_FORMAT",
        "LOGIN_TOKEN_TTL",
        "RATE_LIMIT",
        "TLS_CERT",
        "TLS_KEY",
        "TRUSTED_PROXIES",
        "CORS_ORIGINS",
        "--first-token",
    ] {
        assert!(help.contains(setting), "{setting} is missing in {help}");
    }
    // The URL of this run may hold a password.
    assert!(!help.contains(&home.database.url()));
    assert!(home.run_well(&["--version"]).starts_with("customers "));
    assert_eq!(home.run(&["serve", "--nonsense"]).code, 2);
    assert_eq!(home.run(&[]).code, 2);
}

async fn what_is_no_database_url_is_refused_without_repeating_it(home: Home) {
    for url in
        ["mysql://me:secret@host/db", "", "customers-secret.db", "sqlite://", "sqlite://:memory:"]
    {
        let ran = run(home.command().arg("migrate").env("DATABASE_URL", url));
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{url}: {ran:?}");
        assert!(ran.stderr.contains("DATABASE_URL: "), "{}", ran.stderr);
        assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    }
}

async fn a_file_that_is_no_database_is_told(home: Home) {
    let path = home.folder().join("notes.txt");
    std::fs::write(&path, "These are notes and no database, which is longer than a header.")
        .expect("a file");
    let url = format!("sqlite://{}", path.display());
    let ran = run(home.command().args(["token", "list"]).env("DATABASE_URL", &url));
    assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
    assert!(
        ran.stderr.contains("notes.txt") && ran.stderr.contains("not a database"),
        "{}",
        ran.stderr
    );

    let url = format!("sqlite://{}/under/it.db", path.display());
    let ran = run(home.command().arg("migrate").env("DATABASE_URL", &url));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("cannot create the folder"), "{}", ran.stderr);
}

async fn the_default_database_is_made_in_a_folder_of_its_own(home: Home) {
    let ran = run(home.command().arg("migrate").env_remove("DATABASE_URL"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(home.folder().join("data/customers.db").is_file());
}

async fn a_wrong_password_is_told_and_not_repeated(home: Home) {
    let url = home.database.url();
    let (login, rest) = url.split_once('@').expect("a login");
    let (user, _) = login.rsplit_once(':').expect("a password");
    let wrong = format!("{user}:wrong-secret@{rest}");
    let ran =
        run(home.command().args(["serve", "--bind", "127.0.0.1:0"]).env("DATABASE_URL", &wrong));
    assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains("password authentication failed"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
}

async fn many_servers_may_start_at_once(home: Home) {
    let start = || {
        let mut command = home.command();
        Program::start(command.args(["serve", "--first-token", "--bind", "127.0.0.1:0"]))
    };
    let mut programs: Vec<Program> = (0..6).map(|_| start()).collect();
    for program in &programs {
        program.wait_until_it_listens();
    }
    let mut tokens = 0;
    for program in &mut programs {
        program.signal("TERM");
        assert!(program.wait().success());
        tokens += program.stdout().iter().filter(|line| line.trim().starts_with("cus_")).count();
    }
    assert_eq!((tokens, home.database.count("tokens")), (1, 1));
}

/// Where stdout or stderr cannot be written, a command says so or does its work, and does not panic.
async fn a_command_outlives_those_who_would_read_it(home: Home) {
    std::fs::write(home.folder().join("one.csv"), "name\nOne\n").expect("a file");
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let closed = || std::io::pipe().expect("a pipe").1;
    home.run_well(&["import", "one.csv"]);
    let commands: [&[&str]; 6] = [
        &["check", "--bind", "127.0.0.1:0"],
        &["migrate"],
        &["token", "list"],
        &["user", "list"],
        &["rebuild"],
        &["import", "one.csv", "--report", "report.json"],
    ];
    for command in commands {
        let code = |of: &mut std::process::Command| of.status().expect("a program").code();
        let quiet = || {
            let mut quiet = home.command();
            quiet
                .args(command)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            quiet
        };
        assert_eq!(code(quiet().stdout(full())), Some(1), "{command:?}");
        assert_eq!(code(quiet().stderr(full())), Some(0), "{command:?}");
        assert_eq!(code(quiet().stderr(closed())), Some(0), "{command:?}");
    }
    let list = home.command().args(["token", "list"]).stdout(closed()).status();
    assert_eq!(list.expect("a program").code(), Some(0));
    // What it says beside the token is no reason to have made one that nobody knows.
    let made = home.command().args(["token", "create", "--name", "t"]).stderr(full()).output();
    let made = made.expect("a program");
    assert!(made.status.success() && made.stdout.starts_with(b"cus_"), "{made:?}");
}
