//! Boxes and their overlap.

/// A box: left, top, right, bottom.
pub type Rectangle = [f64; 4];

/// Intersection over union of two boxes, in 0…1.
pub fn iou(a: &Rectangle, b: &Rectangle) -> f64 {
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(0.0);
    let area = |r: &Rectangle| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let common = side(0) * side(1);
    let union = area(a) + area(b) - common;
    if union > 0.0 && union.is_finite() {
        (common / union).clamp(0.0, 1.0)
    } else {
        0.0
    }
}
