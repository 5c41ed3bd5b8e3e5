//! percept data.
