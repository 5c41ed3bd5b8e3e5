//! Boxes: `\boxed{…}`.

/// Content of the last balanced `\boxed{…}` (or `\fbox{…}`, or `\boxed 5`).
///
/// ```
/// use percept_reward::extract::boxed;
/// assert_eq!(boxed(r"\boxed{1} or \boxed{\frac{1}{2}}."), Some(r"\frac{1}{2}"));
/// assert_eq!(boxed(r"\boxed{1} then \boxed{2"), Some("1"));
/// ```
pub fn boxed(text: &str) -> Option<&str> {
    let (start, end) = boxes(text).last()?.inside;
    Some(text[start..end].trim())
}

/// Where a complete box stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Of its content.
    pub(super) inside: (usize, usize),
    /// With its command and braces.
    pub(super) whole: (usize, usize),
}

/// All complete boxes that hold no other box, in the order of their ends.
pub(super) fn boxes(text: &str) -> Vec<Place> {
    let bytes = text.as_bytes();
    // Open braces: where the command and its content start, where the brace belongs to a box.
    let mut open: Vec<Option<(usize, usize)>> = Vec::new();
    let mut found: Vec<Place> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => {
                let rest = &text[at..];
                let Some(name) = ["\\boxed", "\\fbox"].iter().find(|n| rest.starts_with(**n))
                else {
                    at += 1 + bytes.get(at + 1).is_some_and(|b| b.is_ascii()) as usize;
                    continue;
                };
                let command = at;
                at += name.len();
                let after = rest[name.len()..].trim_start_matches(' ');
                let blanks = rest.len() - name.len() - after.len();
                if after.starts_with('{') {
                    at += blanks + 1;
                    open.push(Some((command, at)));
                } else if blanks > 0 {
                    let end = after
                        .find(|c: char| c.is_whitespace() || matches!(c, '$' | '}'))
                        .unwrap_or(after.len());
                    if end > 0 {
                        let stop = at + blanks + end;
                        found.push(Place {
                            inside: (at + blanks, stop),
                            whole: (command, stop),
                        });
                    }
                }
            }
            b'{' => {
                open.push(None);
                at += 1;
            }
            b'}' => {
                if let Some(Some((command, start))) = open.pop()
                    && found.last().is_none_or(|other| other.inside.0 < start)
                {
                    found.push(Place {
                        inside: (start, at),
                        whole: (command, at + 1),
                    });
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}
