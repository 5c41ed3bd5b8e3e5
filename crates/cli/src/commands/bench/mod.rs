//! `percept bench`: what this machine does, beside its own limits and, where Python is present,
//! beside PyTorch, transformers and TRL in the same run.
//!
//! A number is the best of several repetitions: noise only ever adds time, on both sides.

mod args;
mod engine;
mod grpo;
mod long;
mod measure;
mod peer;
mod row;
mod subject;
mod suite;
mod suites;
mod work;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, table};
pub use args::Bench;
use row::Row;
use suite::Suite;

/// What a run of the command leaves with `--output`.
#[derive(Debug, Serialize, Deserialize)]
struct Results {
    processor: String,
    threads: usize,
    /// Where operators and training steps ran, with the name the driver gives it.
    #[serde(default)]
    device: String,
    version: String,
    peer: Option<String>,
    rows: Vec<Row>,
}

pub fn run(args: &Bench, global: &Global) -> Result<Done, Failure> {
    if let Some(suite) = args.child {
        let mut rows = Vec::new();
        let device = percept_nn::parse_device(&args.device)?;
        let folder = args.folder.clone().unwrap_or_else(std::env::temp_dir);
        let repeat = args.repeat.max(1);
        suites::run(suite, &device, repeat, &folder, &mut rows)?;
        say!("{}", serde_json::to_string(&rows)?);
        return Ok(Done::Well);
    }
    let before: Option<Results> = match &args.baseline {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path)
                .map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
            let found = serde_json::from_slice(&bytes).map_err(|e| {
                Failure::new(format!(
                    "{}: {e}\n  help: give a file that `percept bench --output` wrote",
                    path.display()
                ))
            })?;
            Some(found)
        }
    };
    let device = percept_nn::parse_device(&args.device)?;
    let mut found = Results {
        processor: measure::processor(),
        threads: measure::threads(),
        device: match percept_nn::device_model(&device) {
            None => args.device.clone(),
            Some(model) => format!("{} ({model})", args.device),
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        peer: None,
        rows: Vec::new(),
    };
    for &suite in &args.suites() {
        if !global.quiet {
            note!("{}", suite.name());
        }
        let folder = tempfile::Builder::new()
            .prefix("percept-bench-")
            .tempdir()
            .map_err(|e| Failure::new(format!("{}: {e}", std::env::temp_dir().display())))?;
        let rows = own(suite, args, folder.path())?;
        let any = !rows.is_empty();
        found.rows.extend(rows);
        // The peer runs on the processor.
        if any && !args.no_peer && args.device == "cpu" {
            ask_peer(suite, args, folder.path(), &mut found);
        }
    }
    let of = |name: &str| {
        found
            .rows
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.percept)
    };
    if let (Some(gflops), Some(gigabytes)) = (of("roofline/product"), of("roofline/copy")) {
        let bf16 = of("roofline/product, bf16");
        for row in &mut found.rows {
            let gflops = match row.name.contains("bf16") {
                true => bf16,
                false => Some(gflops),
            };
            row.roofline = gflops.and_then(|gflops| work::limit(row, gflops, gigabytes));
        }
    }
    if let Some(path) = &args.output {
        percept_base::files::write_atomic(path, &serde_json::to_vec_pretty(&found)?)?;
    }
    if global.json {
        say!("{}", serde_json::to_string(&found)?);
        return Ok(Done::Well);
    }
    let peer = found.peer.as_deref().unwrap_or("no peer");
    note!(
        "{} × {} threads; on {}; {peer}",
        found.processor,
        found.threads,
        found.device
    );
    let before = before.map(|before| before.rows);
    crate::shared::output::result(format_args!(
        "{}",
        table::format(&lines(&found.rows, before.as_deref()))
    ))?;
    Ok(Done::Well)
}

/// Runs a suite in a process of its own: its memory is its own, and what another suite left in the
/// allocator speeds nothing up.
fn own(suite: Suite, args: &Bench, folder: &Path) -> Result<Vec<Row>, Failure> {
    let done = std::process::Command::new(std::env::current_exe()?)
        .args(["bench", "--child", suite.name()])
        .args(["--repeat", &args.repeat.to_string()])
        .args(["--device", &args.device])
        .arg("--folder")
        .arg(folder)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !done.status.success() {
        let name = suite.name();
        return Err(Failure::new(format!(
            "suite {name}: ended with {}",
            done.status
        )));
    }
    Ok(serde_json::from_slice(&done.stdout)?)
}

fn ask_peer(suite: Suite, args: &Bench, folder: &Path, found: &mut Results) {
    let repeat = args.repeat.max(1);
    match peer::ask(&args.python, suite, found.threads, repeat, folder) {
        Ok(answer) => {
            // Of two lists of libraries, one begins with the other.
            let longest = found.peer.take().filter(|v| v.len() > answer.version.len());
            found.peer = longest.or(Some(answer.version));
            for row in &mut found.rows {
                row.peer = row.peer.or_else(|| answer.rows.get(&row.name).copied());
            }
        }
        Err(reason) => note!("no peer: {reason}"),
    }
}

fn lines(rows: &[Row], before: Option<&[Row]>) -> Vec<Vec<String>> {
    let known: BTreeMap<&str, f64> = before
        .unwrap_or_default()
        .iter()
        .map(|row| (row.name.as_str(), row.percept))
        .collect();
    let mut head = vec![
        "", "unit", "percept", "without", "×", "peer", "×", "roofline", "share",
    ];
    if before.is_some() {
        head.extend(["before", "×"]);
    }
    let mut lines = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(|| "–".into(), short);
        let times = |value: Option<f64>| {
            value.map_or_else(
                || "–".into(),
                |value| format!("{:.2}", row.unit.ratio(row.percept, value)),
            )
        };
        let mut line = vec![row.name.clone(), row.unit.name().into(), short(row.percept)];
        for value in [row.without, row.peer, row.roofline] {
            line.extend([number(value), times(value)]);
        }
        if before.is_some() {
            let value = known.get(row.name.as_str()).copied();
            line.extend([number(value), times(value)]);
        }
        lines.push(line);
    }
    lines
}

/// Three or more significant digits.
fn short(value: f64) -> String {
    match value.abs() {
        x if x >= 100.0 => format!("{value:.0}"),
        x if x >= 10.0 => format!("{value:.1}"),
        x if x >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
