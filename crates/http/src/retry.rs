//! When to try again: exponential backoff with jitter, and the server's `Retry-After`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percept_base::random::uniform;

/// How often and after which pauses a request is sent again.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all. 8 with the pauses below wait two minutes before they give up: a server that
    /// restarts is back by then.
    pub attempts: u32,
    /// The first pause is between this and twice this; each further one is twice as long.
    pub first: Duration,
    /// No pause of ours is longer.
    pub longest: Duration,
    /// The longest `Retry-After` that is obeyed; a longer one ends the request.
    pub longest_wait: Duration,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 8,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            longest_wait: Duration::from_secs(600),
            seed: 0,
        }
    }
}

impl RetryPolicy {
    /// The pause after failure `attempt` (from 0) of a request: between a half and the whole of
    /// `first · 2^(attempt + 1)`, so that requests that failed together do not return together.
    /// A function of the seed, the request and the attempt alone.
    pub fn pause(&self, request: u64, attempt: u32) -> Duration {
        let doubled = self.first.as_secs_f64() * 2f64.powi(attempt.min(40) as i32 + 1);
        let whole = doubled.min(self.longest.as_secs_f64());
        let u = uniform(self.seed, request, 0, u64::from(attempt));
        Duration::from_secs_f64(whole * (0.5 + 0.5 * u))
    }
}

/// The pause that a `Retry-After` header asks for: seconds, or a date of RFC 9110 (IMF-fixdate;
/// the past is no pause). None for anything else.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use percept_http::retry_after;
///
/// assert_eq!(retry_after("7", SystemTime::now()), Some(Duration::from_secs(7)));
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
/// let date = "Sun, 06 Nov 1994 08:49:37 GMT";
/// assert_eq!(retry_after(date, now), Some(Duration::from_secs(7)));
/// ```
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    // Some servers send fractions.
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then = UNIX_EPOCH.checked_add(Duration::from_secs(imf_fixdate(value)?))?;
    Some(then.duration_since(now).unwrap_or(Duration::ZERO))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as seconds since 1970.
fn imf_fixdate(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split_ascii_whitespace();
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|m| *m == name)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<u64>);
    let mut next = || clock.next()?.ok();
    let (hour, minute, second) = (next()?, next()?, next()?);
    let zone = words.next()?;
    let ok = (1..=31).contains(&day) && (1970..=9999).contains(&year) && zone == "GMT";
    if !ok || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = u64::try_from(days_since_1970(year, month, day)).ok()?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Howard Hinnant's `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_their_jitter_up_to_the_longest_and_repeat_by_seed() {
        let policy = RetryPolicy::default();
        for attempt in 0..12 {
            let whole = (2f64.powi(attempt as i32 + 1)).min(60.0);
            let pauses: Vec<f64> = (0..200)
                .map(|request| policy.pause(request, attempt).as_secs_f64())
                .collect();
            assert!(pauses.iter().all(|p| (whole / 2.0..=whole).contains(p)));
            let mean = pauses.iter().sum::<f64>() / 200.0;
            assert!((mean / whole - 0.75).abs() < 0.05, "{mean} of {whole}");
            assert_eq!(policy.pause(7, attempt), policy.pause(7, attempt));
        }
        let other = RetryPolicy {
            seed: 1,
            ..policy.clone()
        };
        assert_ne!(policy.pause(7, 3), other.pause(7, 3));
        assert!(policy.pause(7, u32::MAX) <= policy.longest);
    }

    #[test]
    fn dates_are_read_and_nonsense_is_not() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let wait = |text: &str, now| retry_after(text, at(now)).map(|d| d.as_secs());
        assert_eq!(
            wait("Tue, 29 Feb 2028 23:59:59 GMT", 1_835_481_590),
            Some(9)
        );
        assert_eq!(wait("Thu, 01 Jan 1970 00:01:00 GMT", 0), Some(60));
        assert_eq!(wait("Thu, 01 Jan 1970 00:01:00 GMT", 99), Some(0));
        assert_eq!(wait(" 120 ", 0), Some(120));
        assert_eq!(wait("0.5", 0), Some(0));
        for nonsense in [
            "",
            "soon",
            "-1",
            "NaN",
            "inf",
            "1e300",
            "Thu, 01 Foo 1970 00:01:00 GMT",
        ] {
            assert_eq!(wait(nonsense, 0), None, "{nonsense}");
        }
    }
}
