//! A connection: one request after another, each with its deadlines.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use percept_base::lock;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::call::{Call, Door};

/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// How often a connection looks whether its time is over or the service stops.
const POLL: Duration = Duration::from_millis(50);
/// What is neither asking nor being answered has so long when the service stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers what comes over a connection, until the client is gone or its time is over.
pub(super) async fn visit<A, F>(stream: TcpStream, door: Door<'_>, answer: &A)
where
    A: Fn(Call) -> F + Send + Sync,
    F: Future<Output = Answer> + Send,
{
    // While a request is read and worked on, other deadlines hold.
    let until = Arc::new(Mutex::new(Some(Instant::now() + door.limits.head_timeout)));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (until, door) = (Arc::clone(&until), &door);
        async move {
            *lock(&until) = None;
            let answer = match door.read(request).await {
                Ok(call) => answer(call).await,
                Err(refusal) => refusal,
            };
            *lock(&until) = Some(Instant::now() + door.limits.answer_timeout);
            Ok::<_, Infallible>(answer.into_hyper())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door.limits.head_timeout.max(door.limits.answer_timeout))
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = Box::pin(connection);
    let mut told = false;
    loop {
        // A client who goes away in the middle is no concern of ours: its request is dropped, and with it its place.
        if timeout_at(Instant::now() + POLL, connection.as_mut())
            .await
            .is_ok()
        {
            return;
        }
        if (*lock(&until)).is_some_and(|until| Instant::now() >= until) {
            return;
        }
        if !told && (door.stopping)() {
            told = true;
            connection.as_mut().graceful_shutdown();
            let mut until = lock(&until);
            *until = until.map(|until| until.min(Instant::now() + STOP_TIMEOUT));
        }
    }
}
