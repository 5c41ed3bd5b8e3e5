//! Tokenizer, image processor, chat template.

use super::*;

#[test]
fn processor_files() {
    let mut cases = Cases::default();
    for name in ["tokenizer.json", "preprocessor_config.json"] {
        cases.refused(
            &format!("{name} missing"),
            &damaged(|m| remove(m.join(name))),
            &[name],
        );
        for keep in [0.0, 0.5] {
            let outcome = damaged(|m| truncate(&m.join(name), keep));
            cases.refused(&format!("{keep} of {name}"), &outcome, &[name]);
        }
    }
    let kind = damaged(|m| fs::write(m.join("tokenizer.json"), "{\"version\": 7}").unwrap());
    cases.refused("another tokenizer", &kind, &["tokenizer.json"]);
    for name in ["tokenizer_config.json", "generation_config.json"] {
        let outcome = damaged(|m| truncate(&m.join(name), 0.5));
        cases.refused(&format!("half of {name}"), &outcome, &[name]);
    }
    for (field, value) in [
        ("patch_size", json!("7")),
        ("patch_size", json!(0)),
        ("patch_size", json!(14)),
        ("merge_size", json!(0)),
        ("temporal_patch_size", json!(0)),
        ("image_mean", json!([0.5])),
        ("image_std", json!([0.0, 0.0, 0.0])),
        ("image_std", json!("none")),
    ] {
        let name = format!("{field} = {value}");
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        copy(&base_model(), &model);
        edit_json(&model.join("preprocessor_config.json"), |c| {
            c[field] = value
        });
        let image = picture(folder.path());
        cases.refused(
            &name,
            &generate(&model, &["hi", "--image", &image]),
            &["preprocessor_config.json"],
        );
    }
    let far = damaged(|m| {
        edit_json(&m.join("tokenizer.json"), |t| {
            let mut token = t["added_tokens"][0].clone();
            (token["id"], token["content"]) = (json!(100_000), json!("hi"));
            t["added_tokens"].as_array_mut().unwrap().push(token);
        });
    });
    cases.refused("a token beyond the embedding", &far, &["token"]);
    let template = |text: &'static str| {
        damaged(move |m| fs::write(m.join("chat_template.jinja"), text).unwrap())
    };
    for (name, text) in [
        (
            "template with an open block",
            "{% for m in messages %}{{ m.role }}",
        ),
        (
            "template with an unknown filter",
            "{{ messages | no_such_filter }}",
        ),
        (
            "template that raises",
            "{{ raise_exception('roles must alternate') }}",
        ),
        (
            "template without an end",
            "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        ),
        (
            "template of too much",
            "{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}",
        ),
        (
            "template of a long text",
            "{% for i in range(100000) %}{{ messages[0].content * 1000 }}{% endfor %}",
        ),
        ("empty template", ""),
    ] {
        cases.refused(name, &template(text), &["template"]);
    }
    let none = damaged(|m| {
        remove(m.join("chat_template.jinja"));
        edit_json(&m.join("tokenizer_config.json"), |c| {
            c["chat_template"] = Value::Null
        });
    });
    cases.refused("no template", &none, &["chat template", "help"]);
    cases.finish();
}
