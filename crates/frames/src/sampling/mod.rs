//! Which frames of a clip are judged.
//!
//! ```
//! use percept_frames::sampling::{DynamicSampling, Timeline};
//!
//! let clip = Timeline::constant(8.0, 25.0)?;
//! let sampling = DynamicSampling::default();
//! let first = sampling.first_round(&clip)?;
//! // The judge looks at the frames shown at these times; one whose answer cannot be read has no score.
//! let scores = vec![Some(4.5); first.len()];
//! let second = sampling.second_round(&clip, &first, &scores)?;
//! assert_eq!(first.len() + second.len(), 16);
//! # Ok::<(), percept_frames::sampling::SamplingError>(())
//! ```

mod chosen;
mod dynamic;
mod error;
mod timeline;
mod uniform;

pub use dynamic::{DynamicSampling, SecondRound};
pub use error::SamplingError;
pub use timeline::Timeline;
pub use uniform::{budget, uniform};
