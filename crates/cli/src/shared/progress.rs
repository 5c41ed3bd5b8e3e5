//! What a running training shows: bars on a terminal, lines in a log, JSON on request.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use percept_chat::ChatError;
use percept_train::{Event, Metrics, Observer};

use crate::shared::output::{note, visible};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Bars on a terminal, a line now and then in a log.
    Human,
    /// One JSON object per event on standard output.
    Json,
    /// Nothing.
    Quiet,
}

/// One line whatever the width of the terminal: `wide_msg` ends at its edge. At 80 columns the
/// message has 34 of them.
const BAR: &str = "{prefix:>5} {bar:14} {pos}/{len} {elapsed} left {eta} {wide_msg}";

/// At most one line of progress in this time, in a log and on a terminal.
const EVERY: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(1)];

/// A line "DONE of TOTAL" while a command works through rows: now and then, and at the end.
pub struct Counter {
    quiet: bool,
    label: String,
    shown: Option<Instant>,
    every: Duration,
}

impl Counter {
    /// Says nothing where `quiet`.
    pub fn new(label: &str, quiet: bool) -> Self {
        Self {
            quiet,
            label: label.to_owned(),
            shown: None,
            every: EVERY[usize::from(std::io::stderr().is_terminal())],
        }
    }

    /// `done` of `total`, where enough time has passed or all is done.
    pub fn tell(&mut self, done: usize, total: usize, unit: &str) {
        let waited = self.shown.is_none_or(|when| when.elapsed() >= self.every);
        if self.quiet || !(waited || done == total) {
            return;
        }
        self.shown = Some(Instant::now());
        note!("{}{done} of {total} {unit}", self.label);
    }
}

/// Lines while a model is asked: how far it is, and what has no answer.
pub struct AskProgress {
    quiet: bool,
    unit: &'static str,
    total: usize,
    start: Instant,
    shown: Instant,
}

impl AskProgress {
    /// Says nothing where `quiet`; `unit` is what is counted.
    pub fn new(unit: &'static str, total: usize, quiet: bool) -> Self {
        let now = Instant::now();
        Self {
            quiet,
            unit,
            total,
            start: now,
            shown: now,
        }
    }

    /// `done` are done; the last one has no answer where there is an error.
    pub fn tell(&mut self, done: usize, error: Option<&ChatError>) {
        if self.quiet {
            return;
        }
        if let Some(error) = error {
            note!("{error}");
        }
        if self.shown.elapsed() > Duration::from_secs(5) {
            self.shown = Instant::now();
            let (total, unit) = (self.total, self.unit);
            let left = self.start.elapsed().as_secs_f64() / done as f64 * (total - done) as f64;
            note!("{done} of {total} {unit}, {left:.0} s left");
        }
    }
}

/// Shows the events of a run on standard error.
pub struct Progress {
    mode: Mode,
    bar: Option<ProgressBar>,
    terminal: bool,
    lines: usize,
    /// Logs get a line this often, in steps.
    every: usize,
}

impl Progress {
    /// Nothing is shown before the first event.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            bar: None,
            terminal: std::io::stderr().is_terminal(),
            lines: 0,
            every: 10,
        }
    }

    /// Takes the bar away, for a result to be printed.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn start(&mut self, label: &str, done: usize, total: usize) {
        self.finish();
        if !self.terminal {
            self.say(&format!("{label}: {total} steps{}", resumed(done)));
            self.every = (total / 20).max(1);
            return;
        }
        let style = ProgressStyle::with_template(BAR);
        let bar = ProgressBar::new(total as u64).with_prefix(label.to_owned());
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = style {
            bar.set_style(style);
        }
        // Steps of an earlier process say nothing about this one's speed.
        bar.set_position(done as u64);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(500));
        self.bar = Some(bar);
    }

    fn say(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note!("{line}")),
            None => note!("{line}"),
        }
    }

    /// Something that goes on between steps, with a bar of its own.
    fn part(&mut self, name: &str, done: usize, total: usize) {
        if !self.terminal {
            return;
        }
        if self.bar.as_ref().is_none_or(|bar| bar.prefix() != name) {
            self.start(name, 0, total);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
    }

    fn human(&mut self, event: &Event<'_>) {
        match event {
            Event::StageStarted { stage, done, total } => {
                self.lines = *done;
                self.start(stage, *done, *total);
            }
            Event::Step {
                stage,
                done,
                metrics,
            } => {
                let line = summary(metrics);
                match &self.bar {
                    Some(bar) => {
                        bar.set_position(*done as u64);
                        bar.set_message(line);
                    }
                    None if done % self.every == 0 => {
                        note!("  {stage} {done:>5}  {line}");
                    }
                    None => {}
                }
            }
            Event::Precomputing { done, total } => self.part("reference", *done, *total),
            Event::Evaluating { done, total } => self.part("eval", *done, *total),
            Event::Evaluated { name, accuracy } => {
                if self.bar.as_ref().is_some_and(|bar| bar.prefix() == "eval") {
                    self.finish();
                }
                self.say(&format!("  accuracy ({name}): {:.1} %", accuracy * 100.0));
            }
            Event::Saved { .. } => {}
            Event::Notice(text) => self.say(&format!("note: {text}")),
            Event::Warning { message, .. } => self.say(&format!("warning: {message}")),
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: Event<'_>) {
        match self.mode {
            // Warnings are shown in quiet mode too.
            Mode::Quiet => {
                if let Event::Warning { message, .. } = &event {
                    note!("warning: {message}");
                }
            }
            Mode::Human => self.human(&event),
            Mode::Json => {
                let mut out = std::io::stdout().lock();
                // A closed pipe must not stop the training.
                let _ = writeln!(out, "{}", visible(&json(&event).to_string()));
            }
        }
    }
}

fn resumed(done: usize) -> String {
    if done == 0 {
        String::new()
    } else {
        format!(", {done} done before")
    }
}

fn get(metrics: &Metrics, name: &str) -> Option<f64> {
    metrics
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| *value)
}

/// The metrics that a person watches, with their labels and digits; a stage has those that it measures.
const WATCHED: [(&str, &str, usize); 7] = [
    ("loss", "train/loss", 3),
    ("grad", "train/grad_norm", 2),
    ("margin", "rewards/margins", 3),
    ("accuracy", "rewards/accuracies", 2),
    ("reward", "critic/rewards/mean", 3),
    ("len", "response_length/mean", 1),
    ("entropy", "actor/entropy", 3),
];

/// The numbers that a person watches, in one line.
fn summary(metrics: &Metrics) -> String {
    let mut parts: Vec<String> = WATCHED
        .iter()
        .filter_map(|(label, name, digits)| {
            get(metrics, name).map(|value| format!("{label} {value:.digits$}"))
        })
        .collect();
    // In float32 sampler and trainer agree to the last digits, and the gap is not shown.
    if let Some(gap) = get(metrics, "training/rollout_probs_diff_mean").filter(|g| *g >= 5e-5) {
        parts.push(format!("mismatch {gap:.4}"));
    }
    if let Some(rate) = get(metrics, "perf/throughput") {
        parts.push(format!("{:.1}k tok/s", rate / 1000.0));
    }
    parts.join("  ")
}

fn json(event: &Event<'_>) -> serde_json::Value {
    match event {
        Event::StageStarted { stage, done, total } => serde_json::json!({
            "event": "stage", "stage": stage, "done": done, "total": total,
        }),
        Event::Step {
            stage,
            done,
            metrics,
        } => {
            let numbers: serde_json::Map<String, serde_json::Value> = metrics
                .iter()
                .map(|(name, value)| (name.clone(), (*value).into()))
                .collect();
            serde_json::json!({
                "event": "step", "stage": stage, "done": done, "metrics": numbers,
            })
        }
        Event::Precomputing { done, total } => {
            serde_json::json!({"event": "precomputing", "done": done, "total": total})
        }
        Event::Evaluating { done, total } => {
            serde_json::json!({"event": "evaluating", "done": done, "total": total})
        }
        Event::Evaluated { name, accuracy } => {
            serde_json::json!({"event": "evaluated", "name": name, "accuracy": accuracy})
        }
        Event::Saved { path } => serde_json::json!({"event": "saved", "path": path}),
        Event::Warning { kind, message } => {
            serde_json::json!({"event": "warning", "kind": kind, "message": message})
        }
        Event::Notice(text) => serde_json::json!({"event": "notice", "text": text}),
    }
}
