#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faults on purpose, and the trace of what became of a request."""

from cluster import LONG_MODEL, LONG_QUESTION, TestCase, begin_long_answer, long_answer, main, troupe

RECOVERY_LIMIT = 60


class Faults(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.expected = long_answer()

    def enter(self, **shape):
        return self.enter_cluster(**{"allow_faults": True, **shape})

    def inject(self, running, *words, **how):
        return troupe("inject", "--node", running.node.address, *words, **how)

    def trace(self, running, *words):
        return troupe("trace", "--json", "--node", running.node.address, *words).json()

    def ask_until_lost(self, running, *fault):
        """Asks, breaks something while the answer streams, and returns the request's trace."""
        child = begin_long_answer(running)
        self.inject(running, *fault)
        result = child.finish(RECOVERY_LIMIT)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.text, self.expected)
        request = self.trace(running, "--last", "1")[0]
        self.assertEqual(request["ending"], "finished")
        self.assertGreaterEqual(request["moves"], 1)
        return self.trace(running, request["request"])

    def assert_recovery(self, trace, lost, *causes):
        recovery = trace["recoveries"][0]
        self.assertEqual(recovery["lost"], lost, recovery)
        self.assertIn(recovery["cause"], causes, recovery)
        times = [
            recovery[name]
            for name in ("noticed_ns", "fenced_ns", "assigned_ns", "ready_ns", "serves_ns", "enqueued_ns", "resumed_ns")
        ]
        self.assertNotIn(None, times, recovery)
        self.assertEqual(times, sorted(times), recovery)

    def test_a_killed_rank_is_named_in_the_trace_of_the_answer_that_survived_it(self):
        running = self.enter(model=LONG_MODEL, tensor=2)
        trace = self.ask_until_lost(running, "kill", "g0/1")
        # Its peer may tell of it so early that the node ends it before its own end is seen.
        self.assert_recovery(trace, "g0/1", "killed", "unreachable")
        hops = [event["hop"] for event in trace["events"]]
        for hop in ("submitted", "tokenized", "enqueued", "admitted", "moved", "resumed", "finished"):
            self.assertIn(hop, hops)
        self.assertEqual(trace["problems"], [])
        epochs = {share["epoch"] for share in trace["ranks"]}
        self.assertIn(trace["recoveries"][0]["old_epoch"], epochs, "the killed epoch's steps are kept")

    def test_a_rank_killed_at_a_step_dies_in_that_step(self):
        running = self.enter(model=LONG_MODEL)
        self.inject(running, "kill", "g0/0", "--at-step", "50")
        self.assertIn("at step 50", self.inject(running, "list").out)
        self.assertEqual(running.ask(LONG_QUESTION, "--max-tokens", "0", limit=RECOVERY_LIMIT).text, self.expected)
        trace = self.trace(running, self.trace(running, "--last", "1")[0]["request"])
        old = trace["recoveries"][0]["old_epoch"]
        self.assertEqual(max(share["last_step"] for share in trace["ranks"] if share["epoch"] == old), 49)
        self.assertEqual(self.inject(running, "list").out, "")

    def test_a_frozen_rank_is_replaced(self):
        running = self.enter(model=LONG_MODEL, tensor=2)
        trace = self.ask_until_lost(running, "freeze", "g0/1", "--for", "30s")
        self.assertGreaterEqual(len(trace["recoveries"]), 1)

    def test_a_closed_connection_between_ranks_is_survived(self):
        running = self.enter(model=LONG_MODEL, tensor=2)
        trace = self.ask_until_lost(running, "drop", "g0/1", "--for", "100ms")
        self.assertGreaterEqual(len(trace["recoveries"]), 1)

    def test_a_wrong_token_changes_the_answer_and_nothing_notices(self):
        running = self.enter(model=LONG_MODEL)
        self.inject(running, "wrong-token", "g0/0", "--at-step", "10")
        wrong = running.ask(LONG_QUESTION, "--max-tokens", "60")
        self.assertFalse(self.expected.startswith(wrong.text.rstrip("\ufffd")), "the token was changed")
        answer = running.ask(LONG_QUESTION, "--max-tokens", "60").text
        self.assertTrue(self.expected.startswith(answer.rstrip("\ufffd")), "the next answer is right again")

    def test_a_hang_is_over_when_it_is_cleared(self):
        running = self.enter(model=LONG_MODEL)
        self.inject(running, "hang", "engine:g0/0", "--for", "300ms")
        answer = running.ask(LONG_QUESTION, "--max-tokens", "30").text
        self.assertTrue(self.expected.startswith(answer.rstrip("\ufffd")))
        self.inject(running, "clear")

    def test_faults_are_refused_where_the_file_does_not_allow_them(self):
        running = self.enter(allow_faults=False)
        refused = self.inject(running, "kill", "g0/0", expect=1)
        self.assertIn("allow_faults: true", refused.err)
        self.assertEqual(running.ask("What is 27 + 15?").text, "27 + 15 = 42.")

    def test_nonsense_is_refused_with_what_would_be_right(self):
        running = self.enter()
        for words, sentence in (
            (("explode", "g0/0"), "is no fault"),
            (("kill", "g0"), "is no target"),
            (("kill", "g0/7"), "there is no rank g0/7"),
            (("hang", "router"), "a rank or its engine can"),
            (("slow", "g0/0"), "by how much"),
            (("kill", "g0/0", "--token", "5"), "only a crash is by a token"),
        ):
            self.assertIn(sentence, self.inject(running, *words, expect=1).err)
        self.assertIn("is no request id", troupe("trace", "xyz", "--node", running.node.address, expect=1).err)
        self.assertIn("no record names", troupe("trace", "12ab", "--node", running.node.address, expect=1).err)

    def test_a_verbose_ask_says_what_trace_takes(self):
        running = self.enter()
        asked = troupe("ask", "--verbose", "--node", running.node.address, "Spell the word extraordinary.")
        request = asked.err.split("[request ")[1].split("]")[0]
        trace = self.trace(running, request)
        self.assertEqual((trace["events"][0]["hop"], trace["recoveries"]), ("submitted", []))
        text = troupe("trace", request, "--node", running.node.address).out
        self.assertIn("submitted", text)
        records = list(running.folder.glob("*.state/*/flight/*.flight"))
        self.assertEqual(len(records), 2, "a record of the node and one of its rank")
        for record in records:
            self.assertNotIn(b"extraordinary", record.read_bytes(), "a prompt has no place in a record")


if __name__ == "__main__":
    main()
