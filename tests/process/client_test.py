#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`troupe chat`, `status`, `bench` and `plan` as people and scripts use them."""

from cluster import (
    DEMO_MODEL,
    LONG_MODEL,
    ROOT,
    Cluster,
    TestCase,
    begin_long_answer,
    generate,
    main,
    topology,
    troupe,
)

STORY = "Tell me a story about a cat."


class Chat(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(topology(tensor=2, isolation="thread"))).start()

    def chat(self, *lines, arguments=()):
        how = ("--node", self.cluster.node.address, *arguments)
        return troupe("chat", *how, stdin="".join(line + "\n" for line in lines))

    def prompt_tokens(self, result):
        """Of each turn, from the figures on standard error."""
        return [int(line.split()[0].lstrip("[")) for line in result.err.splitlines() if "prompt tokens" in line]

    def test_each_line_is_answered_with_the_conversation_before_it(self):
        result = self.chat("What is 2 + 3?", "What is 4 + 5?")
        self.assertEqual(result.out.splitlines()[0], "2 + 3 = 5.")
        first, second = self.prompt_tokens(result)
        self.assertGreater(second, first + 15, "the second prompt has no history")
        [alone] = self.prompt_tokens(self.chat("What is 4 + 5?"))
        self.assertEqual(alone, first)

    def test_reset_forgets_the_conversation(self):
        result = self.chat("What is 2 + 3?", "/reset", "What is 2 + 3?")
        self.assertEqual(result.out.splitlines(), ["2 + 3 = 5."] * 2)
        first, second = self.prompt_tokens(result)
        self.assertEqual(first, second)

    def test_exit_ends_it(self):
        result = self.chat("/exit", "What is 2 + 3?")
        self.assertEqual((result.out, result.err), ("", ""))

    def test_the_system_message_stays_after_reset(self):
        result = self.chat("What is 2 + 3?", "/reset", "What is 2 + 3?", arguments=("--system", "Be brief."))
        first, second = self.prompt_tokens(result)
        self.assertEqual(first, second)
        [without] = self.prompt_tokens(self.chat("What is 2 + 3?"))
        self.assertGreater(first, without)

    def test_a_turn_that_fails_is_reported_and_the_conversation_goes_on(self):
        result = self.chat("hello " * 3000, "What is 2 + 3?")
        self.assertEqual(result.err.count("error:"), 1, result)
        self.assertIn("context", result.err)
        self.assertEqual(result.out.splitlines()[-1], "2 + 3 = 5.")

    def test_a_conversation_reuses_what_was_computed_for_it(self):
        result = self.chat("What is 20 + 31?", "What is 40 + 52?", "What is 61 + 17?")
        reused = [int(line.split("(")[1].split()[0]) for line in result.err.splitlines() if "reused" in line]
        self.assertEqual(len(reused), 3)
        self.assertGreaterEqual(reused[2], 32, "two blocks of the conversation before")


class Ask(TestCase):
    def test_sampling_options_reach_the_server(self):
        cluster = self.enter_cluster()
        sampled = [
            cluster.ask(STORY, "--temperature", "1.5", "--seed", seed).text for seed in ("1", "1", "2", "3", "4")
        ]
        self.assertEqual(sampled[0], sampled[1])
        self.assertGreater(len(set(sampled)), 1)
        how = ("--chat", "--prompt", STORY, "--temperature", 1.5, "--seed", 1, "--max-tokens", 0)
        self.assertEqual(sampled[0], generate(DEMO_MODEL, *how)[0]["text"])
        self.assertEqual(cluster.ask(STORY, "--temperature", "2", "--top-k", "1").text, cluster.ask(STORY).text)

    def test_max_tokens_and_stop_strings_reach_the_server(self):
        cluster = self.enter_cluster()
        whole = cluster.ask(STORY).text
        stop = whole[20:26]
        stopped = troupe(
            "ask", "--quiet", "--node", cluster.node.address, STORY, "--stop", "no such text", "--stop", stop
        )
        self.assertEqual(stopped.text, whole[: whole.index(stop)])
        cut = troupe("ask", "--node", cluster.node.address, "--max-tokens", 4, STORY)
        self.assertIn("4 tokens,", cut.err)
        self.assertIn("finish: length", cut.err)
        self.assertTrue(whole.startswith(cut.text))

    def test_a_stop_string_may_stand_before_the_question(self):
        cluster = self.enter_cluster()
        self.assertEqual(cluster.ask("What is 2 + 3?", "--stop", " =").text, "2 + 3")


class Status(TestCase):
    def test_it_shows_nodes_groups_ranks_and_requests(self):
        cluster = self.enter_cluster(model=LONG_MODEL, tensor=2)
        child = begin_long_answer(cluster)
        status = cluster.status()
        self.assertEqual((status["cluster"], status["node"], status["model"]), ("process-test", "a", "qwen3-tiny"))
        self.assertEqual(status["context"], 2048)
        [node] = status["nodes"]
        self.assertEqual((node["name"], node["present"], node["message"]), ("a", True, ""))
        [group] = status["groups"]
        self.assertEqual((group["name"], group["phase"], group["block_tokens"]), ("g0", "serving", 16))
        self.assertGreater(group["blocks"], 0)
        self.assertGreater(group["epoch"], 0)
        self.assertEqual(
            [(r["rank"], r["node"], r["device"]) for r in group["ranks"]], [(0, "a", "cpu:0"), (1, "a", "cpu:1")]
        )
        self.assertEqual({r["process"] for r in group["ranks"]}, set(cluster.node.look_at_ranks()))
        self.assertEqual((status["router"]["live"], status["router"]["accepted"]), (1, 1))
        child.stop()
        text = troupe("status", "--node", cluster.node.address).out
        for word in ("g0", "serving", "a/cpu:1", "qwen3-tiny"):
            self.assertIn(word, text)


class Bench(TestCase):
    def run_bench(self, *arguments):
        how = ("--model", DEMO_MODEL, "--kv-memory", "64MiB", "--threads", 1, "--json")
        return troupe("bench", *how, *arguments).json()

    def test_the_offline_workload_gives_its_figures(self):
        result = self.run_bench("--sequences", 6, "--length-min", 10, "--length-max", 40)
        self.assertEqual((result["model"], result["workload"], result["sequences"]), ("demo", "offline", 6))
        self.assertTrue(60 <= result["output_tokens"] <= 240, result)
        self.assertTrue(0 <= result["outside_executor"] < 1, result)
        for figure in (
            "seconds",
            "output_tokens_per_second",
            "first_token_p50_ms",
            "inter_token_p50_ms",
            "steps",
            "step_mean_ms",
        ):
            self.assertGreater(result[figure], 0, figure)

    def test_the_fixed_workload_gives_its_figures_on_two_ranks(self):
        result = self.run_bench("--batch", 2, "--prompt-tokens", 20, "--steps", 10, "--tensor", 2)
        self.assertEqual(
            (result["workload"], result["tensor"], result["prompt_tokens"], result["output_tokens"]),
            ("fixed", 2, 40, 20),
        )
        self.assertGreaterEqual(result["steps"], 10)

    def test_lengths_that_cannot_be_are_refused(self):
        result = troupe("bench", "--model", DEMO_MODEL, "--length-min", 9, "--length-max", 5, expect=None, limit=20)
        self.assert_one_error(result, "--length-min")


class Plan(TestCase):
    def test_it_says_what_each_example_would_start(self):
        for file in sorted((ROOT / "examples").glob("*.yaml")):
            with self.subTest(file=file.name):
                plan = troupe("plan", "--json", file).json()
                self.assertTrue(plan, plan)

    def test_what_it_names_wrong_has_a_failure_code(self):
        with Cluster(topology(model=LONG_MODEL, tensor=3)) as cluster:
            result = troupe("plan", cluster.path, expect=1)
            self.assertIn("tensor", result.out + result.err)


class Program(TestCase):
    def test_help_and_version_are_given(self):
        self.assertIn("troupe", troupe("--help").out.lower())
        self.assertRegex(troupe("--version").out, r"^\d+\.\d+\.\d+")
        for command in ("node", "ask", "chat", "status", "generate", "bench", "tokenize", "plan"):
            self.assertIn("--", troupe(command, "--help").out)

    def test_an_unknown_command_or_option_is_a_usage_error(self):
        for arguments in (("serve",), ("ask", "--no-such-option"), ()):
            self.assertEqual(troupe(*arguments, expect=None).code, 2, arguments)


if __name__ == "__main__":
    main()
