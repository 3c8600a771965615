//! The program as a process.

use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use tempfile::TempDir;

use super::PATIENCE;
use crate::database::TestDatabase;

/// Where the program runs: a working directory that is empty, an environment that says nothing but
/// which database to use.
pub struct Home {
    pub database: TestDatabase,
    folder: TempDir,
}

/// What a command that has ended leaves.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new(database: TestDatabase) -> Self {
        Self { database, folder: tempfile::tempdir().expect("a working directory") }
    }

    /// The working directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program, without arguments yet.
    pub fn command(&self) -> Command {
        self.command_under(&[])
    }

    /// The program, run by another that takes it as its last argument.
    fn command_under(&self, runner: &[&str]) -> Command {
        let mut words = runner.iter().copied().chain([env!("CARGO_BIN_EXE_customers")]);
        let mut command = Command::new(words.next().expect("the program"));
        command
            .args(words)
            .env_clear()
            .env("DATABASE_URL", self.database.url())
            .current_dir(self.folder())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command().args(arguments))
    }

    /// Runs a command to its end that is given something to read.
    pub fn run_reading(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut stdin = tempfile::tempfile().expect("a file to read");
        stdin.write_all(input).and_then(|()| stdin.rewind()).expect("something to read");
        run(self.command().args(arguments).stdin(stdin))
    }

    /// Runs a command that must work; what it prints.
    #[track_caller]
    pub fn run_well(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran.stdout
    }

    /// Makes a token; the token.
    #[track_caller]
    pub fn token(&self, arguments: &[&str]) -> String {
        let stdout = self.run_well(&[&["token", "create"], arguments].concat());
        stdout.lines().last().expect("a last line").to_owned()
    }

    /// Makes a user, who is called by the first half of the address.
    #[track_caller]
    pub fn user(&self, email: &str, password: &str) {
        let name = email.split('@').next().expect("a first half");
        let arguments = ["user", "create", "--email", email, "--name", name, "--password-stdin"];
        let ran = self.run_reading(&arguments, password.as_bytes());
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// Starts a server on a free port and waits until it listens.
    pub fn serve(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Program {
        self.serve_under(&[], arguments, variables)
    }

    /// The same, under limits of open files: one that it may raise, and the one that it may raise it to.
    pub fn serve_with_files(&self, soft: u32, hard: u32, arguments: &[&str]) -> Program {
        let limits = format!("--nofile={soft}:{hard}");
        self.serve_under(&["/usr/bin/prlimit", &limits], arguments, &[])
    }

    fn serve_under(
        &self,
        runner: &[&str],
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Program {
        let mut command = self.command_under(runner);
        command.arg("serve").args(arguments).env("BIND", "127.0.0.1:0");
        command.envs(variables.iter().copied());
        let program = Program::start(&mut command);
        program.wait_until_it_listens();
        program
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Ran {
        code: output.status.code().expect("an exit code and no signal"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
    }
}

/// A process and what it prints. It is killed when it is dropped.
pub struct Program {
    child: Child,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        let stdout = Lines::of(child.stdout.take().expect("a pipe"));
        let stderr = Lines::of(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr }
    }

    pub fn wait_until_it_listens(&self) {
        self.wait_for_log(|line| line.contains("listening"));
    }

    /// The address that it says it listens on.
    pub fn address(&self) -> SocketAddr {
        self.wait_for_log(|line| line.contains("listening"))
            .split([' ', '=', '"'])
            .find_map(|word| word.parse().ok())
            .expect("an address behind `listening`")
    }

    /// The token of the greeting, as soon as all of that is there.
    pub fn first_token(&self) -> String {
        self.stdout.wait_for(|line| line.contains("/docs"));
        let line = self.stdout.wait_for(|line| line.trim().starts_with("cus_"));
        line.trim().to_owned()
    }

    /// The lines on stdout so far: all, once it has ended.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.so_far()
    }

    /// The lines of the log so far: all, once it has ended.
    pub fn log(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// The first line of the log that is so, as soon as it is there.
    #[track_caller]
    pub fn wait_for_log(&self, is_it: impl Fn(&str) -> bool) -> String {
        self.stderr.wait_for(is_it)
    }

    /// Stops reading the log, as a reader does that hangs.
    pub fn pause_log(&self) {
        self.stderr.state.lock().expect("no panic").is_paused = true;
    }

    /// Reads the log on.
    pub fn resume_log(&self) {
        self.stderr.state.lock().expect("no panic").is_paused = false;
        self.stderr.resumed.notify_all();
    }

    /// The most memory that it has had in use so far, in MiB (Linux's VmHWM).
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("a number of KiB") / 1024
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(sent.success(), "{kill}");
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for its end, and the end of what it prints.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.wait_without_its_output();
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
        status
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_without_its_output(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "still running; its log: {:#?}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            // The test's own output, which is shown where it fails.
            println!("the log of the server:\n{}", self.log().join("\n"));
        }
    }
}

/// What a process has printed so far.
#[derive(Default)]
struct Lines {
    state: Mutex<State>,
    more: Condvar,
    resumed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    has_ended: bool,
    is_paused: bool,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let reader = lines.clone();
        std::thread::spawn(move || reader.read(BufReader::new(pipe)));
        lines
    }

    fn read(&self, mut pipe: impl BufRead) {
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            let mut state = self.state.lock().expect("no panic");
            state.lines.push(text);
            self.more.notify_all();
            let resumed = self.resumed.wait_while(state, |state| state.is_paused);
            drop(resumed.expect("no panic"));
            line.clear();
        }
        self.state.lock().expect("no panic").has_ended = true;
        self.more.notify_all();
    }

    fn so_far(&self) -> Vec<String> {
        self.state.lock().expect("no panic").lines.clone()
    }

    #[track_caller]
    fn wait_for(&self, is_it: impl Fn(&str) -> bool) -> String {
        let state = self.state.lock().expect("no panic");
        let is_missing =
            |state: &mut State| !state.has_ended && !state.lines.iter().any(|line| is_it(line));
        let waited = self.more.wait_timeout_while(state, PATIENCE, is_missing);
        let (state, _) = waited.expect("no panic");
        let found = state.lines.iter().find(|line| is_it(line)).cloned();
        // The lock must not be held where this fails: the log is still to be shown.
        let lines = state.lines.clone();
        drop(state);
        found.unwrap_or_else(|| panic!("no such line in {lines:#?}"))
    }

    fn wait_for_end(&self) {
        let state = self.state.lock().expect("no panic");
        let waited = self.more.wait_timeout_while(state, PATIENCE, |state| !state.has_ended);
        let has_ended = waited.expect("no panic").0.has_ended;
        assert!(has_ended, "the output has not ended");
    }
}
