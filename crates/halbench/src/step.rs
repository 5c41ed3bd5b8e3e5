//! The steps of a build.

use percept_steps::StepId;

/// The steps, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// How often classes occur together.
    Statistics,
    /// Target, contextual object and candidates of each image.
    Roles,
    /// The counterfactual object and the description of the edit.
    Choice,
    /// The edit.
    Edit,
    /// What was wanted against what came.
    Quality,
    /// The questions.
    Questions,
    /// Images, `qa.json`, data card, report.
    Dataset,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Statistics,
        Self::Roles,
        Self::Choice,
        Self::Edit,
        Self::Quality,
        Self::Questions,
        Self::Dataset,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Statistics => "statistics",
            Self::Roles => "roles",
            Self::Choice => "choice",
            Self::Edit => "edit",
            Self::Quality => "quality",
            Self::Questions => "questions",
            Self::Dataset => "dataset",
        }
    }

    /// The step of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

impl From<Step> for StepId {
    fn from(step: Step) -> Self {
        Self {
            number: step as usize + 1,
            name: step.name(),
        }
    }
}
