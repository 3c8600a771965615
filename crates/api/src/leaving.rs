//! The last seconds before a server stops: it answers as ever, and says that it will not for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the server is about to stop.
#[derive(Clone, Default)]
pub(crate) struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// From now on it is.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
