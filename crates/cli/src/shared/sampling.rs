//! From options and generation_config.json to sampling parameters.

use percept_model::{GenerationConfig, Processor};
use percept_sampler::{Draft, EngineConfig, Extrapolate, SamplingParams};

use crate::shared::output::note;
use crate::shared::sampling_args::{Drafting, ExtrapolateArgs, GenerationSource, SamplingArgs};

/// Sampling parameters of the command line. What generation_config.json recommends is used or said.
pub fn sampling(args: &SamplingArgs, processor: &Processor) -> SamplingParams {
    let auto = args.generation_config == GenerationSource::Auto;
    let (params, unused) = params(args, processor.generation(), auto);
    say_unused(&unused, !auto);
    params
}

/// How the engine of the command line decodes.
pub fn engine(args: &SamplingArgs) -> EngineConfig {
    args.memory.engine(args.max_num_seqs)
}

/// How two models are decoded in step, where there are two.
pub fn extrapolate(args: &ExtrapolateArgs) -> Option<Extrapolate> {
    args.extrapolate.as_ref().map(|_| Extrapolate {
        gamma: args.gamma,
        gate: args.gate,
        draft: match args.draft {
            Drafting::Model => Draft::Tuned,
            Drafting::Base => Draft::Base,
        },
        candidates: args.candidates,
    })
}

/// Says that a model's recommendations are not used, by commands that have no option for them.
pub fn say_unused_of(processor: &Processor, temperature: f32, top_p: f32) {
    let used = SamplingParams {
        temperature,
        top_p,
        ..SamplingParams::default()
    };
    let given = [true, true, false, false, false];
    say_unused(&unused(processor.generation(), &used, given), false);
}

fn say_unused(unused: &[String], could: bool) {
    if unused.is_empty() {
        return;
    }
    let how = match could {
        true => "; --generation-config auto uses what percept has of it",
        false => "",
    };
    note!(
        "generation_config.json recommends {}: not used{how}",
        unused.join(", ")
    );
}

fn params(
    args: &SamplingArgs,
    file: &GenerationConfig,
    auto: bool,
) -> (SamplingParams, Vec<String>) {
    // One token of the makers' top_k is what greedy decoding says, whatever their temperature.
    let none = GenerationConfig::default();
    let from = if auto { file } else { &none };
    let given = [
        args.temperature.is_some(),
        args.top_p.is_some(),
        args.top_k.is_some(),
        args.min_p.is_some(),
        args.repetition_penalty.is_some(),
    ];
    let mut stop = args.stop.clone();
    stop.extend(
        from.stop_strings
            .iter()
            .filter(|text| !text.is_empty())
            .cloned(),
    );
    let params = SamplingParams {
        temperature: args.temperature.or(from.temperature).unwrap_or(0.0),
        top_p: args.top_p.or(from.top_p).unwrap_or(1.0),
        top_k: args.top_k.or(from.top_k).unwrap_or(0),
        min_p: args.min_p.or(from.min_p).unwrap_or(0.0),
        repetition_penalty: args
            .repetition_penalty
            .or(from.repetition_penalty)
            .unwrap_or(1.0),
        presence_penalty: args.presence_penalty,
        frequency_penalty: args.frequency_penalty,
        max_tokens: args.max_tokens.or(from.max_new_tokens).unwrap_or(512),
        n: args.n,
        seed: args.seed,
        stop,
        ignore_eos: false,
    };
    let unused = unused(file, &params, given);
    (params, unused)
}

/// What the file recommends, the command line does not decide, and the parameters do not do. A greedy choice is not
/// changed by what only narrows it.
fn unused(file: &GenerationConfig, params: &SamplingParams, given: [bool; 5]) -> Vec<String> {
    let greedy = params.temperature <= 0.0;
    let top_k = file.top_k.map(|k| k as f32);
    let recommended = [
        ("temperature", file.temperature, params.temperature, false),
        ("top_p", file.top_p, params.top_p, greedy && given[0]),
        ("top_k", top_k, params.top_k as f32, greedy && given[0]),
        ("min_p", file.min_p, params.min_p, greedy && given[0]),
        (
            "repetition_penalty",
            file.repetition_penalty,
            params.repetition_penalty,
            false,
        ),
    ];
    let mut out = Vec::new();
    for ((name, wanted, used, idle), given) in recommended.into_iter().zip(given) {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != used && !given && !idle) {
            out.push(format!("{name} = {wanted}"));
        }
    }
    out.extend(file.unsupported.iter().cloned());
    let asks = |text: &&String| !params.stop.contains(text);
    out.extend(
        file.stop_strings
            .iter()
            .filter(asks)
            .map(|text| format!("stop_strings = {text:?}")),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        sampling: SamplingArgs,
    }

    fn of(options: &str, auto: bool) -> (SamplingParams, Vec<String>) {
        let words = ["percept"].into_iter().chain(options.split_whitespace());
        let options = Options::parse_from(words);
        let file = GenerationConfig {
            temperature: Some(0.1),
            top_p: Some(0.001),
            top_k: Some(1),
            repetition_penalty: Some(1.05),
            unsupported: vec!["num_beams = 4".into()],
            ..GenerationConfig::default()
        };
        params(&options.sampling, &file, auto)
    }

    /// D8
    #[test]
    fn the_makers_recommendations_are_used_when_asked_for_and_said_otherwise() {
        let (params, unused) = of("", false);
        assert_eq!((params.temperature, params.repetition_penalty), (0.0, 1.0));
        let all = [
            "temperature = 0.1",
            "top_p = 0.001",
            "top_k = 1",
            "repetition_penalty = 1.05",
            "num_beams = 4",
        ];
        assert_eq!(unused, all);
        let (params, unused) = of("", true);
        assert_eq!(
            (params.temperature, params.top_p, params.top_k),
            (0.1, 0.001, 1)
        );
        assert_eq!(params.repetition_penalty, 1.05);
        assert_eq!(unused, ["num_beams = 4"]);
    }

    #[test]
    fn the_command_line_comes_first_and_is_not_doubted() {
        let (params, unused) = of("--temperature 0 --repetition-penalty 1", true);
        assert_eq!(
            (params.temperature, params.repetition_penalty, params.top_k),
            (0.0, 1.0, 1)
        );
        assert_eq!(unused, ["num_beams = 4"]);
        let (_, unused) = of("--temperature 0", false);
        assert_eq!(unused, ["repetition_penalty = 1.05", "num_beams = 4"]);
    }
}
