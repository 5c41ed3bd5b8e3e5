//! percept command line.
fn main() {}
