//! A plain socket, for what no HTTP client sends.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::client::Answer;

pub struct Socket(TcpStream);

impl Socket {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(super::PATIENCE)).expect("a time limit");
        stream.set_write_timeout(Some(super::PATIENCE)).expect("a time limit");
        Self(stream)
    }

    /// Sends bytes; the server may have hung up already.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.0.write_all(bytes.as_ref()) {
            assert!(is_hung_up(error.kind()), "{error}");
        }
    }

    /// Sends bytes; returns whether the server still takes them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) {
        // An error means that the server has hung up.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Reads up to such an end.
    #[track_caller]
    pub fn read_to(&mut self, end: &str) -> String {
        let mut read = String::new();
        let mut byte = [0];
        while !read.ends_with(end) {
            self.0.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} behind {read:?}"));
            read.push(byte[0].into());
        }
        read
    }

    /// All that comes until the server hangs up.
    #[track_caller]
    pub fn read_all(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        match self.0.read_to_end(&mut read) {
            Err(error) if !is_hung_up(error.kind()) => {
                panic!("{error} behind {:?}", String::from_utf8_lossy(&read))
            }
            _ => read,
        }
    }

    /// The answers that come until the server hangs up.
    #[track_caller]
    pub fn answers(&mut self) -> Vec<Answer> {
        parse(&self.read_all())
    }

    /// The only answer that comes until the server hangs up.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut answers = self.answers();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }
}

fn is_hung_up(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// Takes answers to anything but HEAD apart.
#[track_caller]
pub fn parse(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, rest) = bytes.split_at(end.expect("a whole head") + 4);
        let head = std::str::from_utf8(head).expect("a head in UTF-8");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("a status in {status_line:?}"));
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header");
            let name: HeaderName = name.parse().expect("the name of a header");
            headers.append(name, HeaderValue::from_str(value).expect("the value of a header"));
        }
        let length = headers.get("content-length").map_or(0, |length| {
            length.to_str().ok().and_then(|length| length.parse().ok()).expect("a length")
        });
        let (body, rest) = rest.split_at(length);
        answers.push(Answer { status, headers, body: body.to_vec() });
        bytes = rest;
    }
    answers
}
