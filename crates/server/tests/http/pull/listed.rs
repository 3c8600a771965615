//! A system whose list is whatever a test says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Answers each request with what the function makes of its target: the body, or `None` where it is busy.
pub struct Listed(SocketAddr);

impl Listed {
    pub fn by(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        // It ends with the tests.
        thread::spawn(move || {
            for client in listener.incoming() {
                // The client may be gone.
                let _ = serve(client.expect("a connection"), &answer);
            }
        });
        Self(address)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

fn serve(mut client: TcpStream, answer: impl Fn(&str) -> Option<String>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        let length = client.read(&mut buffer)?;
        head.extend_from_slice(&buffer[..length]);
        if length == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let (status, body) = match answer(head.split(' ').nth(1).expect("a target")) {
        Some(body) => ("200 OK", body),
        None => ("503 Service Unavailable", String::new()),
    };
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
