#!/usr/bin/env python3
"""A small model trained from scratch on real text with full, InfLLM-V2 and PHSA attention at equal
tokens, then needle accuracy and perplexity over the number of chosen blocks K.

    python tools/long_train.py --text FILE --work DIR [--percept target/release/percept] [--seed 0]

FILE is plain English text of 2 MB or more. Everything is written to DIR; what is there already is
not done again. Needs tokenizers, torch and transformers (for the tokenizer and the fresh weights);
training and evaluation are `percept train` and `percept eval long`.
"""

import argparse
import json
import random
import re
import subprocess
from pathlib import Path

LENGTH = 1024
INIT, LOCAL = 16, 128  # PHSA's 4k runs
INFER_K = [1, 2, 4, 8, 16]


def attention(name, top_k):
    """The recipe's value. InfLLM-V2 has PHSA's block size and always-seen tokens: its three-stage scores are what
    differs. Its kernels are half a block and begin every quarter, as in the paper."""
    return {
        "full": '"full"',
        "infllm2": f'{{ name = "infllm2", kernel = 8, stride = 4, block_size = 16, init_blocks = {INIT // 16}, '
        f"window = {LOCAL}, top_k = {top_k} }}",
        "phsa": f'{{ name = "phsa", init = {INIT}, local = {LOCAL}, top_k = {top_k} }}',
    }[name]


# The keys of needles are those of the evaluation.
WORDS = (Path(__file__).parent.parent / "crates/benchmarks/src/long/words.rs").read_text()
ADJECTIVES, NOUNS = (
    re.search(rf'const {name}: &str = "([^"]*)"', WORDS)[1].replace("\\\n", "").split() for name in ("ADJECTIVES", "NOUNS")
)


def write_model(folder, train_text, seed):
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([train_text[:2_000_000]], trainer)
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=4096,
        rope_theta=10000.0,
        tie_word_embeddings=True,
        initializer_range=0.04,
        bos_token_id=None,
        eos_token_id=0,
    )
    Qwen3ForCausalLM(config).float().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"})
    )
    # Plain text: a conversation is its turns, one after the other.
    (folder / "chat_template.jinja").write_text(
        "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    )
    return tokenizer


def load_tokenizer(folder):
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))


HEAD = (
    "A special magic number is hidden within the following text. Make sure to memorize it. "
    "I will quiz you about the number afterwards.\n"
)


def row(rng, sentences, tokenizer, length, needles, head=HEAD):
    """Turns: text with needles and the questions that `percept eval long` asks, and the answers."""
    keys = [f"{rng.choice(ADJECTIVES)}-{rng.choice(NOUNS)}" for _ in range(needles)]
    values = [str(rng.randint(1_000_000, 9_999_999)) for _ in keys]
    facts = [f"One of the special magic numbers for {k} is: {v}." for k, v in zip(keys, values)]
    asked = [
        (
            f"\nWhat is the special magic number for {k} mentioned in the provided text? "
            f"The special magic number for {k} mentioned in the provided text is",
            f" {v}.",
        )
        for k, v in rng.sample(list(zip(keys, values)), needles)
    ]
    count = lambda text: len(tokenizer.encode(text).ids)
    left = length - count(head + " ".join(facts) + "".join(q + a for q, a in asked)) - needles
    at = rng.randrange(len(sentences))
    chosen = []
    while True:
        sentence = sentences[at % len(sentences)]
        left -= count(" " + sentence)
        if left < 0:
            break
        chosen.append(sentence)
        at += 1
    for fact in facts:
        chosen.insert(rng.randint(0, len(chosen)), fact)
    turns = []
    for index, (question, answer) in enumerate(asked):
        before = head + " ".join(chosen) if index == 0 else ""
        turns += [{"role": "user", "content": before + question}, {"role": "assistant", "content": answer}]
    return turns


def text_row(turns):
    """The same as one text of which every token is learned."""
    text = "".join(turn["content"] for turn in turns)
    return [{"role": "user", "content": ""}, {"role": "assistant", "content": text}]


def split(text):
    return [s for s in re.split(r"(?<=[.!?])\s+", re.sub(r"\s+", " ", text)) if 20 < len(s) < 400]


RECIPE = """
[trainer]
experiment_name = "{name}"
output_dir = "{output}"
seed = {seed}
save_freq = 100
bf16 = {bf16}

[model]
path = "{model}"
attention = {attention}
{more}
[data]
train_files = ["{data}"]
shuffle = false

[sft]
steps = {steps}
train_batch_size = {batch}
ppo_max_token_len = 8192

[sft.optim]
lr = {lr}
beta2 = 0.95
weight_decay = 0.05
lr_warmup_steps = {warmup}
lr_scheduler_type = "cosine"
min_lr_ratio = 0.1
"""


def train(args, folder, attention, model, stages, more=""):
    """One run for each stage; each goes on from the one before. `more` are lines of the recipe's model."""
    for stage, (data, steps, batch, lr, warmup) in stages.items():
        run = folder / stage
        done = sorted(run.glob("checkpoints/step-*"))
        recipe = args.work / f"{folder.name}-{stage}.toml"
        recipe.write_text(
            RECIPE.format(
                name=stage, output=folder, seed=args.seed, model=model, attention=attention, more=more,
                bf16=str(args.bf16).lower(), data=data, steps=steps, batch=batch, lr=lr, warmup=warmup,
            )
        )
        if not done or int(done[-1].name.split("-")[1]) < steps:
            resume = ["--resume"] if run.exists() else []
            subprocess.run([args.percept, "train", recipe, *resume], check=True)
        model = sorted(run.glob("checkpoints/step-*"))[-1]
    return model


def evaluate(args, folder, name, checkpoint, attention, heldout):
    """Needle accuracy and perplexity of a checkpoint, under another attention where one is given."""
    found = {}
    options = {
        "needle": ["--samples", str(args.samples), "--max-tokens", "16"],
        "ppl": ["--limit", str(args.windows)],
    }
    for task in options:
        out = folder / f"{task}-{name}"
        if not (out / "summary.json").exists():
            subprocess.run(
                [args.percept, "--quiet", "eval", "long", "--model", checkpoint, "--task", task, "--length", str(LENGTH),
                 "--text", heldout, "--output", out, *options[task], *(["--attention", attention] if attention else [])],
                check=True, stdout=subprocess.DEVNULL,
            )
        found[task] = json.loads((out / "summary.json").read_text())["score"]
    needle = found["needle"]["needle"][str(LENGTH)]
    accuracy = "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * needle[part] for part in ("mean", "low", "high")))
    return f"{accuracy} | {found['ppl'][0]['perplexity']:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--percept", default="target/release/percept")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=[400, 250, 400], nargs=3, help="steps of each stage")
    parser.add_argument("--adapt-steps", type=int, default=150, help="steps of a trained model that goes on sparse")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--samples", type=int, default=10, help="needles at each depth")
    parser.add_argument("--windows", type=int, default=100, help="windows of the perplexity")
    parser.add_argument("--bf16", action="store_true", help="train with trainer.bf16")
    parser.add_argument("--train-k", type=int, nargs="+", default=[2], help="blocks chosen in training")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    text = args.text.read_text()
    cut = len(text) * 95 // 100
    heldout = args.work / "heldout.txt"
    heldout.write_text(text[cut:])
    folder = args.work / "model"
    tokenizer = load_tokenizer(folder) if folder.exists() else write_model(folder, text[:cut], args.seed)
    short, middle, long = args.steps
    # Retrieval first, over short and then over long distances, with a loss on answers alone; then
    # language and retrieval together, with a loss on every token.
    plan = {
        "short": (args.work / "short.jsonl", short, 48, args.lr, 50),
        "middle": (args.work / "middle.jsonl", middle, 8, args.lr / 2, 20),
        "long": (args.work / "long.jsonl", long, 8, args.lr / 2, 20),
    }
    sentences = split(text[:cut])
    adapt = {"adapt": (args.work / "adapt.jsonl", args.adapt_steps, 8, args.lr / 10, 20)}
    for stage, (path, steps, batch, _, _) in (plan | adapt).items():
        if path.exists():
            continue
        rng = random.Random(f"{args.seed} {stage}")
        part = path.with_suffix(".part")
        with open(part, "w") as out:
            for _ in range(steps * batch):
                if stage == "short":
                    messages = row(rng, sentences, tokenizer, 176, rng.choice([1, 2, 3]), head="")
                else:
                    messages = row(rng, sentences, tokenizer, LENGTH, rng.choice([2, 4, 8]))
                if stage in ("long", "adapt"):
                    messages = text_row(messages)
                out.write(json.dumps({"messages": messages}) + "\n")
        part.rename(path)
    # Rows of the first stage have one block that could be left out, so every attention sees all of
    # them and the stage is the same for all.
    first = {"short": plan.pop("short")}
    model = train(args, args.work / "all", attention("full", 0), args.work / "model", first)
    print("| trained with | run with | K | needle accuracy, % | perplexity |\n|---|---|---|---|---|")
    full = train(args, args.work / "full", attention("full", 0), model, plan)
    print(f"| full | full | – | {evaluate(args, args.work / 'full', 'full', full, None, heldout)} |", flush=True)
    for name in ("infllm2", "phsa"):
        for k in INFER_K:
            found = evaluate(args, args.work / "full", f"{name}-{k}", full, attention(name, k), heldout)
            print(f"| full | {name} | {k} | {found} |", flush=True)
    # Sparse from the second stage on; in the third alone; and, as the papers have it, a trained model that goes on sparse.
    dense = lambda stage: sorted((args.work / "full" / stage).glob("checkpoints/step-*"))[-1]
    annealing = "top_k_annealing = { start = 32, share = 0.7 }\n"
    starts = {
        "": (model, plan, ""),
        ", third stage": (dense("middle"), {"long": plan["long"]}, ""),
        ", adapted": (dense("long"), adapt, ""),
        ", adapted from K = 32": (dense("long"), adapt, annealing),
    }
    checkpoint = train(args, args.work / "full-adapted", attention("full", 0), dense("long"), adapt)
    found = evaluate(args, args.work / "full-adapted", "full", checkpoint, None, heldout)
    print(f"| full, adapted | full | – | {found} |", flush=True)
    for train_k in args.train_k:
        for how, (start, stages, more) in starts.items():
            for name in ("infllm2", "phsa"):
                folder = args.work / f"{name}-k{train_k}{re.sub('[^a-z0-9]+', '-', how.lower())}"
                checkpoint = train(args, folder, attention(name, train_k), start, stages, more)
                for k in INFER_K:
                    found = evaluate(args, folder, str(k), checkpoint, f"top_k={k}", heldout)
                    print(f"| {name}, K = {train_k}{how} | {name} | {k} | {found} |", flush=True)


if __name__ == "__main__":
    main()
