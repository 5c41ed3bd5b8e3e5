"""Golden checkpoints and outputs of LLaVA-1.5 for crate `model`.

Proves: percept's CLIP tower, projector and decoder equal those of `transformers` (logits, hidden states, image
embeddings, greedy continuations, gradients of every parameter) on small random `LlavaForConditionalGeneration`
checkpoints: text, one picture and several, the same picture twice; the class token dropped and kept; the projector with
and without biases; the tower read at its last block and before it.

Made with torch 2.15.0, transformers 5.10.4, safetensors 0.8.0; float32, eager attention, one thread.

Run: python tools/llava_goldens.py [--out crates/model/tests/golden]
Output: `llava` (float16, as `save_pretrained` of transformers 5 writes it, and `config_v4.json` in the hub's style),
`llava_hub` (the same weights as two shards under the names of llava-hf/llava-1.5-7b-hf), `llava_full` (the other
options), `llava_gradients`; formats as in crates/model/tests/golden/README.md. Every folder is loaded again by
transformers, strictly, and gives the stored logits.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
import transformers
from model_goldens import flat_tensors, randomise
from safetensors.torch import save_file
from transformers import LlavaConfig, LlavaForConditionalGeneration

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

VOCAB, IMAGE, EOS = 300, 299, 2
FIRST_SPECIAL = 290
GREEDY = 24
SIZE, PATCH = 16, 4
SIDE = SIZE // PATCH
TEXT = dict(
    model_type="llama", vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=EOS,
)
VISION = dict(
    model_type="clip_vision_model", hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=3,
    image_size=SIZE, patch_size=PATCH, projection_dim=16,
)
CASES = {
    "llava": (dict(vision_feature_layer=-2, vision_feature_select_strategy="default"), torch.float16),
    "llava_full": (
        dict(vision_feature_layer=-1, vision_feature_select_strategy="full", multimodal_projector_bias=False), torch.float32
    ),
}
# Segments: a number of text tokens, or "a", "b", "c": pictures.
PROMPTS = {
    "text": [21],
    "image": [4, "a", 7],
    "images3": [3, "a", 2, "b", "c", 6],
    "twice": [2, "b", 3, "b", 5],
}


def image_tokens(config):
    return SIDE**2 + (config.vision_feature_select_strategy == "full")


def build(name):
    options, dtype = CASES[name]
    full = options["vision_feature_select_strategy"] == "full"
    config = LlavaConfig(
        text_config=dict(TEXT), vision_config=dict(VISION), image_token_index=IMAGE, image_seq_length=SIDE**2 + full, **options
    )
    config._attn_implementation = "eager"
    config.text_config._attn_implementation = config.vision_config._attn_implementation = "eager"
    model = randomise(LlavaForConditionalGeneration(config).float(), seed=sum(map(ord, name)), dtype=dtype)
    model.generation_config.eos_token_id = None
    return model, dtype


def make_inputs(segments, seed, tokens):
    g = torch.Generator().manual_seed(seed)
    pictures = {key: torch.randn(3, SIZE, SIZE, generator=g) for key in "abc"}
    ids, types, pixels = [], [], []
    for s in segments:
        if isinstance(s, int):
            ids += torch.randint(3, FIRST_SPECIAL, (s,), generator=g).tolist()
            types += [0] * s
        else:
            ids += [IMAGE] * tokens
            types += [1] * tokens
            pixels.append(pictures[s])
    inputs = {"input_ids": torch.tensor([ids])}
    if pixels:
        inputs["pixel_values"] = torch.stack(pixels)
    return inputs, torch.tensor(types, dtype=torch.int32)


def stored(inputs, types, tokens):
    """As crates/model/tests/common reads prompts: pixels in patches, row by row; inside a patch channel, row, column."""
    n = len(types)
    out = {
        "input_ids": inputs["input_ids"][0], "mm_token_type_ids": types, "position_ids": torch.arange(n).expand(3, n).contiguous(),
        "next_position": torch.tensor([n]),
    }
    if "pixel_values" in inputs:
        p = inputs["pixel_values"]
        cut = p.reshape(len(p), 3, SIDE, PATCH, SIDE, PATCH).permute(0, 2, 4, 1, 3, 5)
        out["pixel_values"] = cut.reshape(-1, 3 * PATCH * PATCH).contiguous()
        out["image_grid_thw"] = torch.tensor([[1, SIDE, SIDE]] * len(p))
        out["image_tokens"] = torch.tensor([tokens])
    return out


def greedy(model, inputs):
    out = model.generate(
        **inputs, attention_mask=torch.ones_like(inputs["input_ids"]), do_sample=False, max_new_tokens=GREEDY,
        return_dict_in_generate=True, output_logits=True, pad_token_id=0,
    )
    top = torch.stack([l[0] for l in out.logits]).topk(2, dim=-1).values
    return out.sequences[0, inputs["input_ids"].shape[1] :], float((top[:, 0] - top[:, 1]).min())


def run_case(model, name, segments):
    tokens = image_tokens(model.config)
    for seed in range(1000):
        inputs, types = make_inputs(segments, seed, tokens)
        new, gap = greedy(model, inputs)
        if gap > 0.02 and int(new.max()) < FIRST_SPECIAL and len(set(new.tolist())) >= 6:
            break
    else:
        raise RuntimeError(f"{name}: no prompt with an unambiguous continuation")
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True, use_cache=False)
    n = inputs["input_ids"].shape[1]
    torch.testing.assert_close(model.lm_head(out.hidden_states[-1]), out.logits)
    rows = torch.arange(n) if name == "text" else torch.unique(torch.cat([torch.arange(0, n, 5), torch.arange(n - 4, n)]))
    expected = {"hidden": out.hidden_states[-1][0], "logit_rows": rows, "logits": out.logits[0, rows], "greedy": new}
    if "pixel_values" in inputs:
        c = model.config
        with torch.no_grad():
            f = model.model.get_image_features(
                inputs["pixel_values"], vision_feature_layer=c.vision_feature_layer,
                vision_feature_select_strategy=c.vision_feature_select_strategy, return_dict=True,
            )
        expected["image_embeds"] = torch.cat(list(f.pooler_output))
    print(f"  {name}: seed {seed}, {n} tokens, gap {gap:.3f}, logits std {out.logits.std():.2f}")
    return inputs, types, expected


def hub_config(config):
    """config.json as llava-hf/llava-1.5-7b-hf has it: what equals a class default is left out of text_config."""
    text = {k: TEXT[k] for k in TEXT if k not in ("bos_token_id", "eos_token_id")}
    return {
        "architectures": ["LlavaForConditionalGeneration"], "ignore_index": -100, "image_token_index": IMAGE, "model_type": "llava",
        "pad_token_id": 0, "projector_hidden_act": "gelu", "text_config": {**text, "architectures": ["LlamaForCausalLM"], "torch_dtype": "float16"},
        "tie_word_embeddings": False, "torch_dtype": "float16", "transformers_version": "4.36.0.dev0", "vision_config": VISION,
        "vision_feature_layer": config.vision_feature_layer,
        "vision_feature_select_strategy": config.vision_feature_select_strategy, "vocab_size": VOCAB,
    }


def hub_name(name):
    """The name on the hub of a parameter in memory."""
    for memory, hub in (
        ("model.language_model.", "language_model.model."), ("lm_head.", "language_model.lm_head."),
        ("model.vision_tower.", "vision_tower.vision_model."), ("model.", ""),
    ):
        if name.startswith(memory):
            return hub + name[len(memory) :]
    raise KeyError(name)


def plain_name(name):
    """The name that percept has in memory."""
    hub = hub_name(name)
    return hub.removeprefix("language_model.")


def save_hub(model, out):
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps(hub_config(model.config), indent=1) + "\n")
    state = {hub_name(k): v.detach().half().contiguous() for k, v in model.named_parameters()}
    # Stored by transformers of 2023.
    state["vision_tower.vision_model.embeddings.position_ids"] = torch.arange(SIDE**2 + 1)[None]
    names = sorted(state)
    shards = [names[: len(names) // 2], names[len(names) // 2 :]]
    index = {"metadata": {"total_size": sum(v.numel() * v.element_size() for v in state.values())}, "weight_map": {}}
    for i, part in enumerate(shards):
        file = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        save_file({k: state[k] for k in part}, out / file, metadata={"format": "pt"})
        index["weight_map"] |= {k: file for k in part}
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def load(folder, dtype=torch.float32):
    model, info = LlavaForConditionalGeneration.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True
    )
    leftovers = {k: v for k, v in info.items() if v and not all("position_ids" in str(name) for name in v)}
    assert not leftovers, f"{folder}: {leftovers}"
    return model.eval()


def verify(folder, results):
    model = load(folder)
    for name, (inputs, _, expected) in results.items():
        with torch.no_grad():
            logits = model(**inputs, use_cache=False).logits[0, expected["logit_rows"]]
        torch.testing.assert_close(logits, expected["logits"], rtol=1e-5, atol=1e-5)


def gradient_case(model, out):
    tokens = image_tokens(model.config)
    inputs, types = make_inputs([3, "a", 5, "b", 2, "a", 12], 7, tokens)
    n = inputs["input_ids"].shape[1]
    rows = torch.arange(n - 11, n)
    targets = torch.randint(3, FIRST_SPECIAL, (len(rows),), generator=torch.Generator().manual_seed(8))
    model.zero_grad()
    logits = model(**inputs, use_cache=False).logits[0, rows]
    log_prob = torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0]
    loss = -log_prob.mean()
    loss.backward()
    grads = {f"grad.{plain_name(k)}": p.grad.contiguous() for k, p in model.named_parameters() if p.grad is not None}
    without = [k for k, p in model.named_parameters() if p.grad is None]
    assert all("encoder.layers.2." in k or "post_layernorm" in k for k in without), without
    out.mkdir(parents=True)
    save_file({**stored(inputs, types, tokens), "rows": rows, "targets": targets}, out / "inputs.safetensors")
    save_file({"loss": loss.detach()[None], "log_prob": log_prob.detach(), **grads}, out / "expected.safetensors")
    print(f"  gradients: loss {loss:.4f}, {len(grads)} tensors, {len(without)} without")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "crates/model/tests/golden")
    args = parser.parse_args()
    for name in CASES:
        print(name)
        out = args.out / name
        shutil.rmtree(out, ignore_errors=True)
        model, dtype = build(name)
        results = {p: run_case(model, p, s) for p, s in PROMPTS.items()}
        tokens = image_tokens(model.config)
        inputs = flat_tensors({p: stored(r[0], r[1], tokens) for p, r in results.items()})
        expected = flat_tensors({p: r[2] for p, r in results.items()})
        if name == "llava":
            shutil.rmtree(args.out / "llava_gradients", ignore_errors=True)
            gradient_case(model, args.out / "llava_gradients")
        model.generation_config.eos_token_id = EOS
        # From here on the rotary table, too, has half precision.
        model.to(dtype).save_pretrained(out)
        save_file(inputs, out / "inputs.safetensors")
        save_file(expected, out / "expected.safetensors")
        verify(out, results)
        if name == "llava":
            (out / "config_v4.json").write_text(json.dumps(hub_config(model.config), indent=1) + "\n")
            shutil.rmtree(args.out / "llava_hub", ignore_errors=True)
            save_hub(model, args.out / "llava_hub")
            verify(args.out / "llava_hub", results)


if __name__ == "__main__":
    main()
