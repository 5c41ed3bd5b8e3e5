"""Golden prompts and pixels of LLaVA-1.5 for `percept_model::Processor` and `percept_data::ClipImageProcessor`.

Proves: pixels equal `CLIPImageProcessor` (Pillow backend bit for bit; the torchvision backend is within two
grey levels, or 16 at hard edges where Pillow 13 resizes by height first), and chat
template, `<image>` expansion, token ids and decoding equal those of transformers' `LlavaProcessor`, for prompts and for
conversations with their answers. The tokenizer is built here as Llama's tokenizer.json is: byte-level fall-back, `▁`
prepended by the normaliser ("legacy"), `<s>` put in front of a text, `<image>` and `<pad>` added; the chat template is
that of llava-hf/llava-1.5-7b-hf.

Made with transformers 5.10.4, Pillow 13.0.0, torchvision 0.29.2, torch 2.15.0.
Run: python tools/llava_processor_goldens.py
Output: crates/model/tests/golden/processor_llava (a folder as transformers saves it, cases.json) and
crates/data/tests/golden/clip_images.json
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoProcessor, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaProcessor, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_clip import CLIPImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from image_goldens import PICKS, picks, picture, sha

torch.set_num_threads(1)
ROOT = Path(__file__).parent.parent / "crates"
SIZE, PATCH = 56, 14
# As in the hub's chat_template.json.
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}"
    "{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
CORPUS = [
    "A chat between a curious user and an artificial intelligence assistant. What is in this picture?",
    "USER: What are the things I should be cautious about when I visit here? ASSISTANT: three circles and a red square.",
    "Compare the first image with the second image. Yes, there is a dog. No, there is no dog.",
] * 3


def image(width, height, seed):
    return {"type": "image", "width": width, "height": height, "seed": seed}


def text(words):
    return {"type": "text", "text": words}


def turn(role, *content):
    return {"role": role, "content": list(content)}


CASES = {
    "text": [turn("user", text("What is 3 + 4?  Let's see…"))],
    "text with system and history": [
        turn("system", text("You are a helpful assistant.")), turn("user", text("Sum of 12 and 30?")),
        turn("assistant", text("42.")), turn("user", text("Ünïcödé 漢字 🙂 e\u0301 don't \t x")),
    ],
    "one image": [turn("user", image(100, 30, 1), text("What is in this picture?"))],
    "image behind its question": [turn("user", text("What is in this picture?\n"), image(30, 100, 2))],
    "two images": [turn("user", text("The first"), image(57, 200, 2), text(" the second"), image(56, 56, 3), text("?"))],
    "images in two turns": [
        turn("user", image(120, 90, 4), text("a dog?")), turn("assistant", text("three circles")),
        turn("user", text("and here"), image(9, 12, 5)),
    ],
    "empty text": [turn("user", image(60, 60, 6), text(""))],
}
ANSWER = turn("assistant", text("Yes, there is  a dög.\nThree circles."))

# (width, height, overrides): nothing to do, up, down, odd margins, thin, exact sizes, other numbers.
IMAGES = [
    (56, 56, {}),
    (30, 40, {}),
    (100, 30, {}),
    (57, 200, {}),
    (300, 301, {}),
    (640, 480, {}),
    (61, 93, {}),
    (1, 1, {}),
    (150, 2, {}),
    (333, 217, {"size": {"shortest_edge": 80}}),
    (90, 61, {"size": {"height": 56, "width": 56}, "do_center_crop": False}),
    (90, 61, {"size": {"height": 63, "width": 70}}),
    (90, 60, {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.25, 0.125]}),
    (1024, 683, {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}),
]
DEFAULT = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}


def tokenizer():
    """Llama's: pieces with `▁` for a space, bytes for what they do not cover."""
    small = Tokenizer(models.BPE(unk_token="<unk>"))
    small.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=160, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    small.train_from_iterator(CORPUS, trainer)
    learned = json.loads(small.to_str())["model"]
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for token in [f"<0x{byte:02X}>" for byte in range(256)] + sorted(learned["vocab"], key=learned["vocab"].get):
        vocab.setdefault(token, len(vocab))
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learned["merges"]]
    out = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    out.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    out.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    out.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ("<unk>", "<s>", "</s>", "<image>", "<pad>")])
    out.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return out


def build(out):
    """The processor's folder, as transformers 5 saves it, with the model's config.json."""
    tok = tokenizer()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tok, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
    )
    LlavaProcessor(
        CLIPImageProcessorPil(**DEFAULT), fast, patch_size=PATCH, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=TEMPLATE,
    ).save_pretrained(out)
    LlavaConfig(
        text_config=LlamaConfig(
            vocab_size=tok.get_vocab_size(), hidden_size=32, num_hidden_layers=1, intermediate_size=32, num_attention_heads=2,
            max_position_embeddings=512,
        ),
        vision_config=CLIPVisionConfig(
            hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=SIZE, patch_size=PATCH
        ),
        image_token_index=tok.token_to_id("<image>"), image_seq_length=(SIZE // PATCH) ** 2, architectures=["LlavaForConditionalGeneration"],
    ).save_pretrained(out)


def pictures(messages):
    parts = [p for m in messages for p in m["content"] if p["type"] == "image"]
    # The template renders the pictures of a turn in their order.
    return [Image.fromarray(picture(p["width"], p["height"], p["seed"])) for p in parts]


def run(processor, messages, open_answer):
    rendered = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=open_answer)
    batch = processor(text=[rendered], images=pictures(messages) or None, return_tensors="np")
    return rendered, batch["input_ids"][0].tolist()


def model_cases(out):
    build(out)
    processor = AutoProcessor.from_pretrained(out)
    print(type(processor).__name__, type(processor.tokenizer).__name__, type(processor.image_processor).__name__)
    cases = []
    for name, messages in CASES.items():
        rendered, ids = run(processor, messages, True)
        full, full_ids = run(processor, messages + [ANSWER], False)
        assert full_ids[: len(ids)] == ids, name
        cases.append({
            "name": name, "messages": messages, "text": rendered, "tokens": ids,
            "decoded": processor.decode(ids, skip_special_tokens=True), "answer": ANSWER, "answered_text": full,
            "answered_tokens": full_ids,
        })
        print(f"{name}: {len(ids)} tokens, {len(full_ids)} with the answer")
    lines = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    (out / "cases.json").write_text(f"[\n{lines}\n]\n")


def image_case(width, height, options):
    config = {**DEFAULT, **options}
    image = Image.fromarray(picture(width, height))
    pil = CLIPImageProcessorPil(**config).preprocess(image, return_tensors="np")["pixel_values"][0]
    torchvision = CLIPImageProcessor(**config).preprocess(image, return_tensors="pt")["pixel_values"][0].numpy()
    assert pil.dtype == np.float32
    (_, h, w), p = pil.shape, 7

    def cut(x):
        return x.reshape(3, h // p, p, w // p, p).transpose(1, 3, 0, 2, 4)

    return {
        "width": width, "height": height, "config": config, "patch": p, "grid": [h // p, w // p], "values": sha(cut(pil)),
        "picks": picks(cut(pil)), "torchvision": picks(cut(torchvision)),
    }


def main():
    out = ROOT / "model/tests/golden/processor_llava"
    model_cases(out)
    cases = [image_case(*case) for case in IMAGES]
    lines = ",\n".join(json.dumps(case) for case in cases)
    (ROOT / "data/tests/golden/clip_images.json").write_text(f"[\n{lines}\n]\n")
    for file in sorted(out.iterdir()):
        print(file.name, file.stat().st_size)
    print(f"{len(cases)} pictures, {PICKS} values of each")


if __name__ == "__main__":
    main()
