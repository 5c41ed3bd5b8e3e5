//! Log-probabilities of responses under the frozen reference: those of the weights at the start of the stage.
//!
//! A pair is scored in a pass of its own, so that its numbers do not depend on its neighbours in a batch: stored ones,
//! those of a resumed run, and those computed anew in every epoch are the same bits.

use std::path::{Path, PathBuf};

use percept_credit::preference::{Kind, PreferenceNeeds};

use crate::Error;
use crate::batch::pack::pack;
use crate::policy::Policy;
use crate::policy::values::{ScoreOptions, Weights};
use crate::stages::dpo::columns::Values;
use crate::stages::dpo::pair::Pair;
use crate::stages::dpo::stored::{Stored, key, whose};

/// Folder of the reference's weights in a run folder.
const FOLDER: &str = "dpo-reference";

/// Pairs that are written at once.
const BLOCK: usize = 16;

/// Where the reference's log-probabilities come from.
pub(crate) enum Reference {
    /// There is none: they are 0, or nothing asks for them.
    None,
    /// A second model in memory.
    Model,
    /// The file of the run, and the model only for what it lacks.
    Stored {
        /// Opened when it is first asked.
        file: Option<Stored>,
        /// Whether the reference was loaded for a pair that the file lacks.
        loaded: bool,
        /// Whether weights are multiplied in bfloat16.
        bf16: bool,
    },
}

/// The folder of the reference of a run.
pub(crate) fn folder(run: &Path) -> PathBuf {
    run.join(FOLDER)
}

impl Reference {
    /// From the file of the run.
    pub(crate) fn stored(bf16: bool) -> Self {
        Self::Stored {
            file: None,
            loaded: false,
            bf16,
        }
    }

    /// The log-probabilities of the responses that `needs` asks for.
    ///
    /// # Errors
    /// [`Error::Model`] when a pair does not fit the model; [`Error::Log`] when the file cannot be read or written.
    pub(crate) fn log_probs<P: Policy>(
        &mut self,
        policy: &mut P,
        run: &Path,
        needs: &PreferenceNeeds,
        pairs: &[&Pair],
    ) -> Result<Values, Error> {
        let wanted = |kind| needs.of_kind(kind).ref_log_prob;
        match self {
            Self::None => Ok(zeros(pairs, wanted)),
            Self::Model => each_alone(policy, Weights::Reference, pairs, wanted),
            Self::Stored { file, loaded, bf16 } => {
                let stored = open(file, run, *bf16)?;
                let mut new = Vec::new();
                let mut out = Values::none(pairs);
                for (index, pair) in pairs.iter().enumerate() {
                    let (_, places) = pair.items(wanted);
                    if places.is_empty() {
                        continue;
                    }
                    let key = key(pair, &places);
                    if let Some(known) = stored.get(&key) {
                        fill(&mut out, index, &places, known);
                        continue;
                    }
                    if !*loaded {
                        policy.load_reference(&folder(run))?;
                        *loaded = true;
                    }
                    let values = alone(policy, Weights::Reference, pair, wanted)?;
                    fill(&mut out, index, &places, &values);
                    new.push((key, values));
                }
                if !new.is_empty() {
                    stored.add(new)?;
                }
                Ok(out)
            }
        }
    }

    /// Stores the log-probabilities of `pairs` while the policy itself is still the reference; `progress` is told how many
    /// were looked at, and says whether to go on.
    ///
    /// # Errors
    /// As [`Reference::log_probs`].
    pub(crate) fn precompute<P: Policy>(
        &mut self,
        policy: &P,
        run: &Path,
        needs: &PreferenceNeeds,
        pairs: impl Iterator<Item = Pair>,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<(), Error> {
        let Self::Stored { file, bf16, .. } = self else {
            return Ok(());
        };
        let stored = open(file, run, *bf16)?;
        let wanted = |kind| needs.of_kind(kind).ref_log_prob;
        let mut new = Vec::new();
        for (index, pair) in pairs.enumerate() {
            let key = key(&pair, &pair.items(wanted).1);
            if stored.get(&key).is_none() {
                new.push((key, alone(policy, Weights::Current, &pair, wanted)?));
            }
            if new.len() == BLOCK {
                stored.add(std::mem::take(&mut new))?;
            }
            if !progress(index + 1) {
                break;
            }
        }
        match new.is_empty() {
            true => Ok(()),
            false => stored.add(new),
        }
    }
}

fn open<'a>(file: &'a mut Option<Stored>, run: &Path, bf16: bool) -> Result<&'a mut Stored, Error> {
    if file.is_none() {
        *file = Some(Stored::open(run, &whose(&folder(run), bf16)?)?);
    }
    Ok(file.as_mut().expect("it was opened above"))
}

fn fill(out: &mut Values, pair: usize, places: &[usize], values: &[Vec<f32>]) {
    for (&place, values) in places.iter().zip(values) {
        out.0[pair][place].clone_from(values);
    }
}

fn zeros(pairs: &[&Pair], wanted: impl Fn(Kind) -> bool) -> Values {
    let mut out = Values::none(pairs);
    for (pair, values) in pairs.iter().zip(&mut out.0) {
        for (response, values) in pair.responses.iter().zip(values) {
            if wanted(response.kind) {
                *values = vec![0.0; response.tokens.len()];
            }
        }
    }
    out
}

/// Log-probabilities of the wanted responses without gradients, each pair in a pass of its own.
///
/// # Errors
/// [`Error::Model`] when a pair does not fit the model.
pub(crate) fn each_alone(
    policy: &impl Policy,
    weights: Weights,
    pairs: &[&Pair],
    wanted: impl Fn(Kind) -> bool,
) -> Result<Values, Error> {
    let mut out = Values::none(pairs);
    for (index, pair) in pairs.iter().enumerate() {
        let values = alone(policy, weights, pair, &wanted)?;
        fill(&mut out, index, &pair.items(&wanted).1, &values);
    }
    Ok(out)
}

/// Of one pair: a list for each wanted response, in the order of its items.
fn alone(
    policy: &impl Policy,
    weights: Weights,
    pair: &Pair,
    wanted: impl Fn(Kind) -> bool,
) -> Result<Vec<Vec<f32>>, Error> {
    let (items, places) = pair.items(wanted);
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let options = ScoreOptions {
        weights,
        temperature: 1.0,
        top_p: None,
    };
    let found = policy.score(&[pack(&items)?], &options)?;
    let mut flat = found.into_iter().flat_map(|values| values.log_prob);
    let lengths = places
        .iter()
        .map(|&place| pair.responses[place].tokens.len());
    Ok(lengths
        .map(|length| flat.by_ref().take(length).collect())
        .collect())
}
