//! Requests and replies with a subprocess that may hang, crash or print rubbish.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::log::Log;
use super::request::Request;
use super::worker::{Output, Worker};
use crate::{Answer, Error, Verdict};

/// How a subprocess is run and how long is waited for it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) command: Vec<OsString>,
    /// Folder in which it runs; none: the working directory.
    pub(super) cwd: Option<PathBuf>,
    /// Time for one verdict.
    pub(super) timeout: Duration,
    /// Time until a first line `{"ready": true}`; none: the process says nothing first.
    pub(super) startup: Option<Duration>,
    /// Failures in a row after which the rest of a batch is given up.
    pub(super) max_restarts: usize,
}

/// A subprocess that is started again when it fails.
pub(super) struct Session {
    plan: Plan,
    state: Mutex<State>,
}

struct State {
    worker: Option<Worker>,
    next_id: u64,
    /// Since the session began; named in reasons.
    restarts: usize,
    log: Log,
}

/// Why there is no verdict; the process is no longer to be trusted.
struct Failure(String);

impl Session {
    /// Starts the process, so that a wrong command is found before training.
    pub(super) fn start(plan: Plan, help: &str) -> Result<Self, Error> {
        let mut log = Log::default();
        let worker = launch(&plan, &mut log).map_err(|Failure(reason)| Error::Start {
            function: String::new(),
            command: shown(&plan.command),
            reason,
            help: help.to_owned(),
        })?;
        Ok(Self {
            plan,
            state: Mutex::new(State {
                worker: Some(worker),
                next_id: 0,
                restarts: 0,
                log,
            }),
        })
    }

    /// One verdict per answer. Takes at most
    /// `answers × timeout + failures × startup` and never hangs.
    pub(super) fn judge(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        let batch: Vec<Request<'_>> = batch.iter().map(Request::alone).collect();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut verdicts = Vec::with_capacity(batch.len());
        let mut failures = 0;
        while verdicts.len() < batch.len() {
            let done = verdicts.len();
            let outcome = state.run(&self.plan, &batch[done..], &mut verdicts);
            if verdicts.len() > done {
                failures = 0;
            }
            let Err(Failure(reason)) = outcome else {
                continue;
            };
            failures += 1;
            // The answer at which it failed; the process starts again for the next one.
            verdicts.push(state.failed(&reason));
            if failures > self.plan.max_restarts {
                verdicts.resize(batch.len(), state.given_up(failures, &reason));
            }
        }
        state.listen();
        verdicts
    }

    /// One verdict per answer of bundles that the process sees whole: where it fails, no answer of that bundle has a
    /// verdict, since the rest of a bundle alone is another question.
    pub(super) fn judge_bundles(&self, bundles: &[Vec<Request<'_>>]) -> Vec<Vec<Verdict>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::with_capacity(bundles.len());
        let mut failures = 0;
        let mut given_up = None;
        for bundle in bundles {
            if let Some(verdict) = &given_up {
                all.push(vec![Verdict::clone(verdict); bundle.len()]);
                continue;
            }
            let mut verdicts = Vec::with_capacity(bundle.len());
            match state.run(&self.plan, bundle, &mut verdicts) {
                Ok(()) => failures = 0,
                Err(Failure(reason)) => {
                    failures += 1;
                    verdicts = vec![state.failed(&reason); bundle.len()];
                    given_up = (failures > self.plan.max_restarts)
                        .then(|| state.given_up(failures, &reason));
                }
            }
            all.push(verdicts);
        }
        state.listen();
        all
    }

    /// What the process said besides verdicts since the last call, each text once.
    pub(super) fn messages(&self) -> Vec<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.log.take()
    }
}

impl State {
    /// The process failed; the verdict on what it was asked.
    fn failed(&mut self, reason: &str) -> Verdict {
        self.worker = None;
        self.restarts += 1;
        Verdict::Ungraded(reason.to_owned())
    }

    /// The verdict on what is not asked any more.
    fn given_up(&self, failures: usize, reason: &str) -> Verdict {
        Verdict::Ungraded(format!(
            "not judged: the verifier failed {failures} times in a row ({} in this run), last: {reason}",
            self.restarts
        ))
    }

    /// Takes what the process wrote to standard error.
    fn listen(&mut self) {
        if let Some(worker) = &mut self.worker {
            self.log.wrote(&worker.new_log());
        }
    }

    /// Judges answers from the first one on until all are judged or the process fails.
    fn run(
        &mut self,
        plan: &Plan,
        requests: &[Request<'_>],
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), Failure> {
        if self
            .worker
            .as_mut()
            .is_some_and(|worker| !worker.is_alive())
        {
            self.worker = None; // it ended between two batches
        }
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => launch(plan, &mut self.log)?,
        };
        let first = self.next_id;
        self.next_id += requests.len() as u64;
        for (at, request) in requests.iter().enumerate() {
            worker.send(&request.line(first + at as u64, at + 1 < requests.len()));
        }
        for id in first..self.next_id {
            let reply = next_line(&mut worker, plan.timeout, "no verdict")
                .and_then(|line| verdict(&line, id, &mut self.log));
            match reply {
                Ok(verdict) => verdicts.push(verdict),
                Err(failure) => return Err(explained(failure, worker, &mut self.log)),
            }
        }
        self.worker = Some(worker);
        Ok(())
    }
}

fn launch(plan: &Plan, log: &mut Log) -> Result<Worker, Failure> {
    let mut worker = Worker::start(&plan.command, plan.cwd.as_deref())
        .map_err(|reason| Failure(format!("the verifier does not start: {reason}")))?;
    let Some(startup) = plan.startup else {
        return Ok(worker);
    };
    let ready = next_line(&mut worker, startup, "not ready").and_then(|line| {
        let value: Value = serde_json::from_str(&line).map_err(|_| rubbish(&line))?;
        match (value["ready"].as_bool(), value["reason"].as_str()) {
            (Some(true), _) => Ok(()),
            (_, Some(reason)) => Err(Failure(reason.to_owned())),
            _ => Err(rubbish(&line)),
        }
    });
    match ready {
        Ok(()) => Ok(worker),
        Err(failure) => Err(explained(failure, worker, log)),
    }
}

/// The next line.
fn next_line(worker: &mut Worker, timeout: Duration, what: &str) -> Result<String, Failure> {
    match worker.receive(Instant::now() + timeout) {
        Output::Line(line) => Ok(line),
        Output::TooLong => Err(Failure("the verifier wrote a line without an end".into())),
        Output::Closed => Err(Failure("the verifier closed its output".into())),
        Output::Deadline => Err(Failure(format!(
            "{what} within {} s; the verifier was killed",
            timeout.as_secs_f64()
        ))),
    }
}

/// The reason with how the process ended. What it wrote to standard error goes to the log as well.
fn explained(Failure(reason): Failure, mut worker: Worker, log: &mut Log) -> Failure {
    log.wrote(&worker.new_log());
    let details = worker.post_mortem();
    Failure(if details.is_empty() {
        reason
    } else {
        format!("{reason} ({details})")
    })
}

fn rubbish(line: &str) -> Failure {
    let shown: String = line.chars().take(100).collect();
    Failure(format!(
        "the verifier wrote `{shown}`, expected {{\"id\": …, \"score\": …}}"
    ))
}

fn verdict(line: &str, id: u64, log: &mut Log) -> Result<Verdict, Failure> {
    let reply: Value = serde_json::from_str(line).map_err(|_| rubbish(line))?;
    if let Some(traceback) = reply["traceback"].as_str() {
        log.raised(traceback);
    }
    if reply["id"].as_u64() != Some(id) {
        return Err(Failure(format!(
            "the verifier answered request {}, expected {id}",
            reply["id"]
        )));
    }
    let reason = reply["reason"]
        .as_str()
        .unwrap_or("the verifier gave no score");
    match &reply["score"] {
        Value::Number(score) => match score.as_f64().filter(|score| score.is_finite()) {
            Some(score) => Ok(Verdict::Score(score)),
            None => Ok(Verdict::Ungraded(format!("the score is {score}"))),
        },
        Value::Bool(right) => Ok(Verdict::right(*right)),
        Value::Null if reply.get("score").is_some() => Ok(Verdict::Ungraded(reason.to_owned())),
        _ => Err(rubbish(line)),
    }
}

/// The command line for a message; the embedded shim is not shown.
fn shown(command: &[OsString]) -> String {
    let words: Vec<_> = command
        .iter()
        .map(|word| word.to_string_lossy())
        .filter(|word| !word.is_empty())
        .map(|word| {
            if word.contains('\n') {
                "…".into()
            } else {
                word
            }
        })
        .collect();
    words.join(" ")
}
