//! The annotation page in headless Chromium: two annotators label 40 pairs by mouse and by keyboard while the server is
//! killed, and nothing is lost or stored twice.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
mod webdriver;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::{percept, run_in, write};
use serde_json::{Value, json};
use webdriver::{Browser, DELETE, DOWN, Driver, ENTER, LIMIT, RIGHT, SHIFT, free_port};

const CLIPS: usize = 20;
/// Two frames of each clip.
const PAIRS: usize = 2 * CLIPS;
const SIZE: (u32, u32) = (160, 120);

/// The server, which the test kills and starts again at its address.
struct Server {
    folder: PathBuf,
    port: u16,
    child: Mutex<Option<Child>>,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let server = Self {
            folder: folder.to_path_buf(),
            port: free_port(),
            child: Mutex::new(None),
        };
        server.resume();
        server
    }

    fn resume(&self) {
        let address = format!("127.0.0.1:{}", self.port);
        let start = Instant::now();
        loop {
            let args = [
                "annotate",
                "frames",
                "--videos",
                "pairs.csv",
                "--frames",
                "2",
                "--out",
                "labels",
            ];
            let mut command =
                percept(&[&args[..], &["--overlap", "2", "--serve", &address]].concat());
            command
                .current_dir(&self.folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            // The port of a killed server may be taken for a moment.
            while TcpStream::connect(&address).is_err() {
                assert!(start.elapsed() < LIMIT, "the server does not come");
                std::thread::sleep(Duration::from_millis(20));
                if child.try_wait().unwrap().is_some() {
                    break;
                }
            }
            if child.try_wait().unwrap().is_none() {
                *self.child.lock().unwrap() = Some(child);
                return;
            }
        }
    }

    /// SIGKILL, as a power cut.
    fn kill(&self) {
        let mut child = self.child.lock().unwrap().take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn url(&self, hash: &str) -> String {
        format!("http://127.0.0.1:{}/#{hash}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Clips of a second, and their table.
fn clips(folder: &Path) {
    let mut table = "path_A,path_B,prompt\n".to_owned();
    for clip in 0..CLIPS {
        for side in ["one", "two"] {
            let path = folder.join(format!("{side}/{clip}.gif"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut encoder = image::codecs::gif::GifEncoder::new(fs::File::create(path).unwrap());
            for at in 0..8_u8 {
                let drawn = image::RgbaImage::from_fn(SIZE.0, SIZE.1, |x, y| {
                    let inside = x.abs_diff(80) < 30 && y.abs_diff(60) < 20;
                    match inside {
                        true => image::Rgba([220, 60 + 20 * at, 40, 255]),
                        false => image::Rgba([40, 60, 90 + clip as u8, 255]),
                    }
                });
                let delay = image::Delay::from_numer_denom_ms(125, 1);
                encoder
                    .encode_frame(image::Frame::from_parts(drawn, 0, 0, delay))
                    .unwrap();
            }
        }
        table += &format!("one/{clip}.gif,two/{clip}.gif,\"a fox jumps, take {clip}\"\n");
    }
    write(&folder.join("pairs.csv"), table);
}

/// What an annotator says of the pairs.
struct Plan {
    name: &'static str,
    preference: fn(usize) -> &'static str,
    /// Whether boxes are drawn by mouse, on A; otherwise by keyboard, on A.
    mouse: bool,
}

const PREFERENCES: [&str; 3] = ["A", "B", "same"];

const ANN: Plan = Plan {
    name: "ann",
    preference: |pair| PREFERENCES[pair % 3],
    mouse: true,
};

/// Says something else of every fourth pair.
const BOB: Plan = Plan {
    name: "bob & söhne",
    preference: |pair| match pair % 4 {
        0 => PREFERENCES[(pair + 1) % 3],
        _ => PREFERENCES[pair % 3],
    },
    mouse: false,
};

/// Where the point of frame A is on the screen, in whole pixels, and which pixel of the frame is there.
const PLACE: &str = "
const matrix = document.getElementById('frame-a').getScreenCTM();
return arguments[0].map(([x, y]) => {
  const at = new DOMPoint(x, y).matrixTransform(matrix);
  const [sx, sy] = [Math.round(at.x), Math.round(at.y)];
  const back = new DOMPoint(sx, sy).matrixTransform(matrix.inverse());
  return [sx, sy, Math.round(back.x), Math.round(back.y)];
});";

const SHOWN: &str = "
const item = document.getElementById('item');
const pair = item.dataset.pair;
return !item.hidden && pair && pair !== arguments[0] && item.dataset.state === 'open' ? pair : null;";

const WAITING: &str = "return Number(document.getElementById('saved').dataset.waiting);";
const SAVED: &str = "return document.getElementById('saved').dataset.waiting === '0';";

/// Draws on the pair that is shown and says which frame is better; the box of frame A in pixels.
fn label(browser: &Browser, plan: &Plan, number: usize) -> [i64; 4] {
    let preference = match (plan.preference)(number) {
        "A" => "a",
        "B" => "b",
        _ => "t",
    };
    if plan.mouse {
        let corners = json!([
            [40 + number as i64 % 7, 30],
            [100, 80 + number as i64 % 5],
            [10, 10],
            [20, 20]
        ]);
        let places = browser.script(PLACE, json!([corners]));
        let number = |at: usize, of: usize| places[at][of].as_i64().unwrap();
        let on_screen = |at| (number(at, 0), number(at, 1));
        // A box too many, which is taken back.
        browser.keys(&["2"]);
        browser.drag(on_screen(2), on_screen(3));
        browser.keys(&["z"]);
        browser.drag(on_screen(0), on_screen(1));
        browser.keys(&[preference]);
        return [number(0, 2), number(0, 3), number(1, 2), number(1, 3)];
    }
    // From the middle two steps to the right and one down, one wider; a step is a hundredth of the shorter side.
    browser.keys(&["q", "2", "n", RIGHT, RIGHT, DOWN]);
    let shift = format!("+{SHIFT}");
    browser.keys(&[shift.as_str(), RIGHT]);
    // On the other frame: a box too many, which is deleted, and a label of the whole frame.
    browser.keys(&["w", "n", DELETE, "7", "l", preference]);
    let step = 1;
    let (w, h) = (f64::from(SIZE.0), f64::from(SIZE.1));
    let [x1, y1, x2, y2] = [w * 0.4, h * 0.4, w * 0.6, h * 0.6].map(|v| v.round() as i64);
    [x1 + 2 * step, y1 + step, x2 + 3 * step, y2 + step]
}

/// Opens the page; again where the server was killed between the page and its scripts, as a person reloads it.
fn open(browser: &Browser, server: &Server, url: &str) {
    const LOADED: &str =
        "const who = document.getElementById('who'); return who && who.textContent !== '';";
    let (start, address) = (Instant::now(), format!("127.0.0.1:{}", server.port));
    while start.elapsed() < LIMIT {
        while TcpStream::connect(&address).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        // The same address once more would only go to its fragment.
        browser.open("about:blank");
        browser.open(url);
        for _ in 0..250 {
            if browser.script(LOADED, json!([])) == json!(true) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("{url} does not load");
}

/// Labels all pairs; at those of `outages` the server is dead meanwhile. Which pair was when, and the box of its frame A.
fn annotate(
    driver: &Driver,
    server: &Server,
    plan: &Plan,
    outages: &[usize],
) -> BTreeMap<String, (usize, [i64; 4])> {
    let name = plan.name.replace(' ', "%20").replace('&', "%26");
    let url = server.url(&format!("annotate/{name}"));
    let mut browser = driver.browser();
    open(&browser, server, &url);
    let (mut done, mut last) = (BTreeMap::new(), String::new());
    for number in 0..PAIRS {
        if number == PAIRS / 2 {
            // The browser is closed in the middle of the work, and another one goes on.
            browser.wait("the server", SAVED, &json!([]));
            browser.close();
            browser = driver.browser();
            open(&browser, server, &url);
        }
        let pair = browser.wait("the next pair", SHOWN, &json!([last]));
        let pair = pair.as_str().unwrap().to_owned();
        let out = outages.contains(&number);
        if out {
            server.kill();
        }
        let corners = label(&browser, plan, number);
        browser.keys(&[ENTER]);
        if out {
            let waiting = browser.script(WAITING, json!([])).as_u64().unwrap();
            assert!(
                waiting >= 4,
                "{waiting} actions are kept while the server is away"
            );
            server.resume();
            browser.wait("the server", SAVED, &json!([]));
        }
        done.insert(pair.clone(), (number, corners));
        last = pair;
    }
    let finished = "return document.getElementById('place').textContent.startsWith('All pairs')";
    browser.wait("the end", finished, &json!([]));
    let loaded = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
    let loaded = browser.script(loaded, json!([]));
    let own = |url: &Value| {
        url.as_str()
            .unwrap()
            .starts_with(&server.url("")[..server.url("").len() - 1])
    };
    assert!(loaded.as_array().unwrap().iter().all(own), "{loaded}");
    browser.close();
    done
}

/// Cohen's kappa by its definition.
fn kappa(pairs: &[(&str, &str)]) -> f64 {
    let share = |which: &dyn Fn(&(&str, &str)) -> bool| {
        pairs.iter().filter(|pair| which(pair)).count() as f64 / pairs.len() as f64
    };
    let chance: f64 = PREFERENCES
        .iter()
        .map(|c| share(&|(a, _)| a == c) * share(&|(_, b)| b == c))
        .sum();
    (share(&|(a, b)| a == b) - chance) / (1.0 - chance)
}

/// IoU by counting pixels.
fn iou(a: &[i64; 4], b: &[i64; 4]) -> f64 {
    let inside = |c: &[i64; 4], x, y| c[0] <= x && x < c[2] && c[1] <= y && y < c[3];
    let (mut both, mut any) = (0, 0);
    for (x, y) in (0..i64::from(SIZE.0)).flat_map(|x| (0..i64::from(SIZE.1)).map(move |y| (x, y))) {
        both += usize::from(inside(a, x, y) && inside(b, x, y));
        any += usize::from(inside(a, x, y) || inside(b, x, y));
    }
    both as f64 / any as f64
}

#[test]
fn two_annotators_label_forty_pairs_while_the_server_is_killed_and_nothing_is_lost_or_doubled() {
    let Some(driver) = Driver::start() else {
        eprintln!(
            "SKIPPED: no chromedriver or no chromium (Debian: apt install chromium chromium-driver); the page is not tested"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clips(folder);
    let server = Server::start(folder);
    // One kills the server while they draw; the other is hit by it wherever they are.
    let (ann, bob) = std::thread::scope(|scope| {
        let ann = scope.spawn(|| annotate(&driver, &server, &ANN, &[3, 17, 18, 31]));
        let bob = scope.spawn(|| annotate(&driver, &server, &BOB, &[]));
        (ann.join().unwrap(), bob.join().unwrap())
    });
    assert_eq!((ann.len(), bob.len()), (PAIRS, PAIRS));

    // Everything once.
    let log = fs::read_to_string(folder.join("labels/actions.jsonl")).unwrap();
    let actions: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: BTreeSet<&str> = actions
        .iter()
        .map(|action| action["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), actions.len(), "an action is stored twice");
    let submitted: BTreeSet<(&str, &str)> = actions
        .iter()
        .filter(|action| action["do"]["kind"] == "submit")
        .map(|action| {
            (
                action["annotator"].as_str().unwrap(),
                action["pair"].as_str().unwrap(),
            )
        })
        .collect();
    let submissions = actions
        .iter()
        .filter(|action| action["do"]["kind"] == "submit")
        .count();
    assert_eq!((submitted.len(), submissions), (2 * PAIRS, 2 * PAIRS));

    // What was drawn and said is what is exported.
    let export = [
        "annotate",
        "export",
        "labels",
        "--output",
        "rows.jsonl",
        "--take",
        "every",
    ];
    run_in(folder, &export).ok();
    let rows = fs::read_to_string(folder.join("rows.jsonl")).unwrap();
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 4 * PAIRS);
    for (plan, found) in [(&ANN, &ann), (&BOB, &bob)] {
        for (pair, (number, corners)) in found {
            let of: Vec<&Value> = rows
                .iter()
                .filter(|row| row["pair_id"] == json!(pair) && row["annotator"] == plan.name)
                .collect();
            assert_eq!(of.len(), 2, "{} {pair}", plan.name);
            assert_eq!(of[0]["preference"], (plan.preference)(*number));
            let boxed = json!([{"label": "extra limbs", "box": corners.map(|c| c as f64)}]);
            assert_eq!(of[0]["boxes"], boxed, "{} {pair}", plan.name);
            assert_eq!(of[1]["boxes"], json!([]));
            let whole = if plan.mouse {
                json!([])
            } else {
                json!(["motion blur"])
            };
            assert_eq!(of[1]["labels"], whole);
        }
    }

    // Agreement, also while the page is served.
    let status = run_in(
        folder,
        &["annotate", "status", "labels", "--overlap", "2", "--json"],
    )
    .ok();
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(
        (&status["pairs"], &status["wanted"]),
        (&json!(PAIRS), &json!(2 * PAIRS))
    );
    assert_eq!(status["all"]["submitted"], json!(2 * PAIRS));
    let said: Vec<(&str, &str)> = ann
        .iter()
        .map(|(pair, (number, _))| ((ANN.preference)(*number), (BOB.preference)(bob[pair].0)))
        .collect();
    let agreement = &status["agreement"];
    let cohen = &agreement["preference"]["cohen"][0];
    assert_eq!(cohen["items"], json!(PAIRS));
    let (found, expected) = (cohen["kappa"].as_f64().unwrap(), kappa(&said));
    assert!((found - expected).abs() < 1e-12, "{found}: {expected}");
    let ious: Vec<f64> = ann
        .iter()
        .map(|(pair, (_, a))| iou(a, &bob[pair].1))
        .collect();
    let mean = ious.iter().sum::<f64>() / ious.len() as f64;
    let found = agreement["boxes"][0][2]["mean_iou"].as_f64().unwrap();
    assert!((found - mean).abs() < 1e-9, "{found}: {mean}");
    println!(
        "{PAIRS} of {PAIRS} pairs stored once by each of two annotators, {} actions, preference kappa {expected:.3}, mean IoU {mean:.3}",
        actions.len()
    );
    review(&driver, &server);
}

/// A reviewer accepts one, corrects one and returns one; the status page shows it.
fn review(driver: &Driver, server: &Server) {
    let browser = driver.browser();
    browser.open(&server.url("review/rev"));
    let shown = SHOWN.replace("'open'", "'submitted'");
    let mut last = Value::from("");
    let mut next = || {
        let key = "const key = document.getElementById('place').textContent; return key !== arguments[0] && key.includes('submitted') ? key : null;";
        browser.wait("a pair", &shown, &json!([""]));
        last = browser.wait("the next review", key, &json!([last]));
    };
    next();
    browser.keys(&["y"]);
    next();
    browser.keys(&["e", "3", "y"]);
    next();
    browser.keys(&["x"]);
    browser.keys(&["h", "a", "n", "d", ENTER]);
    next();
    browser.open("about:blank");
    browser.open(&server.url("status"));
    let cells = "const cells = [...document.querySelectorAll('#status td')].map((cell) => cell.textContent); return cells.length > 0 ? cells : null;";
    let cells = browser.wait("the status", cells, &json!([]));
    let cells: Vec<&str> = cells
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c.as_str().unwrap())
        .collect();
    let all = cells.iter().position(|cell| *cell == "all").unwrap();
    let left = (2 * PAIRS - 3).to_string();
    assert_eq!(
        cells[all + 1..all + 6],
        ["0", left.as_str(), "1", "2", "1"],
        "{cells:?}"
    );
    browser.close();
}
