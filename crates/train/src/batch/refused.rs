//! Rows of a data set that give no sample: which, and why.

use std::collections::BTreeSet;

use percept_data::Report;

use crate::Error;
use crate::reasons::Reasons;

/// Why a row gives no sample.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// `train.jsonl:118`, or the row's own id.
    place: String,
    /// Why.
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn new(place: &str, reason: String) -> Self {
        Self {
            place: place.to_owned(),
            reason,
        }
    }

    /// From an error, which may know its place better than we do.
    pub(crate) fn of(error: &Error, place: &str) -> Self {
        let report = match error {
            Error::Data(error) | Error::Model(percept_model::Error::Data(error)) => error.report(),
            other => return Self::new(place, other.to_string()),
        };
        let (Some(file), Some(row)) = (&report.file, report.row) else {
            return Self::new(place, report.to_string());
        };
        let reason = Report {
            file: None,
            row: None,
            ..report.clone()
        };
        Self::new(&format!("{}:{row}", file.display()), reason.to_string())
    }
}

/// The rows that were refused while a batch was collected.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// How often.
    pub count: usize,
    rows: BTreeSet<usize>,
    reasons: Reasons,
}

impl Refused {
    /// A row was refused; in the first epoch that is news.
    pub(crate) fn add(&mut self, row: usize, why: Refusal, first: bool, news: &mut Reasons) {
        self.count += 1;
        if self.rows.insert(row) {
            self.reasons.add(&why.place, &why.reason);
        }
        if first {
            news.add(&why.place, &why.reason);
        }
    }

    /// Whether there is a row left that may be usable: a batch larger than the data set meets the same rows again.
    ///
    /// # Errors
    /// [`Error::NoRows`] when every row of the data set was refused.
    pub(crate) fn check(&self, stage: &'static str, rows: usize) -> Result<(), Error> {
        if self.rows.len() < rows {
            return Ok(());
        }
        Err(Error::NoRows {
            stage,
            rows,
            reasons: self.reasons.commonest(5),
        })
    }
}
