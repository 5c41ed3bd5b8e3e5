//! A model judges claim by claim.

use percept_chat::{ChatError, ChatModel, ChatReply, ChatRequest, Turn, ask_all};
use percept_data::{Dataset, Message, Part, Role, Sample};
use serde_json::{Value, json};

use super::annotations::rejected;
use crate::claims::{prompts, split, yes_no};
use crate::{
    Candidate, CandidateStatus, Claim, ClaimOptions, ClaimVerdict, Error, Judge, Judgement,
    QuestionForm, Score, SplitBy,
};

/// Hears how a step goes on, as in [`ask_all`].
type Tell = Box<dyn FnMut(usize, Option<&ChatError>) + Send>;

/// A model as a judge: it sees the picture and a question about each claim, greedily answered.
pub struct ClaimJudge<'a> {
    model: &'a dyn ChatModel,
    options: ClaimOptions,
    /// Gives who hears of a step, by its unit and its number of requests.
    progress: &'a dyn Fn(&'static str, usize) -> Tell,
}

/// An answer on its way: its claims, each with its question, or why there are none.
type Split = Result<Vec<Claim>, (CandidateStatus, String)>;

impl<'a> ClaimJudge<'a> {
    /// This model, asked in this way. `progress` gives who hears of a step with this unit and number of requests.
    pub fn new(
        model: &'a dyn ChatModel,
        options: ClaimOptions,
        progress: &'a dyn Fn(&'static str, usize) -> Tell,
    ) -> Self {
        Self {
            model,
            options,
            progress,
        }
    }

    fn ask(
        &self,
        unit: &'static str,
        count: usize,
        request: impl Fn(usize) -> Result<ChatRequest, ChatError> + Sync,
    ) -> Result<Vec<Result<ChatReply, ChatError>>, Error> {
        let mut tell = (self.progress)(unit, count);
        Ok(ask_all(self.model, count, request, &mut *tell)?)
    }

    /// The claims of each answer.
    fn split(&self, answers: &[&Candidate], data: &dyn Dataset) -> Result<Vec<Split>, Error> {
        if self.options.split == SplitBy::Sentences {
            let texts = answers.iter().map(|answer| split::sentences(&answer.text));
            return Ok(texts.map(claims).collect());
        }
        let request = |at: usize| {
            let answer = answers[at];
            let question = last_question(&data.get(answer.row)?);
            Ok(words(answer, prompts::facts(&question, &answer.text)))
        };
        let replies = self.ask("answers split into claims", answers.len(), request)?;
        let read = |reply: Result<ChatReply, ChatError>| match reply {
            Err(error) => Err((CandidateStatus::Failed, error.to_string())),
            Ok(reply) => match split::entries(&reply.text) {
                none if none.is_empty() => {
                    let start: String = reply.text.chars().take(80).collect();
                    let why = format!("the judge listed no facts: {start:?}");
                    Err((CandidateStatus::NoClaims, why))
                }
                facts => claims(facts),
            },
        };
        Ok(replies.into_iter().map(read).collect())
    }

    /// Puts a question to each claim. Where the judge's list does not have one for each claim, the claims are quoted.
    fn question(&self, answers: &[&Candidate], splits: &mut [Split]) -> Result<(), Error> {
        let mut written: Vec<Option<Vec<String>>> = vec![None; splits.len()];
        if self.options.questions == QuestionForm::Model {
            let open: Vec<usize> = (0..splits.len()).filter(|&at| splits[at].is_ok()).collect();
            let request = |at: usize| {
                let claims = splits[open[at]].iter().flatten();
                let claims: Vec<String> = claims.map(|claim| claim.claim.clone()).collect();
                Ok(words(answers[open[at]], prompts::questions(&claims)))
            };
            let replies = self.ask("answers made questions of", open.len(), request)?;
            for (&at, reply) in open.iter().zip(replies) {
                match reply {
                    Ok(reply) => written[at] = Some(split::entries(&reply.text)),
                    Err(error) => splits[at] = Err((CandidateStatus::Failed, error.to_string())),
                }
            }
        }
        for (split, written) in splits.iter_mut().zip(written) {
            let Ok(claims) = split else { continue };
            let written = written.filter(|list| list.len() == claims.len());
            for (at, claim) in claims.iter_mut().enumerate() {
                claim.question = Some(match &written {
                    Some(list) => prompts::general(&list[at]),
                    None => prompts::statement(&claim.claim),
                });
            }
        }
        Ok(())
    }
}

/// A request without a picture.
fn words(answer: &Candidate, text: String) -> ChatRequest {
    let sample = Sample::new(answer.id.clone(), vec![Message::text(Role::User, text)]);
    let turn = Turn {
        temperature: 0.0,
        ..Turn::default()
    };
    ChatRequest::of(&sample, turn)
}

/// The question about a claim, after the row's pictures and videos.
fn about(options: &ClaimOptions, sample: &Sample, question: &str) -> ChatRequest {
    let images = (0..sample.images.len()).map(Part::Image);
    let videos = (0..sample.videos.len()).map(Part::Video);
    let text = Part::Text(question.to_owned());
    let content = images.chain(videos).chain([text]).collect();
    let asked = Sample {
        images: sample.images.clone(),
        videos: sample.videos.clone(),
        ..Sample::new(sample.id.clone(), vec![Message::new(Role::User, content)])
    };
    let turn = Turn {
        temperature: 0.0,
        max_tokens: options.max_tokens,
        top_logprobs: if options.logprobs { 20 } else { 0 },
        ..Turn::default()
    };
    ChatRequest::of(&asked, turn)
}

/// Claims that nobody has judged.
fn claims(texts: Vec<String>) -> Split {
    if texts.is_empty() {
        let why = "it holds no sentence".to_owned();
        return Err((CandidateStatus::NoClaims, why));
    }
    let open = |text| Claim::new(text, ClaimVerdict::Unanswered);
    Ok(texts.into_iter().map(open).collect())
}

/// The text of the last turn of a user.
fn last_question(sample: &Sample) -> String {
    let asked = sample.messages.iter().rfind(|m| m.role == Role::User);
    asked.map(Message::plain_text).unwrap_or_default()
}

/// Notes what the judge says of a claim.
fn put(claim: &mut Claim, reply: ChatReply) {
    let said = yes_no::read(&reply);
    claim.verdict = said.verdict;
    (claim.p_yes, claim.p_no) = (said.p_yes, said.p_no);
    if said.verdict == ClaimVerdict::Unanswered {
        claim.reply = Some(reply.text);
    }
}

/// The judgement of claims; `failed` says why a verdict did not come, which another run may bring.
fn judgement(split: Split, failed: Option<String>) -> Judgement {
    let claims = match split {
        Ok(claims) => claims,
        Err((status, why)) => return Judgement::none(status, why),
    };
    let open = claims
        .iter()
        .filter(|claim| claim.verdict == ClaimVerdict::Unanswered);
    let score = match (failed, open.count()) {
        (Some(why), _) => Err((CandidateStatus::Failed, why)),
        (None, 0) => Ok(Score {
            value: -(rejected(&claims) as f64),
            coverage: None,
        }),
        (None, open) => {
            let why = format!("the judge left {open} of {} claims open", claims.len());
            Err((CandidateStatus::Unanswered, why))
        }
    };
    Judgement { claims, score }
}

impl Judge for ClaimJudge<'_> {
    fn identity(&self) -> Value {
        let split = match self.options.split {
            SplitBy::Sentences => "sentences",
            SplitBy::Model => "model",
        };
        let questions = match self.options.questions {
            QuestionForm::Statement => "statement",
            QuestionForm::Model => "model",
        };
        json!({"judge": self.model.identity(), "claims": split, "questions": questions})
    }

    fn judge(&self, answers: &[&Candidate], data: &dyn Dataset) -> Result<Vec<Judgement>, Error> {
        let mut splits = self.split(answers, data)?;
        self.question(answers, &mut splits)?;
        let places: Vec<(usize, &str)> = splits
            .iter()
            .enumerate()
            .flat_map(|(at, split)| split.iter().flatten().map(move |claim| (at, claim)))
            .map(|(at, claim)| (at, claim.question.as_deref().unwrap_or_default()))
            .collect();
        let options = &self.options;
        let request = |at: usize| {
            let (answer, question) = places[at];
            Ok(about(options, &data.get(answers[answer].row)?, question))
        };
        let asked: Vec<usize> = places.iter().map(|(answer, _)| *answer).collect();
        let replies = self.ask("claims", places.len(), request)?;
        let mut failed: Vec<Option<String>> = vec![None; splits.len()];
        let claims = splits.iter_mut().flatten().flatten();
        for ((claim, reply), answer) in claims.zip(replies).zip(asked) {
            match reply {
                Ok(reply) => put(claim, reply),
                Err(error) => failed[answer] = Some(error.to_string()),
            }
        }
        let judged = splits.into_iter().zip(failed);
        Ok(judged
            .map(|(split, failed)| judgement(split, failed))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_chat::Recorded;

    struct One;

    impl Dataset for One {
        fn len(&self) -> usize {
            1
        }

        fn get(&self, _: usize) -> Result<Sample, percept_data::Error> {
            Ok(Sample::new(
                "r",
                vec![Message::text(Role::User, "What is there?")],
            ))
        }

        fn name(&self) -> &str {
            "one"
        }
    }

    fn judged(
        answer: impl Fn(&str) -> String + Send + Sync,
        options: ClaimOptions,
        text: &str,
    ) -> Judgement {
        let model = Recorded::answering("judge", |request| answer(&last_of(request)));
        let quiet: &dyn Fn(&'static str, usize) -> Tell = &|_, _| Box::new(|_, _| {});
        let judge = ClaimJudge::new(&model, options, quiet);
        judge
            .judge(&[&Candidate::of(0, text)], &One)
            .unwrap()
            .remove(0)
    }

    fn last_of(request: &ChatRequest) -> String {
        request.turns().last().unwrap().plain_text()
    }

    #[test]
    fn the_score_is_minus_the_rejected_claims() {
        let answer = |q: &str| if q.contains("cat") { "No." } else { "Yes" }.to_owned();
        let found = judged(
            answer,
            ClaimOptions::default(),
            "A dog sleeps. A cat runs. Two cats sit.",
        );
        assert_eq!(found.score.unwrap().value, -2.0);
        let verdicts: Vec<ClaimVerdict> = found.claims.iter().map(|c| c.verdict).collect();
        use ClaimVerdict::{Accepted, Rejected};
        assert_eq!(verdicts, [Accepted, Rejected, Rejected]);
        assert!(
            found.claims[0]
                .question
                .as_ref()
                .unwrap()
                .contains("A dog sleeps.")
        );
    }

    #[test]
    fn a_claim_that_stays_open_leaves_the_answer_without_a_score() {
        let answer = |q: &str| if q.contains("cat") { "Perhaps" } else { "Yes" }.to_owned();
        let found = judged(answer, ClaimOptions::default(), "A dog. A cat.");
        let (status, why) = found.score.unwrap_err();
        assert_eq!(status, CandidateStatus::Unanswered);
        assert!(why.contains("1 of 2"), "{why}");
        assert_eq!(found.claims[1].reply.as_deref(), Some("Perhaps"));
    }

    #[test]
    fn a_model_splits_and_asks_and_a_list_that_does_not_fit_is_not_used() {
        let options = ClaimOptions {
            split: SplitBy::Model,
            questions: QuestionForm::Model,
            ..ClaimOptions::default()
        };
        let answer = |one_question: bool| {
            move |q: &str| match q {
                q if q.contains("List every fact") => {
                    "### Facts\n- A dog is there.\n- It is black.".to_owned()
                }
                q if q.contains("Rewrite each") && one_question => "- Is a dog there?".to_owned(),
                q if q.contains("Rewrite each") => "- Is a dog there?\n- Is it black?".to_owned(),
                _ => "yes".to_owned(),
            }
        };
        let questions = |found: &Judgement| -> Vec<String> {
            found
                .claims
                .iter()
                .filter_map(|c| c.question.clone())
                .collect()
        };
        let fits = judged(answer(false), options.clone(), "A black dog.");
        assert!(questions(&fits)[1].starts_with("Is it black?"), "{fits:?}");
        let quoted = judged(answer(true), options, "A black dog.");
        assert!(
            questions(&quoted)[1].contains("\"It is black.\""),
            "{quoted:?}"
        );
    }
}
