#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node that is told to end finishes what it has accepted and takes nothing new."""

import signal

from cluster import LONG_MODEL, Cluster, TestCase, begin_long_answer, long_answer, main, topology, wait_until


class Drain(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.expected = long_answer()

    def check_drain(self, number, **shape):
        cluster = self.enter_cluster(model=LONG_MODEL, **shape)
        child = begin_long_answer(cluster)
        cluster.node.signal(number)
        wait_until(lambda: "node-drains" in cluster.node.log(), 5, "the node drains")
        refused = cluster.ask("hello", expect=None)
        self.assertTrue(child.running(), "the answer was over before the new request was refused")
        self.assert_one_error(refused, "being stopped")
        whole = child.finish()
        self.assertEqual((whole.code, whole.text), (0, self.expected))
        self.assertEqual(cluster.node.wait_end(), 0, cluster.node.log())
        cluster.node.wait_ranks_gone(limit=2)

    def test_sigterm_lets_an_answer_end_whole_and_refuses_new_ones(self):
        self.check_drain(signal.SIGTERM, tensor=2)

    def test_sigint_does_the_same_with_ranks_in_the_node_process(self):
        self.check_drain(signal.SIGINT, tensor=2, isolation="thread")

    def test_an_idle_node_ends_cleanly_and_says_nothing_that_alarms(self):
        cluster = self.enter_cluster(tensor=2)
        cluster.node.signal(signal.SIGTERM)
        self.assertEqual(cluster.node.wait_end(), 0, cluster.node.log())
        cluster.node.wait_ranks_gone(limit=2)
        for word in (" warning ", " error "):
            self.assertNotIn(word, cluster.node.log())

    def test_a_second_sigterm_ends_at_once(self):
        cluster = self.enter_cluster(model=LONG_MODEL, tensor=2)
        child = begin_long_answer(cluster)
        cluster.node.signal(signal.SIGTERM)
        wait_until(lambda: "node-drains" in cluster.node.log(), 5, "the node drains")
        cluster.node.signal(signal.SIGTERM)
        self.assertNotEqual(cluster.node.wait_end(limit=3), 0)
        self.assertTrue(self.expected.startswith(child.finish().out.rstrip("\n\ufffd")))
        cluster.node.wait_ranks_gone(limit=2)

    def test_a_node_that_still_waits_for_another_ends_when_told(self):
        cluster = self.enterContext(Cluster(topology(nodes="ab")))
        node = cluster.begin("a")
        wait_until(lambda: "waiting for b/cpu:0" in node.log(), 20, "the node says what it waits for")
        node.signal(signal.SIGTERM)
        self.assertEqual(node.wait_end(), 0, node.log())
        node.wait_ranks_gone(limit=2)


if __name__ == "__main__":
    main()
