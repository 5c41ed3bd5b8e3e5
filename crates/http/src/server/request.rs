//! A request as handlers see it.

use hyper::Method;
use hyper::header::{self, HeaderMap};

use super::response::Response;

/// What a visitor wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestMethod {
    /// To read.
    Get,
    /// To hand something in: only a [`Listener`](super::Listener) that takes bodies lets it through.
    Post,
}

/// The parts of a request that matter here.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// GET or POST.
    pub method: RequestMethod,
    /// Decoded path.
    pub path: String,
    /// Decoded parameters.
    pub query: Vec<(String, String)>,
    /// The `Host` header.
    pub host: Option<String>,
    /// The `Origin` header: the page that asks.
    pub origin: Option<String>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// What a POST carries.
    pub body: Vec<u8>,
}

impl Request {
    /// The first parameter of this name that is not empty.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self
            .query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the body is said to be JSON. A page of another origin cannot say that without asking first, and is refused
    /// when it asks.
    pub fn is_json(&self) -> bool {
        let essence = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_owned();
        let kind = self.content_type.as_deref().map(essence);
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
    }

    /// A request without its body; `Err` is the answer to what is none. POST is one where `posts` are taken.
    pub(super) fn of<B>(request: &hyper::Request<B>, posts: bool) -> Result<Self, Response> {
        let method = match *request.method() {
            Method::GET => RequestMethod::Get,
            Method::POST if posts => RequestMethod::Post,
            _ if posts => return Err(Response::error(405, "only GET and POST are answered")),
            _ => return Err(Response::error(405, "only GET is answered")),
        };
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
            method,
            path: decode(uri.path(), false).ok_or_else(malformed)?,
            query: query.collect::<Option<_>>().ok_or_else(malformed)?,
            host: only(headers, header::HOST).ok_or_else(malformed)?,
            origin: only(headers, header::ORIGIN).ok_or_else(malformed)?,
            content_type: only(headers, header::CONTENT_TYPE).ok_or_else(malformed)?,
            body: Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Request, Response> {
        let mut request = hyper::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Request::of(&request.body(()).unwrap(), false)
    }

    #[test]
    fn a_post_is_a_request_only_where_posts_are_taken_and_json_is_known_by_its_type() {
        let post = |kind: &str| {
            let request = hyper::Request::post("/api").header("content-type", kind);
            request.body(()).unwrap()
        };
        assert_eq!(
            Request::of(&post("text/plain"), false).unwrap_err().status,
            405
        );
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            let request = Request::of(&post(kind), true).unwrap();
            assert_eq!(request.method, RequestMethod::Post);
            assert_eq!(request.is_json(), json, "{kind}");
        }
        let put = hyper::Request::put("/").body(()).unwrap();
        assert_eq!(Request::of(&put, true).unwrap_err().status, 405);
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
