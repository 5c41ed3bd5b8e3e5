//! A queue of numbered jobs on a few threads.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::lock;

/// Calls `job` for each of `0..count` on at most `at_once` threads, the calling one among them. Jobs start in order;
/// none starts after one has asked to break. Where the system gives fewer threads, fewer are used.
pub fn run_jobs(count: usize, at_once: usize, job: impl Fn(usize) -> ControlFlow<()> + Sync) {
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while !stopped.load(Ordering::SeqCst) {
            let at = next.fetch_add(1, Ordering::SeqCst);
            if at >= count {
                break;
            }
            if job(at).is_break() {
                stopped.store(true, Ordering::SeqCst);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..at_once.min(count) {
            if std::thread::Builder::new()
                .spawn_scoped(scope, work)
                .is_err()
            {
                break;
            }
        }
        work();
    });
}

/// The results of `job` for `0..count`, in this order, made on at most `at_once` threads.
///
/// ```
/// assert_eq!(percept_base::map_jobs(4, 2, |i| i * i), [0, 1, 4, 9]);
/// ```
pub fn map_jobs<R: Send>(count: usize, at_once: usize, job: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let results: Vec<Mutex<Option<R>>> = (0..count).map(|_| Mutex::new(None)).collect();
    run_jobs(count, at_once, |at| {
        let result = job(at);
        *lock(&results[at]) = Some(result);
        ControlFlow::Continue(())
    });
    let results = results.into_iter();
    results
        .filter_map(|result| result.into_inner().unwrap_or_else(|e| e.into_inner()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_and_results_are_in_order() {
        for at_once in [0, 1, 3, 100] {
            let done = AtomicUsize::new(0);
            let results = map_jobs(50, at_once, |at| {
                done.fetch_add(1, Ordering::SeqCst);
                at
            });
            assert!(results.into_iter().eq(0..50));
            assert_eq!(done.into_inner(), 50);
        }
        assert!(map_jobs(0, 4, |at| at).is_empty());
    }

    #[test]
    fn no_job_starts_after_one_has_asked_to_break() {
        let done = AtomicUsize::new(0);
        run_jobs(50, 1, |at| {
            done.fetch_add(1, Ordering::SeqCst);
            match at {
                10 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        assert_eq!(done.into_inner(), 11);
    }
}
