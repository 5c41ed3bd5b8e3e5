"""Checks that transformers reads the folder of percept's built-in model and makes the same prompts.

Proves, for the folder that `save_tiny` writes: `AutoProcessor`, `AutoTokenizer`, `AutoImageProcessor` and
`AutoModelForImageTextToText` load it; chat template, token ids, decoding, patches and `get_rope_index` positions of 23
prompts (built-in task, two images, a video, text) are those of percept. Patches of images are equal; those of videos
within one grey level, because transformers resizes videos with torchvision.

Made with transformers 5.23.0, torch 2.15.0.
Run: cargo run --release -p percept-model --example save_tiny -- DIR && python tools/check_processor.py DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.video_utils import VideoMetadata

torch.set_num_threads(1)
LEVEL = 1.01 / 255 / 0.2613


def parts(messages, kind):
    return [p for m in messages for p in m["content"] if p["type"] == kind]


def main():
    folder = Path(sys.argv[1])
    processor = AutoProcessor.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    print(type(processor).__name__, type(tokenizer).__name__, type(AutoImageProcessor.from_pretrained(folder)).__name__,
          type(processor.video_processor).__name__)
    processor.image_processor = Qwen2VLImageProcessorPil.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert len(tokenizer) == model.config.text_config.vocab_size, (len(tokenizer), model.config.text_config.vocab_size)
    cases = json.loads((folder / "cases/cases.json").read_text())
    image_worst = video_worst = 0.0
    tokens = 0
    for case in cases:
        name, messages = case["id"], case["messages"]
        for source in (processor, tokenizer):
            text = source.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            assert text == case["text"], f"{name}:\n{text}\n{case['text']}"
        images = [Image.open(p["path"]) for p in parts(messages, "image")]
        more = {}
        if videos := parts(messages, "video"):
            frames = [np.stack([np.array(Image.open(f)) for f in v["paths"]]) for v in videos]
            more = {
                "videos": [torch.from_numpy(f).permute(0, 3, 1, 2) for f in frames],
                "video_metadata": [
                    VideoMetadata(total_num_frames=len(v["paths"]), fps=v["fps"], frames_indices=list(range(len(v["paths"]))))
                    for v in videos
                ],
                "do_sample_frames": False,
                "cap_pixels_per_frame": False,
            }
        batch = processor(text=[text], images=images or None, return_tensors="pt", **more)
        ids = batch["input_ids"]
        assert ids[0].tolist() == case["tokens"], f"{name}: token ids"
        assert tokenizer.decode(ids[0], skip_special_tokens=True) == case["decoded"], f"{name}: decoded"
        positions = torch.arange(ids.shape[1]).expand(3, -1)
        if images or more:
            keys = ("input_ids", "mm_token_type_ids", "image_grid_thw", "video_grid_thw", "second_per_grid_ts")
            given = {k: torch.as_tensor(batch[k]) for k in keys if k in batch}
            positions = model.model.get_rope_index(**given)[0][:, 0]
        assert positions.T.tolist() == case["positions"], f"{name}: positions"
        assert int(positions.max()) + 1 == case["next_position"], f"{name}: next position"
        kinds = [p["type"] for m in messages for p in m["content"] if p["type"] != "text"]
        for kind, field in (("image", "pixel_values"), ("video", "pixel_values_videos")):
            ours = [np.array(p, dtype=np.float32) for k, p in zip(kinds, case["pixels"]) if k == kind]
            if not ours:
                continue
            far = float(np.abs(np.concatenate(ours) - batch[field].numpy().reshape(-1)).max())
            if kind == "image":
                image_worst = max(image_worst, far)
            else:
                video_worst = max(video_worst, far)
        if expert := case.get("expert"):
            found = tokenizer(expert["text"], add_special_tokens=False).input_ids
            assert found == expert["tokens"], f"{name}: expert"
            assert tokenizer.decode(found) == expert["text"], f"{name}: decoded expert"
        tokens += ids.shape[1]
    assert image_worst == 0, image_worst
    assert video_worst <= LEVEL, video_worst
    print(f"{len(cases)} prompts, {tokens} tokens equal; patches differ by {image_worst} (images), {video_worst:.4f} (videos)")


if __name__ == "__main__":
    main()
