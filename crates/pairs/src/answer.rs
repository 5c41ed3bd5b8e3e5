//! The chosen answer of a row, and what is asked before it.

use percept_data::{Message, Role, Sample};

/// What a pair of a row is made of.
pub(crate) struct Answered {
    /// The turns before the answer.
    pub prompt: Vec<Message>,
    /// The chosen answer: assistant turns.
    pub chosen: Vec<Message>,
    /// Rejected answers.
    pub rejected: Vec<Vec<Message>>,
}

impl Answered {
    /// The chosen answer: that of a preference, else the turns of the assistant at the end of the conversation, else the
    /// expert's, else the right answer. None where the row has none of them.
    pub fn of(sample: &Sample) -> Option<Self> {
        if let Some(preference) = &sample.preference {
            return Some(Self {
                prompt: sample.messages.clone(),
                chosen: preference.chosen.clone(),
                rejected: preference.rejected.clone(),
            })
            .filter(|answered| !answered.text().trim().is_empty());
        }
        let spoken = |message: &&Message| message.role == Role::Assistant;
        let turns = sample.messages.iter().rev().take_while(spoken).count();
        let (prompt, last) = sample.messages.split_at(sample.messages.len() - turns);
        let chosen = match (&sample.expert, &sample.answer) {
            _ if !last.is_empty() => last.to_vec(),
            _ if !sample.trajectory.is_empty() => sample.trajectory.clone(),
            (Some(text), _) | (None, Some(text)) => {
                vec![Message::text(Role::Assistant, text.as_str())]
            }
            (None, None) => return None,
        };
        Some(Self {
            prompt: prompt.to_vec(),
            chosen,
            rejected: Vec::new(),
        })
        .filter(|answered| !answered.text().trim().is_empty())
    }

    /// What the assistant says in the chosen answer.
    pub fn text(&self) -> String {
        let spoken = self.chosen.iter().filter(|m| m.role == Role::Assistant);
        let texts: Vec<String> = spoken.map(Message::plain_text).collect();
        texts.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_data::Preference;

    fn turn(role: Role, text: &str) -> Message {
        Message::text(role, text)
    }

    #[test]
    fn the_answer_is_the_preference_then_the_last_turn_then_expert_then_truth() {
        let mut sample = Sample::new("1", vec![turn(Role::User, "What?")]);
        assert!(Answered::of(&sample).is_none());
        sample.answer = Some("cup".into());
        assert_eq!(Answered::of(&sample).unwrap().text(), "cup");
        sample.expert = Some("A cup.".into());
        assert_eq!(Answered::of(&sample).unwrap().text(), "A cup.");
        sample.messages.push(turn(Role::Assistant, "It is a cup."));
        let answered = Answered::of(&sample).unwrap();
        assert_eq!(
            (answered.text().as_str(), answered.prompt.len()),
            ("It is a cup.", 1)
        );
        sample.messages.pop();
        sample.preference = Some(Preference {
            chosen: vec![turn(Role::Assistant, "A blue cup.")],
            rejected: vec![vec![turn(Role::Assistant, "A dog.")]],
            ..Preference::default()
        });
        let answered = Answered::of(&sample).unwrap();
        assert_eq!(
            (answered.text().as_str(), answered.rejected.len()),
            ("A blue cup.", 1)
        );
        sample.preference = Some(Preference {
            chosen: vec![turn(Role::Assistant, "  ")],
            ..Preference::default()
        });
        assert!(Answered::of(&sample).is_none());
    }
}
