//! The viewer: serves a run's report, made anew for each visit, and all of its rollouts.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the report, which asks the paths below |
//! | `/api/metrics` | summary, metrics in columns, steps with rollouts |
//! | `/api/rollouts?step=&question_type=&verdict=&offset=&limit=` | a page of rollouts of one step |
//! | `/files/…` | `recipe.toml`, `metrics.jsonl`, `summary.json`, `rollouts/*.parquet` of the run folder |

use std::fs;
use std::io::Read;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::answers::Budget;
use crate::html::{Report, render_live};
use crate::http::{Request, Response, read_request, write_response};
use crate::record::{RolloutRecord, Verdict};
use crate::{Error, RunDir, payload, read_rollouts};

const THREADS: usize = 4;
/// How long an idle thread sleeps before it looks for a visitor, or for `stop`.
const POLL: Duration = Duration::from_millis(25);
/// How much, and for how long, the rest of a refused request is read.
const MAX_UNREAD: u64 = 1 << 20;
const LINGER: Duration = Duration::from_millis(500);
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
const EXTENSIONS: [&str; 4] = ["toml", "jsonl", "json", "parquet"];

/// A viewer that is bound to its address.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    site: Site,
}

impl Server {
    /// Takes an address, usually `127.0.0.1:0` (any free port). Who can reach the address can
    /// read the run.
    pub fn bind(run: RunDir, address: SocketAddr) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let site = Site {
            run,
            local: address.ip().is_loopback(),
            cache: Mutex::new(None),
        };
        Ok(Self {
            listener,
            address,
            site,
        })
    }

    /// Where a browser finds it.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers visitors on four threads until `stop` is set.
    pub fn run(&self, stop: &AtomicBool) {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| self.work(stop));
            }
        });
    }

    fn work(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.listener.accept() {
                // A visitor who goes away in the middle is no concern of the viewer.
                Ok((stream, _)) => drop(self.site.visit(stream)),
                Err(_) => thread::sleep(POLL),
            }
        }
    }
}

/// Serves a run folder at `address` until `stop` is set; [`Server`] also tells the port.
pub fn serve(run: RunDir, address: SocketAddr, stop: &AtomicBool) -> Result<(), Error> {
    Server::bind(run, address)?.run(stop);
    Ok(())
}

/// Which file was read last, and what it held: paging does not decode it anew.
type Cached = (PathBuf, SystemTime, Arc<Vec<RolloutRecord>>);

#[derive(Debug)]
struct Site {
    run: RunDir,
    local: bool,
    cache: Mutex<Option<Cached>>,
}

impl Site {
    fn visit(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        let response = match read_request(&mut stream)? {
            Ok(request) => self.answer(&request),
            Err(response) => response,
        };
        write_response(&mut stream, &response)?;
        // Closing with unread bytes would reset the connection before the answer is read.
        stream.shutdown(Shutdown::Write)?;
        stream.set_read_timeout(Some(LINGER))?;
        std::io::copy(&mut stream.take(MAX_UNREAD), &mut std::io::sink()).map(drop)
    }

    fn answer(&self, request: &Request) -> Response {
        // A page elsewhere must not read the run through a name that it points at this machine.
        if self.local && !request.host.as_deref().is_some_and(is_local) {
            return Response::error(403, "the Host header names another machine");
        }
        let answer = match request.path.as_str() {
            "/" => self.page(),
            "/api/metrics" => self.metrics(),
            "/api/rollouts" => self.rollouts(request),
            path => match path.strip_prefix("/files/") {
                Some(file) => return self.file(file),
                None => return Response::error(404, "there is nothing here"),
            },
        };
        answer.unwrap_or_else(|error| Response::error(500, &error.to_string()))
    }

    fn page(&self) -> Result<Response, Error> {
        let report = Report::without_rollouts(&self.run, Budget::SERVED)?;
        let html = render_live(&report, &self.run.rollout_steps()?);
        Ok(Response::new(200, "text/html; charset=utf-8", html))
    }

    fn metrics(&self) -> Result<Response, Error> {
        let report = Report::without_rollouts(&self.run, Budget::NONE)?;
        Ok(json_response(&report.live_data(&self.run.rollout_steps()?)))
    }

    fn rollouts(&self, request: &Request) -> Result<Response, Error> {
        let steps = self.run.rollout_steps()?;
        let step = match request.parameter("step").map(str::parse::<u64>) {
            None => steps.last().copied(),
            Some(Ok(step)) if steps.contains(&step) => Some(step),
            Some(_) => {
                return Ok(Response::error(
                    404,
                    "no rollouts were stored for this step",
                ));
            }
        };
        let number = |name, default| match request.parameter(name) {
            None => Some(default),
            Some(text) => text.parse::<usize>().ok(),
        };
        let (Some(offset), Some(limit)) = (number("offset", 0), number("limit", PAGE)) else {
            return Ok(Response::error(400, "offset and limit are whole numbers"));
        };
        let all = match step {
            Some(step) => self.rollouts_of(step)?,
            None => Arc::default(),
        };
        let mut types: Vec<&str> = all
            .iter()
            .filter_map(|r| r.question_type.as_deref())
            .collect();
        types.sort_unstable();
        types.dedup();
        let kind = request.parameter("question_type");
        let typed: Vec<&RolloutRecord> = all
            .iter()
            .filter(|r| kind.is_none() || r.question_type.as_deref() == kind)
            .collect();
        let verdict = request.parameter("verdict");
        let found: Vec<&RolloutRecord> = typed
            .iter()
            .copied()
            .filter(|r| verdict.is_none_or(|v| v == r.verdict().name()))
            .collect();
        let page: Vec<RolloutRecord> = found
            .iter()
            .skip(offset)
            .take(limit.min(MAX_PAGE))
            .map(|&r| r.clone())
            .collect();
        let mut answer = payload::rollouts(&page, usize::MAX);
        answer["steps"] = json!(steps);
        answer["step"] = json!(step);
        answer["types"] = json!(types);
        answer["counts"] = counts(&typed);
        answer["offset"] = json!(offset);
        answer["total"] = json!(found.len());
        Ok(json_response(&answer))
    }

    fn rollouts_of(&self, step: u64) -> Result<Arc<Vec<RolloutRecord>>, Error> {
        let path = self.run.rollouts_of(step);
        let modified = fs::metadata(&path)
            .and_then(|m| m.modified())
            .map_err(Error::io("read", &path))?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached, time, rollouts)) = &*cache
            && *cached == path
            && *time == modified
        {
            return Ok(rollouts.clone());
        }
        let rollouts = Arc::new(read_rollouts(&path)?);
        *cache = Some((path, modified, rollouts.clone()));
        Ok(rollouts)
    }

    fn file(&self, name: &str) -> Response {
        let missing = || Response::error(404, "no such file in the run folder");
        let Some(path) = inside(self.run.path(), name) else {
            return missing();
        };
        let content_type = match path.extension().and_then(|e| e.to_str()) {
            Some("json") => "application/json",
            Some("parquet") => "application/vnd.apache.parquet",
            _ => "text/plain; charset=utf-8",
        };
        fs::read(&path).map_or_else(
            |_| missing(),
            |bytes| Response::new(200, content_type, bytes),
        )
    }
}

/// The file `name` of `root`: of a known kind, with plain path components, none hidden, and in
/// `root` also after symbolic links are followed. Checkpoints are not served.
fn inside(root: &Path, name: &str) -> Option<PathBuf> {
    let name = Path::new(name);
    let plain = name.components().all(|part| match part {
        Component::Normal(part) => part.to_str().is_some_and(|part| !part.starts_with('.')),
        _ => false,
    });
    let known = name
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| EXTENSIONS.contains(&e));
    if !plain || !known || name.starts_with("checkpoints") {
        return None;
    }
    let path = fs::canonicalize(root.join(name)).ok()?;
    let root = fs::canonicalize(root).ok()?;
    (path.starts_with(root) && path.is_file()).then_some(path)
}

fn is_local(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn counts(rollouts: &[&RolloutRecord]) -> Value {
    let count = |verdict| rollouts.iter().filter(|r| r.verdict() == verdict).count();
    json!({
        "right": count(Verdict::Right),
        "partial": count(Verdict::Partial),
        "wrong": count(Verdict::Wrong),
        "ungraded": count(Verdict::Ungraded),
    })
}

fn json_response(value: &Value) -> Response {
    Response::new(200, "application/json", value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in [
            "localhost:8000",
            "127.0.0.1:9",
            "LOCALHOST",
            "[::1]:80",
            "127.0.0.1",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "evil.example:8000",
            "192.168.1.4",
            "localhost.evil.example",
            "",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
