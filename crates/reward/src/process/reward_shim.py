"""Runs a Python reward function for percept: JSON requests on stdin, JSON verdicts on stdout.

    python3 -c "$(cat reward_shim.py)" FILE FUNCTION single|batch|group auto|text|messages

Signatures, told apart by their parameters:
    reward_func(completions, **kwargs) -> list[float | None]                    TRL, ms-swift (also a class's __call__)
    reward_func(completion_ids, **kwargs) -> list[float | None]                 TRL
    compute_score(data_source, solution_str, ground_truth, extra_info) -> float | dict    verl
    compute_score(data_sources, solution_strs, ground_truths, extra_infos) -> list        verl, batched
    compute_score(reward_input) -> dict, compute_score(reward_inputs) -> list[dict]       EasyR1

`group` calls with the responses to several prompts at once; `group_index` and `rollout_index` say which is which.
"""

import asyncio
import importlib.util
import inspect
import json
import math
import os
import sys
import traceback

KINDS = {
    "completions": "trl",
    "completion_ids": "trl",
    "solution_strs": "verl-batch",
    "solution_str": "verl",
    "reward_inputs": "easyr1-batch",
    "reward_input": "easyr1",
}
# Where a response stands among those that are judged together.
PLACE = ("group_index", "rollout_index")
# What a function raises when it gets a text for messages, or messages for a text.
FORM_ERRORS = (TypeError, AttributeError, KeyError, IndexError)


def signature(function):
    """`trl`, `verl`, … or None."""
    try:
        call = function.__call__ if inspect.isclass(function) else function
        parameters = inspect.signature(call).parameters
    except (TypeError, ValueError):
        return None
    return next((kind for name, kind in KINDS.items() if name in parameters), None)


def load(path, name):
    """The function and its signature."""
    path = os.path.abspath(path)
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("percept_reward_function", path)
    if spec is None or not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if name:
        function = getattr(module, name, None)
        if function is None:
            raise LookupError(f"{path} has no function {name}")
        found = signature(function)
        if found is None:
            raise TypeError(
                f"{name} has neither TRL's parameter `completions` nor verl's `solution_str` nor EasyR1's `reward_input`"
            )
    else:
        known = {
            key: value
            for key, value in vars(module).items()
            if callable(value) and not key.startswith("__") and signature(value)
        }
        own = {k: v for k, v in known.items() if getattr(v, "__module__", None) == module.__name__}
        # A file that only imports functions (`from trl.rewards import …`) means those.
        own = own or known
        if len(own) != 1:
            raise LookupError(f"{path} has {len(own)} reward functions {sorted(own)}: set `function`")
        function = next(iter(own.values()))
    found = signature(function)
    if inspect.isclass(function):
        function = function()
    return function, found


def call(function, arguments):
    """Calls with those arguments that the function takes; awaits the result if need be."""
    parameters = inspect.signature(function).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        names = {p.name for p in parameters}
        arguments = {key: value for key, value in arguments.items() if key in names}
    result = function(**arguments)
    return asyncio.run(result) if inspect.isawaitable(result) else result


def trl(function, requests, messages):
    """One call of TRL's signature."""
    truths = [request["ground_truth"] for request in requests]
    columns = {"ground_truth": truths, "answer": truths, "solution": truths}
    for key in {key for request in requests for key in request["meta"]}:
        columns[key] = [request["meta"].get(key) for request in requests]
    columns["finished"] = [request["finished"] for request in requests]
    columns["n_tokens"] = [request["n_tokens"] for request in requests]
    for key in PLACE:
        if key in requests[0]:
            columns[key] = [request[key] for request in requests]
    columns["completion_ids"] = [request["token_ids"] for request in requests]
    columns["trainer_state"] = None
    columns["log_extra"] = columns["log_metric"] = lambda *_, **__: None
    if messages:
        columns["prompts"] = [
            request["messages"] or [{"role": "user", "content": request["prompt"]}] for request in requests
        ]
        columns["completions"] = [[{"role": "assistant", "content": request["completion"]}] for request in requests]
    else:
        columns["prompts"] = [request["prompt"] for request in requests]
        columns["completions"] = [request["completion"] for request in requests]
    return call(function, columns)


def placed(fields, request):
    """The fields of a row, and the place of the response among those that are judged with it."""
    own = {key: request[key] for key in PLACE if key in request}
    return {**fields, **own} if own and isinstance(fields, dict) else fields


def verl(function, requests, batched):
    """verl's signatures."""
    rows = [
        {
            "data_source": request["meta"].get("data_source", ""),
            "solution_str": request["completion"],
            "ground_truth": request["ground_truth"],
            "extra_info": placed(request["meta"].get("extra_info", request["meta"]), request),
        }
        for request in requests
    ]
    if not batched:
        return [call(function, row) for row in rows]
    names = {"data_source": "data_sources", "solution_str": "solution_strs",
             "ground_truth": "ground_truths", "extra_info": "extra_infos"}
    return call(function, {many: [row[one] for row in rows] for one, many in names.items()})


def easyr1(function, requests, batched):
    """EasyR1's signatures."""
    rows = [
        {
            **placed(request["meta"], request),
            "response": request["completion"],
            "response_length": request["n_tokens"],
            "ground_truth": request["ground_truth"],
        }
        for request in requests
    ]
    return call(function, {"reward_inputs": rows}) if batched else [call(function, {"reward_input": row}) for row in rows]


class Judge:
    """Calls the function in the form that it wants."""

    def __init__(self, function, kind, form):
        self.function, self.kind = function, kind
        # None: each row's own form.
        self.messages = {"messages": True, "text": False}.get(form)
        self.tried = self.messages is not None

    def scores(self, requests):
        """The scores of one call."""
        if self.kind.startswith("verl"):
            return verl(self.function, requests, self.kind == "verl-batch")
        if self.kind.startswith("easyr1"):
            return easyr1(self.function, requests, self.kind == "easyr1-batch")
        messages = self.messages
        if messages is None:
            messages = all(request["messages"] is not None for request in requests)
        try:
            return trl(self.function, requests, messages)
        except FORM_ERRORS as error:
            if self.tried:
                raise
            self.tried = True
            try:
                scores = trl(self.function, requests, not messages)
            except Exception:
                raise error from None
            self.messages = not messages
            forms = {True: "lists of messages", False: "strings"}
            print(
                f"the function takes completions as {forms[self.messages]}, not as {forms[messages]} "
                f"(the rows' form): it gets them so from here on; completion_format says it without trying",
                file=sys.stderr,
                flush=True,
            )
            return scores

    def judge(self, requests):
        """One reply per request; an exception is the reason why there is no score."""
        try:
            scores = list(self.scores(requests))
            if len(scores) != len(requests):
                raise ValueError(f"{len(scores)} scores for {len(requests)} completions")
            return [reply(request, score) for request, score in zip(requests, scores)]
        except BaseException as error:  # SystemExit too: the function must not end the verifier
            reason, trace = explained(error)
            replies = [{"id": request["id"], "score": None, "reason": reason} for request in requests]
            replies[0]["traceback"] = trace
            return replies


def explained(error):
    """The exception with its file and line, and its traceback without our own frames."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != "<string>" and "importlib" not in f.filename]
    reason = f"{type(error).__name__}: {error}"[:500]
    if frames:
        last = frames[-1]
        reason += f" ({os.path.basename(last.filename)}:{last.lineno}, in {last.name})"
    trace = "Traceback (most recent call last):\n" if frames else ""
    trace += "".join(traceback.format_list(frames)) + "".join(traceback.format_exception_only(type(error), error))
    return reason, trace[-4000:]


def reply(request, score):
    """The verdict as JSON; scores are numbers, None, or a dict with `score` (verl) or `overall` (EasyR1)."""
    answer = {"id": request["id"], "score": None}
    if isinstance(score, dict):
        score = score.get("score", score.get("overall"))
    elif isinstance(score, (list, tuple)):
        score = score[0] if score else None
    if score is None:
        answer["reason"] = "the function returned None"
        return answer
    score = float(score)
    if math.isfinite(score):
        answer["score"] = score
    else:
        answer["reason"] = f"the function returned {score}"
    return answer


def main():
    path, name, mode, form = sys.argv[1:5]
    # The pipes are ours alone: what the function prints goes to stderr, what it reads is empty.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    lines = os.fdopen(os.dup(0), "r", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)

    def write(value):
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    try:
        function, kind = load(path, name)
        if mode == "group" and kind in ("verl", "easyr1"):
            raise TypeError("group_by needs a function that takes lists: completions, solution_strs or reward_inputs")
    except BaseException as error:
        reason, trace = explained(error)
        write({"ready": False, "reason": reason, "traceback": trace})
        return 1
    write({"ready": True, "signature": kind})
    judge = Judge(function, kind, form)
    requests = []
    for line in lines:
        requests.append(json.loads(line))
        if mode != "single" and requests[-1]["more"]:
            continue
        for answer in judge.judge(requests):
            write(answer)
        requests = []
    return 0


if __name__ == "__main__":
    sys.exit(main())
