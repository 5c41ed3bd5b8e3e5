//! percept credit.
