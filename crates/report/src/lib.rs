//! percept report.
