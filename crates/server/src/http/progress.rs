//! Knows what a connection is doing, and until when its client must go on.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Duration;

use actix_web::rt::time::{Instant, sleep_until};

/// How fast a body must arrive beyond [`Limits::body`], in bytes a second.
const BODY_RATE: u64 = 16 * 1024;

/// How long a connection waits for its client, and for how much.
///
/// A request that is worked on and an answer that moves have no limit.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first byte of a head to its last. For the first head, from the connection on, so that
    /// it includes the TLS handshake.
    pub head: Duration,
    /// From the end of the head to the end of the body; and one second more for each 16 KiB.
    pub body: Duration,
    /// The bytes of a body, with the framing of its chunks. What the framework reads ahead is not
    /// counted exactly, so [`READ_AHEAD`] comes on top.
    pub body_size: u64,
    /// Without an acknowledged byte of an answer.
    pub answer: Duration,
    /// Between an answer and the next head.
    pub idle: Duration,
    /// After an answer that did not wait for the body: what is on its way is read and discarded, or
    /// a reset would destroy the answer.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            body_size: 1 << 20,
            answer: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            linger: Duration::from_secs(2),
        }
    }
}

/// The bytes that the framework reads ahead of what it has parsed.
const READ_AHEAD: u64 = 128 * 1024;

/// The framework answers 408 to a first head that is late. The connection is cut after that.
const TIME_FOR_408: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Before the first request: TLS handshake and head.
    FirstHead { since: Instant },
    /// A request is worked on, and its body is read.
    Request,
    /// The request was answered before its body had arrived.
    UnreadBody { since: Instant },
    /// The request was answered.
    Idle { since: Instant },
    /// The next head arrives.
    NextHead { since: Instant },
}

/// What a connection is doing, as far as its deadlines depend on it.
///
/// The socket reports bytes, the service reports requests and answers. Nothing is parsed here.
#[derive(Debug)]
pub struct Progress {
    limits: Limits,
    phase: Cell<Phase>,
    received: Cell<u64>,
    /// When the last request was passed on to the application.
    request_at: Cell<Instant>,
    /// The bytes that had been received by then.
    received_at_request: Cell<u64>,
    /// The bytes that belong to the last request and those before, as far as known.
    consumed: Cell<u64>,
    /// Whether the last request has a body of which the application has not read the end.
    body_is_open: Cell<bool>,
    /// Whether the application waits for the body.
    awaits_body: Cell<bool>,
    /// When the socket last took bytes of an answer.
    sent_at: Cell<Instant>,
    /// Since when the socket takes no more, because the client does not read.
    blocked_since: Cell<Option<Instant>>,
}

impl Progress {
    /// Starts with a connection that was made now.
    pub fn new(limits: Limits) -> Self {
        let now = Instant::now();
        Self {
            limits,
            phase: Cell::new(Phase::FirstHead { since: now }),
            received: Cell::new(0),
            request_at: Cell::new(now),
            received_at_request: Cell::new(0),
            consumed: Cell::new(0),
            body_is_open: Cell::new(false),
            awaits_body: Cell::new(false),
            sent_at: Cell::new(now),
            blocked_since: Cell::new(None),
        }
    }

    /// Reports bytes that came from the client.
    pub fn received(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes as u64);
        if let Phase::Idle { .. } = self.phase.get() {
            self.phase.set(Phase::NextHead { since: Instant::now() });
        }
    }

    /// Reports that the socket took bytes for the client.
    pub fn sent(&self) {
        self.sent_at.set(Instant::now());
        self.blocked_since.set(None);
    }

    /// Reports that the socket takes no bytes now.
    pub fn blocked(&self) {
        if self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(Instant::now()));
        }
    }

    /// Reports a request, whose head is complete, and whether it has a body.
    pub fn request(&self, has_body: bool) {
        self.body_is_open.set(has_body);
        self.phase.set(Phase::Request);
        self.request_at.set(Instant::now());
        self.received_at_request.set(self.received.get());
        self.consumed.set(self.received.get());
    }

    /// Reports whether the application waits for more of the body.
    pub fn awaits_body(&self, awaits: bool) {
        self.awaits_body.set(awaits);
    }

    /// Reports that the body is complete.
    pub fn body_ended(&self) {
        self.body_is_open.set(false);
        self.awaits_body.set(false);
        self.consumed.set(self.received.get());
    }

    /// Reports an answer; returns whether it did not wait for the end of the body.
    pub fn answered(&self) -> bool {
        let body_is_unread = self.body_is_open.get();
        self.awaits_body.set(false);
        let since = Instant::now();
        self.phase.set(if body_is_unread {
            Phase::UnreadBody { since }
        } else if self.received.get() > self.consumed.get() {
            Phase::NextHead { since }
        } else {
            Phase::Idle { since }
        });
        body_is_unread
    }

    /// Returns whether the body, with its framing, is larger than a body may be.
    pub fn body_is_too_large(&self) -> bool {
        self.body_bytes() > self.limits.body_size + READ_AHEAD
    }

    /// Returns whether the body has had its time.
    pub fn body_is_late(&self) -> bool {
        Instant::now() >= self.body_deadline()
    }

    fn body_bytes(&self) -> u64 {
        self.received.get() - self.received_at_request.get()
    }

    fn body_deadline(&self) -> Instant {
        let seconds = self.body_bytes().min(self.limits.body_size) / BODY_RATE;
        self.request_at.get() + self.limits.body + Duration::from_secs(seconds)
    }

    /// Returns whether the client has read nothing for as long as it may.
    pub fn answer_is_late(&self) -> bool {
        self.blocked_since.get().is_some_and(|since| since.elapsed() >= self.limits.answer)
    }

    /// Returns when the connection ends unless something happens; `None` while it is up to the
    /// application.
    fn deadline(&self) -> Option<Instant> {
        let Limits { head, answer, idle, linger, .. } = self.limits;
        // Behind an answer that takes long, the time of what follows starts with its last byte.
        let after_answer = |since: Instant| since.max(self.sent_at.get());
        match (self.phase.get(), self.blocked_since.get()) {
            (Phase::FirstHead { since }, _) => Some(since + head + TIME_FOR_408),
            (_, Some(since)) => Some(since + answer),
            (Phase::Request, None) => self.awaits_body.get().then(|| self.body_deadline()),
            (Phase::UnreadBody { since }, None) => {
                let last = after_answer(since) + linger;
                Some(if self.body_is_too_large() { last } else { last.max(self.body_deadline()) })
            }
            (Phase::Idle { since }, None) => Some(after_answer(since) + idle),
            (Phase::NextHead { since }, None) => Some(after_answer(since) + head),
        }
    }

    /// Runs the connection to its end, or drops it when its client is too slow.
    pub async fn watch<F: Future>(&self, mut connection: Pin<&mut F>) -> Option<F::Output> {
        let mut alarm = pin!(sleep_until(self.request_at.get() + self.limits.head));
        std::future::poll_fn(|context| {
            let mut passed = None;
            loop {
                if let Poll::Ready(output) = connection.as_mut().poll(context) {
                    return Poll::Ready(Some(output));
                }
                let Some(deadline) = self.deadline() else { return Poll::Pending };
                // The connection had its chance: to fail the body, or to find room in the socket.
                if passed == Some(deadline) {
                    log::debug!(phase:? = self.phase.get(); "connection cut: the client is too slow");
                    return Poll::Ready(None);
                }
                // One that rings too early is set again then: most deadlines only move back.
                if alarm.is_elapsed() || deadline < alarm.deadline() {
                    alarm.as_mut().reset(deadline);
                }
                ready!(alarm.as_mut().poll(context));
                if alarm.deadline() >= deadline {
                    passed = Some(deadline);
                }
            }
        })
        .await
    }
}
