//! The report and its server: nothing in a run can break the page or reach beyond its folder.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percept_base::files::write_atomic;
use percept_report::{
    MetricsWriter, Report, RewardPart, RolloutRecord, Row, RunDir, Server, Summary, render,
    write_report, write_rollouts,
};
use serde_json::Value;

const NASTY: &str =
    "</script><script>alert(1)</script><!-- <script> {{js}} {{data}} \u{2028} & \" ' \\";

fn embedded(html: &str) -> Value {
    let (_, data) = html.split_once("id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

fn record(step: u64, sample: u32) -> RolloutRecord {
    let accuracy = RewardPart {
        name: "accuracy".into(),
        value: Some(f64::from(sample % 2)),
        reason: None,
    };
    RolloutRecord {
        step,
        sample,
        prompt_id: format!("p{}", sample / 4),
        question_type: Some(if sample < 4 { "sum" } else { "largest" }.into()),
        completion: format!("{NASTY} {sample}"),
        token_text: vec![NASTY.into()],
        tokens: vec![7],
        log_probs: vec![f32::NEG_INFINITY],
        reward_parts: vec![accuracy],
        images: vec![Arc::from(b"\x89PNG\r\n".as_slice())],
        ..RolloutRecord::default()
    }
}

fn run(folder: &std::path::Path) -> RunDir {
    let run = RunDir::create(folder).unwrap();
    write_atomic(&run.recipe(), format!("# {NASTY}\nseed = 1\n").as_bytes()).unwrap();
    let mut metrics = MetricsWriter::open(&run, None).unwrap();
    for step in 1..=3 {
        let values = vec![(NASTY.to_string(), step as f64), ("loss".into(), f64::NAN)];
        metrics
            .write(&Row {
                step,
                stage: NASTY.into(),
                time: 1.0,
                values,
            })
            .unwrap();
    }
    for step in [2, 3] {
        let rollouts: Vec<_> = (0..8).map(|i| record(step, i)).collect();
        write_rollouts(&run.rollouts_of(step), &rollouts).unwrap();
    }
    run
}

#[test]
fn no_text_of_a_run_can_leave_its_place_in_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    Summary {
        name: NASTY.into(),
        ..Summary::default()
    }
    .write(&run.summary())
    .unwrap();
    let html = std::fs::read_to_string(write_report(&run).unwrap()).unwrap();
    let plain = render(&Report::default());
    for marker in ["<script", "</script", "<!--", "alert(1)</"] {
        let count = |html: &str| html.matches(marker).count();
        assert_eq!(count(&html), count(&plain), "{marker}");
    }
    let data = embedded(&html);
    assert_eq!(
        data["rollouts"]["items"][0]["completion"],
        format!("{NASTY} 0")
    );
    assert_eq!(data["rollouts"]["items"].as_array().unwrap().len(), 16);
    assert_eq!(data["rollouts"]["images"].as_array().unwrap().len(), 1);
    assert_eq!(
        data["metrics"]["values"][NASTY][1],
        serde_json::json!([1, 2, 3])
    );
    assert!(data["metrics"]["values"]["loss"][1][0].is_null());
    assert!(html.contains("<title>&lt;/script&gt;"));
}

#[test]
fn the_page_refers_to_nothing_outside_itself() {
    let html = render(&Report::default());
    for reference in ["http://", "https://", "src=\"", "@import", "url("] {
        let allowed = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!allowed.contains(reference), "{reference}");
    }
}

#[test]
fn a_run_with_damaged_files_still_has_a_report_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    std::fs::write(run.rollouts_of(2), "torn").unwrap();
    std::fs::write(run.summary(), "{").unwrap();
    let report = Report::of_run(&run).unwrap();
    assert_eq!((report.rollouts.len(), report.rollouts_total), (8, 8));
    assert!(
        report
            .notices
            .iter()
            .any(|n| n.contains("step-000002.parquet")),
        "{:?}",
        report.notices
    );
    assert!(report.notices.iter().any(|n| n.contains("summary.json")));
}

struct Visitor {
    address: std::net::SocketAddr,
}

impl Visitor {
    fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_string())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n",
            self.address
        ))
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

fn visit(run: RunDir, test: impl FnOnce(&Visitor)) {
    let server = Server::bind(run, "127.0.0.1:0".parse().unwrap()).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| server.run(&stop).unwrap());
        let visitor = Visitor {
            address: server.address(),
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&visitor)));
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
}

#[test]
fn the_server_pages_and_filters_all_rollouts_and_follows_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    visit(run.clone(), |visitor| {
        let (status, html) = visitor.get("/");
        assert_eq!(
            (status, embedded(&html)["live"].as_bool()),
            (200, Some(true))
        );
        let last = visitor.json("/api/rollouts");
        assert_eq!((&last["step"], &last["total"]), (&3.into(), &8.into()));
        let page = visitor.json("/api/rollouts?step=2&offset=6&limit=5");
        assert_eq!(page["items"].as_array().unwrap().len(), 2);
        let filtered = visitor.json("/api/rollouts?verdict=right&question_type=sum");
        assert_eq!(filtered["total"], 2);
        assert_eq!(filtered["counts"]["wrong"], 2);
        assert_eq!(visitor.get("/api/rollouts?step=99").0, 404);
        assert_eq!(visitor.get("/api/rollouts?offset=-1").0, 400);

        assert_eq!(
            visitor.json("/api/metrics")["metrics"]["step"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
        let mut metrics = MetricsWriter::open(&run, Some(3)).unwrap();
        metrics
            .write(&Row {
                step: 4,
                ..Row::default()
            })
            .unwrap();
        assert_eq!(
            visitor.json("/api/metrics")["metrics"]["step"]
                .as_array()
                .unwrap()
                .len(),
            4
        );
    });
}

#[test]
fn the_server_gives_nothing_outside_the_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = run(&path);
    std::fs::write(folder.path().join("secret.json"), "{}").unwrap();
    std::fs::write(path.join(".hidden.json"), "{}").unwrap();
    std::fs::create_dir_all(run.checkpoint_of(1)).unwrap();
    std::fs::write(run.checkpoint_of(1).join("config.json"), "{}").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret.json"), path.join("link.json")).unwrap();
    let absolute = folder.path().join("secret.json");
    visit(run, |visitor| {
        assert_eq!(visitor.get("/files/metrics.jsonl").0, 200);
        assert_eq!(visitor.get("/files/rollouts/step-000002.parquet").0, 200);
        for path in [
            "/files/../secret.json",
            "/files/%2e%2e/secret.json",
            "/files/..%2fsecret.json",
            "/files/rollouts/../../secret.json",
            "/files/link.json",
            "/files/.hidden.json",
            "/files/.lock",
            "/files/checkpoints/step-000001/config.json",
            "/files/",
            "/files/rollouts",
            "/secret.json",
            &format!("/files/{}", absolute.display()),
            &format!("/files{}", absolute.display()),
        ] {
            assert_eq!(visitor.get(path).0, 404, "{path}");
        }
        assert_eq!(
            visitor.raw("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n").0,
            405
        );
        assert_eq!(
            visitor
                .raw("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
                .0,
            403
        );
        assert_eq!(visitor.raw("GET / HTTP/1.1\r\n\r\n").0, 403);
        assert_eq!(visitor.raw("nonsense\r\n\r\n").0, 400);
        let long = "a".repeat(20_000);
        assert_eq!(visitor.raw(&format!("GET /{long} HTTP/1.1\r\n")).0, 431);
        assert_eq!(visitor.get("/").0, 200);
    });
}

#[test]
fn a_run_that_has_only_begun_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path()).unwrap();
    let html = std::fs::read_to_string(write_report(&run).unwrap()).unwrap();
    let data = embedded(&html);
    assert_eq!(data["rollouts"]["total"], 0);
    assert_eq!(data["summary"]["stages"], serde_json::json!([]));
    visit(run, |visitor| {
        let page = visitor.json("/api/rollouts");
        assert_eq!((&page["step"], &page["total"]), (&Value::Null, &0.into()));
    });
}
