//! What a run says to the outside, and what of it an error may quote.

use std::collections::VecDeque;

use crate::run::observer::{Event, Observer};

/// Messages of reward functions that an error quotes.
const QUOTED: usize = 3;

/// Where a run says things.
pub struct News<'a> {
    observer: &'a mut dyn Observer,
    said: VecDeque<String>,
}

impl<'a> News<'a> {
    /// Tells `observer`.
    pub(crate) fn new(observer: &'a mut dyn Observer) -> Self {
        Self {
            observer,
            said: VecDeque::new(),
        }
    }

    /// Something happened.
    pub(crate) fn event(&mut self, event: Event<'_>) {
        self.observer.event(event);
    }

    /// Something a user should know.
    pub(crate) fn notice(&mut self, text: String) {
        self.observer.event(Event::Notice(text));
    }

    /// Passes on what the reward functions' own code said.
    pub(crate) fn pass_on(&mut self, messages: Vec<String>) {
        for message in messages {
            self.notice(format!("reward function {message}"));
            self.said.push_back(message);
            if self.said.len() > QUOTED {
                self.said.pop_front();
            }
        }
    }

    /// What the reward functions' own code said last.
    pub(crate) fn said(&self) -> impl Iterator<Item = &String> {
        self.said.iter()
    }
}
