"""Opens preference pairs that percept wrote (`percept data export`, `data visual-pairs`, `data preferences`) with
`datasets` and prepares them as TRL's DPOTrainer does.

    python tools/check_pairs.py out/data.jsonl

Exits with 1 when TRL would not take a row as a conversational preference with these pictures. Needs datasets, pillow
and trl (1.16).
"""

import argparse
import pathlib

from datasets import load_dataset
from PIL import Image
from trl.data_utils import is_conversational, maybe_extract_prompt, prepare_multimodal_messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=pathlib.Path)
    args = parser.parse_args()
    rows = load_dataset("json", data_files=str(args.rows), split="train", cache_dir=str(args.rows.parent / ".datasets"))
    pairs = 0
    for number, row in enumerate(rows, 1):
        if not row.get("rejected") or isinstance(row["rejected"][0], list):
            continue  # pictures alone, or several rejected answers: more than TRL's DPOTrainer takes
        assert is_conversational({"chosen": row["chosen"]}), f"row {number}: not conversational"
        taken = maybe_extract_prompt({name: row[name] for name in ("prompt", "chosen", "rejected")})
        assert taken["prompt"] == row["prompt"], f"row {number}: TRL finds another prompt"
        images = [Image.open(args.rows.parent / path).convert("RGB") for path in row["images"]]
        prompt = prepare_multimodal_messages(taken["prompt"], images=images)
        shown = [part["image"] for turn in prompt for part in turn["content"] if part["type"] == "image"]
        assert len(shown) == len(images), f"row {number}: {len(shown)} places for {len(images)} pictures"
        for name in ("chosen", "rejected"):
            answer = prepare_multimodal_messages(taken[name])
            text = "".join(part["text"] for turn in answer for part in turn["content"])
            assert answer[0]["role"] == "assistant" and text.strip(), f"row {number}: no {name} answer"
        pairs += 1
    assert pairs, "no pair that TRL's DPOTrainer takes"
    print(f"{pairs} of {len(rows)} rows are pairs for TRL's DPOTrainer")


if __name__ == "__main__":
    main()
