#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two nodes on loopback: one group on each, or one group over both."""

import re
import signal

from cluster import (
    LONG_MODEL,
    LONG_QUESTION,
    ROOT,
    Cluster,
    TestCase,
    begin_long_answer,
    free_port,
    long_answer,
    main,
    topology,
    wait_until,
)

QUESTION, ANSWER = "What is 27 + 15?", "27 + 15 = 42."


def groups_used(node):
    """Which groups a node's router gave its requests to, from its debug log."""
    return set(re.findall(r"request-accepted request=\d+ group=(\w+)", node.log()))


def settled(status):
    return all(group["phase"] == "serving" for group in status["groups"])


class TwoNodes(TestCase):
    def enter(self, file):
        cluster = self.enterContext(Cluster(file)).start(("--log-level", "debug"))
        for node in cluster.nodes.values():
            cluster.wait_for_status(settled, "all groups serve", node=node)
        return cluster

    def test_either_node_answers_and_both_groups_are_used(self):
        cluster = self.enter(topology(nodes="ab", tensor=2))
        for node in cluster.nodes.values():
            self.assertEqual(cluster.ask(QUESTION, node=node).text, ANSWER)
            asked = [cluster.ask_streaming("Tell me a story.", node=node) for _ in range(6)]
            texts = {child.finish().text for child in asked}
            self.assertEqual(len(texts), 1, texts)
            self.assertEqual(groups_used(node), {"g0", "g1"}, node.name)

    def test_both_nodes_see_the_same_cluster(self):
        cluster = self.enter(topology(nodes="ab"))
        seen = []
        for node in cluster.nodes.values():
            status = cluster.status(node)
            self.assertEqual(status["node"], node.name)
            self.assertTrue(all(other["present"] for other in status["nodes"]), status)
            seen.append((status["nodes"], status["groups"]))
        self.assertEqual(seen[0], seen[1])

    def test_the_example_file_of_two_nodes_serves(self):
        text = (ROOT / "examples/two_nodes.yaml").read_text().replace("../models", str(ROOT / "models"))
        for fixed in ("4242", "4243", "8080", "8081"):
            self.assertIn(fixed, text)
            text = text.replace(f":{fixed}", ":0").replace(f"port: {fixed}", f"port: {free_port()}")
        cluster = self.enterContext(Cluster({"nodes": {"a": {}, "b": {}}}))
        cluster.path.write_text(text)
        cluster.start()
        for node in cluster.nodes.values():
            self.assertEqual(cluster.ask(QUESTION, node=node).text, ANSWER)

    def test_a_group_over_both_nodes_answers_as_one_rank_does(self):
        for shape in ("tensor", "pipeline"):
            with self.subTest(shape=shape):
                file = topology(nodes="ab", groups=[{"name": "g0", shape: 2, "ranks": ["a/cpu:0", "b/cpu:0"]}])
                with Cluster(file) as cluster:
                    cluster.start()
                    for node in cluster.nodes.values():
                        self.assertEqual(cluster.ask(QUESTION, node=node).text, ANSWER)

    def test_when_the_second_node_dies_its_answers_go_on_elsewhere_and_the_first_node_serves(self):
        cluster = self.enter(topology(nodes="ab", model=LONG_MODEL))
        expected = long_answer()
        first, second = cluster.nodes["a"], cluster.nodes["b"]
        asked = [begin_long_answer(cluster, first) for _ in range(2)]
        self.assertEqual(groups_used(first), {"g0", "g1"})
        second.signal(signal.SIGKILL)
        second.wait_ranks_gone(limit=2)
        for child in asked:
            result = child.finish(30)
            self.assertEqual((result.code, result.text == expected), (0, True), result.err)
        status = cluster.wait_for_status(lambda s: not s["nodes"][1]["present"], "the loss of node b", node=first)
        self.assertEqual(status["groups"][0]["phase"], "serving")

    def test_a_node_that_comes_back_serves_again(self):
        cluster = self.enter(topology(nodes="ab"))
        first, second = cluster.nodes["a"], cluster.nodes["b"]
        second.signal(signal.SIGKILL)
        second.wait_end()
        cluster.wait_for_status(lambda s: not s["nodes"][1]["present"], "the loss of node b", node=first)
        again = cluster.begin("b").wait_ready(limit=20)
        cluster.wait_for_status(settled, "all groups serve", node=first)
        for node in (first, again):
            self.assertEqual(cluster.ask(QUESTION, node=node).text, ANSWER)

    def lose_first_node(self, **settings):
        """The second node's answers, its epoch before, and the nodes, once the first was killed."""
        cluster = self.enter(topology(nodes="ab", model=LONG_MODEL, **settings))
        first, second = cluster.nodes["a"], cluster.nodes["b"]
        epoch = cluster.group("g1", node=second)["epoch"]
        asked = [begin_long_answer(cluster, second) for _ in range(2)]
        first.signal(signal.SIGKILL)
        first.wait_end()
        wait_until(lambda: "lease-over" in second.log(), 5, "the end of the second node's lease")
        return cluster, second, epoch, asked

    def assert_whole(self, asked):
        expected = long_answer()
        for child in asked:
            result = child.finish(30)
            self.assertEqual((result.code, result.text == expected), (0, True), result.err)

    def test_when_the_first_node_dies_a_group_of_the_second_alone_serves_on(self):
        cluster, second, epoch, asked = self.lose_first_node()
        self.assert_whole(asked)
        self.assertTrue(long_answer().startswith(cluster.ask(LONG_QUESTION, "--max-tokens", "9", node=second).text[:9]))
        cluster.begin("a").wait_ready(limit=20)
        cluster.wait_for_status(settled, "all groups serve", node=second)
        self.assertEqual(cluster.group("g1", node=second)["epoch"], epoch)

    def test_when_the_first_node_dies_a_group_with_a_spare_there_falls_silent_until_it_is_back(self):
        cluster, second, epoch, asked = self.lose_first_node(spares=["a/cpu:9"])
        refused = cluster.ask(QUESTION, node=second, expect=None)
        self.assert_one_error(refused, "topology actor", "another node")
        again = cluster.begin("a").wait_ready(limit=20)
        for node in (again, second):
            cluster.wait_for_status(settled, "all groups serve", node=node)
        self.assertEqual(cluster.group("g1", node=second)["epoch"], epoch)
        self.assert_whole(asked)


if __name__ == "__main__":
    main()
