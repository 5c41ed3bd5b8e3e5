//! Text made safe for HTML.

/// Text made safe for HTML, quotes included. What would change the direction of the text around it, and control characters
/// that no page may hold, are shown as `\u202e`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' | '\r' => out.push(c),
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_turn_the_text_around_it_is_shown() {
        let orders = escape("a\0\u{1b}[1m\u{202e}b\u{2069}\u{9b}\n\tעברית\u{200f}");
        assert_eq!(
            orders,
            "a\\u0000\\u001b[1m\\u202eb\\u2069\\u009b\n\tעברית\u{200f}"
        );
    }
}
