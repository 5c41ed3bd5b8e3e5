//! percept nn.
