//! What a verifier says besides verdicts, so that a person sees it once and not once for each response.

use std::collections::HashSet;

use percept_base::without_numbers;

/// Lines of standard error that are shown of one batch: its last new ones.
const LINES: usize = 5;

/// Messages that are shown of one verifier in one run.
const MESSAGES: usize = 20;

/// Characters of a message by which it is known again.
const LETTERS: usize = 4000;

/// Tracebacks and lines of standard error that were not shown yet.
#[derive(Debug, Default)]
pub(super) struct Log {
    known: HashSet<String>,
    new: Vec<String>,
    shown: usize,
}

impl Log {
    /// The function raised an exception; the same one again is no news.
    pub(super) fn raised(&mut self, traceback: &str) {
        if self.known.insert(without_numbers(traceback, LETTERS)) {
            self.push(traceback.trim_end().to_owned());
        }
    }

    /// The process wrote to standard error.
    pub(super) fn wrote(&mut self, text: &str) {
        let new: Vec<&str> = text
            .lines()
            .filter(|line| {
                !line.trim().is_empty() && self.known.insert(without_numbers(line, LETTERS))
            })
            .collect();
        if new.is_empty() {
            return;
        }
        let last = &new[new.len().saturating_sub(LINES)..];
        self.push(format!("wrote to standard error:\n{}", last.join("\n")));
    }

    fn push(&mut self, message: String) {
        self.shown += 1;
        if self.shown < MESSAGES {
            self.new.push(message);
        } else if self.shown == MESSAGES {
            self.new.push(format!(
                "{message}\n(more of its messages will not be shown)"
            ));
            // What would not be shown need not be known either.
            self.known = HashSet::new();
        }
    }

    /// The messages since the last call.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_once_whatever_its_numbers() {
        let mut log = Log::default();
        log.wrote("loading\nrow 1 failed\nrow 22 failed");
        log.raised("ValueError: no such answer 5");
        assert_eq!(
            log.take(),
            [
                "wrote to standard error:\nloading\nrow 1 failed",
                "ValueError: no such answer 5"
            ]
        );
        log.wrote("row 3 failed");
        log.raised("ValueError: no such answer 6");
        assert!(log.take().is_empty());
    }

    #[test]
    fn what_never_ends_is_cut_off_with_a_word() {
        let mut log = Log::default();
        for letter in 0..200 {
            log.wrote(&"x".repeat(letter + 1));
        }
        let shown = log.take();
        assert_eq!(shown.len(), MESSAGES);
        assert!(shown[MESSAGES - 1].contains("will not be shown"));
    }
}
