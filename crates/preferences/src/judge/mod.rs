//! Who judges answers.

pub(crate) mod annotations;
pub(crate) mod by_claims;
pub(crate) mod judging;
pub(crate) mod verifier;
