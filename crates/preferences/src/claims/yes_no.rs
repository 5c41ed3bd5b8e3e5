//! Reading yes and no.

use percept_chat::{ChatReply, TokenLogProb};

use crate::ClaimVerdict;

/// What a judge says, with the probabilities of yes and no at its first token where they are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct YesNo {
    pub verdict: ClaimVerdict,
    pub p_yes: Option<f64>,
    pub p_no: Option<f64>,
}

/// By probability where one of the likeliest first tokens is yes or no (RLAIF-V's `p(yes) > p(no)`, both summed over
/// upper and lower case), else by the first word of the text.
pub(crate) fn read(reply: &ChatReply) -> YesNo {
    let mass = |word: &str| -> f64 {
        let own = |token: &&TokenLogProb| is_word(&token.token, word);
        reply
            .first_token
            .iter()
            .filter(own)
            .map(|t| t.logprob.exp())
            .sum()
    };
    let (yes, no) = (mass("yes"), mass("no"));
    if yes > 0.0 || no > 0.0 {
        return YesNo {
            verdict: match yes > no {
                true => ClaimVerdict::Accepted,
                false => ClaimVerdict::Rejected,
            },
            p_yes: Some(yes),
            p_no: Some(no),
        };
    }
    let first = reply.text.split_whitespace().next().unwrap_or_default();
    let first = first.trim_matches(|c: char| !c.is_alphanumeric());
    let verdict = match () {
        () if is_word(first, "yes") => ClaimVerdict::Accepted,
        () if is_word(first, "no") => ClaimVerdict::Rejected,
        () => ClaimVerdict::Unanswered,
    };
    YesNo {
        verdict,
        p_yes: None,
        p_no: None,
    }
}

fn is_word(text: &str, word: &str) -> bool {
    text.trim().eq_ignore_ascii_case(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_chat::ChatFinish;

    fn reply(text: &str, first: &[(&str, f64)]) -> ChatReply {
        let named = |(token, p): &(&str, f64)| TokenLogProb {
            token: (*token).to_owned(),
            logprob: p.ln(),
        };
        ChatReply {
            text: text.into(),
            reasoning: None,
            finish_reason: ChatFinish::Stop,
            first_token: first.iter().map(named).collect(),
            prompt_tokens: 0,
            completion_tokens: 0,
            model: String::new(),
            cached: false,
        }
    }

    #[test]
    fn probabilities_come_before_the_text_and_cases_are_summed() {
        let both = [("Yes", 0.3), ("no", 0.4), (" yes", 0.2), ("not", 0.1)];
        let found = read(&reply("no", &both));
        assert_eq!(found.verdict, ClaimVerdict::Accepted);
        assert!((found.p_yes.unwrap() - 0.5).abs() < 1e-9, "{found:?}");
        assert_eq!(
            read(&reply("x", &[("No", 0.2)])).verdict,
            ClaimVerdict::Rejected
        );
    }

    #[test]
    fn a_text_is_read_by_its_first_word() {
        let verdict = |text: &str| read(&reply(text, &[("The", 0.9)])).verdict;
        assert_eq!(verdict("**Yes**, it is."), ClaimVerdict::Accepted);
        assert_eq!(verdict("NO."), ClaimVerdict::Rejected);
        for open in ["", "Not sure", "Yesterday", "It is", "nothing"] {
            assert_eq!(verdict(open), ClaimVerdict::Unanswered, "{open}");
        }
    }
}
