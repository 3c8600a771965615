//! The page at `/docs`, in a real browser: a token is set and every call is tried.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A process that is killed at the end, whatever that is.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{program:?}: {error}; run scripts/test-tools")))
    }

    /// The first line of a stream that holds this, and what stands behind it.
    fn line_with(stream: impl Read + Send + 'static, mark: &str) -> String {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains(mark));
        // Read on, so that the process never waits for somebody to do so.
        std::thread::spawn(move || lines.for_each(drop));
        let line = line.unwrap_or_else(|| panic!("no line with {mark}"));
        line[line.find(mark).unwrap_or(0) + mark.len()..].to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The service, on an empty database.
struct Server {
    _process: Process,
    folder: tempfile::TempDir,
    address: String,
    token: String,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_customers"))
                .args(["serve", "--first-token=true", "--bind", "127.0.0.1:0"])
                .env_clear()
                .current_dir(folder.path())
                .stderr(Stdio::piped()),
        );
        let log = process.0.stderr.take().expect("a log");
        let address = Process::line_with(log, " address=");
        let address = address.split(' ').next().unwrap_or_default().to_owned();
        let greeting = process.0.stdout.take().expect("a greeting");
        let token = format!("cus_{}", Process::line_with(greeting, "cus_"));
        Self { _process: process, folder, address, token }
    }
}

#[tokio::test]
async fn every_call_can_be_tried_on_the_page() {
    let server = Server::start();
    let mut driver =
        Process::start(Command::new("chromedriver").arg("--port=0").stderr(Stdio::null()));
    let said = driver.0.stdout.take().expect("output");
    let port = Process::line_with(said, "started successfully on port ");

    // The browser is told to quit whatever happens: killing chromedriver would leave it behind.
    let browser = browser(&port, &server.folder.path().join("browser")).await;
    let tried = tokio::spawn(try_the_page(browser.clone(), server.address, server.token)).await;
    let quit = browser.quit().await;
    match tried {
        Ok(tried) => tried.expect("the page to work"),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
    quit.expect("the browser to quit");
}

#[tokio::test]
async fn a_file_is_not_sent_twice() {
    let server = Server::start();
    let client = reqwest::Client::new();
    for (file, content_type) in [
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("start.js", "text/javascript; charset=utf-8"),
    ] {
        let url = format!("http://{}/docs/{file}", server.address);
        let answer = client.get(&url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{file}");
        assert_eq!(answer.headers()["content-type"], content_type);
        assert_eq!(answer.headers()["cache-control"], "no-cache");
        let etag = answer.headers()["etag"].clone();

        let known = client.get(&url).header("if-none-match", &etag).send().await;
        assert_eq!(known.expect("an answer").status(), 304, "{file}");
        let other = client.get(&url).header("if-none-match", "\"other\"").send().await;
        assert_eq!(other.expect("an answer").status(), 200, "{file}");
    }
}

async fn browser(port: &str, profile: &std::path::Path) -> WebDriver {
    let mut capabilities = DesiredCapabilities::chrome();
    for argument in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1200,2400",
        &format!("--user-data-dir={}", profile.display()),
    ] {
        capabilities.add_arg(argument).expect("an argument");
    }
    let logged = json!({ "browser": "ALL", "performance": "ALL" });
    capabilities.set("goog:loggingPrefs", logged).expect("a capability");
    let url = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
    WebDriver::new(&url, capabilities).await.expect("a browser; run scripts/test-tools")
}

async fn try_the_page(browser: WebDriver, server: String, token: String) -> WebDriverResult<()> {
    let root = format!("http://{server}/");
    browser.goto(format!("{root}docs")).await?;
    try_every_call(&browser, &token).await?;
    nothing_came_from_elsewhere(&browser, &root).await?;

    // With a slash at its end, which is ignored, and where a proxy adds something in front.
    for root in [root, behind_prefix(server)] {
        browser.goto(format!("{root}docs/")).await?;
        execute(&open(&browser, "health-live").await?, "200").await?;
        nothing_came_from_elsewhere(&browser, &root).await?;
    }
    Ok(())
}

/// A proxy that takes a prefix off the path, for requests without a body.
fn behind_prefix(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let root = format!("http://{}/some/prefix/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = server.clone();
            // What goes wrong is a connection that is closed, which the browser complains of.
            std::thread::spawn(move || forward(client, &server));
        }
    });
    root
}

fn forward(mut client: TcpStream, server: &str) -> std::io::Result<()> {
    let lines = BufReader::new(client.try_clone()?).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let head = head.join("\r\n");
    let Some(rest) = head.strip_prefix("GET /some/prefix/") else { return Ok(()) };
    let rest = rest.replace("Connection: keep-alive", "Connection: close");
    let mut server = TcpStream::connect(server)?;
    write!(server, "GET /{rest}\r\n\r\n")?;
    std::io::copy(&mut server, &mut client).map(drop)
}

async fn try_every_call(browser: &WebDriver, token: &str) -> WebDriverResult<()> {
    find(browser, ".auth-wrapper .authorize").await?.click().await?;
    find(browser, ".auth-container input").await?.send_keys(token).await?;
    find(browser, ".auth-btn-wrapper .authorize").await?.click().await?;
    find(browser, ".auth-btn-wrapper .btn-done").await?.click().await?;

    let create = open(browser, "customers-createCustomer").await?;
    write(&create, "textarea.body-param__text", r#"{"name": "Société"}"#).await?;
    let created = execute(&create, "201").await?;
    assert_eq!(created["name"], "Société");
    let account = created["customerAccount"].as_str().unwrap_or_default();

    let get = open(browser, "customers-getCustomer").await?;
    write(&get, "[data-param-name=customer] input", &created["id"].to_string()).await?;
    assert_eq!(execute(&get, "200").await?, created);

    let get = open(browser, "customers-getCustomerByAccount").await?;
    write(&get, "[data-param-name=customerAccount] input", account).await?;
    assert_eq!(execute(&get, "200").await?, created);

    for operation in ["health-live", "health-ready", "documentation-openapi"] {
        execute(&open(browser, operation).await?, "200").await?;
    }
    Ok(())
}

const TICK: Duration = Duration::from_millis(50);

async fn find(browser: &WebDriver, selector: &str) -> WebDriverResult<WebElement> {
    browser.query(By::Css(selector)).wait(PATIENCE, TICK).and_clickable().first().await
}

/// Unfolds an operation.
async fn open(browser: &WebDriver, operation: &str) -> WebDriverResult<WebElement> {
    let selector = format!("#operations-{operation}");
    let block = find(browser, &selector).await?;
    block.find(By::Css(".opblock-summary-control")).await?.click().await?;
    block.query(By::Css(".execute")).wait(PATIENCE, TICK).and_clickable().first().await?;
    Ok(block)
}

/// Writes over what a field holds, as somebody would.
async fn write(operation: &WebElement, selector: &str, text: &str) -> WebDriverResult<()> {
    let field = operation.query(By::Css(selector)).wait(PATIENCE, TICK).first().await?;
    field.scroll_into_view().await?;
    field.send_keys(Key::Control + "a").await?;
    field.send_keys(text).await
}

/// Makes the call, and returns the body that the page shows for it.
async fn execute(operation: &WebElement, status: &str) -> WebDriverResult<Value> {
    let button = operation.find(By::Css(".execute")).await?;
    button.scroll_into_view().await?;
    button.click().await?;
    let answer = ".live-responses-table .response ";
    let shown = operation.query(By::Css(format!("{answer}.response-col_status")));
    let shown = shown.wait(PATIENCE, TICK).first().await?.text().await?;
    assert!(shown.starts_with(status), "{shown}");
    let body =
        operation.query(By::Css(format!("{answer}.highlight-code code, {answer}.microlight")));
    let body = body.wait(PATIENCE, TICK).first().await?.prop("textContent").await?;
    Ok(serde_json::from_str(&body.unwrap_or_default()).expect("JSON on the page"))
}

/// The browser has complained of nothing, and asked for nothing but what is below this URL.
async fn nothing_came_from_elsewhere(browser: &WebDriver, root: &str) -> WebDriverResult<()> {
    let complaints = browser.get_log("browser").await?;
    assert!(complaints.iter().all(|entry| entry.level != "SEVERE"), "{complaints:#?}");
    let mut asked = 0;
    for entry in browser.get_log("performance").await? {
        let event: Value = serde_json::from_str(&entry.message).unwrap_or_default();
        if event["message"]["method"] == "Network.requestWillBeSent" {
            let url = event["message"]["params"]["request"]["url"].as_str().unwrap_or_default();
            // The browser has pages of its own, `chrome://`, and images may be `data:`.
            if ["http", "ws"].iter().any(|scheme| url.starts_with(scheme)) {
                assert!(url.starts_with(root), "{url}");
                asked += 1;
            }
        }
    }
    // The page, its three files, the document and a call.
    assert!(asked >= 6, "only {asked} requests are known of");
    Ok(())
}
