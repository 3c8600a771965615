//! PostgreSQL servers of a test's own, to be restarted, lost and filled. They end with the test.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use tempfile::TempDir;

use super::PATIENCE;
use crate::database::{TestDatabase, server_url};

/// A server and all its data.
pub struct Cluster {
    folder: TempDir,
    owner: Owner,
    port: u16,
    /// What it is started with beside its configuration file.
    settings: Vec<String>,
    /// `None` while it is down.
    server: Option<Child>,
}

/// The user that the servers run as: PostgreSQL refuses to run as root.
#[derive(Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

impl Cluster {
    /// Makes a new one and starts it, with settings such as `max_connections=50`.
    pub fn start(settings: &[&str]) -> Self {
        let cluster = Self::prepare(settings);
        let password = cluster.folder().join("password");
        fs::write(&password, credentials().1).expect("a file");
        cluster.owner.give(&password);
        cluster.run("initdb", |initdb| {
            initdb
                .arg(format!("--pgdata={}", cluster.data().display()))
                .arg(format!("--pwfile={}", password.display()))
                .arg(format!("--username={}", credentials().0))
                .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
        });
        cluster.started()
    }

    /// Makes a copy that follows this one, and starts it.
    pub fn standby(&self, settings: &[&str]) -> Self {
        let standby = Self::prepare(settings);
        standby.run("pg_basebackup", |copy| {
            copy.arg(format!("--pgdata={}", standby.data().display()))
                .arg(format!("--dbname={}", self.url()))
                .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
        });
        standby.started()
    }

    fn prepare(settings: &[&str]) -> Self {
        let owner = Owner::of_test_server();
        // Where the user of the servers gets at it: TMPDIR need not be such a place.
        let folder = TempDir::with_prefix_in("customers-cluster.", "/tmp").expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("ours");
        owner.give(folder.path());
        let settings = settings.iter().map(|setting| setting.to_string()).collect();
        Self { folder, owner, port: free_port(), settings, server: None }
    }

    fn started(mut self) -> Self {
        self.resume();
        self
    }

    /// Starts it again, and waits until it takes connections.
    pub fn resume(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.log());
        let log = log.expect("a log");
        let mut postgres = self.owner.command("postgres");
        postgres
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-k", ""])
            // What these only matter for is a crash of the whole machine.
            .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB"]);
        for setting in &self.settings {
            postgres.args(["-c", setting]);
        }
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server = Some(postgres.spawn().expect("postgres"));
        let start = Instant::now();
        while let Err(error) = PgConnection::establish(&self.url()) {
            let is_over = self.server.as_mut().is_none_or(|server| {
                server.try_wait().expect("a child").is_some() || start.elapsed() > PATIENCE
            });
            assert!(!is_over, "{error}; its log: {}", self.log_text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends the server a signal, INT to shut down fast, QUIT at once and KILL not even that, and
    /// waits for its end.
    pub fn stop(&mut self, signal: &str) {
        if let Some(mut server) = self.server.take() {
            let kill = Command::new("kill").args(["-s", signal, &server.id().to_string()]).status();
            assert!(kill.is_ok_and(|status| status.success()) || std::thread::panicking());
            let _ = server.wait();
        }
    }

    /// Stops all its processes where they are, as if its machine had gone away without a word.
    pub fn freeze(&self) {
        self.signal_all("STOP");
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.signal_all("CONT");
    }

    fn signal_all(&self, signal: &str) {
        let Some(server) = &self.server else { return };
        let children = format!("/proc/{0}/task/{0}/children", server.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        let server = server.id().to_string();
        let all = [&*server].into_iter().chain(children.split_whitespace());
        // A process may have ended by itself.
        let _ = Command::new("kill").args(["-s", signal]).args(all).output();
    }

    /// Runs SQL.
    pub fn execute(&self, sql: &str) {
        let mut conn = PgConnection::establish(&self.url()).expect("a connection");
        conn.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Its database.
    pub fn database(&self) -> TestDatabase {
        TestDatabase::at(&self.url())
    }

    /// The URL of its database, for a superuser.
    pub fn url(&self) -> String {
        url_of(&[self])
    }

    /// A folder that belongs to the server.
    pub fn new_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder().join(name);
        fs::create_dir(&folder).expect("a folder");
        self.owner.give(&folder);
        folder
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder().join("log")
    }

    fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Runs one of PostgreSQL's programs to its end.
    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) {
        let mut command = self.owner.command(program);
        let output = arguments(&mut command).stdin(Stdio::null()).output().expect(program);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {complaint}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Otherwise it would not end.
        self.thaw();
        self.stop("QUIT");
    }
}

/// The URL under which whichever of these servers takes writes is found.
pub fn url_of(clusters: &[&Cluster]) -> String {
    let (user, password) = credentials();
    let hosts: Vec<_> =
        clusters.iter().map(|cluster| format!("127.0.0.1:{}", cluster.port)).collect();
    let any = if clusters.len() > 1 { "?target_session_attrs=read-write" } else { "" };
    format!("postgres://{user}:{password}@{}/postgres{any}", hosts.join(","))
}

impl Owner {
    /// The one that the tests' common server runs as.
    fn of_test_server() -> Self {
        let setting = "SELECT setting AS value FROM pg_settings WHERE name = 'data_directory'";
        let data = TestDatabase::at(&server_url()).values(setting);
        let data = fs::metadata(&data[0]).expect("the server's data");
        Self { user: data.uid(), group: data.gid() }
    }

    fn give(self, path: &Path) {
        chown(path, Some(self.user), Some(self.group)).expect("a file that can be given away");
    }

    /// A program of PostgreSQL, run as this user. It gets SIGQUIT when the thread that started it
    /// ends, which is the test, in whatever way that ends.
    fn command(self, program: &str) -> Command {
        let bin = std::env::var("TEST_POSTGRES_BIN").expect("TEST_POSTGRES_BIN; run `make test`");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if fs::metadata("/proc/self").expect("/proc").uid() == 0 {
            command
                .arg(format!("--reuid={}", self.user))
                .arg(format!("--regid={}", self.group))
                .arg("--clear-groups");
        }
        command.arg("--").arg(Path::new(&bin).join(program)).current_dir("/");
        command.env("LC_ALL", "C");
        command
    }
}

/// User and password, the same as on the tests' common server.
fn credentials() -> (String, String) {
    let url = server_url();
    let login = url.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
    let (user, password) = login.and_then(|(login, _)| login.split_once(':')).expect("a login");
    (user.to_owned(), password.to_owned())
}

/// A port that is free, and that no other cluster of these tests has: it must still be free when its
/// server starts again. Linux takes those for outgoing connections from above.
fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16 % 10_000;
    (0..10_000)
        .map(|_| 10_000 + (first + TAKEN.fetch_add(1, Ordering::Relaxed)) % 10_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
