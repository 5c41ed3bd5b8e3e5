"""Golden prompts for `percept_model::Processor`: a folder as transformers saves it, and what it makes of conversations.

Proves: chat template, token ids, placeholder expansion, patch grids, M-RoPE positions and decoding of a
Qwen2.5-VL processor equal those of transformers (`AutoProcessor`, `get_rope_index`), text, images and videos mixed.
The tokenizer is a byte-level BPE with Qwen2's pre-tokenizer, trained here on a few sentences; it stands on its own and
does not change with the built-in task.

Made with transformers 5.23.0, tokenizers' own version as installed, torch 2.15.0; positions by `rope_index_reference.py`, to be run after it
(transformers after 5.2 advances by `max(h, w)` behind a video, the models were trained with `max + 1`).
Run: python tools/processor_goldens.py [--out crates/model/tests/golden/processor]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoProcessor, PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLProcessor
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.video_utils import VideoMetadata

from image_goldens import picture

torch.set_num_threads(1)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
# Qwen2's split: contractions, words with one leading sign, single digits, punctuation, line ends, spaces.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CORPUS = [
    "You are a helpful assistant. What is in this picture? The picture shows three circles and a red square.",
    "How many digits are there, and what is their sum? Let me think step by step: 3 + 4 = 7, so the answer is \\boxed{7}.",
    "Compare the first image with the second image. The video shows a ball that moves from left to right.",
    "system user assistant tool\n\n<think>\n</think>\n",
] * 3
PIXELS = {"size": {"shortest_edge": 784, "longest_edge": 28 * 28 * 12}}


def image(width, height, seed):
    return {"type": "image", "width": width, "height": height, "seed": seed}


def video(width, height, frames, fps, seed):
    return {"type": "video", "width": width, "height": height, "frames": frames, "fps": fps, "seed": seed}


def text(words):
    return {"type": "text", "text": words}


def turn(role, *content):
    return {"role": role, "content": content[0] if isinstance(content[0], str) else list(content)}


CASES = {
    "text": [turn("user", "What is 3 + 4?  Let's see…\n\n")],
    "text with system and history": [
        turn("system", "You are a helpful assistant."), turn("user", "Sum of 12 and 30?"), turn("assistant", "42."),
        turn("user", "Ünïcödé 漢字 🙂 e\u0301 don't \t x"),
    ],
    "one image": [turn("user", image(100, 30, 1), text("What is in this picture?"))],
    "two images": [
        turn("system", "Compare."),
        turn("user", text("The first:"), image(57, 200, 2), text(" the second:"), image(28, 28, 3), text("?\n")),
    ],
    "images in two turns": [
        turn("user", image(120, 90, 4), text("a")), turn("assistant", "three circles"), turn("user", text("b"), image(90, 120, 5)),
    ],
    "video": [turn("user", video(60, 40, 4, 2.0, 6), text("What moves?"))],
    "odd video": [turn("user", video(56, 56, 5, 3.0, 7), text("What moves?"))],
    "slow video": [turn("user", text("Look: "), video(28, 28, 6, 0.5, 8), text(" then?"))],
    # 4 × 2 / 1.7 × 17 is just below 80 in double precision and 80 in single.
    "long video": [turn("user", video(28, 28, 36, 1.7, 13), text("how long?"))],
    "video and images": [
        turn("user", text("x"), video(84, 28, 3, 1.7, 9), image(300, 301, 10), text("y"), video(28, 84, 2, 24.0, 11), image(84, 56, 12)),
        turn("assistant", "I see."), turn("user", "And now?"),
    ],
}


def build(out):
    """The processor's folder, as transformers 5 saves it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    template = (Path(transformers.__file__).parents[1] / "trl/chat_templates/qwen2_5_vl.jinja").read_text()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=SPECIAL
    )
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessorPil(**PIXELS), fast, Qwen2VLVideoProcessor(**PIXELS), chat_template=template
    )
    processor.save_pretrained(out)
    ids = {t: tokenizer.token_to_id(t) for t in SPECIAL}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": tokenizer.get_vocab_size(), "hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 32,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512,
            "bos_token_id": None, "eos_token_id": ids["<|im_end|>"],
        },
        vision_config={
            "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32,
            "tokens_per_second": 4, "fullatt_block_indexes": [0],
        },
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
    )
    config.save_pretrained(out)
    return config


def media(messages, kind):
    return [p for m in messages if isinstance(m["content"], list) for p in m["content"] if p["type"] == kind]


def frames(spec):
    return [picture(spec["width"], spec["height"], spec["seed"] + i) for i in range(spec["frames"])]


def run(processor, model, messages):
    """What transformers makes of a conversation."""
    rendered = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    images = [Image.fromarray(picture(p["width"], p["height"], p["seed"])) for p in media(messages, "image")]
    videos = media(messages, "video")
    more = {}
    if videos:
        more = {
            "videos": [torch.from_numpy(np.stack(frames(v))).permute(0, 3, 1, 2) for v in videos],
            "video_metadata": [
                VideoMetadata(total_num_frames=v["frames"], fps=v["fps"], frames_indices=list(range(v["frames"])))
                for v in videos
            ],
            "do_sample_frames": False,
            "cap_pixels_per_frame": False,
        }
    batch = processor(text=[rendered], images=images or None, return_tensors="pt", **more)
    ids = batch["input_ids"]
    if images or videos:
        keys = ("input_ids", "mm_token_type_ids", "image_grid_thw", "video_grid_thw", "second_per_grid_ts")
        given = {k: batch[k] for k in keys if k in batch}
        if "second_per_grid_ts" in given:
            given["second_per_grid_ts"] = torch.as_tensor(given["second_per_grid_ts"], dtype=torch.float32)
        positions = model.get_rope_index(**given)[0][:, 0]
    else:
        positions = torch.arange(ids.shape[1]).expand(3, -1)
    return rendered, batch, positions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("crates/model/tests/golden/processor"))
    out = parser.parse_args().out
    config = build(out)
    processor = AutoProcessor.from_pretrained(out)
    print(type(processor).__name__, type(processor.tokenizer).__name__, type(processor.image_processor).__name__)
    processor.image_processor = Qwen2VLImageProcessorPil.from_pretrained(out)
    with torch.device("meta"):
        model = Qwen2_5_VLModel(config)
    cases = []
    for name, messages in CASES.items():
        rendered, batch, positions = run(processor, model, messages)
        ids = batch["input_ids"][0].tolist()
        cases.append({
            "name": name, "messages": messages, "text": rendered, "tokens": ids,
            "positions": positions.T.tolist(), "next_position": int(positions.max()) + 1,
            "image_grid_thw": batch["image_grid_thw"].tolist() if "image_grid_thw" in batch else [],
            "video_grid_thw": batch["video_grid_thw"].tolist() if "video_grid_thw" in batch else [],
            "decoded": processor.decode(ids, skip_special_tokens=True),
        })
        print(f"{name}: {len(ids)} tokens, next position {cases[-1]['next_position']}")
    lines = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    (out / "cases.json").write_text(f"[\n{lines}\n]\n")
    for file in sorted(out.iterdir()):
        print(file, file.stat().st_size)


if __name__ == "__main__":
    main()
