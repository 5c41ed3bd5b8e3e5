"""Golden renderings of tools, tool calls, thoughts and named values for crate `data`.

Proves: `ChatTemplate::render_with` equals `apply_chat_template(messages, tools=…, **chat_template_kwargs)`. The
environment is that of transformers' `utils/chat_template_utils.py` (`_compile_jinja_template`), which is Jinja2 alone,
so that neither torch nor transformers is needed; the templates are those of tests/golden/chat.

Made with Jinja2. Run: python tools/chat_fields_goldens.py
"""

import json
from pathlib import Path

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = Path(__file__).parent.parent / "crates/data/tests/golden/chat"
ZOOM = {"type": "function", "function": {"name": "zoom", "description": "Größer: a \"part\" <of> it.", "parameters": {
    "type": "object", "properties": {"box": {"type": "array", "items": {"type": "number"}, "default": None},
                                     "factor": {"type": "number"}}, "required": ["box"]}}}
TIME = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}


def call(name, arguments, **more):
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


USER = {"role": "user", "content": "How late is it on the clock?"}
CONVERSATIONS = {
    "one call": [USER, {"role": "assistant", "tool_calls": [call("zoom", {"box": [1, 2.5, 3, 4], "factor": 2})]},
                 {"role": "tool", "content": "{\"seen\": \"half past ten\"}", "name": "zoom", "tool_call_id": "c1"},
                 {"role": "assistant", "content": "Half past ten."}],
    "two calls and text": [{"role": "system", "content": "Be brief."}, USER,
                           {"role": "assistant", "content": "Let me see.", "tool_calls": [
                               call("zoom", {"box": [], "why": "ü <b> 'x'"}), call("time", {})]},
                           {"role": "tool", "content": "a"}, {"role": "tool", "content": "b"}],
    "a call to be trained on": [USER, {"role": "assistant", "content": "", "tool_calls": [call("time", {})]}],
    "thoughts": [USER, {"role": "assistant", "content": "Ten.", "reasoning_content": "The short hand\nis at ten."}],
    "thoughts, then more": [USER, {"role": "assistant", "content": "Ten.", "reasoning_content": "Hm."},
                            {"role": "user", "content": "Sure?"},
                            {"role": "assistant", "content": "Yes.", "reasoning_content": "It is."}],
    "plain": [USER],
}
FIELDS = [({"tools": [ZOOM, TIME]}, {}), ({}, {}), ({}, {"enable_thinking": False}), ({"tools": [TIME]}, {"enable_thinking": True}),
          ({}, {"tools_in_user_message": False, "date_string": "1 May 2030", "bos_token": "<B>"})]


def environment():
    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: {"%d %b %Y": "01 Jan 2025", "%Y-%m-%d": "2025-01-01"}[form]
    return env


def main():
    env, lines = environment(), []
    for path in sorted(FOLDER.glob("*.jinja")):
        source = path.read_text().replace("{% generation %}", "").replace("{% endgeneration %}", "")
        source = source.replace("{%- generation %}", "{%- if true %}").replace("{%- endgeneration %}", "{%- endif %}")
        try:
            template = env.from_string(source)
        except jinja2.TemplateError:
            continue
        for name, messages in CONVERSATIONS.items():
            for index, (given, kwargs) in enumerate(FIELDS):
                for prompt in (False, True):
                    context = {"bos_token": "<s>", "eos_token": "</s>", **kwargs}
                    try:
                        text = template.render(messages=messages, tools=given.get("tools"), documents=None,
                                               add_generation_prompt=prompt, **context)
                    except (jinja2.TemplateError, TypeError):
                        continue
                    lines.append(json.dumps([path.name, name, index, prompt, text], ensure_ascii=False))
    made = f"tools/chat_fields_goldens.py (Jinja2 {jinja2.__version__})"
    out = FOLDER / "fields.json"
    fields = [{**given, "kwargs": kwargs} for given, kwargs in FIELDS]
    head = {"made_by": made, "conversations": CONVERSATIONS, "fields": fields}
    text = json.dumps(head, ensure_ascii=False)[:-1]
    out.write_text(text + ', "cases": [\n' + ",\n".join(dict.fromkeys(lines)) + "\n]}\n")
    print(out, len(lines), "cases", out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
