//! percept eval.
