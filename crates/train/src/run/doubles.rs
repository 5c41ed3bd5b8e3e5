//! The seams of a run, tried with doubles: stages that count, and a policy that computes nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use percept_report::RunDir;

use crate::policy::recorder::{LOG_PROB, Recorder};
use crate::policy::values::Update;
use crate::run::checkpoint;
use crate::run::driver::Run;
use crate::run::news::News;
use crate::run::observer::Silent;
use crate::run::opened::Opened;
use crate::run::stage::{Begin, Stage, Step, Stepped};
use crate::run::state::State;
use crate::source::{open_data, open_model, open_rewards};
use crate::stages;
use crate::{Error, Recipe, parse};

/// Counts its steps, takes two rows for each, and asks for a stop at one of them.
struct Counting<'a> {
    name: &'static str,
    steps: usize,
    stop_at: Option<usize>,
    stop: &'a AtomicBool,
    log: &'a std::sync::Mutex<Vec<String>>,
}

impl Counting<'_> {
    fn say(&self, what: &str) {
        self.log
            .lock()
            .unwrap()
            .push(format!("{} {what}", self.name));
    }
}

impl Stage<Recorder> for Counting<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn steps(&self) -> usize {
        self.steps
    }

    fn rows(&self) -> usize {
        100
    }

    fn begin(&mut self, _: &mut Recorder, _: &mut Begin<'_, '_>) -> Result<(), Error> {
        self.say("begins");
        Ok(())
    }

    fn step(&mut self, step: &mut Step<'_, '_, Recorder>) -> Result<Stepped, Error> {
        self.say(&format!("{} at {}", step.done, step.position));
        step.position += 2;
        let done = Update::Done { grad_norm: 1.0 };
        step.updates.count(&done, &mut step.seen)?;
        if self.stop_at == Some(step.done) {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(Stepped {
            metrics: vec![("a".to_owned(), 1.0)],
            tokens: 10,
        })
    }
}

fn recipe(rest: &str) -> Recipe {
    let text = format!(
        "[model.tiny]\nhidden_size = 32\nnum_hidden_layers = 1\nnum_attention_heads = 2\n\
         num_key_value_heads = 1\nintermediate_size = 64\n\
         [model.tiny.vision]\ndepth = 1\nhidden_size = 32\nnum_heads = 2\nintermediate_size = 64\n\
         fullatt_block_indexes = [0]\n\
         [data.digit_sum]\nsft = {{ len = 8 }}\nrl = {{ len = 8 }}\nval = {{ len = 1 }}\n\
         [rollout]\nmax_completion_length = 6\nnum_generations = 4\n\
         [[reward.functions]]\nname = \"length\"\nunit = \"characters\"\nmax_length = 20\n{rest}"
    );
    parse(&text, "test", &[]).unwrap().settled().unwrap()
}

fn opened(recipe: &Recipe) -> (Opened, Recorder) {
    let device = percept_nn::parse_device("cpu").unwrap();
    let (model, processor) = open_model(recipe, None, &device).unwrap();
    let opened = Opened {
        data: open_data(recipe).unwrap(),
        pairs: None,
        general: None,
        rewards: open_rewards(recipe).unwrap(),
        bundles: None,
        processor,
    };
    (opened, Recorder::new(model))
}

#[test]
fn a_run_is_a_list_of_stages_and_keeps_where_each_stands_by_its_name() {
    let recipe = recipe("[sft]\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let log = std::sync::Mutex::new(Vec::new());
    let mut state = State::default();
    for (round, stop_at) in [Some(1), Some(0), None].into_iter().enumerate() {
        let (opened, policy) = opened(&recipe);
        let dir = match round {
            0 => RunDir::create(&path).unwrap(),
            _ => RunDir::resume(&path).unwrap(),
        };
        if round == 0 {
            percept_base::files::write_atomic(&dir.recipe(), b"").unwrap();
        }
        let stop = AtomicBool::new(false);
        let stage = |name, stop_at| Counting {
            name,
            steps: 3,
            stop_at,
            stop: &stop,
            log: &log,
        };
        // Stopped in the first stage, then in the second, then not at all.
        let first = stage("first", stop_at.filter(|_| round == 0));
        let second = stage("second", stop_at.filter(|_| round == 1));
        let mut list: Vec<Box<dyn Stage<Recorder> + '_>> = vec![Box::new(first), Box::new(second)];
        let mut silent = Silent;
        let news = News::new(&mut silent);
        let mut run = Run::new(&recipe, &opened, policy, state, dir, news, &stop).unwrap();
        assert_eq!(run.go(&mut list).unwrap(), round == 2);
        let newest = run.checkpoints.dir().latest_checkpoint().unwrap().unwrap();
        state = checkpoint::load_state(&newest.path).unwrap();
        let times = |state: &State| (state.global_step, state.tokens, state.updates);
        assert_eq!(times(&state), times(&run.state));
    }
    let expected = [
        "first begins",
        "first 0 at 0",
        "first 1 at 2",
        "first 2 at 4",
        "second begins",
        "second 0 at 0",
        "second 1 at 2",
        "second 2 at 4",
    ];
    assert_eq!(*log.lock().unwrap(), expected);
    assert_eq!((state.global_step, state.tokens), (6, 60));
    assert_eq!((state.updates, state.weight_version), (3, 6));
    let evaluated: Vec<&str> = state.evaluations.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(evaluated, ["base", "first", "second"]);
}

/// Goes through the stages of a recipe with a policy that computes nothing.
fn recorded(recipe: &Recipe, updates: Vec<Update>) -> (Recorder, Result<State, Error>) {
    let (opened, mut policy) = opened(recipe);
    policy.updates = updates;
    let folder = tempfile::tempdir().unwrap();
    let dir = RunDir::create(&folder.path().join("run")).unwrap();
    let (stop, mut silent) = (AtomicBool::new(false), Silent);
    let mut list = stages::of(recipe, &opened);
    let news = News::new(&mut silent);
    let mut run = Run::new(recipe, &opened, policy, State::default(), dir, news, &stop).unwrap();
    let outcome = run.go(&mut list);
    (run.policy, outcome.map(|_| run.state))
}

#[test]
fn what_supervised_training_sends_back_is_the_gradient_of_the_mean() {
    let recipe = recipe("[sft]\nsteps = 2\ntrain_batch_size = 3\nppo_max_token_len = 60\n");
    let (policy, state) = recorded(&recipe, Vec::new());
    assert_eq!(state.unwrap().updates, 2);
    assert_eq!(policy.calls.iter().filter(|&&c| c == "step").count(), 2);
    assert_eq!(policy.calls[..3], ["reset", "plan", "forward"]);
    // Two steps: losses of their passes add up to the mean, and gradients to −1.
    let loss: f64 = policy.objectives.iter().map(|o| o.loss).sum();
    let expected = 2.0 * -f64::from(LOG_PROB);
    assert!((loss - expected).abs() < 1e-9, "{loss}");
    let gradient = policy.objectives.iter().flat_map(|o| &o.d_log_prob);
    let gradient: f64 = gradient.map(|&d| f64::from(d)).sum();
    assert!((gradient + 2.0).abs() < 1e-5, "{gradient}");
}

#[test]
fn what_reinforcement_learning_sends_back_has_a_gradient_of_what_its_loss_reads() {
    let rest = "[rl]\nsteps = 4\ntrain_batch_size = 2\n[algorithm.loss]\nuse_kl_loss = true\nkl_coef = 0.0\n";
    let (policy, state) = recorded(&recipe(rest), Vec::new());
    let state = state.unwrap();
    assert_eq!(state.stage("rl").step, 4);
    assert_eq!(policy.calls[..2], ["reset", "freeze"]);
    assert!(
        policy.objectives.len() >= 4,
        "a reference makes every row count"
    );
    for objective in &policy.objectives {
        assert!(objective.loss.is_finite());
        assert!(objective.d_entropy.is_none() && objective.d_kl.is_none());
    }
}

#[test]
fn updates_that_are_not_finite_are_counted_and_end_the_run() {
    let rest = "[sft]\nsteps = 5\ntrain_batch_size = 2\n[trainer]\nmax_nonfinite_updates = 2\n";
    let recipe = recipe(rest);
    let done = Update::Done { grad_norm: 1.0 };
    // The next answer is the last.
    let (_, state) = recorded(
        &recipe,
        vec![Update::NotFinite, done, Update::NotFinite, done],
    );
    let state = state.unwrap();
    assert_eq!((state.nonfinite, state.updates), (0, 3));
    let (policy, state) = recorded(&recipe, vec![Update::NotFinite, Update::NotFinite, done]);
    let error = state.unwrap_err();
    assert!(
        matches!(error, Error::NonFinite { count: 2, .. }),
        "{error}"
    );
    assert_eq!(policy.calls.iter().filter(|&&c| c == "step").count(), 3);
}
