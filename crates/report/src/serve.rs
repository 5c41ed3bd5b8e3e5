//! The viewer: serves a run's report, made anew for each visit, and all of its rollouts.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the report, which asks the paths below |
//! | `/api/metrics` | summary, metrics in columns, steps with rollouts |
//! | `/api/rollouts?step=&question_type=&verdict=&offset=&limit=` | a page of rollouts of one step |
//! | `/files/…` | `recipe.toml`, `metrics.jsonl`, `summary.json`, `rollouts/*.parquet` of the run folder |

use std::fs;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use percept_base::lock;
use percept_http::server::{Content, Listener, Request, Response};
use serde_json::{Value, json};

use crate::page::{self, Budget, Report, render_live};
use crate::run::{RolloutRecord, Verdict};
use crate::{Error, RunDir, read_rollouts};

const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
const EXTENSIONS: [&str; 4] = ["toml", "jsonl", "json", "parquet"];

/// A viewer that is bound to its address.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    site: Arc<Site>,
}

impl Server {
    /// Takes an address, usually `127.0.0.1:0` (any free port). Who can reach the address can
    /// read the run.
    pub fn bind(run: RunDir, address: SocketAddr) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address, source };
        let site = Site {
            run,
            cache: Mutex::new(None),
        };
        Ok(Self {
            listener: Listener::bind(address).map_err(listen)?,
            site: Arc::new(site),
        })
    }

    /// Where a browser finds it.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address())
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Answers visitors until `stop` is set; see [`Listener::run`].
    ///
    /// # Errors
    /// [`Error::Listen`] when the system has no more descriptors for serving at all.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), Error> {
        let site = Arc::clone(&self.site);
        let served = self.listener.run(stop, move |request| site.answer(request));
        served.map_err(|source| Error::Listen {
            address: self.address(),
            source,
        })
    }
}

/// Which file was read last, and what it held: paging does not decode it anew.
type Cached = (PathBuf, SystemTime, Arc<Vec<RolloutRecord>>);

#[derive(Debug)]
struct Site {
    run: RunDir,
    cache: Mutex<Option<Cached>>,
}

impl Site {
    fn answer(&self, request: &Request) -> Response {
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
        let mut answer = page::rollouts(&page, usize::MAX);
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
        let mut cache = lock(&self.cache);
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
