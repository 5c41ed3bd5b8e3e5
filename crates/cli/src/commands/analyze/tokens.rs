//! `percept analyze tokens`: which tokens of a run's rollouts look and which think.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use percept_base::files::write_atomic;
use percept_report::{Page, RolloutRecord, RunDir, read_rollouts};

use crate::shared::output::say;
use crate::shared::{Done, Failure, Global, table};

/// Counts over the tokens of one kind of question.
#[derive(Debug, Clone, Default)]
struct Counts {
    tokens: usize,
    perception: usize,
    reasoning: usize,
    both: usize,
    weight: f64,
    dependence: f64,
    entropy: f64,
}

/// How often a token text is in each set.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    seen: usize,
    perception: usize,
    reasoning: usize,
}

/// Token texts shown for each set, and how often one must occur.
const SHOWN: usize = 15;
const OFTEN: usize = 20;

/// Which tokens of a run's rollouts perceive and which reason (ToR's sets), by question type.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept analyze tokens runs/tor
  percept analyze tokens runs/tor --step 100")]
pub struct AnalyzeTokens {
    /// Run folder.
    pub run: PathBuf,
    /// Use only the rollouts of this step.
    #[arg(long)]
    pub step: Option<u64>,
}

pub fn run(args: &AnalyzeTokens, _: &Global) -> Result<Done, Failure> {
    let run = RunDir::resume(&args.run)?;
    let mut steps = run.rollout_steps()?;
    if let Some(step) = args.step {
        steps.retain(|known| *known == step);
    }
    let mut kinds: BTreeMap<String, Counts> = BTreeMap::new();
    let mut words: BTreeMap<String, Word> = BTreeMap::new();
    for &step in &steps {
        for record in read_rollouts(&run.rollouts_of(step))? {
            let kind = record.question_type.clone().unwrap_or_else(|| "all".into());
            count(&record, kinds.entry(kind).or_default(), &mut words);
        }
    }
    let mut all = Counts::default();
    for counts in kinds.values() {
        all.add(counts);
    }
    if all.tokens == 0 {
        return Err(Failure::new(format!(
            "{}: no stored rollout has perception and reasoning sets\n  help: they are stored by runs with \
             algorithm.token_weight = [\"tor\"] (and trainer.rollout_freq above 0)",
            args.run.display()
        )));
    }
    let mut rows = vec![HEAD.map(str::to_owned).to_vec(), all.row("all")];
    rows.extend(
        kinds
            .iter()
            .map(|(kind, counts)| counts.row(&format!("  {kind}"))),
    );
    let perceived = top(&words, |word| word.perception);
    let reasoned = top(&words, |word| word.reasoning);
    let page = page(args, steps.len(), &rows, &perceived, &reasoned);
    let path = args.run.join("tokens.html");
    write_atomic(&path, page.as_bytes())?;
    crate::shared::output::result(format_args!("{}", table::format(&rows)))?;
    say!("perception  {}", names(&perceived));
    say!("reasoning   {}", names(&reasoned));
    say!("report      {}", path.display());
    Ok(Done::Well)
}

const HEAD: [&str; 8] = [
    "question type",
    "tokens",
    "perception %",
    "reasoning %",
    "both %",
    "mean weight",
    "|Δ log p| without image",
    "nucleus entropy",
];

impl Counts {
    fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.perception += other.perception;
        self.reasoning += other.reasoning;
        self.both += other.both;
        self.weight += other.weight;
        self.dependence += other.dependence;
        self.entropy += other.entropy;
    }

    fn row(&self, name: &str) -> Vec<String> {
        let count = self.tokens.max(1) as f64;
        let percent = |n: usize| format!("{:.1}", 100.0 * n as f64 / count);
        vec![
            name.to_owned(),
            self.tokens.to_string(),
            percent(self.perception),
            percent(self.reasoning),
            percent(self.both),
            format!("{:.3}", self.weight / count),
            format!("{:.3}", self.dependence / count),
            format!("{:.3}", self.entropy / count),
        ]
    }
}

fn count(record: &RolloutRecord, counts: &mut Counts, words: &mut BTreeMap<String, Word>) {
    let Some(sets) = &record.token_set else {
        return;
    };
    for (i, &set) in sets.iter().enumerate() {
        let set = set as u8;
        let (perception, reasoning) = (set & 1 != 0, set & 2 != 0);
        counts.tokens += 1;
        counts.perception += usize::from(perception);
        counts.reasoning += usize::from(reasoning);
        counts.both += usize::from(perception && reasoning);
        let value = |list: &Option<Vec<f32>>| {
            let value = list.as_ref().and_then(|list| list.get(i));
            value.map_or(0.0, |&x| f64::from(x))
        };
        counts.weight += value(&record.weights);
        counts.entropy += value(&record.nucleus_entropy);
        let seen = record.log_probs.get(i).map_or(0.0, |&x| f64::from(x));
        let difference = (seen - value(&record.log_prob_no_image)).abs();
        counts.dependence += if difference.is_nan() { 0.0 } else { difference };
        if let Some(text) = record.token_text.get(i) {
            let word = words.entry(text.clone()).or_default();
            word.seen += 1;
            word.perception += usize::from(perception);
            word.reasoning += usize::from(reasoning);
        }
    }
}

/// Token texts with the largest share in a set: text, share, occurrences.
fn top(words: &BTreeMap<String, Word>, of: fn(&Word) -> usize) -> Vec<(String, f64, usize)> {
    let mut all: Vec<(String, f64, usize)> = words
        .iter()
        .filter(|(_, word)| word.seen >= OFTEN && of(word) > 0)
        .map(|(text, word)| (text.clone(), of(word) as f64 / word.seen as f64, word.seen))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.2.cmp(&a.2)));
    all.truncate(SHOWN);
    all
}

fn names(top: &[(String, f64, usize)]) -> String {
    let name = |(text, share, _): &(String, f64, usize)| format!("{text:?} {:.0}%", 100.0 * share);
    top.iter().take(8).map(name).collect::<Vec<_>>().join(", ")
}

fn page(
    args: &AnalyzeTokens,
    steps: usize,
    rows: &[Vec<String>],
    perceived: &[(String, f64, usize)],
    reasoned: &[(String, f64, usize)],
) -> String {
    let mut page = Page::new(format!(
        "Tokens that look, tokens that think: {}",
        args.run.display()
    ));
    page.text(&format!(
        "ToR's sets over the rollouts of {steps} stored steps. Perception: the tokens whose log-probability \
         changes most when the image is taken away. Reasoning: those whose nucleus entropy is largest. A token \
         in both counts as reasoning for its weight."
    ));
    page.table(&HEAD, &rows[1..]);
    for (heading, top) in [("Perception", perceived), ("Reasoning", reasoned)] {
        let rows: Vec<Vec<String>> = top
            .iter()
            .map(|(text, share, seen)| {
                let share = format!("{:.1}", 100.0 * share);
                vec![format!("{text:?}"), share, seen.to_string()]
            })
            .collect();
        page.section(heading)
            .table(&["token", "in the set, %", "occurrences"], &rows);
    }
    page.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_counted_by_bits() {
        let record = RolloutRecord {
            tokens: vec![1, 2, 3, 4],
            token_text: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            log_probs: vec![-1.0; 4],
            log_prob_no_image: Some(vec![-3.0, -1.0, -1.0, f32::NAN]),
            token_set: Some(vec![1.0, 2.0, 3.0, 0.0]),
            weights: Some(vec![0.5, 1.0, 1.0, 0.0]),
            ..RolloutRecord::default()
        };
        let (mut counts, mut words) = (Counts::default(), BTreeMap::new());
        count(&record, &mut counts, &mut words);
        assert_eq!((counts.tokens, counts.perception), (4, 2));
        assert_eq!((counts.reasoning, counts.both), (2, 1));
        assert_eq!((counts.weight, counts.dependence), (2.5, 2.0));
        assert_eq!(words["c"].reasoning, 1);
    }
}
