"""Golden checkpoints and outputs for crate `model`.

Proves: percept's decoder and vision towers equal those of `transformers` (logits, hidden states,
vision embeddings, M-RoPE positions, greedy continuations, gradients) on small random checkpoints of
Llama (plain and llama3 rope scaling), Qwen2 (tied and untied), Qwen3, Qwen2-VL and Qwen2.5-VL.

Made with torch 2.15.0, transformers 5.23.0, safetensors 0.8.0 (tools/requirements.txt); float32,
eager attention, one thread.

Run: python tools/model_goldens.py [--out crates/model/tests/golden] [--only CASE ...]
Output: one folder a case, described in crates/model/tests/golden/README.md, and a check at the end
that every stored config and naming style loads in transformers with the same logits.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
)

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

VOCAB = 300
# The vocabulary of tools/tiny_processor.py ends with these, in this order.
SPECIALS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
ID = {name: VOCAB - len(SPECIALS) + i for i, name in enumerate(SPECIALS)}
FIRST_SPECIAL = VOCAB - len(SPECIALS)
GREEDY = 24

TEXT = dict(
    vocab_size=VOCAB,
    hidden_size=48,
    intermediate_size=80,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=512,
    rms_norm_eps=1e-6,
    bos_token_id=ID["<|endoftext|>"],
    eos_token_id=ID["<|im_end|>"],
)
VISION_IDS = dict(
    image_token_id=ID["<|image_pad|>"],
    video_token_id=ID["<|video_pad|>"],
    vision_start_token_id=ID["<|vision_start|>"],
    vision_end_token_id=ID["<|vision_end|>"],
)
VL_TEXT = {**TEXT, "hidden_size": 32, "intermediate_size": 64}
MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
PATCH, MERGE, TEMPORAL, WINDOW = 4, 2, 2, 16


def configs():
    """Name of the case → (model class, config, dtype of the stored weights)."""
    vision_25 = dict(
        depth=3,
        hidden_size=24,
        intermediate_size=40,
        num_heads=3,
        patch_size=PATCH,
        spatial_merge_size=MERGE,
        temporal_patch_size=TEMPORAL,
        tokens_per_second=4,
        window_size=WINDOW,  # 2 × 2 merged tokens: every image below is larger
        fullatt_block_indexes=[1],
        out_hidden_size=32,
    )
    vision_2 = dict(
        depth=2,
        embed_dim=24,
        hidden_size=32,
        mlp_ratio=2,
        num_heads=3,
        patch_size=PATCH,
        spatial_merge_size=MERGE,
        temporal_patch_size=TEMPORAL,
    )
    llama3 = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    f32, bf16 = torch.float32, torch.bfloat16
    return {
        "llama": (LlamaForCausalLM, LlamaConfig(**TEXT, rope_parameters=rope), f32),
        "llama3_rope": (LlamaForCausalLM, LlamaConfig(**TEXT, rope_parameters=llama3), f32),
        "qwen2": (Qwen2ForCausalLM, Qwen2Config(**TEXT, rope_parameters=rope), f32),
        "qwen2_tied": (
            Qwen2ForCausalLM,
            Qwen2Config(**TEXT, rope_parameters=rope, tie_word_embeddings=True),
            f32,
        ),
        # head_dim differs from hidden_size / num_attention_heads, weights stored in bfloat16
        "qwen3": (Qwen3ForCausalLM, Qwen3Config(**TEXT, head_dim=16, rope_parameters=rope), bf16),
        "qwen2_vl": (
            Qwen2VLForConditionalGeneration,
            Qwen2VLConfig(
                text_config=dict(**VL_TEXT, rope_parameters=MROPE),
                vision_config=vision_2,
                **VISION_IDS,
            ),
            f32,
        ),
        "qwen2_5_vl": (
            Qwen2_5_VLForConditionalGeneration,
            Qwen2_5_VLConfig(
                text_config=dict(**VL_TEXT, rope_parameters=MROPE),
                vision_config=vision_25,
                **VISION_IDS,
            ),
            f32,
        ),
    }


def randomise(model, seed, dtype):
    """Weights ~ N(0, 0.2), biases ~ N(0, 0.2), norm weights ~ 1 + N(0, 0.2), embeddings and head wider."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=g)
            if p.ndim == 1 and name.endswith("weight"):
                value = 1.0 + 0.2 * noise
            elif "embed_tokens" in name or "lm_head" in name:
                value = 0.5 * noise
            else:
                value = 0.2 * noise
            p.copy_(value.to(dtype).float())  # the stored dtype holds the weights exactly
    return model.eval()


def build(name):
    cls, config, dtype = configs()[name]
    config._attn_implementation = "eager"
    for sub in ("text_config", "vision_config"):
        if hasattr(config, sub):
            getattr(config, sub)._attn_implementation = "eager"
    torch.manual_seed(0)
    model = cls(config).float()
    model = randomise(model, seed=sum(map(ord, name)), dtype=dtype)
    model.generation_config.eos_token_id = None  # greedy continuations have a fixed length
    return model, dtype


# ---------------------------------------------------------------------------------------------
# inputs


def prompts(vision):
    """Prompt name → list of segments: an int n (n text tokens), or ("image" | "video", t, h, w) in patches."""
    out = {"text": [21]}
    if vision:
        out["image"] = [4, ("image", 1, 6, 6), 7]
        out["images3"] = [3, ("image", 1, 4, 6), 2, ("image", 1, 6, 8), ("image", 1, 8, 2), 6]
        out["video"] = [5, ("video", 3, 4, 6), 6]
        out["mixed"] = [2, ("video", 2, 4, 4), 3, ("image", 1, 4, 6), 4]
    return out


def make_inputs(segments, seed, family):
    g = torch.Generator().manual_seed(seed)
    ids, types, grids, pixels = [], [], {"image": [], "video": []}, {"image": [], "video": []}
    for s in segments:
        if isinstance(s, int):
            ids += torch.randint(0, FIRST_SPECIAL, (s,), generator=g).tolist()
            types += [0] * s
            continue
        kind, t, h, w = s
        n = t * h * w // MERGE**2
        ids += [ID["<|vision_start|>"]] + [ID[f"<|{kind}_pad|>"]] * n + [ID["<|vision_end|>"]]
        types += [0] + [1 if kind == "image" else 2] * n + [0]
        grids[kind].append([t, h, w])
        pixels[kind].append(torch.randn(t * h * w, 3 * TEMPORAL * PATCH * PATCH, generator=g))
    inputs = {"input_ids": torch.tensor([ids])}
    if family != "text":
        inputs["mm_token_type_ids"] = torch.tensor([types], dtype=torch.int32)
        if grids["image"]:
            inputs["image_grid_thw"] = torch.tensor(grids["image"])
            inputs["pixel_values"] = torch.cat(pixels["image"])
        if grids["video"]:
            inputs["video_grid_thw"] = torch.tensor(grids["video"])
            inputs["pixel_values_videos"] = torch.cat(pixels["video"])
            if family == "qwen2_5_vl":
                # 0.7 s × 4 tokens/s = 2.8: the temporal positions are truncated to 0, 2, 5
                inputs["second_per_grid_ts"] = torch.tensor([0.7] * len(grids["video"]))
    return inputs


def positions(model, inputs):
    """`[3, T]` M-RoPE positions and the position of the first generated token."""
    n = inputs["input_ids"].shape[1]
    if not (inputs.keys() & {"image_grid_thw", "video_grid_thw"}):
        return torch.arange(n).expand(3, n).contiguous(), n
    keys = ("input_ids", "mm_token_type_ids", "image_grid_thw", "video_grid_thw", "second_per_grid_ts")
    pos, _ = model.model.get_rope_index(**{k: inputs[k] for k in keys if k in inputs})
    return pos[:, 0].contiguous(), int(pos.max()) + 1


def forward_inputs(inputs):
    return {k: v for k, v in inputs.items() if inputs.keys() & {"image_grid_thw", "video_grid_thw"} or k == "input_ids"}


def greedy(model, inputs):
    """Greedy continuation, and the smallest gap between the best and the second logit on the way."""
    out = model.generate(
        **forward_inputs(inputs),
        attention_mask=torch.ones_like(inputs["input_ids"]),
        do_sample=False,
        max_new_tokens=GREEDY,
        return_dict_in_generate=True,
        output_logits=True,
        pad_token_id=ID["<|endoftext|>"],
    )
    new = out.sequences[0, inputs["input_ids"].shape[1] :]
    top = torch.stack([l[0] for l in out.logits]).topk(2, dim=-1).values
    return new, float((top[:, 0] - top[:, 1]).min())


def run_case(model, family, name, segments):
    """Inputs and expected outputs of one prompt; the seed is the first whose greedy path is unambiguous."""
    for seed in range(1000):
        inputs = make_inputs(segments, seed, family)
        model.model.rope_deltas = None
        new, gap = greedy(model, inputs)
        if gap > 0.02 and int(new.max()) < FIRST_SPECIAL and len(set(new.tolist())) >= 6:
            break
    else:
        raise RuntimeError(f"{name}: no prompt with an unambiguous continuation")
    pos, next_position = positions(model, inputs)
    model.model.rope_deltas = None
    with torch.no_grad():
        out = model(**forward_inputs(inputs), output_hidden_states=True, use_cache=False)
    n = inputs["input_ids"].shape[1]
    torch.testing.assert_close(model.lm_head(out.hidden_states[-1]), out.logits)  # after the final norm
    rows = torch.arange(n) if name == "text" else torch.unique(torch.cat([torch.arange(0, n, 5), torch.arange(n - 4, n)]))
    expected = {
        "hidden": out.hidden_states[-1][0],
        "logit_rows": rows,
        "logits": out.logits[0, rows],
        "greedy": new,
    }
    if family != "text" and name != "text":
        kinds = (("image", "pixel_values", "image_grid_thw"), ("video", "pixel_values_videos", "video_grid_thw"))
        for kind, p, grid in kinds:
            if p in inputs:
                with torch.no_grad():
                    f = getattr(model.model, f"get_{kind}_features")(inputs[p], inputs[grid], return_dict=True)
                expected[f"{kind}_embeds"] = torch.cat(tuple(f.pooler_output))
    inputs = {k: (v[0] if k in ("input_ids", "mm_token_type_ids") else v) for k, v in inputs.items()}
    inputs["position_ids"] = pos
    inputs["next_position"] = torch.tensor([next_position])
    print(f"  {name}: seed {seed}, {n} tokens, gap {gap:.3f}, logits std {out.logits.std():.2f}")
    return inputs, expected


# ---------------------------------------------------------------------------------------------
# checkpoints in the styles of the hub


def config_v4(config):
    """The config.json as transformers 4 (and the hub) writes it: flat text keys, rope_theta, rope_scaling."""
    full = config.to_dict()
    text = dict(full.pop("text_config", full))
    rope = dict(text.pop("rope_parameters"))
    theta = rope.pop("rope_theta")
    drop = set(PreTrainedConfig().to_dict()) | {"layer_types", "dtype"}
    flat = {k: v for k, v in text.items() if k not in drop and v is not None}
    flat |= {k: text[k] for k in ("bos_token_id", "eos_token_id")}
    flat["rope_theta"] = theta
    if "mrope_section" in rope:
        flat["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    elif rope["rope_type"] != "default":
        flat["rope_scaling"] = rope
    flat["architectures"] = full["architectures"]
    flat["model_type"] = full["model_type"]
    flat["torch_dtype"] = str(full.get("dtype") or "float32").replace("torch.", "")
    flat["transformers_version"] = "4.41.2"
    flat["tie_word_embeddings"] = full["tie_word_embeddings"]
    if "vision_config" in full:
        vision = {k: v for k, v in full["vision_config"].items() if k not in drop | {"rope_parameters"} and v is not None}
        vision["model_type"] = full["model_type"]
        vision["in_chans"] = vision.pop("in_channels")
        vision["spatial_patch_size"] = vision["patch_size"]
        flat["vision_config"] = vision
        flat |= VISION_IDS
    return flat


def hub_name(name):
    """The hub's name (which save_pretrained writes) of a parameter that transformers 5 names otherwise in memory."""
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def save_sharded(model, out):
    """Two shards with an index, a flat config, and the names that transformers has in memory
    (`model.language_model.`, `model.visual.`), which FSDP mergers and trainers leave in their checkpoints."""
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps(config_v4(model.config), indent=1) + "\n")
    state = {k: v.detach().contiguous() for k, v in model.named_parameters()}
    names = sorted(state)
    shards = [names[: len(names) // 2], names[len(names) // 2 :]]
    index = {"metadata": {"total_size": sum(v.numel() * 4 for v in state.values())}, "weight_map": {}}
    for i, part in enumerate(shards):
        file = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        save_file({k: state[k] for k in part}, out / file, metadata={"format": "pt"})
        index["weight_map"] |= {k: file for k in part}
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def flat_tensors(per_prompt):
    return {f"{p}.{k}": v.contiguous() for p, d in per_prompt.items() for k, v in d.items()}


# ---------------------------------------------------------------------------------------------
# gradients


def gradient_case(model, out):
    """Mean negative log-likelihood of given targets on some rows of a prompt with two images."""
    inputs = make_inputs([3, ("image", 1, 6, 8), 5, ("image", 1, 4, 6), 12], seed=7, family="qwen2_5_vl")
    pos, _ = positions(model, inputs)
    n = inputs["input_ids"].shape[1]
    rows = torch.arange(n - 11, n)
    targets = torch.randint(0, FIRST_SPECIAL, (len(rows),), generator=torch.Generator().manual_seed(8))
    model.zero_grad()
    model.model.rope_deltas = None
    logits = model(**inputs, use_cache=False).logits[0, rows]
    log_prob = torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0]
    loss = -log_prob.mean()
    loss.backward()
    grads = {f"grad.{hub_name(k)}": p.grad.contiguous() for k, p in model.named_parameters()}
    assert all(float(g.abs().max()) > 0 for k, g in grads.items()), "a parameter without gradient"
    out.mkdir(parents=True)
    inputs = {k: (v[0] if k in ("input_ids", "mm_token_type_ids") else v) for k, v in inputs.items()}
    save_file({**inputs, "position_ids": pos, "rows": rows, "targets": targets}, out / "inputs.safetensors")
    save_file({"loss": loss.detach()[None], "log_prob": log_prob.detach(), **grads}, out / "expected.safetensors")
    print(f"  gradients: loss {loss:.4f}, {len(grads)} tensors")


# ---------------------------------------------------------------------------------------------


def verify(model_cls, folder, expected, inputs):
    """The stored folder, loaded by transformers itself, gives the stored logits."""
    model = model_cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    for prompt in {k.split(".")[0] for k in inputs}:
        x = {k.split(".", 1)[1]: v for k, v in inputs.items() if k.startswith(prompt + ".")}
        x = {k: (v[None] if k in ("input_ids", "mm_token_type_ids") else v) for k, v in x.items()}
        x = forward_inputs({k: v for k, v in x.items() if k not in ("position_ids", "next_position")})
        with torch.no_grad():
            logits = model(**x, use_cache=False).logits[0, expected[f"{prompt}.logit_rows"]]
        torch.testing.assert_close(logits, expected[f"{prompt}.logits"], rtol=1e-5, atol=1e-5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "crates/model/tests/golden")
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    for name in args.only or configs():
        print(name)
        out = args.out / name
        shutil.rmtree(out, ignore_errors=True)
        model, dtype = build(name)
        family = name if "vl" in name else "text"
        result = {p: run_case(model, family, p, s) for p, s in prompts(family != "text").items()}
        inputs = flat_tensors({p: r[0] for p, r in result.items()})
        expected = flat_tensors({p: r[1] for p, r in result.items()})
        model.generation_config.eos_token_id = TEXT["eos_token_id"]
        model.to(dtype).save_pretrained(out)
        model.float()
        (out / "config_v4.json").write_text(json.dumps(config_v4(model.config), indent=1) + "\n")
        save_file(inputs, out / "inputs.safetensors")
        save_file(expected, out / "expected.safetensors")
        cls = type(model)
        verify(cls, out, expected, inputs)
        # the v4 config must mean the same
        scratch = out / "scratch"
        scratch.mkdir()
        shutil.copy(out / "config_v4.json", scratch / "config.json")
        shutil.copy(out / "model.safetensors", scratch)
        verify(cls, scratch, expected, inputs)
        shutil.rmtree(scratch)
        if name == "qwen2_5_vl":
            sharded = args.out / "qwen2_5_vl_sharded"
            shutil.rmtree(sharded, ignore_errors=True)
            save_sharded(model, sharded)
            verify(cls, sharded, expected, inputs)
            grads = args.out / "qwen2_5_vl_gradients"
            shutil.rmtree(grads, ignore_errors=True)
            gradient_case(model, grads)
        names = set(load_file(out / "model.safetensors"))
        assert names == {hub_name(k) for k, _ in model.named_parameters()}, "save_pretrained changed its names"


if __name__ == "__main__":
    main()
