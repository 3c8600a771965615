//! A network, or a system, that fails now and then: what stands between a client and a real server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Failure {
    /// It is passed on.
    None,
    /// It is answered with this status, and what headers follow it.
    Answer(&'static str),
    /// It is passed on, and half of the answer comes back.
    CutShort,
    /// It is closed without an answer.
    Closed,
}

/// Listens in the place of a server, and lets one connection after the other fail like this; all behind
/// these are passed on. Each is good for one request.
pub struct Unreliable(SocketAddr);

impl Unreliable {
    pub fn before(server: SocketAddr, failures: Vec<Failure>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        // It ends with the tests.
        thread::spawn(move || {
            let mut failures = failures.into_iter();
            for client in listener.incoming() {
                let failure = failures.next().unwrap_or(Failure::None);
                pass(client.expect("a connection"), server, failure);
            }
        });
        Self(address)
    }

    pub fn address(&self) -> SocketAddr {
        self.0
    }
}

fn pass(mut client: TcpStream, server: SocketAddr, failure: Failure) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|it| it == b"\r\n\r\n") {
        match client.read(&mut buffer) {
            Ok(length) if length > 0 => head.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    let answer = match failure {
        Failure::Closed => return,
        Failure::Answer(status) => {
            format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .into_bytes()
        }
        Failure::None | Failure::CutShort => {
            let head = String::from_utf8(head).expect("a head in UTF-8");
            let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            let mut server = TcpStream::connect(server).expect("the server");
            server.write_all(head.as_bytes()).expect("a request");
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).expect("an answer");
            answer
        }
    };
    let length = if matches!(failure, Failure::CutShort) { answer.len() / 2 } else { answer.len() };
    // The client may be gone.
    let _ = client.write_all(&answer[..length]);
}
