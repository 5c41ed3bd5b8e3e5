//! Log-probabilities of responses under the frozen reference: those of the weights at the start of the stage.
//!
//! A pair is scored in a pass of its own, so that its numbers do not depend on its neighbours in a batch: stored ones,
//! those of a resumed run, and those computed anew in every epoch are the same bits.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use percept_credit::preference::Kind;
use rayon::prelude::*;

use crate::Error;
use crate::batch::pack::pack;
use crate::policy::Policy;
use crate::policy::values::{ScoreOptions, Weights};
use crate::stages::dpo::columns::Values;
use crate::stages::dpo::pair::Pair;
use crate::stages::dpo::stored::{Stored, key, whose};
use crate::stages::dpo::update::Passes;

/// Folder of the reference's weights in a run folder.
const FOLDER: &str = "dpo-reference";

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

    /// The log-probabilities of the responses that the loss asks for.
    ///
    /// # Errors
    /// [`Error::Model`] when a pair does not fit the model; [`Error::Log`] when the file cannot be read or written.
    pub(crate) fn log_probs<P: Policy>(
        &mut self,
        policy: &mut P,
        run: &Path,
        passes: &Passes<'_>,
        pairs: &[&Pair],
    ) -> Result<Values, Error> {
        let (wanted, tokens) = (asked(passes), passes.budget);
        match self {
            Self::None => Ok(zeros(pairs, wanted)),
            Self::Model => each_alone(policy, Weights::Reference, pairs, wanted, tokens),
            Self::Stored { file, loaded, bf16 } => {
                let stored = open(file, run, *bf16)?;
                let keys = keys(pairs, &wanted);
                let new = unknown(stored, pairs, &keys, &wanted);
                if !new.is_empty() && !*loaded {
                    policy.load_reference(&folder(run))?;
                    *loaded = true;
                }
                let unknown: Vec<&Pair> = new.iter().map(|&index| pairs[index]).collect();
                let found = alone(policy, Weights::Reference, &unknown, &wanted, tokens)?;
                stored.add(new.iter().map(|&i| keys[i].clone()).zip(found).collect())?;
                let mut out = Values::none(pairs);
                for (index, (pair, key)) in pairs.iter().zip(&keys).enumerate() {
                    if let Some(known) = stored.get(key) {
                        fill(&mut out, index, &pair.items(&wanted).1, known);
                    }
                }
                Ok(out)
            }
        }
    }

    /// Stores the log-probabilities of blocks of pairs while the policy itself is still the reference; `progress` is told how
    /// many were looked at, and says whether to go on.
    ///
    /// # Errors
    /// As [`Reference::log_probs`].
    pub(crate) fn precompute<P: Policy>(
        &mut self,
        policy: &P,
        run: &Path,
        passes: &Passes<'_>,
        blocks: impl Iterator<Item = Vec<Pair>>,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<(), Error> {
        let Self::Stored { file, bf16, .. } = self else {
            return Ok(());
        };
        let stored = open(file, run, *bf16)?;
        let (wanted, mut done) = (asked(passes), 0);
        for block in blocks {
            let pairs: Vec<&Pair> = block.iter().collect();
            let keys = keys(&pairs, &wanted);
            let new = unknown(stored, &pairs, &keys, &wanted);
            let unknown: Vec<&Pair> = new.iter().map(|&index| pairs[index]).collect();
            let found = alone(policy, Weights::Current, &unknown, &wanted, passes.budget)?;
            stored.add(new.iter().map(|&i| keys[i].clone()).zip(found).collect())?;
            done += pairs.len();
            if !progress(done) {
                break;
            }
        }
        Ok(())
    }
}

/// Which kinds of responses the reference is asked about.
fn asked(passes: &Passes<'_>) -> impl Fn(Kind) -> bool + Sync {
    let needs = passes.needs;
    move |kind| needs.of_kind(kind).ref_log_prob
}

/// The key of each pair. Hashing pixels is work for all threads.
fn keys(pairs: &[&Pair], wanted: &(impl Fn(Kind) -> bool + Sync)) -> Vec<String> {
    let of = |pair: &&Pair| key(pair, &pair.items(wanted).1);
    pairs.par_iter().map(of).collect()
}

/// Indices of the pairs that the reference is asked about and the file does not know, each content once.
fn unknown(
    stored: &Stored,
    pairs: &[&Pair],
    keys: &[String],
    wanted: impl Fn(Kind) -> bool,
) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut new = Vec::new();
    for (index, (pair, key)) in pairs.iter().zip(keys).enumerate() {
        let asked = pair.responses.iter().any(|r| wanted(r.kind));
        if asked && stored.get(key).is_none() && seen.insert(key) {
            new.push(index);
        }
    }
    new
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

/// Log-probabilities of the wanted responses without gradients, each pair in a pass of its own; passes of at most `tokens`
/// tokens together at a time.
///
/// # Errors
/// [`Error::Model`] when a pair does not fit the model.
pub(crate) fn each_alone(
    policy: &impl Policy,
    weights: Weights,
    pairs: &[&Pair],
    wanted: impl Fn(Kind) -> bool,
    tokens: usize,
) -> Result<Values, Error> {
    let mut out = Values::none(pairs);
    let found = alone(policy, weights, pairs, &wanted, tokens)?;
    for (index, (pair, values)) in pairs.iter().zip(&found).enumerate() {
        fill(&mut out, index, &pair.items(&wanted).1, values);
    }
    Ok(out)
}

/// Of each pair a list for each wanted response, in the order of its items.
fn alone(
    policy: &impl Policy,
    weights: Weights,
    pairs: &[&Pair],
    wanted: impl Fn(Kind) -> bool,
    tokens: usize,
) -> Result<Vec<Vec<Vec<f32>>>, Error> {
    let options = ScoreOptions {
        weights,
        temperature: 1.0,
        top_p: None,
    };
    let (mut all, mut passes) = (vec![Vec::new(); pairs.len()], Vec::new());
    let mut asked = Vec::new();
    for (index, pair) in pairs.iter().enumerate() {
        let (items, places) = pair.items(&wanted);
        if !items.is_empty() {
            passes.push(pack(&items)?);
            asked.push((index, places));
        }
    }
    let found = policy.score_each(&passes, &options, tokens)?;
    for ((index, places), found) in asked.into_iter().zip(found) {
        let mut flat = found.log_prob.into_iter();
        let responses = &pairs[index].responses;
        let lengths = places.iter().map(|&place| responses[place].tokens.len());
        all[index] = lengths
            .map(|length| flat.by_ref().take(length).collect())
            .collect();
    }
    Ok(all)
}
