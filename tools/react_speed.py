#!/usr/bin/env python3
"""Clips per minute of `percept reward react` beside the same loop in PyTorch + transformers.

Both judge the same frames of the same clips with the same model, question and greedy decoding in f32 on the same number of threads.
percept's time is that of the whole command, loading the model and writing the contact sheet included. The loop in transformers
is timed without loading: it takes the times of both rounds from percept's records and asks about the frames of each round of a clip
(`--peer batch`, one padded batch a round; `--peer single`, frame by frame as published reward scripts do).

Run: python tools/react_speed.py PERCEPT MODEL_DIR [--clips 12] [--seconds 4] [--tokens 64] [--question TEXT]
Needs: torch, transformers, pillow (tools/requirements.txt).
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw

RATE = 8


def draw(folder, clip, frames, size):
    """A clip of shapes that move."""
    folder.mkdir(parents=True)
    for at in range(frames):
        image = Image.new("RGB", (size, size), (230, 230, 220))
        pen = ImageDraw.Draw(image)
        for shape in range(4):
            x = (17 * shape + 5 * clip + 3 * at) % size
            y = (29 * shape + 7 * clip + 2 * at * (shape % 2)) % size
            colour = ((60 * shape + 20 * clip) % 255, (90 * shape) % 255, 120)
            pen.ellipse([x, y, x + size // 6, y + size // 6], fill=colour)
        image.save(folder / f"{at}.png")


def peer(args, records, folder):
    """Seconds of the loop in transformers, for each way of asking, and tokens that it made."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    torch.set_num_threads(args.threads)
    processor = AutoProcessor.from_pretrained(args.model)
    processor.tokenizer.padding_side = "left"
    model = AutoModelForImageTextToText.from_pretrained(args.model, dtype=torch.float32, attn_implementation="sdpa").eval()

    def answer(images):
        before, found, after = args.question.partition("<image>")
        content = [{"type": "text", "text": before}] if found and before else []
        content += [{"type": "image"}, {"type": "text", "text": after if found else before}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = processor(text=[text] * len(images), images=images, padding=True, return_tensors="pt")
        with torch.no_grad():
            made = model.generate(**inputs, do_sample=False, max_new_tokens=args.tokens)
        new = made[:, inputs["input_ids"].shape[1]:]
        return processor.batch_decode(new, skip_special_tokens=True), int(new.numel())

    def loop(single):
        tokens = 0
        for record in records:
            for round_ in [1, 2]:
                times = [frame["time_s"] for frame in record["frames"] if frame["round"] == round_]
                paths = [folder / record["video"] / f"{round(time * RATE)}.png" for time in times]
                images = [Image.open(path).convert("RGB") for path in paths]
                for some in [[image] for image in images] if single else [images] * bool(images):
                    tokens += answer(some)[1]
        return tokens

    answer([Image.open(folder / records[0]["video"] / "0.png").convert("RGB")])
    found = {"torch": torch.__version__}
    for name in ["batch", "single"]:
        start = time.perf_counter()
        tokens = loop(name == "single")
        found[name] = {"seconds": time.perf_counter() - start, "tokens": tokens}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("percept")
    parser.add_argument("model")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--question", default="Which distortions does this frame show?")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = [f"clip{at}" for at in range(args.clips)]
        for at, name in enumerate(names):
            draw(folder / name, at, args.seconds * RATE, args.size)
        model = str(Path(args.model).resolve())
        command = [
            str(Path(args.percept).resolve()), "reward", "react", "--model", model, "--frames", *names, "--frame-rate", str(RATE),
            "--question", args.question, "--max-tokens", str(args.tokens), "--output", "out", "--quiet",
        ]
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ours = time.perf_counter() - start
        records = [json.loads(line) for line in (folder / "out/clips.jsonl").read_text().splitlines()]
        found = peer(args, records, folder)
    frames = sum(len(record["frames"]) for record in records)
    rate = {name: 60 * args.clips / found[name]["seconds"] for name in ["batch", "single"]}
    rate["percept"] = 60 * args.clips / ours
    print(json.dumps({
        "clips": args.clips, "frames": frames, "tokens": args.tokens, "torch": found["torch"], "peer_tokens": found["batch"]["tokens"],
        "clips_per_minute": {name: round(value, 1) for name, value in rate.items()},
        "times": {name: round(rate["percept"] / rate[name], 1) for name in ["batch", "single"]},
    }))


if __name__ == "__main__":
    main()
