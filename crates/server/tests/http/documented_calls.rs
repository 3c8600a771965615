//! The calls as the documentation tells people to make them, made by the programs that they use.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Call, TestServer, encode};

cases! {
    both: [
        curl_makes_the_documented_calls,
        php_makes_the_documented_calls,
        python_makes_the_documented_calls,
        the_first_call_of_the_greeting_can_be_pasted_into_a_shell,
        the_samples_of_the_readme_work,
    ]
}

/// What is called: a method, and a target on this server.
struct Target<'a> {
    server: &'a TestServer,
    method: &'a str,
    target: &'a str,
}

impl Target<'_> {
    fn url(&self) -> String {
        format!("http://{}{}", self.server.address(), self.target)
    }
}

async fn curl_makes_the_documented_calls(server: TestServer) {
    makes_the_documented_calls(&server, |call| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--write-out", "\n%{http_code}"])
            .args(["--request", call.method])
            .args(["--url", &call.url()])
            .args(["--header", &format!("authorization: Bearer {}", call.server.token())]);
        curl
    })
    .await;
}

async fn php_makes_the_documented_calls(server: TestServer) {
    makes_the_documented_calls(&server, |call| {
        let mut php = Command::new("php");
        php.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/documented_calls/call.php"))
            .args([call.method, &call.url(), call.server.token()]);
        php
    })
    .await;
}

async fn python_makes_the_documented_calls(server: TestServer) {
    makes_the_documented_calls(&server, |call| {
        let mut python = Command::new("python3");
        python
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/documented_calls/call.py"))
            .args([call.method, &call.server.address().to_string()])
            .args([call.target, call.server.token()]);
        python
    })
    .await;
}

async fn makes_the_documented_calls(server: &TestServer, program: impl Fn(&Target<'_>) -> Command) {
    let call = |method, target: &str, status| {
        let (got, customer) = run(&mut program(&Target { server, method, target }));
        assert_eq!(got, status, "{method} {target}: {customer}");
        customer
    };

    let query = "name=Soci%C3%A9t%C3%A9&customerAccount=123456&vip=1&brand_id=3&capital=10+000";
    let created = call("POST", &format!("/api/v1/customers?{query}"), 201);
    assert_eq!(created["name"], "Société");
    assert_eq!(created["customerAccount"], "123456");
    assert_eq!(created["vip"], true);
    assert_eq!(created["brand_id"], 3);
    assert_eq!(created["capital"], "10 000");

    let id = created["id"].as_i64().expect("an id");
    for target in [
        format!("/api/v1/customers/{id}"),
        format!("/api/v1/customers/{id}?customerAccount=123456"),
        "/api/v1/customers/123456?customerAccount=123456".to_owned(),
        "/api/v1/customerAccounts/123456".to_owned(),
    ] {
        assert_eq!(call("GET", &target, 200), created, "{target}");
    }
    let taken = call("POST", &format!("/api/v1/customers?{query}"), 409);
    assert_eq!(taken["conflict"]["id"], id);

    // What the program made is what the checking client finds.
    let found: Call = server.get("/api/v1/customerAccounts/123456");
    assert_eq!(found.await.expect(200), created);

    let account = encode("à/b & c%?");
    let created = call("POST", &format!("/api/v1/customers?name=A&customerAccount={account}"), 201);
    assert_eq!(created["customerAccount"], "à/b & c%?");
    assert_eq!(call("GET", &format!("/api/v1/customerAccounts/{account}"), 200), created);
}

async fn the_first_call_of_the_greeting_can_be_pasted_into_a_shell(server: TestServer) {
    let greeting = server.program.stdout();
    let lines: Vec<&str> = greeting
        .iter()
        .map(|line| line.as_str())
        .skip_while(|line| !line.trim().starts_with("curl "))
        .take_while(|line| !line.is_empty())
        .collect();
    let script = format!("{} --silent --write-out '\\n%{{http_code}}'", lines.join("\n"));
    let (status, customer) = run(Command::new("sh").args(["-c", &script]));
    assert_eq!(status, 201, "{script}: {customer}");
    assert_eq!(customer["name"], "Société");
    assert_eq!(server.get("/api/v1/customerAccounts/123456").await.expect(200), customer);
}

async fn the_samples_of_the_readme_work(server: TestServer) {
    let readme = include_str!("../../../../README.md")
        .replace("127.0.0.1:8080", &server.address().to_string())
        .replace("YOUR_TOKEN", server.token());
    let mut ran = Vec::new();
    for block in readme.split("\n```").skip(1) {
        let (language, sample) = block.split_once('\n').unwrap_or_default();
        let file = server.home.folder().join("sample");
        std::fs::write(&file, sample).expect("a file");
        let program = match language {
            "sh" => "sh",
            "php" => "php",
            "python" => "python3",
            // The end of a block.
            _ => continue,
        };
        let folder = Path::new(env!("CARGO_BIN_EXE_customers")).parent().expect("a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [folder.to_owned()].into_iter().chain(std::env::split_paths(&path));
        let output = Command::new(program)
            .arg(&file)
            .current_dir(server.home.folder())
            .env("PATH", std::env::join_paths(path).expect("a search path"))
            .env("DATABASE_URL", server.home.database.url())
            .output()
            .expect(program);
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        // What commands say of themselves stands in front.
        let json = printed.find('{').map_or("", |start| &printed[start..]);
        for answer in serde_json::Deserializer::from_str(json).into_iter::<Value>() {
            let answer = answer.unwrap_or_else(|error| panic!("{error} in {printed}"));
            ran.push((program, what(&answer).unwrap_or_else(|| panic!("{answer} of {sample}"))));
        }
    }
    let expected = [
        ("sh", "customer"),
        ("php", "customer"),
        ("python3", "customer"),
        ("sh", "customer"),
        ("sh", "customer"),
        ("sh", "list"),
        ("sh", "list"),
        ("sh", "customer"),
        ("sh", "customer"),
        ("sh", "history"),
        ("sh", "login"),
    ];
    assert_eq!(ran, expected);
}

/// What it is that a sample of the README was answered.
fn what(answer: &Value) -> Option<&'static str> {
    if answer["name"] == "Société" {
        Some("customer")
    } else if answer["data"][0]["name"] == "Société" {
        Some("list")
    } else if answer["data"][0]["action"] == "restored" {
        Some("history")
    } else if answer["user"]["name"] == "Zoé Martin" {
        Some("login")
    } else {
        None
    }
}

/// Runs a program that prints the body of an answer and, on a line of its own, its status.
fn run(command: &mut Command) -> (u16, Value) {
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?}: {error}; run scripts/test-tools", command.get_program())
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors} (scripts/test-tools tells what is missing)");
    assert_eq!(errors, "");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let (body, status) = printed.trim_end().rsplit_once('\n').expect("a line with the status");
    (status.parse().expect("a status"), serde_json::from_str(body).expect("JSON"))
}
