//! percept reward.
