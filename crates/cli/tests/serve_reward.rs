//! `percept serve reward` under many clients, slow and broken ones among them.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::percept;
use image::{Rgb, RgbImage};
use mock::{Act, Mock, Seen};
use percept_data::Media;
use serde_json::{Value, json};

/// A frame that shows the number of its clip.
fn frame(clip: usize) -> String {
    let colour = Rgb([(clip / 256) as u8, (clip % 256) as u8, 7]);
    let png = Media::from_image(RgbImage::from_pixel(8, 8, colour));
    STANDARD.encode(png.encoded().unwrap())
}

/// What the model says of clip `clip`: every clip of a test has a score of its own.
fn score(clip: usize) -> f64 {
    1.0 + clip as f64 / 250.0
}

/// Which clip the model is asked about.
fn asked(seen: &Seen) -> usize {
    let parts = seen.body["messages"][0]["content"].as_array().unwrap();
    let url = parts.iter().find_map(|p| p["image_url"]["url"].as_str());
    let image = Media::from_base64(url.unwrap()).unwrap().decode().unwrap();
    let Rgb([high, low, _]) = *image.get_pixel(0, 0);
    usize::from(high) * 256 + usize::from(low)
}

/// A model that takes its time.
fn eyes(time: Duration) -> Mock {
    Mock::start(move |seen, _| {
        let score = score(asked(seen));
        let text = format!("<think>t</think><answer>{{\"labels\":[],\"score\":{score}}}</answer>");
        Act::Late(time, text)
    })
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(model: &Mock, more: &[&str]) -> Self {
        let args = [
            "serve",
            "reward",
            "--endpoint",
            &model.url,
            "--api-model",
            "eyes",
            "--port",
            "0",
        ];
        let mut command = percept(&[&args[..], more].concat());
        command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let (_, address) = line
            .split_once("http://")
            .unwrap_or_else(|| panic!("{line}"));
        let address = address.split_whitespace().next().unwrap().parse().unwrap();
        // What it says besides must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { child, address }
    }

    fn peak_memory_mib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
        let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

struct Answered {
    status: u16,
    retry_after: Option<u64>,
    body: Value,
}

fn read(mut stream: TcpStream) -> Option<Answered> {
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let retry = head
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: "));
    Some(Answered {
        status,
        retry_after: retry.and_then(|seconds| seconds.parse().ok()),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    })
}

fn post(address: SocketAddr, path: &str, body: &Value) -> Option<Answered> {
    let body = body.to_string();
    let mut stream = connect(address);
    stream.write_all(head(path, body.len()).as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    read(stream)
}

/// Where an answer has the scores.
type Scores = fn(&Value) -> Vec<f64>;

/// A request about these clips, in the form number `form`, and where its answer has the scores.
fn request(form: usize, clips: &[usize]) -> (&'static str, Value, Scores) {
    let clip = |clip: &usize| json!({"frames": [frame(*clip), frame(*clip)], "prompt": "p"});
    let all: Vec<Value> = clips.iter().map(clip).collect();
    fn list(scores: &Value) -> Vec<f64> {
        let scores = scores.as_array().unwrap();
        scores.iter().map(|score| score.as_f64().unwrap()).collect()
    }
    match form % 3 {
        0 => ("/score", json!({ "clips": all }), |body| {
            list(&body["scores"])
        }),
        1 => ("/reward", json!({ "solutions": all }), |body| {
            list(&body["scores"])
        }),
        _ => ("/get_reward", json!({ "query": all }), |body| {
            list(&body["rewards"])
        }),
    }
}

/// Asks until it is served; how often it was told to come back.
fn insist(address: SocketAddr, form: usize, clips: &[usize]) -> usize {
    let (path, body, scores) = request(form, clips);
    let started = Instant::now();
    for refused in 0.. {
        assert!(started.elapsed() < Duration::from_secs(100), "never served");
        let answered = post(address, path, &body).expect("an answer");
        match answered.status {
            200 => {
                let expected: Vec<f64> = clips.iter().map(|clip| score(*clip)).collect();
                assert_eq!(scores(&answered.body), expected);
                return refused;
            }
            429 => {
                let pause = answered.retry_after.expect("a Retry-After");
                assert!((1..=60).contains(&pause));
                // Clients that do not wait that long must be served as well.
                std::thread::sleep(Duration::from_millis(100));
            }
            other => panic!("{other}: {}", answered.body),
        }
    }
    unreachable!()
}

/// Clients that behave badly, each in its way.
fn misbehave(address: SocketAddr, way: usize) {
    let (path, body, _) = request(0, &[999]);
    let body = body.to_string();
    let mut stream = connect(address);
    match way % 6 {
        // Sends a byte now and then, and never all.
        0 => {
            let _ = stream.write_all(head(path, body.len()).as_bytes());
            for byte in body.bytes().take(60) {
                if stream.write_all(&[byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            let answered = read(stream);
            assert!(answered.is_none_or(|answered| answered.status == 408));
        }
        // Goes away in the middle of its request.
        1 => {
            let _ = stream.write_all(head(path, body.len()).as_bytes());
            let _ = stream.write_all(&body.as_bytes()[..body.len() / 2]);
        }
        // Goes away before it is answered.
        2 => {
            let _ = stream.write_all(head(path, body.len()).as_bytes());
            let _ = stream.write_all(body.as_bytes());
        }
        // Takes no answer.
        3 => {
            let _ = stream.write_all(head(path, body.len()).as_bytes());
            let _ = stream.write_all(body.as_bytes());
            std::thread::sleep(Duration::from_secs(4));
        }
        // Announces more than is allowed, and sends it.
        4 => {
            let _ = stream.write_all(head(path, 64 << 20).as_bytes());
            let piece = vec![b' '; 1 << 20];
            for _ in 0..64 {
                if stream.write_all(&piece).is_err() {
                    break;
                }
            }
            let answered = read(stream);
            assert!(answered.is_none_or(|answered| answered.status == 413));
        }
        // Speaks no HTTP, or sends no JSON.
        _ => {
            let _ = stream.write_all(b"\x16\x03\x01 hello\r\n\r\n");
            assert!(read(stream).is_none_or(|answered| answered.status == 400));
            let mut stream = connect(address);
            let _ = stream.write_all(head("/score", 5).as_bytes());
            let _ = stream.write_all(b"{\"a\":");
            assert_eq!(read(stream).unwrap().status, 400);
        }
    }
}

#[test]
fn sixty_four_clients_get_their_own_answers_and_memory_is_bounded() {
    let model = eyes(Duration::from_millis(10));
    let limits = [
        "--max-queue",
        "24",
        "--batch-clips",
        "8",
        "--max-body-bytes",
        "1M",
        "--max-pending-bytes",
        "8M",
        "--body-timeout",
        "3",
        "--answer-timeout",
        "3",
    ];
    let mut server = Server::start(&model, &limits);
    let (address, refused) = (server.address, AtomicUsize::new(0));
    let together = Barrier::new(64);
    std::thread::scope(|scope| {
        for client in 0..64 {
            let (together, refused) = (&together, &refused);
            scope.spawn(move || {
                together.wait();
                // Every third client is a bad one.
                if client % 3 == 0 {
                    for round in 0..3 {
                        misbehave(address, client / 3 + round);
                    }
                    return;
                }
                for round in 0..4 {
                    let first = client * 12 + round * 3;
                    let clips: Vec<usize> = (first..first + 1 + round % 3).collect();
                    let again = insist(address, client + round, &clips);
                    refused.fetch_add(again, Ordering::Relaxed);
                }
            });
        }
    });
    let (refused, peak) = (refused.load(Ordering::Relaxed), server.peak_memory_mib());
    println!(
        "429: {refused}; peak memory {peak} MiB; most questions at once {}",
        model.most_busy()
    );
    assert!(
        refused > 0,
        "a queue of 24 places held everything that 42 clients sent"
    );
    assert!(peak < 400, "{peak} MiB");
    // Whoever went away has given its place back.
    let health = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut stream = connect(address);
    stream.write_all(health.as_bytes()).unwrap();
    let health = read(stream).unwrap();
    assert_eq!((health.status, &health.body["waiting"]), (200, &json!(0)));
    server.terminate();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_was_accepted_is_answered_before_the_service_ends() {
    let model = eyes(Duration::from_millis(300));
    let mut server = Server::start(&model, &["--batch-clips", "2", "--max-concurrency", "2"]);
    let address = server.address;
    let answers: Vec<_> = (0..8)
        .map(|client| std::thread::spawn(move || insist(address, client, &[client])))
        .collect();
    // All are waiting; the first are being judged.
    let waiting = |address| {
        let mut stream = connect(address);
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        read(stream).unwrap().body["waiting"].as_u64().unwrap()
    };
    let started = Instant::now();
    while waiting(address) < 8 {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    server.terminate();
    std::thread::sleep(Duration::from_millis(200));
    assert!(
        TcpStream::connect(address).is_err(),
        "new clients are taken in"
    );
    for answer in answers {
        assert_eq!(answer.join().unwrap(), 0);
    }
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn pages_of_other_machines_and_unknown_paths_are_refused() {
    let model = eyes(Duration::ZERO);
    let server = Server::start(&model, &[]);
    let ask = |text: String| {
        let mut stream = connect(server.address);
        stream.write_all(text.as_bytes()).unwrap();
        read(stream).unwrap().status
    };
    let with = |first: &str, more: &str| {
        format!("{first} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n{more}\r\n")
    };
    assert_eq!(ask(with("POST /score", "Host: evil.example\r\n")), 403);
    let origin = "Host: localhost\r\nOrigin: http://evil.example\r\n";
    assert_eq!(ask(with("POST /score", origin)), 403);
    assert_eq!(ask(with("POST /nowhere", "Host: localhost\r\n")), 404);
    assert_eq!(ask(with("DELETE /score", "Host: localhost\r\n")), 405);
    let named = json!({"clips": ["/etc/passwd", "clip.mp4"]});
    let refused = post(server.address, "/score", &named).unwrap();
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.to_string().contains("--videos"),
        "{}",
        refused.body
    );
}
