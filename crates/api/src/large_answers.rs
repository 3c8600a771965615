//! Bounds how much memory pages take that are on their way to clients.
//!
//! A page of 500 customers with long comments is over 30 MB, and stays in memory until its client has read
//! it: a few dozen clients that read slowly would take gigabytes. Pages of an ordinary size are not counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// Bytes are counted in units of this size, rounded down: smaller pages count nothing.
const UNIT: u64 = 1 << 20;

/// The maximum memory of all large pages on their way, in units: 500 customers with the longest comments
/// there may be are 32 units, or up to 128 where no character is of ASCII. A larger page takes all.
const UNITS: u32 = 192;

/// The most pages that are made already and wait for room; one more is refused.
const WAITING: usize = 4;

/// A page with at most this many items is read at once. A larger one waits until there is room for any.
const ITEMS: u32 = 100;

/// The maximum wait for room.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts the large pages on their way.
pub(crate) struct LargeAnswers {
    room: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for LargeAnswers {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(UNITS as usize)), waiting: Semaphore::new(WAITING) }
    }
}

impl LargeAnswers {
    /// Waits, before a page of so many items is read, until there is room for a large one.
    ///
    /// # Errors
    ///
    /// [`ApiError::unavailable`] where that takes too long.
    pub async fn admit(&self, items: u32) -> Result<(), ApiError> {
        match items > ITEMS && self.room.available_permits() == 0 {
            // Given back at once: how large the page is, is not known before it is read.
            true => self.room(1).await.map(drop),
            false => Ok(()),
        }
    }

    /// Counts an answer until it is sent or its connection is closed.
    ///
    /// # Errors
    ///
    /// [`ApiError::unavailable`] where there is no room for it.
    pub async fn count(&self, response: HttpResponse) -> Result<HttpResponse, ApiError> {
        let units = match response.body().size() {
            BodySize::Sized(bytes) => u32::try_from(bytes / UNIT).unwrap_or(u32::MAX),
            BodySize::None | BodySize::Stream => 0,
        };
        if units == 0 {
            return Ok(response);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(no_room());
        };
        let room = self.room(units.min(UNITS)).await?;
        Ok(response.map_body(|_, body| Counted { body, _room: room }.boxed()))
    }

    async fn room(&self, units: u32) -> Result<OwnedSemaphorePermit, ApiError> {
        let room = self.room.clone().acquire_many_owned(units);
        match tokio::time::timeout(PATIENCE, room).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(no_room()),
        }
    }
}

fn no_room() -> ApiError {
    ApiError::unavailable("large pages take all the memory that they may")
}

/// A body that is counted until it is dropped.
struct Counted {
    body: BoxBody,
    _room: OwnedSemaphorePermit,
}

impl MessageBody for Counted {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(units: u64) -> HttpResponse {
        HttpResponse::Ok().body(vec![b' '; (units * UNIT) as usize])
    }

    #[actix_web::test]
    async fn small_pages_are_not_counted() {
        let answers = LargeAnswers::default();
        let small = answers.count(HttpResponse::Ok().body("x".repeat(500_000))).await.unwrap();
        assert_eq!(answers.room.available_permits(), UNITS as usize);
        assert_eq!(small.body().size(), BodySize::Sized(500_000));
    }

    #[actix_web::test]
    async fn large_pages_are_counted_until_they_are_gone() {
        let answers = LargeAnswers::default();
        let large = answers.count(page(UNITS.into())).await.unwrap();
        assert_eq!(large.body().size(), BodySize::Sized(u64::from(UNITS) * UNIT));
        assert_eq!(answers.room.available_permits(), 0);
        // Small ones are read all the same.
        answers.admit(ITEMS).await.unwrap();
        let (admitted, ()) = tokio::join!(answers.admit(ITEMS + 1), async {
            tokio::task::yield_now().await;
            drop(large);
        });
        admitted.unwrap();
        assert_eq!(answers.room.available_permits(), UNITS as usize);
    }

    #[actix_web::test]
    async fn few_pages_wait_once_they_are_made() {
        let answers = LargeAnswers::default();
        let large = answers.count(page(UNITS.into())).await.unwrap();
        let waiting = (0..WAITING).map(|_| answers.count(page(1)));
        let waiting = futures_util::future::join_all(waiting);
        let (waited, ()) = tokio::join!(waiting, async {
            assert!(answers.count(page(1)).await.is_err());
            drop(large);
        });
        assert!(waited.iter().all(Result::is_ok));
    }
}
