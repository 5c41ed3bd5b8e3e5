"""M-RoPE positions by the rule with which Qwen2-VL and Qwen2.5-VL were trained, in plain Python.

A line-by-line reading of `get_rope_index` of transformers 4.49.0 (Qwen's own code; the rule is that of 4.49 to 5.2 and
of vLLM): text behind an image or video begins at the largest position so far plus one. It replaces `positions` and
`next_position` of the golden prompts, which `processor_goldens.py` writes with a later transformers, whose rule for
text behind a video that is longer than it is wide is another one.

Needs nothing but Python. Run: python tools/rope_index_reference.py [--check]
"""

import argparse
import json
import struct
from pathlib import Path

FOLDER = Path("crates/model/tests/golden/processor")


def single(value):
    """Rounded to float32, as a tensor of integers times a Python float is."""
    return struct.unpack("f", struct.pack("f", value))[0]


def rope_index(tokens, image_grid_thw, video_grid_thw, second_per_grid_ts, config):
    """[tokens][3], temporal, height, width."""
    image, video, start = (config[f"{name}_token_id"] for name in ("image", "video", "vision_start"))
    merge, rate = config["vision_config"]["spatial_merge_size"], config["vision_config"]["tokens_per_second"]
    after_start = [b for a, b in zip(tokens, tokens[1:]) if a == start]
    remain = {image: after_start.count(image), video: after_start.count(video)}
    index = {image: 0, video: 0}
    positions, st = [], 0

    def begin():
        return max(map(max, positions)) + 1 if positions else 0

    for _ in range(remain[image] + remain[video]):
        end = {
            kind: tokens.index(kind, st) if kind in tokens and remain[kind] > 0 else len(tokens) + 1
            for kind in (image, video)
        }
        kind = image if end[image] < end[video] else video
        t, h, w = (image_grid_thw if kind == image else video_grid_thw)[index[kind]]
        second = 0 if kind == image else second_per_grid_ts[index[kind]]
        index[kind] += 1
        remain[kind] -= 1
        h, w = h // merge, w // merge
        text, at = end[kind] - st, begin()
        positions += [[at + i] * 3 for i in range(text)]
        times = [int(single(single(i * single(second)) * rate)) for i in range(t)]
        positions += [[at + text + a, at + text + b, at + text + c] for a in times for b in range(h) for c in range(w)]
        st = end[kind] + t * h * w
    at = begin()
    positions += [[at + i] * 3 for i in range(len(tokens) - st)]
    return positions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="fail where a golden differs instead of writing it")
    check = parser.parse_args().check
    config = json.loads((FOLDER / "config.json").read_text())
    cases = json.loads((FOLDER / "cases.json").read_text())
    changed = []
    for case in cases:
        parts = [p for m in case["messages"] if isinstance(m["content"], list) for p in m["content"]]
        # Two frames make a temporal patch.
        seconds = [2 / p["fps"] for p in parts if p["type"] == "video"]
        positions = rope_index(case["tokens"], case["image_grid_thw"], case["video_grid_thw"], seconds, config)
        found = {"positions": positions, "next_position": max(map(max, positions)) + 1}
        changed += [case["name"]] if any(case[k] != v for k, v in found.items()) else []
        case.update(found)
    print(f"{len(cases)} cases, different: {', '.join(changed) or 'none'}")
    if check:
        raise SystemExit(1 if changed else 0)
    lines = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    (FOLDER / "cases.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
