//! The viewer: serves a run's report, made anew for each visit, and all of its rollouts.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the report, which asks the paths below |
//! | `/api/metrics` | summary, metrics in columns, steps with rollouts |
//! | `/api/rollouts?step=&question_type=&verdict=&offset=&limit=` | a page of rollouts of one step |
//! | `/files/…` | `recipe.toml`, `metrics.jsonl`, `summary.json`, `rollouts/*.parquet` of the run folder |

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::answers::Budget;
use crate::html::{Report, render_live};
use crate::http::{Content, Request, Response, visit};
use crate::record::{RolloutRecord, Verdict};
use crate::{Error, RunDir, payload, read_rollouts};

/// Answers that are made at once.
const THREADS: usize = 4;
/// Visitors at once; the others wait at the door. Descriptors are few (often 1 024), and an idle visitor costs one.
const VISITORS: usize = 256;
/// How often the viewer looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);
/// How long visits under way may take when the viewer stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
const EXTENSIONS: [&str; 4] = ["toml", "jsonl", "json", "parquet"];

/// A viewer that is bound to its address.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    site: Arc<Site>,
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
            site: Arc::new(site),
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

    /// Answers visitors until `stop` is set; then visits under way have a moment to end. Visitors wait for each other only
    /// while 256 of them are there, and one who sends or takes nothing is sent away.
    ///
    /// # Errors
    /// [`Error::Listen`] when the system has no more descriptors for serving at all.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), Error> {
        let failed = |source| Error::Listen {
            address: self.address,
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(THREADS)
            .build()
            .map_err(failed)?;
        let served = runtime.block_on(self.serve(stop));
        // An answer in the making is not waited for.
        runtime.shutdown_background();
        served.map_err(failed)
    }

    async fn serve(&self, stop: &AtomicBool) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
        let (door, stopping) = (
            Arc::new(Semaphore::new(VISITORS)),
            Arc::new(AtomicBool::new(false)),
        );
        let mut visits = JoinSet::new();
        while !stop.load(Ordering::Relaxed) {
            while visits.try_join_next().is_some() {}
            let Ok(Ok(place)) = timeout(POLL, Arc::clone(&door).acquire_owned()).await else {
                continue;
            };
            let stream = match timeout(POLL, listener.accept()).await {
                Ok(Ok((stream, _))) => stream,
                // No descriptor is left, or the visitor is gone already.
                Ok(Err(_)) => {
                    sleep(POLL).await;
                    continue;
                }
                Err(_) => continue,
            };
            let (site, stopping) = (Arc::clone(&self.site), Arc::clone(&stopping));
            visits.spawn(async move {
                let _place = place;
                let answer = |request| {
                    let site = Arc::clone(&site);
                    async move {
                        let made = tokio::task::spawn_blocking(move || site.answer(&request));
                        let failed = |_| Response::error(500, "the viewer failed on this page");
                        made.await.unwrap_or_else(failed)
                    }
                };
                visit(stream, answer, || stopping.load(Ordering::Relaxed)).await;
            });
        }
        stopping.store(true, Ordering::Relaxed);
        let all = async { while visits.join_next().await.is_some() {} };
        let _ = timeout(STOP_TIMEOUT, all).await;
        Ok(())
    }
}

/// Serves a run folder at `address` until `stop` is set; [`Server`] also tells the port.
pub fn serve(run: RunDir, address: SocketAddr, stop: &AtomicBool) -> Result<(), Error> {
    Server::bind(run, address)?.run(stop)
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
    fn answer(&self, request: &Request) -> Response {
        // A page elsewhere must not read the run through a name that it points at this machine.
        if self.local && !request.host.as_deref().is_some_and(is_local) {
            return Response::error(403, "the Host header names another machine");
        }
        // Nor may it ask in a browser's name. The viewer's own page sends no Origin, or this machine's.
        if self.local
            && request
                .origin
                .as_deref()
                .is_some_and(|o| !is_local_origin(o))
        {
            return Response::error(403, "the Origin header names a page of another machine");
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
        let open = fs::File::open(&path).and_then(|file| {
            let len = file.metadata()?.len();
            Ok((file, len))
        });
        match open {
            Ok((file, len)) => Response {
                status: 200,
                content_type,
                body: Content::File(file, len),
            },
            Err(_) => missing(),
        }
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

/// `http://localhost:7860`.
fn is_local_origin(origin: &str) -> bool {
    let host = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    host.is_some_and(is_local)
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
