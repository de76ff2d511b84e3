#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two nodes in two network namespaces of this test's own, joined by one link, over TLS."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from cluster import DEMO_MODEL, TROUPE, Child, TestCase, main, troupe, wait_until

QUESTION, ANSWER = "What is 27 + 15?", "27 + 15 = 42."
ADDRESSES = {"a": "10.77.0.1", "b": "10.77.0.2"}


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Namespaces(TestCase):
    def setUp(self):
        self.spaces = {name: f"troupe-test-{os.getpid()}-{name}" for name in ADDRESSES}
        for space in self.spaces.values():
            try:
                ip("netns", "add", space)
            except OSError as refused:
                self.skipTest(f"network namespaces are not permitted here: {refused}")
            self.addCleanup(subprocess.run, ["ip", "netns", "del", space], capture_output=True)
        first, second = self.spaces.values()
        try:
            ip("-n", first, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", second)
        except OSError as refused:
            self.skipTest(f"virtual links are not permitted here: {refused}")
        for name, space in self.spaces.items():
            ip("-n", space, "link", "set", "lo", "up")
            ip("-n", space, "address", "add", f"{ADDRESSES[name]}/24", "dev", "wire")
            ip("-n", space, "link", "set", "wire", "up")
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.write_file()

    def write_file(self):
        certs = self.folder / "certs"
        troupe("certs", "init", certs)
        troupe("certs", "node", certs, "node", *(word for at in ADDRESSES.values() for word in ("--address", at)))
        file = {
            "cluster": "namespaces",
            "model": str(DEMO_MODEL),
            "tls": {"certificate": f"{certs}/node.pem", "key": f"{certs}/node.key", "ca": f"{certs}/ca.pem"},
            "nodes": {name: {"address": address, "port": 4242} for name, address in ADDRESSES.items()},
            "groups": [{"name": f"g{name}", "ranks": [f"{name}/cpu:0"]} for name in ADDRESSES],
            "engine": {"threads": 1, "kv_memory": "64MiB"},
        }
        self.path = self.folder / "topology.yaml"
        self.path.write_text(json.dumps(file))
        self.path.chmod(0o644)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def start(self):
        for name, space in self.spaces.items():
            command = ["ip", "netns", "exec", space, TROUPE, "node", "--topology", str(self.path), "--name", name]
            with open(self.folder / f"{name}.log", "wb") as log:
                self.addCleanup(Child(command, stderr=log).stop)
        for name in self.spaces:
            wait_until(lambda name=name: "node-ready" in self.log(name), 30, f"node {name} serves")

    def inside(self, name, *arguments):
        command = ["ip", "netns", "exec", self.spaces[name], TROUPE, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=90)

    def ask(self, name, to):
        address = f"{ADDRESSES[to]}:4242"
        return self.inside(name, "ask", "--quiet", "--topology", self.path, "--node", address, QUESTION)

    def doctor(self):
        done = self.inside("a", "doctor", self.path, "--json")
        return done.returncode, json.loads(done.stdout)

    def serves_everywhere(self):
        return all(self.ask("a", to).stdout == ANSWER + "\n" for to in ADDRESSES)

    def test_nodes_serve_across_a_link_that_goes_and_comes_and_the_doctor_names_what_is_cut(self):
        self.start()
        wait_until(self.serves_everywhere, 20, "both nodes answer across the link")
        code, report = self.doctor()
        self.assertEqual((code, len(report["pairs"])), (0, 2), report)
        ip("-n", self.spaces["b"], "link", "set", "wire", "down")
        begin = time.monotonic()
        wait_until(lambda: "node-left node=b" in self.log("a"), 5, "the cut is noticed")
        print(f"cut link noticed after {time.monotonic() - begin:.2f} s", file=sys.stderr)
        self.assertEqual(self.ask("a", "a").stdout, ANSWER + "\n")
        code, report = self.doctor()
        self.assertEqual(code, 1)
        [pair] = report["pairs"]
        self.assertEqual((pair["from"], pair["to"]), ("a", "b"))
        self.assertIn("10.77.0.2:4242 does not answer", pair["problem"])
        ip("-n", self.spaces["b"], "link", "set", "wire", "up")
        wait_until(self.serves_everywhere, 30, "both nodes answer again")
        wait_until(lambda: self.doctor()[0] == 0, 30, "the doctor finds all well again")


if __name__ == "__main__":
    main()
