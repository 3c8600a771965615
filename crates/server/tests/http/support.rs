//! What the tests are written with: the program, a client that holds every answer against the
//! OpenAPI document, and a plain socket.

pub mod balancer;
mod client;
pub mod cluster;
mod contract;
pub mod disk;
pub mod load;
mod program;
mod socket;

use std::ops::Deref;
use std::time::{Duration, Instant};

use crate::database::TestDatabase;

pub use client::{Answer, Call, Client, encode};
pub use contract::validator;
pub use program::{Home, Program, Ran, run};
pub use socket::{Socket, parse};

/// How long anything may take that is only waited for because it takes no time to speak of. Far
/// more than it takes, for machines that are busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a test can ask for: something on a fresh database.
pub trait Fixture {
    fn on(database: TestDatabase) -> Self;
}

impl Fixture for TestDatabase {
    fn on(database: TestDatabase) -> Self {
        database
    }
}

impl Fixture for Home {
    fn on(database: TestDatabase) -> Self {
        Home::new(database)
    }
}

impl Fixture for TestServer {
    fn on(database: TestDatabase) -> Self {
        TestServer::start(Home::new(database), &[])
    }
}

/// A running server with a database of its own, and a client of it.
pub struct TestServer {
    // Dropped, and thereby ended, before the database is.
    pub program: Program,
    pub client: Client,
    pub home: Home,
}

impl TestServer {
    /// Starts it as whoever tries it out does, with these variables beside.
    pub fn start(home: Home, variables: &[(&str, &str)]) -> Self {
        let program = home.serve(&["--first-token=true"], variables);
        Self::of(home, program)
    }

    /// Starts it under limits of open files: see [`Home::serve_with_files`].
    pub fn start_with_files(home: Home, soft: u32, hard: u32) -> Self {
        let program = home.serve_with_files(soft, hard, &["--first-token=true"]);
        Self::of(home, program)
    }

    fn of(home: Home, program: Program) -> Self {
        let token = program.first_token();
        let client = Client::new(program.address(), &token);
        Self { program, client, home }
    }

    /// Kills it as a crash would, and starts it again.
    pub fn crash_and_restart(&mut self) {
        self.program.kill();
        self.program = self.home.serve(&[], &[]);
        self.client = Client::new(self.program.address(), self.client.token());
    }

    pub fn socket(&self) -> Socket {
        Socket::connect(self.program.address())
    }
}

/// To be called like the client itself.
impl Deref for TestServer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Asks again and again until the answer is yes; for how long it was asked.
pub async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !ask().await {
        assert!(start.elapsed() < PATIENCE, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}
