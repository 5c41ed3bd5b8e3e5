#!/usr/bin/env python3
"""A small random CLIP as ONNX, with the inputs and outputs of Optimum's exports, for crates/vision/tests/onnx.rs.

    python3 tools/clip_onnx.py FOLDER

Writes FOLDER/clip: `model.onnx`, `tokenizer.json`, pictures, and `expected.json`, the `logits_per_image` that transformers' CLIPModel
computes for them with CLIPImageProcessorPil and the tokenizer, one text at a time. Needs torch, transformers, onnx and Pillow; real
weights of CLIP cannot be had offline.
"""
import json
import sys
from pathlib import Path

import torch
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

folder = Path(sys.argv[1]) / "clip"
folder.mkdir(parents=True, exist_ok=True)
START, END = "<|startoftext|>", "<|endoftext|>"

# CLIP's tokenizer.json, with the letters of bytes and a few merges for a vocabulary.
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
merges = [("c", "a"), ("ca", "t</w>"), ("o", "n</w>"), ("t", "h"), ("th", "e</w>")]
words = letters + [letter + "</w>" for letter in letters] + ["".join(pair) for pair in merges] + [START, END]
ids = {word: index for index, word in enumerate(words)}
tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, unk_token=END, end_of_word_suffix="</w>"))
tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
tokenizer.post_processor = processors.RobertaProcessing((END, ids[END]), (START, ids[START]), trim_offsets=False, add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.add_special_tokens([START, END])
tokenizer.save(str(folder / "tokenizer.json"))

torch.manual_seed(0)
SIDE = 56
tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
config = CLIPConfig(
    text_config={**tower, "vocab_size": len(words), "max_position_embeddings": 77, "bos_token_id": ids[START], "eos_token_id": ids[END],
                 "pad_token_id": ids[END]},
    vision_config={**tower, "image_size": SIDE, "patch_size": 14}, projection_dim=16)
model = CLIPModel(config).eval()


class Whole(torch.nn.Module):
    """The inputs in the order of Optimum's exports."""

    def __init__(self, clip):
        super().__init__()
        self.clip = clip

    def forward(self, input_ids, pixel_values, attention_mask):
        found = self.clip(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return found.logits_per_image, found.logits_per_text, found.text_embeds, found.image_embeds


ids_of = [tokenizer.encode(text).ids for text in ("a cat", "on the mat")]
longest = max(map(len, ids_of))
example = torch.tensor([row + [ids[END]] * (longest - len(row)) for row in ids_of])
mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids_of])
texts, pictures = {0: "text_batch_size", 1: "sequence_length"}, {0: "image_batch_size"}
torch.onnx.export(
    Whole(model), (example, torch.rand(1, 3, SIDE, SIDE), mask), str(folder / "model.onnx"), dynamo=False, opset_version=17,
    input_names=["input_ids", "pixel_values", "attention_mask"],
    output_names=["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"],
    dynamic_axes={"input_ids": texts, "attention_mask": texts, "pixel_values": pictures,
                  "logits_per_image": {0: "image_batch_size", 1: "text_batch_size"},
                  "logits_per_text": {0: "text_batch_size", 1: "image_batch_size"},
                  "text_embeds": {0: "text_batch_size"}, "image_embeds": {0: "image_batch_size"}})

processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
said = ["A cat on the mat.", "So", "the cat's  THE 12 mats, on and on", "a very long one " * 40]
rows = []
for number, (width, height) in enumerate([(90, 60), (40, 100)]):
    picture = Image.new("RGB", (width, height))
    picture.putdata([((x * 7 + y * number) % 256, (y * 5 + x) % 256, (x * y + 40 * number) % 256)
                     for y in range(height) for x in range(width)])
    name = f"{number}.png"
    picture.save(folder / name)
    pixels = processor(images=picture, return_tensors="pt")["pixel_values"]
    scores = []
    for text in said:
        tokens = tokenizer.encode(text).ids
        tokens = tokens if len(tokens) <= 77 else tokens[:76] + [ids[END]]
        with torch.no_grad():
            scores.append(model(input_ids=torch.tensor([tokens]), pixel_values=pixels).logits_per_image.item())
    rows.append({"file": name, "scores": scores})
(folder / "expected.json").write_text(json.dumps({"texts": said, "pictures": rows}, indent=1))
