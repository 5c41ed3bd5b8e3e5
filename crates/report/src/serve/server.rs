//! The viewer: serves a run's report, made anew for each visit, and all of its rollouts and pairs.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the report, which asks the paths below |
//! | `/api/metrics` | summary, metrics in columns, steps with rollouts |
//! | `/api/rollouts?step=&question_type=&verdict=&offset=&limit=` | a page of rollouts of one step |
//! | `/api/pairs?step=&margin=negative&offset=&limit=` | a page of pairs of one step |
//! | `/files/…` | `recipe.toml`, `metrics.jsonl`, `summary.json`, `rollouts/*.parquet`, `pairs/*.parquet` of the run folder |

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use percept_http::server::{Listener, Request, Response};

use crate::page::{Budget, Report, render_live};
use crate::run::RolloutRecord;
use crate::serve::cache::Cache;
use crate::serve::files::file;
use crate::serve::pairs::pairs;
use crate::serve::rollouts::rollouts;
use crate::{Error, PairRecord, RunDir};

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
            rollouts: Cache::default(),
            pairs: Cache::default(),
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

#[derive(Debug)]
struct Site {
    run: RunDir,
    rollouts: Cache<RolloutRecord>,
    pairs: Cache<PairRecord>,
}

impl Site {
    fn answer(&self, request: &Request) -> Response {
        let answer = match request.path.as_str() {
            "/" => self.page(),
            "/api/metrics" => self.metrics(),
            "/api/rollouts" => rollouts(&self.run, &self.rollouts, request),
            "/api/pairs" => pairs(&self.run, &self.pairs, request),
            path => match path.strip_prefix("/files/") {
                Some(name) => return file(self.run.path(), name),
                None => return Response::error(404, "there is nothing here"),
            },
        };
        answer.unwrap_or_else(|error| Response::error(500, &error.to_string()))
    }

    fn page(&self) -> Result<Response, Error> {
        let report = Report::without_rollouts(&self.run, Budget::SERVED)?;
        let html = render_live(&report, &self.run.rollout_steps()?, &self.run.pair_steps()?);
        Ok(Response::new(200, "text/html; charset=utf-8", html))
    }

    fn metrics(&self) -> Result<Response, Error> {
        let report = Report::without_rollouts(&self.run, Budget::NONE)?;
        let data = report.live_data(&self.run.rollout_steps()?, &self.run.pair_steps()?);
        Ok(Response::new(200, "application/json", data.to_string()))
    }
}
