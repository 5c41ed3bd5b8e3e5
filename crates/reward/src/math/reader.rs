//! What all that reads tokens shares: the text and the budget.

use super::budget::{Budget, Stop, invalid};
use super::text;
use super::token::Spaced;
use super::value::Value;

/// Reads tokens of one text within a budget.
pub(super) struct Reader<'a, 'b> {
    pub(super) source: &'a str,
    pub(super) budget: &'b mut Budget,
}

impl Reader<'_, '_> {
    /// The words of the tokens.
    pub(super) fn words(&mut self, tokens: &[Spaced]) -> Result<Value, Stop> {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return invalid("there is nothing to read");
        };
        let source = self.source.get(first.from..last.to).unwrap_or("");
        self.budget.spend(source.len())?;
        Ok(Value::Text(text::normal(source)))
    }
}
