#!/usr/bin/env python3
"""Makes crates/data/tests/fixtures: one small file for each convention of the field.

Usage:
    pip install pyarrow pillow trl
    python tools/data_fixtures.py

`expected.json` says what each row means, written from the same values as the files and not by
reading them back. A turn's text shows its media as U+27E8 image n U+27E9.
"""

import datetime
import decimal
import hashlib
import io
import json
import pathlib
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

TARGET = pathlib.Path(__file__).parent.parent / "crates/data/tests/fixtures"
EXPECTED: dict[str, list[dict]] = {}


def picture(index: int, ending: str = "png") -> bytes:
    image = Image.new("RGB", (28 + 4 * index, 28), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.ellipse((3, 3, 14 + 2 * index, 24), fill=(40 * index % 256, 90, 200))
    out = io.BytesIO()
    image.save(out, format={"png": "PNG", "jpg": "JPEG"}[ending])
    return out.getvalue()


def mark(index: int) -> str:
    return f"\u27e8image {index}\u27e9"


def row(turns, images=(), answer=None, expert=None, meta=()) -> dict:
    """What a reader must find: turns are (role, text with marks), meta the names of what is left."""
    return {
        "turns": [list(turn) for turn in turns],
        "images": [hashlib.sha256(image).hexdigest() for image in images],
        "answer": answer,
        "expert": expert,
        "meta": sorted(meta),
    }


def jsonl(name: str, rows: list[dict], expected: list[dict]) -> None:
    lines = [json.dumps(r, ensure_ascii=False) + "\n" for r in rows]
    (TARGET / name).write_text("".join(lines), encoding="utf-8")
    EXPECTED[name] = expected


def parquet(name: str, table: pa.Table, expected: list[dict], **options) -> None:
    pq.write_table(table, TARGET / name, **options)
    EXPECTED[name] = expected


def verl() -> None:
    """verl's geometry3k: a system turn, <image> tags, image bytes, the answer inside a struct."""
    rows, expected = [], []
    for i in range(7):
        images = [picture(i)] if i != 3 else [picture(3), picture(4)]
        tags = "<image>" * len(images)
        rows.append(
            {
                "data_source": "hiyouga/geometry3k",
                "prompt": [
                    {"role": "system", "content": "Think first."},
                    {"role": "user", "content": f"{tags}Find x in figure {i}."},
                ],
                "images": [{"bytes": image, "path": None} for image in images],
                "ability": "math",
                "reward_model": {"style": "rule", "ground_truth": str(i)},
                "extra_info": {"split": "train", "index": i, "answer": str(i)},
            }
        )
        marks = "".join(mark(k) for k in range(len(images)))
        turns = [("system", "Think first."), ("user", f"{marks}Find x in figure {i}.")]
        meta = ["data_source", "ability", "reward_model", "extra_info"]
        expected.append(row(turns, images, str(i), meta=meta))
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.Table.from_pylist(rows)
    at = table.schema.get_field_index("images")
    images = pa.array([r["images"] for r in rows], type=pa.list_(image))
    table = table.set_column(at, "images", images)
    parquet("verl.parquet", table, expected, row_group_size=3)
    # Older writers name list elements "item" and compress otherwise.
    parquet(
        "verl_old.parquet",
        table.slice(0, 2),
        expected[:2],
        compression="gzip",
        use_compliant_nested_type=False,
        version="1.0",
    )


def verl_paths() -> None:
    """verl with image paths; bare binary as Hugging Face's Image(decode=False) may leave it."""
    prompt = [{"role": "user", "content": "<image>How many?"}]
    base = {"prompt": prompt, "reward_model": {"style": "rule", "ground_truth": "2"}}
    expected = row([("user", mark(0) + "How many?")], [picture(1)], "2", meta=["reward_model"])
    table = pa.Table.from_pylist([{**base, "images": [{"path": "images/1.png"}]}])
    parquet("verl_paths.parquet", table, [expected], compression="zstd")
    table = pa.Table.from_pylist([{**base, "images": [picture(1)]}])
    parquet("verl_bytes.parquet", table, [expected], compression="lz4")
    table = pa.Table.from_pylist([{**base, "images": ["images/1.png"]}])
    parquet("verl_text.parquet", table, [expected], compression="none")


def trl() -> None:
    question = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    rows = [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": [{"type": "text", "text": "An ellipse."}]},
            ],
            "images": ["images/1.png"],
        },
        {"prompt": "What is it?", "image": "images/2.jpg", "completion": "An ellipse."},
        {
            "prompt": [{"role": "user", "content": "1 + 1?"}],
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": "2"}]}],
            "solution": 2,
            "level": 1,
        },
        {"prompt": "Zwölf? 十二", "answer": "12", "images": None},
    ]
    expected = [
        row([("user", mark(0) + "What is it?"), ("assistant", "An ellipse.")], [picture(1)]),
        row([("user", mark(0) + "What is it?")], [picture(2, "jpg")], expert="An ellipse."),
        row([("user", "1 + 1?")], answer="2", expert="2", meta=["level"]),
        row([("user", "Zwölf? 十二")], answer="12"),
    ]
    jsonl("trl.jsonl", rows, expected)
    # Parquet has one type for all rows: a part has every field of any part, null where unused.
    part = pa.struct([("type", pa.string()), ("text", pa.string()), ("image", pa.string())])
    turn = pa.struct([("role", pa.string()), ("content", pa.list_(part))])
    content = [
        {"type": "image", "text": None, "image": None},
        {"type": "text", "text": "What is it?", "image": None},
    ]
    table = pa.table(
        {
            "prompt": pa.array([[{"role": "user", "content": content}]], type=pa.list_(turn)),
            "image": pa.array([{"bytes": picture(5), "path": "5.png"}]),
            "solution": pa.array([2.5]),
        }
    )
    expected = [row([("user", mark(0) + "What is it?")], [picture(5)], "2.5")]
    parquet("trl.parquet", table, expected)


def easy_r1() -> None:
    text = "<image>Is <image> larger?"
    rows = [{"problem": text, "images": ["images/1.png", "images/2.jpg"], "answer": "yes"}]
    turns = [("user", f"{mark(0)}Is {mark(1)} larger?")]
    expected = [row(turns, [picture(1), picture(2, "jpg")], "yes")]
    (TARGET / "easy_r1.json").write_text(json.dumps(rows, indent=2) + "\n")
    EXPECTED["easy_r1.json"] = expected
    images = [[{"bytes": picture(1)}, {"bytes": picture(2, "jpg")}]]
    table = pa.table({"problem": [text], "images": images, "answer": ["yes"]})
    parquet("easy_r1.parquet", table, expected)


def ms_swift() -> None:
    turns = [
        {"role": "user", "content": "<image>Hi"},
        {"role": "assistant", "content": "Ho", "loss": False},
        {"role": "user", "content": "Again<image>"},
    ]
    images = ["images/1.png", "images/2.jpg"]
    rows = [{"messages": turns, "images": images, "solution": "Ho", "system": "Be brief."}]
    rows.append({"query": "Hi", "response": "Ho"})
    found = [
        ("system", "Be brief."),
        ("user", mark(0) + "Hi"),
        ("assistant", "Ho"),
        ("user", "Again" + mark(1)),
    ]
    expected = [row(found, [picture(1), picture(2, "jpg")], "Ho")]
    expected.append(row([("user", "Hi")], expert="Ho"))
    jsonl("ms_swift.jsonl", rows, expected)


def openai() -> None:
    import base64

    url = "data:image/png;base64," + base64.b64encode(picture(1)).decode()
    bare = base64.b64encode(picture(5)).decode()
    content = [
        {"type": "text", "text": "Same as "},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "image"},
        {"type": "image", "image": bare},
        {"type": "text", "text": "<image> is no tag here"},
    ]
    rows = [{"messages": [{"role": "user", "content": content}], "images": ["images/2.jpg"]}]
    text = f"Same as {mark(0)}{mark(1)}{mark(2)}<image> is no tag here"
    images = [picture(1), picture(2, "jpg"), picture(5)]
    jsonl("openai.jsonl", rows, [row([("user", text)], images)])


def llava() -> None:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "Blue."}]
    rows = {"data": [{"id": "a1", "image": "images/1.png", "conversations": turns}]}
    (TARGET / "llava.json").write_text(json.dumps(rows) + "\n")
    found = [("user", mark(0) + "\nWhat?"), ("assistant", "Blue.")]
    EXPECTED["llava.json"] = [row(found, [picture(1)])]


def odd() -> None:
    """Column types that no convention uses must not keep the others from being read."""
    when = datetime.datetime(2024, 5, 6, 7, 8, 9, 123000)
    columns = {
        "prompt": pa.array(["a", "b"], type=pa.large_string()),
        "answer": pa.array(["1", "2"]).dictionary_encode(),
        "nothing": pa.nulls(2),
        "nothings": pa.array([[None], []], type=pa.list_(pa.null())),
        "day": pa.array([when.date(), None]),
        "nano": pa.array([when, None], type=pa.timestamp("ns")),
        "micro": pa.array([when, None], type=pa.timestamp("us", tz="UTC")),
        "hour": pa.array([when.time(), None], type=pa.time64("ns")),
        "wait": pa.array([1, 2], type=pa.duration("s")),
        "money": pa.array([decimal.Decimal("1.25"), None]),
        "half": pa.array([0.5, None], type=pa.float16()),
        "single": pa.array([0.1, None], type=pa.float32()),
        "bad": pa.array([float("nan"), float("inf")]),
        "small": pa.array([[1, 2], None], type=pa.list_(pa.uint8())),
        "fixed": pa.array([[1.0, 2.0], None], type=pa.list_(pa.float32(), 2)),
        "big": pa.array([2**64 - 1, 0], type=pa.uint64()),
        "map": pa.array([[("k", 1)], []], type=pa.map_(pa.string(), pa.int64())),
        "blob": pa.array([b"\xff\x00", None]),
        "deep": pa.array([{"a": [{"b": [[1]]}]}, None]),
    }
    names = [name for name in columns if name not in ("prompt", "answer")]
    expected = [row([("user", t)], answer=a, meta=names) for t, a in (("a", "1"), ("b", "2"))]
    parquet("odd.parquet", pa.table(columns), expected)


def half() -> None:
    """Answers in half precision, which have few digits (tests/rows.rs reads this file)."""
    import numpy as np

    values = np.array([0.1, 3.14, 2048, -0.5, 65500], dtype=np.float16)
    table = pa.table({"prompt": ["?"] * 5, "answer": pa.array(values)})
    pq.write_table(table, TARGET / "half.parquet")


def pair(asked, chosen, rejected, images=(), rejected_images=(), **more) -> dict:
    """What a reader must find in a preference pair: a prompt of turns, answers as turns, sets of pictures."""
    hashes = [[hashlib.sha256(image).hexdigest() for image in images] for images in rejected_images]
    found = row(asked, images, **more)
    return {**found, "chosen": chosen, "rejected": rejected, "rejected_images": hashes}


def rlaif_v() -> None:
    """RLAIF-V and RLHF-V: pictures as bytes in a struct; the older RLHF-V keeps the pair in a JSON text."""
    said = {"question": "What is it?", "chosen": "An ellipse.", "rejected": "A square."}
    kept = {"ds_name": "X", "origin_dataset": "Y", "origin_split": "{}", "idx": 7, "image_path": "1.png"}
    image = {"bytes": picture(1), "path": "1.png"}
    chosen, rejected = [["assistant", "An ellipse."]], [[["assistant", "A square."]]]
    asked = [("user", mark(0) + "What is it?")]
    found = pair(asked, chosen, rejected, [picture(1)], meta=kept)
    parquet("pairs_rlaif_v.parquet", pa.Table.from_pylist([{**kept, "image": image, **said}]), [found])
    old = {**kept, "image": image, "text": json.dumps(said)}
    parquet("pairs_rlhf_v.parquet", pa.Table.from_pylist([old]), [found])


def trl_pairs() -> None:
    """TRL's conversational pairs with rejected pictures, as `datasets` writes them: every turn has every field,
    and every row has every column, null or empty where it says nothing."""
    part = pa.struct([("type", pa.string()), ("text", pa.string())])
    asked = pa.struct([("content", pa.list_(part)), ("role", pa.string())])
    answer = pa.struct([("content", pa.string()), ("role", pa.string()), ("tool_calls", pa.string())])
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    question = [{"type": "image", "text": None}, {"type": "text", "text": "What is it?"}]
    prompt = [{"role": "user", "content": question}]
    turn = lambda text: [{"role": "assistant", "content": text, "tool_calls": None}]
    pictures = lambda *numbers: [{"bytes": picture(n), "path": None} for n in numbers]
    columns = {
        "prompt": pa.array([prompt] * 3, type=pa.list_(asked)),
        "chosen": pa.array([turn("A"), turn("A"), None], type=pa.list_(answer)),
        "rejected": pa.array([turn("B"), [], None], type=pa.list_(answer)),
        "images": pa.array([pictures(1)] * 3, type=pa.list_(image)),
        "rejected_images": pa.array([pictures(2), pictures(3), []], type=pa.list_(image)),
        "confidence": pa.array([0.5, None, None]),
        "solution": pa.array([None, None, "A"]),
    }
    found = [("user", mark(0) + "What is it?")]
    said = lambda text: [["assistant", text]]
    expected = [
        pair(found, said("A"), [said("B")], [picture(1)], [[picture(2)]]),
        pair(found, said("A"), [], [picture(1)], [[picture(3)]]),
        row(found, [picture(1)], "A", meta=["confidence"]),
    ]
    parquet("pairs_trl.parquet", pa.table(columns), expected)


def implicit_pairs() -> None:
    """Whole conversations; what of them is the prompt says trl.extract_prompt."""
    from trl import extract_prompt

    system, calls = {"role": "system", "content": "S"}, {"role": "tool", "content": "seen"}
    user = lambda text: {"role": "user", "content": text}
    says = lambda text: {"role": "assistant", "content": text}
    rows = [
        {"chosen": [user("1"), says("a")], "rejected": [user("1"), says("b")]},
        {"chosen": [system, user("1"), says("a")], "rejected": [system, user("1"), says("b")]},
        {
            "chosen": [user("1"), says("a"), user("2"), says("b")],
            "rejected": [user("1"), says("a"), user("2"), says("c")],
        },
        {
            "chosen": [user("1"), says("x"), calls, says("b")],
            "rejected": [user("1"), says("x"), calls, says("c")],
        },
        {"chosen": [user("1"), says("x"), calls, says("b")], "rejected": [user("1"), says("c")]},
    ]
    turns = lambda messages: [[turn["role"], turn["content"]] for turn in messages]
    expected = []
    for pair_row in rows:
        found = extract_prompt(pair_row)
        answers = turns(found["chosen"]), [turns(found["rejected"])]
        expected.append(pair(turns(found["prompt"]), *answers))
    jsonl("pairs_implicit.jsonl", rows, expected)


def llama_factory_pairs() -> None:
    """LLaMA-Factory's ranking rows: ShareGPT (`dpo_zh_demo`, `rlhf_v`) and alpaca."""
    gpt = lambda text: {"from": "gpt", "value": text}
    rows = [
        {
            "conversations": [{"from": "human", "value": "<image>What is it?"}],
            "chosen": gpt("An ellipse."),
            "rejected": gpt("A square."),
            "images": ["images/1.png"],
        },
        {"instruction": "Name it.", "input": "x", "chosen": "A", "rejected": "B"},
    ]
    (TARGET / "pairs_llama_factory.json").write_text(json.dumps(rows, indent=1) + "\n")
    said = lambda text: [["assistant", text]]
    asked = [("user", mark(0) + "What is it?")]
    EXPECTED["pairs_llama_factory.json"] = [
        pair(asked, said("An ellipse."), [said("A square.")], [picture(1)]),
        pair([("user", "Name it.\nx")], said("A"), [said("B")]),
    ]


def main() -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    (TARGET / "images").mkdir(parents=True)
    (TARGET / "images/1.png").write_bytes(picture(1))
    (TARGET / "images/2.jpg").write_bytes(picture(2, "jpg"))
    tools = (verl, verl_paths, trl, easy_r1, ms_swift, openai, llava, odd, half)
    pairs = (rlaif_v, trl_pairs, implicit_pairs, llama_factory_pairs)
    for make in tools + pairs:
        make()
    text = json.dumps(EXPECTED, indent=1, ensure_ascii=False)
    (TARGET / "expected.json").write_text(text + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in TARGET.rglob("*") if file.is_file())
    assert size <= 100_000, size
    print(f"{len(EXPECTED)} files, {size} bytes in all")


if __name__ == "__main__":
    main()
