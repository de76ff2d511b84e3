#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong requests and wrong model files: one error that names the thing and the remedy, and the server serves on."""

import json
import pathlib
import shutil
import struct
import tempfile

from cluster import TINY_MODELS, Cluster, TestCase, main, topology, troupe

MODEL = TINY_MODELS / "qwen2-tiny"
QUESTION, ANSWER = "What is 27 + 15?", "27 + 15 = 42."


class WrongRequests(TestCase):
    """All to one server, which must answer rightly after each."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(topology(tensor=2))).start()

    def refuse(self, *arguments, words, stdin=""):
        result = troupe("ask", "--node", self.cluster.node.address, *arguments, stdin=stdin, expect=None)
        self.assert_one_error(result, *words)
        self.assertEqual(result.out, "", result)
        self.assertEqual(self.cluster.ask(QUESTION).text, ANSWER)

    def test_a_prompt_longer_than_the_context_is_refused_with_both_lengths(self):
        self.refuse(stdin="hello " * 5000, words=["tokens", "context is 2048", "shorten"])

    def test_a_prompt_of_many_megabytes_is_refused(self):
        self.refuse(stdin="a b " * 3_000_000, words=["prompt"])

    def test_an_empty_question_is_refused(self):
        self.refuse(stdin="", words=["empty"])

    def test_a_question_that_is_not_utf_8_is_answered_or_refused_with_one_error(self):
        result = troupe(
            "ask", "--node", self.cluster.node.address, b"\xff\xfe\x80".decode("utf-8", "surrogateescape"), expect=None
        )
        if result.code != 0:
            self.assert_one_error(result, "UTF-8")
        self.assertEqual(self.cluster.ask(QUESTION).text, ANSWER)

    def test_parameters_out_of_range_are_named_with_their_range(self):
        for option, value, range_words in (
            ("--temperature", 9, ["temperature", "0 and 2"]),
            ("--temperature", -1, ["temperature", "0 and 2"]),
            ("--temperature", "nan", ["temperature"]),
            ("--top-p", 0, ["top_p", "above 0"]),
            ("--top-p", 1.5, ["top_p", "1"]),
            ("--top-k", -3, ["top_k", "0"]),
            ("--min-p", 2, ["min_p", "0 and 1"]),
        ):
            with self.subTest(option=option, value=value):
                self.refuse(f"{option}={value}", "hello", words=range_words)

    def test_an_empty_stop_string_is_refused(self):
        self.refuse("hello", "--stop", "", words=["stop"])

    def test_too_many_stop_strings_are_refused(self):
        self.refuse("hello", *(word for i in range(2000) for word in ("--stop", f"s{i}")), words=["stop"])

    def test_a_word_that_is_no_number_is_refused_by_name(self):
        result = troupe("ask", "--node", self.cluster.node.address, "--max-tokens", "many", "hello", expect=2)
        self.assertIn("--max-tokens", result.err)

    def test_an_address_without_a_node_is_named(self):
        for address, words in (
            ("127.0.0.1:1", ["127.0.0.1:1", "troupe node"]),
            ("nowhere", ["'nowhere'", "HOST:PORT"]),
        ):
            result = troupe("ask", "--node", address, "hello", expect=None)
            self.assert_one_error(result, *words)

    def test_every_character_of_an_answer_is_written(self):
        """This random model's answer contains the character NUL."""
        how = ("--max-tokens", 0)
        [whole] = troupe(
            "generate", "--model", TINY_MODELS / "qwen3-tiny", "--chat", "--prompt", "hello", *how, "--json"
        ).json_lines()
        self.assertIn("\0", whole["text"], "the question no longer shows it")
        plain = troupe("generate", "--model", TINY_MODELS / "qwen3-tiny", "--chat", "--prompt", "hello", *how)
        self.assertEqual(plain.text, whole["text"])
        cluster = self.enter_cluster(model=TINY_MODELS / "qwen3-tiny")
        self.assertEqual(cluster.ask("hello").text, whole["text"])


class WrongPrompts(TestCase):
    def generate(self, prompts, *arguments):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(prompts if isinstance(prompts, str) else json.dumps(prompts))
            file.flush()
            how = ("--prompt-ids", file.name, "--max-tokens", 3, "--kv-memory", "16MiB", "--json")
            return troupe("generate", "--model", MODEL, *how, *arguments, expect=None)

    def test_one_wrong_prompt_is_refused_and_the_others_are_answered(self):
        vocabulary = json.loads((MODEL / "config.json").read_text())["vocab_size"]
        for wrong, code, words in (
            ([vocabulary], "invalid_request", [str(vocabulary), f"0 to {vocabulary - 1}"]),
            ([], "invalid_request", ["empty"]),
            ([1] * 2048, "context_length_exceeded", ["2048"]),
        ):
            with self.subTest(wrong=wrong[:3]):
                result = self.generate([[1, 2], wrong, [3]])
                self.assertEqual(result.code, 1, result)
                first, middle, last = result.json_lines()
                self.assertEqual((len(first["ids"]), len(last["ids"])), (3, 3))
                self.assertEqual((middle["index"], middle["finish_reason"]), (1, "error"))
                self.assertEqual(middle["error"]["code"], code)
                for word in words:
                    self.assertIn(word, middle["error"]["message"])

    def test_a_file_that_is_not_lists_of_ids_is_refused(self):
        for wrong in ("", "{", "7", '["a"]', "[[1.5]]", "[[-1]]", "[[99999999999]]", "[" * 100_000):
            with self.subTest(wrong=wrong[:20]):
                self.assert_one_error(self.generate(wrong), "JSON array of arrays of token ids")

    def test_an_empty_text_prompt_is_refused(self):
        result = troupe("generate", "--model", MODEL, "--prompt", "", "--kv-memory", "16MiB", expect=None)
        self.assert_one_error(result, "empty")

    def test_a_generate_without_a_prompt_says_what_to_give(self):
        self.assert_one_error(troupe("generate", "--model", MODEL, expect=None), "--prompt", "--prompt-ids")


class WrongModels(TestCase):
    def copy(self):
        folder = tempfile.TemporaryDirectory(prefix="troupe-test-")
        self.addCleanup(folder.cleanup)
        model = pathlib.Path(folder.name) / "model"
        shutil.copytree(MODEL, model)
        return model

    def refuse(self, model, *words):
        """By generate, and by a node, which must end by itself."""
        result = troupe("generate", "--model", model, "--prompt", "a", "--kv-memory", "16MiB", expect=None, limit=20)
        self.assert_one_error(result, *words)
        with Cluster(topology(model=model)) as cluster:
            node = cluster.begin()
            self.assertNotEqual(node.wait_end(20), 0)
            for word in words:
                self.assertIn(word, node.log())
            self.assertEqual(
                node.log().count("rank-launched"), 0, "ranks were launched for a model that cannot be read"
            )

    def test_a_truncated_weights_file_is_named(self):
        model = self.copy()
        file = model / "model.safetensors"
        with open(file, "rb+") as out:
            out.truncate(file.stat().st_size // 2)
        self.refuse(model, "model.safetensors")

    def test_a_weights_file_whose_header_is_longer_than_the_file_is_named(self):
        model = self.copy()
        with open(model / "model.safetensors", "rb+") as out:
            out.write(struct.pack("<Q", 1 << 62))
        self.refuse(model, "model.safetensors")

    def test_a_weights_file_whose_header_is_no_json_is_named(self):
        model = self.copy()
        with open(model / "model.safetensors", "rb+") as out:
            out.seek(8)
            out.write(b"\xff" * 16)
        self.refuse(model, "model.safetensors")

    def test_an_empty_weights_file_is_named(self):
        model = self.copy()
        (model / "model.safetensors").write_bytes(b"")
        self.refuse(model, "model.safetensors")

    def test_missing_files_are_named(self):
        for name in ("config.json", "model.safetensors"):
            with self.subTest(name=name):
                model = self.copy()
                (model / name).unlink()
                self.refuse(model, name)

    def test_without_a_tokenizer_a_text_is_refused_and_ids_are_answered(self):
        model = self.copy()
        (model / "tokenizer.json").unlink()
        with Cluster(topology(model=model)) as cluster:
            cluster.start()
            for _ in range(2):
                self.assert_one_error(cluster.ask("hi", expect=None), "tokenizer.json", "token ids")
        how = ("--max-tokens", 3, "--kv-memory", "16MiB")
        self.assert_one_error(
            troupe("generate", "--model", model, "--prompt", "a", *how, expect=None), "tokenizer.json"
        )
        ids = model / "ids.json"
        ids.write_text("[[1, 2]]")
        [answer] = troupe("generate", "--model", model, "--prompt-ids", ids, *how, "--json").json_lines()
        self.assertEqual(len(answer["ids"]), 3)

    def test_a_config_with_impossible_numbers_is_named(self):
        for key, value in (
            ("num_hidden_layers", 0),
            ("num_attention_heads", -1),
            ("hidden_size", 1 << 40),
            ("vocab_size", "many"),
        ):
            with self.subTest(key=key):
                model = self.copy()
                config = json.loads((model / "config.json").read_text())
                (model / "config.json").write_text(json.dumps({**config, key: value}))
                self.refuse(model, "config.json", key)

    def test_a_tokenizer_that_is_no_json_is_named(self):
        model = self.copy()
        (model / "tokenizer.json").write_text("{")
        self.refuse(model, "tokenizer.json")

    def test_a_chat_template_that_does_not_parse_is_named(self):
        model = self.copy()
        (model / "chat_template.jinja").write_text("{% for m in messages %}")
        self.refuse(model, "chat_template.jinja")


if __name__ == "__main__":
    main()
