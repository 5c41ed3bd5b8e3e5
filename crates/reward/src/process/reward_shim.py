"""Runs a Python reward function for percept: JSON requests on stdin, JSON verdicts on stdout.

    python3 -c "$(cat reward_shim.py)" FILE FUNCTION single|batch text|messages

Signatures, told apart by their parameters:
    reward_func(completions, **kwargs) -> list[float | None]                    TRL
    compute_score(data_source, solution_str, ground_truth, extra_info) -> float | dict    verl
    compute_score(data_sources, solution_strs, ground_truths, extra_infos) -> list        verl, batched
"""

import asyncio
import importlib.util
import inspect
import json
import math
import os
import sys


def signature(function):
    """`trl`, `verl`, `verl-batch` or None."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    if "completions" in parameters:
        return "trl"
    if "solution_strs" in parameters:
        return "verl-batch"
    if "solution_str" in parameters:
        return "verl"
    return None


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
            raise TypeError(f"{name} has neither TRL's parameter `completions` nor verl's `solution_str`")
        return function, found
    own = {
        key: value
        for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__ and signature(value)
    }
    if len(own) != 1:
        raise LookupError(f"{path} has {len(own)} reward functions {sorted(own)}: set `function`")
    function = next(iter(own.values()))
    return function, signature(function)


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
    wrap = (lambda role, text: [{"role": role, "content": text}]) if messages else (lambda role, text: text)
    truths = [request["ground_truth"] for request in requests]
    columns = {"ground_truth": truths, "answer": truths, "solution": truths}
    for key in {key for request in requests for key in request["meta"]}:
        columns[key] = [request["meta"].get(key) for request in requests]
    columns["finished"] = [request["finished"] for request in requests]
    columns["n_tokens"] = [request["n_tokens"] for request in requests]
    columns["prompts"] = [wrap("user", request["prompt"]) for request in requests]
    columns["completions"] = [wrap("assistant", request["completion"]) for request in requests]
    return call(function, columns)


def verl(function, requests, batched):
    """verl's signatures."""
    rows = [
        {
            "data_source": request["meta"].get("data_source", ""),
            "solution_str": request["completion"],
            "ground_truth": request["ground_truth"],
            "extra_info": request["meta"].get("extra_info", request["meta"]),
        }
        for request in requests
    ]
    if not batched:
        return [call(function, row) for row in rows]
    names = {"data_source": "data_sources", "solution_str": "solution_strs",
             "ground_truth": "ground_truths", "extra_info": "extra_infos"}
    return call(function, {many: [row[one] for row in rows] for one, many in names.items()})


def reply(request, score):
    """The verdict as JSON; scores are numbers, None, or verl's dict with `score`."""
    answer = {"id": request["id"], "score": None}
    if isinstance(score, dict):
        score = score.get("score")
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


def judge(function, kind, requests, messages):
    """One reply per request; an exception is the reason why there is no score."""
    try:
        scores = trl(function, requests, messages) if kind == "trl" else verl(function, requests, kind == "verl-batch")
        scores = list(scores)
        if len(scores) != len(requests):
            raise ValueError(f"{len(scores)} scores for {len(requests)} completions")
        return [reply(request, score) for request, score in zip(requests, scores)]
    except BaseException as error:  # SystemExit too: the function must not end the verifier
        reason = f"{type(error).__name__}: {error}"[:500]
        return [{"id": request["id"], "score": None, "reason": reason} for request in requests]


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
    except BaseException as error:
        write({"ready": False, "reason": f"{type(error).__name__}: {error}"[:500]})
        return 1
    write({"ready": True, "signature": kind})
    requests = []
    for line in lines:
        requests.append(json.loads(line))
        if mode == "batch" and requests[-1]["more"]:
            continue
        for answer in judge(function, kind, requests, form == "messages"):
            write(answer)
        requests = []
    return 0


if __name__ == "__main__":
    sys.exit(main())
