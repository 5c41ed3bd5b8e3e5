//! What of a pair's columns is the prompt, and what the answers are.

use crate::convention::pair::answer::Answer;
use crate::convention::pair::turns::{
    before_answer, is_answer, is_asked, same, says_the_same, spoken, turns_of,
};
use crate::formats::row::Value;
use crate::{Error, Role};

/// The answers of a row, until its prompt is found.
pub(super) struct Answers {
    pub chosen: Answer,
    pub rejected: Vec<Answer>,
    pub corrected: Option<Answer>,
}

impl Answers {
    fn all(&self) -> impl Iterator<Item = &Answer> {
        let first = std::iter::once(&self.chosen);
        first.chain(&self.rejected).chain(&self.corrected)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Answer> {
        let first = std::iter::once(&mut self.chosen);
        first.chain(&mut self.rejected).chain(&mut self.corrected)
    }

    /// The prompt; the answers that repeat it lose it. `given` is the prompt's column, where there is one.
    pub(super) fn settle(
        &mut self,
        given: Option<(String, Value)>,
    ) -> Result<(String, Value), Error> {
        if !self.all().any(Answer::repeats_prompt) {
            return given.ok_or_else(|| self.no_prompt());
        }
        let (name, prompt) = match given {
            None => self.shared(None)?,
            Some((name, value)) => match turns_of(&value) {
                Some(turns) => {
                    self.strip(&name, &turns)?;
                    return Ok((name, value));
                }
                None => self.shared(Some((name, value)))?,
            },
        };
        Ok((name, Value::List(prompt)))
    }

    fn no_prompt(&self) -> Error {
        Error::row("row has no prompt")
            .found(format!("{} without the question", self.chosen.field))
            .expected(
                "prompt, messages, question, problem, query, conversations or instruction, or answers that are \
                 whole conversations",
            )
            .help("name the column in data.columns.prompt")
    }

    /// Takes the turns of the prompt's column from the answers that begin with them.
    fn strip(&mut self, name: &str, prompt: &[Value]) -> Result<(), Error> {
        for answer in self.all_mut().filter(|answer| answer.repeats_prompt()) {
            let turns = prompt.iter().zip(&answer.turns);
            let agree = turns.take_while(|(a, b)| says_the_same(a, b)).count();
            if agree < prompt.len() {
                return Err(Error::row(format!(
                    "an answer begins with turns that are not those of {name}"
                ))
                .field(answer.place(agree))
                .found(shown(answer.turns.get(agree)))
                .expected(shown(prompt.get(agree)))
                .help(format!(
                    "give the answer alone, or the same turns as {name} before it"
                )));
            }
            answer.skip(prompt.len());
        }
        Ok(())
    }

    /// The turns with which all whole conversations begin (TRL's implicit prompt). A prompt that is a text has
    /// to be the last of them.
    fn shared(&mut self, given: Option<(String, Value)>) -> Result<(String, Vec<Value>), Error> {
        let whole: Vec<&Answer> = self.all().filter(|a| a.repeats_prompt()).collect();
        let Some(first) = whole.first() else {
            return Err(self.no_prompt());
        };
        let mut count = first.turns.len().saturating_sub(1);
        for other in &whole {
            let turns = first.turns.iter().zip(&other.turns);
            let agree = turns.take_while(|(a, b)| same(a, b)).count();
            count = count.min(agree).min(other.turns.len().saturating_sub(1));
        }
        let differs = whole
            .iter()
            .find(|answer| answer.turns.get(count).is_some_and(is_asked));
        if let Some(answer) = differs {
            return Err(
                Error::row("chosen and rejected do not have the same prompt")
                    .field(answer.place(count))
                    .found(shown(answer.turns.get(count)))
                    .expected(format!(
                        "the turn of {}, or one of the assistant",
                        first.place(count)
                    ))
                    .help("all turns before the answers must be equal"),
            );
        }
        let count = before_answer(&first.turns[..count]);
        let prompt = first.turns[..count].to_vec();
        let name = first.field.clone();
        if let Some((column, text)) = given {
            let asked = prompt.last().map(spoken).unwrap_or_default();
            if asked != spoken(&text) {
                return Err(
                    Error::row(format!("{column} is not what the answers reply to"))
                        .field(column)
                        .found(text.describe())
                        .expected(format!("the turn {}: {}", name, shown(prompt.last())))
                        .help("leave the column out, or give the answers alone"),
                );
            }
            if let Some(prompt) = with_marks(&prompt, &text) {
                self.skip(count);
                return Ok((column, prompt));
            }
        }
        self.skip(count);
        Ok((name, prompt))
    }

    fn skip(&mut self, count: usize) {
        let whole = self.all_mut().filter(|answer| answer.repeats_prompt());
        whole.for_each(|answer| answer.skip(count));
    }
}

/// The turns with the text of the prompt's column as the last one, where that alone says where pictures stand.
fn with_marks(turns: &[Value], text: &Value) -> Option<Vec<Value>> {
    let Value::Text(text) = text else { return None };
    let (last, earlier) = turns.split_last()?;
    let content = last.get("content").or_else(|| last.get("value"));
    let plain = matches!(content, Some(Value::Text(said)) if !said.contains("<image"));
    (plain && text.contains("<image")).then(|| {
        let mut turns = earlier.to_vec();
        turns.push(Value::Struct(vec![
            (
                "role".to_owned(),
                Value::Text(Role::User.as_str().to_owned()),
            ),
            ("content".to_owned(), Value::Text(text.clone())),
        ]));
        turns
    })
}

/// Takes the answer from the end of a conversation, as ms-swift's rows have it.
///
/// A rejected text stands in the place of the last turn; turns stand in the place of all behind the user's.
pub(super) fn split(name: &str, turns: &[Value], rejected: &[Answer]) -> Option<(Value, Answer)> {
    if !turns.last().is_some_and(is_answer) {
        return None;
    }
    if rejected.iter().any(Answer::repeats_prompt) {
        return Some((Value::Null, Answer::tail(name, turns, 0)));
    }
    let from = match rejected.iter().all(Answer::is_text) {
        true => before_answer(turns),
        false => turns.iter().rposition(is_asked).map_or(0, |last| last + 1),
    };
    Some((
        Value::List(turns[..from].to_vec()),
        Answer::tail(name, turns, from),
    ))
}

/// A prompt's column without the chosen answer at its end, and whether it had one.
pub(super) fn without_answer(
    name: &str,
    value: Value,
    chosen: &Answer,
) -> Result<(Value, bool), Error> {
    let Some(turns) = turns_of(&value) else {
        return Ok((value, false));
    };
    let from = before_answer(&turns);
    let answer = &turns[from..];
    if answer.is_empty() {
        return Ok((value, false));
    }
    let end = chosen.turns.len().saturating_sub(answer.len());
    let chosen_end = &chosen.turns[end..];
    let equal = match chosen.is_text() {
        true => answer.len() == 1 && spoken(&answer[0]) == spoken(&chosen.turns[0]),
        false => {
            answer.len() == chosen_end.len()
                && answer
                    .iter()
                    .zip(chosen_end)
                    .all(|(a, b)| says_the_same(a, b))
        }
    };
    if !equal {
        return Err(
            Error::row("the prompt ends with an answer that is not the chosen one")
                .field(format!("{name}[{from}]"))
                .found(shown(answer.first()))
                .expected("a turn of the user or of a tool, or the chosen answer again")
                .help("end the prompt with the question"),
        );
    }
    Ok((Value::List(turns[..from].to_vec()), true))
}

/// A turn in an error.
fn shown(turn: Option<&Value>) -> String {
    let Some(turn) = turn else {
        return "nothing".to_owned();
    };
    let who = turn.get("role").or_else(|| turn.get("from"));
    let who = match who {
        Some(Value::Text(name)) => name.as_str(),
        _ => "turn without a role",
    };
    format!("{who}: \"{}\"", crate::error::shorten(&spoken(turn), 60))
}
