//! A browser driven by chromedriver over W3C WebDriver: JSON over HTTP, one request a connection.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Nothing that a page does takes so long.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Keys without a letter, as WebDriver names them.
pub const ENTER: &str = "\u{e007}";
pub const LEFT: &str = "\u{e012}";
pub const RIGHT: &str = "\u{e014}";
pub const DOWN: &str = "\u{e015}";
pub const SHIFT: &str = "\u{e008}";
pub const DELETE: &str = "\u{e017}";

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The driver's process.
pub struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    /// None where chromedriver or Chromium is missing.
    pub fn start() -> Option<Self> {
        let there = |program: &str| {
            let asked = Command::new(program).arg("--version").output();
            asked.is_ok_and(|said| said.status.success())
        };
        if !there("chromedriver") || !there("chromium") {
            return None;
        }
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = silent.spawn().ok()?;
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < LIMIT, "chromedriver does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { child, port })
    }

    /// A browser with a profile of its own.
    pub fn browser(&self) -> Browser {
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--window-size=1360,1000",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": arguments},
        }}});
        let port = self.port;
        let made = request(port, "POST", "/session", &wanted);
        let session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        Browser { port, session }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser with one page.
pub struct Browser {
    port: u16,
    session: String,
}

impl Browser {
    fn post(&self, path: &str, body: &Value) -> Value {
        request(self.port, "POST", &format!("{}{path}", self.session), body)
    }

    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// What a script returns.
    pub fn script(&self, text: &str, arguments: Value) -> Value {
        self.post("/execute/sync", &json!({"script": text, "args": arguments}))
    }

    /// Waits until a script returns something true, and returns it.
    pub fn wait(&self, what: &str, text: &str, arguments: &Value) -> Value {
        let start = Instant::now();
        loop {
            let found = self.script(text, arguments.clone());
            if !matches!(found, Value::Null | Value::Bool(false)) {
                return found;
            }
            let said = || self.script("return document.body.innerText", json!([]));
            assert!(start.elapsed() < LIMIT, "{what} never comes: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses and releases keys, one after the other; a key held down while others are pressed stands before them as `+key`.
    pub fn keys(&self, keys: &[&str]) {
        let (mut steps, mut held) = (Vec::new(), Vec::new());
        for key in keys {
            match key.strip_prefix('+').filter(|rest| !rest.is_empty()) {
                Some(key) => {
                    held.push(key);
                    steps.push(json!({"type": "keyDown", "value": key}));
                }
                None => {
                    steps.push(json!({"type": "keyDown", "value": key}));
                    steps.push(json!({"type": "keyUp", "value": key}));
                }
            }
        }
        steps.extend(
            held.iter()
                .map(|key| json!({"type": "keyUp", "value": key})),
        );
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": steps});
        self.post("/actions", &json!({"actions": [keyboard]}));
    }

    /// Presses the left button at a point of the window, moves to another and releases it there.
    pub fn drag(&self, from: (i64, i64), to: (i64, i64)) {
        let go = |(x, y): (i64, i64)| json!({"type": "pointerMove", "duration": 0, "x": x, "y": y, "origin": "viewport"});
        let middle = ((from.0 + to.0) / 2, (from.1 + to.1) / 2);
        let steps = json!([
            go(from), {"type": "pointerDown", "button": 0}, go(middle), go(to), {"type": "pointerUp", "button": 0},
        ]);
        let mouse = json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps});
        self.post("/actions", &json!({"actions": [mouse]}));
    }

    pub fn click(&self, at: (i64, i64)) {
        self.drag(at, at);
    }

    /// Ends the browser.
    pub fn close(self) {
        request(self.port, "DELETE", &self.session, &Value::Null);
    }
}

fn request(port: u16, method: &str, path: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut said = vec![0; length];
    stream.read_exact(&mut said).unwrap();
    let said: Value = serde_json::from_slice(&said).unwrap();
    let value = said["value"].clone();
    assert!(value["error"].is_null(), "{method} {path}: {value}");
    value
}
