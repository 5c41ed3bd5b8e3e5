//! What `[dpo]` and `[preference]` say that cannot work.

use percept_credit::preference::Kind;

use crate::Recipe;

/// Refuses what the types allow and the stage cannot do.
///
/// # Errors
/// What is wrong, and what to change.
pub(crate) fn check(recipe: &Recipe) -> Result<(), String> {
    let Some(dpo) = &recipe.dpo else {
        return Ok(());
    };
    let options = &recipe.preference;
    if recipe.data.digit_sum.is_some() && dpo.train_files.is_empty() {
        return Err(
            "data.digit_sum makes no preference pairs: name files of pairs in dpo.train_files"
                .to_owned(),
        );
    }
    options
        .loss
        .check()
        .map_err(|error| format!("preference: {error}"))?;
    if let Some(weight) = options.segment_weight
        && !(weight.is_finite() && weight > 0.0)
    {
        return Err(format!(
            "preference.segment_weight is {weight}; expected more than 0"
        ));
    }
    let needs = options.loss.needs();
    let name = options.loss.name();
    if options.reference_free && needs.kinds.values().any(|kind| kind.ref_kl) {
        return Err(format!(
            "preference.reference_free = true, and loss {name} measures the divergence from a reference\n  help: leave it \
             out, or switch the divergence off (use_tok = false of chip, loss_alpha = 0 of halva)"
        ));
    }
    let general = needs.kinds.contains_key(&Kind::General);
    if general && dpo.general_files.is_empty() {
        return Err(format!(
            "loss {name} holds the policy near its reference on general rows, and there are none\n  help: name files of \
             rows with answers in dpo.general_files, or set loss_alpha = 0"
        ));
    }
    if !general && !dpo.general_files.is_empty() {
        return Err(format!(
            "dpo.general_files does nothing: loss {name} reads no general rows\n  help: leave it out, or choose halva"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::parse;

    fn error(rest: &str) -> String {
        let start = "[model]\npath = \"m\"\n[data]\ntrain_files = [\"a.jsonl\"]\n[dpo]\n";
        let read = parse(&format!("{start}{rest}"), "recipe.toml", &[]);
        read.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_was_found_and_what_to_do() {
        for (rest, words) in [
            ("step = 3\n", ["unknown field", "dpo.steps"]),
            ("steps = -1\n", ["-1", "recipe.toml:6"]),
            (
                "train_batch_size = 0\n",
                ["dpo.train_batch_size", "at least 1"],
            ),
            (
                "train_batch_size = 9223372036854775807\n",
                ["dpo.train_batch_size", "at most"],
            ),
            (
                "ppo_max_token_len = 0\n",
                ["dpo.ppo_max_token_len", "at least 1"],
            ),
            ("optim = { lr = -1.0 }\n", ["dpo.optim.lr", "0 or more"]),
            ("optim = { lr = nan }\n", ["dpo.optim.lr", "NaN"]),
            (
                "optim = { min_lr_ratio = 0.1 }\n",
                ["dpo.optim.min_lr_ratio", "cosine"],
            ),
            ("[preference]\nloss = \"adavipp\"\n", ["adavipp", "adavip"]),
            (
                "[preference]\nloss = { name = \"dpo\", betta = 0.1 }\n",
                ["betta", "beta"],
            ),
            (
                "[preference]\nloss = { name = \"dpo\", beta = 0.0 }\n",
                ["beta", "0"],
            ),
            (
                "[preference]\nloss = { name = \"dpo\", loss_type = \"hing\" }\n",
                ["hing", "hinge"],
            ),
            (
                "[preference]\nbeta = 0.1\n",
                ["did you mean", "preference.loss.beta"],
            ),
            (
                "[preference]\nsegment_weight = 0.0\n",
                ["segment_weight", "more than 0"],
            ),
            (
                "[preference]\nsegment_weight = inf\n",
                ["segment_weight", "more than 0"],
            ),
            (
                "[preference]\nimage_ablation = \"black\"\n",
                ["black", "blank"],
            ),
            (
                "[preference]\nreference_free = true\nloss = \"chip\"\n",
                ["reference_free", "use_tok = false"],
            ),
            (
                "[preference]\nloss = \"halva\"\n",
                ["dpo.general_files", "loss_alpha = 0"],
            ),
            (
                "general_files = [\"b.jsonl\"]\n[preference]\nloss = \"dpo\"\n",
                ["dpo.general_files", "does nothing"],
            ),
        ] {
            let error = error(rest);
            for word in words {
                assert!(error.contains(word), "{rest}: {word} in {error}");
            }
        }
        let digits =
            "[model]\npath = \"m\"\n[data.digit_sum]\nsft = {}\nrl = {}\nval = {}\n[dpo]\n";
        let error = parse(digits, "recipe.toml", &[]).unwrap_err().to_string();
        assert!(error.contains("dpo.train_files"), "{error}");
    }

    #[test]
    fn a_printed_recipe_is_one_and_files_of_the_stage_are_its_own() {
        let text = "[model]\npath = \"m\"\n[data.digit_sum]\nsft = {}\nrl = {}\nval = {}\n[sft]\n[dpo]\n\
                    train_files = [\"pairs.jsonl\"]\n[preference]\nloss = { name = \"adavip\", beta = 0.2 }\n";
        let recipe = parse(text, "recipe.toml", &[]).unwrap();
        let printed = recipe.to_toml().unwrap();
        assert_eq!(
            parse(&printed, "printed", &[]).unwrap(),
            recipe.settled().unwrap()
        );
        let stages: Vec<&str> = recipe
            .stage_tables()
            .iter()
            .map(|table| table.name)
            .collect();
        assert_eq!(stages, ["sft", "dpo"]);
    }
}
