//! Preference pairs in the forms of the field: TRL, RLAIF-V and RLHF-V, ms-swift, LLaMA-Factory, EasyR1,
//! HH-RLHF.

mod answer;
mod columns;
mod dialogue;
mod elsewhere;
mod numbers;
mod open;
mod pictures;
mod prompt;
mod turns;
mod unpack;

pub(super) use columns::PairColumns;
pub(super) use open::OpenPair;
pub(super) use unpack::unpack_text;
