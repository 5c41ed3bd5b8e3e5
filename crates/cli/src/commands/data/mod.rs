//! `percept data …`.

mod check;
mod expert;
mod export;
mod preferences;
mod react_cot;
mod visual_pairs;

use crate::shared::subcommands;

subcommands! {
    /// Check a data set, write a built-in task as files, collect verified answers or reasoning of a strong model, make
    /// preference pairs from a model's own answers.
    pub enum Data {
        Check(check::DataCheck),
        Export(export::DataExport),
        Expert(expert::DataExpert),
        VisualPairs(visual_pairs::DataVisualPairs),
        Preferences(preferences::DataPreferences),
        ReactCot(react_cot::DataReactCot),
    }
}
