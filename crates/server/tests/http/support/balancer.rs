//! HAProxy in front of several servers, as `scripts/deploy/haproxy.cfg` sets it up.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::{Program, until};

const CONFIGURATION: &str = include_str!("../../../../../scripts/deploy/haproxy.cfg");

/// The servers as the configuration calls them.
pub const SERVERS: [&str; 2] = ["one", "two"];

/// A running HAProxy.
pub struct Balancer {
    // Dropped, and thereby ended, before its folder is.
    _program: Program,
    address: SocketAddr,
    socket: PathBuf,
    _folder: TempDir,
}

impl Balancer {
    /// Starts it, and waits until it has found both servers ready.
    pub async fn start(servers: [SocketAddr; 2]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("admin.sock");
        let address = free_address();
        let mut configuration = CONFIGURATION
            .replace("/run/haproxy/admin.sock", socket.to_str().expect("a UTF-8 path"))
            .replace("bind :80\n", &format!("bind {address}\n"));
        for (known, server) in ["10.0.0.11:8080", "10.0.0.12:8080"].into_iter().zip(servers) {
            assert!(configuration.contains(known));
            configuration = configuration.replace(known, &server.to_string());
        }
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, configuration).expect("a file");
        let mut haproxy = Command::new("haproxy");
        // Debian keeps it where only root looks.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let program = Program::start(haproxy.env("PATH", path).arg("-db").arg("-f").arg(file));
        let balancer = Self { _program: program, address, socket, _folder: folder };
        for server in SERVERS {
            balancer.until_ready(server).await;
        }
        balancer
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends no further requests to a server, and waits until those that it has are answered.
    pub async fn drain(&self, server: &str) {
        self.tell(&format!("set server customers/{server} state drain"));
        until("the server to be idle", async || self.status(server)[4] == "0").await;
    }

    /// Sends requests to a server again, and waits until it has been found ready.
    pub async fn resume(&self, server: &str) {
        self.tell(&format!("set server customers/{server} state ready"));
        self.until_ready(server).await;
    }

    async fn until_ready(&self, server: &str) {
        // A check of any kind: the first one may still be under way.
        let is_ready = async || {
            let status = self.status(server);
            status.len() > 36 && status[17] == "UP" && status[36] == "L7OK"
        };
        until("the server to be ready", is_ready).await;
    }

    /// What `show stat` says of a server, by column: 4 is how many requests it has, 17 whether it is
    /// up, and 36 what the last check found. Nothing before HAProxy listens.
    fn status(&self, server: &str) -> Vec<String> {
        let prefix = format!("customers,{server},");
        let table = self.tell("show stat");
        let line = table.lines().find(|line| line.starts_with(&prefix)).unwrap_or_default();
        line.split(',').map(str::to_owned).collect()
    }

    /// Gives a command to the running process; its answer.
    fn tell(&self, command: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut socket) = UnixStream::connect(&self.socket) {
            socket.write_all(format!("{command}\n").as_bytes()).expect("a command");
            socket.read_to_string(&mut answer).expect("an answer");
        }
        answer
    }
}

/// Where nobody listens.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}
