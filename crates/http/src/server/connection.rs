//! One visit by HTTP/1.1: one request a connection, and a deadline for everything that a visitor could draw out.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use percept_base::lock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::request::{Request, RequestMethod};
use super::response::Response;

/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// Until the head of a request must be there.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Until a whole visit must be over, besides the time that its answer may take …
const VISIT_TIMEOUT: Duration = Duration::from_secs(60);
/// … which is that of a connection of so many bytes a second.
const SLOWEST: u64 = 64 << 10;
/// How long the server waits for visits under way when it is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a visit looks whether the server is to stop.
const POLL: Duration = Duration::from_millis(50);
/// How much, and for how long, the rest of a refused request is read.
const MAX_UNREAD: usize = 1 << 20;
const LINGER: Duration = Duration::from_millis(500);

/// One visit, to its end or to its deadline: `answer` is asked once for what `stream` requests, a POST of up to `max_body`
/// bytes among it where that is given. When `stopping` says so, what is under way gets [`STOP_TIMEOUT`].
pub(super) async fn visit<F>(
    mut stream: TcpStream,
    max_body: Option<usize>,
    answer: impl Fn(Request) -> F + Send + Sync,
    stopping: impl Fn() -> bool + Send + Sync,
) where
    F: Future<Output = Response> + Send,
{
    let deadline = Arc::new(Mutex::new(Instant::now() + VISIT_TIMEOUT));
    let until = || *lock(&deadline);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (request, mut body) = (
            Request::of(&request, max_body.is_some()),
            request.into_body(),
        );
        let (answer, deadline) = (&answer, Arc::clone(&deadline));
        async move {
            let request = match request {
                Ok(request) if request.method == RequestMethod::Post => {
                    with_body(request, &mut body, max_body.unwrap_or_default()).await
                }
                request => request,
            };
            let response = match request {
                Ok(request) => answer(request).await,
                Err(refusal) => refusal,
            };
            // What a visitor still sends is read for a moment: closing before would reset the connection, and the visitor
            // would never read the answer.
            let _ = timeout(LINGER, Limited::new(body, MAX_UNREAD).collect()).await;
            let time = Duration::from_secs(response.len() / SLOWEST);
            *lock(&deadline) += time;
            Ok::<_, Infallible>(response.into_hyper())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(&mut stream), service);
    let mut connection = Box::pin(connection);
    let mut stop = None;
    loop {
        let end = stop.unwrap_or_else(until);
        match timeout_at(end.min(Instant::now() + POLL), connection.as_mut()).await {
            // A visitor who goes away in the middle is no concern of ours.
            Ok(_) => break,
            Err(_) if Instant::now() >= stop.unwrap_or_else(until) => return,
            Err(_) if stop.is_none() && stopping() => {
                connection.as_mut().graceful_shutdown();
                stop = Some(Instant::now() + STOP_TIMEOUT);
            }
            Err(_) => {}
        }
    }
    drop(connection);
    let _ = timeout(LINGER, drain(&mut stream)).await;
}

/// The request with what it carries.
async fn with_body(
    mut request: Request,
    body: &mut Incoming,
    limit: usize,
) -> Result<Request, Response> {
    match Limited::new(body, limit).collect().await {
        Ok(read) => {
            request.body = read.to_bytes().to_vec();
            Ok(request)
        }
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("the body is longer than {limit} bytes");
            Err(Response::error(413, &message))
        }
        Err(_) => Err(Response::error(400, "the body ended before its length")),
    }
}

/// Reads what a refused visitor still sends, as above.
async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let (mut read, mut buffer) = (0, vec![0; 8 << 10]);
    while read < MAX_UNREAD {
        match stream.read(&mut buffer).await? {
            0 => break,
            count => read += count,
        }
    }
    Ok(())
}
