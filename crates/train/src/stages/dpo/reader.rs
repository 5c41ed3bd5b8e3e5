//! From a row to the pair that a loss contrasts.

use percept_credit::preference::{Kind, PreferenceNeeds};
use percept_data::{ImageAblation, Media, Message, Part, Preference, Role, Sample};
use percept_model::{Processor, Prompt};

use crate::Recipe;
use crate::batch::refused::Refusal;
use crate::stages::dpo::pair::{Pair, Response};
use crate::stages::dpo::segments;
use crate::stages::dpo::words::{CLIP_GAP, CONFIDENCE, named, not_a_pair};

/// What turns rows into pairs.
pub(crate) struct Reader<'a> {
    pub(crate) processor: &'a Processor,
    pub(crate) needs: &'a PreferenceNeeds,
    /// Name of the loss.
    pub(crate) loss: &'static str,
    pub(crate) image_ablation: ImageAblation,
    /// Weight of the tokens in which the answers differ.
    pub(crate) segment_weight: f64,
    /// `data.max_prompt_length`.
    pub(crate) max_prompt_length: usize,
}

impl<'a> Reader<'a> {
    /// For the loss of a recipe, which asks for `needs`.
    pub(crate) fn of(
        recipe: &'a Recipe,
        processor: &'a Processor,
        needs: &'a PreferenceNeeds,
    ) -> Self {
        let options = &recipe.preference;
        Self {
            processor,
            needs,
            loss: options.loss.name(),
            image_ablation: options.image_ablation,
            segment_weight: options.segment_weight(),
            max_prompt_length: recipe.data.max_prompt_length,
        }
    }

    /// The pair of a row.
    ///
    /// # Errors
    /// Why the row is none that the loss can use.
    pub(crate) fn pair(&self, sample: &Sample) -> Result<Pair, Refusal> {
        let refused = |reason: String| Refusal::new(&sample.id, reason);
        let Some(preference) = &sample.preference else {
            return Err(refused(not_a_pair().to_owned()));
        };
        let mut pair = Pair {
            id: sample.id.clone(),
            confidence: preference.confidence.map(|value| value as f32),
            clip_gap: preference.clip_gap.map(|value| value as f32),
            ..Pair::default()
        };
        self.answers(&mut pair, sample, preference)?;
        pair.responses.sort_by_key(|response| response.kind);
        let phrases = self.needs.kinds.values().any(|needs| needs.phrase);
        segments::mark(&mut pair, self.segment_weight, phrases);
        for (needed, there, what) in [
            (self.needs.confidence, pair.confidence.is_some(), CONFIDENCE),
            (self.needs.clip_gap, pair.clip_gap.is_some(), CLIP_GAP),
        ] {
            if needed && !there {
                return Err(refused(format!(
                    "no {what}, which loss {} reads",
                    self.loss
                )));
            }
        }
        let contrasted = |r: &Response| !matches!(r.kind, Kind::Chosen | Kind::Corrected);
        if !pair.responses.iter().any(contrasted) {
            let reason =
                "neither a rejected answer nor a rejected picture: there is nothing to contrast";
            return Err(refused(reason.to_owned()));
        }
        Ok(pair)
    }

    /// A response that holds the policy near its reference: the answer of a row as supervised training would learn it.
    ///
    /// # Errors
    /// Why the row has none.
    pub(crate) fn general(&self, sample: &Sample) -> Result<Pair, Refusal> {
        let mut prompt = sample.clone();
        let last = prompt.messages.last().map(|turn| turn.role);
        let turn = match last {
            Some(Role::Assistant) => prompt.messages.pop(),
            _ => sample
                .expert
                .as_ref()
                .map(|text| Message::text(Role::Assistant, text.as_str())),
        };
        let Some(turn) = turn else {
            let reason = "no answer; expected a last turn of the assistant, or a column `expert`, `response` or \
                          `completion`";
            return Err(Refusal::new(&sample.id, reason.to_owned()));
        };
        let tokens = self.answer(&prompt, &[turn], "answer")?;
        Ok(Pair {
            id: sample.id.clone(),
            prompts: vec![self.prompt(&prompt)?],
            pictures: vec![prompt.images],
            responses: vec![Response {
                kind: Kind::General,
                prompt: 0,
                tokens,
                weight: None,
                phrase: None,
            }],
            ..Pair::default()
        })
    }

    /// Adds the responses that the loss asks for.
    fn answers(
        &self,
        pair: &mut Pair,
        sample: &Sample,
        preference: &Preference,
    ) -> Result<(), Refusal> {
        let needed = |kind| self.needs.kinds.contains_key(&kind);
        let answer = |turns: &[Message], name| self.answer(sample, turns, name);
        let prompt = self.prompt(sample)?;
        let chosen = answer(&preference.chosen, "chosen")?;
        let rejected = preference.rejected.iter();
        let rejected = rejected.map(|turns| answer(turns, "rejected"));
        let rejected = rejected.collect::<Result<Vec<_>, _>>()?;
        self.count(sample, Kind::Rejected, rejected.len())?;
        let blind = [Kind::ChosenNoImage, Kind::RejectedNoImage];
        let blind = match blind.into_iter().any(needed) {
            true => Some(self.without_picture(sample)?),
            false => None,
        };
        let mut add = |prompt: usize, kind, tokens: &[u32]| {
            if needed(kind) {
                pair.responses.push(Response {
                    kind,
                    prompt,
                    tokens: tokens.to_vec(),
                    weight: None,
                    phrase: None,
                });
            }
        };
        pair.prompts.push(prompt);
        pair.pictures.push(sample.images.clone());
        add(0, Kind::Chosen, &chosen);
        for tokens in &rejected {
            add(0, Kind::Rejected, tokens);
        }
        let corrected = match needed(Kind::Corrected) {
            false => None,
            true => {
                let turns = preference.corrected.as_deref().unwrap_or_default();
                self.count(sample, Kind::Corrected, turns.len().min(1))?;
                Some(answer(turns, "corrected")?)
            }
        };
        if let Some(tokens) = &corrected {
            add(0, Kind::Corrected, tokens);
        }
        for pictures in self.rejected_pictures(sample, preference)? {
            let with = Sample {
                images: pictures.clone(),
                ..sample.clone()
            };
            pair.prompts.push(self.prompt(&with)?);
            pair.pictures.push(pictures.clone());
            let last = pair.prompts.len() - 1;
            add(last, Kind::ChosenRejectedImage, &chosen);
            if let Some(tokens) = &corrected {
                add(last, Kind::CorrectedRejectedImage, tokens);
            }
        }
        if let Some((prompt, pictures)) = blind {
            pair.prompts.push(prompt);
            pair.pictures.push(pictures);
            let last = pair.prompts.len() - 1;
            add(last, Kind::ChosenNoImage, &chosen);
            for tokens in &rejected {
                add(last, Kind::RejectedNoImage, tokens);
            }
        }
        Ok(())
    }

    fn prompt(&self, sample: &Sample) -> Result<Prompt, Refusal> {
        let prompt = self.processor.prompt(sample);
        let prompt = prompt.and_then(|prompt| prompt.within(self.max_prompt_length, &sample.id));
        prompt.map_err(|error| Refusal::of(&error.into(), &sample.id))
    }

    fn without_picture(&self, sample: &Sample) -> Result<(Prompt, Vec<Media>), Refusal> {
        if sample.images.is_empty() && sample.videos.is_empty() {
            let reason = format!("no picture to take away, which loss {} asks for", self.loss);
            return Err(Refusal::new(&sample.id, reason));
        }
        let ablated = sample.ablated(self.image_ablation);
        let ablated = ablated.map_err(|error| Refusal::of(&error.into(), &sample.id))?;
        Ok((self.prompt(&ablated)?, ablated.images))
    }

    /// Pictures that stand in for the row's own, one list for each rejected picture that the loss asks for.
    fn rejected_pictures<'p>(
        &self,
        sample: &Sample,
        preference: &'p Preference,
    ) -> Result<&'p [Vec<Media>], Refusal> {
        let kinds = [Kind::ChosenRejectedImage, Kind::CorrectedRejectedImage];
        if !kinds.iter().any(|kind| self.needs.kinds.contains_key(kind)) {
            return Ok(&[]);
        }
        let all = preference.rejected_images.as_slice();
        for kind in kinds {
            self.count(sample, kind, all.len())?;
        }
        if let Some(wrong) = all.iter().find(|list| list.len() != sample.images.len()) {
            let reason = format!(
                "{} rejected pictures stand in for {}; expected as many",
                wrong.len(),
                sample.images.len()
            );
            return Err(Refusal::new(&sample.id, reason));
        }
        Ok(all)
    }

    /// Refuses a row that has other than one response of a kind, where the loss takes one.
    fn count(&self, sample: &Sample, kind: Kind, found: usize) -> Result<(), Refusal> {
        let needs = self.needs.kinds.get(&kind);
        if needs.is_none_or(|needs| needs.many) || found == 1 {
            return Ok(());
        }
        let (what, help) = named(kind);
        let reason = match found {
            0 => format!(
                "no {what}, which loss {} asks for\n  help: {help}",
                self.loss
            ),
            _ => format!(
                "{found} of {what}, and loss {} takes one\n  help: a row for each, or loss = \"adavip\", which takes several",
                self.loss
            ),
        };
        Err(Refusal::new(&sample.id, reason))
    }

    /// Tokens of an answer of one turn.
    fn answer(&self, sample: &Sample, turns: &[Message], name: &str) -> Result<Vec<u32>, Refusal> {
        let refused = |reason: String| Refusal::new(&sample.id, format!("{name}: {reason}"));
        let [turn] = turns else {
            return Err(refused(format!(
                "found {} turns, expected one of the assistant\n  help: put the turns before it into the prompt",
                turns.len()
            )));
        };
        if turn.role != Role::Assistant {
            return Err(refused(format!(
                "found a turn with role {}, expected assistant",
                turn.role
            )));
        }
        if turn
            .content
            .iter()
            .any(|part| !matches!(part, Part::Text(_)))
        {
            return Err(refused("an answer holds text and no pictures".to_owned()));
        }
        let tokens = self.processor.response(sample, turn);
        let tokens = tokens.map_err(|error| Refusal::of(&error.into(), &sample.id))?;
        match tokens.is_empty() {
            true => Err(refused("the chat template made no text of it".to_owned())),
            false => Ok(tokens),
        }
    }
}
