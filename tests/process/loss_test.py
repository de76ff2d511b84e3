#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients and processes see when a rank or a node is killed."""

import signal

from cluster import LONG_MODEL, LONG_QUESTION, TestCase, begin_long_answer, long_answer, main, troupe

RECOVERY_LIMIT = 30


class Loss(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.expected = long_answer()

    def assert_beginning(self, text):
        """What came before an error is the answer's beginning, up to half a character."""
        self.assertTrue(self.expected.startswith(text.rstrip("\n\ufffd")), "a delivered token was changed")

    def assert_whole_or_one_error(self, child):
        result = child.finish(RECOVERY_LIMIT)
        if result.code == 0:
            self.assertEqual(result.text, self.expected)
        else:
            self.assert_one_error(result)
            self.assert_beginning(result.out)

    def kill_rank_during_answer(self, rank, how=signal.SIGKILL, **shape):
        cluster = self.enter_cluster(model=LONG_MODEL, **shape)
        before = cluster.group()["epoch"]
        child = begin_long_answer(cluster)
        killed = cluster.signal_rank(rank, how)
        self.assertEqual(cluster.status()["router"]["completed"], 0, "the answer was over before the kill")
        self.assert_whole_or_one_error(child)
        self.assert_beginning(cluster.ask(LONG_QUESTION, "--max-tokens", "30", limit=RECOVERY_LIMIT).text)
        group = cluster.group()
        self.assertGreater(group["epoch"], before)
        self.assertNotIn(killed, [member["process"] for member in group["ranks"]])
        self.assertEqual(len(cluster.node.look_at_ranks()), len(group["ranks"]))

    def test_the_first_rank_is_killed_during_an_answer_and_the_answer_is_whole_or_ends_with_one_error(self):
        self.kill_rank_during_answer(0, tensor=2)

    def test_another_rank_is_killed_during_an_answer_and_the_answer_is_whole_or_ends_with_one_error(self):
        self.kill_rank_during_answer(1, tensor=2)

    def test_a_pipeline_stage_is_killed_during_an_answer_and_the_answer_is_whole_or_ends_with_one_error(self):
        self.kill_rank_during_answer(1, pipeline=2)

    def test_the_only_rank_is_killed_during_an_answer_and_the_answer_is_whole_or_ends_with_one_error(self):
        self.kill_rank_during_answer(0)

    def test_a_stopped_first_rank_is_replaced_and_the_answer_is_whole_or_ends_with_one_error(self):
        self.kill_rank_during_answer(0, signal.SIGSTOP, tensor=2)

    def test_a_stopped_only_rank_is_replaced_and_the_answer_is_whole_or_ends_with_one_error(self):
        self.kill_rank_during_answer(0, signal.SIGSTOP)

    def test_a_rank_killed_between_answers_is_replaced_before_the_next(self):
        cluster = self.enter_cluster(tensor=2)
        for rank in (1, 0):
            before = cluster.group()["epoch"]
            cluster.signal_rank(rank, signal.SIGKILL)
            cluster.wait_for_status(
                lambda s: s["groups"][0]["epoch"] > before and s["groups"][0]["phase"] == "serving",
                "the group serves again",
            )
            self.assertEqual(cluster.ask("What is 27 + 15?").text, "27 + 15 = 42.")

    def test_a_place_that_is_killed_too_often_is_down_and_its_answer_goes_on_when_an_operator_restarts_it(self):
        cluster = self.enter_cluster(model=LONG_MODEL)
        child = begin_long_answer(cluster)
        for _ in range(10):
            group = cluster.wait_for_status(
                lambda s: s["groups"][0]["phase"] in ("serving", "failed"), "the group serves or is given up"
            )["groups"][0]
            if group["phase"] == "failed":
                break
            before = group["epoch"]
            cluster.signal_rank(0, signal.SIGKILL)
            cluster.wait_for_status(lambda s: s["groups"][0]["epoch"] > before, "the loss is noticed")
        self.assertEqual(group["phase"], "failed", "the group was started again and again")
        self.assertEqual(cluster.status()["nodes"][0]["places"][0]["phase"], "down")
        self.assert_one_error(cluster.ask("hello", expect=None), "down")
        troupe("restart", "a/cpu:0", "--node", cluster.node.address)
        result = child.finish(RECOVERY_LIMIT)
        self.assertEqual((result.code, result.text == self.expected), (0, True), result.err)

    def test_a_killed_client_frees_its_request(self):
        # It may come back for 10 s. At this pace its answer would take minutes: it can only end by being cancelled.
        cluster = self.enter_cluster(model=LONG_MODEL, weights="scripted:300ms")
        begin_long_answer(cluster).stop()
        router = cluster.wait_for_status(lambda s: s["router"]["live"] == 0, "no request lives", limit=25)["router"]
        self.assertEqual((router["cancelled"], router["completed"], router["failed"]), (1, 0, 0), router)
        cluster.ask("hello", "--max-tokens", "5")

    def test_a_killed_node_takes_its_ranks_with_it_at_once(self):
        cluster = self.enter_cluster(tensor=2)
        ranks = cluster.node.look_at_ranks()
        self.assertEqual(len(ranks), 2)
        cluster.node.signal(signal.SIGKILL)
        self.assertEqual(cluster.node.wait_end(), -signal.SIGKILL)
        cluster.node.wait_ranks_gone(limit=2)

    def test_a_client_whose_node_is_killed_ends_with_one_error(self):
        cluster = self.enter_cluster(model=LONG_MODEL)
        child = begin_long_answer(cluster)
        cluster.node.signal(signal.SIGKILL)
        result = child.finish(RECOVERY_LIMIT)
        self.assert_one_error(result, "lost")
        self.assert_beginning(result.out)

    def test_a_killed_node_starts_again_from_the_same_file(self):
        cluster = self.enter_cluster(tensor=2)
        cluster.node.signal(signal.SIGKILL)
        cluster.node.wait_end()
        cluster.begin().wait_ready()
        self.assertEqual(cluster.ask("What is 27 + 15?").text, "27 + 15 = 42.")


if __name__ == "__main__":
    main()
