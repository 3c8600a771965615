//! A TCP connection that reports its bytes.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::progress::Progress;

/// A TCP connection that reports what it receives and sends. TLS, if any, is inside of it: every byte
/// on the wire counts.
pub struct Socket {
    stream: TcpStream,
    progress: Rc<Progress>,
}

impl Socket {
    pub fn new(stream: TcpStream, progress: Rc<Progress>) -> Self {
        Self { stream, progress }
    }

    pub fn progress(&self) -> &Rc<Progress> {
        &self.progress
    }

    fn report(&self, written: Poll<Result<usize>>, first: &[u8]) -> Poll<Result<usize>> {
        let written = match written {
            // The kernel wakes a writer when a third of the send queue is free. That takes longer than
            // the limit where the client reads slowly, so look whether there is any room.
            Poll::Pending if self.progress.answer_is_late() && !first.is_empty() => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                match send(&self.stream, first, flags) {
                    Ok(sent) => Poll::Ready(Ok(sent)),
                    Err(_) => Poll::Pending,
                }
            }
            written => written,
        };
        match &written {
            Poll::Ready(Ok(_)) => self.progress.sent(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.progress.blocked(),
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.progress.received(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.report(written, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.report(written, first.map_or(&[], |slice| slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
