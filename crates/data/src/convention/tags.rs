//! Tags that name an image by its number.

/// `<image 3>`, `<image_3>` or `<image3>` at the start of a text: the number and the tag's length.
pub(crate) fn numbered_tag(text: &str) -> Option<(usize, usize)> {
    let rest = text.strip_prefix("<image")?;
    let digits = rest.strip_prefix([' ', '_']).unwrap_or(rest);
    let end = digits.find('>').filter(|&end| (1..=3).contains(&end))?;
    let number = digits[..end].parse().ok()?;
    let length = text.len() - digits.len() + end + 1;
    digits.as_bytes()[0]
        .is_ascii_digit()
        .then_some((number, length))
}
