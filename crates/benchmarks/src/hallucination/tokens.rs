//! Words of a text as NLTK's `word_tokenize` finds them, which is what CHAIR and AMBER read.
//!
//! Sentences by [`sentences`](super::sentences), then the Penn Treebank rules of `NLTKWordTokenizer`:
//! punctuation stands alone, a period only at the end of a sentence, clitics ("'s", "n't") are split
//! off. Each rule is one pass over the characters, in the original's order, and is left out where
//! the character that it is about does not occur.
//! Source: NLTK 3.10 `tokenize/destructive.py` (Apache-2.0). Tested on `tests/golden/chair.json`.

use super::sentences::sentences;

/// The tokens of a text.
///
/// ```
/// use percept_benchmarks::hallucination::word_tokens;
///
/// let tokens = word_tokens("there isn't a dog. the cat's bowl");
/// assert_eq!(tokens, ["there", "is", "n't", "a", "dog", ".", "the", "cat", "'s", "bowl"]);
/// ```
pub fn word_tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    for sentence in sentences(&text) {
        sentence_tokens(&text[sentence], &mut found);
    }
    found
}

fn sentence_tokens(sentence: &[char], found: &mut Vec<String>) {
    if plain_tokens(sentence, found) {
        return;
    }
    let mut text = Passes {
        now: sentence.to_vec(),
        next: Vec::with_capacity(sentence.len() + 16),
    };
    text.starting_quotes();
    text.punctuation();
    text.ending_quotes();
    text.contractions();
    let words = text.now.split(|c| c.is_whitespace());
    found.extend(
        words
            .filter(|w| !w.is_empty())
            .map(|w| w.iter().collect::<String>()),
    );
}

/// Most sentences have letters, single commas and one period at their end: the passes would do no
/// more than this, at seven times the cost. False for other sentences, of which nothing is added.
fn plain_tokens(sentence: &[char], found: &mut Vec<String>) -> bool {
    let text: String = sentence.iter().collect();
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b' ' | b'\n' | b',' | b'-' | b'.');
    let contracted = ["cannot", "gimme", "gonna", "gotta", "lemme", "wanna"];
    let marked = [",,", "--", ".."];
    if !text.bytes().all(plain)
        || marked.iter().any(|mark| text.contains(mark))
        || contracted.iter().any(|word| text.contains(word))
    {
        return false;
    }
    let mut pieces = text.split_ascii_whitespace().peekable();
    while let Some(mut piece) = pieces.next() {
        let period = pieces.peek().is_none() && piece.len() > 1 && piece.ends_with('.');
        if period {
            piece = &piece[..piece.len() - 1];
        }
        let mut start = 0;
        for (at, _) in piece.match_indices(',') {
            let next = piece.as_bytes().get(at + 1).or(period.then_some(&b'.'));
            if next.is_some_and(u8::is_ascii_digit) {
                continue;
            }
            if start < at {
                found.push(piece[start..at].to_owned());
            }
            found.push(",".to_owned());
            start = at + 1;
        }
        if start < piece.len() {
            found.push(piece[start..].to_owned());
        }
        if period {
            found.push(".".to_owned());
        }
    }
    true
}

/// A text that is rewritten pass by pass.
struct Passes {
    now: Vec<char>,
    next: Vec<char>,
}

impl Passes {
    /// One pass: `step` looks at the text from a position on, writes what takes its place and says
    /// how many characters it took; 0: the character stays.
    fn rewrite(&mut self, step: impl Fn(&[char], usize, &mut Vec<char>) -> usize) {
        self.next.clear();
        let mut at = 0;
        while at < self.now.len() {
            match step(&self.now, at, &mut self.next) {
                0 => {
                    self.next.push(self.now[at]);
                    at += 1;
                }
                taken => at += taken,
            }
        }
        std::mem::swap(&mut self.now, &mut self.next);
    }

    fn has(&self, marks: &str) -> bool {
        self.now.iter().any(|c| marks.contains(*c))
    }

    /// Blanks around each of these characters.
    fn pad(&mut self, marks: &str) {
        if !self.has(marks) {
            return;
        }
        self.rewrite(|text, at, out| {
            if !marks.contains(text[at]) {
                return 0;
            }
            out.extend([' ', text[at], ' ']);
            1
        });
    }

    /// Blanks around each run of at least `least` of a mark.
    fn pad_runs(&mut self, mark: char, least: usize) {
        if !self.now.contains(&mark) {
            return;
        }
        self.rewrite(|text, at, out| {
            let run = text[at..].iter().take_while(|c| **c == mark).count();
            if run < least {
                return 0;
            }
            out.push(' ');
            out.extend(&text[at..at + run]);
            out.push(' ');
            run
        });
    }

    fn starting_quotes(&mut self) {
        self.pad("\u{ab}\u{201c}\u{2018}\u{201e}");
        self.pad_runs('`', 1);
        if self.has("\"'") {
            if self.now.first() == Some(&'"') {
                self.now.splice(0..1, ['`', '`']);
            }
            self.pad_pairs('`');
            self.rewrite(|text, at, out| {
                let Some(before) = text.get(at).filter(|c| " ([{<".contains(**c)) else {
                    return 0;
                };
                let rest = &text[at + 1..];
                let quote = match rest {
                    ['"', ..] => 1,
                    ['\'', '\'', ..] => 2,
                    _ => return 0,
                };
                out.push(*before);
                out.extend([' ', '`', '`', ' ']);
                1 + quote
            });
            self.opening_apostrophes();
        } else {
            self.pad_pairs('`');
        }
    }

    /// A pair of a mark, in a longer run each pair on its own.
    fn pad_pairs(&mut self, mark: char) {
        if !self.now.contains(&mark) {
            return;
        }
        self.rewrite(|text, at, out| {
            if !text[at..].starts_with(&[mark, mark]) {
                return 0;
            }
            out.extend([' ', mark, mark, ' ']);
            2
        });
    }

    /// `(?<!\w)'(?!(re|ve|ll|m|t|s|d|n)\b)(?=\w)`
    fn opening_apostrophes(&mut self) {
        self.rewrite(|text, at, out| {
            let inside = at > 0 && is_word(text[at - 1]);
            if text[at] != '\'' || inside || !text.get(at + 1).is_some_and(|c| is_word(*c)) {
                return 0;
            }
            let word = text[at + 1..].iter().take_while(|c| is_word(**c));
            let word: String = word.flat_map(|c| c.to_lowercase()).collect();
            if ["re", "ve", "ll", "m", "t", "s", "d", "n"].contains(&word.as_str()) {
                return 0;
            }
            out.extend(['\'', ' ']);
            1
        });
    }

    fn punctuation(&mut self) {
        self.final_period("])}>\"'\u{bb}\u{201d}\u{2019} ", true);
        if self.has(":,") {
            self.rewrite(|text, at, out| {
                let next = text.get(at + 1);
                if !matches!(text[at], ':' | ',') || next.is_none_or(|c| c.is_numeric()) {
                    return 0;
                }
                out.extend([' ', text[at], ' ', text[at + 1]]);
                2
            });
            if let Some(last @ (':' | ',')) = self.now.last().copied() {
                self.now.pop();
                self.now.extend([' ', last, ' ']);
            }
        }
        self.pad_runs('.', 2);
        self.pad(";@#$%&");
        self.pad("\u{2012}\u{2013}\u{2014}\u{2015}");
        self.final_period("])}>\"'", false);
        self.pad("?!");
        if self.now.contains(&'\'') {
            self.rewrite(|text, at, out| {
                let before = text[at];
                if before == '\'' || !text[at + 1..].starts_with(&['\'', ' ']) {
                    return 0;
                }
                out.extend([before, ' ', '\'', ' ']);
                3
            });
        }
        self.pad("*");
        self.pad("[](){}<>");
        self.pad_pairs('-');
    }

    /// `([^.])(\.)([closing]*)\s*$`: the period that ends the text, with closing marks behind it.
    fn final_period(&mut self, closing: &str, apart: bool) {
        let text = &self.now;
        let end = text
            .iter()
            .rposition(|c| !c.is_whitespace())
            .map_or(0, |at| at + 1);
        let marks = text[..end]
            .iter()
            .rev()
            .take_while(|c| closing.contains(**c))
            .count();
        let Some(period) = end.checked_sub(marks + 1) else {
            return;
        };
        if text[period] != '.' || period == 0 || text[period - 1] == '.' {
            return;
        }
        // Blanks of the closing marks' own set belong to them, other blanks at the end go.
        let kept = if closing.contains(' ') {
            text[end..].iter().take_while(|c| **c == ' ').count()
        } else {
            0
        };
        let tail: Vec<char> = text[period + 1..end + kept].to_vec();
        self.now.truncate(period);
        self.now.extend([' ', '.']);
        if apart {
            self.now.push(' ');
        }
        self.now.extend(tail);
        self.now.push(' ');
    }

    fn ending_quotes(&mut self) {
        self.now.insert(0, ' ');
        self.now.push(' ');
        if !self.has("'\"\u{bb}\u{201d}\u{2019}") {
            return;
        }
        self.pad("\u{bb}\u{201d}\u{2019}");
        self.pad_pairs('\'');
        self.rewrite(|text, at, out| {
            if text[at] != '"' {
                return 0;
            }
            out.extend([' ', '\'', '\'', ' ']);
            1
        });
        self.rewrite(|text, at, out| {
            let blanks = text[at..].iter().take_while(|c| c.is_whitespace()).count();
            if blanks > 0 {
                out.push(' ');
            }
            blanks
        });
        self.split_clitics(&["'s", "'m", "'d", "'"], &["'S", "'M", "'D", "'"]);
        let upper = ["'LL", "'RE", "'VE", "N'T"];
        self.split_clitics(&["'ll", "'re", "'ve", "n't"], &upper);
    }

    /// `([^' ])(clitic) `
    fn split_clitics(&mut self, lower: &[&str], upper: &[&str]) {
        self.rewrite(|text, at, out| {
            let before = text[at];
            if matches!(before, '\'' | ' ') {
                return 0;
            }
            let rest = &text[at + 1..];
            let here = |clitic: &&&str| {
                let length = clitic.len();
                rest.len() > length
                    && rest[length] == ' '
                    && clitic.chars().zip(rest).all(|(a, b)| a == *b)
            };
            let Some(clitic) = lower.iter().chain(upper).find(here) else {
                return 0;
            };
            out.extend([before, ' ']);
            out.extend(clitic.chars());
            out.push(' ');
            clitic.len() + 2
        });
    }

    fn contractions(&mut self) {
        const SPLIT: [(&str, &str); 10] = [
            ("can", "not"),
            ("d", "'ye"),
            ("gim", "me"),
            ("gon", "na"),
            ("got", "ta"),
            ("lem", "me"),
            ("more", "'n"),
            ("wan", "na"),
            ("'t", "is"),
            ("'t", "was"),
        ];
        for (head, tail) in SPLIT {
            let whole: Vec<char> = head.chars().chain(tail.chars()).collect();
            let starts = |text: &[char]| {
                let mut pairs = text.iter().zip(&whole);
                text.len() >= whole.len() && pairs.all(|(a, b)| a.eq_ignore_ascii_case(b))
            };
            if !self.now.windows(whole.len()).any(starts) {
                continue;
            }
            self.rewrite(|text, at, out| {
                let before = at.checked_sub(1).map(|before| text[before]);
                let begins = match head {
                    "'t" => before == Some(' '),
                    _ => !before.is_some_and(is_word),
                };
                if !begins || !starts(&text[at..]) {
                    return 0;
                }
                let after = text.get(at + whole.len());
                let ends = match head {
                    "wan" => after.is_some_and(|c| c.is_whitespace()),
                    _ => !after.is_some_and(|c| is_word(*c)),
                };
                if !ends {
                    return 0;
                }
                let (head, tail) = text[at..at + whole.len()].split_at(head.len());
                out.push(' ');
                out.extend(head);
                out.push(' ');
                out.extend(tail);
                out.push(' ');
                whole.len()
            });
        }
    }
}

/// `\w` of Python's `re`.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
