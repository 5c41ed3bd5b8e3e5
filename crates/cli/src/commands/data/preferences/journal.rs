//! What is said of journals.

use std::path::Path;

use percept_chat::{Cached, ChatModel};

use crate::shared::output::note;

/// Says how much of a journal is there already.
pub fn said<M: ChatModel>(model: &Cached<M>, quiet: bool) {
    if !model.is_empty() && !quiet {
        note!(
            "{}: {} replies of earlier runs",
            model.path().display(),
            model.len()
        );
    }
}

/// Says where what was said so far is.
pub fn resume(journal: &Path) {
    let place = journal.display();
    note!("what was said so far is in {place}: run the same command to resume");
}
