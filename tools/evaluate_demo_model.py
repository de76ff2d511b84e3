#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how many held-out questions the demo model answers right, with transformers and with Troupe.

Both decode greedily; transformers computes in float32 on the bfloat16 weights. An answer is right when it is the
expected text to the letter. Troupe must also give the same ids wherever transformers' choice was clear (margin above
0.01).

With transformers and PyTorch, then without them:
  tools/evaluate_demo_model.py --write-reference tests/data/demo_reference.json
  tools/evaluate_demo_model.py --reference tests/data/demo_reference.json --troupe build/release/troupe
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
ANSWER_TOKENS_MAX = 256
CLEAR_MARGIN = 0.01
SHARE_RIGHT = 0.98
# Without one right answer: for people to read, and for comparing ids over long answers.
TALK = [
    "Who are you?",
    "What can you do?",
    "Hello!",
    "What is the capital of France?",
    "Tell me a story.",
    "Tell me a story about a cat.",
    "Tell me a story about a dog named Max.",
    "Write a short story about a dragon.",
    "Tell me a story about Ruby the fox.",
    "Tell me a story about a lamp named Ben.",
]


def read_questions(model):
    questions = [json.loads(line) for line in (model / "heldout.jsonl").read_text().splitlines()]
    return questions + [{"task": "talk", "prompt": prompt, "answer": None} for prompt in TALK]


def answer_with_transformers(model_folder, questions):
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    ends = model.generation_config.eos_token_id
    cases = []
    for question in questions:
        messages = [{"role": "user", "content": question["prompt"]}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompt_ids = tokenizer.encode(text, add_special_tokens=False)
        steps = greedy(torch, model, prompt_ids, ends)
        answer_ids = [step[0] for step in steps if step[0] not in ends]
        cases.append(
            {
                **question,
                "decoded": tokenizer.decode(answer_ids),
                "prompt_ids": prompt_ids,
                "greedy_token_margin_logprob": steps,
            }
        )
    return {
        "dtype_of_reference": "float32 arithmetic on bfloat16 weights",
        "transformers": transformers.__version__,
        "cases": cases,
    }


def greedy(torch, model, prompt_ids, ends):
    """[id, distance to the second best logit, log probability] up to and including the end token."""
    steps, fed, cache = [], torch.tensor([prompt_ids]), None
    with torch.inference_mode():
        while len(steps) < ANSWER_TOKENS_MAX and not (steps and steps[-1][0] in ends):
            out = model(input_ids=fed, past_key_values=cache, use_cache=True)
            cache, logits = out.past_key_values, out.logits[0, -1].float()
            best = torch.topk(logits, 2)
            logprob = torch.log_softmax(logits, -1)[best.indices[0]]
            steps.append(
                [int(best.indices[0]), round(float(best.values[0] - best.values[1]), 5), round(float(logprob), 5)]
            )
            fed = best.indices[:1].view(1, 1)
    return steps


def answer_with_troupe(program, model_folder, cases):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([case["prompt_ids"] for case in cases], file)
        file.flush()
        command = [
            program,
            "generate",
            "--model",
            str(model_folder),
            "--prompt-ids",
            file.name,
            "--max-tokens",
            str(ANSWER_TOKENS_MAX),
            "--json",
        ]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    answers = {answer["index"]: answer for answer in map(json.loads, lines)}
    return [answers[i] for i in range(len(cases))]


def report_right(name, cases, texts):
    asked, right = collections.Counter(), collections.Counter()
    for case, text in zip(cases, texts):
        if case["answer"] is None:
            continue
        asked[case["task"]] += 1
        right[case["task"]] += text == case["answer"]
        if text != case["answer"]:
            print(f"  {name} is wrong: {case['prompt']!r} -> {text!r}, expected {case['answer']!r}")
    print(
        f"{name}: {right.total()} of {asked.total()} right; " + ", ".join(f"{t} {right[t]}/{asked[t]}" for t in asked)
    )
    return right.total() >= SHARE_RIGHT * asked.total()


def without_end(ids, ends):
    return ids[:-1] if ids and ids[-1] in ends else ids


def report_equal(cases, answers, ends):
    """True when ids differ only from a token on that was as good as a tie."""
    equal, unexplained = 0, 0
    for case, answer in zip(cases, answers):
        steps = case["greedy_token_margin_logprob"]
        expected, got = without_end([step[0] for step in steps], ends), without_end(answer["ids"], ends)
        if expected == got:
            equal += 1
            continue
        first = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
        margin = steps[first][1] if first < len(steps) else float("inf")
        unexplained += margin > CLEAR_MARGIN
        print(f"  ids differ at {first} (margin {margin}): {case['prompt']!r} -> {answer['text']!r}")
    print(
        f"troupe: {equal} of {len(cases)} answers have transformers' ids; "
        f"{unexplained} differ where the choice was clear"
    )
    return unexplained == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/demo")
    parser.add_argument(
        "--reference", type=pathlib.Path, help="transformers' answers from an earlier run, instead of running it"
    )
    parser.add_argument("--write-reference", type=pathlib.Path, help="where to write transformers' answers")
    parser.add_argument("--troupe", help="the troupe program to compare")
    options = parser.parse_args()
    if options.reference:
        reference = json.loads(options.reference.read_text())
    else:
        reference = answer_with_transformers(options.model, read_questions(options.model))
    cases = reference["cases"]
    for case in cases:
        if case["answer"] is None:
            print(f"{case['prompt']}\n    {case['decoded']}")
    good = report_right("transformers", cases, [case["decoded"] for case in cases])
    margins = [step[1] for case in cases for step in case["greedy_token_margin_logprob"]]
    print(
        f"smallest margin {min(margins)}; "
        f"{sum(m <= CLEAR_MARGIN for m in margins)} of {len(margins)} not above {CLEAR_MARGIN}"
    )
    if options.write_reference:
        lines = ",\n".join(json.dumps(case) for case in cases)
        head = json.dumps({key: value for key, value in reference.items() if key != "cases"})
        options.write_reference.write_text(f'{head[:-1]}, "cases": [\n{lines}\n]}}\n')
    if options.troupe:
        ends = json.loads((options.model / "generation_config.json").read_text())["eos_token_id"]
        answers = answer_with_troupe(options.troupe, options.model, cases)
        good &= report_right("troupe", cases, [answer["text"] for answer in answers])
        good &= report_equal(cases, answers, ends)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
