//! Text of a response while it is generated, without incomplete characters.

use crate::Processor;

/// Turns tokens into text one at a time. What [`TextStream::push`] and [`TextStream::finish`]
/// return, joined, is what [`Processor::decode`] makes of all tokens.
pub struct TextStream<'a> {
    processor: &'a Processor,
    tokens: Vec<u32>,
    /// Text up to `read` is out; from `prefix` on, tokens are decoded again with each new one,
    /// because a token's text can depend on the one before it.
    prefix: usize,
    read: usize,
}

impl Processor {
    /// A stream for one response.
    pub fn text_stream(&self) -> TextStream<'_> {
        TextStream {
            processor: self,
            tokens: Vec::new(),
            prefix: 0,
            read: 0,
        }
    }
}

impl TextStream<'_> {
    /// The text that this token completes: empty for special tokens and inside a character of
    /// several tokens.
    pub fn push(&mut self, token: u32) -> String {
        self.tokens.push(token);
        let fresh = self.fresh();
        // A character that is not complete decodes to the replacement character.
        if fresh.is_empty() || fresh.ends_with(char::REPLACEMENT_CHARACTER) {
            return String::new();
        }
        self.prefix = self.read;
        self.read = self.tokens.len();
        fresh
    }

    /// What is left when the response ends inside a character.
    pub fn finish(self) -> String {
        self.fresh()
    }

    /// Text behind what is out.
    fn fresh(&self) -> String {
        let known = self.processor.decode(&self.tokens[self.prefix..self.read]);
        let all = self.processor.decode(&self.tokens[self.prefix..]);
        all.strip_prefix(known.as_str())
            .unwrap_or_default()
            .to_owned()
    }
}
