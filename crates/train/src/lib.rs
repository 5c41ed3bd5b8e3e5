//! percept train.
