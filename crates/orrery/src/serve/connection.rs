//! Connections with deadlines: whoever sends nothing, or takes nothing, for long is let go.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// How long a request's head may take to come, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(20);
/// How long a client may take nothing of what is sent to it.
const STALL: Duration = Duration::from_secs(30);

/// A listener with a bound on open connections.
pub struct Door {
    listener: TcpListener,
    free: Arc<Semaphore>,
    open: Gauge,
}

impl Door {
    /// At most `most` connections at a time; `open` counts them.
    pub fn new(listener: TcpListener, most: usize, open: Gauge) -> Self {
        let free = Arc::new(Semaphore::new(most));
        Self {
            listener,
            free,
            open,
        }
    }
}

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            // Never closed.
            let Ok(permit) = self.free.clone().acquire_owned().await else {
                std::future::pending::<()>().await;
                continue;
            };
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let _ = stream.set_nodelay(true);
                    return (Wire::new(stream, permit, self.open.clone()), address);
                }
                // Out of descriptors, or a client that left at once.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Whether a connection's request is being answered, and since when not.
#[derive(Debug)]
pub struct Busy {
    begun: Instant,
    requests: AtomicUsize,
    idle_since: AtomicU64,
}

impl Busy {
    fn deadline(&self) -> Option<Instant> {
        if self.requests.load(Ordering::Acquire) > 0 {
            return None;
        }
        let idle = Duration::from_millis(self.idle_since.load(Ordering::Acquire));
        Some(self.begun + idle + HEAD)
    }
}

/// As long as it lives its connection is busy.
#[derive(Debug)]
pub struct Occupied(Arc<Busy>);

impl Drop for Occupied {
    fn drop(&mut self) {
        let now = self.0.begun.elapsed().as_millis() as u64;
        self.0.idle_since.store(now, Ordering::Release);
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Who is connected.
#[derive(Clone, Debug)]
pub struct Peer {
    busy: Arc<Busy>,
}

impl Peer {
    /// Marks the connection busy.
    pub fn occupy(&self) -> Occupied {
        self.busy.requests.fetch_add(1, Ordering::AcqRel);
        Occupied(self.busy.clone())
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self {
            busy: stream.io().busy.clone(),
        }
    }
}

/// One connection.
pub struct Wire {
    stream: TcpStream,
    busy: Arc<Busy>,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
    open: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Wire {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit, open: Gauge) -> Self {
        open.inc();
        Self {
            stream,
            busy: Arc::new(Busy {
                begun: Instant::now(),
                requests: AtomicUsize::new(0),
                idle_since: AtomicU64::new(0),
            }),
            reading: Box::pin(tokio::time::sleep(HEAD)),
            writing: None,
            open,
            _permit: permit,
        }
    }

    /// What came of a write: no progress within [`STALL`] is an error.
    fn wrote<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing = None;
            return result;
        }
        let timer = self
            .writing
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(deadline) = self.busy.deadline() else {
            return read;
        };
        // Also where bytes came: drop by drop a head never ends.
        if Instant::now() >= deadline {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if read.is_ready() {
            return read;
        }
        let deadline = tokio::time::Instant::from_std(deadline);
        if self.reading.deadline() != deadline {
            self.reading.as_mut().reset(deadline);
        }
        match self.reading.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.wrote(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.wrote(context, result)
    }
}
