//! Asking for candidates, row by row, until enough of them are right.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use percept_base::{lock, run_jobs};
use percept_chat::{ChatError, ChatFinish, ChatModel, ChatReply, ChatRequest, Turn};
use percept_data::{Dataset, Message, Role, Sample};
use percept_reward::{Answer, RewardSet, Verdict};

use crate::shared::Failure;
use crate::shared::output::note;

/// After this many consecutive rows without an answer the fault is not in the rows.
const MAX_FAILURES: usize = 10;

/// What is asked of whom.
pub struct Job<'a> {
    pub data: &'a dyn Dataset,
    pub rewards: &'a RewardSet,
    pub model: &'a dyn ChatModel,
    /// Instructions to the expert, which the row does not keep.
    pub system: Option<&'a str>,
    pub turn: Turn,
    /// At most this many candidates a row …
    pub candidates: usize,
    /// … and no further one when this many are right.
    pub keep: usize,
    /// Whether the trajectory holds the reasoning that the server tells apart.
    pub reasoning: bool,
    /// Maximum number of rows (0: all).
    pub limit: usize,
    pub quiet: bool,
}

/// What became of one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateGrade {
    Right,
    Wrong,
    /// Cut at the length limit or kept back by the server: no trajectory, whatever it says.
    Cut,
    Ungraded,
}

/// One candidate without its text.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub judged: CandidateGrade,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// What became of one row.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Right trajectories, in the order of the candidates.
    pub right: Vec<String>,
    pub tries: Vec<Candidate>,
    /// Why it was not asked: nothing could have been judged.
    pub skipped: Option<String>,
    /// Why an answer is missing.
    pub failed: Option<String>,
}

impl Outcome {
    fn is_open(&self, keep: usize) -> bool {
        self.right.len() < keep && self.skipped.is_none() && self.failed.is_none()
    }
}

/// A row under way.
struct Open {
    sample: Option<Sample>,
    outcome: Outcome,
}

struct Shared {
    outcomes: Vec<Option<Outcome>>,
    done: usize,
    right: usize,
    /// Rows without an answer since the last answer.
    failures: usize,
    stop: Option<Failure>,
    shown: Instant,
}

/// Asks for all rows; the outcomes are in the order of the rows.
pub fn all(job: &Job<'_>) -> Result<Vec<Outcome>, Failure> {
    let count = match job.limit {
        0 => job.data.len(),
        limit => limit.min(job.data.len()),
    };
    let calls = job.model.calls();
    let size = calls.requests.max(1);
    let shared = Mutex::new(Shared {
        outcomes: vec![None; count],
        done: 0,
        right: 0,
        failures: 0,
        stop: None,
        shown: Instant::now(),
    });
    let start = Instant::now();
    run_jobs(count.div_ceil(size), calls.at_once, |job_at| {
        let first = job_at * size;
        if lock(&shared).stop.is_some() {
            return ControlFlow::Break(());
        }
        chunk(job, first..count.min(first + size), &shared, start);
        ControlFlow::Continue(())
    });
    let shared = shared.into_inner().unwrap_or_else(|e| e.into_inner());
    match shared.stop {
        Some(failure) => Err(failure),
        None => Ok(shared.outcomes.into_iter().flatten().collect()),
    }
}

/// Candidates of neighbouring rows, which a local model decodes together.
fn chunk(job: &Job<'_>, range: std::ops::Range<usize>, shared: &Mutex<Shared>, start: Instant) {
    let mut rows: Vec<Open> = range.clone().map(|row| open(job, row)).collect();
    for candidate in 0..job.candidates {
        let asked: Vec<usize> = (0..rows.len())
            .filter(|&at| rows[at].outcome.is_open(job.keep))
            .collect();
        if asked.is_empty() {
            break;
        }
        let requests: Vec<ChatRequest> = asked
            .iter()
            .filter_map(|&at| rows[at].sample.as_ref())
            .map(|sample| request(job, sample, candidate))
            .collect();
        let answers = job.model.chat(&requests);
        if !settle(job, &mut rows, &asked, answers, shared) {
            return;
        }
    }
    let mut shared = lock(shared);
    for (row, open) in range.zip(rows) {
        shared.done += 1;
        shared.right += usize::from(!open.outcome.right.is_empty());
        shared.outcomes[row] = Some(open.outcome);
    }
    if !job.quiet && shared.shown.elapsed() > Duration::from_secs(5) {
        shared.shown = Instant::now();
        progress(job, &shared, start);
    }
}

fn progress(job: &Job<'_>, shared: &Shared, start: Instant) {
    let usage = job.model.usage();
    let (done, total) = (shared.done, shared.outcomes.len());
    let left = start.elapsed().as_secs_f64() / done as f64 * (total - done) as f64;
    note!(
        "{done} of {total} rows, {} verified, {} requests, {} retries, {left:.0} s left",
        shared.right,
        usage.requests,
        usage.retries.values().sum::<u64>()
    );
}

/// Reads a row and sees whether an answer to it could be judged at all.
fn open(job: &Job<'_>, row: usize) -> Open {
    let mut outcome = Outcome::default();
    let sample = match job.data.get(row) {
        Ok(sample) => sample,
        Err(error) => {
            outcome.failed = Some(error.to_string());
            return Open {
                sample: None,
                outcome,
            };
        }
    };
    let checked = match &sample.answer {
        Some(answer) => job.rewards.check_ground_truth(answer),
        // Some verifiers need none.
        None => match judge(job, &[(&sample, "", true, 0)]).pop() {
            Some(Verdict::Ungraded(reason)) => Err(reason),
            _ => Ok(()),
        },
    };
    outcome.skipped = checked.err().map(|why| format!("{}: {why}", sample.id));
    Open {
        sample: Some(sample),
        outcome,
    }
}

fn request(job: &Job<'_>, sample: &Sample, candidate: usize) -> ChatRequest {
    let turn = Turn {
        candidate,
        // Servers that sample by seed would repeat themselves.
        seed: job
            .turn
            .seed
            .map(|seed| seed.wrapping_add(candidate as u64)),
        ..job.turn.clone()
    };
    let request = ChatRequest::of(sample, turn);
    match job.system {
        Some(system) => request.with_system(system),
        None => request,
    }
}

/// Judges answers and notes what is missing; false when it makes no sense to go on.
fn settle(
    job: &Job<'_>,
    rows: &mut [Open],
    asked: &[usize],
    answers: Vec<Result<ChatReply, ChatError>>,
    shared: &Mutex<Shared>,
) -> bool {
    let mut replies = Vec::new();
    for (&at, answer) in asked.iter().zip(answers) {
        let mut shared = lock(shared);
        match answer {
            Ok(reply) => {
                shared.failures = 0;
                replies.push((at, trajectory(job, &reply), reply));
            }
            Err(error) => {
                shared.failures += 1;
                let stop = error.is_final() || shared.failures >= MAX_FAILURES;
                rows[at].outcome.failed = Some(error.to_string());
                if stop {
                    shared.stop.get_or_insert_with(|| error.into());
                    return false;
                }
                if !job.quiet {
                    note!("{error}");
                }
            }
        }
    }
    let answers: Vec<(&Sample, &str, bool, u64)> = replies
        .iter()
        .filter_map(|(at, text, reply)| {
            let finished = reply.finish_reason == ChatFinish::Stop;
            let sample = rows[*at].sample.as_ref()?;
            Some((sample, text.as_str(), finished, reply.completion_tokens))
        })
        .collect();
    let verdicts = judge(job, &answers);
    for ((at, text, reply), verdict) in replies.into_iter().zip(verdicts) {
        let judged = match verdict.score() {
            _ if reply.finish_reason != ChatFinish::Stop => CandidateGrade::Cut,
            None => CandidateGrade::Ungraded,
            Some(score) if score >= 1.0 => CandidateGrade::Right,
            Some(_) => CandidateGrade::Wrong,
        };
        let outcome = &mut rows[at].outcome;
        outcome.tries.push(Candidate {
            judged,
            prompt_tokens: reply.prompt_tokens,
            completion_tokens: reply.completion_tokens,
        });
        if judged == CandidateGrade::Right {
            outcome.right.push(text);
        }
    }
    true
}

fn trajectory(job: &Job<'_>, reply: &ChatReply) -> String {
    match job.reasoning {
        true => reply.trajectory(),
        false => reply.text.clone(),
    }
}

/// The verdict of the first reward function, which decides in training as well, for each
/// (row, text, finished, tokens).
fn judge(job: &Job<'_>, answers: &[(&Sample, &str, bool, u64)]) -> Vec<Verdict> {
    let prompts: Vec<String> = answers
        .iter()
        .map(|(sample, ..)| {
            let asked = sample.messages.iter().filter(|m| m.role == Role::User);
            asked
                .map(Message::plain_text)
                .collect::<Vec<_>>()
                .join("\n")
        })
        .collect();
    let views: Vec<Answer<'_>> = answers
        .iter()
        .zip(&prompts)
        .map(|(&(sample, text, finished, tokens), prompt)| Answer {
            completion: text,
            ground_truth: sample.answer.as_deref(),
            alternatives: &sample.alternatives,
            prompt,
            finished,
            n_tokens: tokens as usize,
            meta: &sample.meta,
            ..Answer::default()
        })
        .collect();
    let rewards = job.rewards.judge(&views).into_iter();
    let first = rewards.map(|reward| reward.parts.into_iter().next());
    first
        .map(|part| part.map_or_else(|| Verdict::Ungraded("no reward".into()), |(_, v)| v))
        .collect()
}
