#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes that speak mutual TLS: they serve those who belong to them and refuse everybody else."""

import os
import pathlib
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

from cluster import LONG_MODEL, Cluster, TestCase, begin_long_answer, long_answer, main, topology, troupe, wait_until

QUESTION, ANSWER = "What is 27 + 15?", "27 + 15 = 42."
TLS_1_2_REFUSED = ("protocol version", "no protocols available", "alert")


def make_certificates(folder, *clients):
    troupe("certs", "init", folder, "--cluster", "process-test")
    troupe("certs", "node", folder, "node", "--address", "127.0.0.1", "--address", "localhost")
    for client in clients:
        troupe("certs", "client", folder, client)
    return folder


def files_of(folder, name):
    return {"certificate": f"{folder}/{name}.pem", "key": f"{folder}/{name}.key", "ca": f"{folder}/ca.pem"}


def options_of(folder, name):
    files = files_of(folder, name)
    return ("--cert", files["certificate"], "--key", files["key"], "--ca", files["ca"])


def resident_mib(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Certificates(TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "certs"

    def test_keys_are_for_their_owner_alone_and_certificates_verify(self):
        make_certificates(self.folder, "alice")
        for name in ("ca", "node", "alice"):
            self.assertEqual(stat.S_IMODE((self.folder / f"{name}.key").stat().st_mode), 0o600)
        for purpose in ("sslserver", "sslclient"):
            command = ["openssl", "verify", "-purpose", purpose, "-CAfile", self.folder / "ca.pem"]
            subprocess.run([*command, self.folder / "node.pem"], check=True, capture_output=True)

    def test_nothing_is_replaced(self):
        make_certificates(self.folder)
        before = {path: path.read_bytes() for path in self.folder.iterdir()}
        for again in (("init", self.folder), ("node", self.folder, "node", "--address", "127.0.0.1")):
            self.assert_one_error(troupe("certs", *again, expect=1), "not replaced")
        self.assertEqual(before, {path: path.read_bytes() for path in self.folder.iterdir()})

    def test_wrong_names_and_addresses_are_refused(self):
        make_certificates(self.folder)
        for name, address in (("../x", "127.0.0.1"), ("ca", "127.0.0.1"), ("b", "1.2.3.4,DNS:evil"), ("b", "")):
            self.assertNotEqual(
                troupe("certs", "node", self.folder, name, "--address", address, expect=None).code, 0, (name, address)
            )
        self.assertFalse((self.folder / "b.key").exists())


class Startup(TestCase):
    def refuse(self, file, *words, code=None):
        with Cluster(file) as cluster:
            node = cluster.begin("a")
            ended = node.wait_end(20)
            self.assertNotEqual(ended, 0)
            if code is not None:
                self.assertEqual(ended, code)
            for word in words:
                self.assertIn(word, node.log())

    def test_tls_files_that_do_not_fit_are_refused_by_name(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        good, other = make_certificates(folder / "good"), make_certificates(folder / "other")
        file = files_of(good, "node")
        self.refuse(topology(tls={**file, "key": str(other / "node.key")}), "tls.key", "is not the key of")
        self.refuse(topology(tls={**file, "ca": str(other / "ca.pem")}), "tls.certificate", "not valid here")
        self.refuse(topology(tls={**file, "key": str(folder / "none.key")}), "tls.key", "No such file")
        (good / "node.key").chmod(0o640)
        self.refuse(topology(tls=file), "tls.key", "chmod 600")
        self.refuse(topology(tls={"certificate": file["certificate"]}), "tls.key", "tls.ca", code=2)

    def test_an_address_that_others_reach_needs_tls(self):
        file = topology()
        file["nodes"]["a"]["address"] = "192.0.2.1"
        self.refuse(file, "is not loopback", "tls", "--insecure", code=2)


class TwoNodes(TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.certs = make_certificates(folder / "certs", "alice")
        cls.others = make_certificates(folder / "others", "mallory")
        spread = [{"name": "g0", "tensor": 2, "ranks": ["a/cpu:0", "b/cpu:0"]}]
        file = topology(nodes="ab", model=LONG_MODEL, tls=files_of(cls.certs, "node"), groups=spread)
        os.environ.update(zip(("TROUPE_TLS_CERT", "TROUPE_TLS_KEY", "TROUPE_TLS_CA"), options_of(cls.certs, "alice")[1::2]))
        cls.cluster = cls.enterClassContext(Cluster(file)).start()

    @classmethod
    def tearDownClass(cls):
        for name in ("TROUPE_TLS_CERT", "TROUPE_TLS_KEY", "TROUPE_TLS_CA"):
            os.environ.pop(name, None)

    def ask(self, node, *options, expect=0):
        return troupe("ask", "--quiet", "--max-tokens", 5, "--node", node.address, *options, "hello", expect=expect)

    def assert_all_serve(self):
        for node in self.cluster.nodes.values():
            self.assertNotEqual(self.ask(node).text, "")

    def test_a_group_over_two_nodes_answers_those_who_have_a_certificate(self):
        self.assert_all_serve()
        self.assertEqual(self.ask(self.cluster.node, "--topology", self.cluster.path).code, 0)

    def test_those_without_a_certificate_of_the_authority_are_refused_with_one_error(self):
        environment = dict(os.environ)
        for name in ("TROUPE_TLS_CERT", "TROUPE_TLS_KEY", "TROUPE_TLS_CA"):
            os.environ.pop(name)
        try:
            for node in self.cluster.nodes.values():
                self.assert_one_error(self.ask(node, expect=1), "no Troupe node answers")
                self.assert_one_error(self.ask(node, *options_of(self.others, "mallory"), expect=1))
        finally:
            os.environ.update(environment)
        self.assert_all_serve()

    def handshake(self, *options):
        """What OpenSSL's own client says of it."""
        address = self.cluster.node.address
        command = ["openssl", "s_client", "-connect", address, "-CAfile", self.certs / "ca.pem", *options]
        done = subprocess.run(command, input=b"x" * 64, capture_output=True, timeout=20)
        return (done.stdout + done.stderr).decode(errors="replace")

    def test_older_versions_of_tls_are_refused(self):
        alice = ("-cert", self.certs / "alice.pem", "-key", self.certs / "alice.key")
        self.assertIn("Verify return code: 0", self.handshake(*alice, "-tls1_3"))
        old = self.handshake(*alice, "-tls1_2")
        self.assertTrue(any(words in old for words in TLS_1_2_REFUSED), old)
        self.assertNotIn("Cipher is ECDHE", old)

    def test_an_expired_certificate_is_refused(self):
        folder = self.certs.parent / "expired"
        folder.mkdir(exist_ok=True)
        (folder / "index").write_text("")
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\n"
            "[p]\ncommonName=supplied\n"
        )
        (folder / "serial").write_text("1000\n")
        run = lambda *words: subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)
        run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=old",
            "-keyout", "old.key", "-out", "old.csr")  # fmt: skip
        run("ca", "-batch", "-config", "ca.cnf", "-in", "old.csr", "-out", "old.pem", "-notext",
            "-cert", self.certs / "ca.pem", "-keyfile", self.certs / "ca.key",
            "-startdate", "20200101000000Z", "-enddate", "20200201000000Z")  # fmt: skip
        (folder / "old.key").chmod(0o600)
        said = self.handshake("-cert", folder / "old.pem", "-key", folder / "old.key", "-ign_eof")
        self.assertIn("expired", said)
        own = ("--cert", folder / "old.pem", "--key", folder / "old.key", "--ca", self.certs / "ca.pem")
        self.assert_one_error(self.ask(self.cluster.node, *own, expect=1), "expired")
        self.assert_all_serve()

    def test_random_bytes_and_broken_handshakes_do_no_harm(self):
        expected = long_answer()
        node = self.cluster.node
        self.assert_all_serve()
        epoch = self.cluster.group()["epoch"]
        files, memory = open_files(node.pid), resident_mib(node.pid)
        child = begin_long_answer(self.cluster)
        dice = random.Random(7)
        host, port = node.address.rsplit(":", 1)
        end, sent = time.monotonic() + 5, 0
        while time.monotonic() < end:
            with socket.create_connection((host, int(port)), timeout=5) as wire:
                first = b"\x16\x03\x01" if dice.random() < 0.5 else b""
                try:
                    wire.sendall(first + dice.randbytes(dice.randrange(1, 4096)))
                    wire.settimeout(0.05)
                    wire.recv(64)
                except OSError:
                    pass
            sent += 1
        result = child.finish(60)
        self.assertEqual((result.code, result.text == expected), (0, True), result.err)
        self.assertEqual(self.cluster.group()["epoch"], epoch, "a healthy connection was lost")
        wait_until(lambda: open_files(node.pid) <= files + 4, 10, "the strangers' connections are closed")
        print(f"{sent} strangers, memory {resident_mib(node.pid) - memory:+.1f} MiB", file=sys.stderr)
        self.assertLess(resident_mib(node.pid) - memory, 32)
        self.assert_all_serve()

    def test_a_stopped_node_is_noticed_over_tls_as_fast_as_without(self):
        file = topology(nodes="ab", tls=files_of(self.certs, "node"))
        with Cluster(file) as cluster:
            cluster.start()
            first, second = cluster.nodes["a"], cluster.nodes["b"]
            second.signal(signal.SIGSTOP)
            begin = time.monotonic()
            try:
                wait_until(lambda: "node-left node=b" in first.log(), 5, "the stopped node is noticed")
                print(f"stopped node noticed after {time.monotonic() - begin:.2f} s", file=sys.stderr)
            finally:
                second.signal(signal.SIGCONT)


if __name__ == "__main__":
    main()
