#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`troupe generate`: the ids of Hugging Face transformers, and what ends an answer."""

import json
import subprocess
import sys
import tempfile

from cluster import ANSWER_LIMIT, DEMO_MODEL, ROOT, TINY_MODELS, TROUPE, TestCase, generate, main

CLEAR_MARGIN = 0.01  # between the two best logits; below it the choice is a matter of rounding
STORY = ("--chat", "--prompt", "Tell me a story about a cat.")


def shape(tensor, pipeline):
    return ("--tensor", tensor, "--pipeline", pipeline)


class Generate(TestCase):
    def write_prompts(self, prompts):
        file = tempfile.NamedTemporaryFile("w", suffix=".json")
        self.addCleanup(file.close)
        json.dump(prompts, file)
        file.flush()
        return file.name

    def assert_follows(self, ids, steps, what):
        """The reference's ids up to the first place where it was a matter of rounding and another id was taken."""
        self.assertEqual(len(ids), len(steps), what)
        for position, (got, (expected, margin, _)) in enumerate(zip(ids, steps)):
            if got == expected:
                continue
            self.assertLessEqual(margin, CLEAR_MARGIN, f"{what}: position {position} is {got}, not {expected}")
            return

    def check_model(self, name, shapes):
        model = TINY_MODELS / name
        cases = json.loads((model / "reference.json").read_text())["cases"]
        self.assertEqual(len(cases), 9)
        prompts = self.write_prompts([case["prompt_ids"] for case in cases])
        for tensor, pipeline in shapes:
            with self.subTest(tensor=tensor, pipeline=pipeline):
                how = ("--prompt-ids", prompts, "--max-tokens", 40, "--ignore-eos", *shape(tensor, pipeline))
                answers = generate(model, *how)
                self.assertEqual([answer["index"] for answer in answers], list(range(9)))
                for case, answer in zip(cases, answers):
                    self.assertEqual(answer["prompt_tokens"], len(case["prompt_ids"]))
                    self.assertEqual(answer["finish_reason"], "length")
                    what = f"{name}, prompt of {len(case['prompt_ids'])} tokens"
                    self.assert_follows(answer["ids"], case["greedy_token_margin_logprob"], what)

    def test_qwen3_gives_the_ids_of_transformers_in_one_rank_and_in_all_splits(self):
        self.check_model("qwen3-tiny", [(1, 1), (2, 1), (1, 2), (1, 3), (2, 2)])

    def test_qwen3_with_tied_embeddings_gives_the_ids_of_transformers(self):
        self.check_model("qwen3-tied", [(1, 1), (2, 1), (1, 2)])

    def test_qwen2_gives_the_ids_of_transformers(self):
        self.check_model("qwen2-tiny", [(1, 1), (2, 1), (1, 2)])

    def test_llama3_gives_the_ids_of_transformers(self):
        self.check_model("llama3-tiny", [(1, 1), (2, 1), (1, 2)])

    def test_the_demo_model_answers_all_its_questions_as_transformers_does(self):
        evaluate = [ROOT / "tools/evaluate_demo_model.py", "--reference", ROOT / "tests/data/demo_reference.json"]
        result = subprocess.run(
            [sys.executable, *evaluate, "--troupe", TROUPE], capture_output=True, text=True, timeout=2 * ANSWER_LIMIT
        )
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("210 of 210 answers have transformers' ids", result.stdout)

    def test_an_answer_does_not_depend_on_its_batch_its_chunks_or_lack_of_memory(self):
        name = "qwen3-tiny"
        cases = json.loads((TINY_MODELS / name / "reference.json").read_text())["cases"]
        prompts = self.write_prompts([case["prompt_ids"] for case in cases])
        how = ("--prompt-ids", prompts, "--max-tokens", 60, "--ignore-eos", "--temperature", 0.8, "--seed", 11)
        ids = [answer["ids"] for answer in generate(TINY_MODELS / name, *how)]
        self.assertEqual({len(answer) for answer in ids}, {60})
        for other in (
            ("--max-sequences", 1),
            ("--max-batch-tokens", 64, "--max-sequences", 5),
            ("--kv-blocks", 52),  # the longest prompt and its answer need 48: the others must give way
            ("--block-tokens", 32),
        ):
            with self.subTest(other=other):
                again = generate(TINY_MODELS / name, *how, *other)
                self.assertEqual([answer["ids"] for answer in again], ids)

    def test_the_same_seed_gives_the_same_text_alone_and_among_others(self):
        how = ("--chat", "--temperature", 1, "--max-tokens", 80)
        prompt = ("--prompt", "Tell me a story about a cat.")
        others = [word for i in range(6) for word in ("--prompt", f"What is {i} + 5?")]
        [alone] = generate(DEMO_MODEL, *how, *prompt, "--seed", 7)
        among = generate(DEMO_MODEL, *how, *others, *prompt, *others, "--seed", 7)[6]
        self.assertEqual(among["ids"], alone["ids"])
        texts = {generate(DEMO_MODEL, *how, *prompt, "--seed", seed)[0]["text"] for seed in range(4)}
        self.assertGreater(len(texts), 1, "seeds change nothing")

    def test_max_tokens_ends_an_answer_with_length(self):
        [whole] = generate(DEMO_MODEL, *STORY)
        self.assertEqual(whole["finish_reason"], "length" if len(whole["ids"]) == 128 else "stop")
        [cut] = generate(DEMO_MODEL, *STORY, "--max-tokens", 5)
        self.assertEqual((cut["finish_reason"], cut["ids"]), ("length", whole["ids"][:5]))

    def test_the_end_token_ends_an_answer_with_stop_unless_it_is_ignored(self):
        [stopped] = generate(DEMO_MODEL, "--chat", "--prompt", "What is 27 + 15?")
        self.assertEqual((stopped["finish_reason"], stopped["text"]), ("stop", "27 + 15 = 42."))
        [ignored] = generate(DEMO_MODEL, "--chat", "--prompt", "What is 27 + 15?", "--ignore-eos", "--max-tokens", 50)
        self.assertEqual((ignored["finish_reason"], len(ignored["ids"])), ("length", 50))
        self.assertEqual(ignored["ids"][: len(stopped["ids"])], stopped["ids"])

    def test_a_stop_string_ends_an_answer_before_it(self):
        [whole] = generate(DEMO_MODEL, *STORY)
        middle = len(whole["text"]) // 2
        stop = whole["text"][middle : middle + 6]
        [cut] = generate(DEMO_MODEL, *STORY, "--stop", "no such text", "--stop", stop)
        self.assertEqual((cut["finish_reason"], cut["text"]), ("stop", whole["text"][: whole["text"].index(stop)]))
        self.assertLess(len(cut["ids"]), len(whole["ids"]))

    def test_without_a_bound_an_answer_ends_with_the_context(self):
        model = TINY_MODELS / "qwen2-tiny"
        prompts = self.write_prompts([[5, 6, 7]])
        [answer] = generate(model, "--prompt-ids", prompts, "--max-tokens", 0, "--ignore-eos", "--context", 100)
        self.assertEqual((answer["finish_reason"], len(answer["ids"])), ("length", 97))


if __name__ == "__main__":
    main()
