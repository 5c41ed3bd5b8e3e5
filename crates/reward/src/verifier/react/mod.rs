//! The rewards of REACT (arXiv 2601.04033): a response judges one frame, `<think>…</think><answer>{"labels":[…],
//! "score":3.42}</answer>`. Format is asked for by [`Format`](crate::Format) with answer tags.

mod attribution;
mod bradley_terry;
mod preference;
mod row;

pub use attribution::ReactAttribution;
pub use preference::ReactPreference;
