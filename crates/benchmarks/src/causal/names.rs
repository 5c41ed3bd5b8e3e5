//! Names of originals and edits.

/// The name of the original: without `_` and three digits at the end of the stem.
///
/// ```
/// use percept_benchmarks::causal::original_of;
///
/// assert_eq!(original_of("COCO_val2014_000000000042_003.jpg"), "COCO_val2014_000000000042.jpg");
/// assert_eq!(original_of("street.jpg"), "street.jpg");
/// ```
pub fn original_of(image_name: &str) -> String {
    let (stem, ending) = match image_name.rfind('.') {
        Some(0) | None => (image_name, ""),
        Some(at) => image_name.split_at(at),
    };
    match stem.rsplit_once('_') {
        Some((before, number))
            if number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            format!("{before}{ending}")
        }
        _ => image_name.to_owned(),
    }
}
