#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`troupe doctor` says what is wrong before and while a cluster runs, and names it."""

import json
import signal
import socket

from cluster import Cluster, TestCase, main, topology, troupe


def doctor(path, expect, *options):
    return troupe("doctor", path, "--json", *options, expect=expect).json()


def pairs(report):
    return {(pair["from"], pair["to"]): pair for pair in report["pairs"]}


class Doctor(TestCase):
    def test_before_anything_runs_it_examines_the_machine(self):
        with Cluster(topology(nodes="ab", tensor=2)) as cluster:
            report = doctor(cluster.path, 0)
            self.assertTrue(report["good"])
            looked = {check["what"] for check in report["checks"]}
            wanted = {"model", "shared memory", "open files", "port of node a", "memory of node b"}
            self.assertTrue(wanted <= looked, looked)
            self.assertEqual([node["runs"] for node in report["nodes"]], [False, False])

    def test_a_port_that_is_taken_and_a_model_that_is_missing_are_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            file = topology(nodes="ab", model="/nowhere/model")
            file["nodes"]["b"]["port"] = port
            with Cluster(file) as cluster:
                report = doctor(cluster.path, 1)
                wrong = {check["what"]: check["detail"] for check in report["checks"] if not check["good"]}
                self.assertIn("/nowhere/model", wrong["model"])
                self.assertIn(str(port), wrong["port of node b"])

    def test_every_pair_of_running_nodes_is_measured_both_ways(self):
        cluster = self.enterContext(Cluster(topology(nodes="abc"))).start()
        report = doctor(cluster.path, 0)
        self.assertEqual(len(report["pairs"]), 6)
        for pair in report["pairs"]:
            self.assertTrue(pair["reached"], pair)
            self.assertGreater(pair["round_trip_p99_us"], 0)
            self.assertGreaterEqual(pair["round_trip_p99_us"], pair["round_trip_p50_us"])
            self.assertGreater(pair["mebibytes_per_second"], 0)
        text = troupe("doctor", cluster.path).out
        self.assertIn("a -> b: round trip", text)
        cluster.ask("What is 27 + 15?")

    def test_a_node_that_does_not_run_and_one_that_is_stopped_are_named(self):
        cluster = self.enterContext(Cluster(topology(nodes="ab"))).start()
        second = cluster.nodes["b"]
        second.signal(signal.SIGSTOP)
        try:
            report = doctor(cluster.path, 1, "--rounds", "5")
            self.assertNotEqual(report["nodes"][1]["problem"], "")
            self.assertNotEqual(pairs(report)["a", "b"]["problem"], "")
        finally:
            second.signal(signal.SIGCONT)
        second.signal(signal.SIGKILL)
        second.wait_end()
        report = doctor(cluster.path, 1)
        self.assertIn("is it running", report["nodes"][1]["problem"])
        self.assertIn("does not answer", pairs(report)["a", "b"]["problem"])

    def test_another_topology_file_is_noticed(self):
        cluster = self.enterContext(Cluster(topology(nodes="ab"))).start()
        other = cluster.write("other.yaml", json.dumps({**cluster.file, "collective_timeout_ms": 9000}))
        report = doctor(other, 1)
        self.assertIn("another topology file", report["nodes"][0]["problem"])

    def test_a_stranger_at_a_nodes_address_is_noticed(self):
        with socket.socket() as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.listen()
            file = topology(nodes="ab", startup_timeout_s=30)
            with Cluster(file) as cluster:
                cluster.begin("a").wait_ready()
                file["nodes"]["b"]["port"] = stranger.getsockname()[1]
                report = doctor(cluster.write("strange.yaml", file), 1)
                self.assertIn("does not answer as a node", report["nodes"][1]["problem"])


if __name__ == "__main__":
    main()
