//! Pairs in the report and in the viewer: paged, filtered by margin, and text of a model stays text.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percept_base::files::write_atomic;
use percept_report::{
    PairRecord, PairResponse, Report, RunDir, Server, render, write_pairs, write_report,
};
use serde_json::{Value, json};

const NASTY: &str =
    "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> {{js}} \u{202e} \0 & \" '";

fn record(step: u64, number: u32) -> PairRecord {
    let png =
        |shade: u8| -> Arc<[u8]> { Arc::from([b"\x89PNG\r\n".as_slice(), &[shade]].concat()) };
    let response = |kind: &str, margin: Option<f64>, image: u8| PairResponse {
        kind: kind.into(),
        completion: format!("{NASTY} {kind}"),
        tokens: vec![7, 8],
        token_text: vec![NASTY.into(), "b".into()],
        log_probs: vec![-1.0, f32::NEG_INFINITY],
        ref_log_probs: vec![-1.5, -2.0],
        reward: Some(0.25),
        margin,
        images: vec![png(image)],
        ..PairResponse::default()
    };
    // Every third pair is preferred the wrong way round.
    let margin = if number.is_multiple_of(3) { -0.5 } else { 0.5 };
    PairRecord {
        step,
        pair: number,
        id: format!("{NASTY}:{number}"),
        prompt: NASTY.into(),
        loss: Some(0.7),
        responses: vec![
            response("chosen", None, 1),
            response("rejected", Some(1.0), 1),
            response("chosen_rejected_image", Some(margin), 2),
        ],
    }
}

fn run(folder: &Path) -> RunDir {
    let run = RunDir::create(folder).unwrap();
    write_atomic(&run.recipe(), b"").unwrap();
    for step in [2, 3] {
        let pairs: Vec<PairRecord> = (0..8).map(|number| record(step, number)).collect();
        write_pairs(&run.pairs_of(step), &pairs).unwrap();
    }
    run
}

fn embedded(html: &str) -> Value {
    let (_, data) = html.split_once("id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn visit(run: RunDir, test: impl FnOnce(SocketAddr)) {
    let server = Server::bind(run, "127.0.0.1:0".parse().unwrap()).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| server.run(&stop).unwrap());
        let address = server.address();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(address)));
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
}

#[test]
fn no_text_of_a_pair_can_leave_its_place_in_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let html = std::fs::read_to_string(write_report(&run).unwrap()).unwrap();
    let plain = render(&Report::default());
    for marker in ["<script", "</script", "<!--", "<img", "alert(1)</"] {
        let count = |html: &str| html.matches(marker).count();
        assert_eq!(count(&html), count(&plain), "{marker}");
    }
    let pairs = &embedded(&html)["pairs"];
    assert_eq!(pairs["items"].as_array().unwrap().len(), 16);
    assert_eq!(
        (
            &pairs["steps_total"],
            pairs["images"].as_array().unwrap().len()
        ),
        (&json!(2), 2)
    );
    let item = &pairs["items"][0];
    assert_eq!(
        (&item["margin"], &item["prompt"]),
        (&json!(-0.5), &json!(NASTY))
    );
    let responses = item["responses"].as_array().unwrap();
    assert_eq!(
        (&responses[0]["images"], &responses[2]["images"]),
        (&json!([0]), &json!([1]))
    );
    assert_eq!(responses[0]["log_ratio"], json!([0.5, null]));
    assert_eq!(responses[2]["rejected_images"], true);
}

#[test]
fn the_server_pages_and_filters_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    visit(run.clone(), |address| {
        let json = |path: &str| -> Value {
            let (status, body) = get(address, path);
            assert_eq!(status, 200, "{path}: {body}");
            serde_json::from_str(&body).unwrap()
        };
        let last = json("/api/pairs");
        assert_eq!((&last["step"], &last["total"]), (&json!(3), &json!(8)));
        assert_eq!(last["counts"], json!({"all": 8, "negative": 3}));
        let negative = json("/api/pairs?step=2&margin=negative&offset=1&limit=5");
        assert_eq!(
            (&negative["total"], &negative["items"][0]["pair"]),
            (&json!(3), &json!(3))
        );
        assert_eq!(negative["items"].as_array().unwrap().len(), 2);
        assert_eq!(get(address, "/api/pairs?step=9").0, 404);
        assert_eq!(get(address, "/api/pairs?margin=0").0, 400);
        assert_eq!(get(address, "/api/pairs?limit=x").0, 400);
        assert_eq!(get(address, "/files/pairs/step-000002.parquet").0, 200);
        assert_eq!(embedded(&get(address, "/").1)["pair_steps"], json!([2, 3]));
        // A step that is written while the viewer is open.
        write_pairs(&run.pairs_of(4), &[record(4, 0)]).unwrap();
        assert_eq!(json("/api/metrics")["pair_steps"], json!([2, 3, 4]));
        assert_eq!(json("/api/pairs")["total"], json!(1));
    });
}

#[test]
fn a_damaged_file_of_pairs_is_named_and_a_run_without_pairs_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    std::fs::write(run.pairs_of(2), "torn").unwrap();
    let report = Report::of_run(&run).unwrap();
    assert_eq!(report.pairs.len(), 8);
    let named = report
        .notices
        .iter()
        .any(|n| n.contains("pairs/step-000002.parquet"));
    assert!(named, "{:?}", report.notices);
    visit(run, |address| {
        assert_eq!(get(address, "/api/pairs?step=2").0, 500)
    });

    let folder = tempfile::tempdir().unwrap();
    let none = RunDir::create(folder.path()).unwrap();
    write_atomic(&none.recipe(), b"").unwrap();
    assert!(Report::of_run(&none).unwrap().pairs.is_empty());
    visit(none, |address| {
        let (status, body) = get(address, "/api/pairs");
        assert_eq!(status, 200);
        assert!(body.contains("\"total\":0"), "{body}");
    });
}
