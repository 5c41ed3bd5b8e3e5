//! Splitting answers and lists.

use percept_benchmarks::hallucination::sentences_of;

/// The claims of an answer by rule: its sentences, line by line, without the marks of lists and headings. Lines that
/// hold no letter or digit, headings and lines that only introduce what follows ("The picture shows:") claim nothing.
pub(crate) fn sentences(answer: &str) -> Vec<String> {
    let lines = answer.lines().map(str::trim).filter(|line| {
        let heading = line.starts_with('#') || (line.ends_with(':') && !line.contains(". "));
        !heading && line.chars().any(char::is_alphanumeric)
    });
    lines
        .flat_map(|line| sentences_of(unmarked(line)))
        .map(|sentence| sentence.trim().to_owned())
        .filter(|sentence| sentence.chars().any(char::is_alphanumeric))
        .collect()
}

/// The entries of a list that a model wrote, one a line; lines without the mark of an entry are no entries.
pub(crate) fn entries(reply: &str) -> Vec<String> {
    let lines = reply.lines().map(str::trim);
    let marked = lines.filter(|line| unmarked(line).len() < line.len());
    let texts = marked.map(|line| unmarked(line).trim().to_owned());
    texts.filter(|text| !text.is_empty()).collect()
}

/// A line without the mark of a list: `- `, `* `, `• `, `3. `, `3) `.
fn unmarked(line: &str) -> &str {
    let bullet = line.strip_prefix(['-', '*', '•', '–']);
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = match digits.len() < line.len() {
        true => digits.strip_prefix(['.', ')']),
        false => None,
    };
    match bullet.or(numbered) {
        // "-5 degrees" and "**bold**" are no entries, nor is "3.5 metres".
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_and_lines_of_lists_are_claims() {
        let answer = "The picture shows:\n\n# Objects\n- A dog. It is black.\n* two cats\n3) -5 degrees\n---\n\
                      Mr. Smith holds a 3.5 m pole! Is he sad?";
        let found = sentences(answer);
        let expected = [
            "A dog.",
            "It is black.",
            "two cats",
            "-5 degrees",
            "Mr. Smith holds a 3.5 m pole!",
            "Is he sad?",
        ];
        assert_eq!(found, expected);
        assert!(sentences(" \n ... \n").is_empty());
    }

    #[test]
    fn only_marked_lines_of_a_reply_are_entries() {
        let reply =
            "### Facts:\n- The dog is black.\n\n2. **Two** cats sit.\n-\nI hope this helps!";
        assert_eq!(entries(reply), ["The dog is black.", "**Two** cats sit."]);
    }
}
