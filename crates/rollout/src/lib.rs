//! percept rollout.
