//! Recipes: accepted or refused; what is accepted is printed so that it reads back the same.

/// Pieces of TOML.
pub const PIECES: &[&str] = &[
    "[model.tiny]\n",
    "[model.lora]\n",
    "[sft]\n",
    "[rl]\n",
    "[data.digit_sum]\nsft = {}\nrl = {}\nval = {}\n",
    "[data]\n",
    "[trainer]\n",
    "[rollout]\n",
    "[algorithm.loss]\n",
    "[algorithm.advantage]\n",
    "[[reward.functions]]\n",
    "name = \"math\"\n",
    "name = \"grpo\"\n",
    "seed = ",
    "steps = ",
    "lr = ",
    "temperature = ",
    "optim = { lr = 1 }\n",
    "train_files = ['a.jsonl']\n",
    "path = 'x'\n",
    "0",
    "-1",
    "1.5",
    "nan",
    "inf",
    "9223372036854775807",
    "true",
    "'a'",
    "[1]",
    "\n",
    "=",
    ".",
    "\"",
    "#",
    "]",
    "é",
];

/// A recipe that is accepted, for overrides.
const GOOD: &str = "[model.tiny]\n[data]\ntrain_files = ['a.jsonl']\n[sft]\n[rl]\n";

/// The data as a recipe, and as an override of a good one.
pub fn fuzz(data: &[u8]) {
    let text = crate::text(data);
    check(percept_train::parse(&text, "fuzz", &[]));
    check(percept_train::parse(
        GOOD,
        "fuzz",
        &[text.clone().into_owned()],
    ));
    check(percept_train::parse(
        GOOD,
        "fuzz",
        &[format!("sft.steps={text}")],
    ));
}

fn check(recipe: Result<percept_train::Recipe, percept_train::Error>) {
    let Ok(recipe) = recipe else { return };
    // A seed above 2⁶³ has no TOML form.
    let Ok(text) = recipe.to_toml() else { return };
    let again = percept_train::parse(&text, "printed", &[]);
    assert_eq!(
        again.unwrap_or_else(|error| panic!("{error}\n{text}")),
        recipe
    );
}
