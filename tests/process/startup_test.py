#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A start that cannot succeed says what is wrong and what would be right, ends with a failure code, leaves nothing."""

import shutil
import socket
import time

from cluster import TINY_MODELS, Cluster, TestCase, main, topology, troupe, wait_until

FILE_LIMIT = 10  # seconds in which a wrong file must have been refused


class Startup(TestCase):
    def cluster(self, file):
        return self.enterContext(Cluster(file))

    def assert_node_refuses(self, cluster, *words, file=None, name="a", limit=FILE_LIMIT):
        """The node ends by itself with a failure code, and its last words have all of `words`."""
        node = cluster.begin(name, file=file)
        self.assertNotEqual(node.wait_end(limit), 0, node.log())
        for word in words:
            self.assertIn(word, node.log())
        self.assertFalse(node.ready_file.exists())
        node.wait_ranks_gone(limit=2)
        return node

    def refuse_text(self, text, *words):
        cluster = self.cluster(topology())
        path = cluster.write("wrong.yaml", text)
        node = self.assert_node_refuses(cluster, *words, file=path)
        self.assertEqual(node.log().count("error:"), 1, node.log())
        planned = troupe("plan", path, expect=None)
        self.assertNotEqual(planned.code, 0, planned)
        self.assertIn(words[0], planned.err)

    def test_a_node_whose_peer_never_comes_says_who_is_missing_and_ends_in_time(self):
        cluster = self.cluster(topology(nodes="ab", groups=self.spread_group(), startup_timeout_s=3))
        begin = time.monotonic()
        node = cluster.begin("a")
        wait_until(lambda: "waiting for b/cpu:0 (1 s of 3 s)" in node.log(), 10, "who is missing, with the time")
        self.assertNotEqual(node.wait_end(10), 0)
        self.assertGreater(time.monotonic() - begin, 2.5)
        self.assertIn("group g0 did not come up in 3 s: b/cpu:0 missing", node.log())
        node.wait_ranks_gone(limit=2)

    def test_a_node_whose_first_node_never_comes_says_so_and_ends_in_time(self):
        cluster = self.cluster(topology(nodes="ab", groups=self.spread_group(), startup_timeout_s=3))
        node = cluster.begin("b")
        self.assertNotEqual(node.wait_end(8), 0)
        self.assertIn("node=a", node.log())
        node.wait_ranks_gone(limit=2)

    @staticmethod
    def spread_group():
        return [{"name": "g0", "tensor": 2, "ranks": ["a/cpu:0", "b/cpu:0"]}]

    def test_a_second_node_with_another_topology_file_is_told_so(self):
        cluster = self.cluster(topology(nodes="ab", startup_timeout_s=5))
        other = cluster.write("other.yaml", {**cluster.file, "collective_timeout_ms": 9000})
        cluster.begin("a")
        self.assert_node_refuses(cluster, "another topology file", "copy the same file", name="b", file=other, limit=20)

    def test_a_second_node_with_another_model_is_told_so(self):
        cluster = self.cluster(topology(nodes="ab", model="model", startup_timeout_s=5))
        for folder, model in (("one", "qwen3-tiny"), ("two", "llama3-tiny")):
            (cluster.folder / folder).mkdir()
            (cluster.folder / folder / "model").symlink_to(TINY_MODELS / model)
        one = cluster.write("one/topology.yaml", cluster.file)
        two = cluster.write("two/topology.yaml", cluster.file)
        cluster.begin("a", file=one).wait_ready()
        self.assert_node_refuses(cluster, "node b has another model than node a", name="b", file=two)
        cluster.ask("hello", "--max-tokens", "3", node=cluster.nodes["a"])

    def test_a_second_node_of_the_same_name_is_told_so(self):
        cluster = self.cluster(topology(nodes="ab"))
        cluster.begin("a").wait_ready()
        first = cluster.nodes["first b"] = cluster.begin("b").wait_ready()
        del cluster.nodes["b"]
        self.assert_node_refuses(cluster, f"127.0.0.1:{cluster.file['nodes']['b']['port']}", "another node", name="b")
        cluster.ask("What is 2 + 3?", node=first)

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            file = topology()
            file["nodes"]["a"]["port"] = port
            self.assert_node_refuses(self.cluster(file), f"127.0.0.1:{port}", "cannot be opened", "another port")

    def test_an_http_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            file = topology()
            file["nodes"]["a"]["http"] = f"127.0.0.1:{port}"
            self.assert_node_refuses(self.cluster(file), f"127.0.0.1:{port}", "another http address")

    def test_a_file_that_everyone_may_write_is_refused(self):
        cluster = self.cluster(topology())
        cluster.path.chmod(0o666)
        self.assert_node_refuses(cluster, "topology.yaml", "written by everyone", "chmod o-w")

    def test_a_missing_file_is_named(self):
        cluster = self.cluster(topology())
        self.assert_node_refuses(cluster, "no-such.yaml", "give a topology file", file=cluster.folder / "no-such.yaml")

    def test_an_unknown_key_is_named_with_its_line(self):
        text = (
            "cluster: x\nmodel: m\nnodes:\n  a: {address: 127.0.0.1, port: 0}\ngruops: []\n"
            "groups:\n  - {name: g, ranks: [a/cpu:0]}\n"
        )
        self.refuse_text(text, "wrong.yaml:5: gruops", "groups")

    def test_a_device_listed_twice_is_named_with_both_lines(self):
        text = (
            "cluster: x\nmodel: m\nnodes:\n  a: {address: 127.0.0.1, port: 0}\ngroups:\n"
            "  - name: g\n    tensor: 2\n    ranks:\n      - a/cpu:0\n      - a/cpu:0\n"
        )
        self.refuse_text(text, "wrong.yaml:10:", "a/cpu:0", "line 9", "give each device once")

    def test_a_split_that_does_not_fit_the_ranks_is_named_with_what_would(self):
        text = (
            "cluster: x\nmodel: m\nnodes:\n  a: {address: 127.0.0.1, port: 0}\ngroups:\n"
            "  - name: g\n    tensor: 3\n    ranks: [a/cpu:0, a/cpu:1]\n"
        )
        self.refuse_text(
            text, "wrong.yaml:6:", "tensor 3 x pipeline 1 is 3 ranks and 2 are listed", "tensor 2 x pipeline 1"
        )

    def test_a_file_that_is_no_yaml_is_named_with_its_line(self):
        self.refuse_text("cluster: x\nmodel: [\n", "wrong.yaml:")

    def test_an_address_that_is_not_loopback_needs_tls_or_the_word_insecure(self):
        file = topology()
        file["nodes"]["a"]["address"] = "10.1.2.3"
        self.assert_node_refuses(self.cluster(file), "10.1.2.3 is not loopback", "tls", "--insecure")

    def test_a_split_that_the_model_does_not_allow_is_named_with_what_would(self):
        cluster = self.cluster(topology(model=TINY_MODELS / "qwen3-tiny", tensor=3))
        self.assert_node_refuses(cluster, "g0", "tensor", "3")

    def test_more_stages_than_layers_are_refused(self):
        cluster = self.cluster(topology(model=TINY_MODELS / "qwen2-tiny", pipeline=5))
        self.assert_node_refuses(cluster, "g0", "pipeline", "4")

    def test_a_cuda_rank_without_a_cuda_build_is_refused_with_a_sentence(self):
        file = topology()
        file["groups"][0]["ranks"] = ["a/cuda:0"]
        self.assert_node_refuses(self.cluster(file), "cuda")

    def test_a_node_name_that_is_not_in_the_file_is_answered_with_those_that_are(self):
        self.assert_node_refuses(self.cluster(topology(nodes="ab")), "'c'", "a, b", name="c")

    def test_a_model_file_with_another_checksum_is_named_with_the_remedy(self):
        cluster = self.cluster(topology(model="model"))
        shutil.copytree(TINY_MODELS / "qwen3-tiny", cluster.folder / "model")
        (cluster.folder / "model" / "SHA256SUMS").write_text("0" * 64 + "  model.safetensors\n")
        self.assert_node_refuses(cluster, "model.safetensors", "SHA-256", "SHA256SUMS", "again")

    def test_a_model_folder_that_is_not_there_is_named(self):
        self.assert_node_refuses(self.cluster(topology(model="/no/such/model")), "/no/such/model")

    def test_too_little_kv_memory_is_refused_before_serving(self):
        cluster = self.cluster(topology(engine={"kv_memory": "1MiB", "block_tokens": 1024}))
        self.assert_node_refuses(cluster, "kv_memory", limit=30)


if __name__ == "__main__":
    main()
