//! What the operating system tells the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Failure;

/// SIGTERM and SIGINT, which ask the process to end.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on they do not end the process by themselves.
    pub fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// SIGHUP, which asks for files to be read again.
pub struct ReloadSignal(Signal);

impl ReloadSignal {
    /// From now on it does not end the process.
    pub fn listen() -> Result<Self, Failure> {
        listen(SignalKind::hangup()).map(Self)
    }

    /// Waits for it.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// Lets a write beyond a limit to files (`ulimit -f`) fail as on a full disk, instead of ending the
/// process.
pub fn survive_file_limit() -> Result<(), Failure> {
    // Once there was a listener, the process is not ended any more.
    listen(SignalKind::from_raw(libc::SIGXFSZ)).map(drop)
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(Failure::other)
}
