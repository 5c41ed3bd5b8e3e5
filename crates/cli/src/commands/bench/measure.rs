//! Time, memory and the machine.

use std::time::Instant;

/// Milliseconds of the fastest of `repeat` runs, after one that does not count.
pub fn best(repeat: usize, mut work: impl FnMut()) -> f64 {
    work();
    (0..repeat)
        .map(|_| {
            let clock = Instant::now();
            work();
            clock.elapsed().as_secs_f64() * 1e3
        })
        .fold(f64::INFINITY, f64::min)
}

/// The middle of an odd number of values, or the upper one of the two in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Mebibytes of this process at its peak so far, above `before`; none where the system does not tell
/// (only Linux does).
pub fn peak_since(before: Option<f64>) -> Option<f64> {
    Some((status("VmHWM:")? / 1024.0 - before?).max(0.0))
}

/// Mebibytes of this process now.
pub fn memory() -> Option<f64> {
    Some(status("VmRSS:")? / 1024.0)
}

/// A line of `/proc/self/status`, in KiB.
fn status(key: &str) -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Worker threads.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Name of the processor.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
