#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that go on at another node when the one they talk to is lost."""

import signal

from cluster import LONG_MODEL, LONG_QUESTION, TROUPE, Child, TestCase, long_answer, main

ANSWER_LIMIT = 60


class Resume(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.expected = long_answer()

    def enter(self, **settings):
        cluster = self.enter_cluster(model=LONG_MODEL, nodes="ab", **settings)
        for node in cluster.nodes.values():
            cluster.wait_for_status(
                lambda s: all(group["phase"] == "serving" for group in s["groups"]), "all groups serve", node=node
            )
        return cluster

    def ask_at(self, cluster, nodes):
        child = Child([TROUPE, "ask", "--quiet", "--node", nodes, LONG_QUESTION])
        cluster.asked.append(child)
        child.read_until(20)
        return child

    def assert_exact(self, child):
        result = child.finish(ANSWER_LIMIT)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.text, self.expected)

    def test_the_node_a_client_talks_to_is_killed_and_the_answer_goes_on_at_the_other_with_exact_tokens(self):
        for first, second in ("ba", "ab"):
            with self.subTest(killed=first):
                cluster = self.enter()
                addresses = f"{cluster.nodes[first].address},{cluster.nodes[second].address}"
                child = self.ask_at(cluster, addresses)
                cluster.nodes[first].signal(signal.SIGKILL)
                self.assert_exact(child)

    def test_a_topology_file_names_the_nodes(self):
        cluster = self.enter()
        child = self.ask_at(cluster, str(cluster.path))
        cluster.nodes["a"].signal(signal.SIGKILL)
        self.assert_exact(child)

    def test_a_stopped_node_is_left_for_the_other(self):
        cluster = self.enter()
        child = self.ask_at(cluster, f"{cluster.nodes['b'].address},{cluster.nodes['a'].address}")
        cluster.nodes["b"].signal(signal.SIGSTOP)
        try:
            self.assert_exact(child)
        finally:
            cluster.nodes["b"].signal(signal.SIGKILL)
            cluster.nodes["b"].wait_end()

    def test_a_node_that_is_started_again_gives_the_rest_of_the_answer(self):
        cluster = self.enter_cluster(model=LONG_MODEL, nodes="ab")
        child = self.ask_at(cluster, cluster.nodes["b"].address)
        cluster.nodes["b"].signal(signal.SIGKILL)
        cluster.nodes["b"].wait_end()
        cluster.begin("b").wait_ready()
        self.assert_exact(child)


if __name__ == "__main__":
    main()
