"""Golden renderings for the chat templates of crate `data`.

Proves: `ChatTemplate::render` gives what transformers' `apply_chat_template` gives, for the templates in
crates/data/tests/golden/chat/ (their origin: README.md there) and conversations with and without system turn, media,
reasoning, tool replies and odd white space. A conversation that the template refuses must be refused.

Made with transformers 5.23.0, Jinja2 3.1.6. `strftime_now` is fixed to 1 January 2025, as percept does.
Run: python tools/chat_goldens.py [--out crates/data/tests/golden/chat]
"""

import argparse
import datetime
import json
from pathlib import Path
from unittest import mock

import jinja2
from transformers.utils import chat_template_utils

TOKENS = {
    "llama3": ("<|begin_of_text|>", "<|eot_id|>"),
    "llama3_2": ("<|begin_of_text|>", "<|eot_id|>"),
    "smollm2": ("<|im_start|>", "<|im_end|>"),
}
IMAGE, VIDEO = {"type": "image"}, {"type": "video"}


def text(words):
    return {"type": "text", "text": words}


def turn(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = {
    "one turn": [turn("user", "What is 2+2?")],
    "system": [turn("system", "Be brief."), turn("user", "Hi\n")],
    "several turns": [turn("user", " a "), turn("assistant", "b\n\n"), turn("user", "c"), turn("assistant", "d")],
    "reasoning": [
        turn("user", "1+1?"), turn("assistant", "<think>\none and one\n</think>\n\n2"),
        turn("user", "+1?"), turn("assistant", "<think>three</think>3"),
    ],
    "odd text": [turn("user", "ünïcödé 漢字 🙂 {{ 7 * 7 }} {% if %} <b>&amp;</b> \"q\" 'q' \\n")],
    "empty": [turn("user", "")],
    "tool": [turn("user", "weather?"), turn("assistant", "let me look"), turn("tool", "{\"sun\": 1}"), turn("tool", "x")],
    "late system": [turn("user", "a"), turn("system", "b"), turn("user", "c")],
    "image": [turn("user", [IMAGE, text("What?")])],
    "images and video": [
        turn("system", "See."), turn("user", [text("a"), IMAGE, text("b"), IMAGE, VIDEO, text("c\n")]),
        turn("assistant", "d"), turn("user", "e"),
    ],
}


class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2025, 1, 1)


def render(source, conversation, generation_prompt, bos, eos):
    try:
        with mock.patch.object(chat_template_utils, "datetime", Day):
            rendered, _ = chat_template_utils.render_jinja_template(
                [conversation], chat_template=source, add_generation_prompt=generation_prompt,
                bos_token=bos, eos_token=eos,
            )
        return rendered[0]
    except (jinja2.TemplateError, TypeError):
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("crates/data/tests/golden/chat"))
    out = parser.parse_args().out
    cases = []
    for path in sorted(out.glob("*.jinja")):
        bos, eos = TOKENS.get(path.stem, ("", "<|im_end|>"))
        for name, conversation in CONVERSATIONS.items():
            for generation_prompt in (False, True):
                rendered = render(path.read_text(), conversation, generation_prompt, bos, eos)
                if rendered and "[{'type'" in rendered:
                    continue  # a template for text prints the list of parts as Python would; nobody wants that
                cases.append({
                    "template": path.name, "conversation": name, "bos_token": bos, "eos_token": eos,
                    "add_generation_prompt": generation_prompt, "messages": conversation,
                    "rendered": rendered,
                })
    body = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (out / "rendered.json").write_text(f"[\n{body}\n]\n")
    print(len(cases), "cases,", sum(c["rendered"] is None for c in cases), "refused")


if __name__ == "__main__":
    main()
