//! Prompts, images and options of `percept generate`.

use super::*;

#[test]
fn prompts_and_images() {
    let mut cases = Cases::default();
    let folder = tempfile::tempdir().unwrap();
    let good = picture(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let model = base_model();
    cases.accepted("a good image", &generate(&model, &["hi", "--image", &good]));
    let bytes = fs::read(&good).unwrap();
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 8].fill(0x55);
    let images: [(&str, &[u8], &str); 9] = [
        ("empty.png", b"", ""),
        ("cut.png", &bytes[..bytes.len() / 2], ""),
        ("flipped.png", &flipped, ""),
        ("0x0.png", &png(0, 0), ""),
        ("0x5.png", &png(0, 5), ""),
        ("20000x20000.png", &png(20_000, 20_000), "20000"),
        (
            "largest.png",
            &png(i32::MAX as u32, i32::MAX as u32),
            "too large",
        ),
        ("hollow.png", &png(64, 64), ""),
        ("text.png", b"this is no image", ""),
    ];
    for (name, bytes, word) in images {
        fs::write(at(name), bytes).unwrap();
        cases.refused(
            name,
            &generate(&model, &["hi", "--image", &at(name)]),
            &[name, word],
        );
    }
    fs::create_dir(at("folder.png")).unwrap();
    for name in ["missing.png", "folder.png"] {
        cases.refused(
            name,
            &generate(&model, &["hi", "--image", &at(name)]),
            &[name],
        );
    }
    // One pixel high and very wide: no such aspect ratio has patches.
    fs::write(at("thin.png"), png(60_000, 1)).unwrap();
    cases.refused(
        "thin.png",
        &generate(&model, &["hi", "--image", &at("thin.png")]),
        &[""],
    );
    // With an image, it takes the first placeholder; the one that is too many is named.
    for (text, named) in [
        ("<|image_pad|>", "<|image_pad|>"),
        ("what is <|image_pad|> in <|video_pad|>?", "<|video_pad|>"),
    ] {
        cases.refused(text, &generate(&model, &[text]), &["<|image_pad|>"]);
        let outcome = generate(&model, &[text, "--image", &good]);
        cases.refused(&format!("{text} with an image"), &outcome, &[named]);
    }
    let text_model = folder.path().join("text");
    copy(&model, &text_model);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/golden/qwen2");
    for name in ["config.json", "model.safetensors", "generation_config.json"] {
        fs::copy(golden.join(name), text_model.join(name)).unwrap();
    }
    let outcome = generate(&text_model, &["hi", "--image", &good]);
    cases.refused("a text model and an image", &outcome, &["text only"]);
    for (name, args, word) in [
        ("unknown device", ["--device", "banana"], "banana"),
        ("device of another build", ["--device", "cuda:0"], "cuda"),
        (
            "negative temperature",
            ["--temperature=-1", "hi"],
            "temperature",
        ),
        ("temperature NaN", ["--temperature", "nan"], "temperature"),
        ("top_p 0", ["--top-p", "0"], "top_p"),
        ("top_p 2", ["--top-p", "2"], "top_p"),
        ("no tokens", ["--max-tokens=0", "--quiet"], "max_tokens"),
        ("n 0", ["-n", "0"], "n"),
        ("no sequences", ["--max-num-seqs", "0"], "max_num_seqs"),
        ("no size", ["--kv-cache-memory-bytes", "5x"], "K, M, G"),
        (
            "no room",
            ["--kv-cache-memory-bytes", "1K"],
            "kv_cache_memory_bytes",
        ),
        ("no numbers", ["--dtype", "int4"], "int8"),
        ("adapter missing", ["--adapter", "/no/such"], "/no/such"),
    ] {
        let mut all = vec!["generate", "--model", model.to_str().unwrap()];
        all.extend(args);
        if args[1] != "hi" {
            all.push("hi");
        }
        cases.refused(name, &run(percept(&all)), &[word]);
    }
    cases.finish();
}
