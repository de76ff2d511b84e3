#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`troupe tokenize` gives the ids of Hugging Face tokenizers, and the texts back."""

import json

from cluster import ROOT, TestCase, main, troupe

FOLDER = ROOT / "tests/data/tokenizer"


def lines_of(values):
    return "".join(json.dumps(value) + "\n" for value in values)


class Tokenize(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cases = [json.loads(line) for line in (FOLDER / "cases.jsonl").read_text().splitlines()]

    def test_every_text_becomes_the_reference_ids(self):
        result = troupe("tokenize", "--model", FOLDER, stdin=lines_of(case["text"] for case in self.cases))
        self.assertEqual(result.json_lines(), [case["ids"] for case in self.cases])

    def test_the_ids_become_the_reference_texts(self):
        result = troupe(
            "tokenize", "--model", FOLDER, "--decode", stdin=lines_of(c["ids"] for c in self.cases)
        )
        self.assertEqual(result.json_lines(), [case["decoded"] for case in self.cases])

    def test_a_bad_line_is_answered_with_an_error_and_the_next_with_ids(self):
        stdin = '{"no": "text"}\nnot json\n"a"\n'
        result = troupe("tokenize", "--model", FOLDER, stdin=stdin, expect=1)
        first, second, third = result.json_lines()
        self.assertIn("JSON string", first["error"])
        self.assertIn("not valid JSON", second["error"])
        self.assertEqual(len(third), 1, third)

    def test_an_id_beyond_the_vocabulary_is_named(self):
        result = troupe("tokenize", "--model", FOLDER, "--decode", stdin="[1, 99999]\n", expect=1)
        self.assertIn("99999", result.json()["error"])

    def test_a_folder_without_tokenizer_is_named(self):
        result = troupe("tokenize", "--model", ROOT / "docs", stdin="", expect=None)
        self.assertNotEqual(result.code, 0)
        self.assertIn("tokenizer.json", result.err)


if __name__ == "__main__":
    main()
