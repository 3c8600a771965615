//! Clients that others generate from the document: they compile as they are, and make the documented
//! calls. Each is a program that prints what it was answered, and all print the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::support::{Home, TestServer};

cases! {
    both: [
        a_client_in_rust_makes_the_documented_calls,
        a_client_in_typescript_makes_the_documented_calls,
        a_client_in_python_makes_the_documented_calls,
    ]
    sqlite: [clients_are_generated_from_the_document_for_generators_as_well]
}

const DOCS: &str = include_str!("../../../../docs/CLIENTS.md");

/// What client generators are given that do not know the OpenAPI version of the served document.
const CLIENT_JSON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/client.json");

/// What each client prints of the documented calls.
const ANSWERS: &str = "\
created: Société a/b true
by id: Société
by account: Société
changed: Marque
stale: 412 precondition_failed
put: Paris
taken: 409 account_taken true
invalid: 422 validation_failed The name field is required.
unknown: 404 not_found
anonymous: 401 unauthenticated
page: Page 4,Page 3,Page 2 of 4
walked: Page 4,Page 3,Page 2,Page 1
either: 2
found: 1
deleted: 204
gone: 404 not_found
restored: Société
history: restored,deleted,updated,updated,created
city was: null
logged in: zoe
wrong password: 401 invalid_credentials
";

/// What each sample of docs/CLIENTS.md prints on an empty database.
const SAMPLE_ANSWER: &str = "created Société as CL000001\n";

/// A server with the user who logs in.
fn server_on(database: TestDatabase) -> TestServer {
    let server = TestServer::start(Home::new(database), &[]);
    server.home.user("zoe@example.com", "correct horse battery staple");
    server
}

async fn a_client_in_rust_makes_the_documented_calls(home: Home) {
    let program = Path::new(env!("CARGO_BIN_EXE_customers")).with_file_name("examples/rust_client");
    assert!(program.exists(), "run `cargo build --package customers-server --examples`");
    let run = |server: &TestServer, what: &str| {
        let url = format!("http://{}", server.address());
        output(Command::new(&program).args([what, &url, server.token()]))
    };
    let sample = include_str!("../../examples/rust_client/sample.rs");
    assert!(DOCS.contains(&format!("```rust\n{sample}```")), "not the sample of docs/CLIENTS.md");
    let server = TestServer::start(home, &[]);
    assert_eq!(run(&server, "sample"), SAMPLE_ANSWER);
    server.home.user("zoe@example.com", "correct horse battery staple");
    assert_eq!(run(&server, "calls"), ANSWERS);
}

async fn a_client_in_typescript_makes_the_documented_calls(home: Home) {
    let server = TestServer::start(home, &[]);
    let document = format!("http://{}/openapi.json", server.address());
    let programs = [("sample.ts", &*sample("ts", &server)), TypeScript::CALLS];
    let client = TypeScript::generate(&document, &programs);
    assert_eq!(client.run("sample.ts", &server), SAMPLE_ANSWER);
    server.home.user("zoe@example.com", "correct horse battery staple");
    assert_eq!(client.run("calls.ts", &server), ANSWERS);
}

async fn a_client_in_python_makes_the_documented_calls(home: Home) {
    let server = TestServer::start(home, &[]);
    let document = ["--url", &format!("http://{}/openapi.json", server.address())];
    let programs = [("sample.py", &*sample("python", &server)), Python::CALLS];
    let client = Python::generate(document, &programs);
    assert_eq!(client.run("sample.py", &server), SAMPLE_ANSWER);
    server.home.user("zoe@example.com", "correct horse battery staple");
    assert_eq!(client.run("calls.py", &server), ANSWERS);
}

async fn clients_are_generated_from_the_document_for_generators_as_well(_: Home) {
    let server = server_on(TestDatabase::sqlite());
    let client = TypeScript::generate(CLIENT_JSON, &[TypeScript::CALLS]);
    assert_eq!(client.run("calls.ts", &server), ANSWERS);
    let server = server_on(TestDatabase::sqlite());
    let client = Python::generate(["--path", CLIENT_JSON], &[Python::CALLS]);
    assert_eq!(client.run("calls.py", &server), ANSWERS);
}

/// The sample in this language, for this server.
fn sample(language: &str, server: &TestServer) -> String {
    let block = DOCS.split_once(&format!("```{language}\n"));
    let (sample, _) = block.and_then(|(_, rest)| rest.split_once("```")).expect("a sample");
    sample
        .replace("127.0.0.1:8080", &server.address().to_string())
        .replace("YOUR_TOKEN", server.token())
}

/// A generated client in a folder of its own, below the packages that it takes, and programs that use
/// it.
struct TypeScript(TempDir);

impl TypeScript {
    const CALLS: (&str, &str) = ("calls.ts", include_str!("clients/calls.ts"));

    /// Generates the client, and compiles it with the programs, each with its name.
    fn generate(document: &str, programs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir_in(generators()).expect("run scripts/clients/tools");
        output(
            node("openapi-typescript/bin/cli.js")
                .args([document, "--default-non-nullable", "false", "--output", "schema.d.ts"])
                .current_dir(&folder),
        );
        write(&folder, programs);
        output(
            node("typescript/bin/tsc")
                .args(["--noEmit", "--strict", "--target", "es2024", "--module", "nodenext"])
                .args(["--types", "node", "--allowImportingTsExtensions"])
                .args(programs.iter().map(|(name, _)| name))
                .current_dir(&folder),
        );
        Self(folder)
    }

    /// What a program prints.
    fn run(&self, name: &str, server: &TestServer) -> String {
        let url = format!("http://{}", server.address());
        output(Command::new(node_itself()).args([name, &url, server.token()]).current_dir(&self.0))
    }
}

/// A generated client in a folder of its own, and programs that use it.
struct Python(TempDir);

impl Python {
    const CALLS: (&str, &str) = ("calls.py", include_str!("clients/calls.py"));

    /// Generates the client, and holds the types of the programs, each with its name, against it.
    fn generate(document: [&str; 2], programs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        output(
            Command::new(python("openapi-python-client"))
                .args(["generate", "--meta", "none", "--fail-on-warning"])
                .args(["--output-path", "customers_api_client"])
                .args(document)
                // It formats what it writes with another of these programs.
                .env("PATH", python("").as_os_str())
                .current_dir(&folder),
        );
        write(&folder, programs);
        // Nothing is said of the generator's own code, which type checkers see differently.
        output(
            Command::new(python("mypy"))
                .args(["--strict", "--follow-imports=silent"])
                .args(programs.iter().map(|(name, _)| name))
                .current_dir(&folder),
        );
        Self(folder)
    }

    /// What a program prints.
    fn run(&self, name: &str, server: &TestServer) -> String {
        let url = format!("http://{}", server.address());
        let mut run = Command::new(python("python3"));
        output(run.args([name, &url, server.token()]).current_dir(&self.0))
    }
}

fn write(folder: &TempDir, programs: &[(&str, &str)]) {
    for (name, program) in programs {
        std::fs::write(folder.path().join(name), program).expect("a file");
    }
}

/// What `scripts/clients/tools` has installed.
fn generators() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/client-generators")
}

fn python(program: &str) -> PathBuf {
    generators().join("python/bin").join(program)
}

fn node_itself() -> PathBuf {
    python("node")
}

fn node(program: &str) -> Command {
    let mut command = Command::new(node_itself());
    command.arg(generators().join("node_modules").join(program));
    command
}

/// What a program prints that must work.
fn output(command: &mut Command) -> String {
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?}: {error}; run scripts/clients/tools", command.get_program())
    });
    let [printed, errors] =
        [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{command:?}: {errors}{printed}");
    printed
}
