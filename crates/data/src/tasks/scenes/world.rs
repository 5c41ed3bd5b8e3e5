//! Which shapes there are, and which occur together.

/// What a picture can show; the first two are leads, then three companions of each.
pub const SHAPES: [&str; 8] = [
    "square", "disc", "ring", "cross", "triangle", "diamond", "bar", "star",
];
/// Shapes that are easy to see.
pub(super) const LEADS: usize = 2;
/// Companions of each.
pub(super) const COMPANIONS: usize = 3;
/// Companions of a lead.
pub(super) fn companions(lead: usize) -> std::ops::Range<usize> {
    let first = LEADS + lead * COMPANIONS;
    first..first + COMPANIONS
}
