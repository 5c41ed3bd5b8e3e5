//! As much of HTTP/1.1 as a viewer on the same machine needs: GET, one request a connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MAX_HEAD: usize = 16 << 10;
const READ_TIMEOUT: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The parts of a request that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Decoded path.
    pub path: String,
    /// Decoded parameters.
    pub query: Vec<(String, String)>,
    /// The `Host` header.
    pub host: Option<String>,
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
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
        }
    }

    /// `{"error": message}`.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "error": message }).to_string();
        Self::new(status, "application/json", body)
    }
}

/// Reads a request; `Err` is the answer to what is none.
pub(crate) fn read_request(stream: &mut TcpStream) -> io::Result<Result<Request, Response>> {
    let deadline = Instant::now() + READ_TIMEOUT;
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Err(Response::error(408, "the request took too long")));
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&buffer[..count]);
        if head.len() > MAX_HEAD {
            return Ok(Err(Response::error(431, "the request is too long")));
        }
    }
    Ok(parse(&String::from_utf8_lossy(&head)))
}

fn parse(head: &str) -> Result<Request, Response> {
    let malformed = || Response::error(400, "not an HTTP request");
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next(), first.next());
    if !first
        .next()
        .is_some_and(|version| version.starts_with("HTTP/1."))
    {
        return Err(malformed());
    }
    if method != Some("GET") {
        return Err(Response::error(405, "only GET is answered"));
    }
    let target = target
        .filter(|target| target.starts_with('/'))
        .ok_or_else(malformed)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key, true)?, decode(value, true)?))
        });
    let host = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim().to_string());
    Ok(Request {
        path: decode(path, false).ok_or_else(malformed)?,
        query: query.collect::<Option<_>>().ok_or_else(malformed)?,
        host,
    })
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

/// Writes an answer that no browser keeps or guesses the type of.
pub(crate) fn write_response(stream: &mut TcpStream, response: &Response) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let reason = match response.status {
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        _ => "Error",
    };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n",
        response.status,
        response.content_type,
        response.body.len(),
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&response.body)?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_decoded() {
        let request =
            parse("GET /a%20b/c?x=1+2%26&y HTTP/1.1\r\nHOST: localhost:80\r\n\r\n").unwrap();
        assert_eq!(request.path, "/a b/c");
        assert_eq!(request.parameter("x"), Some("1 2&"));
        assert_eq!(request.parameter("y"), None);
        assert_eq!(request.host.as_deref(), Some("localhost:80"));
    }

    #[test]
    fn what_is_no_get_request_is_refused() {
        for (head, status) in [
            ("POST / HTTP/1.1\r\n\r\n", 405),
            ("GET / SPDY\r\n\r\n", 400),
            ("GET", 400),
            ("GET http://x/ HTTP/1.1\r\n\r\n", 400),
            ("GET /%f HTTP/1.1\r\n\r\n", 400),
            ("GET /%ff HTTP/1.1\r\n\r\n", 400),
            ("GET /%00 HTTP/1.1\r\n\r\n", 400),
        ] {
            assert_eq!(parse(head).unwrap_err().status, status, "{head}");
        }
    }
}
