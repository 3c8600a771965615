//! TLS, spoken by the service itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Home, Program, run};

cases! {
    both: [calls_are_made_over_tls_and_a_new_certificate_is_taken_on_the_fly]
    sqlite: [
        files_that_are_no_pair_are_told,
        tokens_that_travel_in_clear_are_warned_of,
    ]
}

/// Makes a certificate for 127.0.0.1 that vouches for itself, and its key.
pub fn make_pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let [certificate, key] = ["crt", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
    let ran = run(Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(' '))
        .args(["-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key));
    assert_eq!(ran.code, 0, "{ran:?}");
    (certificate, key)
}

/// The exit code of curl, and what it was answered, where only this certificate is trusted.
fn call(program: &Program, trusted: &Path, target: &str) -> (i32, String) {
    let url = format!("https://{}{target}", program.address());
    let ran = run(Command::new("curl")
        .args(["--silent", "--noproxy", "*", "--max-time", "30", "--cacert"])
        .arg(trusted)
        .args(["--header", "x-request-id: tls", "--include", &url]));
    (ran.code, ran.stdout)
}

/// What curl ends with where it does not trust the server's certificate.
const NOT_TRUSTED: i32 = 60;

async fn calls_are_made_over_tls_and_a_new_certificate_is_taken_on_the_fly(home: Home) {
    let folder = home.folder();
    let (first, first_key) = make_pair(folder, "first");
    let (second, second_key) = make_pair(folder, "second");
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| folder.join(name));
    let install = |from: &Path, to: &Path| {
        std::fs::copy(from, to).expect("a copy");
    };
    install(&first, &certificate);
    install(&first_key, &key);
    let [cert_path, key_path] = [&certificate, &key].map(|path| path.to_str().expect("a path"));
    let program = home.serve(&["--first-token"], &[("TLS_CERT", cert_path), ("TLS_KEY", key_path)]);

    let answered = |trusted: &Path| {
        let (code, answer) = call(&program, trusted, "/health/live");
        assert!(code == NOT_TRUSTED || answer.starts_with("HTTP/1.1 200"), "{code}: {answer}");
        code == 0
    };
    assert!(answered(&first) && !answered(&second));
    program.first_token();
    let greeting = program.stdout().join("\n");
    assert!(greeting.contains("https://127.0.0.1") && !greeting.contains("http://"), "{greeting}");

    // Half of a change: the old pair stays.
    install(&second, &certificate);
    program.signal("HUP");
    let line = program.wait_for_log(|line| line.contains("stays as it was"));
    assert!(line.contains("ERROR") && line.contains("tls.key"), "{line}");
    assert!(answered(&first) && !answered(&second));

    install(&second_key, &key);
    program.signal("HUP");
    program.wait_for_log(|line| line.contains("read again"));
    assert!(!answered(&first) && answered(&second));
}

async fn files_that_are_no_pair_are_told(home: Home) {
    let (certificate, key) = make_pair(home.folder(), "one");
    let (_, other_key) = make_pair(home.folder(), "other");
    let empty = home.folder().join("empty");
    std::fs::write(&empty, "").expect("a file");
    let nowhere = PathBuf::from("/nowhere/tls.pem");
    for (certificate, key, told) in [
        (&certificate, &other_key, "no pair"),
        (&empty, &key, "TLS_CERT"),
        (&nowhere, &key, "/nowhere/tls.pem"),
        (&certificate, &nowhere, "/nowhere/tls.pem"),
        (&certificate, &certificate, "TLS_KEY"),
    ] {
        let mut command = home.command();
        command.args(["serve", "--bind", "127.0.0.1:0"]);
        let ran = run(command.env("TLS_CERT", certificate).env("TLS_KEY", key));
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains(told), "{told} in {}", ran.stderr);
    }
    let ran = run(home.command().args(["serve", "--tls-cert"]).arg(&certificate));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--tls-key"), "{}", ran.stderr);
}

async fn tokens_that_travel_in_clear_are_warned_of(home: Home) {
    let (certificate, key) = make_pair(home.folder(), "tls");
    let [certificate, key] = [&certificate, &key].map(|path| path.to_str().expect("a path"));
    let warns = |variables: &[(&str, &str)]| {
        let mut command = home.command();
        command.args(["serve", "--bind", "0.0.0.0:0"]).envs(variables.iter().copied());
        let program = Program::start(&mut command);
        program.wait_for_log(|line| line.contains("listening"));
        let log = program.log();
        log.iter().any(|line| line.contains("WARN") && line.contains("in clear"))
    };
    assert!(warns(&[]));
    assert!(warns(&[("PUBLIC_URL", "http://customers.example")]));
    assert!(!warns(&[("PUBLIC_URL", "https://customers.example")]));
    assert!(!warns(&[("TRUSTED_PROXIES", "10.0.0.1")]));
    assert!(!warns(&[("TLS_CERT", certificate), ("TLS_KEY", key)]));
}
