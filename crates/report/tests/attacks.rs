//! Visitors who mean harm, on loopback and bounded in time: the viewer stays with the others, and ends when it is told to.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use percept_report::{RolloutRecord, RunDir, Server, write_rollouts};

/// A page takes milliseconds; nothing here may take so long.
const SOON: Duration = Duration::from_secs(4);

fn run(folder: &std::path::Path) -> RunDir {
    let run = RunDir::create(folder).unwrap();
    let rollouts = (0..4).map(|sample| RolloutRecord {
        sample,
        step: 1,
        completion: format!("answer {sample}"),
        ..RolloutRecord::default()
    });
    write_rollouts(&run.rollouts_of(1), &rollouts.collect::<Vec<_>>()).unwrap();
    run
}

/// Runs a test against a viewer; says how long the viewer took to stop.
fn visit(run: RunDir, test: impl FnOnce(SocketAddr)) -> Duration {
    let server = Server::bind(run, "127.0.0.1:0".parse().unwrap()).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.run(&stop).unwrap());
        let address = server.address();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(address)));
        let start = Instant::now();
        stop.store(true, Ordering::Relaxed);
        serving.join().unwrap();
        outcome.unwrap();
        start.elapsed()
    })
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).unwrap();
    stream.set_write_timeout(limit).unwrap();
    stream
}

/// What comes back, to the end; nothing for a connection that was closed without a word.
fn ask(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    ask(address, request.as_bytes())
}

fn status(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1).unwrap_or_default();
    word.parse().unwrap_or(0)
}

fn answers_soon(address: SocketAddr) {
    let start = Instant::now();
    assert_eq!(status(&get(address, "/api/rollouts", "")), 200);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// M1: four clients that sent nothing were enough.
#[test]
fn two_hundred_slow_visitors_keep_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    visit(run(folder.path()), |address| {
        let mut slow: Vec<TcpStream> = (0..200).map(|_| connect(address)).collect();
        for (at, stream) in slow.iter_mut().enumerate() {
            // Some say nothing, some begin, some ask and do not read.
            let said = match at % 3 {
                0 => String::new(),
                1 => "GET / HT".to_owned(),
                _ => format!("GET / HTTP/1.1\r\nHost: {address}\r\nX-A: "),
            };
            stream.write_all(said.as_bytes()).unwrap();
        }
        for _ in 0..5 {
            answers_soon(address);
        }
        // Byte by byte is no way to stay either.
        let start = Instant::now();
        let dripping = &mut slow[1];
        while dripping.write_all(b"x").is_ok() && start.elapsed() < Duration::from_secs(15) {
            thread::sleep(Duration::from_millis(200));
        }
        assert!(
            start.elapsed() < Duration::from_secs(12),
            "a dripping visitor stays"
        );
        answers_soon(address);
    });
}

/// M1: a visitor who is slow, or does not read, must not make the viewer deaf to Ctrl-C.
#[test]
fn the_viewer_stops_during_visits() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    std::fs::write(folder.path().join("big.json"), vec![b' '; 64 << 20]).unwrap();
    let mut held = Vec::new();
    let took = visit(run, |address| {
        for path in ["/", "/files/big.json", "/api/rollouts"] {
            let mut stream = connect(address);
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
            held.push(stream);
            held.push(connect(address));
        }
        answers_soon(address);
    });
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn malformed_requests_are_refused_and_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    visit(run(folder.path()), |address| {
        let host = format!("Host: {address}\r\n");
        let many: String = (0..500).map(|at| format!("X-{at}: a\r\n")).collect();
        let long = format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "a".repeat(1 << 20));
        for bad in [
            "\0\0\0\0\r\n\r\n",
            "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
            "GET\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "GET /\u{1b}[2J HTTP/1.1\r\n\r\n",
            &format!("GET / HTTP/1.1\r\n{host}{many}\r\n"),
            &format!("GET / HTTP/1.1\r\n{host}Host: evil.example\r\n\r\n"),
            &format!("GET / HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n"),
            &format!("GET / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            &format!("GET / HTTP/1.1\r\n{host}No colon\r\n\r\n"),
            &format!("GET http://evil.example/ HTTP/1.1\r\n{host}\r\n"),
            &format!("PUT / HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabc"),
            &format!("OPTIONS * HTTP/1.1\r\n{host}\r\n"),
            &format!("GET / HTTP/1.1\r\n{host}Origin: https://evil.example\r\n\r\n"),
            &format!("GET / HTTP/1.1\r\n{host}Origin: null\r\n\r\n"),
            &long,
        ] {
            let answer = ask(address, bad.as_bytes());
            let status = status(&answer);
            assert!(
                (400..500).contains(&status) || answer.is_empty(),
                "{bad:.60?}: {answer:.200}"
            );
        }
        let local = format!("Origin: http://{address}\r\n");
        assert_eq!(status(&get(address, "/", &local)), 200);
        // A body that never ends is not waited for.
        let start = Instant::now();
        let endless = format!("GET / HTTP/1.1\r\n{host}Content-Length: 1000000000000\r\n\r\n");
        assert_eq!(status(&ask(address, endless.as_bytes())), 200);
        assert!(start.elapsed() < SOON);
        answers_soon(address);
    });
}

/// Ranges are not served: whatever is asked for, the whole file comes, once.
#[test]
fn huge_ranges_and_numbers_cost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    std::fs::write(folder.path().join("small.json"), "{}").unwrap();
    visit(run, |address| {
        let many = vec!["0-"; 2000].join(",");
        for range in [
            "bytes=0-18446744073709551615",
            "bytes=9223372036854775807-",
            &format!("bytes={many}"),
        ] {
            let answer = get(address, "/files/small.json", &format!("Range: {range}\r\n"));
            assert_eq!(status(&answer), 200, "{answer}");
            assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
        }
        for query in [
            "offset=18446744073709551615",
            "limit=18446744073709551615",
            "offset=99999999999999999999",
        ] {
            let answer = get(address, &format!("/api/rollouts?{query}"), "");
            assert!(matches!(status(&answer), 200 | 400), "{query}: {answer}");
        }
    });
}

#[test]
fn parallel_visitors_get_whole_and_equal_answers() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let content: Vec<u8> = (0..3_000_000_u32)
        .map(|at| b' ' + (at % 90) as u8)
        .collect();
    std::fs::write(folder.path().join("big.json"), &content).unwrap();
    visit(run, |address| {
        let expected = get(address, "/api/rollouts", "");
        let (_, expected) = expected.split_once("\r\n\r\n").unwrap();
        thread::scope(|scope| {
            for thread in 0..16 {
                let content = &content;
                scope.spawn(move || {
                    for _ in 0..6 {
                        let path = ["/api/rollouts", "/files/big.json"][thread % 2];
                        let answer = get(address, path, "");
                        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
                        match thread % 2 {
                            0 => assert_eq!(body, expected),
                            _ => assert!(body.as_bytes() == content),
                        }
                    }
                });
            }
        });
    });
}
