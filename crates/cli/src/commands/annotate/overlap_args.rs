//! How many annotators get a pair.

use clap::Args;
use percept_annotate::Overlap;

use crate::shared::Failure;

/// How many annotators get a pair.
#[derive(Debug, Clone, Args)]
pub struct OverlapArgs {
    /// Annotators who get the same pair; agreement needs two or more.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub overlap: usize,
    /// Share of the pairs that --overlap annotators get, spread evenly; the others go to one.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    pub overlap_share: f64,
}

impl OverlapArgs {
    /// The overlap, where it is one.
    pub fn overlap(&self) -> Result<Overlap, Failure> {
        if self.overlap == 0 {
            return Err(Failure::new("--overlap is 0; expected 1 or more"));
        }
        if !(0.0..=1.0).contains(&self.overlap_share) {
            let found = self.overlap_share;
            return Err(Failure::new(format!(
                "--overlap-share {found}: expected 0 to 1"
            )));
        }
        Ok(Overlap {
            annotators: self.overlap,
            share: self.overlap_share,
        })
    }
}
