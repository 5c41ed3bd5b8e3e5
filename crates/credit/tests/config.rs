//! The recipe's part of this crate: what it reads, what it refuses, and what it prints back.
#![allow(clippy::unwrap_used)]

use percept_credit::{AdvantageConfig, LossConfig, OverlongConfig, PolicyLossConfig, loss};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Recipe {
    advantage: AdvantageConfig,
    overlong: OverlongConfig,
    loss: LossConfig,
}

fn read(text: &str) -> Result<Recipe, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn an_empty_recipe_is_grpo_with_the_clipped_loss() {
    let recipe = read("").unwrap();
    assert_eq!(recipe.advantage.name(), "grpo");
    assert_eq!(recipe.loss.policy_loss.name(), "ppo");
}

#[test]
fn the_resolved_recipe_reads_back_as_itself() {
    let printed = toml::to_string(&Recipe::default()).unwrap();
    assert!(printed.contains("clip_ratio_high = 0.2"), "{printed}");
    assert_eq!(read(&printed).unwrap(), Recipe::default());
}

#[test]
fn dapo_is_written_with_the_names_of_verl() {
    let recipe = read(
        r#"
        [overlong]
        buffer_len = 4096
        [loss]
        loss_agg_mode = "token-mean"
        kl_loss_coef = 0.0
        kl_loss_type = "low_var_kl"
        policy_loss = { name = "ppo", clip_ratio_high = 0.28, clip_ratio_c = 10.0 }
        "#,
    )
    .unwrap();
    let expected = loss::Ppo {
        clip_ratio_low: 0.2,
        clip_ratio_high: 0.28,
        clip_ratio_c: Some(10.0),
    };
    assert_eq!(recipe.loss.policy_loss, PolicyLossConfig::Ppo(expected));
}

#[test]
fn infinity_switches_the_dual_clip_off() {
    let recipe = read(r#"loss.policy_loss = { name = "ppo", clip_ratio_c = inf }"#).unwrap();
    recipe.loss.check().unwrap();
}

#[test]
fn an_unknown_method_is_refused_with_the_list_of_those_known() {
    let error = read(r#"advantage = { name = "gropo" }"#).unwrap_err();
    for name in AdvantageConfig::NAMES {
        assert!(error.contains(name), "{error}");
    }
    assert!(
        read(r#"loss.policy_loss = { name = "trpo" }"#)
            .unwrap_err()
            .contains("cispo")
    );
}

#[test]
fn an_option_of_another_method_is_refused() {
    let error = read(r#"advantage = { name = "rloo", eps = 1e-4 }"#).unwrap_err();
    assert!(error.contains("eps"), "{error}");
    let error = read(r#"loss.policy_loss = { name = "gspo", clip_ratio_c = 3.0 }"#).unwrap_err();
    assert!(error.contains("clip_ratio_c"), "{error}");
}

#[test]
fn values_outside_their_range_are_refused_by_name() {
    for (text, field) in [
        (
            r#"loss.policy_loss = { name = "ppo", clip_ratio_c = 1.0 }"#,
            "clip_ratio_c",
        ),
        (
            r#"loss.policy_loss = { name = "ppo", clip_ratio_low = 1.2 }"#,
            "clip_ratio_low",
        ),
        (
            r#"loss.policy_loss = { name = "cispo", clip_ratio_high = nan }"#,
            "clip_ratio_high",
        ),
        ("loss.kl_coef = -0.1", "kl_coef"),
        ("loss.tis_imp_ratio_cap = 0.0", "tis_imp_ratio_cap"),
        (
            r#"loss.loss_agg_mode = "seq-mean-token-sum-norm""#,
            "loss_scale_factor",
        ),
    ] {
        let error = read(text).unwrap().loss.check().unwrap_err().to_string();
        assert!(error.contains(field), "{text}: {error}");
    }
    let recipe = read(r#"advantage = { name = "reinforce_plus_plus", gamma = 1.5 }"#).unwrap();
    assert!(
        recipe
            .advantage
            .check()
            .unwrap_err()
            .to_string()
            .contains("gamma")
    );
}

#[test]
fn the_schema_documents_every_method_and_option() {
    let schema = schemars::schema_for!(AdvantageConfig);
    let text = serde_json::to_string(&schema).unwrap();
    for name in AdvantageConfig::NAMES {
        assert!(text.contains(&format!("\"{name}\"")), "{text}");
    }
    let text = serde_json::to_string(&schemars::schema_for!(LossConfig)).unwrap();
    assert!(
        text.contains("Dual clip") && text.contains("seq-mean-token-sum-norm"),
        "{text}"
    );
}
