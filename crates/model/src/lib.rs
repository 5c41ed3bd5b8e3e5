//! percept model.
