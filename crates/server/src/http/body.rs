//! The body of a request on its way to the application.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::Payload;
use actix_http::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;

use super::progress::Progress;

/// A body that fails with `TimedOut` when it takes too long, and with `Overflow` when it is too large
/// with the framing of its chunks, which the application does not see.
pub struct Body {
    payload: Payload,
    progress: Rc<Progress>,
}

impl Body {
    pub fn new(payload: Payload, progress: Rc<Progress>) -> Self {
        Self { payload, progress }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.payload).poll_next(context);
        self.progress.awaits_body(polled.is_pending());
        let error = match &polled {
            Poll::Ready(None) => {
                self.progress.body_ended();
                return polled;
            }
            Poll::Ready(Some(Err(_))) => return polled,
            _ if self.progress.body_is_too_large() => PayloadError::Overflow,
            Poll::Pending if self.progress.body_is_late() => {
                PayloadError::Io(Error::from(ErrorKind::TimedOut))
            }
            _ => return polled,
        };
        self.progress.awaits_body(false);
        Poll::Ready(Some(Err(error)))
    }
}
