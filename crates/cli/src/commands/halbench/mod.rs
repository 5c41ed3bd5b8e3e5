//! `percept halbench …`: building counterfactual benchmarks, and what answers follow.

mod build;
mod scenes;
mod scm;

use crate::shared::subcommands;

subcommands! {
    /// Build object-hallucination benchmarks from annotated images.
    pub enum Halbench {
        Build(build::HalbenchBuild),
        Scm(scm::HalbenchScm),
        Scenes(scenes::HalbenchScenes),
    }
}
