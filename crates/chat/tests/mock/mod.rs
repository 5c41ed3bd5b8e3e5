//! A chat server that misbehaves as it is told.
#![allow(dead_code)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// What the server does with one request.
pub enum Act {
    Reply(String),
    /// The answer, after a while.
    Late(Duration, String),
    /// Closes the connection without a word.
    Drop,
    /// Promises the whole answer, sends half of it and closes the connection.
    Truncate(String),
    /// As `Truncate`, in chunked encoding.
    TruncateChunked(String),
    /// Status 200 and half a JSON value, properly delivered.
    Malformed,
    Status(u16, &'static str, String),
}

/// A request as the server saw it.
#[derive(Clone)]
pub struct Seen {
    pub body: Value,
    pub authorization: Option<String>,
    pub path: String,
}

impl Seen {
    /// Text of the last turn.
    pub fn question(&self) -> String {
        let content = &self.body["messages"].as_array().unwrap().last().unwrap()["content"];
        match content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().filter_map(|p| p["text"].as_str()).collect(),
            _ => String::new(),
        }
    }
}

type Plan = dyn Fn(&Seen, usize) -> Act + Send + Sync;

struct Shared {
    plan: Box<Plan>,
    seen: Mutex<Vec<Seen>>,
    /// Arrivals of the same body, so far.
    arrivals: Mutex<HashMap<String, usize>>,
    busy: AtomicUsize,
    most_busy: AtomicUsize,
    stop: AtomicBool,
}

pub struct Mock {
    pub url: String,
    shared: Arc<Shared>,
}

impl Mock {
    /// `plan(request, attempt)` says what happens; attempts at the same body count from 0.
    pub fn start(plan: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            plan: Box::new(plan),
            seen: Mutex::default(),
            arrivals: Mutex::default(),
            busy: AtomicUsize::new(0),
            most_busy: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if server.stop.load(Ordering::SeqCst) {
                    break;
                }
                let server = Arc::clone(&server);
                std::thread::spawn(move || while serve(&stream, &server).is_some() {});
            }
        });
        Self { url, shared }
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Most requests in the server's hands at one time.
    pub fn most_busy(&self) -> usize {
        self.shared.most_busy.load(Ordering::SeqCst)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

/// One request; None ends the connection.
fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let seen = read(stream)?;
    let busy = shared.busy.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_busy.fetch_max(busy, Ordering::SeqCst);
    let attempt = {
        let mut arrivals = shared.arrivals.lock().unwrap();
        let count = arrivals.entry(seen.body.to_string()).or_default();
        *count += 1;
        *count - 1
    };
    shared.seen.lock().unwrap().push(seen.clone());
    let act = (shared.plan)(&seen, attempt);
    let open = respond(stream, act, || {
        shared.busy.fetch_sub(1, Ordering::SeqCst);
    });
    match open {
        Some(true) => Some(()),
        _ => {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            None
        }
    }
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|count| *count > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).ok()?;
    Some(Seen {
        body,
        authorization,
        path,
    })
}

/// Whether the connection stays open. `left` is called before the last byte leaves.
fn respond(mut stream: &TcpStream, act: Act, left: impl Fn()) -> Option<bool> {
    let mut send = |status: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        left();
        stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
        Some(true)
    };
    match act {
        Act::Reply(text) => send("200 OK", &completion(&text)),
        Act::Late(pause, text) => {
            std::thread::sleep(pause);
            send("200 OK", &completion(&text))
        }
        Act::Malformed => {
            let whole = completion("cut");
            send("200 OK", &whole[..whole.len() / 2])
        }
        Act::Status(status, headers, body) => {
            send(&format!("{status} Status\r\n{headers}x-a: b"), &body)
        }
        Act::Drop => {
            left();
            Some(false)
        }
        Act::Truncate(text) => {
            let body = completion(&text);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            left();
            stream
                .write_all(format!("{head}{}", &body[..body.len() / 2]).as_bytes())
                .ok()?;
            Some(false)
        }
        Act::TruncateChunked(text) => {
            let body = completion(&text);
            let half = &body[..body.len() / 2];
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            left();
            stream
                .write_all(format!("{head}{:x}\r\n{half}", body.len()).as_bytes())
                .ok()?;
            Some(false)
        }
    }
}

/// The body of an answer that cost 100 tokens in and 10 out.
pub fn completion(text: &str) -> String {
    json!({
        "id": "c", "object": "chat.completion", "model": "mock-1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    })
    .to_string()
}
