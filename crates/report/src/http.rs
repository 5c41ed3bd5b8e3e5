//! HTTP/1.1 by hyper, for a viewer on the same machine: GET, one request a connection, and a deadline for everything that
//! a visitor could draw out.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// Until the head of a request must be there.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Until a whole visit must be over, besides the time that its answer may take …
const VISIT_TIMEOUT: Duration = Duration::from_secs(60);
/// … which is that of a connection of so many bytes a second.
const SLOWEST: u64 = 64 << 10;
/// How long the viewer waits for visits under way when it is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a visit looks whether the viewer is to stop.
const POLL: Duration = Duration::from_millis(50);
/// How much, and for how long, the rest of a refused request is read.
const MAX_UNREAD: usize = 1 << 20;
const LINGER: Duration = Duration::from_millis(500);
/// Bytes of a file that are read at a time.
const PIECE: usize = 64 << 10;

/// The parts of a request that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Decoded path.
    pub path: String,
    /// Decoded parameters.
    pub query: Vec<(String, String)>,
    /// The `Host` header.
    pub host: Option<String>,
    /// The `Origin` header: the page that asks.
    pub origin: Option<String>,
}

impl Request {
    /// The first parameter of this name that is not empty.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self
            .query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// `Err` is the answer to what is no request.
    fn of<B>(request: &hyper::Request<B>) -> Result<Self, Response> {
        if request.method() != Method::GET {
            return Err(Response::error(405, "only GET is answered"));
        }
        let (uri, headers) = (request.uri(), request.headers());
        let malformed = || Response::error(400, "not an HTTP request");
        // A whole address is for proxies.
        if uri.scheme().is_some() || !uri.path().starts_with('/') {
            return Err(malformed());
        }
        let pairs = uri.query().unwrap_or_default().split('&');
        let query = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key, true)?, decode(value, true)?))
        });
        Ok(Self {
            path: decode(uri.path(), false).ok_or_else(malformed)?,
            query: query.collect::<Option<_>>().ok_or_else(malformed)?,
            host: only(headers, header::HOST).ok_or_else(malformed)?,
            origin: only(headers, header::ORIGIN).ok_or_else(malformed)?,
        })
    }
}

/// A header that may stand once; `None` when it stands twice or is no text.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<Option<String>> {
    let mut values = headers.get_all(name).iter();
    let first = match values.next() {
        None => return Some(None),
        Some(value) => value.to_str().ok()?.trim().to_owned(),
    };
    values.next().is_none().then_some(Some(first))
}

/// Percent-decoding; `None` for what is no UTF-8 or holds a NUL.
fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let code = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(code, 16).ok()?);
                rest = &rest[2..];
            }
            b'+' if plus_is_space => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Content,
}

/// What an answer holds.
#[derive(Debug)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    /// An open file of so many bytes: it is read piece by piece, as fast as the visitor takes it.
    File(std::fs::File, u64),
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            body: Content::Bytes(body.into()),
        }
    }

    /// `{"error": message}`.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "error": message }).to_string();
        Self::new(status, "application/json", body)
    }

    fn len(&self) -> u64 {
        match &self.body {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(_, len) => *len,
        }
    }

    /// An answer that no browser keeps, guesses the type of, or shows inside another page.
    fn into_hyper(self) -> hyper::Response<BoxBody<Bytes, io::Error>> {
        let body = match self.body {
            Content::Bytes(bytes) => {
                let never = |never: Infallible| match never {};
                Full::new(Bytes::from(bytes)).map_err(never).boxed()
            }
            Content::File(file, left) => FileBody {
                file: tokio::fs::File::from_std(file),
                left,
            }
            .boxed(),
        };
        let mut response = hyper::Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in [
            ("content-type", self.content_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("connection", "close"),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// A file as the body of an answer.
struct FileBody {
    file: tokio::fs::File,
    left: u64,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let size = self.left.min(PIECE as u64) as usize;
        let mut piece = vec![0; size];
        let mut into = ReadBuf::new(&mut piece);
        match Pin::new(&mut self.file).poll_read(context, &mut into) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(())) => {}
        }
        let read = into.filled().len();
        if read == 0 {
            // The answer has promised more: the connection ends, so that nobody takes it for whole.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        self.left -= read as u64;
        piece.truncate(read);
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// One visit, to its end or to its deadline: `answer` is asked once for what `stream` requests. When `stopping` says so,
/// what is under way gets [`STOP_TIMEOUT`].
pub(crate) async fn visit<F>(
    mut stream: TcpStream,
    answer: impl Fn(Request) -> F + Send + Sync,
    stopping: impl Fn() -> bool + Send + Sync,
) where
    F: Future<Output = Response> + Send,
{
    let deadline = Arc::new(Mutex::new(Instant::now() + VISIT_TIMEOUT));
    let until = || *deadline.lock().unwrap_or_else(PoisonError::into_inner);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (request, body) = (Request::of(&request), request.into_body());
        let (answer, deadline) = (&answer, Arc::clone(&deadline));
        async move {
            let response = match request {
                Ok(request) => answer(request).await,
                Err(refusal) => refusal,
            };
            // What a visitor still sends is read for a moment: closing before would reset the connection, and the visitor
            // would never read the answer.
            let _ = timeout(LINGER, Limited::new(body, MAX_UNREAD).collect()).await;
            let time = Duration::from_secs(response.len() / SLOWEST);
            *deadline.lock().unwrap_or_else(PoisonError::into_inner) += time;
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
            // A visitor who goes away in the middle is no concern of the viewer.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Request, Response> {
        let mut request = hyper::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Request::of(&request.body(()).unwrap())
    }

    #[test]
    fn a_request_is_decoded() {
        let headers = [("HOST", "localhost:80"), ("origin", "http://x")];
        let request = parse("GET", "/a%20b/c?x=1+2%26&y", &headers).unwrap();
        assert_eq!(request.path, "/a b/c");
        assert_eq!(request.parameter("x"), Some("1 2&"));
        assert_eq!(request.parameter("y"), None);
        assert_eq!(request.host.as_deref(), Some("localhost:80"));
        assert_eq!(request.origin.as_deref(), Some("http://x"));
    }

    #[test]
    fn what_is_no_get_request_is_refused() {
        for (method, target, status) in [
            ("POST", "/", 405),
            ("HEAD", "/", 405),
            ("GET", "http://x/", 400),
            ("GET", "*", 400),
            ("GET", "/%f", 400),
            ("GET", "/%ff", 400),
            ("GET", "/%00", 400),
            ("GET", "/?a=%00", 400),
        ] {
            let refusal = parse(method, target, &[]).unwrap_err();
            assert_eq!(refusal.status, status, "{method} {target}");
        }
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(parse("GET", "/", &twice).unwrap_err().status, 400);
    }
}
