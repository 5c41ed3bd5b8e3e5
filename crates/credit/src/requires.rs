//! What a method asks of the run that it is to work in.

/// What of a recipe decides whether a method can do anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunShape {
    /// Name of the advantage estimator.
    pub advantage: &'static str,
    /// Whether it compares the responses to one prompt.
    pub grouped: bool,
    /// Responses to one prompt.
    pub num_generations: usize,
    /// Updates that one rollout batch makes.
    pub updates: usize,
    /// Whether experts' trajectories enter the groups.
    pub experts: bool,
}

/// An option that another option of the same method switches off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleOption {
    /// Its name, or several.
    pub option: &'static str,
    /// Why it does nothing.
    pub because: &'static str,
}
