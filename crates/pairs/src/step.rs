//! The steps.

use percept_steps::StepId;

use crate::Method;

/// A step. Which there are depends on the [`Method`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The rows, their pictures and their chosen answers.
    Rows,
    /// What each picture shows.
    Tags,
    /// Where.
    Boxes,
    /// Which pixels.
    Masks,
    /// A picture without each of them.
    Candidates,
    /// The one that is least like the answer.
    Choice,
    /// The ruined picture of methods that look at nothing.
    Pictures,
    /// The data set, the page, the summary.
    Pairs,
}

impl Step {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Tags => "tags",
            Self::Boxes => "boxes",
            Self::Masks => "masks",
            Self::Candidates => "candidates",
            Self::Choice => "choice",
            Self::Pictures => "pictures",
            Self::Pairs => "pairs",
        }
    }

    /// The steps of a method, in order.
    pub fn of(method: Method) -> &'static [Self] {
        match method {
            Method::Adavip => &[
                Self::Rows,
                Self::Tags,
                Self::Boxes,
                Self::Masks,
                Self::Candidates,
                Self::Choice,
                Self::Pairs,
            ],
            _ => &[Self::Rows, Self::Pictures, Self::Pairs],
        }
    }

    /// The step of this name, if the method has it.
    pub fn named(method: Method, name: &str) -> Option<Self> {
        Self::of(method)
            .iter()
            .copied()
            .find(|step| step.name() == name)
    }

    /// Its number and name in a method.
    pub(crate) fn id(self, method: Method) -> StepId {
        let before = Self::of(method).iter().take_while(|step| **step != self);
        StepId {
            number: before.count() + 1,
            name: self.name(),
        }
    }
}
