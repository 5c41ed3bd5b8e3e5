//! How fast requests leave: so many at once, so many a minute, none while the server asks to wait.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use percept_base::lock;

/// The gate that every attempt passes.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
    freed: Condvar,
    at_once: usize,
    /// Time between two departures; zero where no rate is given.
    apart: Duration,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    /// No request leaves before.
    next: Instant,
}

/// A request under way; dropping it lets another one leave.
pub(crate) struct Permit<'a>(&'a Pace);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).under_way -= 1;
        self.0.freed.notify_one();
    }
}

impl Pace {
    pub(crate) fn new(at_once: usize, per_minute: Option<f64>) -> Self {
        Self {
            state: Mutex::new(State {
                under_way: 0,
                next: Instant::now(),
            }),
            freed: Condvar::new(),
            at_once,
            apart: per_minute.map_or(Duration::ZERO, |rate| {
                Duration::try_from_secs_f64(60.0 / rate).unwrap_or(Duration::MAX)
            }),
        }
    }

    /// Waits for the turn of one request.
    pub(crate) fn enter(&self) -> Permit<'_> {
        let mut state = lock(&self.state);
        while state.under_way >= self.at_once {
            state = self.freed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        state.under_way += 1;
        let permit = Permit(self);
        loop {
            let now = Instant::now();
            if state.next <= now {
                state.next = now.checked_add(self.apart).unwrap_or(now);
                drop(state);
                return permit;
            }
            // The time may have moved on while this request slept.
            let wait = state.next - now;
            drop(state);
            std::thread::sleep(wait);
            state = lock(&self.state);
        }
    }

    /// Lets nothing leave for a while: what one request was told holds for all.
    pub(crate) fn hold(&self, pause: Duration) {
        let mut state = lock(&self.state);
        if let Some(until) = Instant::now().checked_add(pause) {
            state.next = state.next.max(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_than_the_limit_are_under_way() {
        let pace = Pace::new(3, None);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let _permit = pace.enter();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.into_inner(), 3);
    }

    #[test]
    fn departures_are_apart_and_a_hold_holds_all() {
        let pace = Pace::new(8, Some(1200.0));
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| drop(pace.enter()));
            }
        });
        assert!(start.elapsed() >= Duration::from_millis(200));
        let start = Instant::now();
        pace.hold(Duration::from_millis(120));
        drop(pace.enter());
        assert!(start.elapsed() >= Duration::from_millis(120));
    }
}
