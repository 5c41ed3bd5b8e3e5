//! The loop that takes visitors in.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::visit;
use super::local::{is_local, is_local_origin};
use super::request::{Request, RequestMethod};
use super::response::Response;

/// Answers that are made at once.
const THREADS: usize = 4;
/// Visitors at once; the others wait at the door. Descriptors are few (often 1 024), and an idle visitor costs one.
const VISITORS: usize = 256;
/// How often the server looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);
/// How long visits under way may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that is bound to its address.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    max_body: Option<usize>,
}

impl Listener {
    /// Takes an address, usually `127.0.0.1:0` (any free port).
    ///
    /// # Errors
    /// The address is taken, or is not this machine's.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            max_body: None,
        })
    }

    /// Lets POST through as well, with bodies of up to so many bytes.
    #[must_use]
    pub fn taking_posts(self, max_body: usize) -> Self {
        Self {
            max_body: Some(max_body),
            ..self
        }
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers visitors until `stop` is set; then visits under way have a moment to end. Visitors wait for each other only
    /// while 256 of them are there, and one who sends or takes nothing is sent away. On a loopback address, pages of
    /// other machines are refused; on every address, a POST from a page that this server did not send is.
    ///
    /// # Errors
    /// The system has no more descriptors for serving at all.
    pub fn run<A>(&self, stop: &AtomicBool, answer: A) -> io::Result<()>
    where
        A: Fn(&Request) -> Response + Send + Sync + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(THREADS)
            .build()?;
        let local = self.address.ip().is_loopback();
        let answer = move |request: &Request| {
            let refusal = match local {
                true => foreign(request),
                false => None,
            };
            match refusal.or_else(|| cross_site(request)) {
                Some(refusal) => refusal,
                None => answer(request),
            }
        };
        let served = runtime.block_on(self.serve(stop, Arc::new(answer)));
        // An answer in the making is not waited for.
        runtime.shutdown_background();
        served
    }

    async fn serve<A>(&self, stop: &AtomicBool, answer: Arc<A>) -> io::Result<()>
    where
        A: Fn(&Request) -> Response + Send + Sync + 'static,
    {
        let listener = tokio::net::TcpListener::from_std(self.socket.try_clone()?)?;
        let (door, stopping) = (
            Arc::new(Semaphore::new(VISITORS)),
            Arc::new(AtomicBool::new(false)),
        );
        let max_body = self.max_body;
        let mut visits = JoinSet::new();
        while !stop.load(Ordering::Relaxed) {
            while visits.try_join_next().is_some() {}
            let Ok(Ok(place)) = timeout(POLL, Arc::clone(&door).acquire_owned()).await else {
                continue;
            };
            let stream = match timeout(POLL, listener.accept()).await {
                Ok(Ok((stream, _))) => stream,
                // No descriptor is left, or the visitor is gone already.
                Ok(Err(_)) => {
                    sleep(POLL).await;
                    continue;
                }
                Err(_) => continue,
            };
            let (answer, stopping) = (Arc::clone(&answer), Arc::clone(&stopping));
            visits.spawn(async move {
                let _place = place;
                let answer = |request| {
                    let answer = Arc::clone(&answer);
                    async move {
                        let made = tokio::task::spawn_blocking(move || answer(&request));
                        let failed = |_| Response::error(500, "the server failed on this page");
                        made.await.unwrap_or_else(failed)
                    }
                };
                visit(stream, max_body, answer, || {
                    stopping.load(Ordering::Relaxed)
                })
                .await;
            });
        }
        stopping.store(true, Ordering::Relaxed);
        let all = async { while visits.join_next().await.is_some() {} };
        let _ = timeout(STOP_TIMEOUT, all).await;
        Ok(())
    }
}

/// The refusal of a page elsewhere, which must neither reach us through a name that it points at this machine nor ask in
/// a browser's name. Our own pages send no Origin, or this machine's.
fn foreign(request: &Request) -> Option<Response> {
    if !request.host.as_deref().is_some_and(is_local) {
        let message = "the Host header names another machine";
        return Some(Response::error(403, message));
    }
    let elsewhere = |origin: &str| !is_local_origin(origin);
    if request.origin.as_deref().is_some_and(elsewhere) {
        let message = "the Origin header names a page of another machine";
        return Some(Response::error(403, message));
    }
    None
}

/// The refusal of a POST that a page of another server makes in a browser's name. Programs send no Origin.
fn cross_site(request: &Request) -> Option<Response> {
    if request.method != RequestMethod::Post {
        return None;
    }
    let origin = request.origin.as_deref()?;
    let (_, from) = origin.split_once("://").unwrap_or(("", origin));
    let own = |host: &str| host.eq_ignore_ascii_case(from);
    if request.host.as_deref().is_some_and(own) {
        return None;
    }
    let message = "the Origin header names a page of another server";
    Some(Response::error(403, message))
}
