//! The loop that takes clients in.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::Answer;
use super::call::{Call, Door};
use super::connection::visit;
use super::limits::Limits;

/// How often the service looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);

/// Threads for what an answer computes before it waits.
const THREADS: usize = 4;

/// Computes something that takes longer than a connection may wait, such as reading a large body, on a thread of its own: the
/// other connections go on. For functions that answer for a [`Service`]. `None` where it panicked.
pub async fn aside<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// A service that is bound to its address.
#[derive(Debug)]
pub struct Service {
    socket: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Service {
    /// Takes an address.
    ///
    /// # Errors
    /// The address is taken, or is not this machine's.
    pub fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            limits,
        })
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is set; then new connections and requests are refused, and this returns when all that were
    /// accepted are answered. An answer that waits holds no thread: all connections live on this one. On a loopback address,
    /// pages of other machines are refused.
    ///
    /// # Errors
    /// The system has no more descriptors for serving at all.
    pub fn run<A, F>(self, stop: &AtomicBool, answer: A) -> io::Result<()>
    where
        A: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(THREADS)
            .build()?;
        runtime.block_on(self.serve(stop, Arc::new(answer)))
    }

    async fn serve<A, F>(self, stop: &AtomicBool, answer: Arc<A>) -> io::Result<()>
    where
        A: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::from_std(self.socket)?;
        let local = self.address.ip().is_loopback();
        let limits = Arc::new(self.limits);
        let places = Arc::new(Semaphore::new(
            limits.connections.min(Semaphore::MAX_PERMITS),
        ));
        let room = Arc::new(Semaphore::new(
            limits.pending_bytes.min(Semaphore::MAX_PERMITS),
        ));
        let stopping = Arc::new(AtomicBool::new(false));
        let mut visits = JoinSet::new();
        while !stop.load(Ordering::Relaxed) {
            while visits.try_join_next().is_some() {}
            let Ok(Ok(place)) = timeout(POLL, Arc::clone(&places).acquire_owned()).await else {
                continue;
            };
            let stream = match timeout(POLL, listener.accept()).await {
                Ok(Ok((stream, _))) => stream,
                // No descriptor is left, or the client is gone already.
                Ok(Err(_)) => {
                    sleep(POLL).await;
                    continue;
                }
                Err(_) => continue,
            };
            let (answer, limits) = (Arc::clone(&answer), Arc::clone(&limits));
            let (room, stopping) = (Arc::clone(&room), Arc::clone(&stopping));
            visits.spawn(async move {
                let _place = place;
                let door = Door {
                    limits: &limits,
                    room: &room,
                    local,
                    stopping: &|| stopping.load(Ordering::Relaxed),
                };
                visit(stream, door, answer.as_ref()).await;
            });
        }
        // From here on nobody can connect.
        drop(listener);
        stopping.store(true, Ordering::Relaxed);
        while visits.join_next().await.is_some() {}
        Ok(())
    }
}
