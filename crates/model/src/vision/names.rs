//! Which parameters are the vision tower's.

/// What the names of a tower's parameters begin with, and of what brings its output to the decoder's width.
const PARTS: [&str; 3] = ["visual.", "vision_tower.", "multi_modal_projector."];

/// Whether a parameter, or one of an adapter, belongs to the vision tower or to the projector behind it.
pub fn is_vision_param(name: &str) -> bool {
    let starts = |at: usize| at == 0 || name.as_bytes()[at - 1] == b'.';
    PARTS
        .iter()
        .any(|part| name.match_indices(part).any(|(at, _)| starts(at)))
}
