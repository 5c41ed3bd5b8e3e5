//! The server of the page: what it answers, and whom it refuses.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{action, project};
use percept_annotate::{Overlap, Server, Store};
use serde_json::{Value, json};

/// Status and body of a request as it goes over the wire.
fn ask(address: &str, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let text = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// Runs a test against a server of `count` pairs.
fn serve(count: usize, test: impl FnOnce(&str)) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(project(folder.path(), count), Overlap::default()).unwrap();
    let server = Server::bind(store, "127.0.0.1:0".parse().unwrap()).unwrap();
    let url = server.url();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| server.run(&stop).unwrap());
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(address)));
        stop.store(true, Ordering::Relaxed);
        done.unwrap();
    });
}

fn post(address: &str, path: &str, body: &Value) -> (u16, Value) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nContent-Type: application/json"
    );
    let (status, said) = ask(address, &head, &body.to_string());
    (status, serde_json::from_str(&said).unwrap())
}

fn get(address: &str, path: &str) -> (u16, String) {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}"),
        "",
    )
}

#[test]
fn a_batch_is_stored_in_order_once_and_each_refusal_is_named() {
    serve(2, |address| {
        let (_, next) = post(address, "/api/next", &json!({"name": "ann"}));
        let pair = next["pair"].as_str().unwrap();
        let boxed = |label: &str| json!({"kind": "add_box", "key": "k", "side": "B", "label": label, "box": [1, 1, 40, 60]});
        let batch = json!({"actions": [
            action("1", "ann", pair, boxed("sixth finger")),
            action("2", "ann", pair, boxed("motion blur")),
            action("3", "ann", pair, json!({"kind": "prefer", "preference": "tie"})),
            action("4", "ann", pair, json!({"kind": "submit"})),
            action("5", "ann", pair, json!({"kind": "prefer", "preference": "A"})),
            {"id": "6"},
        ]});
        let (status, said) = post(address, "/api/actions", &batch);
        assert_eq!(status, 200);
        let results = said["results"].as_array().unwrap();
        let stored: Vec<bool> = results.iter().map(|r| r["stored"] == true).collect();
        assert_eq!(stored, [false, true, true, true, false, false], "{said}");
        assert!(
            results[0]["refused"]
                .as_str()
                .unwrap()
                .contains("sixth finger")
        );
        assert!(
            results[4]["refused"]
                .as_str()
                .unwrap()
                .contains("submitted")
        );
        let work = &said["items"][0]["work"];
        assert_eq!(work["state"], json!({"is": "submitted"}));
        assert_eq!(work["preference"], "same");
        // The page did not hear it and sends it again.
        let (_, again) = post(address, "/api/actions", &batch);
        let known = again["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|r| r["known"] == true);
        assert_eq!(known.count(), 3);
        let (_, status) = get(address, "/api/status");
        assert!(status.contains("\"submitted\":1"), "{status}");
        let (_, item) = get(address, &format!("/api/item?pair={pair}&annotator=ann"));
        assert!(
            !item.contains("one/"),
            "annotators do not see where a clip came from: {item}"
        );
        let item: Value = serde_json::from_str(&item).unwrap();
        let (status, png) = get(address, item["frames"]["B"]["url"].as_str().unwrap());
        assert!(status == 200 && png.contains("PNG"));
        let (_, review) = get(address, "/api/review?reviewer=rev");
        assert!(review.contains(pair), "{review}");
        assert_eq!(get(address, "/api/review?reviewer=ann").1, "[]");
    });
}

#[test]
fn pages_of_others_and_bad_requests_are_refused() {
    serve(1, |address| {
        let head = |origin: &str, kind: &str| {
            format!(
                "POST /api/next HTTP/1.1\r\nHost: {address}\r\nOrigin: {origin}\r\nContent-Type: {kind}"
            )
        };
        let own = format!("http://{address}");
        let body = r#"{"name": "ann"}"#;
        for (origin, kind, status) in [
            ("http://evil.example", "application/json", 403),
            // Another server of this machine.
            ("http://localhost:1", "application/json", 403),
            ("null", "application/json", 403),
            (own.as_str(), "text/plain", 415),
            (own.as_str(), "application/json", 200),
        ] {
            assert_eq!(
                ask(address, &head(origin, kind), body).0,
                status,
                "{origin} {kind}"
            );
        }
        let foreign = "GET / HTTP/1.1\r\nHost: evil.example";
        assert_eq!(ask(address, foreign, "").0, 403);
        let preflight = format!("OPTIONS /api/next HTTP/1.1\r\nHost: {address}");
        assert_eq!(ask(address, &preflight, "").0, 405);
        assert_eq!(ask(address, &head(&own, "application/json"), "{").0, 400);
        let large = format!("{{\"name\": \"{}\"}}", "a".repeat(3 << 19));
        assert_eq!(ask(address, &head(&own, "application/json"), &large).0, 413);
        assert_eq!(post(address, "/api/next", &json!({"name": "\u{7}"})).0, 400);
        assert_eq!(post(address, "/api/actions", &json!({"actions": 3})).0, 400);
        for path in [
            "/actions.jsonl",
            "/frames/../actions.jsonl",
            "/frames/%2e%2e/pairs.jsonl",
            "/frames/",
            "/nothing",
        ] {
            assert_eq!(get(address, path).0, 404, "{path}");
        }
        let page = get(address, "/").1;
        assert!(
            page.contains("/page.js") && !page.contains("https://"),
            "{page}"
        );
    });
}
