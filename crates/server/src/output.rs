//! What commands say on stdout and stderr.
//!
//! `println!` and `eprintln!` panic where nothing can be written, which would end a command in the middle
//! of its work because a disk is full or the reader of a pipe is gone.

use std::io::{self, ErrorKind, Write};

use crate::Failure;

/// Prints a line to stdout, and tells where that did not get through.
pub fn show(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Prints a line to stdout. Whoever reads may stop early, like `head` does.
///
/// # Errors
///
/// Where it cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Failure> {
    match show(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::other(error)),
        _ => Ok(()),
    }
}

/// Tells whoever watches something on stderr. Where that cannot be written, the work goes on without it.
pub fn tell(text: &str) {
    // One write: a line of another thread does not come between.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}
