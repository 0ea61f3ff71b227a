//! The stream below an SSH session: a TCP socket, a channel of a jump connection, or a proxy command's pipes.
//!
//! It can be cut from outside: russh leaves its task and socket behind when a connect is given up while the peer is
//! silent, so a cancelled stream makes every read and write fail.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Stream;

/// Fewer system calls: russh reads the length of a packet and its body one after the other.
const READ_BUFFER: usize = 32 * 1024;

/// What the kernel may leave unacknowledged before it gives the connection up, so that a frozen peer is noticed even
/// while a write is stalled (keep-alives are not sent then).
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// A TCP socket that acknowledges at once: sshd holds small packets back until it is acknowledged, 40 ms each time.
#[derive(Debug)]
pub(super) struct Eager(TcpStream);

impl Eager {
    /// Sets the options that an SSH connection needs. Their failure only costs speed.
    pub(super) fn new(socket: TcpStream) -> Self {
        let _ = socket.set_nodelay(true);
        let milliseconds = u32::try_from(USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&socket, milliseconds);
        let _ = rustix::net::sockopt::set_tcp_quickack(&socket, true);
        Self(socket)
    }
}

impl AsyncRead for Eager {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.0).poll_read(cx, buffer));
        // The kernel falls back to delayed acknowledgements by itself, so it is asked again after each read.
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.0, true);
        Poll::Ready(result)
    }
}

impl AsyncWrite for Eager {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A stream that a token cuts.
pub(super) struct Cuttable {
    inner: BufReader<Box<dyn Stream>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    gone: bool,
}

impl Cuttable {
    /// Wraps a stream; it fails from the moment the token is cancelled.
    pub(super) fn new(stream: Box<dyn Stream>, token: &CancellationToken) -> Self {
        Self {
            inner: BufReader::with_capacity(READ_BUFFER, stream),
            cut: Box::pin(token.clone().cancelled_owned()),
            gone: false,
        }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // A completed future must not be polled again, hence the flag.
        if self.gone || self.cut.as_mut().poll(cx).is_ready() {
            self.gone = true;
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "given up"));
        }
        Ok(())
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A stream that keeps something alive for as long as it is used: the connection or the process that carries it.
pub(super) struct Held<T> {
    inner: Box<dyn Stream>,
    _carrier: T,
}

impl<T> Held<T> {
    pub(super) fn new(inner: Box<dyn Stream>, carrier: T) -> Self {
        Self { inner, _carrier: carrier }
    }
}

impl<T: Unpin> AsyncRead for Held<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: Unpin> AsyncWrite for Held<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
