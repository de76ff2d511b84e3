#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Spares, smaller shapes, drains, nodes and groups that come and go, and generations that outlive the first node."""

import signal

from cluster import (
    LONG_MODEL,
    TestCase,
    Cluster,
    begin_long_answer,
    long_answer,
    main,
    topology,
    troupe,
    wait_until,
)

QUESTION, ANSWER = "What is 27 + 15?", "27 + 15 = 42."


def serving(status):
    return all(group["phase"] == "serving" for group in status["groups"])


class Membership(TestCase):
    def put_down(self, cluster, rank):
        """Kills a rank's place until it is down (restart_limit: 0 makes that once)."""
        before = cluster.group()["epoch"]
        cluster.signal_rank(rank, signal.SIGKILL)
        cluster.wait_for_status(lambda s: s["groups"][0]["epoch"] > before, "the loss is noticed")

    def test_a_spare_takes_the_place_of_a_rank_that_is_down_and_the_answer_is_whole(self):
        expected = long_answer()
        cluster = self.enter_cluster(model=LONG_MODEL, tensor=2, spares=["a/cpu:7"], restart_limit=0)
        self.assertEqual(len(cluster.node.look_at_ranks()), 3)
        child = begin_long_answer(cluster)
        self.put_down(cluster, 1)
        result = child.finish(30)
        self.assertEqual((result.code, result.text == expected), (0, True), result.err)
        group = cluster.group()
        self.assertEqual([rank["device"] for rank in group["ranks"]], ["cpu:0", "cpu:7"])
        self.assertEqual(cluster.status()["membership"]["spares_used"], 1)
        self.assertEqual(cluster.status()["membership"]["lease_waits"], 0)

    def test_a_group_that_may_shrink_serves_in_a_smaller_shape_and_grows_again(self):
        file = topology(tensor=2, restart_limit=0)
        file["groups"][0]["shrink"] = True
        cluster = self.enterContext(Cluster(file)).start()
        self.put_down(cluster, 1)
        status = cluster.wait_for_status(serving, "a smaller shape serves", limit=20)
        self.assertEqual((status["groups"][0]["tensor"], status["groups"][0]["full"]), (1, False))
        self.assertEqual(cluster.ask(QUESTION).text, ANSWER)
        troupe("restart", "a/cpu:1", "--node", cluster.node.address)
        status = cluster.wait_for_status(
            lambda s: serving(s) and s["groups"][0]["full"], "the full shape serves", limit=20
        )
        self.assertEqual(status["groups"][0]["tensor"], 2)
        self.assertEqual(cluster.ask(QUESTION).text, ANSWER)

    def test_a_first_node_that_starts_again_uses_greater_epochs_and_a_lost_state_is_noticed(self):
        cluster = self.enter_cluster()
        self.assertEqual(cluster.group()["epoch_text"], "1.1")
        for generation in (2, 3):
            cluster.node.signal(signal.SIGKILL)
            cluster.node.wait_end()
            cluster.begin().wait_ready()
            self.assertEqual(cluster.status()["generation"], generation)
            self.assertEqual(cluster.group()["epoch_text"], f"{generation}.1")

    def test_a_first_node_whose_state_was_lost_takes_a_generation_above_what_the_others_serve_in(self):
        cluster = self.enterContext(Cluster(topology(nodes="ab"))).start()
        first, second = cluster.nodes["a"], cluster.nodes["b"]
        cluster.wait_for_status(serving, "all groups serve")
        state = cluster.folder / "a.state" / "generation"
        state.write_text("7\n")
        first.signal(signal.SIGKILL)
        first.wait_end()
        cluster.begin("a").wait_ready()
        cluster.wait_for_status(serving, "all groups serve", node=second)
        self.assertEqual(cluster.group("g0", node=second)["epoch_text"], "8.1")
        cluster.nodes["a"].signal(signal.SIGKILL)
        cluster.nodes["a"].wait_end()
        state.unlink()
        again = cluster.begin("a").wait_ready()
        cluster.wait_for_status(lambda s: serving(s) and s["generation"] == 9, "generation 9", node=again)
        self.assertEqual(state.read_text(), "9\n")

    def test_a_generation_that_cannot_be_written_is_told_and_nothing_starts_before_it_is(self):
        cluster = self.enterContext(Cluster(topology()))
        (cluster.folder / "a.state").write_text("a file where the folder should be")
        node = cluster.begin()
        wait_until(lambda: "generation-not-written" in node.log(), 20, "the alarm")
        (cluster.folder / "a.state").unlink()
        node.wait_ready()
        self.assertEqual(cluster.ask(QUESTION).text, ANSWER)

    def test_a_drained_group_gives_its_requests_an_end_or_to_the_other_and_comes_back(self):
        expected = long_answer()
        cluster = self.enterContext(Cluster(topology(nodes="ab", model=LONG_MODEL))).start()
        cluster.wait_for_status(serving, "all groups serve")
        asked = [begin_long_answer(cluster) for _ in range(3)]
        done = troupe("drain", "g1", "--node", cluster.node.address, limit=90)
        self.assertIn("g1 is drained", done.out)
        self.assertEqual(cluster.group("g1")["phase"], "drained")
        for child in asked:
            result = child.finish(60)
            self.assertEqual((result.code, result.text == expected), (0, True), result.err)
        troupe("drain", "g1", "--undo", "--node", cluster.node.address)
        cluster.wait_for_status(serving, "all groups serve")

    def test_what_is_drained_stays_so_when_the_first_node_starts_again_and_what_was_taken_back_does_not(self):
        cluster = self.enterContext(Cluster(topology(nodes="ab"))).start()
        cluster.wait_for_status(serving, "all groups serve")

        def start_first_again():
            cluster.nodes["a"].signal(signal.SIGKILL)
            cluster.nodes["a"].wait_end()
            cluster.begin("a").wait_ready()

        troupe("drain", "g1", "--node", cluster.nodes["a"].address, limit=90)
        start_first_again()
        cluster.wait_for_status(lambda s: s["groups"][0]["phase"] == "serving", "g0 serves", node=cluster.nodes["a"])
        self.assertIn("drain-taken-over name=g1", cluster.nodes["a"].log())
        cluster.wait_for_status(lambda s: s["groups"][1]["phase"] == "drained", "g1 is drained", node=cluster.nodes["a"])
        self.assertEqual(cluster.ask(QUESTION).text, ANSWER)
        troupe("drain", "g1", "--undo", "--node", cluster.nodes["a"].address)
        start_first_again()
        cluster.wait_for_status(serving, "all groups serve", node=cluster.nodes["a"])

    def test_a_drain_that_cannot_be_written_down_is_refused(self):
        cluster = self.enterContext(Cluster(topology(nodes="ab"))).start()
        cluster.wait_for_status(serving, "all groups serve")
        (cluster.folder / "a.state" / "drained.new").mkdir()
        refused = troupe("drain", "g1", "--node", cluster.nodes["a"].address, expect=None)
        self.assert_one_error(refused, "would be forgotten", "drained.new")
        self.assertEqual(cluster.group("g1")["phase"], "serving")

    def test_a_node_whose_group_has_nowhere_to_go_is_not_drained(self):
        cluster = self.enter_cluster()
        result = troupe("drain", "a", "--node", cluster.node.address, expect=None)
        self.assert_one_error(result, "g0", "no place to go")
        self.assertEqual(cluster.ask(QUESTION).text, ANSWER)

    def test_a_node_with_a_group_is_added_and_removed_while_an_answer_streams(self):
        expected = long_answer()
        both = topology(nodes="ab", model=LONG_MODEL)
        one = {**both, "nodes": {"a": both["nodes"]["a"]}, "groups": both["groups"][:1]}
        cluster = self.enterContext(Cluster(one)).start()
        child = begin_long_answer(cluster)
        epoch = cluster.group()["epoch"]
        more = cluster.write("more.yaml", both)
        first = cluster.nodes["a"]
        troupe("node", "remove", more, "--node", first.address, expect=1)
        cluster.path.write_text(more.read_text())  # as an operator does on every machine: the same bytes
        second = cluster.begin("b")
        added = troupe("node", "add", more, "--node", first.address, limit=90)
        self.assertIn("2 groups", added.out)
        second.wait_ready()
        asked = [begin_long_answer(cluster, node) for node in (first, second) for _ in range(2)]
        less = cluster.write("less.yaml", one)
        removed = troupe("node", "remove", less, "--node", first.address, limit=120)
        self.assertIn("1 nodes, 1 groups", removed.out)
        for answer in (child, *asked):
            result = answer.finish(60)
            self.assertEqual((result.code, result.text == expected), (0, True), result.err)
        self.assertEqual(second.wait_end(60), 0)
        self.assertEqual(cluster.group()["epoch"], epoch, "the group that stays was disturbed")


if __name__ == "__main__":
    main()
